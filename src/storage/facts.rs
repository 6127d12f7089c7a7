//! Small values at typed keys.

use super::{Dir, Key, Result};
use crate::oci::{Algorithm, Digest, Hasher};
use async_trait::async_trait;
use bytes::Bytes;
use std::time::SystemTime;

/// The value at a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fact {
    /// The value.
    pub bytes: Bytes,
    /// When it was put, by the store's clock.
    pub written: SystemTime,
}

impl Fact {
    /// Tells this value from any other at the same key.
    pub fn version(&self) -> Version {
        Version::of(&self.bytes)
    }
}

/// The hash of a value: what a conditional write compares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version(Digest);

impl Version {
    /// The version of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Hasher::digest(Algorithm::Sha256, bytes))
    }
}

/// What must hold of a key for a write to happen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expect {
    /// Nothing.
    Any,
    /// There is no value.
    Absent,
    /// There is some value.
    Present,
    /// The value is this one.
    Is(Version),
    /// The value is this one, and has not been put again since.
    Unchanged(Fact),
}

impl Expect {
    /// Whether a key with this value, or none, is as expected.
    pub fn holds(&self, found: Option<&Fact>) -> bool {
        match (self, found) {
            (Self::Any, _) | (Self::Absent, None) | (Self::Present, Some(_)) => true,
            (Self::Is(version), Some(fact)) => *version == fact.version(),
            (Self::Unchanged(expected), Some(fact)) => expected == fact,
            (Self::Absent | Self::Present | Self::Is(_) | Self::Unchanged(_), _) => false,
        }
    }
}

/// One write.
#[derive(Clone, Debug)]
pub struct Put {
    /// Where.
    pub key: Key,
    /// What.
    pub bytes: Bytes,
    /// On which condition.
    pub expect: Expect,
}

impl Put {
    /// An unconditional write.
    pub fn any(key: Key, bytes: impl Into<Bytes>) -> Self {
        Self { key, bytes: bytes.into(), expect: Expect::Any }
    }
}

/// Whether a write waits for the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// Returns once a power failure cannot take it back.
    Durable,
    /// Survives the process, perhaps not the machine.
    Process,
}

/// What became of a group of writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All were done.
    Done,
    /// None was done: the expectation of the write at this index did not hold.
    Conflict(usize),
}

/// One name below a [`Dir`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Child {
    /// The name, without the directory's.
    pub name: String,
    /// Whether there may be something below it.
    pub is_dir: bool,
}

/// Some children in order, and whether more follow the last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T> {
    /// In byte order of their names.
    pub entries: Vec<T>,
    /// There are more after the last entry.
    pub more: bool,
}

/// Small values at typed keys: links, revisions, tags, referrers.
#[async_trait]
pub trait Facts: Send + Sync {
    /// The value at a key: of a link or revision also one that was condemned because nothing
    /// referred to it.
    async fn get(&self, key: &Key) -> Result<Option<Fact>>;

    /// Writes all of `puts` or, when an expectation does not hold, none. What one relies on is visible
    /// and durable before it, a revision before its tags: a crash leaves no name that points nowhere.
    async fn put(&self, puts: Vec<Put>, durability: Durability) -> Result<Outcome>;

    /// Removes a value if it is as expected; `false` when it was not (or not there). Never
    /// removes a value newer than the one expected. A hint ([`Key::Tagged`]) may come back after the
    /// end of the machine.
    async fn delete(&self, key: &Key, expect: Expect) -> Result<bool>;

    /// Removes a value on which nobody relies; a crash may bring it back.
    async fn discard(&self, key: &Key) -> Result<()>;

    /// Gives a value another key, over whatever is there; `false` if there is none. A crash may
    /// undo it.
    async fn rename(&self, from: &Key, to: &Key) -> Result<bool>;

    /// One level of names after `after`, in byte order, at most `most`.
    async fn children(&self, dir: &Dir, after: Option<&str>, most: usize) -> Result<Page<Child>>;

    /// The same for showing it to somebody: it may come from memory. Nobody deletes by it.
    async fn listing(&self, dir: &Dir, after: Option<&str>, most: usize) -> Result<Page<Child>> {
        self.children(dir, after, most).await
    }

    /// Whether each of these levels lists anything.
    async fn hold_any(&self, dirs: Vec<Dir>) -> Result<Vec<bool>> {
        let mut found = Vec::new();
        for dir in &dirs {
            found.push(!self.children(dir, None, 1).await?.entries.is_empty());
        }
        Ok(found)
    }
}
