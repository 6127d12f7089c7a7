//! Who there is and what they may do, from htpasswd and the file of rules.

use super::env::Env;
use super::problems::{Problem, Problems, Warning};
use super::snapshot::Snapshot;
use super::values::AuthType;
use crate::access::{Policy, Rights};
use crate::auth::Users;

/// The users of the htpasswd file; none where there is no such file to be read.
pub(super) fn users(env: &Env, files: &Snapshot, problems: &mut Problems) -> Users {
    let Some(path) = env.auth_htpasswd.as_deref().filter(|_| env.auth_type == AuthType::Basic) else {
        return Users::default();
    };
    let text = match guarded(files, path, "# no users") {
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

/// By what is decided. Where the rules cannot be read nobody but an administrator would be let
/// in; but that is a problem, and nothing is served from it.
pub(super) fn rights(
    env: &Env,
    files: &Snapshot,
    users: &Users,
    last: Option<&Rights>,
    problems: &mut Problems,
    warnings: &mut Vec<Warning>,
) -> Rights {
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
    let text = match guarded(files, path, r#"{"rules": []}"#) {
        Ok(text) => text,
        Err(why) => {
            problems.push(Problem::of_file(path, why).at_key("REGISTRY_ACCESS_CONTROL_CONFIG"));
            return closed;
        }
    };
    let place = |problem: &crate::access::Problem| {
        Problem::of_file(path, &problem.message).at_line(problem.line).at_key(&problem.key)
    };
    let last = last.and_then(|last| match last {
        Rights::Rules { policy, .. } => Some(policy),
        Rights::Open | Rights::Users | Rights::Tokens => None,
    });
    let (policy, odd) = match Policy::parse_after(text, last) {
        Ok(read) => read,
        Err(wrong) => {
            wrong.iter().for_each(|problem| problems.push(place(problem)));
            return closed;
        }
    };
    warnings.extend(odd.iter().map(|odd| Warning(place(odd))));
    if policy.speaks_of_anonymous() && env.auth_type == AuthType::Basic && env.auth_token_signingkey.is_none() {
        let message = "rules for \"anonymous\" have no effect with docker, which does not pull anonymously from a registry \
                       that asks for passwords; turn on the token service with REGISTRY_AUTH_TOKEN_SIGNINGKEY=auto";
        warnings.push(Warning(Problem::of_file(path, message)));
    }
    if env.auth_type == AuthType::Basic {
        // Secrets and rules may arrive minutes apart, so this is no problem.
        for (name, line) in policy.users().filter(|(name, _)| !users.contains(name)) {
            let message = format!("user {name:?} is not in the htpasswd file");
            warnings.push(Warning(Problem::of_file(path, message).at_line(line)));
        }
    }
    Rights::Rules { policy, authenticated }
}

/// A file's text, unless everybody may write to it: whoever can would decide who may do what.
fn guarded<'f>(files: &'f Snapshot, path: &std::path::Path, nothing: &str) -> Result<&'f str, String> {
    let text = files.text(path, nothing)?;
    match files.open_to_all(path).0 {
        true => Err("is writable by every user of this machine; run chmod o-w on it".to_owned()),
        false => Ok(text),
    }
}
