//! Credentials: the Authorization header, the htpasswd file, tokens.

use super::{first_line, text};
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use serde_json::Value;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use wharfinger::{
    identity::{Credentials, Presented, Users, Verifier},
    who::Subject,
};

/// The value of an Authorization header.
pub fn authorization(data: &[u8]) {
    let value = data.strip_suffix(b"\n").unwrap_or(data);
    match Presented::parse(value) {
        Presented::Malformed(_) | Presented::Other => {}
        Presented::Nobody => assert_eq!(decoded(value), ":"),
        Presented::Token(token) => {
            let text = std::str::from_utf8(value).unwrap();
            assert!(text[..7].eq_ignore_ascii_case("bearer ") && text[7..].trim() == token);
        }
        Presented::Password(credentials) => {
            let shown = format!("{credentials:?}");
            let plain = decoded(value);
            let (user, password) = plain.split_once(':').unwrap();
            assert_eq!(credentials, Credentials::new(user, password));
            assert_eq!(shown, format!("Credentials({user:?}, …)"), "the password is not shown");
            assert!(!plain.contains(['\0', '\r', '\n']));
        }
    }
}

/// The part after the scheme.
fn decoded(value: &[u8]) -> String {
    let encoded = std::str::from_utf8(value).unwrap().split_once(' ').unwrap().1.trim();
    String::from_utf8(STANDARD.decode(encoded).unwrap()).unwrap()
}

/// An htpasswd file.
pub fn htpasswd(data: &[u8]) {
    let Some(text) = text(data) else { return };
    match Users::parse(text) {
        Ok(users) => {
            let lines = text.split('\n').filter(|line| !line.is_empty() && !line.starts_with('#'));
            let names: Vec<_> = lines.map(|line| line.split_once(':').unwrap().0).collect();
            assert_eq!(users.len(), names.len());
            assert!(names.iter().all(|name| users.contains(name) && Subject::is_user_name(name)));
            // A comment between two lines changes nothing.
            let commented = text.replace('\n', "\n# comment\n");
            assert_eq!(Users::parse(&commented).map(|users| users.len()), Ok(users.len()));
        }
        Err(problems) => {
            let lines: Vec<&str> = text.split('\n').collect();
            assert!(!problems.is_empty());
            for problem in problems {
                let line = lines[problem.line - 1];
                // Errors may show names, but never a hash.
                let hash = line.split_once(':').map_or("", |(_, hash)| hash);
                assert!(hash.len() < 8 || !problem.message.contains(hash), "{}", problem.message);
            }
        }
    }
}

/// The time at which tokens are verified.
fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_800_000_000)
}

/// A header on the first line and claims after it, signed with the right key; or, without a second line, an unsigned
/// token.
pub fn jwt(data: &[u8]) {
    let pair = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap();
    let x = URL_SAFE_NO_PAD.encode(pair.public_key().as_ref());
    let set = format!(r#"{{"keys":[{{"kty":"OKP","crv":"Ed25519","kid":"one","x":"{x}"}}]}}"#);
    let verifier = Verifier::parse(set.as_bytes(), "issuer", "registry").unwrap();
    let Some((header, claims)) = first_line(data) else {
        if let Some(token) = text(data) {
            assert!(verifier.verify(token, now()).is_err(), "the token is unsigned");
        }
        return;
    };
    let message = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
    let signature = pair.sign(message.as_bytes());
    let token = format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature.as_ref()));
    let judged = verifier.verify(&token, now());
    // The second verification has the same result.
    assert_eq!(judged, verifier.verify(&token, now()));
    let mut forged = signature.as_ref().to_vec();
    forged[0] ^= 1;
    assert!(verifier.verify(&format!("{message}.{}", URL_SAFE_NO_PAD.encode(forged)), now()).is_err());
    let Ok(bearer) = judged else { return };
    // An accepted token has all of these claims.
    let header: Value = serde_json::from_str(header).unwrap();
    let claims: Value = serde_json::from_slice(claims).unwrap();
    assert_eq!(header["alg"], "EdDSA");
    assert!(header["kid"].is_null() || header["kid"] == "one");
    assert!(header["crit"].is_null());
    assert_eq!(claims["iss"], "issuer");
    assert!(claims["aud"] == "registry" || claims["aud"].as_array().unwrap().contains(&"registry".into()));
    let (exp, at) = (claims["exp"].as_f64().unwrap(), 1_800_000_000.0);
    assert!(exp > at - 60.0 && exp <= at + 86_460.0, "{exp}");
    assert!(claims["nbf"].is_null() || claims["nbf"].as_f64().unwrap() <= at + 60.0);
    let subject = claims["sub"].as_str().unwrap_or_default();
    assert_eq!(bearer.subject.name().unwrap_or_default(), subject);
    assert!(subject.is_empty() || Subject::is_user_name(subject));
    let said = claims["access"].as_array().map_or(0, Vec::len);
    assert_eq!(bearer.access.map(|access| access.len()), Some(said));
}
