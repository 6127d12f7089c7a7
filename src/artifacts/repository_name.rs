//! Names of artifact repositories.

use super::as_text;
use oci::RepositoryName;
use std::{fmt, str::FromStr};

/// The name of an artifact repository: one component of the grammar of repository names, so that it is one segment of
/// a path. It has nothing to do with a repository of images that has the same name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ArtifactRepositoryName(RepositoryName);

/// Why a text is not the name of an artifact repository.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidArtifactRepository {
    /// Longer than [`ArtifactRepositoryName::MAX`].
    #[error("the name of an artifact repository must not be longer than {} bytes", ArtifactRepositoryName::MAX)]
    TooLong,
    /// It does not match the grammar.
    #[error(
        "the name of an artifact repository must be lowercase letters and digits, with '.', '_', '__' or '-' only \
         between them, and without '/'"
    )]
    Grammar,
    /// The API has another meaning for it.
    #[error("no artifact repository can have the name {0:?}: the API uses it for something else")]
    Reserved(&'static str),
}

impl ArtifactRepositoryName {
    /// The longest name in bytes.
    pub const MAX: usize = 128;

    /// Names with another meaning in the paths of the API.
    pub const RESERVED: [&'static str; 2] = ["repos", "search"];

    /// The name as written.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// The same name as patterns of access rules match it.
    pub fn to_match(&self) -> &RepositoryName {
        &self.0
    }
}

impl FromStr for ArtifactRepositoryName {
    type Err = InvalidArtifactRepository;

    fn from_str(text: &str) -> Result<Self, InvalidArtifactRepository> {
        if text.len() > Self::MAX {
            return Err(InvalidArtifactRepository::TooLong);
        }
        if let Some(reserved) = Self::RESERVED.into_iter().find(|reserved| *reserved == text) {
            return Err(InvalidArtifactRepository::Reserved(reserved));
        }
        if !RepositoryName::is_component(text) {
            return Err(InvalidArtifactRepository::Grammar);
        }
        text.parse().map(Self).map_err(|_| InvalidArtifactRepository::Grammar)
    }
}

impl fmt::Display for ArtifactRepositoryName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

as_text!(ArtifactRepositoryName);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_component_that_the_api_does_not_use() {
        let read = |text: &str| text.parse::<ArtifactRepositoryName>();
        for good in ["builds", "nightly-2", "a.b_c__d", &"a".repeat(128)] {
            assert_eq!(read(good).unwrap().to_string(), good);
        }
        for bad in ["", "a/b", "A", "..", "-", "_facts", "a b", "é", "a\0"] {
            assert_eq!(read(bad), Err(InvalidArtifactRepository::Grammar), "{bad:?}");
        }
        assert_eq!(read(&"a".repeat(129)), Err(InvalidArtifactRepository::TooLong));
        for reserved in ArtifactRepositoryName::RESERVED {
            assert_eq!(read(reserved), Err(InvalidArtifactRepository::Reserved(reserved)));
        }
    }
}
