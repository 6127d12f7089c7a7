//! What a store of objects must be able to do: the calls that S3, GCS, Azure and SFTP have in common.
//!
//! `storage::remote` keeps the promises of storage on any of them. An implementation promises, for each call:
//!
//! - `Ok` means done and durable. An error means done or not done, never half: no object is seen with a part of its
//!   bytes. A dropped future is the same as an error.
//! - After `Ok` every later read and list, from any replica, sees the change ([`ObjectAbilities::strong_listing`]).
//! - [`ObjectError::Absent`] is returned only for what truly does not exist, never for a failure or missing rights.
//! - Calls that failed without a doubt of their harmlessness are repeated inside, with jitter and a budget. A condition
//!   that fails when a call is repeated may have failed because of the call itself: callers read the object to find out.
//!
//! Keys are relative (`blobs/sha256/ab/…`), consist of printable ASCII without `//`, and are at most 900 bytes long.
//! Whatever prefix an operator configures is added and removed by the implementation.

mod error;
#[cfg(test)]
pub(crate) mod faulty;
pub mod mem;
mod read_only;

pub(in crate::storage) use error::found;
pub use error::{ObjectError, ObjectResult};
pub use mem::MemObjects;
pub use read_only::ReadOnlyObjects;

use crate::files::Space;
use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::BoxStream;
use oci::Span;
use std::{
    fmt,
    time::{Duration, SystemTime},
};

/// Length of each part of a large object but the last, which is shorter: some servers want equal lengths. With the
/// 10,000 parts that servers allow, an object has at most 160 GB.
pub const PART_LEN: usize = 16 << 20;

/// The most parts that one object may have; few in tests, so that blobs become several objects. Such blobs need no
/// space on a disk of this machine: each object is written as its bytes arrive.
pub const MOST_PARTS: usize = if cfg!(test) { 4 } else { 10_000 };

/// Identifies the state of one object: an ETag, or whatever the server has in its place. It is compared and handed
/// back, and never interpreted.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ObjectTag(pub String);

impl ObjectTag {
    /// The tag where a server has none of its own: made of the time and the length.
    pub(in crate::storage) fn of_time(modified: SystemTime, len: u64) -> Self {
        let since = modified.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Self(format!("{}-{len}", since.as_nanos()))
    }
}

/// What is known of an object without its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectMeta {
    /// Length of the whole object in bytes.
    pub len: u64,
    /// When it was written, by the store's clock.
    pub modified: SystemTime,
    /// Its state, for [`PutWhen::Is`]; `None` if the server has nothing of the kind.
    pub tag: Option<ObjectTag>,
}

/// An object that is being read.
pub struct ObjectBody {
    pub meta: ObjectMeta,
    /// The bytes asked for, in pieces of any length. It ends with an error if the connection ends before the last byte.
    pub bytes: BoxStream<'static, ObjectResult<Bytes>>,
}

impl fmt::Debug for ObjectBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ObjectBody").field("meta", &self.meta).finish_non_exhaustive()
    }
}

impl ObjectBody {
    /// All bytes in one piece.
    ///
    /// # Errors
    /// That of the stream.
    pub async fn collect(self) -> ObjectResult<Bytes> {
        use futures_util::TryStreamExt as _;
        let mut pieces: Vec<Bytes> = self.bytes.try_collect().await?;
        Ok(match pieces.len() {
            1 => pieces.swap_remove(0),
            _ => pieces.concat().into(),
        })
    }
}

/// The condition of a write. One that does not hold is [`ObjectError::Changed`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PutWhen {
    /// No condition.
    Any,
    /// There is no such object. Only where [`ObjectAbilities::put_absent`].
    Absent,
    /// The object is there in this state. Only where [`ObjectAbilities::put_match`].
    Is(ObjectTag),
}

/// An object in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedObject {
    pub key: String,
    /// Length in bytes.
    pub len: u64,
    /// When it was written, by the store's clock.
    pub modified: SystemTime,
}

/// A page of objects whose keys begin with a prefix, in byte order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ObjectPage {
    pub objects: Vec<ListedObject>,
    /// There are more after the last one; a page that is empty has none after it.
    pub more: bool,
}

/// A page of names directly below a directory, in byte order of the names with the `/` that follows directories.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ObjectLevel {
    /// Each name, without any `/`, and whether it is a directory: whether objects are below it.
    pub names: Vec<(String, bool)>,
    /// There are more after the last one.
    pub more: bool,
}

/// What a server can do, as a probe found it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ObjectAbilities {
    /// Reads and lists see every write that was answered before. Without it nothing is safe, and the store is refused.
    pub strong_listing: bool,
    /// [`PutWhen::Absent`] works.
    pub put_absent: bool,
    /// [`PutWhen::Is`] works.
    pub put_match: bool,
    /// [`Objects::delete_match`] works.
    pub delete_match: bool,
    /// [`Objects::copy`] happens on the server. Otherwise the implementation passes the bytes through this process.
    pub copy: bool,
    /// [`Objects::begin_parts`] and what follows work. Otherwise large blobs become several objects.
    pub parts: bool,
    /// Several replicas may write at the same time. Otherwise only this process writes, and conditions may be kept by
    /// locks in its memory.
    pub shared: bool,
}

