//! API keys: passwords for programs, each limited to what it is for.
//!
//! The file of a key has its hash, so it may be copied between registries and kept in Git. A key ends when it expires,
//! when its file is removed, and with its owner.

use super::{
    Accounts, AccountsError, Result,
    record::{Edit, now},
};
use crate::{
    access::KeyScopes,
    files::world,
    identity::{ApiKeyText, UserKind, Users},
    storage::{AccountKey, DirOf, Durability, Expect, FactKey},
    who::ApiKeyId,
};
use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use oci::json;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, sync::Arc, time::Duration};

/// An API key, without its secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiKey {
    /// What its owner calls it.
    pub name: String,
    /// The user as whom it acts.
    pub owner: String,
    /// The SHA-256 of the key, in hexadecimal.
    sha256: String,
    /// What it is for, as written.
    #[serde(rename = "scopes")]
    written: Vec<String>,
    /// When it was made.
    pub created: Timestamp,
    /// Who made it.
    pub created_by: String,
    /// When it expires, if it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Timestamp>,
    #[serde(skip)]
    scopes: Option<KeyScopes>,
}

/// A key that somebody wants.
#[derive(Clone, Debug)]
pub struct ApiKeyRequest {
    /// What its owner calls it.
    pub name: String,
    /// The user as whom it acts.
    pub owner: String,
    /// What it is for.
    pub scopes: KeyScopes,
    /// Who makes it.
    pub created_by: String,
    /// For how long it is good; `None` for ever.
    pub life: Option<Duration>,
}

/// What is to change of a key.
#[derive(Clone, Debug, Default)]
pub struct ApiKeyChange {
    /// Another name.
    pub name: Option<String>,
    /// Other scopes.
    pub scopes: Option<KeyScopes>,
    /// Another expiry, from now on; `Some(None)` for none.
    pub life: Option<Option<Duration>>,
}

/// Maximum number of keys of a user.
pub const MOST_KEYS_PER_USER: usize = 100;

/// Maximum length of a key's name, in bytes.
pub const MOST_NAME_BYTES: usize = 100;

/// How often the use of a key is recorded.
const RECORDED_EVERY: Duration = Duration::from_mins(10);

/// Keys that were read, by their bytes: reading the scopes again for each request would take longer than the rest.
pub(super) struct ParsedKeys(quick_cache::sync::Cache<ApiKeyId, (Bytes, Arc<ApiKey>)>);

/// When the use of each key was recorded last, since startup.
pub(super) struct Uses(quick_cache::sync::Cache<ApiKeyId, Duration>);

/// Maximum number of keys in each of these.
const MOST_REMEMBERED: usize = 2000;

impl Default for ParsedKeys {
    fn default() -> Self {
        Self(quick_cache::sync::Cache::new(MOST_REMEMBERED))
    }
}

impl Default for Uses {
    fn default() -> Self {
        Self(quick_cache::sync::Cache::new(MOST_REMEMBERED))
    }
}

impl ApiKey {
    /// What it is for; `None` if the file says it in a way that cannot be read, and then it is for nothing.
    pub fn scopes(&self) -> Option<KeyScopes> {
        self.scopes.clone().or_else(|| KeyScopes::parse(&self.written).ok())
    }

    /// The key with its scopes read, if they can be.
    pub(super) fn parsed(self) -> Option<Self> {
        let scopes = self.scopes()?;
        Some(Self { scopes: Some(scopes), ..self })
    }

    /// What it is for, as written.
    pub fn written_scopes(&self) -> &[String] {
        &self.written
    }

    /// Whether it has expired.
    pub fn is_expired(&self) -> bool {
        self.expires.is_some_and(|expires| now() >= expires)
    }

    /// Whether it is good for a request: it has not expired, it can be read, and its owner exists and is not locked.
    fn is_good(&self, users: &Users) -> bool {
        let owner = users.kind(&self.owner);
        !self.is_expired() && self.scopes.is_some() && matches!(owner, Some(UserKind::Person | UserKind::Robot))
    }
}

fn written(scopes: &KeyScopes) -> Vec<String> {
    scopes.iter().map(ToString::to_string).collect()
}

fn expiry(now: Timestamp, life: Option<Duration>) -> Option<Timestamp> {
    life.map(|life| {
        SignedDuration::try_from(life).ok().and_then(|life| now.checked_add(life).ok()).unwrap_or(Timestamp::MAX)
    })
}

impl Accounts {
    /// Makes an API key. Its secret is not kept.
    ///
    /// # Errors
    /// [`AccountsError::TooManyKeys`], [`AccountsError::NoRandomness`], those of the storage.
    pub async fn create_api_key(&self, request: ApiKeyRequest) -> Result<(ApiKeyText, ApiKey)> {
        let ApiKeyRequest { name, owner, scopes, created_by, life } = request;
        let others = self.owned(&self.api_keys, DirOf::api_keys(), AccountKey::ApiKey, Some(&owner)).await?;
        if others.len() >= MOST_KEYS_PER_USER {
            return Err(AccountsError::TooManyKeys);
        }
        let text = ApiKeyText::random().map_err(|_| AccountsError::NoRandomness)?;
        let created = now();
        let (sha256, expires, written) = (text.hash(), expiry(created, life), written(&scopes));
        let key = ApiKey { name, owner, sha256, written, created, created_by, expires, scopes: Some(scopes) };
        self.put_record(&AccountKey::ApiKey(text.id()), &key, Expect::Absent, Durability::Durable).await?;
        Ok((text, key))
    }

