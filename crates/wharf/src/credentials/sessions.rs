//! Sessions of `wharf login`: refresh tokens, which a server changes each time one is used. Never a password.

use crate::{config::write_private, failure::Failure};
use client::{ApiRequest, Client, Secret};
use http::Method;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::{
    collections::BTreeMap,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::{SystemTime, UNIX_EPOCH},
};

/// A token that expires sooner than this is exchanged before it is used.
const MARGIN: u64 = 30;

/// One session.
#[derive(Clone, Serialize, Deserialize)]
pub struct SavedSession {
    /// The user's name.
    pub user: String,
    /// Gives the next tokens, once.
    pub refresh_token: String,
    /// What requests carry.
    pub access_token: String,
    /// When that expires, in seconds since 1970.
    pub expires: u64,
}

/// All sessions, in one file that only its owner can read.
pub struct Sessions {
    path: PathBuf,
    /// Speak to the servers of sessions without credentials, to exchange their tokens.
    exchange: Mutex<BTreeMap<String, Client>>,
}

impl Sessions {
    /// The sessions of a file, which need not exist.
    pub fn at(path: &Path) -> Self {
        Self { path: path.to_owned(), exchange: Mutex::default() }
    }

    /// Exchanges the tokens of a server's session by this client.
    pub fn exchange_with(&self, server: &str, client: Client) {
        self.exchange.lock().unwrap_or_else(PoisonError::into_inner).insert(server.to_owned(), client);
    }

    /// The session at a server.
    pub fn find(&self, server: &str) -> Result<Option<SavedSession>, Failure> {
        Ok(self.read()?.remove(server))
    }

    /// The servers that have a session.
    pub fn servers(&self) -> Result<Vec<String>, Failure> {
        Ok(self.read()?.into_keys().collect())
    }

    /// Keeps a session.
    pub fn keep(&self, server: &str, session: SavedSession) -> Result<(), Failure> {
        let _lock = self.lock()?;
        let mut all = self.read()?;
        all.insert(server.to_owned(), session);
        self.write(&all)
    }

    /// Forgets a session. Whether there was one.
    pub fn forget(&self, server: &str) -> Result<bool, Failure> {
        let _lock = self.lock()?;
        let mut all = self.read()?;
        let removed = all.remove(server).is_some();
        if removed {
            self.write(&all)?;
        }
        Ok(removed)
    }

    /// A token for requests to a server, exchanged for a new one if it is about to expire. `None` if there is no session.
    pub async fn access_token(&self, server: &str) -> Result<Option<Secret>, String> {
        let words = |failure: Failure| failure.message;
        let Some(session) = self.find(server).map_err(words)? else { return Ok(None) };
        if session.expires > now() + MARGIN {
            return Ok(Some(Secret::new(session.access_token)));
        }
        // Two processes must not use one refresh token: the server would take the second for a thief.
        let _lock = self.lock().map_err(words)?;
        let mut all = self.read().map_err(words)?;
        let Some(session) = all.get(server).cloned() else { return Ok(None) };
        if session.expires > now() + MARGIN {
            return Ok(Some(Secret::new(session.access_token)));
        }
        let client = self.exchange.lock().unwrap_or_else(PoisonError::into_inner).get(server).cloned();
        let Some(client) = client else { return Ok(None) };
        let refresh = ApiRequest::new(Method::POST, "/api/v1/auth/refresh")
            .json(&json!({ "refresh_token": session.refresh_token }));
        let answer = match client.send_api(&refresh).await {
            Ok(answer) => answer,
            Err(error) if matches!(error.status().map(|status| status.as_u16()), Some(400 | 401 | 403 | 404)) => {
                all.remove(server);
                self.write(&all).map_err(words)?;
                return Err(format!("the session at {server} has ended; log in again with: wharf login {server}"));
            }
            Err(error) => return Err(error.to_string()),
        };
        let answer: api::auth::LoginAnswer =
            oci::json::from_slice(&answer.body).map_err(|error| format!("the answer to the refresh: {error}"))?;
        let next = SavedSession::of(answer, Some(session.refresh_token));
        let token = Secret::new(next.access_token.clone());
        all.insert(server.to_owned(), next);
        self.write(&all).map_err(words)?;
        Ok(Some(token))
    }

    fn read(&self) -> Result<BTreeMap<String, SavedSession>, Failure> {
        match fs::read(&self.path) {
            Ok(bytes) => oci::json::from_slice(&bytes)
                .map_err(|error| Failure::failed(format!("{}: {error}", self.path.display()))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(BTreeMap::new()),
            Err(error) => Err(Failure::file("read", &self.path, &error)),
        }
    }

    fn write(&self, all: &BTreeMap<String, SavedSession>) -> Result<(), Failure> {
        let mut text = serde_json::to_string_pretty(all).map_err(|error| Failure::failed(error.to_string()))?;
        text.push('\n');
        write_private(&self.path, text.as_bytes())
    }

    /// Held while the file is changed, by a file beside it: it is replaced, so a lock on itself would not last.
    fn lock(&self) -> Result<File, Failure> {
        let path = self.path.with_extension("lock");
        let lock = || {
            if let Some(directory) = path.parent() {
                fs::create_dir_all(directory)?;
            }
            let file = File::options().create(true).truncate(false).write(true).open(&path)?;
            file.lock()?;
            Ok(file)
        };
        lock().map_err(|error: io::Error| Failure::file("lock", &path, &error))
    }
}

impl SavedSession {
    /// The session that a login or an exchange gave. A server that gives no new refresh token leaves the old one.
    pub fn of(answer: api::auth::LoginAnswer, before: Option<String>) -> Self {
        Self {
            user: answer.username,
            refresh_token: answer.refresh_token.or(before).unwrap_or_default(),
            access_token: answer.access_token,
            expires: now() + answer.expires_in,
        }
    }
}

/// Seconds since 1970.
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
