//! Verifies passwords quickly, without letting attackers overload the registry.
//!
//! Hashes are slow on purpose: at cost 10 a core computes thirteen per second. So a correct password is remembered for
//! a while under a keyed hash of name, password and stored hash (a changed line gives another key), and hashing has a
//! few threads of its own. [`super::queue`] decides which password is next. Nobody is locked out: a remembered password
//! does not wait, and one that was remembered before comes first.

use super::{
    Credentials, Users,
    htpasswd::holds,
    queue::{Arrival, Claim, HashingQueue, Naming, QueuePosition},
};
use crate::{files::world, who::Subject};
use aws_lc_rs::{hmac, rand};
use std::{
    net::IpAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{sync::oneshot, time::timeout};

/// Maximum number of passwords remembered.
const MOST_REMEMBERED: usize = 10_000;

/// Seconds after which a rejected client may retry.
const COME_BACK: u64 = 5;

/// Limits of password logins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoginLimits {
    /// Maximum number of passwords waiting to be hashed.
    pub waiting: usize,
    /// How long a password waits at most.
    pub wait: Duration,
    /// How long a correct password is remembered after its last use.
    pub remember: Duration,
    /// How long it is remembered at most, however often it is used.
    pub remember_most: Duration,
}

impl Default for LoginLimits {
    fn default() -> Self {
        Self {
            waiting: 256,
            wait: Duration::from_secs(10),
            remember: Duration::from_secs(120),
            remember_most: Duration::from_secs(3600),
        }
    }
}

/// Verifies passwords.
pub struct Passwords {
    key: hmac::Key,
    naming: Naming,
    hashing: Arc<HashingPool>,
}

/// Shared by the hashing threads and the requests that wait for them.
struct HashingPool {
    /// Correct passwords. An expired entry still proves that its user has logged in before.
    right: quick_cache::sync::Cache<[u8; 32], Arc<Remembered>>,
    queue: Mutex<HashingQueue<oneshot::Sender<WaitResult>>>,
    failed: AtomicU64,
}

enum WaitResult {
    /// It is this request's turn.
    Turn(HashingPermit),
    /// Another request had the same claim verified.
    Verdict(bool),
}

/// The right to hash one password; dropping it passes it to the next in the queue.
struct HashingPermit(Arc<HashingPool>);

/// A request in the queue; dropping it leaves the queue.
struct WaitingLogin<'a> {
    hashing: &'a HashingPool,
    turn: QueuePosition,
}

/// A correct password. Times are relative to the daemon's start.
struct Remembered {
    verified: Duration,
    /// In seconds.
    used: AtomicU64,
    /// In 1024ths of the longest time, so that clients that came together are not hashed together again.
    share: u32,
}

/// Why a login is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoginRefusal {
    /// Wrong user name or password; which one is not disclosed.
    Wrong,
    /// Too many passwords wait; the seconds after which to retry.
    Busy(u64),
}

impl Default for Passwords {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self::with_places((cores / 2).max(1))
    }
}

impl Passwords {
    /// Allows `places` passwords to be hashed at once.
    fn with_places(places: usize) -> Self {
        let mut secret = [0; 32];
        // Without randomness the key would be guessable, so nothing is remembered. The random source does not fail on
        // any supported system.
        if rand::fill(&mut secret).is_err() {
            secret.copy_from_slice(&[uuid::Uuid::new_v4().into_bytes(), uuid::Uuid::new_v4().into_bytes()].concat());
        }
        Self {
            key: hmac::Key::new(hmac::HMAC_SHA256, &secret),
            naming: Naming::default(),
            hashing: Arc::new(HashingPool {
                right: quick_cache::sync::Cache::new(MOST_REMEMBERED),
                queue: Mutex::new(HashingQueue::new(places)),
                failed: AtomicU64::new(0),
            }),
        }
    }

