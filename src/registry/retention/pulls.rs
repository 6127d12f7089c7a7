//! When manifests were pulled last, to the hour: kept in memory by whoever reads, written in
//! batches by somebody else. Reading a manifest never waits for any of this.
//!
//! All of it may be lost and nothing is deleted for it: what is not known counts as pulled at the
//! moment from which on pulls are known.

use super::{super::Registry, super::Result, decide};
use crate::{
    oci::{Digest, RepositoryName},
    storage::{Dir, Durability, Expect, Key, Put, key},
};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, HashMap},
    hash::{DefaultHasher, Hash, Hasher},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant, SystemTime},
};

/// Files of one repository, by the first digit of the digest: one that has changed is written
/// anew, so they are kept small.
const PARTS: u8 = 16;

/// Locks that readers of different repositories share.
const SHARDS: usize = 64;

/// Manifests remembered in memory, some 200 bytes each. A batch empties it long before.
const MOST: usize = if cfg!(test) { 64 } else { 131_072 };

/// How often what is not there any more is forgotten.
const A_DAY: Duration = Duration::from_secs(86_400);

/// Pulls since the last batch, and those of this hour that are written already.
pub(in super::super) struct PullLog {
    shards: Vec<Mutex<Shard>>,
    held: AtomicUsize,
    lost: AtomicU64,
    /// Held while a batch is written.
    batch: tokio::sync::Mutex<Batch>,
}

type Shard = HashMap<RepositoryName, HashMap<Digest, Note>>;

/// The last pull of a manifest.
#[derive(Clone, Copy)]
struct Note {
    hour: u64,
    written: bool,
}

/// What the writer of batches knows.
struct Batch {
    /// The moment from which on pulls are known is written down.
    begun: bool,
    /// What is gone was forgotten, or the process began.
    tidied: Instant,
}

impl Default for PullLog {
    fn default() -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            held: AtomicUsize::new(0),
            lost: AtomicU64::new(0),
            batch: tokio::sync::Mutex::new(Batch { begun: false, tidied: Instant::now() }),
        }
    }
}

