//! What a token says, and the tokens of a service elsewhere.

use super::jws::{Keys, Refused, object};
use crate::who::Subject;
use serde::{Deserialize, Serialize};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// One entry of a token's `access` claim (the token specification of the Docker registry). What
/// it allows is read by those who decide.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Access {
    /// `repository` or `registry`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Of which.
    pub name: String,
    /// `pull`, `push`, `delete`, or `*`.
    pub actions: Vec<String>,
}

/// Somebody with a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bearer {
    /// Who.
    pub subject: Subject,
    /// What the token is good for at most; `None` is whatever its bearer may do.
    pub access: Option<Vec<Access>>,
}

/// How far clocks may be apart.
const LEEWAY: f64 = 60.0;

/// A token that lives longer can be used long after its bearer was thrown out.
const LONGEST_LIFE: f64 = 86_400.0;

/// The claims anybody's token has (RFC 7519 §4.1).
#[derive(Deserialize)]
pub(super) struct Claims {
    iss: Option<String>,
    pub(super) sub: Option<String>,
    aud: Option<Audience>,
    exp: Option<f64>,
    nbf: Option<f64>,
    iat: Option<f64>,
    access: Option<Vec<Access>>,
    /// Of our own tokens: the fingerprint of the user's line in htpasswd.
    pub(super) line: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Many(Vec<String>),
}

impl Claims {
    /// Reads the claims of a token whose signature is right, and holds them against what is expected.
    pub(super) fn read(claims: &[u8], issuer: &str, audience: &str, now: SystemTime) -> Result<Self, Refused> {
        let claims: Self = object(claims).ok_or(Refused::Claims)?;
        if claims.iss.as_deref().ok_or(Refused::Claim("iss"))? != issuer {
            return Err(Refused::Issuer);
        }
        let ours = match claims.aud.as_ref().ok_or(Refused::Claim("aud"))? {
            Audience::One(one) => one == audience,
            Audience::Many(many) => many.iter().any(|one| one == audience),
        };
        if !ours {
            return Err(Refused::Audience);
        }
        let now = seconds(now);
        let exp = claims.exp.ok_or(Refused::Claim("exp"))?;
        match now < exp + LEEWAY && claims.nbf.is_none_or(|nbf| nbf - LEEWAY <= now) {
            true => Ok(claims),
            false => Err(Refused::Time),
        }
    }

    /// Whether the token was made for a day at most.
    fn is_short_lived(&self, now: SystemTime) -> bool {
        let begun = self.iat.unwrap_or(f64::INFINITY).min(seconds(now) + LEEWAY);
        self.exp.is_some_and(|exp| exp - begun <= LONGEST_LIFE)
    }

    /// Who it is of: nobody where the subject is absent or empty.
    pub(super) fn subject(&self) -> Result<Subject, Refused> {
        match self.sub.as_deref() {
            None | Some("") => Ok(Subject::Anonymous),
            Some(name) if Subject::is_user_name(name) => Ok(Subject::User(name.into())),
            Some(_) => Err(Refused::Subject),
        }
    }

    pub(super) fn access(self) -> Option<Vec<Access>> {
        self.access
    }
}

/// Seconds since 1970.
pub(super) fn seconds(time: SystemTime) -> f64 {
    time.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs_f64()
}

/// Believes the tokens of a service elsewhere.
pub struct Verifier {
    keys: Keys,
    issuer: String,
    audience: String,
}

impl Verifier {
    /// From the content of a PEM file or a JSON Web Key Set.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(content: &[u8], issuer: &str, audience: &str) -> Result<Self, String> {
        Ok(Self { keys: Keys::parse(content)?, issuer: issuer.to_owned(), audience: audience.to_owned() })
    }

    /// Who brings this token, and what it is good for. One without `access` is good for nothing.
    ///
    /// # Errors
    /// [`Refused`].
    pub fn verify(&self, token: &str, now: SystemTime) -> Result<Bearer, Refused> {
        let claims = Claims::read(&self.keys.open(token)?, &self.issuer, &self.audience, now)?;
        if !claims.is_short_lived(now) {
            return Err(Refused::Time);
        }
        Ok(Bearer { subject: claims.subject()?, access: Some(claims.access().unwrap_or_default()) })
    }
}

impl std::fmt::Debug for Verifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Verifier({} keys of {:?} for {:?})", self.keys.keys.len(), self.issuer, self.audience)
    }
}
