//! Signed tokens: which keys are accepted, and what is checked before a claim is believed.
//!
//! The configured key decides the algorithms, never the token's header (RFC 8725 §3.1). Keys that
//! a token carries or points at (`jwk`, `jku`, `x5c`, `x5u`) are not looked at.

use super::token::Claims;
use crate::oci::Object;
use aws_lc_rs::{
    digest::{SHA256, digest},
    encoding::{AsDer, PublicKeyX509Der},
    rsa,
    signature::{ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, ParsedPublicKey, VerificationAlgorithm},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{
    Algorithm, DecodingKey, DecodingKeyKind, Validation,
    crypto::aws_lc,
    errors::{Error, ErrorKind},
};
use serde::Deserialize;
use std::sync::Arc;

/// A public key, with every algorithm its type and size allow.
#[derive(Clone)]
pub(super) struct Key {
    pub(super) id: Option<String>,
    key: DecodingKey,
    validation: Validation,
}

/// Smaller and larger RSA keys verify nothing.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;

impl Key {
    /// A key as a `SubjectPublicKeyInfo` (RFC 5280 §4.1).
    ///
    /// # Errors
    /// Why it is of no use.
    pub(super) fn of_spki(der: &[u8], id: Option<String>) -> Result<Self, String> {
        let algorithms = algorithms(der)?;
        let key = match algorithms {
            [Algorithm::EdDSA] => DecodingKey::from_ed_der(der),
            [Algorithm::ES256 | Algorithm::ES384] => DecodingKey::from_ec_der(der),
            _ => DecodingKey::from_rsa_der(der),
        };
        Ok(Self::new(key, algorithms, id))
    }

    /// A key that was read from a JSON Web Key.
    ///
    /// # Errors
    /// Why it is of no use.
    pub(super) fn of_components(key: DecodingKey, id: Option<String>) -> Result<Self, String> {
        let algorithms = match key.kind() {
            DecodingKeyKind::SecretOrDer(bytes) => algorithms(bytes)?,
            DecodingKeyKind::RsaModulusExponent { n, e } => {
                let components = rsa::PublicKeyComponents { n, e };
                let der: PublicKeyX509Der<'_> = components.as_der().map_err(|_| UNKNOWN.to_owned())?;
                algorithms(der.as_ref())?
            }
        };
        Ok(Self::new(key, algorithms, id))
    }

    fn new(key: DecodingKey, algorithms: &[Algorithm], id: Option<String>) -> Self {
        // Times are judged by our own clock, each time the token comes.
        let validation = Validation {
            algorithms: algorithms.to_vec(),
            validate_exp: false,
            required_spec_claims: ["iss", "aud", "exp"].map(str::to_owned).into(),
            ..Validation::default()
        };
        Self { id, key, validation }
    }

    pub(super) fn algorithms(&self) -> &[Algorithm] {
        &self.validation.algorithms
    }

    /// The same for one algorithm only, as a JSON Web Key may ask for; `None` if it is not of its type.
    pub(super) fn only(mut self, algorithm: Algorithm) -> Option<Self> {
        self.validation.algorithms.retain(|fits| *fits == algorithm);
        (!self.validation.algorithms.is_empty()).then_some(self)
    }
}

const UNKNOWN: &str = "is not an RSA, P-256, P-384 or Ed25519 key";

/// What a key can verify. It is parsed here so that one of no use is found at load, not at the first token.
fn algorithms(key: &[u8]) -> Result<&'static [Algorithm], String> {
    const ONE: [(&dyn VerificationAlgorithm, &[Algorithm]); 3] = [
        (&ECDSA_P256_SHA256_FIXED, &[Algorithm::ES256]),
        (&ECDSA_P384_SHA384_FIXED, &[Algorithm::ES384]),
        (&ED25519, &[Algorithm::EdDSA]),
    ];
    const RSA: &[Algorithm] = {
        use Algorithm::*;
        &[RS256, RS384, RS512, PS256, PS384, PS512]
    };
    if let Ok(key) = rsa::PublicKey::from_der(key) {
        let modulus = rsa::PublicKeyComponents::<Vec<u8>>::from(&key).n;
        let zeros = modulus.first().map_or(0, |first| first.leading_zeros() as usize);
        let bits = modulus.len() * 8 - zeros;
        let (least, most) = (RSA_BITS.start(), RSA_BITS.end());
        let unfit = || format!("is an RSA key of {bits} bits; {least} to {most} bits are accepted");
        return RSA_BITS.contains(&bits).then_some(RSA).ok_or_else(unfit);
    }
    let fits = ONE.iter().find(|(algorithm, _)| ParsedPublicKey::new(*algorithm, key).is_ok());
    fits.map(|(_, algorithms)| *algorithms).ok_or_else(|| UNKNOWN.to_owned())
}

