//! The order in which passwords are hashed.
//!
//! Hashing capacity is small, and attackers can request more hashes than it can ever compute. So the order decides who
//! can log in during an attack:
//!
//! 1. A password that was correct before and is hashed again because its time in memory has ended.
//! 2. A user name that logged in from this address before.
//! 3. All others, those with the fewest recent attempts first: networks are compared, then names, then the newest comes
//!    first, because the older ones have probably exceeded their clients' timeouts.
//!
//! An attempt counts when it arrives, so that a burst does not wait as if each of it were the first. When too many
//! wait, the last in this order is rejected. A correct password takes its attempt back, and so does a request that gets
//! no answer, because its client will retry. But the address no longer counts as new, or strangers without completed
//! attempts would be trusted most.
//!
//! This module uses no clock and no thread.

use super::recent::RecentMap;
use crate::who::network;
use std::{
    cmp::Reverse,
    collections::BTreeMap,
    hash::{BuildHasher, RandomState},
    net::IpAddr,
    time::Duration,
};

/// Networks whose attempts are counted reliably; half as many names, and known pairs of name and address.
const MOST_COUNTED: usize = 1 << 16;

/// Attempts count half after this many seconds without another one. It is many times the interval between the guesses
/// of one address among thousands that guess together, or some of those would always be new.
const HALF_LIFE: u32 = 300;

/// Addresses in one network count as one, as it is assigned to a single customer (an IPv4 /24 is the smallest routed).
const NETWORK: (u8, u8) = (24, 64);

/// An owner of several such networks usually has adjacent ones. An attempt from one counts against the others too, but
/// little.
const WIDE: (u8, u8) = (16, 48);
const WIDE_SHARE: u32 = 16;

/// Consecutive passwords, wrong or unanswered, after which a known pair counts as unknown again.
const MOST_WRONG: u32 = 5;

/// A user name and password to verify.
#[derive(Clone, Debug)]
pub(super) struct Claim {
    /// Stands for name, password and stored hash: equal claims have equal answers.
    pub(super) key: [u8; 32],
    /// It was correct before.
    pub(super) is_proven: bool,
    name: u64,
    network: Option<u64>,
    wide: Option<u64>,
    pair: Option<u64>,
}

/// Hashes the attributes that claims are counted by.
#[derive(Default)]
pub(super) struct Naming(RandomState);

impl Naming {
    pub(super) fn claim(&self, key: [u8; 32], is_proven: bool, user: &str, from: Option<IpAddr>) -> Claim {
        let of = |(v4, v6)| from.map(|from| self.0.hash_one((v4, v6, network(from, v4, v6))));
        Claim {
            key,
            is_proven,
            name: self.0.hash_one(user),
            network: of(NETWORK),
            wide: of(WIDE),
            // A host chooses its IPv6 addresses within its network itself.
            pair: from.map(|from| self.0.hash_one((user, network(from, 32, 64)))),
        }
    }
}

/// A position in the order; the smallest comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct QueuePosition {
    trust: Trust,
    /// Recent attempts of the network and of the name, in powers of two, so that a small difference does not matter.
    network: u32,
    name: u32,
    arrived: Reverse<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Trust {
    Proven,
    Known,
    Stranger,
}

/// What happens to a claim that arrives.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Arrival<T> {
    /// It may be hashed now.
    Place,
    /// It waits for its turn; the other ticket is rejected.
    Waits(QueuePosition, Option<T>),
    /// Too many claims that come before it wait.
    Refused,
}

/// The waiting claims, each with the ticket that answers it.
pub(super) struct HashingQueue<T> {
    free: usize,
    waiting: BTreeMap<QueuePosition, (Claim, T)>,
    arrived: u64,
    networks: RecentMap<Tries>,
    /// Separate, because strangers can make up any number of names.
    names: RecentMap<Tries>,
    /// Consecutive passwords that were not correct, by known pair of name and address.
    wrong: RecentMap<u32>,
}

/// A number of attempts, and the time of the last in seconds.
#[derive(Clone, Copy, Default)]
struct Tries {
    count: u32,
    last: u32,
}

impl<T> HashingQueue<T> {
    pub(super) fn new(places: usize) -> Self {
        Self {
            free: places,
            waiting: BTreeMap::new(),
            arrived: 0,
            networks: RecentMap::new(MOST_COUNTED),
            names: RecentMap::new(MOST_COUNTED / 2),
            wrong: RecentMap::new(MOST_COUNTED / 2),
        }
    }

