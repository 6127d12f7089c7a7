//! What repositories hold: tags and manifests at `/api/v1/repositories/{repository}/-/`.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

/// A tag and what it points to. Names of users are only shown to callers who are logged in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TagItem {
    /// The tag.
    pub name: String,
    /// The manifest that it points to.
    pub digest: String,
    /// `image`, `index` (several images), `chart` (Helm) or `artifact`.
    pub kind: String,
    /// Media type of the manifest; unset if it is missing.
    pub media_type: Option<String>,
    /// What an image or artifact contains: its `artifactType`, or the media type of its configuration.
    pub artifact_type: Option<String>,
    /// Bytes of everything it consists of, each blob once.
    pub size: u64,
    /// What it runs on, such as `linux/arm64/v8`.
    pub platforms: Vec<String>,
    /// When the tag was set (RFC 3339).
    pub pushed_at: String,
    /// Who set it, if that was recorded.
    pub pushed_by: Option<String>,
    /// When the manifest was last pulled (RFC 3339), to the hour, if known.
    pub last_pulled_at: Option<String>,
    /// It can neither be moved nor deleted.
    pub immutable: bool,
    /// Something that looks like a signature is attached. It is not verified.
    pub has_signature: bool,
    /// Some other tags of the same manifest.
    pub aliases: Vec<String>,
}

/// Where a tag is to point.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TagTarget {
    /// A manifest of the repository.
    pub digest: String,
}

/// Tags to delete.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TagDeletion {
    /// At most 1,000 tags.
    pub tags: Vec<String>,
    /// Only report what would be deleted.
    #[serde(default)]
    pub dry_run: bool,
}

/// What a deletion of tags did, or would do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DeletedTags {
    /// Tags that were deleted.
    pub deleted: Vec<String>,
    /// Tags that stay because they are immutable.
    pub immutable: Vec<String>,
    /// Tags that do not exist.
    pub missing: Vec<String>,
    /// Manifests that have no tag any more; they can still be pulled by their digests.
    pub untagged: Vec<String>,
    /// Nothing was deleted.
    pub dry_run: bool,
}

/// A part of a manifest: a blob or another manifest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ManifestPart {
    /// Its digest.
    pub digest: String,
    /// Its media type.
    pub media_type: String,
    /// Its length in bytes, as the manifest says.
    pub size: u64,
    /// What the manifest says about it.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub annotations: Value,
    /// For layers: how many other manifests of the repository have it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shared_by: Option<u64>,
    /// For manifests of an index: what it runs on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<String>,
    /// For manifests of an index: whether the repository has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub present: Option<bool>,
}

/// A step that built an image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BuildStep {
    /// When, as written.
    pub created: Option<String>,
    /// The command.
    pub created_by: Option<String>,
    /// A remark.
    pub comment: Option<String>,
    /// The digest of the layer that it made, if it made one.
    pub layer: Option<String>,
}

/// A manifest and what is known about it. Names of users are only shown to callers who are logged in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ManifestView {
    /// Its digest.
    pub digest: String,
    /// `image`, `index`, `chart` or `artifact`.
    pub kind: String,
    /// Its media type.
    pub media_type: String,
    /// What an image or artifact contains.
    pub artifact_type: Option<String>,
    /// Bytes of everything it consists of, each blob once.
    pub size: u64,
    /// What it runs on.
    pub platforms: Vec<String>,
    /// Tags that point to it, at most 100.
    pub tags: Vec<String>,
    /// When it was last pushed (RFC 3339).
    pub pushed_at: String,
    /// Who pushed it then, if that was recorded.
    pub pushed_by: Option<String>,
    /// When it was last pulled (RFC 3339), to the hour, if known.
    pub last_pulled_at: Option<String>,
    /// Something that looks like a signature is attached. It is not verified.
    pub has_signature: bool,
    /// Its annotations.
    pub annotations: Value,
    /// The manifest that it refers to.
    pub subject: Option<String>,
    /// The descriptor of its configuration.
    pub config: Option<ManifestPart>,
    /// The configuration of an image, if it is JSON.
    pub config_content: Option<Value>,
    /// The steps that built it, oldest first.
    pub history: Vec<BuildStep>,
    /// Its layers, or the blobs of an artifact.
    pub layers: Vec<ManifestPart>,
    /// The manifests of an index.
    pub children: Vec<ManifestPart>,
    /// Manifests that refer to it, as the referrers API of the protocol lists them.
    pub referrers: Vec<Value>,
    /// The manifest as it was pushed, if it is text.
    pub raw: Option<String>,
}

