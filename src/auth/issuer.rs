//! Our own tokens: short-lived ones for access, and those by which a client gets the next.
//!
//! A token of a user carries a keyed fingerprint of that user's line in htpasswd, so that changing
//! or removing the line ends it, without any list of tokens that were given out.

use super::{
    Users,
    jws::{Key, Keys, Refused, seal},
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
use rustls::pki_types::pem::{SectionKind, SliceIter};
use serde_json::json;
use std::time::{Duration, SystemTime};

/// Makes and believes tokens of our own.
pub struct Issuer {
    /// The first signs, all verify.
    signers: Vec<Signer>,
    keys: Keys,
    issuer: String,
    audience: String,
}

struct Signer {
    id: String,
    pair: Pair,
    /// For fingerprints: derived, so that whoever shares the key agrees on them.
    lines: hmac::Key,
}

enum Pair {
    Ed25519(Box<Ed25519KeyPair>),
    P256(Box<EcdsaKeyPair>),
}

impl Pair {
    fn read(kind: SectionKind, der: &[u8]) -> Option<Self> {
        let ed25519 = || Ed25519KeyPair::from_pkcs8(der).ok().map(|pair| Self::Ed25519(Box::new(pair)));
        let p256 = || EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der).ok();
        let sec1 = || EcdsaKeyPair::from_private_key_der(&ECDSA_P256_SHA256_FIXED_SIGNING, der).ok();
        match kind {
            SectionKind::PrivateKey => ed25519().or_else(|| p256().map(|pair| Self::P256(Box::new(pair)))),
            SectionKind::EcPrivateKey => sec1().map(|pair| Self::P256(Box::new(pair))),
            _ => None,
        }
    }

    fn spki(&self) -> Option<Vec<u8>> {
        let der: PublicKeyX509Der<'_> = match self {
            Self::Ed25519(pair) => pair.public_key().as_der().ok()?,
            Self::P256(pair) => pair.public_key().as_der().ok()?,
        };
        Some(der.as_ref().to_vec())
    }

    fn algorithm(&self) -> &'static str {
        match self {
            Self::Ed25519(_) => "EdDSA",
            Self::P256(_) => "ES256",
        }
    }

    fn sign(&self, message: &[u8]) -> Vec<u8> {
        match self {
            Self::Ed25519(pair) => pair.sign(message).as_ref().to_vec(),
            // Fails only where the system has no randomness: then the token is worth nothing.
            Self::P256(pair) => pair
                .sign(&rand::SystemRandom::new(), message)
                .map(|signed| signed.as_ref().to_vec())
                .unwrap_or_default(),
        }
    }
}

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
            let (kind, der) = section.map_err(|_| "is no sound PEM file".to_owned())?;
            let unusable = || format!("key {} is no private key of Ed25519 or P-256", i + 1);
            let pair = Pair::read(kind, &der).ok_or_else(unusable)?;
            let spki = pair.spki().ok_or_else(unusable)?;
            let id = URL_SAFE_NO_PAD.encode(&digest(&SHA256, &spki).as_ref()[..12]);
            keys.push(Key::of_spki(&spki, Some(id.clone())).ok_or_else(unusable)?);
            let secret = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &der), b"wharfinger: lines of htpasswd");
            signers.push(Signer { id, pair, lines: hmac::Key::new(hmac::HMAC_SHA256, secret.as_ref()) });
        }
        match signers.is_empty() {
            true => Err("holds no private key in PEM form; make one with: wharfinger key new PATH".to_owned()),
            false => Ok(Self {
                signers,
                keys: Keys::new(keys, true),
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
    pub fn access_token(
        &self,
        users: &Users,
        subject: &Subject,
        access: Option<&[Access]>,
        now: SystemTime,
        life: Duration,
    ) -> String {
        let mut claims = self.claims(users, subject, &self.audience, now, life);
        if let Some(access) = access {
            claims["access"] = json!(access);
        }
        self.sealed(&claims)
    }

    /// A token by which `subject` gets the next token, as long as the password stays.
    pub fn refresh_token(&self, users: &Users, subject: &Subject, now: SystemTime, life: Duration) -> String {
        let audience = format!("{}{FOR_REFRESH}", self.audience);
        self.sealed(&self.claims(users, subject, &audience, now, life))
    }

    /// Who brings this token for access.
    ///
    /// # Errors
    /// [`Refused`].
    pub fn verify(&self, users: &Users, token: &str, now: SystemTime) -> Result<Bearer, Refused> {
        let (subject, claims) = self.read(users, token, &self.audience, now)?;
        Ok(Bearer { subject, access: claims.access() })
    }

    /// Whose refresh token this is.
    ///
    /// # Errors
    /// [`Refused`].
    pub fn verify_refresh(&self, users: &Users, token: &str, now: SystemTime) -> Result<Subject, Refused> {
        let audience = format!("{}{FOR_REFRESH}", self.audience);
        Ok(self.read(users, token, &audience, now)?.0)
    }

    fn read(&self, users: &Users, token: &str, audience: &str, now: SystemTime) -> Result<(Subject, Claims), Refused> {
        let claims = Claims::read(&self.keys.open(token)?, &self.issuer, audience, now)?;
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

    fn sealed(&self, claims: &serde_json::Value) -> String {
        // There is a first: `parse` refuses a file without keys.
        let Some(signer) = self.signers.first() else { return String::new() };
        let header = json!({ "typ": "JWT", "alg": signer.pair.algorithm(), "kid": signer.id });
        seal(&header, claims, |message| signer.pair.sign(message))
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