    /// Adds a claim. At most `most` of those that are not proven wait.
    pub(super) fn arrive(&mut self, claim: &Claim, ticket: T, most: usize, now: Duration) -> Arrival<T> {
        let turn = self.position(claim, now);
        if self.free > 0 {
            self.free -= 1;
            return Arrival::Place;
        }
        self.waiting.insert(turn, (claim.clone(), ticket));
        if self.waiting.len() <= most {
            return Arrival::Waits(turn, None);
        }
        match self.waiting.last_key_value() {
            Some((&last, _)) if last.trust != Trust::Proven => {
                let sent_away = self.leave(&last, now);
                if last == turn { Arrival::Refused } else { Arrival::Waits(turn, sent_away) }
            }
            _ => Arrival::Waits(turn, None),
        }
    }

    /// A place is free: returns the next ticket.
    pub(super) fn next(&mut self) -> Option<T> {
        match self.waiting.pop_first() {
            Some((_, (_, ticket))) => Some(ticket),
            None => {
                self.free += 1;
                None
            }
        }
    }

    /// A claim stops waiting and has no answer.
    pub(super) fn leave(&mut self, turn: &QueuePosition, now: Duration) -> Option<T> {
        let (claim, ticket) = self.waiting.remove(turn)?;
        self.count(&claim, now, |count| count.saturating_sub(1).max(1));
        if turn.trust == Trust::Known
            && let Some(pair) = claim.pair
            && let Some(wrong) = self.wrong.get(pair)
        {
            self.wrong.put(pair, wrong.saturating_sub(1));
        }
        Some(ticket)
    }

    /// A claim has its answer: returns the other tickets that wait for it.
    pub(super) fn answered(&mut self, key: &[u8; 32]) -> Vec<T> {
        self.waiting.extract_if(.., |_, (other, _)| other.key == *key).map(|(_, (_, ticket))| ticket).collect()
    }

    /// A claim was correct: its attempt is taken back, and its name and address are known.
    pub(super) fn confirm(&mut self, claim: &Claim, now: Duration) {
        self.count(claim, now, |count| count.saturating_sub(1));
        if let Some(pair) = claim.pair {
            self.wrong.put(pair, 0);
        }
    }

    /// The position of a claim in the order; its attempt counts from now on.
    fn position(&mut self, claim: &Claim, now: Duration) -> QueuePosition {
        self.arrived += 1;
        let arrived = Reverse(self.arrived);
        if claim.is_proven {
            return QueuePosition { trust: Trust::Proven, network: 0, name: 0, arrived };
        }
        let tries = |of: Option<u64>| of.map_or(0, |of| tries(&self.networks, of, now));
        let network = tries(claim.network).max(tries(claim.wide) / WIDE_SHARE);
        let name = self::tries(&self.names, claim.name, now);
        self.count(claim, now, |count| count.saturating_add(1));
        let trust = if self.is_known(claim) { Trust::Known } else { Trust::Stranger };
        QueuePosition { trust, network: magnitude(network), name: magnitude(name), arrived }
    }

    fn is_known(&mut self, claim: &Claim) -> bool {
        let Some(pair) = claim.pair else { return false };
        match self.wrong.get(pair) {
            Some(wrong) if wrong < MOST_WRONG => {
                self.wrong.put(pair, wrong + 1);
                true
            }
            _ => false,
        }
    }

    fn count(&mut self, claim: &Claim, now: Duration, change: fn(u32) -> u32) {
        if claim.is_proven {
            return;
        }
        let last = u32::try_from(now.as_secs()).unwrap_or(u32::MAX);
        let changed = |recent: &mut RecentMap<Tries>, of| {
            let count = change(tries(recent, of, now));
            recent.put(of, Tries { count, last });
        };
        changed(&mut self.names, claim.name);
        for of in [claim.network, claim.wide].into_iter().flatten() {
            changed(&mut self.networks, of);
        }
    }
}

/// The weight of recent attempts now.
fn tries(recent: &RecentMap<Tries>, of: u64, now: Duration) -> u32 {
    let Tries { count, last } = recent.get(of).unwrap_or_default();
    let quiet = now.as_secs().saturating_sub(last.into());
    u32::try_from(quiet / u64::from(HALF_LIFE)).ok().and_then(|halved| count.checked_shr(halved)).unwrap_or(0)
}

/// A count in powers of two: 0, 1, 2 to 3, 4 to 7 and so on.
fn magnitude(count: u32) -> u32 {
    u32::BITS - count.leading_zeros()
}

#[cfg(test)]
mod tests;
