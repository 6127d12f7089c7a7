//! How to reach an SFTP server.

use super::{HostTrust, SftpTrouble};
use russh::keys::PrivateKey;
use std::{fmt, sync::Arc};

/// How the daemon proves who it is.
#[derive(Clone)]
pub enum SftpLogin {
    /// A password.
    Password(String),
    /// A private key.
    Key(Arc<PrivateKey>),
}

impl SftpLogin {
    /// Reads a private key: ed25519, RSA or ECDSA, as OpenSSH or PEM.
    ///
    /// # Errors
    /// What is wrong with it; the key itself is not in the text.
    pub fn key(text: &str) -> Result<Self, String> {
        if text.contains("ENCRYPTED") {
            return Err("is encrypted with a passphrase; remove it with `ssh-keygen -p -N '' -f <file>`".into());
        }
        match russh::keys::decode_secret_key(text, None) {
            Ok(key) => Ok(Self::Key(Arc::new(key))),
            Err(russh::keys::Error::KeyIsEncrypted) => {
                Err("is encrypted with a passphrase; remove it with `ssh-keygen -p -N '' -f <file>`".into())
            }
            Err(_) => Err("is not a private key in the format of OpenSSH or PEM".into()),
        }
    }
}

/// Never shows the secret.
impl fmt::Debug for SftpLogin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Password(_) => "Password(…)",
            Self::Key(_) => "Key(…)",
        })
    }
}

/// An SFTP server, and the directory on it that holds the store.
#[derive(Clone, Debug)]
pub struct SftpSettings {
    pub host: String,
    pub port: u16,
    pub username: String,
    pub login: SftpLogin,
    pub trust: HostTrust,
    /// The directory: absolute, or relative to where the server puts its clients.
    pub root: String,
    /// Most connections at once.
    pub connections: usize,
}

impl SftpSettings {
    /// The server, as it is shown to people.
    pub fn place(&self) -> String {
        format!("{}@{}:{}", self.username, self.host, self.port)
    }

    pub(super) fn unreachable(&self, why: impl fmt::Display) -> SftpTrouble {
        SftpTrouble::Unreachable(format!("{}:{} {why}", self.host, self.port))
    }
}
