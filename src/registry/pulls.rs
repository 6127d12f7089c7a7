//! When manifests were last pulled, to the hour: readers record it in memory, and a job saves it in batches. Reading
//! a manifest never waits for any of this.
//!
//! All of it may be lost without anything being deleted for it: an unknown pull counts as one at the moment from
//! which on pulls have been recorded.

use super::{Registry, Repository, Result};
use crate::{
    files::Stripes,
    storage::{DirOf, Durability, Expect, FactKey, Put},
};
use oci::{Digest, RepositoryName, json};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant, SystemTime},
};

/// Files per repository, by the first digit of the digest: a changed file is rewritten, so they are kept small.
const PARTS: u8 = 16;

/// Locks that readers of different repositories share.
const SHARDS: usize = 64;

/// The most manifests in memory, some 200 bytes each. A batch empties it long before.
const MOST: usize = if cfg!(test) { 64 } else { 131_072 };

/// How often entries of deleted manifests are removed.
const A_DAY: Duration = Duration::from_secs(86_400);

/// Pulls since the last batch, and those of this hour that are saved already.
pub(super) struct PullLog {
    shards: Stripes<Mutex<Shard>>,
    held: AtomicUsize,
    lost: AtomicU64,
    /// Held while a batch is saved.
    batch: tokio::sync::Mutex<SaverState>,
}

type Shard = HashMap<RepositoryName, HashMap<Digest, LastPull>>;

/// The last pull of a manifest.
#[derive(Clone, Copy)]
struct LastPull {
    hour: u64,
    written: bool,
}

/// What the saver of batches knows.
struct SaverState {
    /// The moment from which on pulls are recorded has been saved.
    begun: bool,
    /// When entries of deleted manifests were last removed, or the process started.
    tidied: Instant,
}

impl Default for PullLog {
    fn default() -> Self {
        Self {
            shards: Stripes::new(SHARDS),
            held: AtomicUsize::new(0),
            lost: AtomicU64::new(0),
            batch: tokio::sync::Mutex::new(SaverState { begun: false, tidied: Instant::now() }),
        }
    }
}

impl PullLog {
    fn shard(&self, repository: &RepositoryName) -> MutexGuard<'_, Shard> {
        self.shards.of(repository).lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, repository: &RepositoryName, digest: &Digest, hour: u64) {
        let mut shard = self.shard(repository);
        if let Some(note) = shard.get_mut(repository).and_then(|notes| notes.get_mut(digest)) {
            if note.hour < hour {
                *note = LastPull { hour, written: false };
            }
            return;
        }
        if self.held.load(Ordering::Relaxed) >= MOST {
            self.lost.fetch_add(1, Ordering::Relaxed);
            return;
        }
        self.held.fetch_add(1, Ordering::Relaxed);
        shard.entry(repository.clone()).or_default().insert(digest.clone(), LastPull { hour, written: false });
    }

    /// The unsaved pulls, by file.
    fn unwritten(&self) -> HashMap<(RepositoryName, u8), Vec<(Digest, u64)>> {
        let mut files: HashMap<_, Vec<_>> = HashMap::new();
        for shard in self.shards.iter() {
            for (repository, notes) in shard.lock().unwrap_or_else(PoisonError::into_inner).iter() {
                for (digest, note) in notes.iter().filter(|(_, note)| !note.written) {
                    files.entry((repository.clone(), part(digest))).or_default().push((digest.clone(), note.hour));
                }
            }
        }
        files
    }

    fn mark_written(&self, repository: &RepositoryName, pulls: &[(Digest, u64)]) {
        let mut shard = self.shard(repository);
        let Some(notes) = shard.get_mut(repository) else { return };
        for (digest, hour) in pulls {
            if let Some(note) = notes.get_mut(digest).filter(|note| note.hour == *hour) {
                note.written = true;
            }
        }
    }

    /// Drops saved pulls of an earlier hour; all saved ones if there are many.
    fn trim(&self, now: u64) {
        let full = self.held.load(Ordering::Relaxed) > MOST / 2;
        for shard in self.shards.iter() {
            let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            let held = |shard: &Shard| shard.values().map(HashMap::len).sum::<usize>();
            let before = held(&shard);
            for notes in shard.values_mut() {
                notes.retain(|_, note| !note.written || (note.hour == now && !full));
            }
            shard.retain(|_, notes| !notes.is_empty());
            self.held.fetch_sub(before - held(&shard), Ordering::Relaxed);
        }
    }
}

