//! Storage of bytes and facts: three traits, and the promises that every backend keeps.
//!
//! - Dropping a future leaves its effect whole or absent.
//! - `Ok` means durable, unless the method says otherwise.
//! - Only what truly does not exist is `None` or `Gone`; any other trouble is an [`StorageError`].
//!
//! `suite` tests these promises with every backend. Only [`key`] knows how keys map to paths.
//!
//! Work that takes milliseconds runs on the blocking pool (`blocking`), and so does work on more than 64 KiB in memory
//! (`work_on`): on a reactor's thread it would delay other connections.

mod blob;
mod cache;
pub mod cloud;
mod content;
mod error;
mod facts;
#[cfg(test)]
pub(crate) mod faulty;
pub mod fs;
mod items;
pub mod key;
mod lifecycle;
pub mod mem;
mod names;
pub mod objects;
mod opened;
pub mod outbox;
mod outline;
pub mod remote;
pub mod sftp;
#[cfg(test)]
mod suite;
mod survey;
mod usage;

pub use blob::{Blob, BlobData};
pub(crate) use blob::{blocking, work_on};
pub use cache::{BlobCache, CacheStatus};
pub use content::{
    Appended, Content, DigestCheck, Published, TakenIn, TakenOver, UploadProgress, UploadTurn, Verified,
};
pub use error::StorageError;
pub use facts::{Durability, Expect, Fact, Facts, ListingPage, Put, PutOutcome, Version};
pub use items::{AgedItems, ItemsOf};
pub use key::{
    AccountKey, ArtifactDir, ArtifactFact, ArtifactKey, ArtifactLogEntry, ArtifactLogKind, Dir, DirOf, FactKey, Item,
    ItemKind, Listed, TrashId, UserFile,
};
pub use lifecycle::{
    Aged, Capabilities, Condemnation, Condemned, Examined, Exclusive, Grave, InstanceId, Lifecycle, Presence, PushId,
    RunId, StoreHealth, Why,
};
pub use mem::Mem;
pub use names::NamesIn;
pub use opened::{LinePlace, OpenStore, StoreHold, StoreRecords};
pub use outline::{OutlineNames, OutlineStamp, RepositoryOutline};
pub use remote::{ObjectBlob, ObjectStorage, ObjectSurvey};
pub use survey::StoreSurvey;
pub use usage::{ProviderUsage, ReportedUsage};

/// Default place of the built-in token service's keys, below the storage directory.
pub const SIGNING_KEY: &str = "identity/keys/token.pem";

/// Place of the key for sessions alone, where there is no token service.
pub const SESSION_KEY: &str = "identity/keys/sessions.pem";

/// The result of a storage call.
pub type Result<T, E = StorageError> = std::result::Result<T, E>;

/// Everything that a registry needs from its storage.
pub trait Storage: Facts + Content + Lifecycle {}
impl<T: Facts + Content + Lifecycle> Storage for T {}