impl PullLog {
    fn shard(&self, repository: &RepositoryName) -> MutexGuard<'_, Shard> {
        let mut hasher = DefaultHasher::new();
        repository.hash(&mut hasher);
        let shard = (hasher.finish() % SHARDS as u64) as usize;
        self.shards[shard].lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, repository: &RepositoryName, digest: &Digest, hour: u64) {
        let mut shard = self.shard(repository);
        if let Some(note) = shard.get_mut(repository).and_then(|notes| notes.get_mut(digest)) {
            if note.hour < hour {
                *note = Note { hour, written: false };
            }
            return;
        }
        if self.held.load(Ordering::Relaxed) >= MOST {
            self.lost.fetch_add(1, Ordering::Relaxed);
            return;
        }
        self.held.fetch_add(1, Ordering::Relaxed);
        shard.entry(repository.clone()).or_default().insert(digest.clone(), Note { hour, written: false });
    }

    /// What is not written yet, by file.
    fn unwritten(&self) -> HashMap<(RepositoryName, u8), Vec<(Digest, u64)>> {
        let mut files: HashMap<_, Vec<_>> = HashMap::new();
        for shard in &self.shards {
            for (repository, notes) in shard.lock().unwrap_or_else(PoisonError::into_inner).iter() {
                for (digest, note) in notes.iter().filter(|(_, note)| !note.written) {
                    files.entry((repository.clone(), part(digest))).or_default().push((digest.clone(), note.hour));
                }
            }
        }
        files
    }

    fn written(&self, repository: &RepositoryName, pulls: &[(Digest, u64)]) {
        let mut shard = self.shard(repository);
        let Some(notes) = shard.get_mut(repository) else { return };
        for (digest, hour) in pulls {
            if let Some(note) = notes.get_mut(digest).filter(|note| note.hour == *hour) {
                note.written = true;
            }
        }
    }

    /// Forgets what is written and of an earlier hour; all that is written if there is much.
    fn trim(&self, now: u64) {
        let full = self.held.load(Ordering::Relaxed) > MOST / 2;
        for shard in &self.shards {
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
    /// `None` for what a power failure left of one: it was not synced.
    fn read(bytes: &[u8]) -> Option<(SystemTime, HashMap<Digest, SystemTime>)> {
        let file: Self = serde_json::from_slice(bytes).ok()?;
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

fn of_hour(hour: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(hour * 3600)
}

/// The file a digest's last pull is in.
pub(super) fn part(digest: &Digest) -> u8 {
    digest.hex().chars().next().and_then(|digit| digit.to_digit(16)).map_or(0, |digit| digit as u8)
}

/// What is known of the pulls of a repository.
pub(super) struct PullTimes {
    parts: Vec<(SystemTime, HashMap<Digest, SystemTime>)>,
}

impl PullTimes {
    pub(super) fn of(&self, digest: &Digest) -> decide::Pulls {
        let (known_since, pulled) = &self.parts[usize::from(part(digest))];
        decide::Pulls { last: pulled.get(digest).copied(), known_since: *known_since }
    }
}

impl Registry {
    /// Notes that a manifest is pulled now: by a `GET` of it, by whatever name. Takes a lock for
    /// as long as a look into a table takes, and never waits for the disk.
    pub fn pulled(&self, repository: &RepositoryName, digest: &Digest) {
        self.core.pulls.add(repository, digest, hour(SystemTime::now()));
    }

    /// Writes down the pulls since the last time; how many manifests they were of. To be called
    /// every minute or so by the process that serves, and by no other.
    ///
    /// # Errors
    /// The first of the store's; what could be written was, the rest is tried again next time.
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
            match self.add_pulls(&repository, part, &pulls, now).await {
                Ok(()) => {
                    log.written(&repository, &pulls);
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

    /// Adds pulls to a file.
    async fn add_pulls(
        &self,
        repository: &RepositoryName,
        part: u8,
        pulls: &[(Digest, u64)],
        now: SystemTime,
    ) -> Result<()> {
        let key = Key::Pulls(repository.clone(), part);
        let (since, mut pulled) = match self.core.store.get(&key).await? {
            None => (self.pulls_begun().await?.unwrap_or(now), HashMap::new()),
            Some(fact) => PullFile::read(&fact.bytes).unwrap_or_else(|| {
                tracing::warn!(path = key.path(), "pull times reset: the file was damaged");
                (now, HashMap::new())
            }),
        };
        for (digest, hour) in pulls {
            let time = pulled.entry(digest.clone()).or_insert(SystemTime::UNIX_EPOCH);
            *time = of_hour(*hour).max(*time);
        }
        let put = Put::any(key, PullFile::bytes(since, &pulled));
        self.core.store.put(vec![put], Durability::Process).await?;
        Ok(())
    }

    /// Pulls are known from now on.
    async fn begin_pulls(&self, now: SystemTime) -> Result<()> {
        let put = Put::any(Key::PullsSince, format!("{}\n", written_time(now)));
        self.core.store.put(vec![put], Durability::Durable).await?;
        Ok(())
    }

    /// From when on pulls are known; `None` if that is not known itself.
    async fn pulls_begun(&self) -> Result<Option<SystemTime>> {
        let fact = self.core.store.get(&Key::PullsSince).await?;
        Ok(fact.and_then(|fact| read_time(std::str::from_utf8(&fact.bytes).ok()?)))
    }

    /// What is known of the pulls of a repository, here and on disk.
    pub(super) async fn pull_times(&self, repository: &RepositoryName, now: SystemTime) -> Result<PullTimes> {
        let begun = self.pulls_begun().await?.unwrap_or(now);
        let mut parts = Vec::with_capacity(usize::from(PARTS));
        for part in 0..PARTS {
            let fact = self.core.store.get(&Key::Pulls(repository.clone(), part)).await?;
            let (since, pulled) = match fact {
                None => (begun, HashMap::new()),
                Some(fact) => PullFile::read(&fact.bytes).unwrap_or((now, HashMap::new())),
            };
            parts.push((since.max(begun), pulled));
        }
        let times = PullTimes { parts };
        Ok(self.core.pulls.over(repository, times))
    }

    /// Forgets the pulls of manifests that are gone.
    pub(super) async fn forget_pulls(&self) -> Result<()> {
        let store = &self.core.store;
        for part in 0..PARTS {
            let mut after: Option<String> = None;
            loop {
                let page = store.children(&Dir::Pulls(part), after.as_deref(), 1000).await?;
                for child in &page.entries {
                    if let Some(repository) = key::flat_name(&child.name) {
                        self.forget_pulls_of(&repository, part).await?;
                    }
                }
                after = page.entries.last().map(|child| child.name.clone());
                if !page.more {
                    break;
                }
            }
        }
        Ok(())
    }

    async fn forget_pulls_of(&self, repository: &RepositoryName, part: u8) -> Result<()> {
        let (store, key) = (&self.core.store, Key::Pulls(repository.clone(), part));
        let Some((since, mut pulled)) = store.get(&key).await?.and_then(|fact| PullFile::read(&fact.bytes)) else {
            return Ok(());
        };
        let before = pulled.len();
        for digest in pulled.keys().cloned().collect::<Vec<_>>() {
            if store.get(&Key::Revision(repository.clone(), digest.clone())).await?.is_none() {
                pulled.remove(&digest);
            }
        }
        if pulled.is_empty() && !self.is_repository(repository).await? {
            store.delete(&key, Expect::Any).await?;
        } else if pulled.len() < before {
            let put = Put::any(key, PullFile::bytes(since, &pulled));
            store.put(vec![put], Durability::Process).await?;
        }
        Ok(())
    }
}

impl PullLog {
    /// What is on disk, and over it what is only here.
    fn over(&self, repository: &RepositoryName, mut times: PullTimes) -> PullTimes {
        for (digest, note) in self.shard(repository).get(repository).into_iter().flatten() {
            let pulled = &mut times.parts[usize::from(part(digest))].1;
            let time = pulled.entry(digest.clone()).or_insert(SystemTime::UNIX_EPOCH);
            *time = of_hour(note.hour).max(*time);
        }
        times
    }
}