/// One file of pull times.
#[derive(Serialize, Deserialize)]
struct PullFile {
    /// Earlier pulls need not be in it.
    since: String,
    pulled: BTreeMap<Digest, String>,
}

impl PullFile {
    /// `None` if a power failure left only a part: it was not synced.
    fn read(bytes: &[u8]) -> Option<(SystemTime, HashMap<Digest, SystemTime>)> {
        let file: Self = json::from_slice(bytes).ok()?;
        let pulled = file.pulled.into_iter().map(|(digest, time)| Some((digest, read_time(&time)?)));
        Some((read_time(&file.since)?, pulled.collect::<Option<_>>()?))
    }

    fn bytes(since: SystemTime, pulled: &HashMap<Digest, SystemTime>) -> Vec<u8> {
        let pulled = pulled.iter().map(|(digest, time)| (digest.clone(), written_time(*time)));
        let file = Self { since: written_time(since), pulled: pulled.collect() };
        let mut json = serde_json::to_vec(&file).unwrap_or_default();
        json.push(b'\n');
        json
    }
}

fn read_time(text: &str) -> Option<SystemTime> {
    text.trim_end().parse::<jiff::Timestamp>().ok().map(SystemTime::from)
}

fn written_time(time: SystemTime) -> String {
    jiff::Timestamp::try_from(time).unwrap_or_default().to_string()
}

fn hour(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs() / 3600)
}

fn time_of_hour(hour: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(hour * 3600)
}

/// The file that holds the last pull of a digest.
pub(crate) fn part(digest: &Digest) -> u8 {
    digest.hex().chars().next().and_then(|digit| digit.to_digit(16)).map_or(0, |digit| digit as u8)
}

/// What is known about the pulls of a manifest.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pulls {
    pub(crate) last: Option<SystemTime>,
    /// The moment from which on pulls are recorded.
    pub(crate) known_since: SystemTime,
}

/// What is known about the pulls of a repository.
pub(crate) struct PullTimes {
    parts: Vec<(SystemTime, HashMap<Digest, SystemTime>)>,
}

impl PullTimes {
    /// The last pull of any manifest, if known.
    pub(crate) fn last(&self) -> Option<SystemTime> {
        self.parts.iter().flat_map(|(_, pulled)| pulled.values()).max().copied()
    }

    pub(crate) fn of(&self, digest: &Digest) -> Pulls {
        let (known_since, pulled) = &self.parts[usize::from(part(digest))];
        Pulls { last: pulled.get(digest).copied(), known_since: *known_since }
    }
}

impl Repository {
    /// Records a `GET` of a manifest, by tag or digest. Holds a lock for one table lookup, and never waits for the
    /// disk.
    pub fn pulled(&self, digest: &Digest) {
        self.registry.core.pulls.add(&self.name, digest, hour(SystemTime::now()));
    }

    /// The pulls of the repository, in memory and on disk.
    pub(crate) async fn pull_times(&self, now: SystemTime) -> Result<PullTimes> {
        let begun = self.registry.pulls_begun().await?.unwrap_or(now);
        let mut parts = Vec::with_capacity(usize::from(PARTS));
        for part in 0..PARTS {
            let fact = self.store().get(&FactKey::Pulls(self.name.clone(), part)).await?;
            let (since, pulled) = match fact {
                None => (begun, HashMap::new()),
                Some(fact) => PullFile::read(&fact.bytes).unwrap_or((now, HashMap::new())),
            };
            parts.push((since.max(begun), pulled));
        }
        let times = PullTimes { parts };
        Ok(self.registry.core.pulls.merge(&self.name, times))
    }

    /// Adds pulls to a file.
    async fn add_pulls(&self, part: u8, pulls: &[(Digest, u64)], now: SystemTime) -> Result<()> {
        let key = FactKey::Pulls(self.name.clone(), part);
        let (since, mut pulled) = match self.store().get(&key).await? {
            None => (self.registry.pulls_begun().await?.unwrap_or(now), HashMap::new()),
            Some(fact) => PullFile::read(&fact.bytes).unwrap_or_else(|| {
                tracing::warn!(path = key.path(), "pull times reset: the file was damaged");
                (now, HashMap::new())
            }),
        };
        for (digest, hour) in pulls {
            let time = pulled.entry(digest.clone()).or_insert(SystemTime::UNIX_EPOCH);
            *time = time_of_hour(*hour).max(*time);
        }
        let put = Put::any(key, PullFile::bytes(since, &pulled));
        self.store().put(vec![put], Durability::Process).await?;
        Ok(())
    }

