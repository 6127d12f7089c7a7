//! A store that is open, of any kind.

use super::{ObjectStorage, Result, Storage, fs::Fs, outbox::OutboxWatch};
use crate::files::{Real, Syncing};
use async_trait::async_trait;
use bytes::Bytes;
use std::{fmt, str::FromStr, sync::Arc};

/// A store, and what only some kinds of stores have.
#[derive(Clone)]
pub struct OpenStore {
    /// What registries are made of.
    pub storage: Arc<dyn Storage>,
    /// What the daemon keeps there for itself.
    pub records: Arc<dyn StoreRecords>,
    /// The directory, if it is one, so that its files can be checked.
    pub files: Option<Arc<Fs>>,
    /// The objects otherwise.
    pub objects: Option<Arc<ObjectStorage>>,
    /// Of two processes that write on the same condition, one wins.
    pub has_conditions: bool,
    /// What keeps a store of another machine usable.
    pub hold: Option<Arc<dyn StoreHold>>,
}

/// A store of another machine, for as long as it is used.
#[async_trait]
pub trait StoreHold: Send + Sync {
    /// What is uploaded later.
    fn outbox(&self) -> Option<Arc<dyn OutboxWatch>>;

    /// Uploads what it can within a bounded time, and lets go of the store.
    async fn end(&self);
}

/// What the daemon keeps in its store for itself: its keys and the audit log.
#[async_trait]
pub trait StoreRecords: Send + Sync {
    /// Stores a key at this path unless there is one; two daemons that start at once agree on it. Returns whether the
    /// key is new.
    async fn ensure_signing_key(&self, path: &'static str, key: Bytes) -> Result<bool>;

    /// The key at this path, where the daemon cannot read it as a file.
    async fn signing_key(&self, path: &'static str) -> Result<Option<Bytes>>;

    /// Appends a line to the audit log, durably.
    async fn append_audit(&self, line: Bytes) -> Result<()>;

    /// The last lines of the audit log before a place, newest first, each with its own place.
    async fn read_audit(&self, before: Option<LinePlace>, most: usize) -> Result<Vec<(LinePlace, Bytes)>>;

    /// Changes what a completed write promises from now on, where there is a choice.
    async fn set_syncing(&self, _: Syncing) -> Result<()> {
        Ok(())
    }

    /// Makes durable what [`Syncing::Relaxed`] has postponed.
    async fn flush(&self) -> Result<()> {
        Ok(())
    }
}

/// Where a line of the audit log begins: the number of its file, and the offset in it. Stores without files number
/// lines in another way, but in the same order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LinePlace {
    pub(super) file: u64,
    pub(super) offset: u64,
}

impl OpenStore {
    /// A store that is not a directory.
    pub fn new(store: ObjectStorage, has_conditions: bool) -> Self {
        let objects = Arc::new(store);
        let (storage, records) = (objects.clone(), objects.clone());
        Self { storage, records, files: None, objects: Some(objects), has_conditions, hold: None }
    }
}

impl From<Fs> for OpenStore {
    fn from(files: Fs) -> Self {
        Arc::new(files).into()
    }
}

impl From<Arc<Fs>> for OpenStore {
    fn from(files: Arc<Fs>) -> Self {
        Self {
            storage: files.clone(),
            records: files.clone(),
            files: Some(files),
            objects: None,
            has_conditions: true,
            hold: None,
        }
    }
}

#[async_trait]
impl StoreRecords for Fs<Real> {
    async fn ensure_signing_key(&self, path: &'static str, key: Bytes) -> Result<bool> {
        self.ensure_signing_key(path, key).await
    }

    async fn signing_key(&self, _: &'static str) -> Result<Option<Bytes>> {
        // The configuration reads it as a file, and follows its changes.
        Ok(None)
    }

    async fn append_audit(&self, line: Bytes) -> Result<()> {
        self.append_audit(line).await
    }

    async fn read_audit(&self, before: Option<LinePlace>, most: usize) -> Result<Vec<(LinePlace, Bytes)>> {
        self.read_audit(before, most).await
    }

    async fn set_syncing(&self, syncing: Syncing) -> Result<()> {
        self.set_syncing(syncing).await
    }

    async fn flush(&self) -> Result<()> {
        self.flush().await
    }
}

/// As [`LinePlace::from_str`] reads it.
impl fmt::Display for LinePlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.file, self.offset)
    }
}

impl FromStr for LinePlace {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let numbers = text.split_once('-').and_then(|(file, offset)| file.parse().ok().zip(offset.parse().ok()));
        numbers.map(|(file, offset)| Self { file, offset }).ok_or(())
    }
}
