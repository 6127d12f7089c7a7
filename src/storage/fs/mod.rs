//! Storage on a plain file system.
//!
//! Every trait method is one closure on the blocking pool: when its future is dropped it still completes, so its effect
//! is whole. Reads and writes use [`AtomicFiles`]; [`super::key`] knows what paths mean. One daemon serves a root ([`root`]
//! holds the lock), so short in-process locks order the writers of one key.

mod aside;
mod content;
mod facts;
mod foreign;
mod graveyard;
mod identity;
mod instance;
mod intake;
mod journal;
mod lifecycle;
mod listing;
mod outline;
mod recent;
pub mod root;
mod skeleton;
mod spare;
mod survey;
mod upload;

pub use foreign::Layout;
pub use root::{Init, OpenError, Opened};
pub use survey::Survey;

use super::{InstanceId, Result, StorageError, blob::blocking, key};
use crate::files::{AtomicFiles, FileKind, Guarded, Real, Stripes, Syncing, Sys, world};
use std::{
    collections::BTreeMap,
    hash::Hash,
    io,
    sync::{Arc, Mutex, MutexGuard, atomic::AtomicU64},
};

/// Storage below one root directory.
pub struct Fs<S: Sys = Real> {
    inner: Arc<FsInner<S>>,
}

struct FsInner<S: Sys> {
    files: AtomicFiles<S>,
    /// Writers of one key, or of one upload, take the same lock. It is held during a sync where later steps must not
    /// come before it.
    writers: Stripes<Mutex<()>>,
    /// Large directories, to return pages of them.
    listings: listing::Listings,
    recent: recent::Recent<S::File>,
    /// A daemon may be serving this root. It remembers which directories of repositories exist, so only the daemon
    /// removes them.
    is_beside: bool,
    /// Reads that found their value only in the graveyard.
    read_condemned: AtomicU64,
    /// The id of this process.
    instance: InstanceId,
    /// Shows other processes that this one has not ended yet.
    alive: Mutex<Option<Box<dyn Send + Sync>>>,
}

/// Enough that two unrelated writers rarely share a lock.
const STRIPES: usize = 1024;

impl<S: Sys> Fs<S> {
    /// Storage below a root that [`root`] has created or checked.
    pub fn new(files: AtomicFiles<S>) -> Self {
        files.assume_durable(skeleton::directories());
        let instance = InstanceId::fresh();
        let alive = instance::announce(&files, instance);
        if let Err(error) = &alive {
            // Nothing, or little, can be written now. It is tried again when the store is tidied.
            tracing::warn!(%error, "cannot announce this daemon to garbage collections in other processes");
        }
        Self::over(files, false, instance, alive.ok())
    }

    /// Storage below a root that a daemon may be serving.
    pub(crate) fn beside(sys: S) -> Self {
        let files = AtomicFiles::new(sys);
        files.assume_durable(skeleton::directories());
        Self::over(files, true, InstanceId::fresh(), None)
    }

    fn over(files: AtomicFiles<S>, is_beside: bool, instance: InstanceId, alive: Option<Box<dyn Send + Sync>>) -> Self {
        files.sys().require(root::MARK);
        let writers = Stripes::new(STRIPES);
        let read_condemned = AtomicU64::new(0);
        let listings = listing::Listings::default();
        let recent = recent::Recent::default();
        let alive = Mutex::new(alive);
        let inner = FsInner { files, writers, listings, recent, is_beside, read_condemned, instance, alive };
        Self { inner: Arc::new(inner) }
    }

    /// Changes what a completed write promises from now on. If it promises more than before, everything written before
    /// is made durable first.
    ///
    /// # Errors
    /// [`StorageError::Io`]; the change takes effect even so.
    /// [`StorageError::Io`]; the change has been made all the same.
    pub async fn set_syncing(&self, syncing: Syncing) -> Result<()> {
        let failed = |e| StorageError::io("sync", "what was written before", e);
        self.run(move |inner| inner.sys().set_syncing(syncing).map_err(failed)).await
    }

    /// Makes durable what [`Syncing::Relaxed`] has postponed.
    ///
    /// # Errors
    /// [`StorageError::Io`]; writing stops then.
    pub async fn flush(&self) -> Result<()> {
        if !self.inner.sys().has_put_off() {
            return Ok(());
        }
        self.run(|inner| inner.sys().flush().map_err(|e| StorageError::io("sync", "directories", e))).await
    }

    /// Runs `work` off the reactor.
    async fn run<T: Send + 'static>(&self, work: impl FnOnce(&FsInner<S>) -> Result<T> + Send + 'static) -> Result<T> {
        let inner = self.inner.clone();
        blocking(move || work(&inner)).await
    }
}

impl<S: Sys> FsInner<S> {
    fn lock(&self, key: &impl Hash) -> MutexGuard<'_, ()> {
        world::lock(self.writers.of(key))
    }

    fn sys(&self) -> &Guarded<S> {
        self.files.sys()
    }

    /// Removes the directories of a repository that became empty when `path` was removed.
    fn prune(&self, path: &str) {
        if self.is_beside {
            return;
        }
        match key::is_of_artifacts(path) {
            true => self.files.prune(path, key::ARTIFACTS),
            false => {
                self.files.prune(path, key::REPOSITORIES);
                self.prune_pushes(path);
            }
        }
    }

    /// Removes the directory of a repository's pushes, if it is empty and nothing else is left of the repository.
    fn prune_pushes(&self, path: &str) {
        if !self.is_beside
            && let Some((repository, _)) = path.split_once("/_")
            && matches!(self.sys().meta(&format!("{repository}/_manifests")), Err(e) if e.kind() == io::ErrorKind::NotFound)
            && matches!(self.sys().meta(&format!("{repository}/_layers")), Err(e) if e.kind() == io::ErrorKind::NotFound)
        {
            self.files.prune(&format!("{repository}/_intents/none"), key::REPOSITORIES);
        }
    }

    /// The first `most` names after `after` that `wanted` accepts, in byte order, and whether more follow. Holds no
    /// more than it returns. A missing directory is empty.
    fn names(
        &self,
        path: &str,
        after: Option<&str>,
        most: usize,
        wanted: impl Fn(&str, FileKind) -> bool,
    ) -> Result<(Vec<(String, FileKind)>, bool)> {
        let mut first = BTreeMap::new();
        let mut more = false;
        let read = self.sys().read_dir(path, &mut |name, kind| {
            if after.is_none_or(|after| name > after) && wanted(name, kind) {
                first.insert(name.to_owned(), kind);
                if first.len() > most {
                    first.pop_last();
                    more = true;
                }
            }
            true
        });
        match read {
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            other => other.map_err(|e| StorageError::io("list", path, e))?,
        }
        Ok((first.into_iter().collect(), more))
    }
}
