//! Tokens of external services: every algorithm with every kind of key, every claim, every trick.

use super::super::{key_set::KeyFile, *};
use crate::who::Subject;
use aws_lc_rs::{
    encoding::{AsDer, PublicKeyX509Der},
    rand::SystemRandom,
    rsa::{self, KeySize},
    signature::{self as sig, EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair, RsaEncoding},
};
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use serde_json::{Value, json};
use std::{
    sync::LazyLock,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

enum Pair {
    Rsa(Box<rsa::KeyPair>),
    Ec(&'static str, Box<EcdsaKeyPair>),
    Ed(Box<Ed25519KeyPair>),
}

fn ec(name: &'static str, algorithm: &'static EcdsaSigningAlgorithm) -> Pair {
    Pair::Ec(name, Box::new(EcdsaKeyPair::generate(algorithm).unwrap()))
}

/// Created once: generating RSA keys is slow.
static PAIRS: LazyLock<Vec<Pair>> = LazyLock::new(|| {
    vec![
        Pair::Rsa(Box::new(rsa::KeyPair::generate(KeySize::Rsa2048).unwrap())),
        ec("ES256", &sig::ECDSA_P256_SHA256_FIXED_SIGNING),
        ec("ES384", &sig::ECDSA_P384_SHA384_FIXED_SIGNING),
        ec("ES512", &sig::ECDSA_P521_SHA512_FIXED_SIGNING),
        Pair::Ed(Box::new(Ed25519KeyPair::generate().unwrap())),
    ]
});

const RSA: [(&str, &dyn RsaEncoding); 6] = [
    ("RS256", &sig::RSA_PKCS1_SHA256),
    ("RS384", &sig::RSA_PKCS1_SHA384),
    ("RS512", &sig::RSA_PKCS1_SHA512),
    ("PS256", &sig::RSA_PSS_SHA256),
    ("PS384", &sig::RSA_PSS_SHA384),
    ("PS512", &sig::RSA_PSS_SHA512),
];

impl Pair {
    fn algorithms(&self) -> Vec<&'static str> {
        match self {
            Self::Rsa(_) => RSA.iter().map(|(name, _)| *name).collect(),
            Self::Ec(name, _) => vec![name],
            Self::Ed(_) => vec!["EdDSA"],
        }
    }

    fn sign(&self, algorithm: &str, message: &[u8]) -> Vec<u8> {
        match self {
            Self::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                let encoding = RSA.iter().find(|(name, _)| *name == algorithm).map_or(RSA[0].1, |(_, e)| *e);
                pair.sign(encoding, &SystemRandom::new(), message, &mut signature).unwrap();
                signature
            }
            Self::Ec(_, pair) => pair.sign(&SystemRandom::new(), message).unwrap().as_ref().to_vec(),
            Self::Ed(pair) => pair.sign(message).as_ref().to_vec(),
        }
    }

    fn spki(&self) -> Vec<u8> {
        let der: PublicKeyX509Der<'_> = match self {
            Self::Rsa(pair) => pair.public_key().as_der().unwrap(),
            Self::Ec(_, pair) => pair.public_key().as_der().unwrap(),
            Self::Ed(pair) => pair.public_key().as_der().unwrap(),
        };
        der.as_ref().to_vec()
    }

    fn pem(&self) -> String {
        format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", STANDARD.encode(self.spki()))
    }

    fn jwk(&self, id: &str) -> Value {
        let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        match self {
            Self::Rsa(pair) => json!({
                "kty": "RSA", "kid": id, "use": "sig",
                // RFC 8017 A.1.1: headers of the sequence and of the modulus, which begins with a zero.
                "n": text(&pair.public_key().as_ref()[9..][..256]),
                "e": "AQAB",
            }),
            Self::Ec(name, pair) => {
                let point = &pair.public_key().as_ref()[1..];
                let (x, y) = point.split_at(point.len() / 2);
                let curve = match *name {
                    "ES256" => "P-256",
                    "ES384" => "P-384",
                    _ => "P-521",
                };
                json!({ "kty": "EC", "kid": id, "crv": curve, "x": text(x), "y": text(y) })
            }
            Self::Ed(pair) => {
                json!({ "kty": "OKP", "kid": id, "crv": "Ed25519", "x": text(pair.public_key().as_ref()) })
            }
        }
    }
}

fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_800_000_000)
}

fn claims() -> Value {
    json!({
        "iss": "issuer", "aud": "registry", "sub": "alice", "exp": 1_800_000_300, "iat": 1_800_000_000,
        "access": [{ "type": "repository", "name": "a/b", "actions": ["pull"] }],
    })
}

fn token(pair: &Pair, header: &Value, claims: &Value) -> String {
    let algorithm = header["alg"].as_str().unwrap_or_default().to_owned();
    seal(header, claims, |message| pair.sign(&algorithm, message))
}

/// Joins header, claims and signature.
fn seal(header: &Value, claims: &Value, sign: impl Fn(&[u8]) -> Vec<u8>) -> String {
    let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let message = format!("{}.{}", encode(header), encode(claims));
    let signature = URL_SAFE_NO_PAD.encode(sign(message.as_bytes()));
    format!("{message}.{signature}")
}

fn verifier(content: &str) -> Verifier {
    Verifier::parse(content.as_bytes(), "issuer", "registry").unwrap()
}

#[test]
fn each_kind_of_key_accepts_only_its_algorithms() {
    let every = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"];
    for pair in PAIRS.iter().filter(|pair| pair.algorithms() != ["ES512"]) {
        let (pem, set) = (pair.pem(), json!({ "keys": [pair.jwk("one")] }).to_string());
        for verifier in [verifier(&pem), verifier(&set)] {
            for signer in PAIRS.iter() {
                for name in every {
                    let token = token(signer, &json!({ "alg": name, "kid": "one" }), &claims());
                    let fits = std::ptr::eq(pair, signer) && pair.algorithms().contains(&name);
                    assert_eq!(verifier.verify(&token, now()).is_ok(), fits, "{name} {verifier:?}");
                }
            }
            for name in ["none", "None", "", "HS256", "HS384", "HS512", "rs256", "ES256K"] {
                let mut unsigned = token(pair, &json!({ "alg": name }), &claims());
                assert_eq!(verifier.verify(&unsigned, now()), Err(TokenRefused::Signature), "{name}");
                unsigned.truncate(unsigned.rfind('.').unwrap() + 1);
                assert_eq!(verifier.verify(&unsigned, now()), Err(TokenRefused::Signature), "{name} without signature");
            }
        }
    }
}

#[test]
fn a_key_of_an_unsupported_algorithm_is_skipped_and_reported() {
    let (p521, ed25519) = (&PAIRS[3], &PAIRS[4]);
    let mut for_encryption = PAIRS[0].jwk("three");
    for_encryption["alg"] = json!("RSA-OAEP");
    let unknown = json!({ "kty": "AKP", "kid": "four", "alg": "ML-DSA-44", "pub": "AAAA" });
    let set = json!({ "keys": [p521.jwk("one"), ed25519.jwk("two"), for_encryption, unknown] });
    let verifier = verifier(&set.to_string());
    let skipped = verifier.skipped();
    assert_eq!(skipped.len(), 3, "{skipped:?}");
    assert_eq!(skipped[0], "key 1 is of type \"EC\" and curve \"P-521\", which is not supported; it is skipped");
    assert_eq!(skipped[1], "key 3 is for \"RSA-OAEP\", which is not supported; it is skipped");
    let sign = |pair: &Pair, kid: &str| token(pair, &json!({ "alg": pair.algorithms()[0], "kid": kid }), &claims());
    assert!(verifier.verify(&sign(ed25519, "two"), now()).is_ok());
    assert_eq!(verifier.verify(&sign(p521, "one"), now()), Err(TokenRefused::Signature));
    let alone = json!({ "keys": [p521.jwk("one")] }).to_string();
    assert!(
        KeyFile::parse(alone.as_bytes()).err().unwrap().contains("P-521"),
        "a file without any usable key is an error"
    );
    assert!(KeyFile::parse(p521.pem().as_bytes()).err().unwrap().contains("key 1 is not an RSA, P-256"));
}

