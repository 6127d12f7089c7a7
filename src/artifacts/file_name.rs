//! Names of artifacts.

use super::{ArtifactPath, as_text};
use std::{fmt, str::FromStr, sync::Arc};

/// The name under which an artifact is saved: one component of a path.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ArtifactFileName(Arc<str>);

/// The text is not a name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a name must be one component of a path: 1 to {} bytes without '/', '\\' or control characters, and neither '.' nor '..'",
    ArtifactPath::MAX_COMPONENT
)]
pub struct InvalidFileName;

impl ArtifactFileName {
    /// The name that a file has if it is given none.
    pub fn of(path: &ArtifactPath) -> Self {
        Self(path.base().into())
    }

    /// The name as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ArtifactFileName {
    type Err = InvalidFileName;

    fn from_str(text: &str) -> Result<Self, InvalidFileName> {
        match text.parse::<ArtifactPath>() {
            Ok(path) if path.base() == text => Ok(Self(text.into())),
            _ => Err(InvalidFileName),
        }
    }
}

impl fmt::Display for ArtifactFileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

as_text!(ArtifactFileName);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_component() {
        assert_eq!(ArtifactFileName::of(&"bin/app".parse().unwrap()).as_str(), "app");
        assert!("app 1.0".parse::<ArtifactFileName>().is_ok());
        for bad in ["", "a/b", "..", ".", "a\\b", "a\r\nb", &"a".repeat(256)] {
            assert_eq!(bad.parse::<ArtifactFileName>(), Err(InvalidFileName), "{bad:?}");
        }
    }
}
