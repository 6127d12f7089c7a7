//! The public keys of an external token service: a PEM file or a JSON Web Key Set (RFC 7517).

use super::jws::{PublicKey, PublicKeys};
use jsonwebtoken::{
    Algorithm, DecodingKey,
    jwk::{AlgorithmParameters, EllipticCurve, Jwk, PublicKeyUse},
};
use oci::json::{self, Object};
use rustls::pki_types::{
    CertificateDer,
    pem::{SectionKind, SliceIter},
};
use serde::Deserialize;
use serde_json::Value;
use webpki::EndEntityCert;

/// The keys of a file, and the entries that were skipped.
pub(super) struct KeyFile {
    pub(super) keys: Vec<PublicKey>,
    /// A token's `kid` selects among them.
    pub(super) by_id: bool,
    pub(super) skipped: Vec<String>,
}

impl KeyFile {
    /// Parses a file's content.
    ///
    /// # Errors
    /// What is wrong, in a sentence that quotes nothing of the file.
    pub(super) fn parse(content: &[u8]) -> Result<Self, String> {
        match content.trim_ascii_start().first() {
            Some(b'{') => from_set(content),
            _ => from_pem(content),
        }
    }

    /// The keys, for tokens of this issuer and audience.
    pub(super) fn keys(self, issuer: &str, audience: &str) -> PublicKeys {
        PublicKeys::new(self.keys, self.by_id, issuer, audience)
    }
}

fn from_pem(content: &[u8]) -> Result<KeyFile, String> {
    let mut keys = Vec::new();
    for (i, section) in SliceIter::<(SectionKind, Vec<u8>)>::new(content).enumerate() {
        let number = i + 1;
        let (kind, der) = section.map_err(|_| "is not a valid PEM file".to_owned())?;
        let spki = match kind {
            SectionKind::PublicKey => der,
            SectionKind::Certificate => {
                let cert = CertificateDer::from(der);
                let cert = EndEntityCert::try_from(&cert).map_err(|_| format!("certificate {number} is not valid"))?;
                cert.subject_public_key_info().to_vec()
            }
            SectionKind::RsaPrivateKey | SectionKind::PrivateKey | SectionKind::EcPrivateKey => {
                return Err("contains a private key; tokens are verified with the public key".to_owned());
            }
            _ => continue,
        };
        keys.push(PublicKey::from_spki(&spki, None).map_err(|why| format!("key {number} {why}"))?);
    }
    match keys.is_empty() {
        true => Err("contains no public key or certificate in PEM form, and is not a JSON Web Key Set".to_owned()),
        false => Ok(KeyFile { keys, by_id: false, skipped: Vec::new() }),
    }
}

#[derive(Deserialize)]
struct Set {
    keys: Vec<Value>,
}

fn from_set(content: &[u8]) -> Result<KeyFile, String> {
    let set: Set = json::from_slice(content)
        .map_err(|_| "is not a JSON Web Key Set: an object with a list \"keys\"".to_owned())?;
    let (mut keys, mut skipped) = (Vec::new(), Vec::new());
    for (i, key) in set.keys.into_iter().enumerate() {
        let number = i + 1;
        match web_key(&key).map_err(|why| format!("key {number} {why}"))? {
            WebKey::Usable(key) => keys.push(*key),
            WebKey::Unsupported(why) => skipped.push(format!("key {number} {why}; it is skipped")),
            WebKey::ForEncryption => {}
        }
    }
    match (keys.is_empty(), skipped.is_empty()) {
        (true, true) => Err("contains no key for signatures".to_owned()),
        (true, false) => Err(format!("contains no key that can be used: {}", skipped.join(", "))),
        (false, _) => Ok(KeyFile { keys, by_id: true, skipped }),
    }
}

enum WebKey {
    Usable(Box<PublicKey>),
    ForEncryption,
    /// A key for an algorithm that is not supported.
    Unsupported(String),
}

/// Parses one key of a set.
fn web_key(key: &Value) -> Result<WebKey, String> {
    let field = |name: &str| key.get(name).and_then(Value::as_str).unwrap_or_default();
    let Object(jwk) = Object::<Jwk>::deserialize(key).map_err(|_| "is not a JSON Web Key".to_owned())?;
    if jwk.common.public_key_use.as_ref().is_some_and(|usage| *usage != PublicKeyUse::Signature) {
        return Ok(WebKey::ForEncryption);
    }
    if field("kty") == "oct" || key.get("d").is_some() {
        return Err("is secret; tokens are verified with public keys".to_owned());
    }
    let expected = match &jwk.algorithm {
        AlgorithmParameters::RSA(_) => None,
        AlgorithmParameters::EllipticCurve(ec) if ec.curve == EllipticCurve::P256 => Some(Algorithm::ES256),
        AlgorithmParameters::EllipticCurve(ec) if ec.curve == EllipticCurve::P384 => Some(Algorithm::ES384),
        AlgorithmParameters::OctetKeyPair(ed) if ed.curve == EllipticCurve::Ed25519 => Some(Algorithm::EdDSA),
        _ => {
            return match (field("kty"), field("crv")) {
                ("RSA", _) | ("EC", "P-256" | "P-384") | ("OKP", "Ed25519") => Err("is incomplete".to_owned()),
                (kind, curve) => {
                    Ok(WebKey::Unsupported(format!("is of type {kind:?} and curve {curve:?}, which is not supported")))
                }
            };
        }
    };
    let asked: Option<Algorithm> = match jwk.common.key_algorithm {
        None => None,
        Some(algorithm) => match algorithm.try_into() {
            Ok(algorithm) => Some(algorithm),
            Err(_) => return Ok(WebKey::Unsupported(format!("is for {:?}, which is not supported", field("alg")))),
        },
    };
    let read = DecodingKey::from_jwk(&jwk).map_err(|_| "has numbers that are not base64url".to_owned())?;
    let read = PublicKey::from_components(read, jwk.common.key_id)?;
    let read = match expected {
        None => read,
        Some(algorithm) => read.only(algorithm).ok_or("is not on the curve it names")?,
    };
    let read = match asked {
        None => read,
        Some(algorithm) => read.only(algorithm).ok_or("cannot be used with its \"alg\"")?,
    };
    Ok(WebKey::Usable(read.into()))
}
