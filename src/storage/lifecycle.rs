//! What collection needs: ages, the graveyard, who is at work.

use super::{Fact, Item, ItemKind, Page, Result};
use crate::{
    files::{Space, Syncing, Syncs, world},
    oci::Digest,
};
use async_trait::async_trait;
use std::time::{Duration, SystemTime};

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

    /// Makes durable whatever was seen before, and that what was not seen is not there: whoever put or
    /// removed it may not have got so far yet, or have been killed.
    async fn settle(&self) -> Result<()>;

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

    /// The value of an entry that is a link or a revision; `None` if it is gone.
    async fn buried(&self, entry: &Condemned) -> Result<Option<Fact>>;

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

    /// Removes what interrupted writes left behind and nobody has written to since `before`; how many.
    async fn tidy(&self, before: SystemTime) -> Result<u64>;
}
