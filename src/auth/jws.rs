//! Signed tokens in compact form (RFC 7515): which keys are accepted, and what is checked before
//! a claim is believed.
//!
//! The configured key decides the algorithms, never the token's header (RFC 8725 §3.1). Keys that
//! a token carries or points at (`jwk`, `jku`, `x5c`, `x5u`) are not looked at.

use aws_lc_rs::{
    digest::{SHA256, digest},
    signature::{self as sig, ParsedPublicKey, VerificationAlgorithm},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Deserialize;
use std::sync::Arc;

/// Signature algorithms (RFC 7518 §3.1, RFC 8037). Those with a shared secret are not among them,
/// nor is `none`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Algorithm {
    Rs256,
    Rs384,
    Rs512,
    Ps256,
    Ps384,
    Ps512,
    Es256,
    Es384,
    Es512,
    EdDsa,
}

impl Algorithm {
    const ALL: [(Self, &str, &'static dyn VerificationAlgorithm); 10] = [
        (Self::Rs256, "RS256", &sig::RSA_PKCS1_2048_8192_SHA256),
        (Self::Rs384, "RS384", &sig::RSA_PKCS1_2048_8192_SHA384),
        (Self::Rs512, "RS512", &sig::RSA_PKCS1_2048_8192_SHA512),
        (Self::Ps256, "PS256", &sig::RSA_PSS_2048_8192_SHA256),
        (Self::Ps384, "PS384", &sig::RSA_PSS_2048_8192_SHA384),
        (Self::Ps512, "PS512", &sig::RSA_PSS_2048_8192_SHA512),
        (Self::Es256, "ES256", &sig::ECDSA_P256_SHA256_FIXED),
        (Self::Es384, "ES384", &sig::ECDSA_P384_SHA384_FIXED),
        (Self::Es512, "ES512", &sig::ECDSA_P521_SHA512_FIXED),
        (Self::EdDsa, "EdDSA", &sig::ED25519),
    ];

    pub(super) fn name(self) -> &'static str {
        Self::ALL.iter().find(|(algorithm, ..)| *algorithm == self).map_or("", |(_, name, _)| name)
    }
}

/// A public key, with every algorithm its type and size allow.
#[derive(Clone)]
pub(super) struct Key {
    pub(super) id: Option<String>,
    fits: Vec<(Algorithm, ParsedPublicKey)>,
}

impl Key {
    /// A key as a `SubjectPublicKeyInfo` (RFC 5280 §4.1); `None` where no algorithm takes it.
    pub(super) fn of_spki(der: &[u8], id: Option<String>) -> Option<Self> {
        let fits = |(algorithm, _, verifies): &(Algorithm, _, &'static dyn VerificationAlgorithm)| {
            ParsedPublicKey::new(*verifies, der).ok().map(|key| (*algorithm, key))
        };
        let fits: Vec<_> = Algorithm::ALL.iter().filter_map(fits).collect();
        (!fits.is_empty()).then_some(Self { id, fits })
    }

    /// The same for one algorithm only, as a JSON Web Key may ask for; `None` if it is not of its type.
    pub(super) fn only(mut self, name: &str) -> Option<Self> {
        self.fits.retain(|(algorithm, _)| algorithm.name() == name);
        (!self.fits.is_empty()).then_some(self)
    }

    fn verifies(&self, algorithm: &str, message: &[u8], signature: &[u8]) -> bool {
        let of_name = self.fits.iter().find(|(fits, _)| fits.name() == algorithm);
        of_name.is_some_and(|(_, key)| key.verify_sig(message, signature).is_ok())
    }
}

/// Keys of which any may have signed.
pub(super) struct Keys {
    pub(super) keys: Vec<Key>,
    /// A token's `kid` selects among them; otherwise it is not compared.
    by_id: bool,
    /// Claims by the hash of a token whose signature was right: clients send one hundreds of
    /// times, and the signature costs more than all the rest of a small request. Time and
    /// everything else is judged each time.
    opened: quick_cache::sync::Cache<[u8; 32], Arc<[u8]>>,
}

