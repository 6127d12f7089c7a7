//! New passwords: validation and hashing.

use super::htpasswd::COSTS;
use aws_lc_rs::rand;
use bcrypt::Version;
use std::fmt;

/// bcrypt uses 72 bytes of a password including the final NUL. A longer one would be cut by hashing, and is rejected by
/// verification.
const LONGEST: usize = 71;

/// A valid new password; never shown.
pub struct Password(String);

/// Why a text cannot be a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// There is none.
    #[error("a password cannot be empty")]
    Empty,
    /// bcrypt would ignore the end; the length in bytes.
    #[error("a password of {0} bytes is too long: bcrypt takes at most {LONGEST}")]
    TooLong(usize),
    /// It contains characters that no client can send.
    #[error("a password cannot hold a line break or a NUL character")]
    LineBreak,
}

/// Why hashing failed.
#[derive(Debug, thiserror::Error)]
pub enum Unhashed {
    /// The cost is not one of [`COSTS`].
    #[error("a bcrypt cost is a number from {} to {}", COSTS.start(), COSTS.end())]
    Cost,
    /// The system has no randomness for a salt.
    #[error("the password cannot be hashed: {0}")]
    Failed(String),
}

impl Password {
    /// Validates a password.
    ///
    /// # Errors
    /// [`Unfit`].
    pub fn new(text: impl Into<String>) -> Result<Self, Unfit> {
        let text = text.into();
        match text.len() {
            0 => Err(Unfit::Empty),
            // Credentials with these are rejected at login.
            _ if text.contains(['\0', '\r', '\n']) => Err(Unfit::LineBreak),
            len if len > LONGEST => Err(Unfit::TooLong(len)),
            _ => Ok(Self(text)),
        }
    }

    /// A random password of 24 characters, 119 bits, none of which is easily mistaken for another.
    ///
    /// # Errors
    /// [`Unhashed::Failed`] if the system provides no random numbers.
    pub fn random() -> Result<Self, Unhashed> {
        const CHARACTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
        let mut bytes = [0; 24];
        rand::fill(&mut bytes).map_err(|_| Unhashed::Failed("the system provides no random numbers".to_owned()))?;
        // 256 is a multiple of 32, so every character is equally likely.
        Ok(Self(bytes.iter().map(|byte| char::from(CHARACTERS[usize::from(*byte) % CHARACTERS.len()])).collect()))
    }

    /// Its text, to be shown to the one person it is for.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// Hashes it for a line of htpasswd, as `$2y$`; slow on purpose.
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
    use crate::identity::Users;

    #[test]
    fn passwords_of_every_allowed_length_can_be_hashed_and_verified() {
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
    fn passwords_that_no_login_could_send_are_refused() {
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

    #[test]
    fn random_passwords_differ_and_can_be_read_aloud() {
        let (one, other) = (Password::random().unwrap(), Password::random().unwrap());
        assert_ne!(one.reveal(), other.reveal());
        assert!(one.reveal().len() == 24 && !one.reveal().contains(['0', 'o', '1', 'l']));
        assert!(Password::new(one.reveal()).is_ok());
    }
}
