//! Removes what has ended.

use super::{Accounts, Result, Session, record::now};
use crate::storage::{AccountKey, DirOf, Expect};
use jiff::{SignedDuration, Timestamp};

/// What was removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Sessions.
    pub sessions: usize,
    /// API keys.
    pub api_keys: usize,
}

/// How long an expired API key is shown to its owner.
const SHOWN: SignedDuration = SignedDuration::from_hours(30 * 24);

impl Accounts {
    /// Removes sessions that expired or whose user's line in htpasswd changed (`is_current`), API keys that expired a
    /// month ago, and those of deleted users.
    ///
    /// # Errors
    /// Those of the storage.
    pub async fn sweep(&self, is_current: impl Fn(&Session) -> bool) -> Result<Swept> {
        let (now, mut swept) = (now(), Swept::default());
        for (id, _) in self.owned(&self.sessions, DirOf::sessions(), AccountKey::Session, None).await? {
            let key = AccountKey::Session(id);
            if let Some((session, version)) = self.record::<Session>(&key).await?
                && (session.expires <= now || !is_current(&session))
            {
                swept.sessions += usize::from(self.remove(&key, Expect::Is(version)).await?);
            }
        }
        for (id, key) in self.api_keys(None).await? {
            if self.is_shared_key(id) {
                continue;
            }
            let is_old = |expires: Timestamp| now.duration_since(expires) >= SHOWN;
            if key.expires.is_some_and(is_old) || self.tombstone(&key.owner).await?.is_some() {
                swept.api_keys += usize::from(self.delete_api_key(id).await?);
            }
        }
        Ok(swept)
    }
}