/// Tokens remembered, and the longest of them: some MiB at most.
const MOST_OPENED: usize = 2048;
const LONGEST_OPENED: usize = 4 << 10;

/// A token that is not believed. Never quotes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Not three parts of base64url with a header in front.
    #[error("not a signed token in compact form")]
    Form,
    /// No configured key takes part in such a signature.
    #[error("signed by no key of ours, or with another algorithm")]
    Signature,
    /// The claims are no object, or some are not of their types.
    #[error("its claims are not of their types")]
    Claims,
    /// A claim is missing.
    #[error("claim {0:?} is missing")]
    Claim(&'static str),
    /// Of another issuer.
    #[error("of another issuer")]
    Issuer,
    /// For another registry.
    #[error("for another audience")]
    Audience,
    /// Its time is over, not yet come, or longer than a day.
    #[error("expired, not valid yet, or valid for too long")]
    Time,
    /// Of somebody who cannot be a user.
    #[error("its subject cannot be a user's name")]
    Subject,
    /// Of a user who is gone, or whose line in htpasswd has changed since.
    #[error("its user is gone or has another password since")]
    Outdated,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    #[serde(default)]
    kid: Option<String>,
    /// Extensions that must be understood (RFC 7515 §4.1.11): none are.
    #[serde(default)]
    crit: Option<serde_json::Value>,
}

/// Longer tokens are not looked at; those of real services are a few KiB.
const LONGEST: usize = 16 << 10;

/// Longer ones name no key of anybody's.
const LONGEST_ID: usize = 256;

impl Keys {
    /// These keys; `by_id` if a token's `kid` selects among them.
    pub(super) fn new(keys: Vec<Key>, by_id: bool) -> Self {
        Self { keys, by_id, opened: quick_cache::sync::Cache::new(MOST_OPENED) }
    }

    /// The claims of a token that one of these keys signed.
    ///
    /// # Errors
    /// [`Refused::Form`], [`Refused::Signature`].
    pub(super) fn open(&self, token: &str) -> Result<Arc<[u8]>, Refused> {
        if token.len() > LONGEST {
            return Err(Refused::Form);
        }
        let mut hash = [0; 32];
        hash.copy_from_slice(digest(&SHA256, token.as_bytes()).as_ref());
        if let Some(claims) = self.opened.get(&hash) {
            return Ok(claims);
        }
        let claims: Arc<[u8]> = self.verified(token)?.into();
        if token.len() <= LONGEST_OPENED {
            self.opened.insert(hash, claims.clone());
        }
        Ok(claims)
    }

    fn verified(&self, token: &str) -> Result<Vec<u8>, Refused> {
        let (message, signature) = token.rsplit_once('.').ok_or(Refused::Form)?;
        let (header, claims) = message.split_once('.').ok_or(Refused::Form)?;
        let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|_| Refused::Form);
        let (header, claims, signature) = (decode(header)?, decode(claims)?, decode(signature)?);
        let header: Header = object(&header).ok_or(Refused::Form)?;
        if header.crit.is_some() || header.kid.as_ref().is_some_and(|id| id.len() > LONGEST_ID) {
            return Err(Refused::Form);
        }
        let wanted = header.kid.filter(|_| self.by_id);
        let mut keys = self.keys.iter().filter(|key| wanted.is_none() || key.id == wanted);
        match keys.any(|key| key.verifies(&header.alg, message.as_bytes(), &signature)) {
            true => Ok(claims),
            false => Err(Refused::Signature),
        }
    }
}

/// Reads a JSON object. Derived reading would take a list of the fields as well.
pub(super) fn object<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Option<T> {
    (bytes.trim_ascii_start().first() == Some(&b'{')).then(|| serde_json::from_slice(bytes).ok()).flatten()
}

/// Header, claims and signature put together.
pub(super) fn seal(header: &serde_json::Value, claims: &serde_json::Value, sign: impl Fn(&[u8]) -> Vec<u8>) -> String {
    let encode = |value: &serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let message = format!("{}.{}", encode(header), encode(claims));
    let signature = URL_SAFE_NO_PAD.encode(sign(message.as_bytes()));
    format!("{message}.{signature}")
}
