//! The operator's settings of the registry; plain values, independent of any file.

mod artifact_search;
mod quota;
mod rule;
mod upkeep;

pub use artifact_search::ArtifactSearchSettings;
pub use quota::Quota;
pub(crate) use rule::ImmutableHere;
pub use rule::{ImmutableTags, RetentionRule};
pub use upkeep::{ArtifactSettings, Collection, ScrubSettings};

use crate::artifacts::retention::ArtifactRetention;
use std::time::Duration;

/// Which missing references a pushed manifest may have.
///
/// `subject` and layers that only name foreign `urls` may always be missing (distribution-spec, "Pushing Manifests").
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MissingReferences {
    /// All references must be in the repository.
    Refuse,
    /// Config and layers must exist; children of an index may be missing.
    #[default]
    Children,
    /// Any reference may be missing.
    Accept,
}

/// Which pushes may create a repository.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AutoCreate {
    /// All.
    #[default]
    Anywhere,
    /// Those into a namespace that exists.
    InNamespaces,
    /// None: repositories are created by the management API.
    Never,
}

/// Which blobs are verified while they are sent completely.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum VerifyReads {
    /// None.
    #[default]
    Off,
    /// One in this many.
    Sampled,
    /// All.
    Always,
}

/// Rules and limits of the registry. Sizes are in bytes.
#[derive(Clone, Debug)]
pub struct Settings {
    /// See [`MissingReferences`].
    pub missing_references: MissingReferences,
    /// Whether a manifest that an index lists cannot be deleted.
    pub protect_children: bool,
    /// Maximum size of a manifest.
    pub manifest_bytes: u64,
    /// Maximum nesting depth of a manifest's JSON.
    pub manifest_depth: usize,
    /// Maximum number of descriptors (layers or children) in one manifest.
    pub manifest_descriptors: usize,
    /// Maximum number of `tag` parameters in one manifest push.
    pub tags_per_push: usize,
    /// Maximum size of a blob.
    pub blob_bytes: u64,
    /// Maximum number of open upload sessions of all callers.
    pub open_uploads: usize,
    /// Maximum number of open upload sessions of one caller.
    pub open_uploads_per_user: usize,
    /// Maximum number of bytes in one caller's open upload sessions.
    pub upload_bytes_per_user: u64,
    /// How long a session lives after its last byte.
    pub upload_timeout: Duration,
    /// How often expired sessions are deleted.
    pub upload_cleanup_interval: Duration,
    /// Free bytes below which pushes are refused; `None` is 1 % of the file system, at most 1 GiB.
    pub reserve_bytes: Option<u64>,
    /// Free inodes below which pushes are refused; `None` is 1 % of the file system, at most 10,000.
    pub reserve_inodes: Option<u64>,
    /// Maximum number of ranges in one response; a request for more gets the whole content.
    pub ranges_per_request: usize,
    /// Which reads are verified.
    pub verify_reads: VerifyReads,
    /// Whether clients that read a blob are sent to the bucket that holds it.
    pub redirect_reads: bool,
    /// When garbage is collected, and how long it stays before.
    pub collection: Collection,
    /// How all blobs are scrubbed.
    pub scrub: ScrubSettings,
    /// Page size of the catalog if the request has none.
    pub page_default: usize,
    /// Maximum page size of the catalog and of tag lists.
    pub page_max: usize,
    /// Maximum number of entries read for one page of referrers.
    pub referrers_max: usize,
    /// Which tags and untagged manifests are deleted automatically; the first rule that matches a repository applies.
    pub retention: Vec<RetentionRule>,
    pub immutable: Vec<ImmutableTags>,
    /// How much repositories may hold together.
    pub quotas: Vec<Quota>,
    /// Which pushes may create a repository.
    pub auto_create: AutoCreate,
    /// Whether a user whose push creates a repository owns it.
    pub owner_on_push: bool,
    /// The artifact store.
    pub artifacts: ArtifactSettings,
    /// The search for artifacts.
    pub artifact_search: ArtifactSearchSettings,
    /// Which artifacts are deleted automatically, where their repository has no rules of its own.
    pub artifact_retention: ArtifactRetention,
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
            verify_reads: VerifyReads::default(),
            redirect_reads: false,
            collection: Collection::default(),
            scrub: ScrubSettings::default(),
            page_default: 100,
            page_max: 1000,
            referrers_max: 1000,
            retention: Vec::new(),
            immutable: Vec::new(),
            quotas: Vec::new(),
            auto_create: AutoCreate::default(),
            owner_on_push: false,
            artifacts: ArtifactSettings::default(),
            artifact_search: ArtifactSearchSettings::default(),
            artifact_retention: ArtifactRetention::default(),
        }
    }
}
