//! The `Authorization` header: Basic (RFC 7617) and Bearer (RFC 6750).

use super::ApiKeyText;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use std::fmt;

/// User name and password of a request.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The user name.
    pub user: String,
    /// Never shown.
    pub(super) password: String,
}

/// The content of an `Authorization` header.
#[derive(Clone, PartialEq, Eq)]
pub enum Presented {
    /// Empty name and password: some clients send these for "not logged in".
    Nobody,
    /// User name and password.
    Password(Credentials),
    /// A token; never shown.
    Token(String),
    /// Another scheme.
    Other,
    /// It cannot be parsed.
    Malformed(InvalidCredentials),
}

/// Why an `Authorization` header holds no credentials. Never quotes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidCredentials {
    /// A scheme without credentials, or an empty value.
    #[error("the Authorization header has no credentials after its scheme")]
    Bare,
    /// Bytes that are not UTF-8 text.
    #[error("the Authorization header is not UTF-8 text")]
    NotText,
    /// The credentials after `Basic` cannot be decoded.
    #[error("the credentials after Basic are not base64 of 'user:password'")]
    NotBase64,
    /// Not UTF-8; mostly Latin-1.
    #[error("user name and password are not UTF-8 text")]
    NotUtf8,
    /// No password.
    #[error("there is no colon between user name and password")]
    NoColon,
    /// A line break or NUL.
    #[error("user name or password contains a line break or a NUL character")]
    ControlCharacter,
    /// The header is longer than [`LONGEST_AUTHORIZATION`].
    #[error("the Authorization header is longer than {LONGEST_AUTHORIZATION} bytes")]
    TooLong,
}

/// The longest value of an `Authorization` header, in bytes.
pub const LONGEST_AUTHORIZATION: usize = 16 << 10;

impl Presented {
    /// Parses a header's value.
    pub fn parse(value: &[u8]) -> Self {
        Self::read(value).unwrap_or_else(Self::Malformed)
    }

    fn read(value: &[u8]) -> Result<Self, InvalidCredentials> {
        use InvalidCredentials as Why;
        if value.len() > LONGEST_AUTHORIZATION {
            return Err(Why::TooLong);
        }
        let text = std::str::from_utf8(value).map_err(|_| Why::NotText)?.trim_end();
        let (scheme, encoded) = text.split_once(' ').ok_or(Why::Bare)?;
        if scheme.eq_ignore_ascii_case("bearer") {
            return Ok(Self::Token(encoded.trim().to_owned()));
        }
        if !scheme.eq_ignore_ascii_case("basic") {
            return Ok(Self::Other);
        }
        let decoded = STANDARD.decode(encoded.trim()).map_err(|_| Why::NotBase64)?;
        let decoded = String::from_utf8(decoded).map_err(|_| Why::NotUtf8)?;
        let (user, password) = decoded.split_once(':').ok_or(Why::NoColon)?;
        if decoded.chars().any(|c| matches!(c, '\0' | '\r' | '\n')) {
            return Err(Why::ControlCharacter);
        }
        if user.is_empty() && password.is_empty() {
            return Ok(Self::Nobody);
        }
        Ok(Self::Password(Credentials::new(user, password)))
    }
}

impl Credentials {
    /// Credentials for a command that asked for them.
    pub fn new(user: impl Into<String>, password: impl Into<String>) -> Self {
        Self { user: user.into(), password: password.into() }
    }

    /// The API key that was sent as the password, if it is one.
    pub fn api_key(&self) -> Option<ApiKeyText> {
        ApiKeyText::parse(&self.password)
    }
}

impl fmt::Debug for Presented {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nobody => f.write_str("Nobody"),
            Self::Password(credentials) => credentials.fmt(f),
            Self::Token(_) => f.write_str("Token(…)"),
            Self::Other => f.write_str("Other"),
            Self::Malformed(why) => write!(f, "Malformed({why:?})"),
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

    fn parse(text: &str) -> Presented {
        Presented::parse(format!("Basic {}", STANDARD.encode(text)).as_bytes())
    }

    #[test]
    fn name_and_password_are_split_at_the_first_colon() {
        assert_eq!(parse("alice:s3:cret"), Presented::Password(Credentials::new("alice", "s3:cret")));
        assert_eq!(parse("alice:"), Presented::Password(Credentials::new("alice", "")));
        assert_eq!(Presented::parse(b"bAsIc  YTpi"), Presented::Password(Credentials::new("a", "b")));
    }

    #[test]
    fn empty_credentials_are_anonymous() {
        assert_eq!(Presented::parse(b"Basic Og=="), Presented::Nobody);
        assert_eq!(Presented::parse(b"Bearer abc"), Presented::Token("abc".to_owned()));
        assert_eq!(Presented::parse(b"Digest abc"), Presented::Other);
    }

    #[test]
    fn malformed_credentials_are_refused_with_the_reason() {
        use InvalidCredentials as Why;
        for (bad, why) in [
            (&b"Basic"[..], Why::Bare),
            (b"Bearer ", Why::Bare),
            (b"", Why::Bare),
            (b"Basic ***", Why::NotBase64),
            (b"Basic YQ==", Why::NoColon),
            (b"Basic /w==", Why::NotUtf8),
            (b"\xff", Why::NotText),
            (b"Basic YTpiCg==", Why::ControlCharacter),
        ] {
            assert_eq!(Presented::parse(bad), Presented::Malformed(why), "{bad:?}");
        }
        assert_eq!(parse("a\0:b"), Presented::Malformed(Why::ControlCharacter));
    }

    #[test]
    fn a_header_has_a_longest_length() {
        let of_length = |len: usize| Presented::parse(format!("Bearer {}", "x".repeat(len - 7)).as_bytes());
        assert!(matches!(of_length(LONGEST_AUTHORIZATION), Presented::Token(_)));
        assert_eq!(of_length(LONGEST_AUTHORIZATION + 1), Presented::Malformed(InvalidCredentials::TooLong));
    }

    #[test]
    fn a_password_is_never_shown() {
        assert_eq!(format!("{:?}", Credentials::new("alice", "canary")), "Credentials(\"alice\", …)");
        assert_eq!(format!("{:?}", Presented::Token("canary".into())), "Token(…)");
    }
}
