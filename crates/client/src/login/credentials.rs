//! Where names and passwords come from.

use std::{collections::HashMap, fmt};

/// A text that is never shown: not by `Debug`, not in an error.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Keeps a text secret.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text, for whoever needs it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// How a caller proves who they are.
#[derive(Clone, Debug, Default)]
pub enum Credential {
    /// Not at all.
    #[default]
    Anonymous,
    /// By name and password, or what stands for one (an API key, ECR's token).
    Password {
        /// The user's name.
        user: String,
        /// Their password.
        password: Secret,
    },
    /// By an identity token that a token service gave at login (docker's `identitytoken`); it is
    /// exchanged for tokens by POST.
    IdentityToken(Secret),
    /// By a bearer token that the registry itself takes (docker's `registrytoken`).
    RegistryToken(Secret),
}

/// A source of credentials, asked when a registry wants some, and again when it refuses them.
#[async_trait::async_trait]
pub trait CredentialSource: Send + Sync {
    /// The credential for a registry, by the name that people know it by: `registry.example.com:5000`,
    /// `docker.io`.
    ///
    /// # Errors
    /// A sentence that says what to do; the request then fails with it.
    async fn lookup(&self, registry: &str) -> Result<Credential, String>;
}

/// The same for every registry. Only for clients of one registry.
#[async_trait::async_trait]
impl CredentialSource for Credential {
    async fn lookup(&self, _: &str) -> Result<Credential, String> {
        Ok(self.clone())
    }
}

/// By the registry's name; anonymous for one that is not there.
#[async_trait::async_trait]
impl CredentialSource for HashMap<String, Credential> {
    async fn lookup(&self, registry: &str) -> Result<Credential, String> {
        Ok(self.get(registry).cloned().unwrap_or_default())
    }
}
