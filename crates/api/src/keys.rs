//! `/api/v1/keys`: API keys, the passwords of programs.

use serde::{Deserialize, Deserializer, Serialize};
use std::fmt;
use utoipa::ToSchema;

/// An API key, without its secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ApiKeyInfo {
    /// Its id, which is also the second part of the key.
    pub id: String,
    /// What its owner calls it.
    pub name: String,
    /// The user as whom it acts.
    pub owner: String,
    /// What it is for: `repository:PATTERN:ACTIONS`, `artifact:PATTERN:ACTIONS` or `VERB:RESOURCE`.
    pub scopes: Vec<String>,
    /// When it was made (RFC 3339).
    pub created_at: String,
    /// Who made it.
    pub created_by: String,
    /// When it expires (RFC 3339), if it does.
    pub expires_at: Option<String>,
    /// Whether it has expired.
    pub expired: bool,
    /// When it was used last, to ten minutes (RFC 3339).
    pub last_used_at: Option<String>,
    /// Whether it is in the operator's directory `REGISTRY_API_KEYS`, and can only be changed there.
    #[serde(default)]
    pub read_only: bool,
}

/// `POST /api/v1/keys`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewApiKey {
    /// What its owner calls it.
    pub name: String,
    /// What it is for.
    pub scopes: Vec<String>,
    /// For how many seconds it is good; unset for ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_in: Option<u64>,
    /// The user as whom it acts; unset for the caller.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
}

/// A new API key. Its secret is shown only here.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ApiKeyCreated {
    /// The key.
    #[serde(flatten)]
    pub key: ApiKeyInfo,
    /// What a client sends, as the password or as a token.
    pub secret: String,
}

/// `PATCH /api/v1/keys/{id}`. What is unset stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ApiKeyPatch {
    /// Another name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Other scopes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scopes: Option<Vec<String>>,
    /// For how many seconds from now it is good; null for ever.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    #[schema(value_type = Option<u64>)]
    pub expires_in: Option<Option<u64>>,
}

/// A field that is present, even if it is null.
fn present<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

impl fmt::Debug for ApiKeyCreated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ApiKeyCreated({:?}, …)", self.key)
    }
}
