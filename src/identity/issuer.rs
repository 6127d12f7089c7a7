//! Our own tokens: those of the built-in token service (short-lived access tokens, and refresh tokens), and those of
//! sessions.
//!
//! A user's token carries a keyed fingerprint of their line in htpasswd, so that changing or removing the line revokes
//! it, without a list of issued tokens.

use super::{
    UserKind, Users,
    jws::{PublicKey, PublicKeys, TokenRefused},
    token::{Access, Bearer, Claims, seconds},
};
use crate::who::{ApiKeyId, SessionId, Subject};
use aws_lc_rs::{
    digest::{SHA256, digest},
    encoding::{AsDer, PublicKeyX509Der},
    hmac, rand,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use rustls::pki_types::pem::{SectionKind, SliceIter};
use serde_json::json;
use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

/// Issues and verifies our own tokens.
pub struct Issuer {
    /// The first one signs, all verify.
    signers: Vec<Signer>,
    access: PublicKeys,
    refresh: PublicKeys,
    sessions: PublicKeys,
    issuer: String,
    audience: String,
}

struct Signer {
    id: String,
    algorithm: Algorithm,
    key: EncodingKey,
    /// The key for fingerprints. Derived from the signing key, so that all daemons that share that key agree.
    lines: hmac::Key,
}

/// A private key for signing, and its public half as a `SubjectPublicKeyInfo`.
struct Pair {
    algorithm: Algorithm,
    key: EncodingKey,
    spki: Vec<u8>,
}

impl Pair {
    fn read(kind: SectionKind, der: &[u8]) -> Option<Self> {
        match kind {
            SectionKind::PrivateKey => Self::ed25519(der).or_else(|| Self::p256(der)),
            // The signing library needs the other form (PKCS#8).
            SectionKind::EcPrivateKey => {
                let pair = EcdsaKeyPair::from_private_key_der(&ECDSA_P256_SHA256_FIXED_SIGNING, der).ok()?;
                Self::p256(pair.to_pkcs8v1().ok()?.as_ref())
            }
            _ => None,
        }
    }

    fn ed25519(der: &[u8]) -> Option<Self> {
        let pair = Ed25519KeyPair::from_pkcs8(der).ok()?;
        let spki: PublicKeyX509Der<'_> = pair.public_key().as_der().ok()?;
        Some(Self { algorithm: Algorithm::EdDSA, key: EncodingKey::from_ed_der(der), spki: spki.as_ref().to_vec() })
    }

    fn p256(der: &[u8]) -> Option<Self> {
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der).ok()?;
        let spki: PublicKeyX509Der<'_> = pair.public_key().as_der().ok()?;
        Some(Self { algorithm: Algorithm::ES256, key: EncodingKey::from_ec_der(der), spki: spki.as_ref().to_vec() })
    }
}

/// A token could not be signed because the system has no randomness.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot sign a token: the system provides no random numbers")]
pub struct Unsigned;

/// Suffix of the audience of refresh tokens, so that they are useless for anything else.
const FOR_REFRESH: &str = "#refresh";

/// Suffix of the audience of the tokens of sessions.
const FOR_SESSIONS: &str = "/api";

