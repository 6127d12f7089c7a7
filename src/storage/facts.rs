//! Small values at typed keys.

use super::{Dir, FactKey, OutlineStamp, RepositoryOutline, Result};
use async_trait::async_trait;
use bytes::Bytes;
use oci::{Algorithm, Digest, Hasher, RepositoryName};
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
    /// A version that differs from that of any other value at the same key.
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

/// The condition of a write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expect {
    /// No condition.
    Any,
    /// The key has no value.
    Absent,
    /// The key has a value.
    Present,
    /// The key has this value.
    Is(Version),
    /// The key has this value, and it was not written again since it was read, as far as the store's clock can tell:
    /// buckets count seconds.
    Unchanged(Fact),
}

impl Expect {
    /// Whether a key that has this value, or none, meets the condition.
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
    /// Where to write.
    pub key: FactKey,
    /// The new value.
    pub bytes: Bytes,
    /// The condition.
    pub expect: Expect,
    /// When it counts as put, if not now. Stores that cannot set a time take the time of the write.
    pub since: Option<SystemTime>,
}

impl Put {
    /// A write on this condition.
    pub fn when(key: FactKey, bytes: impl Into<Bytes>, expect: Expect) -> Self {
        Self { key, bytes: bytes.into(), expect, since: None }
    }

    /// An unconditional write.
    pub fn any(key: FactKey, bytes: impl Into<Bytes>) -> Self {
        Self::when(key, bytes, Expect::Any)
    }
}

/// Whether a write waits for the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// Returns once the write survives a power failure.
    Durable,
    /// Survives the process, perhaps not the machine.
    Process,
}

/// The result of a group of writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PutOutcome {
    /// All were done.
    Done,
    /// None was done: the condition of the write at this index did not hold.
    Conflict(usize),
}

/// A page of entries in order, and whether more follow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListingPage<T> {
    /// In byte order of their names.
    pub entries: Vec<T>,
    /// There are more after the last entry.
    pub more: bool,
}

/// Small values at typed keys: links, revisions, tags, referrers.
#[async_trait]
pub trait Facts: Send + Sync {
    /// The value at a key. That of a link or a revision is found even if it was condemned because nothing referred to
    /// it.
    async fn get(&self, key: &FactKey) -> Result<Option<Fact>>;

    /// What was last seen at a key, for a client that reads while the store is away. Nothing may be changed because of it.
    fn last_seen(&self, _: &FactKey) -> Option<Fact> {
        None
    }

    /// The values at these keys, in their order.
    async fn get_all(&self, keys: Vec<FactKey>) -> Result<Vec<Result<Option<Fact>>>> {
        let mut found = Vec::with_capacity(keys.len());
        for key in &keys {
            found.push(self.get(key).await);
        }
        Ok(found)
    }

    /// Writes all of `puts`, or none if a condition does not hold. A value is visible and durable before the ones that
    /// rely on it, a revision before its tags: a crash leaves no name that points nowhere.
    async fn put(&self, puts: Vec<Put>, durability: Durability) -> Result<PutOutcome>;

    /// Removes a value if it meets the condition; `false` if it does not, or is missing. Never removes a value newer
    /// than the one expected. A hint ([`FactKey::Tagged`]) may reappear after a crash of the machine.
    async fn delete(&self, key: &FactKey, expect: Expect) -> Result<bool>;

    /// Removes a value that nothing relies on; it may reappear after a crash.
    async fn discard(&self, key: &FactKey) -> Result<()>;

    /// Moves a value to another key, over whatever is there; `false` if there is none. A crash may undo it.
    async fn rename(&self, from: &FactKey, to: &FactKey) -> Result<bool>;

    /// At most `most` of the names that [`Dir::lists`] and that follow `after`, in byte order.
    async fn children(&self, dir: &Dir, after: Option<&str>, most: usize) -> Result<ListingPage<String>>;

    /// Like [`Facts::children`], for display only: it may come from memory. Nothing may be deleted because of it.
    async fn listing(&self, dir: &Dir, after: Option<&str>, most: usize) -> Result<ListingPage<String>> {
        self.children(dir, after, most).await
    }

    /// What each of these repositories holds; `None` where it still has the given stamp. For display and limits only.
    async fn outlines(
        &self,
        asked: Vec<(RepositoryName, Option<OutlineStamp>)>,
    ) -> Result<Vec<Option<RepositoryOutline>>>;

    /// For each of these directories, whether it has children.
    async fn hold_any(&self, dirs: Vec<Dir>) -> Result<Vec<bool>> {
        let mut found = Vec::new();
        for dir in &dirs {
            found.push(!self.children(dir, None, 1).await?.entries.is_empty());
        }
        Ok(found)
    }
}