    /// The key with this id; `None` if there is none or its file is malformed.
    ///
    /// # Errors
    /// Those of the storage.
    pub async fn api_key(&self, id: ApiKeyId) -> Result<Option<Arc<ApiKey>>> {
        if let Some(shared) = self.shared_key(id) {
            return Ok(Some(shared));
        }
        let key = FactKey::Account(AccountKey::ApiKey(id));
        let Some(fact) = self.store.get(&key).await? else { return Ok(None) };
        if let Some((bytes, parsed)) = self.parsed_keys.0.get(&id)
            && bytes == fact.bytes
        {
            return Ok(Some(parsed));
        }
        match json::from_slice::<ApiKey>(&fact.bytes) {
            Ok(mut read) => {
                read.scopes = read.scopes();
                let read = Arc::new(read);
                self.parsed_keys.0.insert(id, (fact.bytes, read.clone()));
                Ok(Some(read))
            }
            Err(error) => {
                tracing::error!(path = key.path(), %error, "malformed API key; it is not accepted");
                Ok(None)
            }
        }
    }

    /// The key that a client sent, if it is good; records its use.
    ///
    /// # Errors
    /// Those of the storage.
    pub async fn verify_api_key(&self, presented: &ApiKeyText, users: &Users) -> Result<Option<Arc<ApiKey>>> {
        let found = self.api_key(presented.id()).await?;
        match found.filter(|key| presented.is_stored_as(&key.sha256) && key.is_good(users)) {
            Some(key) => {
                self.record_use(presented.id()).await;
                Ok(Some(key))
            }
            None => Ok(None),
        }
    }

    /// The key that a token was given for, if it is still good for this user.
    ///
    /// # Errors
    /// Those of the storage.
    pub async fn api_key_of_token(&self, id: ApiKeyId, user: &str, users: &Users) -> Result<Option<Arc<ApiKey>>> {
        Ok(self.api_key(id).await?.filter(|key| key.owner == user && key.is_good(users)))
    }

    /// Records that a key was used, now and then.
    async fn record_use(&self, id: ApiKeyId) {
        let uptime = world::uptime();
        if self.uses.0.get(&id).is_some_and(|recorded| uptime.saturating_sub(recorded) < RECORDED_EVERY) {
            return;
        }
        // First, so that the other requests of the same client do not record it too.
        self.uses.0.insert(id, uptime);
        let text = format!("{}\n", now());
        let put = crate::storage::Put::any(FactKey::Account(AccountKey::ApiKeyUse(id)), text);
        if let Err(error) = self.store.put(vec![put], Durability::Process).await {
            // A full or read-only disk keeps nobody from pulling.
            tracing::debug!(%id, %error, "cannot record the use of an API key");
        }
    }

    /// When a key was used last, to some minutes.
    ///
    /// # Errors
    /// Those of the storage.
    pub async fn api_key_used(&self, id: ApiKeyId) -> Result<Option<Timestamp>> {
        let fact = self.store.get(&FactKey::Account(AccountKey::ApiKeyUse(id))).await?;
        Ok(fact.and_then(|fact| std::str::from_utf8(&fact.bytes).ok()?.trim_end().parse().ok()))
    }

    /// The keys of a user, or of all, in the order of their ids.
    ///
    /// # Errors
    /// Those of the storage.
    pub async fn api_keys(&self, owner: Option<&str>) -> Result<Vec<(ApiKeyId, Arc<ApiKey>)>> {
        let shared = self.shared.keys.load_full();
        let shared = shared.iter().filter(|(_, key)| owner.is_none_or(|owner| owner == key.owner));
        let mut keys: BTreeMap<_, _> = shared.map(|(id, key)| (*id, key.clone())).collect();
        for (id, _) in self.owned(&self.api_keys, DirOf::api_keys(), AccountKey::ApiKey, owner).await? {
            if let Some(key) = self.api_key(id).await? {
                keys.insert(id, key);
            }
        }
        Ok(keys.into_iter().collect())
    }

    /// Changes a key; `None` if there is none.
    ///
    /// # Errors
    /// Those of the storage; [`AccountsError::Contended`].
    pub async fn change_api_key(&self, id: ApiKeyId, change: &ApiKeyChange) -> Result<Option<ApiKey>> {
        let now = now();
        self.edit("the API key", &AccountKey::ApiKey(id), Durability::Durable, |found: Option<ApiKey>| {
            let Some(mut key) = found else { return Edit::Nothing };
            if let Some(name) = &change.name {
                key.name.clone_from(name);
            }
            if let Some(scopes) = &change.scopes {
                (key.written, key.scopes) = (written(scopes), Some(scopes.clone()));
            }
            if let Some(life) = change.life {
                key.expires = expiry(now, life);
            }
            Edit::To(key)
        })
        .await
    }

    /// Deletes a key; returns whether there was one.
    ///
    /// # Errors
    /// Those of the storage.
    pub async fn delete_api_key(&self, id: ApiKeyId) -> Result<bool> {
        let was_there = self.remove(&AccountKey::ApiKey(id), Expect::Any).await?;
        self.store.discard(&FactKey::Account(AccountKey::ApiKeyUse(id))).await?;
        Ok(was_there)
    }

    /// Deletes all keys of a user.
    pub(super) async fn delete_api_keys(&self, owner: &str) -> Result<()> {
        for (id, _) in self.owned(&self.api_keys, DirOf::api_keys(), AccountKey::ApiKey, Some(owner)).await? {
            self.delete_api_key(id).await?;
        }
        Ok(())
    }
}
