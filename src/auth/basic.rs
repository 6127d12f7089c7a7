//! Holding passwords against their hashes, at wire speed and without becoming a way to stop the
//! registry.
//!
//! A hash is made to be slow: at cost 10 a core does thirteen a second. So what was right is
//! remembered for a while under a keyed hash of name, password and stored hash (a changed line is
//! another key), hashing has few threads of its own, and an address that keeps being wrong has to
//! share one of them. It is slowed down, never shut out: a right password behind the same address
//! still gets in, and a password that is remembered does not wait at all.

use super::{Credentials, Users, htpasswd::holds};
use crate::who::Subject;
use aws_lc_rs::{hmac, rand};
use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::sync::Semaphore;

/// How long a right password is remembered.
const REMEMBERED: Duration = Duration::from_secs(120);

/// Passwords remembered.
const MOST_REMEMBERED: usize = 10_000;

/// Who waits for a thread to hash on; more are told to come back.
const MOST_WAITING: usize = 256;

/// Who of the suspicious waits.
const MOST_SUSPECTS_WAITING: usize = 32;

/// Wrong passwords after which an address is suspicious, and for how long.
const SUSPICIOUS: u32 = 10;
const SUSPICION: Duration = Duration::from_secs(60);

/// Addresses whose failures are counted.
const MOST_ADDRESSES: usize = 10_000;

/// Verifies passwords.
pub struct Passwords {
    key: hmac::Key,
    remembered: quick_cache::sync::Cache<[u8; 32], Instant>,
    /// Threads for hashing; and for those who keep being wrong.
    threads: Lane,
    suspects: Lane,
    failures: Mutex<HashMap<IpAddr, (u32, Instant)>>,
    failed: AtomicU64,
}

struct Lane {
    threads: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
}

/// Why somebody is not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Name and password do not belong together; which of the two is wrong is not said.
    Wrong,
    /// Too many wait to be verified. Come back after so many seconds.
    Busy(u64),
}

impl Lane {
    fn new(threads: usize, waiting: usize) -> Self {
        Self { threads: Arc::new(Semaphore::new(threads)), waiting: Arc::new(Semaphore::new(waiting)) }
    }
}

impl Default for Passwords {
    fn default() -> Self {
        let mut secret = [0; 32];
        // Without randomness the key would be guessable: then nothing is remembered across, but
        // the system's source does not fail on any system we run on.
        if rand::fill(&mut secret).is_err() {
            secret.copy_from_slice(&[uuid::Uuid::new_v4().into_bytes(), uuid::Uuid::new_v4().into_bytes()].concat());
        }
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            key: hmac::Key::new(hmac::HMAC_SHA256, &secret),
            remembered: quick_cache::sync::Cache::new(MOST_REMEMBERED),
            threads: Lane::new((cores / 2).max(1), MOST_WAITING),
            suspects: Lane::new(1, MOST_SUSPECTS_WAITING),
            failures: Mutex::default(),
            failed: AtomicU64::new(0),
        }
    }
}

impl Passwords {
    /// Who brings these credentials, from this address.
    ///
    /// # Errors
    /// [`Refusal`].
    pub async fn verify(
        &self,
        users: &Users,
        credentials: &Credentials,
        from: Option<IpAddr>,
    ) -> Result<Subject, Refusal> {
        let (hash, known) = users.hash(&credentials.user);
        let key = self.remember_as(credentials, hash);
        let subject = || Subject::User(credentials.user.as_str().into());
        if known && self.is_remembered(&key) {
            return Ok(subject());
        }
        let suspicious = from.is_some_and(|from| self.is_suspicious(from));
        let lane = if suspicious { &self.suspects } else { &self.threads };
        let Ok(_waiting) = lane.waiting.clone().try_acquire_owned() else { return Err(Refusal::Busy(2)) };
        let Ok(thread) = lane.threads.clone().acquire_owned().await else { return Err(Refusal::Busy(2)) };
        // Another request of the same client was verified meanwhile.
        if known && self.is_remembered(&key) {
            return Ok(subject());
        }
        let (password, hash) = (credentials.password.clone(), hash.to_owned());
        let verifying = tokio::task::spawn_blocking(move || {
            let _thread = thread;
            holds(&hash, &password)
        });
        let right = verifying.await.unwrap_or(false);
        if right && known {
            self.remembered.insert(key, Instant::now() + REMEMBERED);
            return Ok(subject());
        }
        self.failed.fetch_add(1, Ordering::Relaxed);
        if let Some(from) = from {
            self.count_failure(from);
        }
        Err(Refusal::Wrong)
    }

