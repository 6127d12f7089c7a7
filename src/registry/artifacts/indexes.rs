//! The indexes of repositories of artifacts, in memory.
//!
//! An index is made when a repository is first searched, from all its records, in a task that goes on if the caller does
//! not wait. From then on the writes of this process change it at once, and before a search those of other processes are
//! read from the repository's notes of changes. Notes overlap by the difference that clocks may have; a record that is
//! read twice changes nothing.

use super::ArtifactRepository;
use crate::{
    artifacts::{
        Artifact, ArtifactId, ArtifactRepositoryName, ArtifactVersion,
        index::{ArtifactIndex, ArtifactTotals},
    },
    files::world,
    registry::{Creation, RegistryError, Result},
    storage::{self, ArtifactLogEntry, ArtifactLogKind},
};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant, SystemTime},
};
use tokio::sync::{OwnedMutexGuard, OwnedRwLockReadGuard, RwLock, watch};

/// How long other processes' writes may be missing.
const FRESH: Duration = Duration::from_secs(2);

/// By how much the clocks of processes may differ.
const OVERLAP: Duration = Duration::from_secs(600);

/// An index that was not looked at for longer is made anew: notes are removed after a day.
const OLDEST: Duration = Duration::from_secs(20 * 3600);

/// How often a request that waits for an index looks for itself.
const LOOK: Duration = Duration::from_millis(200);

/// Notes that are read at once.
const PAGE: usize = 10_000;

/// The indexes of this process.
#[derive(Default)]
pub(in crate::registry) struct ArtifactIndexes(Mutex<HashMap<ArtifactRepositoryName, Arc<KeptIndex>>>);

/// The index of one repository.
struct KeptIndex {
    state: Arc<RwLock<Option<Indexed>>>,
    /// Held while it is made, or brought up to date.
    working: Arc<tokio::sync::Mutex<()>>,
    /// How often it was made, or could not be.
    made: watch::Sender<u64>,
}

/// An index that is complete.
struct Indexed {
    index: ArtifactIndex,
    /// The repository that it was made of: another one may have the same name later.
    origin: Creation,
    /// When notes were last read.
    looked: Instant,
    looked_at: SystemTime,
    /// The notes that were read and may be read again.
    seen: BTreeSet<ArtifactLogEntry>,
}

/// An index, which does not change while this is held.
pub struct IndexReader(OwnedRwLockReadGuard<Option<Indexed>, Indexed>);

impl IndexReader {
    /// Works with the index off the reactor.
    ///
    /// # Errors
    /// Only if the daemon is stopping.
    pub async fn work<T: Send + 'static>(self, work: impl FnOnce(&ArtifactIndex) -> T + Send + 'static) -> Result<T> {
        Ok(storage::blocking(move || Ok(work(&self.0.index))).await?)
    }

    /// What the repository holds.
    pub fn totals(&self) -> ArtifactTotals {
        self.0.index.totals()
    }
}

impl ArtifactIndexes {
    fn all(&self) -> MutexGuard<'_, HashMap<ArtifactRepositoryName, Arc<KeptIndex>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn of(&self, name: &ArtifactRepositoryName) -> Arc<KeptIndex> {
        let new =
            || Arc::new(KeptIndex { state: Arc::default(), working: Arc::default(), made: watch::Sender::new(0) });
        self.all().entry(name.clone()).or_insert_with(new).clone()
    }

    fn known(&self, name: &ArtifactRepositoryName) -> Option<Arc<KeptIndex>> {
        self.all().get(name).cloned()
    }
}

impl ArtifactRepository {
    /// This process stored, changed or deleted an artifact.
    pub(super) async fn tell_index(&self, change: ArtifactLogKind, artifact: &Artifact) {
        let Some(kept) = self.registry.core.artifact_indexes.known(&self.name) else { return };
        if let Some(indexed) = kept.state.write().await.as_mut() {
            match change {
                ArtifactLogKind::Put => indexed.index.put(artifact),
                ArtifactLogKind::Deleted => drop(indexed.index.remove(&artifact.id)),
            }
        }
    }

    /// The version of an artifact, as far as this process knows it.
    pub(super) async fn indexed_version(&self, id: &ArtifactId) -> Option<ArtifactVersion> {
        let kept = self.registry.core.artifact_indexes.known(&self.name)?;
        kept.state.read().await.as_ref()?.index.version_of(id)
    }

    /// Drops the index: the repository was deleted.
    pub(super) fn forget_index(&self) {
        self.registry.core.artifact_indexes.all().remove(&self.name);
    }

