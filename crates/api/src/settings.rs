//! `/api/v1/settings`.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// One section of the settings.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SettingsSection {
    /// Its name.
    pub section: String,
    /// The value of each key; of a repeatable table, the list of its tables under the section's name.
    pub values: BTreeMap<String, Value>,
    /// The default of each key.
    pub defaults: BTreeMap<String, Value>,
    /// Keys that an environment variable overrides, with the variable.
    pub locked: BTreeMap<String, String>,
    /// What each key does.
    pub help: BTreeMap<String, SettingHelp>,
}

/// What a setting does.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SettingHelp {
    /// For people, with units.
    pub text: String,
    /// The accepted values, for people.
    pub range: String,
    /// When a change takes effect: `reload` or `restart`.
    pub applies: String,
}

/// All sections.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SettingsList {
    /// In the order of the reference.
    pub items: Vec<SettingsSection>,
}

/// `PUT` and `PATCH /settings/{section}`: values by key. A string is taken for the type of its key.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(transparent)]
pub struct SettingValues(pub BTreeMap<String, Value>);

/// The answer to `PUT /settings/{section}`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SettingsPut {
    /// The section now.
    #[serde(flatten)]
    pub section: SettingsSection,
    /// Keys that the request did not name, which have their defaults again.
    pub reset: Vec<String>,
}
