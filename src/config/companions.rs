//! Checks which variables require each other, and which have no effect together.

use super::env::Env;
use super::problems::{Problem, Problems, Warning};
use super::safety;
use super::storage;
use super::values::{AuthType, is_loopback};

/// Reports variables that are missing, given those that are set.
pub(super) fn check(env: &Env, problems: &mut Problems, warnings: &mut Vec<Warning>) {
    let mut needs = |name: &str, needed: &str| {
        if !env.is_given(needed) {
            problems.push(Problem::of_key(name, format!("needs {needed}, which is not set")));
        }
    };
    if env.is_given("REGISTRY_TLS_CERT") {
        needs("REGISTRY_TLS_CERT", "REGISTRY_TLS_KEY");
    }
    if env.is_given("REGISTRY_TLS_KEY") {
        needs("REGISTRY_TLS_KEY", "REGISTRY_TLS_CERT");
    }
    if env.is_given("REGISTRY_TLS_CLIENT_CA") && !env.is_given("REGISTRY_TLS_KEY") {
        needs("REGISTRY_TLS_CLIENT_CA", "REGISTRY_TLS_CERT");
    }
    match env.auth_type {
        AuthType::None => {}
        AuthType::Basic => {
            needs("REGISTRY_AUTH_TYPE=basic", "REGISTRY_AUTH_HTPASSWD");
            // Clients are sent to the token service, so its URL must be one they can reach.
            let known = env.public_url.is_some() || env.tls_cert.is_some() || !env.trusted_proxies.is_empty();
            if env.auth_token_signingkey.is_some() && !known && !env.host.is_loopback() {
                needs("REGISTRY_AUTH_TOKEN_SIGNINGKEY", "REGISTRY_PUBLIC_URL");
            }
        }
        AuthType::Token => {
            for name in TOKEN {
                needs("REGISTRY_AUTH_TYPE=token", name);
            }
        }
    }
    if env.access_control_enabled {
        needs("REGISTRY_ACCESS_CONTROL_ENABLED", "REGISTRY_ACCESS_CONTROL_CONFIG");
    }
    // An operator who configures rules expects them to apply.
    if env.is_given("REGISTRY_ACCESS_CONTROL_CONFIG") && !env.access_control_enabled {
        let message = "needs REGISTRY_ACCESS_CONTROL_ENABLED=true; otherwise the rules are not applied";
        problems.push(Problem::of_key("REGISTRY_ACCESS_CONTROL_CONFIG", message));
    }
    login_in_clear_text(env, warnings);
    auth_without_effect(env, problems, warnings);
    pages(env, problems);
    addresses(env, problems, warnings);
    safety::check(env, warnings);
    storage::check(env, problems, warnings);
}

const TOKEN: &[&str] = &[
    "REGISTRY_AUTH_TOKEN_REALM",
    "REGISTRY_AUTH_TOKEN_SERVICE",
    "REGISTRY_AUTH_TOKEN_ISSUER",
    "REGISTRY_AUTH_TOKEN_PUBLICKEY",
];

/// Warns if clients are sent to the token service by plain HTTP, or if only those on this machine can reach it.
fn login_in_clear_text(env: &Env, warnings: &mut Vec<Warning>) {
    let mut warn = |name: &str, message: String| warnings.push(Warning(Problem::of_key(name, message)));
    let own = env.auth_type == AuthType::Basic && env.auth_token_signingkey.is_some();
    match (&env.public_url, &env.auth_token_realm) {
        (Some(url), _) if own && !url.https && !is_loopback(url.authority.host()) => {
            let message = format!("{url}: clients send passwords and tokens there unencrypted; use an https address");
            warn("REGISTRY_PUBLIC_URL", message);
        }
        (None, _) if own && env.tls_cert.is_none() && env.trusted_proxies.is_empty() => {
            let message = "only clients on this machine can log in, since no https address is known for the token \
                           service: set REGISTRY_PUBLIC_URL, REGISTRY_TLS_CERT or, behind a proxy, \
                           REGISTRY_TRUSTED_PROXIES";
            warn("REGISTRY_AUTH_TOKEN_SIGNINGKEY", message.to_owned());
        }
        (_, Some(realm)) if env.auth_type == AuthType::Token => {
            let host = realm.parse::<http::Uri>().ok().filter(|url| url.scheme_str() == Some("http"));
            let host = host.and_then(|url| url.host().map(str::to_owned));
            if host.is_some_and(|host| !is_loopback(&host)) {
                let message = "clients send passwords to this http address unencrypted; use an https address";
                warn("REGISTRY_AUTH_TOKEN_REALM", message.to_owned());
            }
        }
        _ => {}
    }
}

