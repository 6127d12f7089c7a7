//! Variables whose feature is not built yet: refused at start, so that nobody believes in a protection that is not there.
//!
//! When a feature is built, its names leave this file; when the list is empty, so does the file.

use super::env::Env;
use super::problems::{Problem, Problems};
use super::values::AuthType;

/// Variables that have no effect in this version.
pub static UNBUILT: &[&str] = &[
    "REGISTRY_AUTH_HTPASSWD",
    "REGISTRY_AUTH_TOKEN_REALM",
    "REGISTRY_AUTH_TOKEN_SERVICE",
    "REGISTRY_AUTH_TOKEN_ISSUER",
    "REGISTRY_AUTH_TOKEN_PUBLICKEY",
    "REGISTRY_AUTH_TOKEN_SIGNINGKEY",
    "REGISTRY_ACCESS_CONTROL_CONFIG",
];

/// What the reference and `--help` add to a variable, if its feature is not built or not wholly.
pub fn unbuilt_note(name: &str) -> Option<&'static str> {
    match name {
        "REGISTRY_AUTH_TYPE" => Some("Not built yet: basic and token are refused."),
        "REGISTRY_ACCESS_CONTROL_ENABLED" => Some("Not built yet: true is refused."),
        _ => UNBUILT.contains(&name).then_some("Not built yet: refused."),
    }
}

/// Adds one problem for each variable given whose feature does not exist.
pub(super) fn refuse(env: &Env, problems: &mut Problems) {
    let mut say = |name: &str, what: &str, then: &str| {
        problems.push(Problem::of_key(name, format!("not built yet: {what}; {then}")));
    };
    let basic_or_token = match env.auth_type {
        AuthType::None => None,
        AuthType::Basic => Some("basic authentication"),
        AuthType::Token => Some("token authentication"),
    };
    if let Some(what) = basic_or_token {
        let then = "unset it (or set none) and keep the registry on a network you trust";
        say("REGISTRY_AUTH_TYPE", what, then);
    }
    if env.access_control_enabled {
        say("REGISTRY_ACCESS_CONTROL_ENABLED", "access control", "unset it (or set false)");
    }
    for name in UNBUILT.iter().filter(|name| env.is_given(name)) {
        let auth = name.starts_with("REGISTRY_AUTH_");
        say(name, if auth { "authentication" } else { "access control" }, "unset it");
    }
}
