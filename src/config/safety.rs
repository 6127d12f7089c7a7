//! Warns about unsafe configurations at startup: who has access if nothing else is set.

use super::env::Env;
use super::problems::{Problem, Warning};
use super::values::AuthType;

/// Where to read more; a test checks that README.md has it.
const READ_ON: &str = "see \"Users and permissions\" in README.md";

/// Warns about what an operator may not expect: an open registry, rules without authentication, and users without
/// rules.
pub(super) fn check(env: &Env, warnings: &mut Vec<Warning>) {
    let address = env.listen();
    let warning = match (env.auth_type, env.access_control_enabled) {
        (AuthType::None, true) => Problem::of_key(
            "REGISTRY_ACCESS_CONTROL_ENABLED",
            format!(
                "access rules without authentication: every caller is anonymous, so only rules for \"anonymous\" and \
                 defaultPolicy apply; {READ_ON}"
            ),
        ),
        (AuthType::None, false) if !address.ip().is_loopback() && env.tls_client_ca.is_none() => Problem::of_key(
            "REGISTRY_AUTH_TYPE",
            format!(
                "the registry is open: there is no authentication, and anyone who can reach {address} may pull, push \
                 and delete; {READ_ON}, or listen on this machine only with REGISTRY_HOST=127.0.0.1"
            ),
        ),
        (AuthType::Basic, false) => Problem::of_key(
            "REGISTRY_AUTH_TYPE",
            format!("users without access rules: every user may pull, push and delete in every repository; {READ_ON}"),
        ),
        // An open registry is right for a developer's own machine, and a token states what it grants.
        (AuthType::None, false) | (AuthType::Basic | AuthType::Token, true) | (AuthType::Token, false) => return,
    };
    warnings.push(Warning(warning));
}

impl Env {
    /// Who has access, in one line.
    pub(super) fn permissions(&self) -> String {
        match (self.auth_type, self.access_control_enabled) {
            (AuthType::None, true) => "the access rules decide; every caller is anonymous".into(),
            (AuthType::None, false) => {
                let anyone = match &self.tls_client_ca {
                    Some(ca) => format!("anyone with a client certificate from {}", ca.display()),
                    None => format!("anyone who can reach {}", self.listen()),
                };
                format!("{anyone} may pull, push and delete")
            }
            (AuthType::Basic, true) => "the access rules decide".into(),
            (AuthType::Basic, false) => {
                "every user may pull, push and delete in every repository; anonymous callers may do nothing".into()
            }
            (AuthType::Token, true) => "what the token grants, as far as the access rules allow it".into(),
            (AuthType::Token, false) => "what the token grants; callers without a token may do nothing".into(),
        }
    }
}
