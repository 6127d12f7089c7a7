//! What a check of a store sees, whatever the store is kept in: the paths of [`super::key`], and what is at them. Every
//! call blocks.
//!
//! Another process may be serving the store. What is quarantined is checked once more, and stays if it is right by then.

use super::{Examined, FactKey, Item, Result, RunId};
use crate::files::{FileKind, Meta};
use bytes::Bytes;
use oci::{Algorithm, Digest};

/// A store that is checked.
pub trait StoreSurvey {
    /// Every name in a directory, in order; none if it does not exist.
    ///
    /// # Errors
    /// Those of the store.
    fn list(&self, dir: &str) -> Result<Vec<(String, FileKind)>>;

    /// The metadata of a path; `None` if nothing is there.
    ///
    /// # Errors
    /// Those of the store.
    fn meta(&self, path: &str) -> Result<Option<Meta>>;

    /// The metadata of these names of a directory, in their order; `None` for a name that does not exist, or that has to
    /// be looked at by itself.
    ///
    /// # Errors
    /// Those of the store for one of them.
    fn metas(&self, dir: &str, names: &[&str]) -> Result<Vec<Option<Meta>>>;

    /// The bytes of a small file; `None` if it does not exist.
    ///
    /// # Errors
    /// [`StorageError::Damaged`](super::StorageError::Damaged) if it is longer than `most`, or those of the store.
    fn read(&self, path: &str, most: u64) -> Result<Option<Bytes>>;

    /// The digest of the bytes at a path; `None` if it does not exist. `each` is called now and then with the number of
    /// bytes read.
    ///
    /// # Errors
    /// Those of the store.
    fn digest(&self, path: &str, algorithm: Algorithm, each: &mut dyn FnMut(u64)) -> Result<Option<Digest>>;

    /// What `read` finds at the first path of an item: its live one, or one from where it can be restored, the newest
    /// first.
    ///
    /// # Errors
    /// Those of the store, or one of `read`.
    fn find<T>(&self, item: &Item, read: impl Fn(&str) -> Result<Option<T>>) -> Result<Option<T>>;

    /// Whether an item is live or can be restored.
    ///
    /// # Errors
    /// Those of the store.
    fn is_there(&self, item: &Item) -> Result<bool> {
        Ok(self.find(item, |path| self.meta(path))?.is_some())
    }

    /// Whether a client is known to have deleted an item: it is in the graveyard, or a record was kept when it was
    /// purged.
    ///
    /// # Errors
    /// Those of the store.
    fn was_deleted(&self, item: &Item) -> Result<bool>;

    /// Moves what is at a path to `quarantine/<run>/<path>`, and returns its path there. Leaves it where it was, and
    /// returns `None`, unless `is_wrong` confirms, for its new path, that it is wrong: somebody may have replaced it by
    /// something better since it was checked.
    ///
    /// # Errors
    /// Those of the store.
    fn quarantine(&self, run: RunId, path: &str, is_wrong: impl FnOnce(&str) -> Result<bool>)
    -> Result<Option<String>>;

    /// Reads a blob, and quarantines every copy of it whose bytes have another digest.
    ///
    /// # Errors
    /// Those of the store.
    fn examine(&self, digest: &Digest, run: RunId) -> Result<Examined>;

    /// Writes a fact unless there is one, durably. Returns whether it was written.
    ///
    /// # Errors
    /// Those of the store.
    fn add(&self, key: FactKey, bytes: impl Into<Bytes>) -> Result<bool>;
}