#[test]
fn short_rsa_keys_are_refused_when_they_are_read() {
    let of_bits = |bits: usize| {
        let mut modulus = vec![0xff; bits / 8];
        modulus[0] = 0x80;
        let key = rsa::PublicKeyComponents { n: modulus.clone(), e: vec![1, 0, 1] };
        let der: PublicKeyX509Der<'_> = key.as_der().unwrap();
        let body = STANDARD.encode(der.as_ref());
        let pem = format!("-----BEGIN PUBLIC KEY-----\n{body}\n-----END PUBLIC KEY-----\n");
        let jwk = json!({ "kty": "RSA", "n": URL_SAFE_NO_PAD.encode(modulus), "e": "AQAB" });
        [pem, json!({ "keys": [jwk] }).to_string()].map(|file| KeyFile::parse(file.as_bytes()).err())
    };
    for output in of_bits(1024).into_iter().chain(of_bits(2040)) {
        let output = output.unwrap();
        assert!(output.contains("key 1 is an RSA key of") && output.contains("2048 to 8192 bits"), "{output}");
    }
    assert_eq!(of_bits(2048), [None, None]);
}

#[test]
fn a_public_key_is_not_accepted_as_a_shared_secret() {
    let pair = &PAIRS[0];
    let secret = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, pair.pem().as_bytes());
    let forged = seal(&json!({ "alg": "HS256" }), &claims(), |message| {
        aws_lc_rs::hmac::sign(&secret, message).as_ref().to_vec()
    });
    assert_eq!(verifier(&pair.pem()).verify(&forged, now()), Err(TokenRefused::Signature));
}

#[test]
fn a_kid_selects_in_a_set_and_says_nothing_to_a_pem_file() {
    let (ours, theirs) = (&PAIRS[1], &PAIRS[4]);
    let set = verifier(&json!({ "keys": [ours.jwk("one"), theirs.jwk("two")] }).to_string());
    let of = |pair: &Pair, kid: Value| {
        let mut header = json!({ "alg": pair.algorithms()[0] });
        if !kid.is_null() {
            header["kid"] = kid;
        }
        token(pair, &header, &claims())
    };
    assert!(set.verify(&of(ours, json!("one")), now()).is_ok());
    assert!(set.verify(&of(ours, Value::Null), now()).is_ok(), "without one every key is tried");
    for kid in ["two", "three", "../../etc/passwd", "' or 1"] {
        assert_eq!(set.verify(&of(ours, json!(kid)), now()), Err(TokenRefused::Signature), "{kid}");
    }
    assert_eq!(set.verify(&of(ours, json!("x".repeat(1000))), now()), Err(TokenRefused::Form));
    assert_eq!(set.verify(&of(ours, json!("x".repeat(1 << 20))), now()), Err(TokenRefused::Form));
    let pem = verifier(&ours.pem());
    assert!(pem.verify(&of(ours, json!("ABCD:EFGH:libtrust")), now()).is_ok());
    assert_eq!(pem.verify(&of(theirs, json!("one")), now()), Err(TokenRefused::Signature));
}

