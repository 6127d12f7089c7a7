//! Signed tokens: which keys are accepted, and what is checked before a claim is trusted.
//!
//! The configured key decides the algorithms, never the token's header (RFC 8725 §3.1). Keys that a token carries or
//! refers to (`jwk`, `jku`, `x5c`, `x5u`) are ignored.

use super::{rsa_key::is_rsa_key, token::Claims};
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
use oci::json::{self, Object};
use serde::Deserialize;
use std::sync::Arc;

/// A public key, with every algorithm its type and size allow.
#[derive(Clone)]
pub(super) struct PublicKey {
    pub(super) id: Option<String>,
    key: DecodingKey,
    validation: Validation,
}

impl PublicKey {
    /// From a `SubjectPublicKeyInfo` (RFC 5280 §4.1).
    ///
    /// # Errors
    /// Why the key cannot be used.
    pub(super) fn from_spki(der: &[u8], id: Option<String>) -> Result<Self, String> {
        let algorithms = algorithms(der)?;
        let key = match algorithms {
            [Algorithm::EdDSA] => DecodingKey::from_ed_der(der),
            [Algorithm::ES256 | Algorithm::ES384] => DecodingKey::from_ec_der(der),
            _ => DecodingKey::from_rsa_der(der),
        };
        Ok(Self::new(key, algorithms, id))
    }

    /// From the parts of a JSON Web Key.
    ///
    /// # Errors
    /// Why the key cannot be used.
    pub(super) fn from_components(key: DecodingKey, id: Option<String>) -> Result<Self, String> {
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
        // Times are checked separately, on every use of the token.
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

    /// Restricts the key to one algorithm, as a JSON Web Key may ask for; `None` if its type does not support it.
    pub(super) fn only(mut self, algorithm: Algorithm) -> Option<Self> {
        self.validation.algorithms.retain(|fits| *fits == algorithm);
        (!self.validation.algorithms.is_empty()).then_some(self)
    }
}

const UNKNOWN: &str = "is not an RSA, P-256, P-384 or Ed25519 key";

/// The algorithms of a key. The key is parsed here so that an unusable one is found at load, not at the first token.
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
    if is_rsa_key(key).map_err(|unfit| format!("is {unfit}"))? {
        return Ok(RSA);
    }
    let fits = ONE.iter().find(|(algorithm, _)| ParsedPublicKey::new(*algorithm, key).is_ok());
    fits.map(|(_, algorithms)| *algorithms).ok_or_else(|| UNKNOWN.to_owned())
}

/// A set of keys, any of which may have signed a token.
pub(super) struct PublicKeys {
    pub(super) keys: Vec<PublicKey>,
    /// A token's `kid` selects among them; otherwise it is not compared.
    by_id: bool,
    /// Claims by the hash of a token whose signature, issuer and audience were valid: clients send a token hundreds of
    /// times, and its signature costs more than the rest of a small request. Times are checked on every use.
    opened: quick_cache::sync::Cache<[u8; 32], Arc<Claims>>,
}

/// Maximum number of tokens remembered, and their maximum length: a few MiB together.
const MOST_OPENED: usize = 2048;
const LONGEST_OPENED: usize = 4 << 10;

/// Why a token is not accepted. Never quotes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenRefused {
    /// Not three parts of base64url with a valid header.
    #[error("not a signed token in compact form, or with an extension that is not supported")]
    Form,
    /// No configured key verifies the signature.
    #[error("no configured key verifies its signature")]
    Signature,
    /// The claims are not an object, or have wrong types.
    #[error("its header or claims have fields of the wrong type")]
    Claims,
    /// A required claim is missing.
    #[error("claim {0:?} is missing")]
    Claim(&'static str),
    /// Another issuer.
    #[error("it has another issuer (iss)")]
    Issuer,
    /// Another audience.
    #[error("it is for another audience (aud)")]
    Audience,
    #[error("it has expired (exp)")]
    Expired,
    /// Not valid yet.
    #[error("it is not valid yet (nbf); compare the clocks of both machines")]
    TooEarly,
    /// Valid for more than a day.
    #[error("it is valid for more than a day (iat, exp)")]
    TooLong,
    /// The subject is not a valid user name.
    #[error("its subject (sub) cannot be a user name")]
    Subject,
    /// The user was removed, or their line in htpasswd has changed since.
    #[error("its user has been removed, or their password has changed since")]
    Outdated,
}

impl From<Error> for TokenRefused {
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

/// The header fields that select the key.
#[derive(Deserialize)]
struct Header {
    alg: String,
    #[serde(default)]
    kid: Option<String>,
    /// Extensions that must be understood (RFC 7515 §4.1.11): none are.
    #[serde(default)]
    crit: Option<serde_json::Value>,
}

/// Longer tokens are rejected unread; those of real services have a few KiB.
const LONGEST: usize = 16 << 10;

/// Longer ids match no key.
const LONGEST_ID: usize = 256;

impl PublicKeys {
    /// A set of keys for tokens of this issuer and audience; `by_id` if a token's `kid` selects among them.
    pub(super) fn new(mut keys: Vec<PublicKey>, by_id: bool, issuer: &str, audience: &str) -> Self {
        // Fails if a provider is installed already. An explicit choice makes the features of other packages irrelevant.
        let _ = aws_lc::DEFAULT_PROVIDER.install_default();
        for key in &mut keys {
            key.validation.set_issuer(&[issuer]);
            key.validation.set_audience(&[audience]);
        }
        Self { keys, by_id, opened: quick_cache::sync::Cache::new(MOST_OPENED) }
    }

    /// The claims of a token signed by one of these keys, with the right issuer and audience.
    ///
    /// # Errors
    /// [`TokenRefused`], except for times, which are not checked here.
    pub(super) fn open(&self, token: &str) -> Result<Arc<Claims>, TokenRefused> {
        if token.len() > LONGEST {
            return Err(TokenRefused::Form);
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

    fn verified(&self, token: &str) -> Result<Claims, TokenRefused> {
        let (header, _) = token.split_once('.').ok_or(TokenRefused::Form)?;
        let header = URL_SAFE_NO_PAD.decode(header).map_err(|_| TokenRefused::Form)?;
        let header: Header = json::from_slice(&header).map_err(|_| TokenRefused::Form)?;
        if header.crit.is_some() || header.kid.as_ref().is_some_and(|id| id.len() > LONGEST_ID) {
            return Err(TokenRefused::Form);
        }
        let algorithm: Algorithm = header.alg.parse().map_err(|_| TokenRefused::Signature)?;
        let wanted = header.kid.filter(|_| self.by_id);
        let of_id = |key: &&PublicKey| wanted.is_none() || key.id == wanted;
        for key in self.keys.iter().filter(of_id).filter(|key| key.algorithms().contains(&algorithm)) {
            match jsonwebtoken::decode::<Object<Claims>>(token, &key.key, &key.validation).map_err(TokenRefused::from) {
                Ok(opened) => return Ok(opened.claims.0),
                Err(TokenRefused::Signature) => {}
                Err(refused) => return Err(refused),
            }
        }
        Err(TokenRefused::Signature)
    }
}