/// Keys of which any may have signed.
pub(super) struct Keys {
    pub(super) keys: Vec<Key>,
    /// A token's `kid` selects among them; otherwise it is not compared.
    by_id: bool,
    /// Claims by the hash of a token whose signature, issuer and audience were right: clients send
    /// one hundreds of times, and the signature costs more than all the rest of a small request.
    /// Time is judged each time.
    opened: quick_cache::sync::Cache<[u8; 32], Arc<Claims>>,
}

/// Tokens remembered, and the longest of them: some MiB at most.
const MOST_OPENED: usize = 2048;
const LONGEST_OPENED: usize = 4 << 10;

/// A token that is not believed. Never quotes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Not three parts of base64url with a header in front.
    #[error("not a signed token in compact form, or with an extension that is not supported")]
    Form,
    /// No configured key takes part in such a signature.
    #[error("no configured key verifies its signature")]
    Signature,
    /// The claims are no object, or some are not of their types.
    #[error("its header or claims have fields of the wrong type")]
    Claims,
    /// A claim is missing.
    #[error("claim {0:?} is missing")]
    Claim(&'static str),
    /// Of another issuer.
    #[error("it has another issuer (iss)")]
    Issuer,
    /// For another registry.
    #[error("it is for another audience (aud)")]
    Audience,
    /// Its time is over.
    #[error("it has expired (exp)")]
    Expired,
    /// Its time has not come.
    #[error("it is not valid yet (nbf); compare the clocks of both machines")]
    TooEarly,
    /// Made for more than a day.
    #[error("it is valid for more than a day (iat, exp)")]
    TooLong,
    /// Of somebody who cannot be a user.
    #[error("its subject (sub) cannot be a user name")]
    Subject,
    /// Of a user who is gone, or whose line in htpasswd has changed since.
    #[error("its user has been removed, or their password has changed since")]
    Outdated,
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        match error.kind() {
            ErrorKind::InvalidToken | ErrorKind::Base64(_) => Self::Form,
            ErrorKind::MissingRequiredClaim(claim) => {
                Self::Claim(["iss", "aud"].into_iter().find(|name| name == claim).unwrap_or("exp"))
            }
            ErrorKind::InvalidIssuer => Self::Issuer,
            ErrorKind::InvalidAudience => Self::Audience,
            ErrorKind::Json(_) | ErrorKind::Utf8(_) | ErrorKind::InvalidClaimFormat(_) => Self::Claims,
            _ => Self::Signature,
        }
    }
}

/// What selects the key.
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
    /// These keys, for the tokens of this issuer for this audience; `by_id` if a token's `kid`
    /// selects among them.
    pub(super) fn new(mut keys: Vec<Key>, by_id: bool, issuer: &str, audience: &str) -> Self {
        // Fails where it is chosen already: no other package's choice of features counts then.
        let _ = aws_lc::DEFAULT_PROVIDER.install_default();
        for key in &mut keys {
            key.validation.set_issuer(&[issuer]);
            key.validation.set_audience(&[audience]);
        }
        Self { keys, by_id, opened: quick_cache::sync::Cache::new(MOST_OPENED) }
    }

    /// The claims of a token that one of these keys signed, of our issuer and for our audience.
    ///
    /// # Errors
    /// [`Refused`], but for what depends on the time.
    pub(super) fn open(&self, token: &str) -> Result<Arc<Claims>, Refused> {
        if token.len() > LONGEST {
            return Err(Refused::Form);
        }
        let mut hash = [0; 32];
        hash.copy_from_slice(digest(&SHA256, token.as_bytes()).as_ref());
        if let Some(claims) = self.opened.get(&hash) {
            return Ok(claims);
        }
        let claims = Arc::new(self.verified(token)?);
        if token.len() <= LONGEST_OPENED {
            self.opened.insert(hash, claims.clone());
        }
        Ok(claims)
    }

    fn verified(&self, token: &str) -> Result<Claims, Refused> {
        let (header, _) = token.split_once('.').ok_or(Refused::Form)?;
        let header = URL_SAFE_NO_PAD.decode(header).map_err(|_| Refused::Form)?;
        let Object(header) = serde_json::from_slice::<Object<Header>>(&header).map_err(|_| Refused::Form)?;
        if header.crit.is_some() || header.kid.as_ref().is_some_and(|id| id.len() > LONGEST_ID) {
            return Err(Refused::Form);
        }
        let algorithm: Algorithm = header.alg.parse().map_err(|_| Refused::Signature)?;
        let wanted = header.kid.filter(|_| self.by_id);
        let of_id = |key: &&Key| wanted.is_none() || key.id == wanted;
        for key in self.keys.iter().filter(of_id).filter(|key| key.algorithms().contains(&algorithm)) {
            match jsonwebtoken::decode::<Object<Claims>>(token, &key.key, &key.validation).map_err(Refused::from) {
                Ok(opened) => return Ok(opened.claims.0),
                Err(Refused::Signature) => {}
                Err(refused) => return Err(refused),
            }
        }
        Err(Refused::Signature)
    }
}
