//! Reads and writes one small JSON file.

use super::{Accounts, AccountsError, ApiKey, Result, Session, Tombstone, UserRecord};
use crate::{
    files::world,
    storage::{AccountKey, Durability, Expect, FactKey, Put, PutOutcome, Version},
};
use jiff::Timestamp;
use oci::json;
use serde::{Serialize, de::DeserializeOwned};

/// How often a change is tried while others change the same file.
const ATTEMPTS: usize = 16;

/// What a change makes of a record.
pub(super) enum Edit<T> {
    /// Writes it.
    To(T),
    /// Leaves it as it is.
    Nothing,
}

/// Whether the content of a file can be what its key says.
pub fn is_sound(key: &AccountKey, bytes: &[u8]) -> bool {
    match key {
        AccountKey::Session(_) => json::from_slice::<Session>(bytes).is_ok(),
        AccountKey::ApiKey(_) => json::from_slice::<ApiKey>(bytes).is_ok_and(|key| key.scopes().is_some()),
        AccountKey::ApiKeyUse(_) => true,
        AccountKey::User(_) => json::from_slice::<UserRecord>(bytes).is_ok(),
        AccountKey::Tombstone(_) => json::from_slice::<Tombstone>(bytes).is_ok(),
    }
}

/// The time, to the microsecond: more is of no use to anybody who reads the files.
pub(super) fn now() -> Timestamp {
    let now = Timestamp::try_from(world::now()).unwrap_or_default();
    Timestamp::from_microsecond(now.as_microsecond()).unwrap_or(now)
}

impl Accounts {
    /// The record at a key, and its version; `None` if there is none or it is malformed.
    pub(super) async fn record<T: DeserializeOwned>(&self, key: &AccountKey) -> Result<Option<(T, Version)>> {
        let key = FactKey::Account(key.clone());
        let Some(fact) = self.store.get(&key).await? else { return Ok(None) };
        match json::from_slice(&fact.bytes) {
            Ok(record) => Ok(Some((record, fact.version()))),
            Err(error) => {
                tracing::error!(path = key.path(), %error, "malformed record; it counts as absent");
                Ok(None)
            }
        }
    }

    /// Writes a record if the condition holds; returns whether it did.
    pub(super) async fn put_record(
        &self,
        key: &AccountKey,
        record: &impl Serialize,
        expect: Expect,
        durability: Durability,
    ) -> Result<bool> {
        // Only text and lists of text are serialized here, which cannot fail.
        let mut bytes = serde_json::to_vec(record).unwrap_or_default();
        bytes.push(b'\n');
        let put = Put::when(FactKey::Account(key.clone()), bytes, expect);
        Ok(self.store.put(vec![put], durability).await? == PutOutcome::Done)
    }

    /// Changes a record; `change` is asked again if somebody else changed it meanwhile. Returns what was written.
    pub(super) async fn edit<T: Serialize + DeserializeOwned>(
        &self,
        what: &'static str,
        key: &AccountKey,
        durability: Durability,
        mut change: impl FnMut(Option<T>) -> Edit<T>,
    ) -> Result<Option<T>> {
        for _ in 0..ATTEMPTS {
            let (record, expect) = match self.store.get(&FactKey::Account(key.clone())).await? {
                // One that is malformed is replaced.
                Some(fact) => (json::from_slice(&fact.bytes).ok(), Expect::Is(fact.version())),
                None => (None, Expect::Absent),
            };
            let Edit::To(changed) = change(record) else { return Ok(None) };
            if self.put_record(key, &changed, expect, durability).await? {
                return Ok(Some(changed));
            }
        }
        Err(AccountsError::Contended(what))
    }

    /// Removes a record if the condition holds; returns whether it did.
    pub(super) async fn remove(&self, key: &AccountKey, expect: Expect) -> Result<bool> {
        Ok(self.store.delete(&FactKey::Account(key.clone()), expect).await?)
    }
}