    /// Removes all pulls of a repository that is being deleted. A batch in progress ends first.
    pub(super) async fn forget_all_pulls(&self) -> Result<()> {
        let log = &self.registry.core.pulls;
        let _batch = log.batch.lock().await;
        let held = log.shard(&self.name).remove(&self.name).map_or(0, |notes| notes.len());
        log.held.fetch_sub(held, Ordering::Relaxed);
        for part in 0..PARTS {
            self.store().delete(&FactKey::Pulls(self.name.clone(), part), Expect::Any).await?;
        }
        Ok(())
    }

    /// Removes the pulls of deleted manifests from a file.
    async fn forget_pulls(&self, part: u8) -> Result<()> {
        let (store, key) = (self.store(), FactKey::Pulls(self.name.clone(), part));
        let Some((since, mut pulled)) = store.get(&key).await?.and_then(|fact| PullFile::read(&fact.bytes)) else {
            return Ok(());
        };
        let before = pulled.len();
        for digest in pulled.keys().cloned().collect::<Vec<_>>() {
            if store.get(&FactKey::Revision(self.name.clone(), digest.clone())).await?.is_none() {
                pulled.remove(&digest);
            }
        }
        if pulled.is_empty() && !self.exists().await? {
            store.delete(&key, Expect::Any).await?;
        } else if pulled.len() < before {
            let put = Put::any(key, PullFile::bytes(since, &pulled));
            store.put(vec![put], Durability::Process).await?;
        }
        Ok(())
    }
}

impl Registry {
    /// Saves the pulls since the last call; returns for how many manifests. Only the serving process calls this,
    /// about once a minute.
    ///
    /// # Errors
    /// The first error of the store; what could be saved was saved, and the rest is retried next time.
    pub async fn flush_pulls(&self) -> Result<usize> {
        let log = &self.core.pulls;
        let mut batch = log.batch.lock().await;
        let now = SystemTime::now();
        if !batch.begun {
            if self.pulls_begun().await?.is_none() {
                self.begin_pulls(now).await?;
            }
            batch.begun = true;
        }
        let lost = log.lost.swap(0, Ordering::Relaxed);
        if lost > 0 {
            tracing::warn!(lost, "pull times reset: too many manifests were pulled at once");
            self.begin_pulls(now).await?;
        }
        let (mut flushed, mut failed) = (0, None);
        for ((repository, part), pulls) in log.unwritten() {
            match self.repository(&repository).add_pulls(part, &pulls, now).await {
                Ok(()) => {
                    log.mark_written(&repository, &pulls);
                    flushed += pulls.len();
                }
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        log.trim(hour(now));
        if batch.tidied.elapsed() > A_DAY {
            batch.tidied = Instant::now();
            self.forget_pulls().await?;
        }
        failed.map_or(Ok(flushed), Err)
    }

    /// Records the moment from which on pulls are recorded.
    async fn begin_pulls(&self, now: SystemTime) -> Result<()> {
        let put = Put::any(FactKey::PullsSince, format!("{}\n", written_time(now)));
        self.core.store.put(vec![put], Durability::Durable).await?;
        Ok(())
    }

    /// The moment from which on pulls are recorded; `None` if unknown.
    async fn pulls_begun(&self) -> Result<Option<SystemTime>> {
        let fact = self.core.store.get(&FactKey::PullsSince).await?;
        Ok(fact.and_then(|fact| read_time(std::str::from_utf8(&fact.bytes).ok()?)))
    }

    /// Removes the pulls of deleted manifests.
    pub(crate) async fn forget_pulls(&self) -> Result<()> {
        let store = &self.core.store;
        for part in 0..PARTS {
            let mut repositories = store.names(DirOf::pulled(part), 1000);
            while let Some(repository) = repositories.next().await? {
                self.repository(&repository).forget_pulls(part).await?;
            }
        }
        Ok(())
    }
}

impl PullLog {
    /// The pulls on disk, overridden by those in memory.
    fn merge(&self, repository: &RepositoryName, mut times: PullTimes) -> PullTimes {
        for (digest, note) in self.shard(repository).get(repository).into_iter().flatten() {
            let pulled = &mut times.parts[usize::from(part(digest))].1;
            let time = pulled.entry(digest.clone()).or_insert(SystemTime::UNIX_EPOCH);
            *time = time_of_hour(note.hour).max(*time);
        }
        times
    }
}
