//! Variables whose feature is not built yet: refused at start, so that nobody believes in a protection that is not there.
//!
//! When a feature is built, its names leave this file; when the list is empty, so does the file.

use super::env::Env;
use super::problems::{Problem, Problems};
use super::values::AuthType;

/// Variables that have no effect in this version.
pub static UNBUILT: &[&str] = &[
    "REGISTRY_AUTH_TOKEN_REALM",
    "REGISTRY_AUTH_TOKEN_SERVICE",
    "REGISTRY_AUTH_TOKEN_ISSUER",
    "REGISTRY_AUTH_TOKEN_PUBLICKEY",
    "REGISTRY_AUTH_TOKEN_SIGNINGKEY",
];

/// What the reference and `--help` add to a variable, if its feature is not built or not wholly.
pub fn unbuilt_note(name: &str) -> Option<&'static str> {
    match name {
        "REGISTRY_AUTH_TYPE" => Some("Not built yet: token is refused."),
        _ => UNBUILT.contains(&name).then_some("Not built yet: refused."),
    }
}

/// Adds one problem for each variable given whose feature does not exist.
pub(super) fn refuse(env: &Env, problems: &mut Problems) {
    let mut say = |name: &str, what: &str, then: &str| {
        problems.push(Problem::of_key(name, format!("not built yet: {what}; {then}")));
    };
    if env.auth_type == AuthType::Token {
        let then = "set basic, or unset it and keep the registry on a network you trust";
        say("REGISTRY_AUTH_TYPE", "token authentication", then);
    }
    for name in UNBUILT.iter().filter(|name| env.is_given(name)) {
        say(name, "token authentication", "unset it");
    }
}