#[test]
fn keys_inside_a_token_are_ignored() {
    let (ours, attacker) = (
        &PAIRS[1],
        Pair::Ec("ES256", Box::new(EcdsaKeyPair::generate(&sig::ECDSA_P256_SHA256_FIXED_SIGNING).unwrap())),
    );
    let set = verifier(&json!({ "keys": [ours.jwk("one")] }).to_string());
    for extra in [
        json!({ "jwk": attacker.jwk("one") }),
        json!({ "x5c": [STANDARD.encode(attacker.spki())] }),
        json!({ "jku": "https://attacker.example/keys", "x5u": "https://attacker.example/cert" }),
    ] {
        let mut header = json!({ "alg": "ES256", "kid": "one" });
        header.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        assert_eq!(set.verify(&token(&attacker, &header, &claims()), now()), Err(TokenRefused::Signature), "{header}");
        assert!(set.verify(&token(ours, &header, &claims()), now()).is_ok(), "nor do they hurt");
    }
    for crit in [json!(["exp"]), json!(["b64"]), json!([]), json!("exp")] {
        let critical = token(ours, &json!({ "alg": "ES256", "b64": true, "exp": 1, "crit": crit }), &claims());
        assert_eq!(set.verify(&critical, now()), Err(TokenRefused::Form), "{crit}");
    }
}

#[test]
fn every_claim_is_checked() {
    let pair = &PAIRS[4];
    let verifier = verifier(&pair.pem());
    let output = |change: &dyn Fn(&mut Value)| {
        let mut claims = claims();
        change(&mut claims);
        verifier.verify(&token(pair, &json!({ "alg": "EdDSA" }), &claims), now())
    };
    let set = |key: &'static str, value: Value| output(&move |claims| claims[key] = value.clone());
    let without = |key: &'static str| {
        output(&move |claims| {
            claims.as_object_mut().unwrap().remove(key);
        })
    };
    assert_eq!(without("iss"), Err(TokenRefused::Claim("iss")));
    assert_eq!(without("aud"), Err(TokenRefused::Claim("aud")));
    assert_eq!(without("exp"), Err(TokenRefused::Claim("exp")));
    assert_eq!(set("iss", json!("other")), Err(TokenRefused::Issuer));
    assert_eq!(set("iss", json!(["issuer"])), Err(TokenRefused::Claims));
    assert_eq!(set("aud", json!("other")), Err(TokenRefused::Audience));
    assert_eq!(set("aud", json!(["other"])), Err(TokenRefused::Audience));
    assert_eq!(set("aud", json!([])), Err(TokenRefused::Audience));
    assert!(set("aud", json!(["other", "registry"])).is_ok());
    let at = 1_800_000_000;
    assert!(set("exp", json!(at - 59)).is_ok());
    assert_eq!(set("exp", json!(at - 61)), Err(TokenRefused::Expired));
    assert_eq!(set("exp", json!("tomorrow")), Err(TokenRefused::Claims));
    assert!(set("nbf", json!(at + 59)).is_ok());
    assert_eq!(set("nbf", json!(at + 61)), Err(TokenRefused::TooEarly));
    assert!(set("exp", json!(at + 86_400)).is_ok());
    assert_eq!(set("exp", json!(at + 86_400 * 30)), Err(TokenRefused::TooLong), "a day at most");
    assert_eq!(
        output(&|claims| {
            claims["iat"] = json!(at + 86_400 * 29);
            claims["exp"] = json!(at + 86_400 * 30);
        }),
        Err(TokenRefused::TooLong),
        "issued in the future"
    );
    assert_eq!(without("sub").unwrap().subject, Subject::Anonymous);
    assert_eq!(set("sub", json!("")).unwrap().subject, Subject::Anonymous);
    for name in ["*", "anonymous", "@admins", " alice", "a\nb"] {
        assert_eq!(set("sub", json!(name)), Err(TokenRefused::Subject), "{name:?}");
    }
    assert_eq!(set("sub", json!("**")).unwrap().subject, Subject::User("**".into()));
    assert_eq!(without("access").unwrap().access, Some(vec![]), "good for nothing");
    assert_eq!(set("access", json!("all")), Err(TokenRefused::Claims));
}