/// Reports variables of one kind of authentication while another is active.
fn auth_without_effect(env: &Env, problems: &mut Problems, warnings: &mut Vec<Warning>) {
    let basic = ["REGISTRY_AUTH_HTPASSWD", "REGISTRY_AUTH_TOKEN_SIGNINGKEY", "REGISTRY_API_KEYS"]
        .map(|name| (name, AuthType::Basic, "basic"));
    // The built-in token service uses these two as well.
    let own = env.auth_type == AuthType::Basic && env.auth_token_signingkey.is_some();
    let of_both = ["REGISTRY_AUTH_TOKEN_SERVICE", "REGISTRY_AUTH_TOKEN_ISSUER"];
    let token = TOKEN.iter().filter(|name| !(own && of_both.contains(name)));
    let token = token.map(|name| (*name, AuthType::Token, "token"));
    let idle = basic.into_iter().chain(token).filter(|(name, kind, _)| env.is_given(name) && env.auth_type != *kind);
    for (name, _, word) in idle {
        let message = format!("has no effect without REGISTRY_AUTH_TYPE={word}");
        let problem = Problem::of_key(name, message);
        // An operator who chose a type knows what is disabled. One who chose none may believe that a user file protects
        // them.
        if env.is_given("REGISTRY_AUTH_TYPE") {
            warnings.push(Warning(problem));
        } else {
            problems.push(problem);
        }
    }
    if env.is_given("REGISTRY_AUTH_REALM") && env.auth_type != AuthType::Basic {
        let message = "has no effect without REGISTRY_AUTH_TYPE=basic";
        warnings.push(Warning(Problem::of_key("REGISTRY_AUTH_REALM", message)));
    }
}

fn pages(env: &Env, problems: &mut Problems) {
    let (default, max) = (env.pagination_default_limit, env.pagination_max_limit);
    let both = env.is_given("REGISTRY_PAGINATION_DEFAULT_LIMIT") && env.is_given("REGISTRY_PAGINATION_MAX_LIMIT");
    // The settings file may set the other one; then `Live` compares them.
    if default > max && (both || env.settings.is_none()) {
        let message = format!("{default} is more than REGISTRY_PAGINATION_MAX_LIMIT ({max})");
        problems.push(Problem::of_key("REGISTRY_PAGINATION_DEFAULT_LIMIT", message));
    }
}

fn addresses(env: &Env, problems: &mut Problems, warnings: &mut Vec<Warning>) {
    if let Some(admin) = env.admin_addr {
        let every = admin.ip().is_unspecified() || env.host.is_unspecified();
        if admin.port() == env.port && env.port != 0 && (every || admin.ip() == env.host) {
            let message = format!("{admin} is also the address of the registry; use another port");
            problems.push(Problem::of_key("REGISTRY_ADMIN_ADDR", message));
        }
    }
    if let Some(all) = env.trusted_proxies.iter().find(|net| net.prefix_len() == 0) {
        let message = format!("{all} trusts the forwarding headers of every client, who can then claim any address");
        warnings.push(Warning(Problem::of_key("REGISTRY_TRUSTED_PROXIES", message)));
    }
}
