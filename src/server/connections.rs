//! The open connections of a listener: how many each client has, and which one is closed to make room for another.
//!
//! A connection is idle while no request is in flight on it, even while a head or a TLS handshake arrives. Idle
//! connections are closed to make room, those of the client with the most connections first. If none is idle, a few
//! more are accepted *beyond the limit*: they can only ask for `/health`; all other requests are refused.

use super::activity::Activity;
use crate::{
    who::network,
    wire::{
        memory::{ClientMemory, MemoryShare},
        outbox::Outbox,
    },
};
use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{
    sync::Notify,
    time::{Instant, timeout},
};
use tokio_util::sync::CancellationToken;

/// The open connections of a listener.
pub(super) struct Connections {
    /// The limit, without connections beyond it.
    most: usize,
    table: Mutex<Table>,
    memory: Arc<ClientMemory>,
    /// Notified when a connection has ended.
    left: Notify,
}

#[derive(Default)]
struct Table {
    clients: HashMap<ClientAddress, ClientConnections>,
    /// Open connections of all clients, within the limit.
    open: usize,
    beyond: HashMap<u64, OpenConnection>,
    /// The number of the newest connection.
    last: u64,
    /// When it was last logged that there is no room.
    logged: Option<Instant>,
}

struct ClientConnections {
    entries: HashMap<u64, OpenConnection>,
    /// A trusted proxy, which has the connections of many clients.
    is_proxy: bool,
    memory: Arc<MemoryShare>,
}

struct OpenConnection {
    activity: Arc<Activity>,
    close: CancellationToken,
}

/// What counts as one client: an IPv4 address, or the IPv6 network that one customer usually has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct ClientAddress(IpAddr);

/// Where a new connection comes from, and how many its client may have.
#[derive(Clone, Copy)]
pub(super) struct NewConnection {
    pub(super) address: IpAddr,
    pub(super) is_proxy: bool,
    pub(super) most_of_client: usize,
}

/// An open connection, counted until it is dropped.
pub(super) struct Admitted {
    pub(super) activity: Arc<Activity>,
    /// Cancelled when the connection has to be closed.
    pub(super) close: CancellationToken,
    /// The limit was reached, and no connection was idle.
    pub(super) is_beyond_limit: bool,
    pub(super) outbox: Arc<Outbox>,
    connections: Arc<Connections>,
    client: ClientAddress,
    number: u64,
}

/// How many connections are accepted beyond a limit.
pub(super) fn most_beyond(limit: usize) -> usize {
    (limit / 8).clamp(1, 16)
}

/// One in so many idle connections is closed at a time: the more there are, the longer the search takes.
const CLOSED_AT_ONCE: usize = 100;

/// Time between two checks for idle connections beyond the limit.
const LOOK: Duration = Duration::from_millis(50);

/// Least time between two log lines about closed connections.
const QUIET: Duration = Duration::from_secs(60);

impl ClientAddress {
    fn of(address: IpAddr) -> Self {
        Self(network(address.to_canonical(), 32, 64))
    }
}

