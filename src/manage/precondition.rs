//! Conditional writes: a write can require the state that the caller has seen.

use super::refusal::EditRefusal;
use oci::{Algorithm, Hasher};
use serde::Serialize;

/// What a write requires of the current state of its resource.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Precondition {
    /// Nothing: the last writer wins.
    #[default]
    None,
    /// It exists and has one of these entity tags; `*` stands for any.
    Matches(Vec<String>),
    /// It does not exist.
    Absent,
}

impl Precondition {
    /// Compares with the current entity tag, without quotes; `None` if the resource does not exist.
    ///
    /// # Errors
    /// [`EditRefusal::PreconditionFailed`] with the current tag.
    pub fn check(&self, current: Option<&str>) -> Result<(), EditRefusal> {
        let holds = match (self, current) {
            (Self::None, _) | (Self::Absent, None) => true,
            (Self::Absent, Some(_)) | (Self::Matches(_), None) => false,
            (Self::Matches(wanted), Some(current)) => wanted.iter().any(|tag| tag == "*" || tag == current),
        };
        if holds { Ok(()) } else { Err(EditRefusal::PreconditionFailed(current.map(str::to_owned))) }
    }

    /// Requires `If-Match`, where a write without one would hit whatever is there by then.
    ///
    /// # Errors
    /// [`EditRefusal::PreconditionRequired`].
    pub fn required(self) -> Result<Self, EditRefusal> {
        match self {
            Self::Matches(_) => Ok(self),
            Self::None | Self::Absent => Err(EditRefusal::PreconditionRequired),
        }
    }

    /// Compares with the current state of the resource.
    ///
    /// # Errors
    /// As for [`check`](Self::check).
    pub(super) fn check_resource<T: Serialize>(&self, current: Option<&T>) -> Result<(), EditRefusal> {
        match self {
            Self::None => Ok(()),
            _ => self.check(current.map(entity_tag).as_deref()),
        }
    }
}

/// The entity tag of a resource, without quotes: a hash of its JSON. Two resources of one file have different tags, so
/// that two editors do not collide.
pub fn entity_tag<T: Serialize>(content: &T) -> String {
    // Only maps whose keys are no strings fail, and the API has none.
    text_tag(&serde_json::to_vec(content).unwrap_or_default())
}

/// The entity tag of a text.
pub fn text_tag(text: &[u8]) -> String {
    /// 128 bits of the hash.
    const DIGITS: usize = 32;
    Hasher::digest(Algorithm::Sha256, text).hex()[..DIGITS].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_precondition_is_compared_with_the_current_tag() {
        let matches = |tags: &[&str]| Precondition::Matches(tags.iter().map(|tag| (*tag).to_owned()).collect());
        for (precondition, current, holds) in [
            (Precondition::None, None, true),
            (Precondition::None, Some("a"), true),
            (Precondition::Absent, None, true),
            (Precondition::Absent, Some("a"), false),
            (matches(&["*"]), Some("a"), true),
            (matches(&["*"]), None, false),
            (matches(&["b", "a"]), Some("a"), true),
            (matches(&["b"]), Some("a"), false),
        ] {
            assert_eq!(precondition.check(current).is_ok(), holds, "{precondition:?} {current:?}");
        }
        assert!(matches(&["a"]).required().is_ok() && Precondition::None.required().is_err());
    }
}
