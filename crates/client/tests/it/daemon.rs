//! Our registry in this process, and clients for it.

pub use testing::registry::Registry as Daemon;

use crate::words::quick;
use client::{Client, Credential, RegistryAddress, Secret};
use testing::people::htpasswd;

/// Clients for a registry.
pub trait DaemonExt {
    fn registry(&self) -> RegistryAddress;
    /// An anonymous client.
    fn client(&self) -> Client;
    /// A client with the credentials of a user, whose password is their name and `!`.
    fn client_of(&self, user: &str) -> Client;
}

impl DaemonExt for Daemon {
    fn registry(&self) -> RegistryAddress {
        self.address().to_string().parse().unwrap()
    }

    fn client(&self) -> Client {
        Client::builder(self.registry()).retries(quick()).build()
    }

    fn client_of(&self, user: &str) -> Client {
        let credentials = password(user, &format!("{user}!"));
        Client::builder(self.registry()).retries(quick()).credentials(credentials).build()
    }
}

/// A registry with these users, who log in by password or through its token service.
pub async fn with_users(users: &[&str], tokens: bool) -> Daemon {
    Daemon::with(|setup| {
        setup.htpasswd = Some(htpasswd(users));
        setup.signing_key = tokens.then(|| wharfinger::identity::new_signing_key().unwrap());
    })
    .await
}

pub fn password(user: &str, password: &str) -> Credential {
    Credential::Password { user: user.into(), password: Secret::new(password) }
}
