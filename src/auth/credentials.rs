//! The `Authorization` header: Basic (RFC 7617) and Bearer (RFC 6750).

use base64::{Engine as _, engine::general_purpose::STANDARD};
use std::fmt;

/// A name and a password, as a request brings them.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The name.
    pub user: String,
    /// The password; never shown.
    pub(super) password: String,
}

/// What an `Authorization` header presents.
#[derive(Clone, PartialEq, Eq)]
pub enum Presented {
    /// Nobody: empty name and password, by which some clients say that nobody is logged in.
    Nobody,
    /// A name and a password.
    Password(Credentials),
    /// A token; never shown.
    Token(String),
    /// Another scheme.
    Other,
}

/// A header that is no credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the Authorization header is not 'Basic' and base64 of 'user:password', nor 'Bearer' and a token")]
pub struct InvalidCredentials;

/// The longest value looked at: of a name and a password, and of a token.
const LONGEST: usize = 8 << 10;
const LONGEST_TOKEN: usize = 16 << 10;

impl Credentials {
    /// Reads a header's value.
    ///
    /// # Errors
    /// [`InvalidCredentials`].
    pub fn parse(value: &[u8]) -> Result<Presented, InvalidCredentials> {
        if value.len() > LONGEST_TOKEN {
            return Err(InvalidCredentials);
        }
        let text = std::str::from_utf8(value).map_err(|_| InvalidCredentials)?;
        let Some((scheme, encoded)) = text.split_once(' ') else { return Err(InvalidCredentials) };
        if scheme.eq_ignore_ascii_case("bearer") {
            return Ok(Presented::Token(encoded.trim().to_owned()));
        }
        if value.len() > LONGEST {
            return Err(InvalidCredentials);
        }
        if !scheme.eq_ignore_ascii_case("basic") {
            return Ok(Presented::Other);
        }
        let decoded = STANDARD.decode(encoded.trim()).map_err(|_| InvalidCredentials)?;
        let decoded = String::from_utf8(decoded).map_err(|_| InvalidCredentials)?;
        let (user, password) = decoded.split_once(':').ok_or(InvalidCredentials)?;
        if decoded.chars().any(|c| matches!(c, '\0' | '\r' | '\n')) {
            return Err(InvalidCredentials);
        }
        if user.is_empty() && password.is_empty() {
            return Ok(Presented::Nobody);
        }
        Ok(Presented::Password(Self::new(user, password)))
    }

    /// These, for a command that asked for them.
    pub fn new(user: impl Into<String>, password: impl Into<String>) -> Self {
        Self { user: user.into(), password: password.into() }
    }
}

impl fmt::Debug for Presented {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nobody => f.write_str("Nobody"),
            Self::Password(credentials) => credentials.fmt(f),
            Self::Token(_) => f.write_str("Token(…)"),
            Self::Other => f.write_str("Other"),
        }
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Credentials({:?}, …)", self.user)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Presented, InvalidCredentials> {
        Credentials::parse(format!("Basic {}", STANDARD.encode(text)).as_bytes())
    }

    #[test]
    fn name_and_password_are_split_at_the_first_colon() {
        assert_eq!(parse("alice:s3:cret"), Ok(Presented::Password(Credentials::new("alice", "s3:cret"))));
        assert_eq!(parse("alice:"), Ok(Presented::Password(Credentials::new("alice", ""))));
        assert_eq!(Credentials::parse(b"bAsIc  YTpi"), Ok(Presented::Password(Credentials::new("a", "b"))));
    }

    #[test]
    fn empty_credentials_are_nobodys() {
        assert_eq!(Credentials::parse(b"Basic Og=="), Ok(Presented::Nobody));
        assert_eq!(Credentials::parse(b"Bearer abc"), Ok(Presented::Token("abc".to_owned())));
        assert_eq!(Credentials::parse(b"Digest abc"), Ok(Presented::Other));
    }

    #[test]
    fn what_is_not_of_the_form_is_refused() {
        for bad in [&b"Basic"[..], b"Basic ***", b"Basic YQ==", b"Basic /w==", b"\xff", b"Basic YTpiCg=="] {
            assert_eq!(Credentials::parse(bad), Err(InvalidCredentials), "{bad:?}");
        }
        assert_eq!(parse(&format!("a:{}", "x".repeat(LONGEST))), Err(InvalidCredentials));
        assert!(parse("a\0:b").is_err());
    }

    #[test]
    fn a_password_is_never_shown() {
        assert_eq!(format!("{:?}", Credentials::new("alice", "canary")), "Credentials(\"alice\", …)");
        assert_eq!(format!("{:?}", Presented::Token("canary".into())), "Token(…)");
    }
}
