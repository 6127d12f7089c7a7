//! `/api/v1/repositories`, `/api/v1/namespaces` and `/api/v1/search`.

use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;

/// Who may pull a repository that no access rule covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum RepositoryVisibility {
    /// Everybody, without a login too.
    Public,
    /// Its owner.
    Private,
}

/// A repository. Names of users are only shown to callers who are logged in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RepositoryItem {
    /// Its name.
    pub name: String,
    /// The first component of its name, if it has more than one.
    pub namespace: Option<String>,
    /// Who may pull it where no access rule decides.
    pub visibility: RepositoryVisibility,
    /// The same as a boolean.
    pub private: bool,
    /// The same as a boolean.
    pub is_public: bool,
    /// The user who owns it.
    pub owner: Option<String>,
    /// Whether that is the caller.
    pub is_owned_by_me: bool,
    /// What it is for.
    pub description: Option<String>,
    /// Its own rule about immutable tags: a regular expression.
    pub immutable_tags: Option<String>,
    /// Tags.
    pub tag_count: u64,
    /// Manifests.
    pub manifest_count: u64,
    /// Blobs that are no manifests.
    pub blob_count: u64,
    /// Bytes of manifests and blobs. What several repositories share counts in each of them.
    pub size: u64,
    /// When it was created (RFC 3339), if that was recorded.
    pub created_at: Option<String>,
    /// Who created it, if that was recorded.
    pub created_by: Option<String>,
    /// When its content last changed (RFC 3339).
    pub updated_at: Option<String>,
    /// When a tag was last pushed (RFC 3339).
    pub last_pushed_at: Option<String>,
    /// When a manifest was last pulled (RFC 3339), to the hour; in lists only with `include=pulls`.
    pub last_pulled_at: Option<String>,
    /// Its newest tags by version, at most 100, the newest last and `latest` after it; only with `include=tags`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tags: Option<Vec<String>>,
    /// Its directory below the storage directory; only for administrators.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
}

/// A repository to create.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewRepositoryRequest {
    /// Its name.
    pub name: String,
    /// Private unless set.
    #[serde(default)]
    pub visibility: Option<RepositoryVisibility>,
    /// What it is for.
    #[serde(default)]
    pub description: Option<String>,
    /// The user who owns it; the caller unless set.
    #[serde(default)]
    pub owner: Option<String>,
}

/// A change of a repository: what is not in it stays, and `null` removes a value.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RepositoryChange {
    /// What it is for.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub description: Option<Option<String>>,
    /// The user who owns it.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub owner: Option<Option<String>>,
    /// A regular expression of tags that cannot be moved or deleted, besides those of the operator's rules.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub immutable_tags: Option<Option<String>>,
}

/// A field that is present, perhaps as `null`.
fn given<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<String>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

/// What a deletion of a repository removed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DeletedRepository {
    /// Its name.
    pub name: String,
    /// Tags.
    pub tags: u64,
    /// Manifests.
    pub manifests: u64,
    /// Blobs that it could serve; they may be in other repositories too.
    pub blobs: u64,
}

/// Who may pull a repository.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct VisibilityState {
    /// What is recorded.
    pub visibility: RepositoryVisibility,
    /// Whether everybody may pull, without a login too.
    pub effective: RepositoryVisibility,
    /// What decides in place of the recorded value, if something does.
    pub overridden_by: Option<String>,
}

/// A new visibility.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct VisibilityChange {
    /// The value to record.
    pub visibility: RepositoryVisibility,
}

/// A new visibility of a repository that the path does not name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct VisibilityOfRepository {
    /// The repository.
    pub name: String,
    /// Whether it becomes private.
    pub private: bool,
}

/// What one caller may do in a repository.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AccessItem {
    /// A user; `anonymous` is everybody without a login.
    pub who: String,
    /// `pull`, `push` and `delete`, as far as they are allowed.
    pub actions: Vec<String>,
    /// Why each of the three is allowed or not.
    pub reasons: Vec<AccessReason>,
}

/// Why an action is allowed or not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AccessReason {
    /// `pull`, `push` or `delete`.
    pub action: String,
    /// Whether it is allowed.
    pub allowed: bool,
    /// What decided: `admin`, `rules`, `roles`, `facts` or `default`.
    pub step: String,
    /// Why, in words.
    pub reason: String,
}

/// A namespace: the first component of repository names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NamespaceItem {
    /// Its name.
    pub name: String,
    /// Its repositories, as far as the caller may see them.
    pub repositories: u64,
    /// Their tags.
    pub tags: u64,
    /// Their bytes.
    pub size: u64,
    /// When it was created (RFC 3339); unset if only its repositories make it exist.
    pub created_at: Option<String>,
    /// Who created it, for callers who are logged in.
    pub created_by: Option<String>,
}

/// A namespace to create.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewNamespaceRequest {
    /// Its name: one component.
    pub name: String,
}

/// Something that a search found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SearchResult {
    /// `repository`, `tag` or `digest`.
    pub kind: String,
    /// The repository.
    pub repository: String,
    /// The tag, if it is one.
    pub tag: Option<String>,
    /// The manifest, for tags and digests.
    pub digest: Option<String>,
}
