//! Repository names.

use std::{borrow::Borrow, fmt, str::FromStr, sync::Arc};

/// The name of a repository: one or more components joined by `/`
/// (distribution-spec, "Pulling manifests", `<name>`), at most [`RepositoryName::MAX`] bytes.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RepositoryName(Arc<str>);

/// Why a text is not a repository name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidName {
    /// Longer than [`RepositoryName::MAX`] bytes.
    #[error("a repository name must not be longer than {} bytes", RepositoryName::MAX)]
    TooLong,
    /// It does not match the grammar.
    #[error(
        "a repository name must be lowercase letters and digits, in components separated by '/', \
         with '.', '_', '__' or '-' only between letters and digits"
    )]
    Grammar,
}

impl RepositoryName {
    /// The longest name in bytes; clients limit `host/name` to this too.
    pub const MAX: usize = 255;

    /// The name as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The parts between the slashes. Compared by these, a name sorts before those below it, and these before any
    /// other.
    pub fn components(&self) -> impl Iterator<Item = &str> {
        self.0.split('/')
    }

    /// Whether `text` can be a component of a name.
    pub fn is_component(text: &str) -> bool {
        let bytes = text.as_bytes();
        let alnum = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
        let (Some(&first), Some(&last)) = (bytes.first(), bytes.last()) else {
            return false;
        };
        if !alnum(first) || !alnum(last) {
            return false;
        }
        // Between two alphanumerics: `.`, `_`, `__`, or any number of `-`.
        bytes
            .split(|&b| alnum(b))
            .all(|separator| matches!(separator, b"" | b"." | b"_" | b"__") || separator.iter().all(|&b| b == b'-'))
    }
}

/// Sorted and hashed as its text.
impl Borrow<str> for RepositoryName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl FromStr for RepositoryName {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        if text.len() > Self::MAX {
            return Err(InvalidName::TooLong);
        }
        if !text.split('/').all(Self::is_component) {
            return Err(InvalidName::Grammar);
        }
        Ok(Self(text.into()))
    }
}

impl fmt::Display for RepositoryName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for RepositoryName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl serde::Serialize for RepositoryName {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_follow_the_grammar() {
        for good in ["a", "a/b", "a.b", "a_b", "a__b", "a-b", "a---b", "0/1/2", "blobs/uploads/tags", "a--b.c_d/e"] {
            assert!(good.parse::<RepositoryName>().is_ok(), "{good}");
        }
        for bad in [
            "", "/", "a/", "/a", "a//b", "A", "aB", "a..b", "a___b", "a._b", "a-.b", "-a", "a-", ".a", "a.", "_a",
            "..", "a/..", "a/../b", "a%2fb", "a\\b", "a b", "a\0b", "é", "a:b", "a@b", "a\n",
        ] {
            assert_eq!(bad.parse::<RepositoryName>(), Err(InvalidName::Grammar), "{bad:?}");
        }
    }

    #[test]
    fn names_end_at_255_bytes() {
        assert!("a".repeat(255).parse::<RepositoryName>().is_ok());
        assert_eq!("a".repeat(256).parse::<RepositoryName>(), Err(InvalidName::TooLong));
    }

    proptest! {
        #[test]
        fn a_valid_name_parses_back_to_itself(
            text in "[a-z0-9]{1,5}((\\.|_|__|-{1,3})[a-z0-9]{1,5}){0,3}(/[a-z0-9]{1,5}((\\.|_|__|-{1,3})[a-z0-9]{1,5}){0,2}){0,3}"
        ) {
            prop_assert_eq!(text.parse::<RepositoryName>().unwrap().to_string(), text);
        }

        #[test]
        fn no_accepted_name_can_leave_its_directory(text in ".{0,40}") {
            if let Ok(name) = text.parse::<RepositoryName>() {
                prop_assert!(name.as_str().split('/').all(|c| !c.is_empty() && !c.starts_with(['.', '_'])));
            }
        }
    }
}
