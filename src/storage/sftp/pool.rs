//! A few connections to one server, opened when they are needed and again when they are lost.

use super::{SftpSettings, SftpTrouble, link::SftpLink};
use std::{
    future::Future,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::{sync::Mutex as AsyncMutex, time::sleep};

/// Wait before the first new attempt after a failed one; doubled with each failure.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// How long a request waits for a server that cannot be reached.
const PATIENCE: Duration = Duration::from_secs(8);

/// Connections to one SFTP server.
pub struct SftpPool {
    settings: Arc<SftpSettings>,
    slots: Vec<SftpSlot>,
    outage: Mutex<Option<SftpOutage>>,
}

#[derive(Default)]
struct SftpSlot {
    link: AsyncMutex<Option<Arc<SftpLink>>>,
    /// Users, and those who wait for the connection.
    users: AtomicUsize,
}

/// Since when the server cannot be reached.
#[derive(Clone, Debug)]
pub struct SftpOutage {
    pub since: Instant,
    /// Attempts that failed.
    pub tries: u32,
    /// When the next attempt is made.
    pub next: Instant,
    pub why: SftpTrouble,
}

/// The use of one connection.
pub(super) struct SftpTurn<'a> {
    pub(super) link: Arc<SftpLink>,
    _user: SlotUser<'a>,
}

struct SlotUser<'a>(&'a AtomicUsize);

impl Drop for SlotUser<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl SftpPool {
    /// Connections to this server. None is opened yet.
    pub fn new(settings: SftpSettings) -> Self {
        let slots = (0..settings.connections.max(1)).map(|_| SftpSlot::default()).collect();
        Self { settings: Arc::new(settings), slots, outage: Mutex::default() }
    }

    pub fn settings(&self) -> &SftpSettings {
        &self.settings
    }

    /// Why the server cannot be reached, if the last attempt failed.
    pub fn outage(&self) -> Option<SftpOutage> {
        self.down().clone()
    }

    /// Does something over a connection. If `again`, it is repeated after the connection was lost: only for what has
    /// the same effect when it is done twice.
    pub(super) async fn run<T, F>(
        &self,
        again: bool,
        mut work: impl FnMut(Arc<SftpLink>) -> F,
    ) -> Result<T, SftpTrouble>
    where
        F: Future<Output = Result<T, SftpTrouble>>,
    {
        let begun = Instant::now();
        loop {
            let turn = self.turn(begun).await?;
            let done = turn.link.watch(work(turn.link.clone()).await);
            match done {
                Err(trouble) if trouble.is_lost() && again && begun.elapsed() < PATIENCE => {}
                done => return done,
            }
        }
    }

    /// The connection with the fewest users. `begun` is when the caller began to wait.
    pub(super) async fn turn(&self, begun: Instant) -> Result<SftpTurn<'_>, SftpTrouble> {
        let slot = self.slots.iter().min_by_key(|slot| slot.users.load(Ordering::Relaxed));
        let Some(slot) = slot else { return Err(SftpTrouble::Failed("no connections".into())) };
        slot.users.fetch_add(1, Ordering::Relaxed);
        let user = SlotUser(&slot.users);
        loop {
            let mut held = slot.link.lock().await;
            if let Some(link) = held.as_ref().filter(|link| link.is_usable()) {
                return Ok(SftpTurn { link: link.clone(), _user: user });
            }
            *held = None;
            if let Some(outage) = self.outage() {
                let wait = outage.next.saturating_duration_since(Instant::now());
                if begun.elapsed() + wait > PATIENCE {
                    return Err(outage.why);
                }
                if !wait.is_zero() {
                    drop(held);
                    sleep(wait).await;
                    continue;
                }
            }
            match SftpLink::connect(self.settings.clone()).await {
                Ok(link) => {
                    self.reached();
                    *held = Some(link.clone());
                    return Ok(SftpTurn { link, _user: user });
                }
                Err(why) => {
                    self.missed(why.clone());
                    if !why.is_lost() {
                        return Err(why);
                    }
                }
            }
        }
    }

    fn reached(&self) {
        if let Some(outage) = self.down().take() {
            let seconds = outage.since.elapsed().as_secs();
            tracing::info!(server = self.settings.place(), seconds, "SFTP server reached again");
        }
    }

    fn missed(&self, why: SftpTrouble) {
        let mut down = self.down();
        let tries = down.as_ref().map_or(0, |outage| outage.tries) + 1;
        let pause = FIRST_PAUSE.saturating_mul(1 << (tries - 1).min(10)).min(LONGEST_PAUSE);
        let now = Instant::now();
        let since = down.as_ref().map_or(now, |outage| outage.since);
        if tries.is_power_of_two() {
            tracing::warn!(server = self.settings.place(), tries, error = %why, "cannot reach the SFTP server");
        }
        *down = Some(SftpOutage { since, tries, next: now + pause, why });
    }

    fn down(&self) -> MutexGuard<'_, Option<SftpOutage>> {
        self.outage.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
