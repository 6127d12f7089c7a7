//! Who there is and what they may do, from htpasswd and the file of rules.

use std::path::Path;

use super::env::Env;
use super::problems::{Problem, Problems, Warning};
use super::values::AuthType;
use crate::access::{Policy, Rights};
use crate::auth::Users;

/// Longer files are somebody's mistake.
const LONGEST: u64 = 16 << 20;

/// The users of the htpasswd file; none where there is no such file to be read.
pub(super) fn users(env: &Env, problems: &mut Problems) -> Users {
    let Some(path) = env.auth_htpasswd.as_deref().filter(|_| env.auth_type == AuthType::Basic) else {
        return Users::default();
    };
    let Some(text) = read(path, "REGISTRY_AUTH_HTPASSWD", problems) else { return Users::default() };
    Users::parse(&text).unwrap_or_else(|wrong| {
        for problem in wrong {
            problems.push(Problem::of_file(path, problem.message).at_line(problem.line));
        }
        Users::default()
    })
}

/// By what is decided. Where the rules cannot be read nobody but an administrator would be let
/// in; but that is a problem, and nothing is served from it.
pub(super) fn rights(env: &Env, users: &Users, problems: &mut Problems, warnings: &mut Vec<Warning>) -> Rights {
    if !env.access_control_enabled {
        return match env.auth_type {
            AuthType::None => Rights::Open,
            AuthType::Basic => Rights::Users,
            AuthType::Token => Rights::Tokens,
        };
    }
    let authenticated = env.auth_type != AuthType::None;
    let closed = Rights::Rules { policy: Policy::default(), authenticated: true };
    let Some(path) = &env.access_control_config else { return closed };
    let Some(text) = read(path, "REGISTRY_ACCESS_CONTROL_CONFIG", problems) else { return closed };
    let place = |problem: &crate::access::Problem| {
        Problem::of_file(path, &problem.message).at_line(problem.line).at_key(&problem.key)
    };
    let (policy, odd) = match Policy::parse(&text) {
        Ok(read) => read,
        Err(wrong) => {
            wrong.iter().for_each(|problem| problems.push(place(problem)));
            return closed;
        }
    };
    warnings.extend(odd.iter().map(|odd| Warning(place(odd))));
    if !authenticated {
        let message = "access control without authentication: everybody is anonymous, so only rules for \"anonymous\" \
                       and defaultPolicy apply";
        warnings.push(Warning(Problem::of_key("REGISTRY_ACCESS_CONTROL_ENABLED", message)));
    } else if policy.speaks_of_anonymous() {
        let message = "rules for \"anonymous\" have no effect for docker, which logs in or gives up where passwords are \
                       asked for";
        warnings.push(Warning(Problem::of_file(path, message)));
    }
    if env.auth_type == AuthType::Basic {
        // Secrets and rules may arrive minutes apart, so this is no problem.
        for (name, line) in policy.users().into_iter().filter(|(name, _)| !users.contains(name)) {
            let message = format!("there is no user {name:?} in htpasswd");
            warnings.push(Warning(Problem::of_file(path, message).at_line(line)));
        }
    }
    Rights::Rules { policy, authenticated }
}

fn read(path: &Path, variable: &str, problems: &mut Problems) -> Option<String> {
    let read = || {
        let len = std::fs::metadata(path)?.len();
        if len > LONGEST {
            return Err(std::io::Error::other(format!("{len} bytes are more than {LONGEST}")));
        }
        std::fs::read_to_string(path)
    };
    read().map_err(|error| problems.push(Problem::of_file(path, format!("cannot be read ({variable}): {error}")))).ok()
}
