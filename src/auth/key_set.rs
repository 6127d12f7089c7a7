//! The public keys of a token service elsewhere: a PEM file or a JSON Web Key Set (RFC 7517).

use super::jws::{Key, Keys};
use aws_lc_rs::{
    encoding::{AsDer, PublicKeyX509Der},
    rsa::PublicKeyComponents,
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use rustls::pki_types::{
    CertificateDer,
    pem::{SectionKind, SliceIter},
};
use serde::Deserialize;
use webpki::EndEntityCert;

impl Keys {
    /// Reads a file's content.
    ///
    /// # Errors
    /// What is wrong, in a sentence that quotes nothing of the file.
    pub(super) fn parse(content: &[u8]) -> Result<Self, String> {
        match content.trim_ascii_start().first() {
            Some(b'{') => of_set(content),
            _ => of_pem(content),
        }
    }
}

fn of_pem(content: &[u8]) -> Result<Keys, String> {
    let mut keys = Vec::new();
    for (i, section) in SliceIter::<(SectionKind, Vec<u8>)>::new(content).enumerate() {
        let number = i + 1;
        let (kind, der) = section.map_err(|_| "is no sound PEM file".to_owned())?;
        let spki = match kind {
            SectionKind::PublicKey => der,
            SectionKind::Certificate => {
                let cert = CertificateDer::from(der);
                let cert = EndEntityCert::try_from(&cert).map_err(|_| format!("certificate {number} is not sound"))?;
                cert.subject_public_key_info().to_vec()
            }
            SectionKind::RsaPrivateKey | SectionKind::PrivateKey | SectionKind::EcPrivateKey => {
                return Err("holds a private key; tokens are verified with the public one".to_owned());
            }
            _ => continue,
        };
        let key = Key::of_spki(&spki, None);
        keys.push(
            key.ok_or_else(|| format!("key {number} is not RSA (2048 bits or more), P-256, P-384, P-521 or Ed25519"))?,
        );
    }
    match keys.is_empty() {
        true => Err("holds no public key and no certificate in PEM form, and is no JSON Web Key Set".to_owned()),
        false => Ok(Keys::new(keys, false)),
    }
}

#[derive(Deserialize)]
struct Set {
    keys: Vec<WebKey>,
}

/// RFC 7517 §4, RFC 7518 §6, RFC 8037 §2; what else a key says of itself is ignored.
#[derive(Deserialize)]
struct WebKey {
    kty: String,
    #[serde(rename = "use")]
    usage: Option<String>,
    alg: Option<String>,
    kid: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
    /// The private part of any kind of key.
    d: Option<serde_json::Value>,
}

fn of_set(content: &[u8]) -> Result<Keys, String> {
    let set: Set = super::jws::object(content).ok_or("is no JSON Web Key Set: an object with a list \"keys\"")?;
    let mut keys = Vec::new();
    for (i, key) in set.keys.into_iter().enumerate() {
        let number = i + 1;
        if key.usage.as_deref().is_some_and(|usage| usage != "sig") {
            continue;
        }
        if key.kty == "oct" || key.d.is_some() {
            return Err(format!("key {number} is secret; tokens are verified with public keys"));
        }
        let read = key.spki().and_then(|spki| Key::of_spki(&spki, key.kid.clone()));
        let read = match &key.alg {
            None => read,
            Some(alg) => read.and_then(|read| read.only(alg)),
        };
        keys.push(read.ok_or_else(|| {
            format!(
                "key {number} is not RSA (2048 bits or more), P-256, P-384, P-521 or Ed25519, or not for its \"alg\""
            )
        })?);
    }
    match keys.is_empty() {
        true => Err("holds no key for signatures".to_owned()),
        false => Ok(Keys::new(keys, true)),
    }
}

impl WebKey {
    /// The key as a `SubjectPublicKeyInfo`.
    fn spki(&self) -> Option<Vec<u8>> {
        let part = |part: &Option<String>| URL_SAFE_NO_PAD.decode(part.as_deref()?).ok();
        match (self.kty.as_str(), self.crv.as_deref()) {
            ("RSA", _) => {
                let key = PublicKeyComponents { n: part(&self.n)?, e: part(&self.e)? };
                let der: PublicKeyX509Der<'_> = key.as_der().ok()?;
                Some(der.as_ref().to_vec())
            }
            ("EC", Some(curve)) => {
                let (prefix, len): (&[u8], usize) = match curve {
                    "P-256" => (P256, 32),
                    "P-384" => (P384, 48),
                    "P-521" => (P521, 66),
                    _ => return None,
                };
                let (x, y) = (part(&self.x)?, part(&self.y)?);
                (x.len() == len && y.len() == len).then(|| [prefix, &x, &y].concat())
            }
            ("OKP", Some("Ed25519")) => {
                let x = part(&self.x)?;
                (x.len() == 32).then(|| [ED25519, &x].concat())
            }
            _ => None,
        }
    }
}

/// What stands before the point of a `SubjectPublicKeyInfo` of each curve (RFC 5480 §2, RFC 8410
/// §4): lengths, algorithm, curve, and that the point is not compressed.
const P256: &[u8] = &[
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce,
    0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00, 0x04,
];
const P384: &[u8] = &[
    0x30, 0x76, 0x30, 0x10, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x05, 0x2b, 0x81, 0x04, 0x00,
    0x22, 0x03, 0x62, 0x00, 0x04,
];
const P521: &[u8] = &[
    0x30, 0x81, 0x9b, 0x30, 0x10, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x05, 0x2b, 0x81, 0x04,
    0x00, 0x23, 0x03, 0x81, 0x86, 0x00, 0x04,
];
const ED25519: &[u8] = &[0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
