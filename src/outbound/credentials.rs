//! Credentials for other registries that the operator keeps in a directory.
//!
//! A caller names them and never sees them. Each belongs to one registry and is not sent to another, nor in plain HTTP
//! to one that is reached by TLS.

use crate::files::{detached, regular};
use async_trait::async_trait;
use client::{Credential, CredentialSource, RegistryAddress, Secret};
use oci::json;
use serde::Deserialize;
use std::{fmt, io, path::Path, str::FromStr, sync::Arc};

/// The directory of `REGISTRY_CREDENTIALS`, with a file `NAME.json` for each of the credentials.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CredentialDirectory(Option<Arc<Path>>);

/// The name of credentials: lower-case letters, digits, `.`, `_` and `-`, and first a letter or a digit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CredentialName(String);

/// Credentials, and the registry that they are for.
pub struct NamedCredential {
    pub registry: RegistryAddress,
    pub credential: Credential,
}

/// The credentials of this name, read when a registry asks for some.
pub struct CredentialsOf {
    pub directory: CredentialDirectory,
    pub name: CredentialName,
    /// The only one that gets them.
    pub registry: RegistryAddress,
}

#[async_trait]
impl CredentialSource for CredentialsOf {
    async fn lookup(&self, _: &str) -> Result<Credential, String> {
        let read = self.directory.read_soon(&self.name, &self.registry).await;
        read.map_err(|error| {
            tracing::error!(name = %self.name, registry = %self.registry.name(), %error, "no login for another registry");
            error.to_string()
        })
    }
}

/// Why credentials cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CredentialError {
    /// There is no directory.
    #[error("no credentials are configured: REGISTRY_CREDENTIALS is not set")]
    NotConfigured,
    #[error("there are no credentials named {0}")]
    Unknown(CredentialName),
    /// They are for another registry than the one that they were to be sent to.
    #[error("the credentials {0} are for another registry")]
    OtherRegistry(CredentialName),
    /// The cause is in the log: it may contain the secret.
    #[error("the file of the credentials {0} cannot be used; the log says why")]
    Unusable(CredentialName),
}

/// A name that no credentials can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a name of credentials has at most 64 characters: lower-case letters, digits, '.', '_' and '-'")]
pub struct InvalidCredentialName;

/// The content of a file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CredentialFile {
    registry: String,
    username: String,
    password: String,
}

impl CredentialDirectory {
    /// The credentials in this directory.
    pub fn new(dir: Option<&Path>) -> Self {
        Self(dir.map(Arc::from))
    }

    /// Reads credentials, which have to be for this registry. Blocks.
    ///
    /// # Errors
    /// [`CredentialError`].
    pub fn read(&self, name: &CredentialName, registry: &RegistryAddress) -> Result<Credential, CredentialError> {
        let found = self.find(name)?;
        match found.registry.is_same_place(registry) {
            true => Ok(found.credential),
            false => Err(CredentialError::OtherRegistry(name.clone())),
        }
    }

    /// The same on another thread.
    ///
    /// # Errors
    /// [`CredentialError`].
    pub async fn read_soon(
        &self,
        name: &CredentialName,
        registry: &RegistryAddress,
    ) -> Result<Credential, CredentialError> {
        let (directory, named, registry) = (self.clone(), name.clone(), registry.clone());
        let read = detached(move || directory.read(&named, &registry)).await;
        read.unwrap_or_else(|_| Err(CredentialError::Unusable(name.clone())))
    }

    fn find(&self, name: &CredentialName) -> Result<NamedCredential, CredentialError> {
        let path = self.0.as_ref().ok_or(CredentialError::NotConfigured)?.join(format!("{name}.json"));
        let unusable = |why: &dyn fmt::Display| {
            tracing::error!(path = %path.display(), %why, "credentials cannot be used");
            CredentialError::Unusable(name.clone())
        };
        let bytes = match regular::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(CredentialError::Unknown(name.clone()));
            }
            Err(error) => return Err(unusable(&error)),
        };
        parse(&bytes).map_err(|why| unusable(&why))
    }
}

