//! Where bytes and facts are kept: three traits, and the promises every backend keeps.
//!
//! - Dropping a future leaves its effect whole or absent.
//! - `Ok` means durable, unless the method says otherwise.
//! - Only what is truly not there is `None` or `Gone`; any other trouble is an [`Error`].
//!
//! `suite` holds these promises as tests; every backend runs them. How keys map to paths is in
//! [`key`], and nowhere else.

mod blob;
mod error;
#[cfg(test)]
pub(crate) mod faulty;
pub mod fs;
pub mod key;
pub mod mem;
#[cfg(test)]
mod suite;

pub(crate) use blob::blocking;
pub use blob::{Blob, BlobData};
pub use error::Error;
pub use key::{Dir, Item, ItemKind, Key};
pub use mem::Mem;

use crate::{
    files::{Space, Syncing, Syncs, world},
    oci::{Algorithm, Digest, Hasher, UploadId},
};
use async_trait::async_trait;
use bytes::Bytes;
use std::time::{Duration, SystemTime};

/// Where the own token service keeps its keys if it is left to it, below a root directory.
pub const SIGNING_KEY: &str = "identity/keys/token.pem";

/// What a storage call returns.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Everything a registry needs of its storage.
pub trait Storage: Facts + Content + Lifecycle {}
impl<T: Facts + Content + Lifecycle> Storage for T {}

// === small values at typed keys ===

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
}

impl Expect {
    /// Whether a key with this value, or none, is as expected.
    pub fn holds(&self, found: Option<&[u8]>) -> bool {
        match (self, found) {
            (Self::Any, _) | (Self::Absent, None) | (Self::Present, Some(_)) => true,
            (Self::Is(version), Some(bytes)) => *version == Version::of(bytes),
            (Self::Absent | Self::Present | Self::Is(_), _) => false,
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

// === blobs and the uploads that become them ===

/// A digest that was computed over the very bytes of a sealed upload, or of a value in memory.
/// Only `registry::verify` makes one; only one of these gets a blob's name.
#[derive(Clone, Debug)]
pub struct Verified {
    digest: Digest,
    len: u64,
}

impl Verified {
    /// States that content of `len` bytes was hashed and has this digest.
    pub(crate) fn vouch(digest: Digest, len: u64) -> Self {
        Self { digest, len }
    }

    /// The digest.
    pub fn digest(&self) -> &Digest {
        &self.digest
    }

    /// Length of the content in bytes.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether the content is empty.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}

/// What an append did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Appended {
    /// All bytes were taken; the upload has this length now.
    To(u64),
    /// None was taken: the upload's length was another one, namely this.
    At(u64),
    /// There is no such upload, or it takes no more bytes.
    Gone,
}

/// The state of an upload session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Bytes on disk.
    pub len: u64,
    /// What was noted with it last.
    pub facts: Bytes,
    /// It takes no more bytes.
    pub sealed: bool,
    /// When its bytes last changed, by the store's clock.
    pub touched: SystemTime,
}

/// How a blob came to be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Published {
    /// It was not there before.
    New,
    /// It was there already; the bytes brought were dropped.
    Existed,
    /// Something of another length stood under its name and was replaced.
    Healed,
    /// The upload is not there (any more).
    Gone,
}

/// The blob pool and its uploads. Uploads are keyed by id alone: the next chunk may come by
/// another connection, or to a restarted daemon.
#[async_trait]
pub trait Content: Send + Sync {
    /// Starts an upload with nothing in it. Survives the process, not the machine.
    async fn begin(&self, id: &UploadId, facts: Bytes) -> Result<()>;

    /// Replaces what is noted with an upload; `false` if there is none. Survives the process.
    async fn note(&self, id: &UploadId, facts: Bytes) -> Result<bool>;

    /// Adds bytes if the upload's length is `at`; of several callers one wins, and the bytes of
    /// two never interleave. The bytes taken are hashed too, on the thread that writes them.
    /// Survives the process.
    async fn append(&self, id: &UploadId, at: u64, bytes: Vec<Bytes>, hasher: Hasher) -> Result<(Appended, Hasher)>;

    /// The state of an upload.
    async fn progress(&self, id: &UploadId) -> Result<Option<Progress>>;

    /// What an upload holds so far, to be read.
    async fn read_upload(&self, id: &UploadId) -> Result<Option<Blob>>;

    /// Ends an upload to bytes and gives it to be read; asked again it answers again. `None` if
    /// there is none. Survives the process.
    async fn seal(&self, id: &UploadId) -> Result<Option<Blob>>;

    /// Gives a sealed upload its blob's name, and ends the session.
    async fn publish(&self, id: &UploadId, verified: &Verified) -> Result<Published>;

    /// Makes a blob of bytes in memory.
    async fn put_blob(&self, verified: &Verified, bytes: Bytes) -> Result<Published>;

    /// Ends an upload and removes its bytes, unless they changed within `idle`. Needs no room.
    async fn abandon(&self, id: &UploadId, idle: Duration) -> Result<Verdict>;

    /// A blob, to be read: also one that was condemned because nothing referred to it.
    async fn open(&self, digest: &Digest) -> Result<Option<Blob>>;
}

// === what collection needs ===

/// Names one run of whatever condemns: a collection, a deletion.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RunId(pub ulid::Ulid);

impl RunId {
    /// A fresh run; later ones sort after earlier ones.
    pub fn fresh() -> Self {
        Self(world::ulid())
    }
}

/// Names one push of a manifest while it is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PushId(pub ulid::Ulid);

impl PushId {
    /// A fresh push.
    pub fn fresh() -> Self {
        Self(world::ulid())
    }
}

/// Names one run of a program that serves a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct InstanceId(pub uuid::Uuid);

impl InstanceId {
    /// A fresh run.
    pub fn fresh() -> Self {
        Self(world::uuid())
    }
}

/// Why an item was condemned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Why {
    /// Nothing referred to it. Reads and [`Lifecycle::ensure`] may bring it back.
    Unreferenced,
    /// Somebody deleted it. Nothing brings it back by itself, not even a copy that was condemned
    /// for another reason before.
    Deleted,
    /// Its bytes are wrong. Nothing brings it back by itself.
    Damaged,
}

