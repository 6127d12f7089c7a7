//! What a repository holds, at a glance: for lists, totals and quotas.

use std::time::SystemTime;

/// What a repository holds. While it is being changed, the numbers may be of different moments.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RepositoryOutline {
    /// Number of tags.
    pub tags: u64,
    /// Number of manifests.
    pub manifests: u64,
    /// Number of blobs that are no manifests.
    pub blobs: u64,
    /// Bytes of its manifests and blobs. What several repositories share counts in each of them.
    pub bytes: u64,
    /// When a tag was last pushed.
    pub pushed: Option<SystemTime>,
    /// When a tag, a manifest or a blob was last added or removed.
    pub changed: Option<SystemTime>,
    /// Identifies this state; `None` if the next change might not give another stamp.
    pub stamp: Option<OutlineStamp>,
}

/// Identifies a state of a repository: the times of its directories.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutlineStamp(pub(super) [Option<SystemTime>; 5]);
