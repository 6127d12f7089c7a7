//! Media types of artifacts.

use super::as_text;
use std::{fmt, str::FromStr, sync::Arc};

/// The media type of an artifact as its uploader stated it, such as `application/zip`. Lowercase, without parameters.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ArtifactMediaType(Arc<str>);

/// The text is not a media type.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a media type must be written type/subtype, in at most {} bytes", ArtifactMediaType::MAX)]
pub struct InvalidMediaType;

impl ArtifactMediaType {
    /// The longest media type in bytes.
    pub const MAX: usize = 127;

    /// The type of bytes of which nothing is known.
    pub const UNKNOWN: &'static str = "application/octet-stream";

    /// The media type as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for ArtifactMediaType {
    fn default() -> Self {
        Self(Self::UNKNOWN.into())
    }
}

impl FromStr for ArtifactMediaType {
    type Err = InvalidMediaType;

    fn from_str(text: &str) -> Result<Self, InvalidMediaType> {
        let essence = oci::media_type::essence(text);
        // RFC 6838, section 4.2.
        let is_name = |name: &str| {
            name.starts_with(|c: char| c.is_ascii_alphanumeric())
                && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&b))
        };
        match essence.split_once('/') {
            Some((kind, subtype)) if essence.len() <= Self::MAX && is_name(kind) && is_name(subtype) => {
                Ok(Self(essence.to_ascii_lowercase().into()))
            }
            _ => Err(InvalidMediaType),
        }
    }
}

impl fmt::Display for ArtifactMediaType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

as_text!(ArtifactMediaType);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_media_type_is_kept_without_parameters_and_in_lowercase() {
        let read = |text: &str| text.parse::<ArtifactMediaType>().map(|t| t.to_string());
        assert_eq!(read("Text/HTML; charset=utf-8").unwrap(), "text/html");
        assert_eq!(read(ArtifactMediaType::UNKNOWN).unwrap(), ArtifactMediaType::default().as_str());
        let long = format!("a/{}", "b".repeat(125));
        assert!(read(&long).is_ok() && read(&format!("{long}b")).is_err());
        for bad in
            ["", "text", "text/", "/html", "text/html/x", "text/ht ml", "text/html\r\nX: y", "te\0xt/a", "é/a", "*/*"]
        {
            assert_eq!(read(bad), Err(InvalidMediaType), "{bad:?}");
        }
    }
}
