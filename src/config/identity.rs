//! Compiles authentication from the environment, the htpasswd file and the token keys.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::env::Env;
use super::problems::{Problem, Problems, Warning};
use super::snapshot::Snapshot;
use super::values::{AuthType, SigningKey, StorageKind};
use crate::identity::{Identity, Issuer, TokenService, Users, Verifier, new_signing_key};
use crate::storage::{SESSION_KEY, SIGNING_KEY};

/// The issuer of our own tokens, unless the operator sets another.
const ISSUER: &str = "wharfinger";

/// The key file of the built-in token service or, without it, of sessions; `None` if users are not ours.
pub(super) fn signing_key(env: &Env) -> Option<PathBuf> {
    let path = match &env.auth_token_signingkey {
        Some(SigningKey::Path(path)) => Some(path.clone()),
        // It is in the store, as an object.
        Some(SigningKey::Auto) | None if env.storage != StorageKind::Filesystem => None,
        Some(SigningKey::Auto) => Some(env.storage_path.join(SIGNING_KEY)),
        None => Some(env.storage_path.join(SESSION_KEY)),
    };
    path.filter(|_| env.auth_type == AuthType::Basic)
}

/// The users of the htpasswd file; none if it is not configured or cannot be read.
pub(super) fn users(env: &Env, files: &Snapshot, problems: &mut Problems) -> Users {
    let Some(path) = env.auth_htpasswd.as_deref().filter(|_| env.auth_type == AuthType::Basic) else {
        return Users::default();
    };
    let text = match files.text(path, "# no users") {
        Ok(text) => text,
        Err(why) => {
            problems.push(Problem::of_file(path, why).at_key("REGISTRY_AUTH_HTPASSWD"));
            return Users::default();
        }
    };
    Users::parse(text).unwrap_or_else(|wrong| {
        for problem in wrong {
            problems.push(Problem::of_file(path, problem.message).at_line(problem.line));
        }
        Users::default()
    })
}

/// Compiles authentication. An invalid key keeps its value from the `last` generation.
pub(super) fn compile(
    env: &Env,
    files: &Snapshot,
    users: Arc<Users>,
    last: Option<&Identity>,
    problems: &mut Problems,
    warnings: &mut Vec<Warning>,
) -> Identity {
    let password = |users, sessions| Identity::Password { realm: env.auth_realm.clone(), users, sessions };
    let identity = match (env.auth_type, signing_key(env)) {
        (AuthType::None, _) => return Identity::Nobody,
        (AuthType::Token, _) => external(env, files, problems, warnings).or_else(|| last.cloned()),
        (AuthType::Basic, path) => {
            let last = last.and_then(Identity::own).map(|(_, issuer)| issuer.clone());
            let issuer = match path {
                Some(path) => issuer(env, files, &path, last.is_none(), problems),
                None => stored_issuer(env, problems),
            };
            let issuer = issuer.or(last);
            match env.auth_token_signingkey {
                None => Some(password(users, issuer)),
                Some(_) => issuer.map(|issuer| {
                    let public_url = env.public_url.as_ref().map(ToString::to_string);
                    Identity::OwnTokens(Arc::new(TokenService { public_url, name: env.token_service(), users, issuer }))
                }),
            }
        }
    };
    // There is a problem, so this is never served. Should it be, nobody can log in.
    identity.unwrap_or_else(|| password(Arc::default(), None))
}

/// The keys of our own tokens; `None` after a problem, or if the `last` ones stay.
fn issuer(env: &Env, files: &Snapshot, path: &Path, first: bool, problems: &mut Problems) -> Option<Arc<Issuer>> {
    let temporary = || new_signing_key().map(|key| key.into_bytes()).map_err(|why| why.to_string());
    let content = match (&env.auth_token_signingkey, files.bytes(path)) {
        (_, Ok(content)) => Ok(content.to_vec()),
        // Startup creates this key after it has opened the storage directory, and then reads the files again. Until
        // then a temporary key replaces it.
        (Some(SigningKey::Auto), Err(_)) if first && !path.exists() => temporary(),
        // So does the key of sessions, but if it cannot, a temporary one must do.
        (None, Err(_)) if first => temporary(),
        (None, Err(_)) => return None,
        (Some(_), Err(why)) => Err(format!("{why}; create a key with: wharfinger key new {}", path.display())),
    };
    let issuer = env.auth_token_issuer.as_deref().unwrap_or(ISSUER);
    match content.and_then(|content| Issuer::parse(&content, issuer, &env.token_service())) {
        Ok(issuer) => Some(Arc::new(issuer)),
        Err(why) => {
            problems.push(Problem::of_file(path, why));
            None
        }
    }
}

/// The issuer with the key in the store. Startup reads it after it has opened the store; until then, and for commands
/// that issue nothing, a temporary one must do.
fn stored_issuer(env: &Env, problems: &mut Problems) -> Option<Arc<Issuer>> {
    let content = match &env.stored_key {
        Some(key) => Ok(key.0.to_vec()),
        None => new_signing_key().map(|key| key.into_bytes()).map_err(|why| why.to_string()),
    };
    let issuer = env.auth_token_issuer.as_deref().unwrap_or(ISSUER);
    match content.and_then(|content| Issuer::parse(&content, issuer, &env.token_service())) {
        Ok(issuer) => Some(Arc::new(issuer)),
        Err(why) => {
            problems.push(Problem::of_key("REGISTRY_STORAGE", format!("the signing key in the store: {why}")));
            None
        }
    }
}

/// An external token service; `None` after a problem.
fn external(env: &Env, files: &Snapshot, problems: &mut Problems, warnings: &mut Vec<Warning>) -> Option<Identity> {
    // `companions` requires both, and reports a missing one.
    let (realm, service) = (env.auth_token_realm.clone()?, env.auth_token_service.clone()?);
    let (issuer, path) = (env.auth_token_issuer.as_ref()?, env.auth_token_publickey.as_ref()?);
    match files.bytes(path).and_then(|content| Verifier::parse(content, issuer, &service)) {
        Ok(verifier) => {
            warnings.extend(verifier.skipped().iter().map(|why| Warning(Problem::of_file(path, why.clone()))));
            Some(Identity::ExternalTokens { realm, service, verifier: Arc::new(verifier) })
        }
        Err(why) => {
            problems.push(Problem::of_file(path, why));
            None
        }
    }
}

impl Env {
    /// The service name in challenges, which is also the audience of tokens.
    pub fn token_service(&self) -> String {
        let public = || self.public_url.as_ref().map(|url| url.authority.to_string());
        self.auth_token_service.clone().or_else(public).unwrap_or_else(|| ISSUER.to_owned())
    }
}
