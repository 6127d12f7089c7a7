//! The values that are recorded about a repository, and how they are written.

use crate::{access::Visibility, files::world, who::Subject};
use oci::json;
use serde::{Deserialize, Serialize};
use std::{str::FromStr, sync::Arc, time::SystemTime};

/// The user who owns a repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnerName(Arc<str>);

/// What a repository is for, in the words of those who maintain it: text of several lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description(Box<str>);

/// Why a text is not the name of an owner.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an owner must be a user name of at most {} bytes", OwnerName::MAX)]
pub struct InvalidOwner;

/// Why a text is not a description.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a description must be at most {} bytes of text without control characters", Description::MAX)]
pub struct InvalidDescription;

/// When and by whom something was created.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Creation {
    created: String,
    /// The user, if they were logged in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
}

impl OwnerName {
    /// The longest name in bytes.
    pub const MAX: usize = 255;

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(in crate::registry) fn to_bytes(&self) -> Vec<u8> {
        format!("{}\n", self.0).into()
    }
}

impl FromStr for OwnerName {
    type Err = InvalidOwner;

    fn from_str(text: &str) -> Result<Self, InvalidOwner> {
        match text.len() <= Self::MAX && Subject::is_user_name(text) {
            true => Ok(Self(text.into())),
            false => Err(InvalidOwner),
        }
    }
}

impl Description {
    /// The longest description in bytes.
    pub const MAX: usize = 4096;

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The text without the line feed at its end.
    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        std::str::from_utf8(bytes).ok()?.strip_suffix('\n')?.parse().ok()
    }

    pub(in crate::registry) fn to_bytes(&self) -> Vec<u8> {
        format!("{}\n", self.0).into()
    }
}

impl FromStr for Description {
    type Err = InvalidDescription;

    fn from_str(text: &str) -> Result<Self, InvalidDescription> {
        let is_text = |c: char| !c.is_control() || matches!(c, '\n' | '\t');
        match text.len() <= Self::MAX && text.chars().all(is_text) {
            true => Ok(Self(text.into())),
            false => Err(InvalidDescription),
        }
    }
}

impl Creation {
    pub(in crate::registry) fn now(by: &Subject) -> Self {
        let created = jiff::Timestamp::try_from(world::now()).unwrap_or_default().to_string();
        Self { created, by: by.name().map(str::to_owned) }
    }

    /// When it was created.
    pub fn at(&self) -> Option<SystemTime> {
        self.created.parse::<jiff::Timestamp>().ok().map(SystemTime::from)
    }

    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        json::from_slice::<Self>(bytes).ok().filter(|origin| origin.at().is_some())
    }

    pub(in crate::registry) fn to_bytes(&self) -> Vec<u8> {
        let mut json = serde_json::to_vec(self).unwrap_or_default();
        json.push(b'\n');
        json
    }
}

impl Visibility {
    /// The recorded word.
    pub(in crate::registry) fn to_bytes(self) -> Vec<u8> {
        format!("{}\n", self.as_str()).into()
    }
}