/// An item and its age.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Aged {
    /// The item.
    pub item: Item,
    /// Last renewed, by the store's clock.
    pub renewed: SystemTime,
    /// Bytes it takes.
    pub len: u64,
}

/// An entry of the graveyard.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Condemned {
    /// The run that put it there; with the item it makes a name that is never used again.
    pub run: RunId,
    /// What it was.
    pub item: Item,
    /// Why it is here.
    pub why: Why,
}

/// An entry of the graveyard, its age and length.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grave {
    /// The entry.
    pub entry: Condemned,
    /// When it was condemned, by the store's clock; of an upload, when its last byte came.
    pub since: SystemTime,
    /// Bytes it takes.
    pub len: u64,
}

/// What became of a condemnation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is in the graveyard.
    Condemned,
    /// It was renewed within the idle time, and stays.
    Renewed,
    /// It was not there.
    Gone,
}

/// What [`Lifecycle::ensure`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// It is there.
    Live,
    /// It was condemned, and is there again.
    Restored,
    /// It is nowhere, or was deleted on purpose.
    Missing,
}

/// What [`Lifecycle::examine`] found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Examined {
    /// It is not there.
    Gone,
    /// Its bytes are what its name says.
    Sound,
    /// They were not.
    Damaged {
        /// Where what was damaged lies now.
        aside: Vec<String>,
        /// A sound copy that lay in the graveyard took its place.
        replaced: bool,
    },
}

/// Held while the only collection of a store runs.
pub struct Exclusive(#[expect(dead_code, reason = "held to be dropped")] Box<dyn Send + Sync>);

impl Exclusive {
    /// Holds `guard` until the collection ends.
    pub(crate) fn new(guard: impl Send + Sync + 'static) -> Self {
        Self(Box::new(guard))
    }
}

/// What a backend can do and how it stands.
#[derive(Clone, Debug)]
pub struct Capabilities {
    /// Room left, where that has a meaning.
    pub space: Option<Space>,
    /// Reads since the start that found what they wanted only in the graveyard.
    pub read_condemned: u64,
}

/// How the store does, for operators.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Health {
    /// What an answer to a write promises.
    pub syncing: Syncing,
    /// Syncs so far.
    pub syncs: Syncs,
    /// Why nothing is written at the moment, if so.
    pub trouble: Option<String>,
}

/// Items, and how they come to their end: moved aside first, removed later, never both at once.
#[async_trait]
pub trait Lifecycle: Send + Sync {
    /// Whether the store can be used, and how much room is left.
    async fn probe(&self) -> Result<Capabilities>;

    /// How the store does; answers at once.
    fn health(&self) -> Health {
        Health::default()
    }

    /// Whether something small can be written; nothing of it stays.
    async fn try_write(&self) -> Result<()>;

    /// The store's clock: the only one by which ages are measured. Needs no room.
    async fn now(&self) -> Result<SystemTime>;

    /// Live items of a kind, in byte order of their keys.
    async fn items(&self, kind: &ItemKind, after: Option<&Item>, most: usize) -> Result<Page<Aged>>;

    /// Renews an item older than `if_older`; `false` if it is not there.
    async fn renew(&self, item: &Item, if_older: Duration) -> Result<bool>;

    /// For each item: there, brought back, or missing. After `Ok` no earlier condemnation can
    /// remove what is live or restored, and it is durable whoever made it.
    async fn ensure(&self, items: &[Item]) -> Result<Vec<Presence>>;

    /// Moves an item to the graveyard unless it was renewed within `idle`. What is deleted is
    /// gone from there too, if it was condemned before: then that is the verdict.
    async fn condemn(&self, item: &Item, run: RunId, why: Why, idle: Duration) -> Result<Verdict>;

    /// Entries of the graveyard, runs in order. What is damaged is not among them.
    async fn condemned(&self, after: Option<&Condemned>, most: usize) -> Result<Page<Grave>>;

    /// Brings an entry back under its live name, unless something is there; `false` if the entry
    /// is gone. The entry stays until it is purged: whoever looks in both places finds it.
    async fn restore(&self, entry: &Condemned) -> Result<bool>;

    /// Removes exactly this entry, never a live name; the bytes freed.
    async fn purge(&self, entry: &Condemned) -> Result<u64>;

    /// Reads a blob whole. Whatever of it has other bytes than its name says, in its place or in
    /// the graveyard, is taken where nothing is served from and nothing comes back from: a client
    /// that asks for it is told that it is not there, and brings it again.
    async fn examine(&self, digest: &Digest, run: RunId) -> Result<Examined>;

    /// This run of the program.
    fn instance(&self) -> InstanceId;

    /// Whether a run of the program may still be at work on this store: `false` only if it surely
    /// has ended.
    async fn lives(&self, instance: InstanceId) -> Result<bool>;

    /// Keeps other collections of this store from running until the guard is dropped; `None` if
    /// one runs. Only collections take it: no request ever waits for it.
    async fn begin_collection(&self) -> Result<Option<Exclusive>>;

    /// Removes what interrupted writes left behind longer than `idle` ago; how many.
    async fn tidy(&self, idle: Duration) -> Result<u64>;
}
