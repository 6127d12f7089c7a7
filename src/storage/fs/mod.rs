//! Storage on a plain file system.
//!
//! Every trait method is one closure on the blocking pool: a dropped future leaves it running to
//! its end, so its effect is whole. Reads and writes go by [`Files`]; what paths mean is in
//! [`super::key`]. One daemon serves a root ([`root`] holds the lock), so short in-process locks
//! order the writers of one key.

mod aside;
mod content;
mod facts;
mod foreign;
mod graveyard;
mod identity;
mod instance;
mod lifecycle;
mod listing;
mod recent;
pub mod root;
mod skeleton;
mod spare;
mod survey;
mod upload;

pub use foreign::Layout;
pub use root::{Init, OpenError, Opened};
pub use survey::Survey;

use super::{Error, InstanceId, Result, blob::blocking, key};
use crate::files::{Files, Guarded, Kind, Real, Syncing, Sys, world};
use std::{
    collections::{BTreeMap, hash_map::DefaultHasher},
    hash::{Hash, Hasher as _},
    io,
    sync::{Arc, Mutex, MutexGuard, atomic::AtomicU64},
};

/// Storage below one root directory.
pub struct Fs<S: Sys = Real> {
    inner: Arc<Inner<S>>,
}

struct Inner<S: Sys> {
    files: Files<S>,
    /// Writers of one key, or of one upload, take the same of these. Held over a sync where what follows
    /// must not overtake it.
    stripes: Vec<Mutex<()>>,
    /// Large directories, for pages of them.
    listings: listing::Listings,
    recent: recent::Recent<S::File>,
    /// A daemon may be serving this root. It remembers which directories of repositories are
    /// there, so only itself removes them.
    is_beside: bool,
    /// Reads that found what they wanted only in the graveyard.
    read_condemned: AtomicU64,
    /// This run of the program.
    instance: InstanceId,
    /// Tells others that it has not ended yet.
    alive: Mutex<Option<Box<dyn Send + Sync>>>,
}

/// Enough that two unrelated writers seldom meet.
const STRIPES: usize = 1024;

impl<S: Sys> Fs<S> {
    /// Storage below a root which [`root`] has made or checked.
    pub fn new(files: Files<S>) -> Self {
        files.assume_durable(skeleton::directories());
        let instance = InstanceId::fresh();
        let alive = instance::announce(&files, instance);
        if let Err(error) = &alive {
            // Nothing can be written, or little: it is tried again when the store is tidied.
            tracing::warn!(%error, "cannot announce this daemon to garbage collections in other processes");
        }
        Self::over(files, false, instance, alive.ok())
    }

    /// Storage below a root that a daemon may be serving.
    pub(crate) fn beside(sys: S) -> Self {
        let files = Files::new(sys);
        files.assume_durable(skeleton::directories());
        Self::over(files, true, InstanceId::fresh(), None)
    }

    fn over(files: Files<S>, is_beside: bool, instance: InstanceId, alive: Option<Box<dyn Send + Sync>>) -> Self {
        files.sys().demand(root::MARK);
        let stripes = (0..STRIPES).map(|_| Mutex::default()).collect();
        let read_condemned = AtomicU64::new(0);
        let listings = listing::Listings::default();
        let recent = recent::Recent::default();
        let alive = Mutex::new(alive);
        let inner = Inner { files, stripes, listings, recent, is_beside, read_condemned, instance, alive };
        Self { inner: Arc::new(inner) }
    }

    /// Changes what an answer to a write promises, from now on. Where that is more than before,
    /// everything written before is made durable first.
    ///
    /// # Errors
    /// [`Error::Io`]; the change has been made all the same.
    pub async fn set_syncing(&self, syncing: Syncing) -> Result<()> {
        let failed = |e| Error::io("sync", "what was written before", e);
        self.run(move |inner| inner.sys().set_syncing(syncing).map_err(failed)).await
    }

    /// Makes durable what [`Syncing::Relaxed`] has put off.
    ///
    /// # Errors
    /// [`Error::Io`]; nothing more is written then.
    pub async fn flush(&self) -> Result<()> {
        if !self.inner.sys().has_put_off() {
            return Ok(());
        }
        self.run(|inner| inner.sys().flush().map_err(|e| Error::io("sync", "directories", e))).await
    }

    /// Runs `work` off the reactor.
    async fn run<T: Send + 'static>(&self, work: impl FnOnce(&Inner<S>) -> Result<T> + Send + 'static) -> Result<T> {
        let inner = self.inner.clone();
        blocking(move || work(&inner)).await
    }
}

impl<S: Sys> Inner<S> {
    fn stripe(&self, of: &impl Hash) -> usize {
        let mut hasher = DefaultHasher::new();
        of.hash(&mut hasher);
        (hasher.finish() % STRIPES as u64) as usize
    }

    /// Locks the stripes of several keys, always in the same order.
    fn lock_all<K: Hash>(&self, keys: impl Iterator<Item = K>) -> Vec<MutexGuard<'_, ()>> {
        let mut stripes: Vec<_> = keys.map(|key| self.stripe(&key)).collect();
        stripes.sort_unstable();
        stripes.dedup();
        stripes.into_iter().map(|i| world::lock(&self.stripes[i])).collect()
    }

    fn lock(&self, key: &impl Hash) -> MutexGuard<'_, ()> {
        world::lock(&self.stripes[self.stripe(key)])
    }

    fn sys(&self) -> &Guarded<S> {
        self.files.sys()
    }

    /// Removes the directories of a repository that are empty since `path` went.
    fn prune(&self, path: &str) {
        if self.is_beside {
            return;
        }
        self.files.prune(path, key::REPOSITORIES);
        self.prune_pushes(path);
    }

    /// Removes the place of a repository's pushes, if it is empty and nothing else is left of the repository.
    fn prune_pushes(&self, path: &str) {
        if !self.is_beside
            && let Some((repository, _)) = path.split_once("/_")
            && matches!(self.sys().meta(&format!("{repository}/_manifests")), Err(e) if e.kind() == io::ErrorKind::NotFound)
            && matches!(self.sys().meta(&format!("{repository}/_layers")), Err(e) if e.kind() == io::ErrorKind::NotFound)
        {
            self.files.prune(&format!("{repository}/_intents/none"), key::REPOSITORIES);
        }
    }

    /// The first `most` names after `after` that `wanted` accepts, in byte order, and whether
    /// there are more. Holds no more than it returns. A directory that is not there is empty.
    fn names(
        &self,
        path: &str,
        after: Option<&str>,
        most: usize,
        wanted: impl Fn(&str, Kind) -> bool,
    ) -> Result<(Vec<(String, Kind)>, bool)> {
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
            other => other.map_err(|e| Error::io("list", path, e))?,
        }
        Ok((first.into_iter().collect(), more))
    }
}
