//! Paths of artifacts within a version.

use super::{as_text, text::is_plain};
use std::{fmt, str::FromStr, sync::Arc};

/// Where a file is within its version: a relative path, that can be unpacked below any directory.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ArtifactPath(Arc<str>);

/// Why a text is not a path.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidArtifactPath {
    /// Too long.
    #[error(
        "a path must not be longer than {} bytes, and none of its components longer than {}",
        ArtifactPath::MAX,
        ArtifactPath::MAX_COMPONENT
    )]
    TooLong,
    /// Not a relative path.
    #[error(
        "a path must be components separated by '/', none of them empty, '.' or '..', without '\\' and control \
         characters, and in Unicode's composed form (NFC)"
    )]
    Grammar,
}

impl ArtifactPath {
    /// The longest path in bytes.
    pub const MAX: usize = 1024;

    /// The longest component in bytes: file systems have no longer names.
    pub const MAX_COMPONENT: usize = 255;

    /// The path as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The last component.
    pub fn base(&self) -> &str {
        self.0.rsplit_once('/').map_or(&self.0, |(_, base)| base)
    }
}

impl FromStr for ArtifactPath {
    type Err = InvalidArtifactPath;

    fn from_str(text: &str) -> Result<Self, InvalidArtifactPath> {
        if text.len() > Self::MAX || text.split('/').any(|component| component.len() > Self::MAX_COMPONENT) {
            return Err(InvalidArtifactPath::TooLong);
        }
        let is_component = |component: &str| !matches!(component, "" | "." | "..");
        match is_plain(text) && !text.contains('\\') && text.split('/').all(is_component) {
            true => Ok(Self(text.into())),
            false => Err(InvalidArtifactPath::Grammar),
        }
    }
}

impl fmt::Display for ArtifactPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ArtifactPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

as_text!(ArtifactPath);

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<ArtifactPath, InvalidArtifactPath> {
        text.parse()
    }

    #[test]
    fn paths_are_relative_and_stay_below_their_directory() {
        for (good, base) in
            [("a", "a"), ("bin/app.exe", "app.exe"), ("a b/ä", "ä"), ("...", "..."), (".hidden", ".hidden")]
        {
            assert_eq!(read(good).unwrap().base(), base);
        }
        for bad in [
            "",
            "/",
            "/etc/passwd",
            "a/",
            "a//b",
            ".",
            "..",
            "../a",
            "a/../b",
            "a/..",
            "./a",
            "a\\b",
            "..\\a",
            "a\0b",
            "a\nb",
            "e\u{301}",
        ] {
            assert_eq!(read(bad), Err(InvalidArtifactPath::Grammar), "{bad:?}");
        }
    }

    #[test]
    fn paths_end_at_1024_bytes_and_components_at_255() {
        assert!(read(&"a".repeat(255)).is_ok());
        assert_eq!(read(&"a".repeat(256)), Err(InvalidArtifactPath::TooLong));
        let long = vec!["a".repeat(255); 4].join("/");
        assert!(long.len() == 1023 && read(&long).is_ok());
        assert!(read(&format!("{}/a", &long[..1022])).is_ok());
        assert_eq!(read(&format!("{long}/a")), Err(InvalidArtifactPath::TooLong));
    }
}