fn parse(bytes: &[u8]) -> Result<NamedCredential, String> {
    // What the parser says of a wrong value can contain it.
    let file: CredentialFile = json::from_slice(bytes)
        .map_err(|_| "it is not a JSON object with the texts registry, username and password".to_owned())?;
    let registry = file.registry.parse().map_err(|error: client::InvalidRegistry| error.to_string())?;
    let credential = Credential::Password { user: file.username, password: Secret::new(file.password) };
    Ok(NamedCredential { registry, credential })
}

impl FromStr for CredentialName {
    type Err = InvalidCredentialName;

    fn from_str(text: &str) -> Result<Self, InvalidCredentialName> {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let is_good = (1..=64).contains(&text.len())
            && text.bytes().next().is_some_and(plain)
            && text.bytes().all(|byte| plain(byte) || matches!(byte, b'.' | b'_' | b'-'));
        if is_good { Ok(Self(text.to_owned())) } else { Err(InvalidCredentialName) }
    }
}

impl fmt::Display for CredentialName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HUB: &str = r#"{"registry":"docker.io","username":"alice","password":"correct horse"}"#;

    fn read(dir: &Path, name: &str, registry: &str) -> Result<Credential, CredentialError> {
        CredentialDirectory::new(Some(dir)).read(&name.parse().unwrap(), &registry.parse().unwrap())
    }

    #[test]
    fn credentials_are_used_only_for_their_registry() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
        write("hub.json", HUB);
        write("near.json", &HUB.replace("docker.io", "http://10.0.0.5:5000"));
        let Ok(Credential::Password { user, password }) = read(dir.path(), "hub", "index.docker.io") else { panic!() };
        assert_eq!((user.as_str(), password.expose()), ("alice", "correct horse"));
        assert!(read(dir.path(), "near", "http://10.0.0.5:5000").is_ok());
        for (name, elsewhere) in [
            ("hub", "registry.example.com"),
            ("hub", "docker.io:8443"),
            ("hub", "http://docker.io"),
            ("near", "10.0.0.5:5000"),
        ] {
            let refused = read(dir.path(), name, elsewhere);
            assert!(matches!(refused, Err(CredentialError::OtherRegistry(_))), "{name} for {elsewhere}");
        }
    }

    #[test]
    fn an_unusable_file_is_refused_without_showing_its_content() {
        let dir = tempfile::tempdir().unwrap();
        assert!(matches!(read(dir.path(), "hub", "docker.io"), Err(CredentialError::Unknown(_))));
        for text in
            ["", "correct horse", "[]", r#"{"registry":"docker.io","username":"a"}"#, &HUB.replace(".io", " io")]
        {
            std::fs::write(dir.path().join("hub.json"), text).unwrap();
            let refused = read(dir.path(), "hub", "docker.io").unwrap_err();
            assert!(
                matches!(refused, CredentialError::Unusable(_)) && !refused.to_string().contains("horse"),
                "{text}"
            );
            assert!(!parse(text.as_bytes()).err().unwrap().contains("horse"), "{text}");
        }
        let none = CredentialDirectory::default().read(&"hub".parse().unwrap(), &"docker.io".parse().unwrap());
        assert!(matches!(none, Err(CredentialError::NotConfigured)));
    }

    #[test]
    fn a_name_cannot_leave_the_directory() {
        for good in ["hub", "a", "0.x-y_z", &"a".repeat(64)] {
            assert!(good.parse::<CredentialName>().is_ok(), "{good}");
        }
        for bad in ["", ".", "..", "../hub", "a/b", "-x", ".x", "Hub", "ü", "a b", &"a".repeat(65)] {
            assert!(bad.parse::<CredentialName>().is_err(), "{bad}");
        }
    }
}
