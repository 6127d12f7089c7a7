//! Compiles the access rules.

use super::env::Env;
use super::problems::{Problem, Problems, Warning};
use super::snapshot::Snapshot;
use super::values::AuthType;
use crate::access::{Policy, Rights};
use crate::identity::Users;

/// The rights under this configuration. If the rules cannot be read only administrators have access; but that is a
/// problem, so it is never served.
pub(super) fn compile(
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
    let text = match files.text(path, r#"{"rules": []}"#) {
        Ok(text) => text,
        Err(why) => {
            problems.push(Problem::of_file(path, why).at_key("REGISTRY_ACCESS_CONTROL_CONFIG"));
            return closed;
        }
    };
    let place = |problem: &crate::access::RulesProblem| {
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
        // Secrets and rules may be updated minutes apart, so this is only a warning.
        for (name, line) in policy.users().filter(|(name, _)| !users.contains(name)) {
            let message = format!("user {name:?} is not in the htpasswd file");
            warnings.push(Warning(Problem::of_file(path, message).at_line(line)));
        }
    }
    Rights::Rules { policy, authenticated }
}
