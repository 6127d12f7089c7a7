//! Who logs in where: variables, credential helpers, the files of docker and podman, and our own sessions.

mod docker;
mod sessions;

pub use docker::{DockerFile, store_docker};
pub use sessions::{SavedSession, Sessions};

use client::{Credential, CredentialSource, Secret};
use std::{env, fs, sync::Arc};

/// Looks a credential up in all places, in the order that `wharf help login` names.
#[derive(Clone)]
pub struct CredentialChain {
    /// Our own sessions.
    pub sessions: Arc<Sessions>,
    /// Whether the variables are for this registry: they are for the current server only.
    pub takes_variables: bool,
}

#[async_trait::async_trait]
impl CredentialSource for CredentialChain {
    async fn lookup(&self, registry: &str) -> Result<Credential, String> {
        if self.takes_variables
            && let Some(credential) = from_variables()?
        {
            return Ok(credential);
        }
        // A session first: `wharf login` is about this program, docker's file about all of them.
        if let Some(token) = self.sessions.access_token(registry).await? {
            return Ok(Credential::RegistryToken(token));
        }
        docker::lookup(registry).await
    }
}

/// `WHARF_TOKEN`, or `WHARF_USERNAME` with `WHARF_PASSWORD` or `WHARF_PASSWORD_FILE`.
pub fn from_variables() -> Result<Option<Credential>, String> {
    let variable = |name: &str| env::var(name).ok().filter(|value| !value.is_empty());
    if let Some(token) = variable("WHARF_TOKEN") {
        return Ok(Some(Credential::RegistryToken(Secret::new(token))));
    }
    let Some(user) = variable("WHARF_USERNAME") else { return Ok(None) };
    let password = match (variable("WHARF_PASSWORD"), variable("WHARF_PASSWORD_FILE")) {
        (Some(password), _) => password,
        (None, Some(path)) => {
            let text = fs::read_to_string(&path).map_err(|error| format!("WHARF_PASSWORD_FILE={path}: {error}"))?;
            text.strip_suffix('\n').unwrap_or(&text).to_owned()
        }
        (None, None) => return Err("WHARF_USERNAME is set; set WHARF_PASSWORD or WHARF_PASSWORD_FILE too".into()),
    };
    Ok(Some(Credential::Password { user, password: Secret::new(password) }))
}
