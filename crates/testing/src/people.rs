//! Users of tests, whose password is their name and `!`, and bearers of tokens of an external token service.

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::SystemTime;
use wharfinger::identity::Verifier;

/// The service name in challenges, and the audience of tokens.
pub const SERVICE: &str = "registry.test";

/// The URL of the external token service.
pub const ELSEWHERE: &str = "https://auth.example.com/token";

const ISSUER: &str = "auth.example.com";

/// An htpasswd file of these users, at the lowest cost.
pub fn htpasswd(names: &[&str]) -> String {
    names.iter().map(|name| format!("{name}:{}\n", bcrypt::hash(format!("{name}!"), 4).unwrap())).collect()
}

/// The `Authorization` header of a user with the right password.
pub fn basic(user: &str) -> String {
    password(user, &format!("{user}!"))
}

/// The `Authorization` header of a user with this password.
pub fn password(user: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
}

/// An external token service.
pub struct Service(Ed25519KeyPair);

impl Service {
    pub fn new() -> Self {
        Self(Ed25519KeyPair::generate().unwrap())
    }

    /// Verifies its tokens in a registry.
    pub fn verifier(&self) -> Arc<Verifier> {
        let x = URL_SAFE_NO_PAD.encode(self.0.public_key().as_ref());
        let set = json!({ "keys": [{ "kty": "OKP", "crv": "Ed25519", "x": x }] });
        Arc::new(Verifier::parse(set.to_string().as_bytes(), ISSUER, SERVICE).unwrap())
    }

    /// A token of this user, limited to this `access`.
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

/// An entry of `access` for a repository.
pub fn access(repository: &str, actions: &[&str]) -> Value {
    json!({ "type": "repository", "name": repository, "actions": actions })
}

/// The entry of `access` that permits listing repositories.
pub fn catalog_access() -> Value {
    json!({ "type": "registry", "name": "catalog", "actions": ["*"] })
}