    /// The user of these credentials, sent from this address.
    ///
    /// # Errors
    /// [`LoginRefusal`].
    pub async fn verify(
        &self,
        users: &Users,
        credentials: &Credentials,
        from: Option<IpAddr>,
        limits: &LoginLimits,
    ) -> Result<Subject, LoginRefusal> {
        let (hash, known) = users.hash(&credentials.user);
        let key = self.remember_as(credentials, hash);
        let before = if known { self.hashing.right.get(&key) } else { None };
        let subject = || Subject::User(credentials.user.as_str().into());
        if before.as_ref().is_some_and(|before| before.is_fresh(world::uptime(), limits)) {
            return Ok(subject());
        }
        let claim = self.naming.claim(key, before.is_some(), &credentials.user, from);
        let right = match self.answer(&claim, limits).await? {
            WaitResult::Verdict(right) => right,
            WaitResult::Turn(place) => {
                let (password, hash, highest) = (credentials.password.clone(), hash.to_owned(), users.highest_cost());
                // It completes even if the client disconnects: other requests may wait for the same answer.
                let verifying = tokio::task::spawn_blocking(move || {
                    let right = holds(&hash, &password, highest) && known;
                    place.0.verified(&key, right);
                    right
                });
                verifying.await.unwrap_or(false)
            }
        };
        match right {
            true => {
                self.hashing.queue().confirm(&claim, world::uptime());
                Ok(subject())
            }
            false => {
                self.count_failure();
                Err(LoginRefusal::Wrong)
            }
        }
    }

    /// Counts a failed login that took no password.
    pub fn count_failure(&self) {
        self.hashing.failed.fetch_add(1, Ordering::Relaxed);
    }

    /// Number of logins with a wrong user name or password since startup.
    pub fn failed(&self) -> u64 {
        self.hashing.failed.load(Ordering::Relaxed)
    }

    /// Waits for a turn to hash, or for the answer to the same claim.
    async fn answer(&self, claim: &Claim, limits: &LoginLimits) -> Result<WaitResult, LoginRefusal> {
        let busy = LoginRefusal::Busy(COME_BACK);
        let (ticket, result) = oneshot::channel();
        // The request that is rejected in favor of this one learns it when its ticket is dropped.
        let arrival = self.hashing.queue().arrive(claim, ticket, limits.waiting, world::uptime());
        let turn = match arrival {
            Arrival::Place => return Ok(WaitResult::Turn(HashingPermit(self.hashing.clone()))),
            Arrival::Refused => return Err(busy),
            Arrival::Waits(turn, _sent_away) => turn,
        };
        let _waiting = WaitingLogin { hashing: &self.hashing, turn };
        match claim.is_proven {
            // A client that logged in before is never rejected.
            true => result.await.map_err(|_| busy),
            false => timeout(limits.wait, result).await.map_err(|_| busy)?.map_err(|_| busy),
        }
    }

    /// The key under which these credentials are remembered while the stored hash stays the same.
    fn remember_as(&self, credentials: &Credentials, hash: &str) -> [u8; 32] {
        let mut context = hmac::Context::with_key(&self.key);
        for part in [&credentials.user, &credentials.password, hash] {
            context.update(&(part.len() as u64).to_le_bytes());
            context.update(part.as_bytes());
        }
        let mut key = [0; 32];
        key.copy_from_slice(context.sign().as_ref());
        key
    }
}

impl HashingPool {
    fn queue(&self) -> MutexGuard<'_, HashingQueue<oneshot::Sender<WaitResult>>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records the result of a verification.
    fn verified(&self, key: &[u8; 32], right: bool) {
        if right {
            self.right.insert(*key, Arc::new(Remembered::new(key, world::uptime())));
        }
        let same = self.queue().answered(key);
        for ticket in same {
            // The request may have disconnected.
            let _ = ticket.send(WaitResult::Verdict(right));
        }
    }
}

impl Drop for HashingPermit {
    fn drop(&mut self) {
        // The lock is released before any ticket is used: a place that nobody takes is dropped here and locks again.
        let next = self.0.queue().next();
        if let Some(ticket) = next {
            let _ = ticket.send(WaitResult::Turn(Self(self.0.clone())));
        }
    }
}

impl Drop for WaitingLogin<'_> {
    fn drop(&mut self) {
        self.hashing.queue().leave(&self.turn, world::uptime());
    }
}

impl Remembered {
    fn new(key: &[u8; 32], now: Duration) -> Self {
        Self { verified: now, used: AtomicU64::new(now.as_secs()), share: 1024 - u32::from(key[0]) }
    }

    /// Whether it need not be hashed again; marks it as used.
    fn is_fresh(&self, now: Duration, limits: &LoginLimits) -> bool {
        let seconds = now.as_secs();
        let used = self.used.load(Ordering::Relaxed);
        let is_fresh = seconds.saturating_sub(used) <= limits.remember.as_secs()
            && now.saturating_sub(self.verified) <= limits.remember_most * self.share / 1024;
        if is_fresh && seconds > used {
            self.used.store(seconds, Ordering::Relaxed);
        }
        is_fresh
    }
}

#[cfg(test)]
mod tests;
