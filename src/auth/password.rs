//! New passwords: which may be given to somebody, and how they are kept.

use super::htpasswd::COSTS;
use bcrypt::Version;
use std::fmt;

/// What bcrypt takes of a password is 72 bytes with the NUL that ends it. What is longer would be
/// cut when it is hashed, and is refused when it is verified.
const LONGEST: usize = 71;

/// A password that may be given to somebody; never shown.
pub struct Password(String);

/// Why a text cannot be a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// There is none.
    #[error("a password cannot be empty")]
    Empty,
    /// bcrypt would look at its beginning only. How long it is.
    #[error("a password of {0} bytes is too long: bcrypt takes at most {LONGEST}")]
    TooLong(usize),
    /// It holds what no client can send.
    #[error("a password cannot hold a line break or a NUL character")]
    LineBreak,
}

/// Why there is no hash.
#[derive(Debug, thiserror::Error)]
pub enum Unhashed {
    /// The cost is not one of [`COSTS`].
    #[error("a bcrypt cost is a number from {} to {}", COSTS.start(), COSTS.end())]
    Cost,
    /// There was no randomness for a salt.
    #[error("the password cannot be hashed: {0}")]
    Failed(String),
}

impl Password {
    /// Takes a text for a password.
    ///
    /// # Errors
    /// [`Unfit`].
    pub fn new(text: impl Into<String>) -> Result<Self, Unfit> {
        let text = text.into();
        match text.len() {
            0 => Err(Unfit::Empty),
            // As in credentials, which are refused with these.
            _ if text.contains(['\0', '\r', '\n']) => Err(Unfit::LineBreak),
            len if len > LONGEST => Err(Unfit::TooLong(len)),
            _ => Ok(Self(text)),
        }
    }

    /// Hashes it for a line of htpasswd, as `$2y$`; slow by intent.
    ///
    /// # Errors
    /// [`Unhashed`].
    pub fn hash(&self, cost: u32) -> Result<String, Unhashed> {
        if !COSTS.contains(&cost) {
            return Err(Unhashed::Cost);
        }
        match bcrypt::non_truncating_hash_with_result(&self.0, cost) {
            Ok(parts) => Ok(parts.format_for_version(Version::TwoY)),
            Err(error) => Err(Unhashed::Failed(error.to_string())),
        }
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::Users;

    #[test]
    fn what_can_be_hashed_can_be_verified_up_to_the_longest() {
        for text in ["x", "pässword with blanks ", &"x".repeat(LONGEST), &"é".repeat(LONGEST / 2)] {
            let hash = Password::new(text).unwrap().hash(4).unwrap();
            assert!(hash.starts_with("$2y$04$"), "{hash}");
            let users = Users::parse(&format!("alice:{hash}\n")).unwrap();
            assert!(users.verify("alice", text));
            assert!(!users.verify("alice", &format!("{text}x")));
            assert!(!users.verify("bob", text));
        }
    }

    #[test]
    fn what_no_login_could_bring_is_refused() {
        let unfit = |text: &str| Password::new(text).unwrap_err();
        assert_eq!(unfit(""), Unfit::Empty);
        assert_eq!(unfit(&"x".repeat(LONGEST + 1)), Unfit::TooLong(72));
        assert_eq!(unfit(&"é".repeat(36)), Unfit::TooLong(72));
        for text in ["a\nb", "a\r", "\0"] {
            assert_eq!(unfit(text), Unfit::LineBreak);
        }
        for cost in [3, 15] {
            assert!(matches!(Password::new("x").unwrap().hash(cost), Err(Unhashed::Cost)));
        }
        assert_eq!(format!("{:?}", Password::new("canary").unwrap()), "Password(…)");
    }
}
