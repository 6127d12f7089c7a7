//! `/api/v1/config`.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// The state of the configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ConfigStatus {
    /// The version of the active configuration: the same on every replica with the same files.
    pub generation: String,
    /// How often it has changed since startup.
    pub number: u64,
    /// When the files were last loaded (RFC 3339).
    pub loaded_at: String,
    /// What is wrong with the files on disk; their previous versions are still active.
    pub problems: Vec<ConfigProblem>,
    /// The files that can be edited here.
    pub files: Vec<ConfigFile>,
}

/// A file of the operator.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ConfigFile {
    /// `htpasswd`, `access-control` or `settings`.
    pub name: String,
    /// Where it is; unset if the configuration names no such file.
    pub path: Option<String>,
    /// The variable that names it.
    pub variable: String,
}

/// A problem of the configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ConfigProblem {
    /// The file, if it is in one.
    pub file: Option<String>,
    /// The line, from 1.
    pub line: Option<u64>,
    /// The key or variable.
    pub key: Option<String>,
    /// What is wrong.
    pub problem: String,
}

/// `POST /config/check`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CheckConfig {
    /// `access-control` or `settings`.
    pub file: String,
    /// The text that the file would have.
    pub text: String,
}

/// What is wrong with a text; empty if it could be used.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ConfigChecked {
    /// The problems.
    pub problems: Vec<ConfigProblem>,
}

/// `GET /settings/config`: the startup settings in force.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BootSettings {
    /// By variable.
    pub values: BTreeMap<String, BootSetting>,
}

/// A startup setting.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BootSetting {
    /// Its value; a part of it is masked if it could be a secret.
    pub value: Option<String>,
    /// `default`, `environment`, `flag`, or the file and line.
    pub source: String,
}

/// What a change would do to the configuration files; nothing was written. The answer to `?dry_run=true`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ChangePreview {
    /// The files that would change.
    pub files: Vec<PreviewedFile>,
}

/// A file that a change would edit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PreviewedFile {
    /// `htpasswd`, `access-control` or `settings`.
    pub file: String,
    /// The hash of its text as it is now.
    pub etag: String,
    /// Lines that would be added.
    pub added: u64,
    /// Lines that would be removed.
    pub removed: u64,
    /// Why the file cannot be written here; unset if it can. The change must be made where the file comes from.
    pub read_only: Option<String>,
    /// Its path; only for those with `ADMIN:SYSTEM`.
    pub path: Option<String>,
    /// The lines that would change, as a unified diff without the hashes of passwords; only for those with
    /// `ADMIN:SYSTEM`.
    pub diff: Option<String>,
}
