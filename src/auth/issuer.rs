//! Tokens of the built-in token service: short-lived ones for access, and those by which a client gets the next.
//!
//! A token of a user carries a keyed fingerprint of that user's line in htpasswd, so that changing
//! or removing the line ends it, without any list of tokens that were given out.

use super::{
    Users,
    jws::{Key, Keys, Refused},
    token::{Access, Bearer, Claims, seconds},
};
use crate::who::Subject;
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

/// Issues and verifies tokens of the built-in token service.
pub struct Issuer {
    /// The first signs, all verify.
    signers: Vec<Signer>,
    access: Keys,
    refresh: Keys,
    issuer: String,
    audience: String,
}

struct Signer {
    id: String,
    algorithm: Algorithm,
    key: EncodingKey,
    /// For fingerprints: derived, so that whoever shares the key agrees on them.
    lines: hmac::Key,
}

/// A private key for signatures, and its public half as a `SubjectPublicKeyInfo`.
struct Pair {
    algorithm: Algorithm,
    key: EncodingKey,
    spki: Vec<u8>,
}

impl Pair {
    fn read(kind: SectionKind, der: &[u8]) -> Option<Self> {
        match kind {
            SectionKind::PrivateKey => Self::ed25519(der).or_else(|| Self::p256(der)),
            // Signatures are made with the other form (PKCS#8).
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

/// A token could not be signed: the system has no randomness.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot sign a token: the system provides no random numbers")]
pub struct Unsigned;

/// What is added to the audience of a token that is good for nothing but the next token.
const FOR_REFRESH: &str = "#refresh";

impl Issuer {
    /// From the content of a PEM file with one or more private keys.
    ///
    /// # Errors
    /// What is wrong with it; quotes nothing.
    pub fn parse(content: &[u8], issuer: &str, audience: &str) -> Result<Self, String> {
        let (mut signers, mut keys) = (Vec::new(), Vec::new());
        for (i, section) in SliceIter::<(SectionKind, Vec<u8>)>::new(content).enumerate() {
            let (kind, der) = section.map_err(|_| "is not a valid PEM file".to_owned())?;
            let unusable = || format!("key {} is not an Ed25519 or P-256 private key", i + 1);
            let Pair { algorithm, key, spki } = Pair::read(kind, &der).ok_or_else(unusable)?;
            let id = URL_SAFE_NO_PAD.encode(&digest(&SHA256, &spki).as_ref()[..12]);
            keys.push(Key::of_spki(&spki, Some(id.clone())).map_err(|_| unusable())?);
            let secret = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &der), b"wharfinger: lines of htpasswd");
            signers.push(Signer { id, algorithm, key, lines: hmac::Key::new(hmac::HMAC_SHA256, secret.as_ref()) });
        }
        match signers.is_empty() {
            true => Err("holds no private key in PEM form; make one with: wharfinger key new PATH".to_owned()),
            false => Ok(Self {
                signers,
                access: Keys::new(keys.clone(), true, issuer, audience),
                refresh: Keys::new(keys, true, issuer, &format!("{audience}{FOR_REFRESH}")),
                issuer: issuer.to_owned(),
                audience: audience.to_owned(),
            }),
        }
    }

    /// What challenges call this registry, and its tokens are for.
    pub fn audience(&self) -> &str {
        &self.audience
    }

    /// A token of `subject`, good for `access` (`None`: for whatever its bearer may do).
    ///
    /// # Errors
    /// [`Unsigned`].
    pub fn access_token(
        &self,
        users: &Users,
        subject: &Subject,
        access: Option<&[Access]>,
        now: SystemTime,
        life: Duration,
    ) -> Result<String, Unsigned> {
        let mut claims = self.claims(users, subject, &self.audience, now, life);
        if let Some(access) = access {
            claims["access"] = json!(access);
        }
        self.sealed(&claims)
    }

    /// A token by which `subject` gets the next token, as long as the password stays.
    ///
    /// # Errors
    /// [`Unsigned`].
    pub fn refresh_token(
        &self,
        users: &Users,
        subject: &Subject,
        now: SystemTime,
        life: Duration,
    ) -> Result<String, Unsigned> {
        let audience = format!("{}{FOR_REFRESH}", self.audience);
        self.sealed(&self.claims(users, subject, &audience, now, life))
    }

    /// Who brings this token for access.
    ///
    /// # Errors
    /// [`Refused`].
    pub fn verify(&self, users: &Users, token: &str, now: SystemTime) -> Result<Bearer, Refused> {
        let (subject, claims) = self.read(users, self.access.open(token)?, now)?;
        Ok(Bearer { subject, access: claims.access() })
    }

    /// Whose refresh token this is.
    ///
    /// # Errors
    /// [`Refused`].
    pub fn verify_refresh(&self, users: &Users, token: &str, now: SystemTime) -> Result<Subject, Refused> {
        Ok(self.read(users, self.refresh.open(token)?, now)?.0)
    }

    fn read(&self, users: &Users, claims: Arc<Claims>, now: SystemTime) -> Result<(Subject, Arc<Claims>), Refused> {
        claims.check_time(now)?;
        let subject = claims.subject()?;
        if let Some(user) = subject.name() {
            // Any of the keys: the one that signed may not be the first any more.
            let line = claims.line.as_deref().and_then(|line| URL_SAFE_NO_PAD.decode(line).ok()).unwrap_or_default();
            let (hash, known) = users.hash(user);
            let of_line = |signer: &Signer| hmac::verify(&signer.lines, &written(user, hash), &line).is_ok();
            if !known || !self.signers.iter().any(of_line) {
                return Err(Refused::Outdated);
            }
        }
        Ok((subject, claims))
    }

    fn claims(
        &self,
        users: &Users,
        subject: &Subject,
        audience: &str,
        now: SystemTime,
        life: Duration,
    ) -> serde_json::Value {
        let begun = seconds(now).floor();
        let mut claims = json!({
            "iss": self.issuer, "sub": subject.name().unwrap_or_default(), "aud": audience,
            "iat": begun as u64, "nbf": begun as u64, "exp": begun as u64 + life.as_secs(),
            "jti": uuid::Uuid::new_v4().simple().to_string(),
        });
        if let (Some(user), Some(signer)) = (subject.name(), self.signers.first()) {
            let line = hmac::sign(&signer.lines, &written(user, users.hash(user).0));
            claims["line"] = json!(URL_SAFE_NO_PAD.encode(line));
        }
        claims
    }

    fn sealed(&self, claims: &serde_json::Value) -> Result<String, Unsigned> {
        // There is a first: `parse` refuses a file without keys.
        let signer = self.signers.first().ok_or(Unsigned)?;
        let header = Header { kid: Some(signer.id.clone()), ..Header::new(signer.algorithm) };
        jsonwebtoken::encode(&header, claims, &signer.key).map_err(|_| Unsigned)
    }
}

/// A line of htpasswd as it is fingerprinted; names hold no colon.
fn written(user: &str, hash: &str) -> Vec<u8> {
    format!("{user}:{hash}").into_bytes()
}

impl std::fmt::Debug for Issuer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let ids: Vec<_> = self.signers.iter().map(|signer| &signer.id).collect();
        write!(f, "Issuer(keys {ids:?}, for {:?})", self.audience)
    }
}

/// A new private key for [`Issuer::parse`], as a PEM file.
///
/// # Errors
/// The system has no randomness.
pub fn new_signing_key() -> Result<String, aws_lc_rs::error::Unspecified> {
    let pair = Ed25519KeyPair::generate_pkcs8v1(&rand::SystemRandom::new())?;
    let body = base64::engine::general_purpose::STANDARD.encode(pair.as_ref());
    let lines: Vec<_> = body.as_bytes().chunks(64).map(String::from_utf8_lossy).collect();
    Ok(format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", lines.join("\n")))
}
