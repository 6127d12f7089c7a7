//! People as tests know them: users whose password is their name and `!`, and bearers of tokens
//! that a service elsewhere signed.

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::SystemTime;
use wharfinger::auth::Verifier;

/// What challenges call a registry that takes tokens, and tokens are for.
pub const SERVICE: &str = "registry.test";

/// Where tokens of a service elsewhere are had.
pub const ELSEWHERE: &str = "https://auth.example.com/token";

const ISSUER: &str = "auth.example.com";

/// The users' file, at the lowest cost.
pub fn htpasswd(names: &[&str]) -> String {
    names.iter().map(|name| format!("{name}:{}\n", bcrypt::hash(format!("{name}!"), 4).unwrap())).collect()
}

/// The header of a user who knows the password.
pub fn basic(user: &str) -> String {
    password(user, &format!("{user}!"))
}

/// The header of somebody who says that this is the password.
pub fn password(user: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
}

/// A token service elsewhere.
pub struct Service(Ed25519KeyPair);

impl Service {
    pub fn new() -> Self {
        Self(Ed25519KeyPair::generate().unwrap())
    }

    /// What a registry believes its tokens by.
    pub fn verifier(&self) -> Arc<Verifier> {
        let x = URL_SAFE_NO_PAD.encode(self.0.public_key().as_ref());
        let set = json!({ "keys": [{ "kty": "OKP", "crv": "Ed25519", "x": x }] });
        Arc::new(Verifier::parse(set.to_string().as_bytes(), ISSUER, SERVICE).unwrap())
    }

    /// A token for this user, good for this `access`.
    pub fn token(&self, user: &str, access: &Value) -> String {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
        let claims = json!({
            "iss": ISSUER, "aud": SERVICE, "sub": user, "iat": now, "exp": now + 600, "access": access,
        });
        let part = |json: &Value| URL_SAFE_NO_PAD.encode(json.to_string());
        let message = format!("{}.{}", part(&json!({ "typ": "JWT", "alg": "EdDSA" })), part(&claims));
        let signature = URL_SAFE_NO_PAD.encode(self.0.sign(message.as_bytes()));
        format!("{message}.{signature}")
    }
}

/// An entry of `access` about a repository.
pub fn access(repository: &str, actions: &[&str]) -> Value {
    json!({ "type": "repository", "name": repository, "actions": actions })
}

/// The entry of `access` that lets list repositories.
pub fn catalog_access() -> Value {
    json!({ "type": "registry", "name": "catalog", "actions": ["*"] })
}
