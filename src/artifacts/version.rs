//! Versions of artifacts.

use super::{ArtifactId, as_text, text::is_plain};
use std::{fmt, fmt::Write as _, str::FromStr, sync::Arc};

/// The version of an artifact: any text that fits into one segment of a path and into one file name.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ArtifactVersion(Arc<str>);

/// Why a text is not a version.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidVersion {
    /// Empty or longer than [`ArtifactVersion::MAX`].
    #[error(
        "a version must have 1 to {} bytes, where every byte but those of letters, digits, '.', '_', '+' and '-' \
         counts as three",
        ArtifactVersion::MAX
    )]
    Length,
    /// It has characters that no version may have.
    #[error(
        "a version must not begin with '.' or '_', must not contain '/', '\\' or control characters, and must be in \
         Unicode's composed form (NFC)"
    )]
    Grammar,
    /// The API has another meaning for it.
    #[error("no artifact can have the version {0:?}: the API uses it for something else")]
    Reserved(Box<str>),
}

impl ArtifactVersion {
    /// The longest version in bytes, as it is written in file names.
    pub const MAX: usize = 255;

    /// Versions with another meaning in the paths and queries of the API. So has everything that looks like an
    /// [`ArtifactId`].
    pub const RESERVED: [&'static str; 6] = ["-", "upload", "versions", "query", "trash", Self::LATEST];

    /// Stands for the newest version where one is asked for.
    pub const LATEST: &'static str = "latest";

    /// The version as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The version as a file name.
    pub fn file_name(&self) -> String {
        let mut written = String::with_capacity(self.0.len());
        for byte in self.0.bytes() {
            match is_literal(byte) {
                true => written.push(byte.into()),
                // Writing to a string cannot fail.
                false => _ = write!(written, "%{byte:02X}"),
            }
        }
        written
    }

    /// The version with this file name, only in the spelling of [`Self::file_name`].
    pub fn of_file_name(name: &str) -> Option<Self> {
        let mut bytes = Vec::with_capacity(name.len());
        let mut rest = name.as_bytes();
        while let Some((&first, after)) = rest.split_first() {
            rest = after;
            bytes.push(match first {
                b'%' => {
                    let (digits, after) = rest.split_at_checked(2)?;
                    rest = after;
                    u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?
                }
                literal => literal,
            });
        }
        let version: Self = String::from_utf8(bytes).ok()?.parse().ok()?;
        (version.file_name() == name).then_some(version)
    }
}

fn is_literal(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'+' | b'-')
}

impl FromStr for ArtifactVersion {
    type Err = InvalidVersion;

    fn from_str(text: &str) -> Result<Self, InvalidVersion> {
        let written: usize = text.bytes().map(|byte| if is_literal(byte) { 1 } else { 3 }).sum();
        if text.is_empty() || written > Self::MAX {
            return Err(InvalidVersion::Length);
        }
        if text.starts_with(['.', '_']) || text.contains(['/', '\\']) || !is_plain(text) {
            return Err(InvalidVersion::Grammar);
        }
        if Self::RESERVED.contains(&text) || text.parse::<ArtifactId>().is_ok() {
            return Err(InvalidVersion::Reserved(text.into()));
        }
        Ok(Self(text.into()))
    }
}

impl fmt::Display for ArtifactVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ArtifactVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

as_text!(ArtifactVersion);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str) -> Result<ArtifactVersion, InvalidVersion> {
        text.parse()
    }

    #[test]
    fn versions_follow_the_grammar() {
        for good in ["1", "1.10.0-rc.1+build.7", "main", "v1 beta", "nightly@2026-11-30", "ä", "100%", "-1", "Latest"]
        {
            assert_eq!(read(good).unwrap().as_str(), good);
        }
        for bad in [".", "..", ".1", "_main", "a/b", "a\\b", "a\0", "a\n", "e\u{301}"] {
            assert_eq!(read(bad), Err(InvalidVersion::Grammar), "{bad:?}");
        }
        let id = format!("art-{}", "a".repeat(26));
        for reserved in ArtifactVersion::RESERVED.into_iter().chain([id.as_str()]) {
            assert_eq!(read(reserved), Err(InvalidVersion::Reserved(reserved.into())), "{reserved}");
        }
        assert!(read(&format!("art-{}", "a".repeat(25))).is_ok());
    }

    #[test]
    fn versions_end_at_255_bytes_of_a_file_name() {
        assert!(read(&"a".repeat(255)).is_ok());
        assert_eq!(read(&"a".repeat(256)), Err(InvalidVersion::Length));
        assert!(read(&"@".repeat(85)).is_ok());
        assert_eq!(read(&"@".repeat(86)), Err(InvalidVersion::Length));
        assert_eq!(read(""), Err(InvalidVersion::Length));
    }

    #[test]
    fn a_version_has_one_file_name() {
        let name = |text: &str| read(text).unwrap().file_name();
        assert_eq!(name("1.0+a_b-c"), "1.0+a_b-c");
        assert_eq!(name("v1 ä%"), "v1%20%C3%A4%25");
        for other in ["v1%2e0", "%c3%a4", "%41", "%", "%4", "%G1", "%C3", "..", "%2E%2E", "a%2Fb", "%00", ""] {
            assert_eq!(ArtifactVersion::of_file_name(other), None, "{other}");
        }
    }

    proptest! {
        #[test]
        fn every_version_parses_back_from_its_file_name(text in "\\PC{0,40}") {
            if let Ok(version) = read(&text) {
                let name = version.file_name();
                prop_assert!(name.len() <= 255 && !name.starts_with(['.', '_']) && !name.contains('/'), "{}", name);
                prop_assert_eq!(ArtifactVersion::of_file_name(&name), Some(version));
            }
        }
    }
}
