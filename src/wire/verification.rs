//! Checking a blob against its digest while it is sent.

use crate::storage::{self, Item};
use oci::{Digest, Hasher};

/// A verification in progress.
pub struct Verification {
    digest: Digest,
    /// Has hashed the bytes read so far.
    hasher: Hasher,
    /// Called once if the blob turns out to be damaged.
    damaged: Option<Box<dyn FnOnce() + Send>>,
}

impl Verification {
    /// Starts a verification. `damaged` is called if the blob turns out to be damaged.
    pub fn new(digest: Digest, damaged: impl FnOnce() + Send + 'static) -> Self {
        Self { hasher: Hasher::new(digest.algorithm()), digest, damaged: Some(Box::new(damaged)) }
    }

    /// A hasher in the current state, for the next bytes.
    pub fn hasher(&self) -> Hasher {
        self.hasher.clone()
    }

    /// Replaces the hasher by one that has hashed more bytes.
    pub fn replace_hasher(&mut self, hasher: Hasher) {
        self.hasher = hasher;
    }

    /// Checks that the bytes read are those of the blob.
    ///
    /// # Errors
    /// [`storage::StorageError::Damaged`].
    pub fn end(&mut self) -> storage::Result<()> {
        if self.hasher.clone().finish() == self.digest {
            return Ok(());
        }
        self.failed();
        Err(storage::StorageError::damaged(Item::Blob(self.digest.clone()).path(), "its bytes have another digest"))
    }

    /// Reports damage: the blob cannot be read, or its bytes are wrong.
    pub fn failed(&mut self) {
        if let Some(damaged) = self.damaged.take() {
            damaged();
        }
    }
}