impl Issuer {
    /// Creates an issuer from a PEM file with one or more private keys.
    ///
    /// # Errors
    /// What is wrong with the file; quotes nothing of it.
    pub fn parse(content: &[u8], issuer: &str, audience: &str) -> Result<Self, String> {
        let (mut signers, mut keys) = (Vec::new(), Vec::new());
        for (i, section) in SliceIter::<(SectionKind, Vec<u8>)>::new(content).enumerate() {
            let (kind, der) = section.map_err(|_| "is not a valid PEM file".to_owned())?;
            let unusable = || format!("key {} is not an Ed25519 or P-256 private key", i + 1);
            let Pair { algorithm, key, spki } = Pair::read(kind, &der).ok_or_else(unusable)?;
            let id = URL_SAFE_NO_PAD.encode(&digest(&SHA256, &spki).as_ref()[..12]);
            keys.push(PublicKey::from_spki(&spki, Some(id.clone())).map_err(|_| unusable())?);
            let secret = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &der), b"wharfinger: lines of htpasswd");
            signers.push(Signer { id, algorithm, key, lines: hmac::Key::new(hmac::HMAC_SHA256, secret.as_ref()) });
        }
        match signers.is_empty() {
            true => Err("holds no private key in PEM form; make one with: wharfinger key new PATH".to_owned()),
            false => Ok(Self {
                signers,
                access: PublicKeys::new(keys.clone(), true, issuer, audience),
                refresh: PublicKeys::new(keys.clone(), true, issuer, &format!("{audience}{FOR_REFRESH}")),
                sessions: PublicKeys::new(keys, true, issuer, &format!("{audience}{FOR_SESSIONS}")),
                issuer: issuer.to_owned(),
                audience: audience.to_owned(),
            }),
        }
    }

    /// The service name in challenges and the audience of tokens.
    pub fn audience(&self) -> &str {
        &self.audience
    }

    /// An access token of `subject`, limited to `access` (`None`: to the bearer's own rights) and to what the API key
    /// allows that it is given for.
    ///
    /// # Errors
    /// [`Unsigned`].
    pub fn access_token(
        &self,
        users: &Users,
        (subject, key): (&Subject, Option<ApiKeyId>),
        access: Option<&[Access]>,
        now: SystemTime,
        life: Duration,
    ) -> Result<String, Unsigned> {
        let mut claims = self.claims(users, subject, &self.audience, now, life);
        if let Some(access) = access {
            claims["access"] = json!(access);
        }
        if let Some(key) = key {
            claims["key"] = json!(key.to_string());
        }
        self.sealed(&claims)
    }

    /// A refresh token of `subject`, valid as long as their password does not change.
    ///
    /// # Errors
    /// [`Unsigned`].
    pub fn refresh_token(
        &self,
        users: &Users,
        (subject, key): (&Subject, Option<ApiKeyId>),
        now: SystemTime,
        life: Duration,
    ) -> Result<String, Unsigned> {
        let audience = format!("{}{FOR_REFRESH}", self.audience);
        let mut claims = self.claims(users, subject, &audience, now, life);
        if let Some(key) = key {
            claims["key"] = json!(key.to_string());
        }
        self.sealed(&claims)
    }

    /// An access token of a user's session.
    ///
    /// # Errors
    /// [`Unsigned`].
    pub fn session_token(
        &self,
        users: &Users,
        subject: &Subject,
        session: SessionId,
        now: SystemTime,
        life: Duration,
    ) -> Result<String, Unsigned> {
        let audience = format!("{}{FOR_SESSIONS}", self.audience);
        let mut claims = self.claims(users, subject, &audience, now, life);
        claims["sid"] = json!(session.to_string());
        self.sealed(&claims)
    }

    /// Verifies an access token, of the token service or of a session. Whether its session or API key still exists is
    /// for the caller to check.
    ///
    /// # Errors
    /// [`TokenRefused`].
    pub fn verify(&self, users: &Users, token: &str, now: SystemTime) -> Result<Bearer, TokenRefused> {
        let bearer = match self.access.open(token) {
            Err(TokenRefused::Audience) => self.read(users, self.sessions.open(token)?, now)?,
            claims => return self.read(users, claims?, now),
        };
        match bearer.session {
            Some(_) => Ok(bearer),
            None => Err(TokenRefused::Claim("sid")),
        }
    }

    /// Verifies a refresh token.
    ///
    /// # Errors
    /// [`TokenRefused`].
    pub fn verify_refresh(&self, users: &Users, token: &str, now: SystemTime) -> Result<Bearer, TokenRefused> {
        self.read(users, self.refresh.open(token)?, now)
    }

    /// A keyed fingerprint of the user's line in htpasswd, to which a session is tied; `None` if they do not exist or
    /// are locked.
    pub fn fingerprint(&self, users: &Users, user: &str) -> Option<String> {
        let line = htpasswd_line(user, line_of(users, user)?);
        self.signers.first().map(|signer| URL_SAFE_NO_PAD.encode(hmac::sign(&signer.lines, &line)))
    }

    /// Whether a fingerprint is that of the user's present line.
    pub fn is_current(&self, users: &Users, user: &str, fingerprint: &str) -> bool {
        let (Some(line), Ok(fingerprint)) = (line_of(users, user), URL_SAFE_NO_PAD.decode(fingerprint)) else {
            return false;
        };
        // Tries all keys: the one that signed may no longer be the first.
        let line = htpasswd_line(user, line);
        self.signers.iter().any(|signer| hmac::verify(&signer.lines, &line, &fingerprint).is_ok())
    }

    fn read(&self, users: &Users, claims: Arc<Claims>, now: SystemTime) -> Result<Bearer, TokenRefused> {
        claims.check_time(now)?;
        let subject = claims.subject()?;
        if let Some(user) = subject.name()
            && !self.is_current(users, user, claims.pwv.as_deref().unwrap_or_default())
        {
            return Err(TokenRefused::Outdated);
        }
        claims.bearer(subject)
    }

    fn claims(
        &self,
        users: &Users,
        subject: &Subject,
        audience: &str,
        now: SystemTime,
        life: Duration,
    ) -> serde_json::Value {
        let (issued, begun) = ((seconds(now) * 1e3).floor() / 1e3, seconds(now).floor());
        let mut claims = json!({
            "iss": self.issuer, "sub": subject.name().unwrap_or_default(), "aud": audience,
            // With its fraction: a user may void the tokens from before a moment, and get a new one in the same second.
            "iat": issued, "nbf": begun as u64, "exp": begun as u64 + life.as_secs(),
            "jti": uuid::Uuid::new_v4().simple().to_string(),
        });
        if let Some(fingerprint) = subject.name().and_then(|user| self.fingerprint(users, user)) {
            claims["pwv"] = json!(fingerprint);
        }
        claims
    }

    fn sealed(&self, claims: &serde_json::Value) -> Result<String, Unsigned> {
        // There is a first key: `parse` rejects files without keys.
        let signer = self.signers.first().ok_or(Unsigned)?;
        let header = Header { kid: Some(signer.id.clone()), ..Header::new(signer.algorithm) };
        jsonwebtoken::encode(&header, claims, &signer.key).map_err(|_| Unsigned)
    }
}

/// What is fingerprinted of a user's line; `None` if they do not exist or are locked.
fn line_of<'u>(users: &'u Users, user: &str) -> Option<&'u str> {
    users.line(user).filter(|_| users.kind(user) != Some(UserKind::Locked))
}

/// A line of htpasswd as it is fingerprinted. Names contain no colon, so it is unambiguous.
fn htpasswd_line(user: &str, hash: &str) -> Vec<u8> {
    format!("{user}:{hash}").into_bytes()
}

impl std::fmt::Debug for Issuer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let ids: Vec<_> = self.signers.iter().map(|signer| &signer.id).collect();
        write!(f, "Issuer(keys {ids:?}, for {:?})", self.audience)
    }
}

/// Generates a private key for [`Issuer::parse`], as a PEM file.
///
/// # Errors
/// The system has no randomness.
pub fn new_signing_key() -> Result<String, aws_lc_rs::error::Unspecified> {
    let pair = Ed25519KeyPair::generate_pkcs8v1(&rand::SystemRandom::new())?;
    let body = base64::engine::general_purpose::STANDARD.encode(pair.as_ref());
    let lines: Vec<_> = body.as_bytes().chunks(64).map(String::from_utf8_lossy).collect();
    Ok(format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", lines.join("\n")))
}
