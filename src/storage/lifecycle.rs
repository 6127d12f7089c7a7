//! What collection needs: ages, the graveyard, and which processes are at work.

use super::{CacheStatus, Fact, Item, ItemKind, ListingPage, Result};
use crate::files::{Space, Syncing, Syncs, world};
use async_trait::async_trait;
use oci::Digest;
use std::time::{Duration, SystemTime};

/// Identifies one run that condemns items: a collection or a deletion.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RunId(pub ulid::Ulid);

impl RunId {
    /// A new id; later ones sort after earlier ones.
    pub fn fresh() -> Self {
        Self(world::ulid())
    }
}

/// Identifies one push of a manifest in progress.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PushId(pub ulid::Ulid);

impl PushId {
    /// A new id.
    pub fn fresh() -> Self {
        Self(world::ulid())
    }
}

/// Identifies one process that serves a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct InstanceId(pub uuid::Uuid);

impl InstanceId {
    /// A new id.
    pub fn fresh() -> Self {
        Self(world::uuid())
    }
}

/// Why an item was condemned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Why {
    /// Nothing referred to it. Reads and [`Lifecycle::ensure`] can restore it.
    Unreferenced,
    /// A client deleted it. Nothing restores it automatically, not even from a copy that was condemned earlier for
    /// another reason.
    Deleted,
    /// Its bytes are wrong. Nothing restores it automatically.
    Damaged,
}

/// An item, or what identifies it among those of its kind, and its age.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Aged<N = Item> {
    pub item: N,
    /// When it was last renewed, by the store's clock.
    pub renewed: SystemTime,
    /// Size in bytes.
    pub len: u64,
}

/// An entry of the graveyard.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Condemned {
    /// The run that condemned it; together with the item, a name that is never used again.
    pub run: RunId,
    /// What was condemned.
    pub item: Item,
    /// Why it was condemned.
    pub why: Why,
}

/// An entry of the graveyard, with its age and length.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grave {
    pub entry: Condemned,
    /// When it was condemned, by the store's clock; for an upload, when its last byte arrived.
    pub since: SystemTime,
    /// Size in bytes.
    pub len: u64,
}

/// The result of condemning an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condemnation {
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
    /// It was condemned, and has been restored.
    Restored,
    /// It does not exist, or was deleted on purpose.
    Missing,
}

/// What [`Lifecycle::examine`] found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Examined {
    /// It is not there.
    Gone,
    /// Its bytes match its digest.
    Sound,
    /// Its bytes did not match.
    Damaged {
        /// Where the damaged copies are now.
        quarantined: Vec<String>,
        /// A sound copy from the graveyard replaced it.
        replaced: bool,
    },
}

/// Guarantees that no other collection of the store runs, until it is dropped.
pub struct Exclusive(#[expect(dead_code, reason = "held to be dropped")] Box<dyn Send + Sync>);

impl Exclusive {
    /// Keeps `guard` until the collection ends.
    pub(crate) fn new(guard: impl Send + Sync + 'static) -> Self {
        Self(Box::new(guard))
    }
}

/// The state of a backend.
#[derive(Clone, Debug)]
pub struct Capabilities {
    /// Free space, where the backend has such a limit.
    pub space: Option<Space>,
    /// Reads since startup that found their value only in the graveyard.
    pub read_condemned: u64,
}

/// The health of the store, for operators.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoreHealth {
    /// What a completed write promises.
    pub syncing: Syncing,
    /// Syncs since startup.
    pub syncs: Syncs,
    /// Why writing has stopped, if it has.
    pub trouble: Option<String>,
    /// The cache of blobs before the store, if there is one.
    pub cache: Option<CacheStatus>,
}

/// Items and how they are removed: first moved to the graveyard, later purged, never both at once.
#[async_trait]
pub trait Lifecycle: Send + Sync {
    /// Checks that the store can be used, and returns its state.
    async fn probe(&self) -> Result<Capabilities>;

    /// The health of the store; returns at once.
    fn health(&self) -> StoreHealth {
        StoreHealth::default()
    }

    /// Checks that a small file can be written; nothing of it remains.
    async fn try_write(&self) -> Result<()>;

    /// The store's clock, the only one that measures ages. Needs no free space.
    async fn now(&self) -> Result<SystemTime>;

    /// Makes durable everything that was seen before, and the absence of what was not seen: whoever wrote or removed it
    /// may not have synced it yet, or may have been killed.
    async fn settle(&self) -> Result<()>;

    /// Live items of a kind, in byte order of their keys.
    async fn items(&self, kind: &ItemKind, after: Option<&Item>, most: usize) -> Result<ListingPage<Aged>>;

    /// Renews an item older than `if_older`; `false` if it does not exist.
    async fn renew(&self, item: &Item, if_older: Duration) -> Result<bool>;

    /// For each item: live, restored, or missing. After `Ok` no earlier condemnation can remove what is live or
    /// restored, and it is durable whoever wrote it.
    async fn ensure(&self, items: &[Item]) -> Result<Vec<Presence>>;

    /// Moves an item to the graveyard unless it was renewed within `idle`. A deletion also removes earlier graves of
    /// the item; if one of those was all there was, the result is `Condemned` too.
    async fn condemn(&self, item: &Item, run: RunId, why: Why, idle: Duration) -> Result<Condemnation>;

    /// Entries of the graveyard in the order of their runs, without damaged ones.
    async fn condemned(&self, after: Option<&Condemned>, most: usize) -> Result<ListingPage<Grave>>;

    /// Restores an entry under its live name, unless that exists; `false` if the entry does not exist any more. The
    /// entry stays until it is purged: whoever looks in both places finds the item.
    async fn restore(&self, entry: &Condemned) -> Result<bool>;

    /// The value of an entry that is a link or a revision; `None` if the entry does not exist any more.
    async fn condemned_value(&self, entry: &Condemned) -> Result<Option<Fact>>;

    /// Removes exactly this entry, never a live name. Returns the bytes freed.
    async fn purge(&self, entry: &Condemned) -> Result<u64>;

    /// Reads a whole blob. Every copy of it with the wrong bytes, live or in the graveyard, is moved to quarantine,
    /// from where nothing is served or restored: clients get "not found", and push it again.
    async fn examine(&self, digest: &Digest, run: RunId) -> Result<Examined>;

    /// Identifies the time during which bytes of uploads cannot change once they were appended. After another boot of
    /// the machine, those that were not durable may be lost or differ.
    fn boot(&self) -> String {
        world::boot()
    }

    /// The id of this process.
    fn instance(&self) -> InstanceId;

    /// Whether a process may still be at work on this store; `false` only if it has surely ended.
    async fn lives(&self, instance: InstanceId) -> Result<bool>;

    /// Prevents other collections of this store until the guard is dropped; `None` if one is running. Only collections
    /// take it, so no request ever waits for it.
    async fn begin_collection(&self) -> Result<Option<Exclusive>>;

    /// Removes what interrupted writes left behind, if it was not written to since `before`. Returns how many files.
    async fn tidy(&self, before: SystemTime) -> Result<u64>;
}
