//! What an operator may decide about the registry itself; plain values, no file in sight.

pub use super::retention::rule::{ImmutableTags, RetentionRule};

use super::{Collection, Scrub};
use crate::oci::{RepositoryName, Tag};
use std::time::Duration;

/// Which dangling references a manifest may carry when it is pushed.
///
/// `subject` and layers that only name foreign `urls` may always be absent
/// (distribution-spec, "Pushing Manifests").
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MissingReferences {
    /// Everything referred to must be in the repository.
    Refuse,
    /// Config and layers must be there; children of an index may be absent.
    #[default]
    Children,
    /// Anything may be absent.
    Accept,
}

/// Rules and bounds of the registry. Sizes are bytes.
#[derive(Clone, Debug)]
pub struct Settings {
    /// See [`MissingReferences`].
    pub missing_references: MissingReferences,
    /// Whether a manifest that an index lists cannot be deleted.
    pub protect_children: bool,
    /// Largest manifest accepted.
    pub manifest_bytes: u64,
    /// Deepest nesting of a manifest's JSON.
    pub manifest_depth: usize,
    /// Most descriptors (layers or children) in one manifest.
    pub manifest_descriptors: usize,
    /// Most `tag` parameters of one manifest push.
    pub tags_per_push: usize,
    /// Largest blob accepted.
    pub blob_bytes: u64,
    /// Most upload sessions open at once, over all callers.
    pub open_uploads: usize,
    /// Most upload sessions open at once for one caller.
    pub open_uploads_per_user: usize,
    /// Most bytes held by one caller's open upload sessions.
    pub upload_bytes_per_user: u64,
    /// How long a session outlives the last byte received.
    pub upload_timeout: Duration,
    /// How often expired sessions are looked for.
    pub upload_cleanup_interval: Duration,
    /// Free bytes below which nothing more is accepted; `None` is 1 % of the file system, at most 1 GiB.
    pub reserve_bytes: Option<u64>,
    /// Free inodes below which nothing more is accepted; `None` is 1 % of the file system, at most 10,000.
    pub reserve_inodes: Option<u64>,
    /// Most ranges answered in one response; a request for more is answered whole.
    pub ranges_per_request: usize,
    /// When garbage is collected, and how long it is left alone before.
    pub collection: Collection,
    /// How all blobs are read in the background.
    pub scrub: Scrub,
    /// Page of the catalog when the request names no size.
    pub page_default: usize,
    /// Largest page of the catalog or of a tag list.
    pub page_max: usize,
    /// Which tags and untagged manifests go by themselves; the first rule for a repository decides.
    pub retention: Vec<RetentionRule>,
    /// Tags that never change.
    pub immutable: Vec<ImmutableTags>,
}

impl Settings {
    /// Whether a tag never comes to point elsewhere.
    pub fn is_immutable(&self, repository: &RepositoryName, tag: &Tag) -> bool {
        self.immutable.iter().any(|tags| tags.hold(repository, tag))
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            missing_references: MissingReferences::default(),
            protect_children: false,
            manifest_bytes: 4 << 20,
            manifest_depth: 32,
            manifest_descriptors: 10_000,
            tags_per_push: 100,
            blob_bytes: 1 << 40,
            open_uploads: 10_000,
            open_uploads_per_user: 2_000,
            upload_bytes_per_user: 4 << 40,
            upload_timeout: Duration::from_secs(3600),
            upload_cleanup_interval: Duration::from_secs(300),
            reserve_bytes: None,
            reserve_inodes: None,
            ranges_per_request: 128,
            collection: Collection::default(),
            scrub: Scrub::default(),
            page_default: 100,
            page_max: 1000,
            retention: Vec::new(),
            immutable: Vec::new(),
        }
    }
}