    /// Logins so far with a wrong user name or password.
    pub fn failed(&self) -> u64 {
        self.failed.load(Ordering::Relaxed)
    }

    /// The key under which these credentials are remembered, as long as the stored hash is this.
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

    fn is_remembered(&self, key: &[u8; 32]) -> bool {
        self.remembered.get(key).is_some_and(|until| until > Instant::now())
    }

    fn is_suspicious(&self, from: IpAddr) -> bool {
        let failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        failures.get(&from).is_some_and(|(count, last)| *count >= SUSPICIOUS && last.elapsed() < SUSPICION)
    }

    fn count_failure(&self, from: IpAddr) {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        if failures.len() >= MOST_ADDRESSES {
            failures.retain(|_, (_, last)| last.elapsed() < SUSPICION);
            // Still full: an attack from everywhere. The bounded threads hold without this.
            if failures.len() >= MOST_ADDRESSES {
                return;
            }
        }
        let entry = failures.entry(from).or_insert((0, Instant::now()));
        if entry.1.elapsed() >= SUSPICION {
            entry.0 = 0;
        }
        *entry = (entry.0 + 1, Instant::now());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn users(people: &[(&str, &str)]) -> Users {
        let line = |(name, password): &(&str, &str)| format!("{name}:{}\n", bcrypt::hash(password, 4).unwrap());
        Users::parse(&people.iter().map(line).collect::<String>()).unwrap()
    }

    fn as_user(name: &str, password: &str) -> Credentials {
        Credentials::new(name, password)
    }

    #[tokio::test]
    async fn right_passwords_get_in_and_wrong_ones_do_not() {
        let (passwords, users) = (Passwords::default(), users(&[("alice", "right")]));
        let verify = |user: &str, password: &str| {
            let credentials = as_user(user, password);
            let (passwords, users) = (&passwords, &users);
            async move { passwords.verify(users, &credentials, None).await }
        };
        assert_eq!(verify("alice", "right").await, Ok(Subject::User("alice".into())));
        assert_eq!(verify("alice", "wrong").await, Err(Refusal::Wrong));
        assert_eq!(verify("bob", "right").await, Err(Refusal::Wrong));
        assert_eq!(verify("Alice", "right").await, Err(Refusal::Wrong));
        assert_eq!(verify("alice", &"x".repeat(100)).await, Err(Refusal::Wrong), "too long for bcrypt");
    }

    #[tokio::test]
    async fn a_changed_line_ends_what_was_remembered() {
        let passwords = Passwords::default();
        let before = users(&[("alice", "old")]);
        assert!(passwords.verify(&before, &as_user("alice", "old"), None).await.is_ok());
        let after = users(&[("alice", "new")]);
        assert_eq!(passwords.verify(&after, &as_user("alice", "old"), None).await, Err(Refusal::Wrong));
        assert_eq!(passwords.verify(&users(&[]), &as_user("alice", "old"), None).await, Err(Refusal::Wrong));
    }

    #[tokio::test]
    async fn who_keeps_being_wrong_is_slowed_down_and_nobody_is_shut_out() {
        let (passwords, users) = (Passwords::default(), users(&[("alice", "right"), ("bob", "right")]));
        let shared: IpAddr = "203.0.113.9".parse().unwrap();
        assert!(passwords.verify(&users, &as_user("alice", "right"), Some(shared)).await.is_ok());
        for _ in 0..SUSPICIOUS {
            let wrong = passwords.verify(&users, &as_user("alice", "guess"), Some(shared)).await;
            assert_eq!(wrong, Err(Refusal::Wrong));
        }
        assert!(passwords.is_suspicious(shared));
        assert!(passwords.verify(&users, &as_user("bob", "right"), Some(shared)).await.is_ok(), "in the slow lane");
        // The slow lane is full: others of that address are told to come back, but for whom is known.
        let _full = passwords.suspects.waiting.clone().try_acquire_many_owned(MOST_SUSPECTS_WAITING as u32).unwrap();
        let guess = passwords.verify(&users, &as_user("alice", "guess"), Some(shared)).await;
        assert!(matches!(guess, Err(Refusal::Busy(_))));
        assert!(passwords.verify(&users, &as_user("alice", "right"), Some(shared)).await.is_ok(), "remembered");
        let elsewhere: IpAddr = "198.51.100.1".parse().unwrap();
        assert_eq!(passwords.verify(&users, &as_user("alice", "no"), Some(elsewhere)).await, Err(Refusal::Wrong));
    }
}