    /// The index of the repository that was created then; `None` if making it takes longer than `patience`. It is made
    /// in any case, for a later request. A failure is logged, and the next request tries again.
    ///
    /// # Errors
    /// The store's, while changes are read.
    pub async fn index(&self, origin: &Creation, patience: Duration) -> Result<Option<IndexReader>> {
        let kept = self.registry.core.artifact_indexes.of(&self.name);
        let deadline = Instant::now() + patience;
        loop {
            let mut made = kept.made.subscribe();
            if self.is_usable(&kept, origin).await {
                self.follow(&kept).await?;
                let state = kept.state.clone().read_owned().await;
                let reader = OwnedRwLockReadGuard::try_map(state, Option::as_ref);
                return Ok(reader.ok().map(IndexReader));
            }
            if let Ok(working) = kept.working.clone().try_lock_owned() {
                tokio::spawn(self.clone().make(kept.clone(), origin.clone(), working));
            }
            // It may be brought up to date right now, which nobody is told of.
            let left = deadline.saturating_duration_since(Instant::now());
            match tokio::time::timeout(left.min(LOOK), made.changed()).await {
                Ok(_) if !self.is_usable(&kept, origin).await => return Ok(None),
                Err(_) if left.is_zero() => return Ok(None),
                _ => {}
            }
        }
    }

    async fn is_usable(&self, kept: &KeptIndex, origin: &Creation) -> bool {
        let state = kept.state.read().await;
        state.as_ref().is_some_and(|indexed| indexed.origin == *origin && indexed.looked.elapsed() < OLDEST)
    }

    /// Makes the index.
    async fn make(self, kept: Arc<KeptIndex>, origin: Creation, working: OwnedMutexGuard<()>) {
        let (begun, begun_at) = (Instant::now(), world::now());
        match self.read_all_into_index().await {
            Ok(index) => {
                let ArtifactTotals { artifacts, .. } = index.totals();
                tracing::info!(repository = %self.name, artifacts, bytes = index.bytes(), "artifacts are indexed");
                // What was written meanwhile is in the notes since it began, which are read next.
                let stale = begun.checked_sub(FRESH).unwrap_or(begun);
                let indexed = Indexed { index, origin, looked: stale, looked_at: begun_at, seen: BTreeSet::new() };
                *kept.state.write().await = Some(indexed);
            }
            Err(error) => {
                tracing::error!(repository = %self.name, %error, "cannot index artifacts; the next search tries again");
            }
        }
        drop(working);
        kept.made.send_modify(|times| *times += 1);
    }

    async fn read_all_into_index(&self) -> Result<ArtifactIndex> {
        let mut index = ArtifactIndex::new(&self.registry.settings.artifact_search.indexed);
        let mut walk = self.walk();
        loop {
            let page = walk.next_page().await?;
            if page.is_empty() {
                index.shrink();
                return Ok(index);
            }
            index = storage::blocking(move || {
                page.iter().for_each(|artifact| index.put(artifact));
                Ok(index)
            })
            .await?;
        }
    }

    /// Reads what other processes changed.
    async fn follow(&self, kept: &KeptIndex) -> Result<()> {
        // One is enough, and the others wait for it.
        let _working = kept.working.lock().await;
        let (since, seen) = match kept.state.read().await.as_ref() {
            Some(indexed) if indexed.looked.elapsed() >= FRESH => {
                (indexed.looked_at.checked_sub(OVERLAP).unwrap_or(SystemTime::UNIX_EPOCH), indexed.seen.clone())
            }
            _ => return Ok(()),
        };
        let (now, now_at) = (Instant::now(), world::now());
        let noted = self.noted_since(since).await?;
        let mut changed = BTreeMap::new();
        for (entry, version) in &noted {
            if !seen.contains(entry) {
                changed.insert(entry.id, version.clone());
            }
        }
        let mut read = BTreeMap::new();
        for (id, version) in changed {
            read.insert(id, self.changed(&id, version).await?);
        }
        if let Some(indexed) = kept.state.write().await.as_mut() {
            for (id, artifact) in &read {
                match artifact {
                    Some(artifact) => indexed.index.put(artifact),
                    None => drop(indexed.index.remove(id)),
                }
            }
            (indexed.looked, indexed.looked_at, indexed.seen) = (now, now_at, noted.into_keys().collect());
        }
        Ok(())
    }

    /// An artifact that was changed, if it is still there.
    async fn changed(&self, id: &ArtifactId, version: Option<ArtifactVersion>) -> Result<Option<Artifact>> {
        let found = match version {
            Some(version) => self.stored(&version, id).await?,
            None => match self.find(id).await {
                Ok(found) => Some(found),
                Err(RegistryError::ArtifactUnknown) => None,
                Err(error) => return Err(error),
            },
        };
        Ok(found.map(|stored| stored.artifact))
    }

    /// The notes of changes since a time, and the versions that they name.
    async fn noted_since(&self, since: SystemTime) -> Result<BTreeMap<ArtifactLogEntry, Option<ArtifactVersion>>> {
        let (mut noted, mut after) = (BTreeMap::new(), Self::changes_since(since));
        loop {
            let page = self.changes(Some(&after), PAGE).await?;
            if let Some(last) = page.entries.last() {
                after = last.entry.to_string();
            }
            let (more, any) = (page.more, !page.entries.is_empty());
            noted.extend(page.entries.into_iter().map(|change| (change.entry, change.version)));
            if !more || !any {
                return Ok(noted);
            }
        }
    }
}
