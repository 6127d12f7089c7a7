//! The claims of tokens, and the verification of tokens of external services.

use super::{
    jws::{PublicKeys, TokenRefused},
    key_set::KeyFile,
};
use crate::who::{ApiKeyId, SessionId, Subject};
use serde::{Deserialize, Deserializer, Serialize};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// One entry of a token's `access` claim (the token specification of the Docker registry), not interpreted here. A
/// malformed entry is read as one that allows nothing, so that the other entries still count.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Access {
    /// `repository` or `registry`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The name of the repository or of the registry resource.
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

/// The bearer of a valid token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bearer {
    /// The user, or anonymous.
    pub subject: Subject,
    /// What the token is limited to; `None` leaves the bearer's own rights.
    pub access: Option<Vec<Access>>,
    /// The API key that the token was given for, whose limits it keeps.
    pub key: Option<ApiKeyId>,
    /// The session that the token belongs to.
    pub session: Option<SessionId>,
    /// When it was issued, if it is one of ours.
    pub issued: Option<SystemTime>,
    /// When it expires.
    pub expires: Option<SystemTime>,
}

/// Accepted difference between clocks, in seconds.
const LEEWAY: f64 = 60.0;

/// Maximum lifetime in seconds: a longer-lived token would remain usable long after its bearer lost access.
const LONGEST_LIFE: f64 = 86_400.0;

/// The claims of a token (RFC 7519 §4.1) whose issuer and audience are right.
#[derive(Deserialize)]
pub(super) struct Claims {
    /// A list of issuers is rejected by its type.
    #[serde(rename = "iss")]
    _iss: Option<String>,
    sub: Option<String>,
    exp: Option<f64>,
    nbf: Option<f64>,
    iat: Option<f64>,
    access: Option<Vec<Access>>,
    /// Only in our own tokens: the fingerprint of the user's line in htpasswd.
    pub(super) pwv: Option<String>,
    /// Only in our own tokens: the API key that it was given for.
    key: Option<String>,
    /// Only in our own tokens: the session that it belongs to.
    sid: Option<String>,
}

impl Claims {
    /// Whether the token is valid at this time.
    pub(super) fn check_time(&self, now: SystemTime) -> Result<(), TokenRefused> {
        let (now, exp) = (seconds(now), self.exp.ok_or(TokenRefused::Claim("exp"))?);
        // Written so that NaN is rejected too.
        let begun = self.nbf.is_none_or(|nbf| nbf - LEEWAY <= now);
        match (now < exp + LEEWAY, begun) {
            (true, true) => Ok(()),
            (false, _) => Err(TokenRefused::Expired),
            (true, false) => Err(TokenRefused::TooEarly),
        }
    }

    /// Whether the token's lifetime is a day at most.
    fn is_short_lived(&self, now: SystemTime) -> bool {
        let begun = self.iat.unwrap_or(f64::INFINITY).min(seconds(now) + LEEWAY);
        self.exp.is_some_and(|exp| exp - begun <= LONGEST_LIFE)
    }

    /// The token's user; anonymous if the subject is absent or empty.
    pub(super) fn subject(&self) -> Result<Subject, TokenRefused> {
        match self.sub.as_deref() {
            None | Some("") => Ok(Subject::Anonymous),
            Some(name) if Subject::is_user_name(name) => Ok(Subject::User(name.into())),
            Some(_) => Err(TokenRefused::Subject),
        }
    }

    /// The bearer of one of our own tokens.
    pub(super) fn bearer(&self, subject: Subject) -> Result<Bearer, TokenRefused> {
        // A limit that cannot be read must not become none.
        let key = self.key.as_deref().map(str::parse).transpose().map_err(|_| TokenRefused::Claims)?;
        let session = self.sid.as_deref().map(str::parse).transpose().map_err(|_| TokenRefused::Claims)?;
        let (issued, expires) = (self.iat.and_then(time), self.exp.and_then(time));
        Ok(Bearer { subject, access: self.access.clone(), key, session, issued, expires })
    }
}

/// A time of a claim.
fn time(seconds: f64) -> Option<SystemTime> {
    UNIX_EPOCH.checked_add(Duration::try_from_secs_f64(seconds).ok()?)
}

/// Seconds since 1970.
pub(super) fn seconds(time: SystemTime) -> f64 {
    time.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs_f64()
}

/// Verifies the tokens of an external service.
pub struct Verifier {
    keys: PublicKeys,
    issuer: String,
    audience: String,
    skipped: Vec<String>,
}

impl Verifier {
    /// Creates a verifier from a PEM file or a JSON Web Key Set.
    ///
    /// # Errors
    /// What is wrong with the file.
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

    /// Verifies a token. One without `access` grants nothing.
    ///
    /// # Errors
    /// [`TokenRefused`].
    pub fn verify(&self, token: &str, now: SystemTime) -> Result<Bearer, TokenRefused> {
        let claims = self.keys.open(token)?;
        claims.check_time(now)?;
        if !claims.is_short_lived(now) {
            return Err(TokenRefused::TooLong);
        }
        // Claims of our own mean nothing here.
        let (subject, access) = (claims.subject()?, Some(claims.access.clone().unwrap_or_default()));
        Ok(Bearer { subject, access, key: None, session: None, issued: None, expires: claims.exp.and_then(time) })
    }
}

impl std::fmt::Debug for Verifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Verifier({} keys of {:?} for {:?})", self.keys.keys.len(), self.issuer, self.audience)
    }
}