impl Connections {
    pub(super) fn new(most: usize, memory: Arc<ClientMemory>) -> Arc<Self> {
        Arc::new(Self { most: most.max(1), table: Mutex::default(), memory, left: Notify::new() })
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for room, then counts a connection. Its token is a child of `all`.
    pub(super) async fn admit(self: &Arc<Self>, arrival: NewConnection, all: &CancellationToken) -> Admitted {
        loop {
            let mut left = std::pin::pin!(self.left.notified());
            left.as_mut().enable();
            if let Some(admitted) = self.try_admit(arrival, all) {
                return admitted;
            }
            // There may be room, whatever ended the wait.
            let _ = timeout(LOOK, left).await;
        }
    }

    fn try_admit(self: &Arc<Self>, arrival: NewConnection, all: &CancellationToken) -> Option<Admitted> {
        let client = ClientAddress::of(arrival.address);
        let mut table = self.table();
        let own = table.clients.get(&client).map_or(0, |group| group.entries.len());
        let is_within = (arrival.is_proxy || own < arrival.most_of_client || table.close_idle_of(client))
            && (table.open < self.most || table.close_idle());
        if !is_within && table.beyond.len() >= most_beyond(self.most) && !table.close_idle_beyond() {
            return None;
        }
        table.last += 1;
        let (number, activity, close) = (table.last, Activity::new(), all.child_token());
        let entry = OpenConnection { activity: activity.clone(), close: close.clone() };
        let memory = if is_within {
            table.open += 1;
            let group = table.clients.entry(client).or_insert_with(|| ClientConnections {
                entries: HashMap::new(),
                is_proxy: arrival.is_proxy,
                memory: self.memory.share(arrival.is_proxy),
            });
            group.entries.insert(number, entry);
            group.memory.clone()
        } else {
            table.log("no connection is idle; answering only health checks on new ones", client);
            table.beyond.insert(number, entry);
            self.memory.share(arrival.is_proxy)
        };
        let (connections, outbox) = (self.clone(), Outbox::new(memory));
        Some(Admitted { activity, close, is_beyond_limit: !is_within, outbox, connections, client, number })
    }
}

impl Table {
    /// Closes the longest idle connections of one client. Returns whether there were any.
    fn close_idle_of(&mut self, client: ClientAddress) -> bool {
        let Some(group) = self.clients.get(&client) else { return false };
        let idle = group.entries.iter().filter_map(|(number, entry)| entry.idle(0, client, *number)).collect();
        self.close(idle, group.entries.len())
    }

    /// Closes idle connections of the clients with the most connections; proxies come last.
    fn close_idle(&mut self) -> bool {
        let idle = self.clients.iter().flat_map(|(client, group)| {
            let rank = if group.is_proxy { 0 } else { group.entries.len() };
            group.entries.iter().filter_map(move |(number, entry)| entry.idle(rank, *client, *number))
        });
        self.close(idle.collect(), self.open)
    }

    fn close(&mut self, mut idle: Vec<Idle>, of: usize) -> bool {
        let count = of.div_ceil(CLOSED_AT_ONCE).min(idle.len());
        if count < idle.len() {
            idle.select_nth_unstable(count);
        }
        for Idle { client, number, .. } in idle.drain(..count) {
            self.log("closing idle connections to make room", client);
            if let Some(entry) = self.remove(client, number) {
                entry.close.cancel();
            }
        }
        count > 0
    }

    /// Closes idle connections beyond the limit.
    fn close_idle_beyond(&mut self) -> bool {
        let before = self.beyond.len();
        self.beyond.retain(|_, entry| match entry.activity.idle_since() {
            Some(_) => {
                entry.close.cancel();
                false
            }
            None => true,
        });
        self.beyond.len() < before
    }

    fn remove(&mut self, client: ClientAddress, number: u64) -> Option<OpenConnection> {
        let group = self.clients.get_mut(&client)?;
        let entry = group.entries.remove(&number)?;
        if group.entries.is_empty() {
            self.clients.remove(&client);
        }
        self.open -= 1;
        Some(entry)
    }

    /// Logs at most once in [`QUIET`]: an attack must not fill the log.
    fn log(&mut self, what: &'static str, client: ClientAddress) {
        if self.logged.is_none_or(|logged| logged.elapsed() >= QUIET) {
            self.logged = Some(Instant::now());
            let of_client = self.clients.get(&client).map_or(0, |group| group.entries.len());
            tracing::warn!(open = self.open, client = %client.0, of_client, "connection limit reached: {what}");
        }
    }
}

/// An idle connection; sorts by the order in which they are closed.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Idle {
    rank: std::cmp::Reverse<usize>,
    since: Instant,
    client: ClientAddress,
    number: u64,
}