impl ObjectAbilities {
    /// Those of a server that can do everything.
    pub const ALL: Self = Self {
        strong_listing: true,
        put_absent: true,
        put_match: true,
        delete_match: true,
        copy: true,
        parts: true,
        shared: true,
    };
}

/// A store of objects. See the [module](self) for what every call promises.
#[async_trait]
pub trait Objects: Send + Sync + 'static {
    /// What it can do, as a probe at its start found it.
    fn abilities(&self) -> ObjectAbilities;

    /// Reads an object, or a span of it. A span that reaches beyond the end is cut there; one that begins beyond the
    /// end is empty.
    ///
    /// # Errors
    /// [`ObjectError::Absent`].
    async fn get(&self, key: &str, span: Option<Span>) -> ObjectResult<ObjectBody>;

    /// What is known of an object.
    ///
    /// # Errors
    /// [`ObjectError::Absent`].
    async fn head(&self, key: &str) -> ObjectResult<ObjectMeta>;

    /// Writes an object of these pieces, in place of any before it. At most [`PART_LEN`] bytes.
    ///
    /// # Errors
    /// [`ObjectError::Changed`] if the condition does not hold: see the module for repeated calls.
    async fn put(&self, key: &str, pieces: Vec<Bytes>, when: PutWhen) -> ObjectResult<Option<ObjectTag>>;

    /// At most `most` objects whose keys begin with `prefix` and follow `after`, a key; in byte order. `prefix` may end
    /// within a name. The page may be shorter although more follow.
    async fn list(&self, prefix: &str, after: Option<&str>, most: usize) -> ObjectResult<ObjectPage>;

    /// At most `most` names directly below the directory `dir` (without a final `/`) that follow `after`. That need not
    /// be a name; it is compared with the names as bytes, those of directories with their `/`: after `a` come `a-b`, `a/`
    /// and `ab`, after `a/` only `ab`. The page may be shorter although more follow.
    async fn level(&self, dir: &str, after: Option<&str>, most: usize) -> ObjectResult<ObjectLevel>;

    /// Removes objects; those that do not exist are no error. Any number of keys.
    async fn delete(&self, keys: Vec<String>) -> ObjectResult<()>;

    /// Removes an object if it is in this state. Only where [`ObjectAbilities::delete_match`].
    ///
    /// # Errors
    /// [`ObjectError::Changed`] if it is in another state or absent: see the module for repeated calls.
    async fn delete_match(&self, key: &str, tag: &ObjectTag) -> ObjectResult<()>;

    /// Copies an object of any length to a new key.
    ///
    /// # Errors
    /// [`ObjectError::Absent`].
    async fn copy(&self, from: &str, to: &str) -> ObjectResult<()>;

    /// Begins an object that is written in parts, and returns the id of that. The object appears when the parts are
    /// completed. Any replica that knows the id and the parts can go on.
    async fn begin_parts(&self, key: &str) -> ObjectResult<String>;

    /// Writes a part, by its number from zero, and returns what [`Objects::complete_parts`] needs of it. Every part but
    /// the last has [`PART_LEN`] bytes. A part is written again only with the same bytes.
    ///
    /// # Errors
    /// [`ObjectError::Absent`] if the parts were completed or aborted.
    async fn put_part(&self, key: &str, id: &str, number: usize, pieces: Vec<Bytes>) -> ObjectResult<String>;

    /// Makes the object of these parts, which are all from the first to the last. Repeated after a success, it either
    /// succeeds or is [`ObjectError::Absent`]: then callers look at the object.
    ///
    /// # Errors
    /// [`ObjectError::Absent`] if the parts were completed or aborted.
    async fn complete_parts(&self, key: &str, id: &str, parts: &[String]) -> ObjectResult<()>;

    /// Drops the parts of an object that was not completed. It is no error if there are none.
    async fn abort_parts(&self, key: &str, id: &str) -> ObjectResult<()>;

    /// The store's clock: the one of [`ObjectMeta::modified`]. Needs no free space.
    async fn now(&self) -> ObjectResult<SystemTime>;

    /// An address by which anybody can read an object for a while, as it is for redirects; `None` if there is none.
    /// It is a secret: it is never logged.
    async fn presign(&self, key: &str, valid: Duration) -> ObjectResult<Option<String>> {
        let _ = (key, valid);
        Ok(None)
    }

    /// The room that the server has; `None` if it does not say.
    async fn space(&self) -> ObjectResult<Option<Space>> {
        Ok(None)
    }

    /// Whether this process may still write, as far as is known without asking. A journal accepts nothing that could not
    /// be uploaded any more.
    ///
    /// # Errors
    /// Why it may not.
    fn may_write(&self) -> ObjectResult<()> {
        Ok(())
    }

    /// Makes durable what earlier calls wrote, where `Ok` does not mean that already, as with a journal of writes.
    async fn settle(&self) -> ObjectResult<()> {
        Ok(())
    }
}