/// A manifest without a tag.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UntaggedManifest {
    /// Its digest.
    pub digest: String,
    /// `image`, `index`, `chart` or `artifact`.
    pub kind: String,
    /// Its media type.
    pub media_type: String,
    /// Bytes of everything it consists of, each blob once.
    pub size: u64,
    /// When it was last pushed (RFC 3339).
    pub pushed_at: String,
    /// Since when it has no tag (RFC 3339): when it was pushed, or lost its last one.
    pub untagged_since: String,
    /// When it was last pulled (RFC 3339), to the hour, if known.
    pub last_pulled_at: Option<String>,
    /// The manifest that it refers to.
    pub subject: Option<String>,
    /// Whether the retention rules keep it.
    pub keep: bool,
    /// Why, in words.
    pub reason: String,
}

/// A manifest that refers to another one: a signature, an SBOM, or anything else that was attached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AttachedManifest {
    /// Its digest.
    pub digest: String,
    /// The manifest that it refers to.
    pub subject: String,
    /// Whether that is in the repository.
    pub has_subject: bool,
    /// Some tags of the manifest that it refers to.
    pub subject_tags: Vec<String>,
    /// Its media type.
    pub media_type: String,
    /// What it contains, as it says.
    pub artifact_type: Option<String>,
    /// Bytes of everything it consists of, each blob once.
    pub size: u64,
    /// When it was last pushed (RFC 3339).
    pub pushed_at: String,
    /// Who pushed it then, if that was recorded.
    pub pushed_by: Option<String>,
}

/// What the retention rules would do with a tag or an untagged manifest now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RetentionPlanItem {
    /// The tag; unset for a manifest without one.
    pub tag: Option<String>,
    /// The manifest.
    pub digest: String,
    /// Whether it stays.
    pub keep: bool,
    /// The rule that applies, from 1.
    pub rule: Option<u64>,
    /// Why, in words.
    pub reason: String,
}

/// How two manifests of a repository differ.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ManifestComparison {
    /// The first one.
    pub from: ComparedManifest,
    /// The second one.
    pub to: ComparedManifest,
    /// How many bytes larger the second one is.
    pub size_difference: i64,
    /// Layers and children that both have.
    pub common: Vec<ManifestPart>,
    /// Those that only the first one has.
    pub removed: Vec<ManifestPart>,
    /// Those that only the second one has.
    pub added: Vec<ManifestPart>,
    /// Values of the configuration that differ.
    pub config: Vec<ConfigDifference>,
}

/// One of two manifests.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ComparedManifest {
    /// Its digest.
    pub digest: String,
    /// Its media type.
    pub media_type: String,
    /// Bytes of everything it consists of, each blob once.
    pub size: u64,
}

/// A value of the configuration that differs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ConfigDifference {
    /// Its key, such as `config.Env`.
    pub key: String,
    /// The first value.
    pub from: Option<Value>,
    /// The second value.
    pub to: Option<Value>,
}

/// What to copy into a repository.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CopyRequest {
    /// The repository to copy from.
    pub from: String,
    /// At most 100 tags.
    pub tags: Vec<String>,
    /// Also copy signatures and everything else that refers to the images.
    #[serde(default)]
    pub referrers: bool,
}

/// What was copied.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CopiedImages {
    /// The tags that were set.
    pub tags: Vec<CopiedTag>,
    /// How many manifests were copied.
    pub manifests: u64,
}

/// A tag that was copied.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CopiedTag {
    /// The tag.
    pub name: String,
    /// The manifest that it points to.
    pub digest: String,
}
