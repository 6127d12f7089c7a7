//! The id of an upload session.

use std::{fmt, str::FromStr};

/// Names one upload session: a random UUID, so that it cannot be guessed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UploadId(uuid::Uuid);

/// A text that is no upload id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an upload ID must be a lowercase UUID with hyphens")]
pub struct InvalidUploadId;

impl UploadId {
    /// A fresh id from the system's random source.
    pub fn random() -> Self {
        Self(uuid::Uuid::new_v4())
    }
}

impl From<uuid::Uuid> for UploadId {
    /// The id must be random, and never have been used.
    fn from(id: uuid::Uuid) -> Self {
        Self(id)
    }
}

impl FromStr for UploadId {
    type Err = InvalidUploadId;

    fn from_str(text: &str) -> Result<Self, InvalidUploadId> {
        let id = uuid::Uuid::try_parse(text).map_err(|_| InvalidUploadId)?;
        // Only the spelling we hand out, so that one session has one name.
        if id.hyphenated().encode_lower(&mut uuid::Uuid::encode_buffer()) == text {
            Ok(Self(id))
        } else {
            Err(InvalidUploadId)
        }
    }
}

impl fmt::Display for UploadId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0.hyphenated(), f)
    }
}

impl fmt::Debug for UploadId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_session_has_one_spelling() {
        let id = UploadId::random();
        assert_eq!(id.to_string().parse(), Ok(id));
        for bad in [id.to_string().to_uppercase(), id.to_string().replace('-', ""), "..".into(), String::new()] {
            assert_eq!(bad.parse::<UploadId>(), Err(InvalidUploadId), "{bad}");
        }
    }
}
