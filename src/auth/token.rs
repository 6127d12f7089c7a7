//! What a token says, and the tokens of a service elsewhere.

use super::{
    jws::{Keys, Refused},
    key_set::KeyFile,
};
use crate::who::Subject;
use serde::{Deserialize, Deserializer, Serialize};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// One entry of a token's `access` claim (the token specification of the Docker registry). What
/// it allows is read by those who decide. An entry that is not of this form is read as one that
/// allows nothing: the other entries still count.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Access {
    /// `repository` or `registry`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Of which.
    pub name: String,
    /// `pull`, `push`, `delete`, or `*`.
    pub actions: Vec<String>,
}

impl<'de> Deserialize<'de> for Access {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let entry = serde_json::Value::deserialize(deserializer)?;
        let text = |name: &str| entry.get(name).and_then(|value| value.as_str()).map(str::to_owned);
        let actions = entry.get("actions").and_then(|actions| actions.as_array());
        let words = |actions: &Vec<_>| {
            actions.iter().filter_map(|word: &serde_json::Value| word.as_str().map(str::to_owned)).collect()
        };
        let read = || Some(Self { kind: text("type")?, name: text("name")?, actions: actions.map(words)? });
        Ok(read().unwrap_or_default())
    }
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

/// The claims of a token (RFC 7519 §4.1) whose issuer and audience are right.
#[derive(Deserialize)]
pub(super) struct Claims {
    /// A list of issuers is no issuer.
    #[serde(rename = "iss")]
    _iss: Option<String>,
    sub: Option<String>,
    exp: Option<f64>,
    nbf: Option<f64>,
    iat: Option<f64>,
    access: Option<Vec<Access>>,
    /// Of our own tokens: the fingerprint of the user's line in htpasswd.
    pub(super) line: Option<String>,
}

impl Claims {
    /// Whether the token is valid at this time.
    pub(super) fn check_time(&self, now: SystemTime) -> Result<(), Refused> {
        let (now, exp) = (seconds(now), self.exp.ok_or(Refused::Claim("exp"))?);
        // Written so that a number that is none is refused too.
        let begun = self.nbf.is_none_or(|nbf| nbf - LEEWAY <= now);
        match (now < exp + LEEWAY, begun) {
            (true, true) => Ok(()),
            (false, _) => Err(Refused::Expired),
            (true, false) => Err(Refused::TooEarly),
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

    pub(super) fn access(&self) -> Option<Vec<Access>> {
        self.access.clone()
    }
}

/// Seconds since 1970.
pub(super) fn seconds(time: SystemTime) -> f64 {
    time.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs_f64()
}

/// Verifies the tokens of an external service.
pub struct Verifier {
    keys: Keys,
    issuer: String,
    audience: String,
    skipped: Vec<String>,
}

impl Verifier {
    /// From the content of a PEM file or a JSON Web Key Set.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(content: &[u8], issuer: &str, audience: &str) -> Result<Self, String> {
        let mut file = KeyFile::parse(content)?;
        let skipped = std::mem::take(&mut file.skipped);
        Ok(Self {
            keys: file.keys(issuer, audience),
            issuer: issuer.to_owned(),
            audience: audience.to_owned(),
            skipped,
        })
    }

    /// Keys of the file that are not used, and why.
    pub fn skipped(&self) -> &[String] {
        &self.skipped
    }

    /// Who brings this token, and what it is good for. One without `access` is good for nothing.
    ///
    /// # Errors
    /// [`Refused`].
    pub fn verify(&self, token: &str, now: SystemTime) -> Result<Bearer, Refused> {
        let claims = self.keys.open(token)?;
        claims.check_time(now)?;
        if !claims.is_short_lived(now) {
            return Err(Refused::TooLong);
        }
        Ok(Bearer { subject: claims.subject()?, access: Some(claims.access().unwrap_or_default()) })
    }
}

impl std::fmt::Debug for Verifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Verifier({} keys of {:?} for {:?})", self.keys.keys.len(), self.issuer, self.audience)
    }
}