#[test]
fn an_odd_entry_of_access_grants_nothing_and_does_not_affect_others() {
    let pair = &PAIRS[4];
    let verifier = verifier(&pair.pem());
    for odd in [
        json!({ "type": "repository", "name": "x", "actions": null }),
        json!({ "type": "repository", "name": "x" }),
        json!({ "type": "repository", "name": "x", "actions": "pull" }),
        json!({ "type": "repository", "name": "x", "actions": [] }),
        json!({ "type": "repository", "name": "x", "actions": [1, null, {}] }),
        json!({ "type": "repository", "actions": ["pull"] }),
        json!({ "type": 5, "name": ["x"], "actions": ["pull"] }),
        json!({}),
        json!([]),
        json!("repository:x:pull"),
        Value::Null,
    ] {
        let mut claims = claims();
        claims["access"].as_array_mut().unwrap().insert(0, odd.clone());
        let bearer = verifier.verify(&token(pair, &json!({ "alg": "EdDSA" }), &claims), now()).unwrap();
        let access = bearer.access.unwrap();
        assert!(access[0].actions.is_empty(), "{odd}");
        assert_eq!((&*access[1].name, &*access[1].actions), ("a/b", &["pull".to_owned()][..]), "{odd}");
    }
}

#[test]
fn an_invalid_token_is_refused() {
    let pair = &PAIRS[4];
    let verifier = verifier(&pair.pem());
    let whole = token(pair, &json!({ "alg": "EdDSA" }), &claims());
    for bad in ["", ".", "..", "a.b.c", "a.b", &whole.replace('.', ""), &format!("{whole}="), &format!("{whole}.x")] {
        assert!(matches!(verifier.verify(bad, now()), Err(TokenRefused::Form | TokenRefused::Signature)), "{bad}");
    }
    let list = seal(&json!(["EdDSA", null, null]), &claims(), |message| pair.sign("EdDSA", message));
    assert_eq!(verifier.verify(&list, now()), Err(TokenRefused::Form));
    let list = token(pair, &json!({ "alg": "EdDSA" }), &json!(["issuer", "alice", "registry", 1_800_000_300]));
    assert_eq!(verifier.verify(&list, now()), Err(TokenRefused::Claims));
    for i in 0..whole.len() {
        let mut changed = whole.clone().into_bytes();
        changed[i] = if changed[i] == b'A' { b'B' } else { b'A' };
        assert!(verifier.verify(&String::from_utf8(changed).unwrap(), now()).is_err(), "byte {i}");
    }
}

#[test]
fn files_of_keys_are_read_or_refused_with_the_reason() {
    let parse = |text: &str| KeyFile::parse(text.as_bytes()).map(|file| file.keys.len());
    let both = format!("a comment\n{}{}", PAIRS[0].pem(), PAIRS[4].pem());
    assert_eq!(parse(&both), Ok(2));
    let cert = rcgen::generate_simple_self_signed(["auth.example.com".to_owned()]).unwrap();
    assert_eq!(parse(&cert.cert.pem()), Ok(1));
    assert!(parse(&cert.signing_key.serialize_pem()).unwrap_err().contains("private"));
    let set = |key: Value| parse(&json!({ "keys": [key] }).to_string());
    assert_eq!(set(PAIRS[0].jwk("x")), Ok(1));
    let mut key = PAIRS[0].jwk("x");
    key["alg"] = json!("PS256");
    assert_eq!(set(key.clone()), Ok(1));
    key["alg"] = json!("ES256");
    assert!(set(key.clone()).unwrap_err().contains("\"alg\""));
    key["use"] = json!("enc");
    assert!(set(key).unwrap_err().contains("no key for signatures"));
    assert!(set(json!({ "kty": "oct", "k": "AAAA" })).unwrap_err().contains("secret"));
    assert!(set(json!({ "kty": "EC", "crv": "P-256", "x": "AA", "y": "AA" })).is_err());
    for bad in
        ["", "{", "{}", "{\"keys\":[]}", "garbage", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"]
    {
        assert!(parse(bad).is_err(), "{bad}");
    }
}
