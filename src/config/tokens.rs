//! The keys of tokens: those of an external service, or those of the built-in one.

use std::path::PathBuf;
use std::sync::Arc;

use super::env::Env;
use super::live::Tokens;
use super::problems::{Problem, Problems, Warning};
use super::snapshot::Snapshot;
use super::values::{AuthType, SigningKey};
use crate::auth::{Issuer, Verifier};
use crate::storage::SIGNING_KEY;

/// The issuer in our own tokens, unless the operator sets another.
const ISSUER: &str = "wharfinger";

/// The file with the keys of the built-in token service, if it is on.
pub(super) fn signing_key(env: &Env) -> Option<PathBuf> {
    let key = env.auth_token_signingkey.as_ref().filter(|_| env.auth_type == AuthType::Basic)?;
    Some(match key {
        SigningKey::Auto => env.storage_path.join(SIGNING_KEY),
        SigningKey::Path(path) => path.clone(),
    })
}

/// Reads the keys. At the `first` time the key that a start creates may not exist yet.
pub(super) fn load(
    env: &Env,
    files: &Snapshot,
    first: bool,
    problems: &mut Problems,
    warnings: &mut Vec<Warning>,
) -> Tokens {
    let mut refuse = |path: &PathBuf, why: String| {
        problems.push(Problem::of_file(path, why));
        Tokens::None
    };
    if let Some(path) = signing_key(env) {
        if first && env.auth_token_signingkey == Some(SigningKey::Auto) && !path.exists() {
            return Tokens::None;
        }
        let content = match files.bytes(&path) {
            Ok(content) => content,
            Err(why) => {
                return refuse(&path, format!("{why}; create a key with: wharfinger key new {}", path.display()));
            }
        };
        if files.open_to_all(&path).1 {
            let message =
                "is readable by every user of this machine, who could issue tokens with it; run chmod o-r on it";
            warnings.push(Warning(Problem::of_file(&path, message)));
        }
        let issuer = env.auth_token_issuer.as_deref().unwrap_or(ISSUER);
        return match Issuer::parse(content, issuer, &env.token_service()) {
            Ok(issuer) => Tokens::Own(Arc::new(issuer)),
            Err(why) => refuse(&path, why),
        };
    }
    let (AuthType::Token, Some(path)) = (env.auth_type, &env.auth_token_publickey) else { return Tokens::None };
    // Required by `companions`; without them the environment has its own problems.
    let (Some(issuer), Some(service)) = (&env.auth_token_issuer, &env.auth_token_service) else { return Tokens::None };
    match files.bytes(path).and_then(|content| Verifier::parse(content, issuer, service)) {
        Ok(_) if files.open_to_all(path).0 => {
            refuse(path, "is writable by every user of this machine; run chmod o-w on it".to_owned())
        }
        Ok(verifier) => {
            warnings.extend(verifier.skipped().iter().map(|why| Warning(Problem::of_file(path, why.clone()))));
            Tokens::Elsewhere(Arc::new(verifier))
        }
        Err(why) => refuse(path, why),
    }
}

impl Env {
    /// The service name in challenges, which is the audience of tokens.
    pub fn token_service(&self) -> String {
        let public = || self.public_url.as_ref().map(|url| url.authority.to_string());
        self.auth_token_service.clone().or_else(public).unwrap_or_else(|| ISSUER.to_owned())
    }
}