impl OpenConnection {
    fn idle(&self, rank: usize, client: ClientAddress, number: u64) -> Option<Idle> {
        let since = self.activity.idle_since()?;
        Some(Idle { rank: std::cmp::Reverse(rank), since, client, number })
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        let mut table = self.connections.table();
        // It is already removed if it was closed to make room.
        if table.remove(self.client, self.number).is_none() {
            table.beyond.remove(&self.number);
        }
        drop(table);
        self.connections.left.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(address: &str) -> NewConnection {
        NewConnection { address: address.parse().unwrap(), is_proxy: false, most_of_client: 3 }
    }

    fn connections(most: usize) -> Arc<Connections> {
        Connections::new(most, ClientMemory::new(1 << 20))
    }

    struct Rig(Arc<Connections>, CancellationToken);

    impl Rig {
        fn enter(&self, arrival: NewConnection) -> Option<Admitted> {
            self.0.try_admit(arrival, &self.1)
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_longest_idle_connection_of_the_largest_client_makes_room() {
        let rig = Rig(connections(4), CancellationToken::new());
        let mut open = Vec::new();
        for address in ["192.0.2.1", "2001:db8::1", "2001:db8::2", "2001:db8:0:0:f::1"] {
            open.push(rig.enter(from(address)).unwrap());
            tokio::time::advance(Duration::from_secs(1)).await;
        }
        // The network 2001:db8::/64 has the most. Its first connection is busy.
        let _flight = open[1].activity.begin();
        let fifth = rig.enter(from("192.0.2.2")).unwrap();
        let closed: Vec<_> = open.iter().map(|admitted| admitted.close.is_cancelled()).collect();
        assert_eq!(closed, [false, false, true, false]);
        assert!(!fifth.is_beyond_limit && rig.0.table().open == 4);
        open.remove(2);
        assert_eq!(rig.0.table().open, 4, "it stopped counting when it was closed");
    }

    #[tokio::test]
    async fn each_client_has_a_connection_limit_and_a_proxy_has_none() {
        let rig = Rig(connections(100), CancellationToken::new());
        let open: Vec<_> = (0..3).map(|_| rig.enter(from("192.0.2.1")).unwrap()).collect();
        let flights: Vec<_> = open[..2].iter().map(|admitted| admitted.activity.begin()).collect();
        let fourth = rig.enter(from("::ffff:192.0.2.1")).unwrap();
        assert!(open[2].close.is_cancelled() && !fourth.is_beyond_limit, "its own idle connection made room");
        let flight = fourth.activity.begin();
        assert!(rig.enter(from("192.0.2.1")).unwrap().is_beyond_limit);
        assert!(!rig.enter(from("192.0.2.2")).unwrap().is_beyond_limit);
        let proxy = NewConnection { is_proxy: true, ..from("192.0.2.1") };
        assert!(!rig.enter(proxy).unwrap().is_beyond_limit);
        drop((flights, flight));
    }

    #[tokio::test]
    async fn connections_beyond_the_limit_are_few_and_replace_idle_ones() {
        let rig = Rig(connections(1), CancellationToken::new());
        let only = rig.enter(from("192.0.2.1")).unwrap();
        let flight = only.activity.begin();
        let beyond: Vec<_> = (0..most_beyond(1)).map(|_| rig.enter(from("192.0.2.2")).unwrap()).collect();
        assert!(beyond.iter().all(|admitted| admitted.is_beyond_limit));
        let mut flights: Vec<_> = beyond.iter().map(|admitted| admitted.activity.begin()).collect();
        assert!(rig.enter(from("192.0.2.3")).is_none());
        flights.pop();
        let another = rig.enter(from("192.0.2.3")).unwrap();
        assert!(another.is_beyond_limit && beyond[0].close.is_cancelled());
        drop((flights, beyond, another, flight));
        assert!(!rig.enter(from("192.0.2.3")).unwrap().is_beyond_limit, "the first one is idle now");
    }
}
