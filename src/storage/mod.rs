//! Where bytes and facts are kept: three traits, and the promises every backend keeps.
//!
//! - Dropping a future leaves its effect whole or absent.
//! - `Ok` means durable, unless the method says otherwise.
//! - Only what truly does not exist is `None` or `Gone`; any other trouble is an [`Error`].
//!
//! `suite` holds these promises as tests; every backend runs them. How keys map to paths is in
//! [`key`], and nowhere else.
//!
//! Work that takes milliseconds goes to the blocking pool (`blocking`), and so does work on more than
//! 64 KiB in memory (`work_on`): on a reactor's thread its other connections would wait.

mod blob;
mod content;
mod error;
mod facts;
#[cfg(test)]
pub(crate) mod faulty;
pub mod fs;
pub mod key;
mod lifecycle;
pub mod mem;
#[cfg(test)]
mod suite;

pub use blob::{Blob, BlobData};
pub(crate) use blob::{blocking, work_on};
pub use content::{Appended, Check, Content, Progress, Published, TakenOver, Turn, Verified};
pub use error::Error;
pub use facts::{Child, Durability, Expect, Fact, Facts, Outcome, Page, Put, Version};
pub use key::{Dir, Item, ItemKind, Key};
pub use lifecycle::{
    Aged, Capabilities, Condemned, Examined, Exclusive, Grave, Health, InstanceId, Lifecycle, Presence, PushId, RunId,
    Verdict, Why,
};
pub use mem::Mem;

/// Where the own token service keeps its keys if it is left to it, below a root directory.
pub const SIGNING_KEY: &str = "identity/keys/token.pem";

/// What a storage call returns.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Everything a registry needs of its storage.
pub trait Storage: Facts + Content + Lifecycle {}
impl<T: Facts + Content + Lifecycle> Storage for T {}
