//! The id of an upload session, and the position in it that a `Location` names.

use std::{fmt, str::FromStr};

/// Identifies one upload session: a random UUID, so that it cannot be guessed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UploadId(uuid::Uuid);

/// The text is not an upload id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an upload ID must be a lowercase UUID with hyphens")]
pub struct InvalidUploadId;

impl UploadId {
    /// A new id from the system's random source.
    pub fn random() -> Self {
        Self(uuid::Uuid::new_v4())
    }
}

impl From<uuid::Uuid> for UploadId {
    /// The id must be random, and never used before.
    fn from(id: uuid::Uuid) -> Self {
        Self(id)
    }
}

impl FromStr for UploadId {
    type Err = InvalidUploadId;

    fn from_str(text: &str) -> Result<Self, InvalidUploadId> {
        let id = uuid::Uuid::try_parse(text).map_err(|_| InvalidUploadId)?;
        // Only the spelling we issue, so that one session has one name.
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

/// The last segment of an upload's `Location`: the session, and its length as reported to the client. A client may
/// leave out the length.
///
/// It is part of the path and not of the query, so that it survives clients that set a query of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UploadPlace {
    /// The session.
    pub id: UploadId,
    /// The length in bytes when the `Location` was issued.
    pub offset: Option<u64>,
}

impl FromStr for UploadPlace {
    type Err = InvalidUploadId;

    fn from_str(text: &str) -> Result<Self, InvalidUploadId> {
        let Some((id, digits)) = text.split_once('.') else { return Ok(Self { id: text.parse()?, offset: None }) };
        let offset: u64 = digits.parse().map_err(|_| InvalidUploadId)?;
        // Only the spelling we issue here too.
        match offset.to_string() == digits {
            true => Ok(Self { id: id.parse()?, offset: Some(offset) }),
            false => Err(InvalidUploadId),
        }
    }
}

impl fmt::Display for UploadPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.offset {
            Some(offset) => write!(f, "{}.{offset}", self.id),
            None => self.id.fmt(f),
        }
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

    #[test]
    fn an_offset_in_a_session_has_one_spelling_too() {
        let id = UploadId::random();
        for offset in [None, Some(0), Some(7), Some(u64::MAX)] {
            let place = UploadPlace { id, offset };
            assert_eq!(place.to_string().parse(), Ok(place));
        }
        for bad in ["", ".", ".0", "..", "5"] {
            assert_eq!(bad.parse::<UploadPlace>(), Err(InvalidUploadId), "{bad}");
        }
        for bad in ["", "00", "07", "+7", "-1", " 7", "7 ", "7.", "7.0", "18446744073709551616"] {
            assert_eq!(format!("{id}.{bad}").parse::<UploadPlace>(), Err(InvalidUploadId), "{bad}");
        }
    }
}
