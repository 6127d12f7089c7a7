//! What is recorded of users besides their password: times of logins and changes, and names that must not be given
//! again.

use super::{Accounts, Result, record::Edit, record::now};
use crate::{
    files::world,
    storage::{AccountKey, DirOf, Durability, Expect, UserFile},
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::time::{Duration, SystemTime};

/// What is recorded of a user.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserRecord {
    /// Their name.
    pub user: String,
    /// An address for people to reach them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// When they were created, if that was by the API.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<Timestamp>,
    /// When they logged in last, other than with each request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_login: Option<Timestamp>,
    /// When their password was changed by the API.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password_changed: Option<Timestamp>,
    /// Tokens and sessions from before this time are void.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_before: Option<Timestamp>,
}

/// A user who was deleted. Rules, facts and habits may still know the name, so nobody gets it again by accident.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tombstone {
    /// The name.
    pub user: String,
    /// When they were deleted.
    pub deleted: Timestamp,
    /// Who deleted them.
    pub by: String,
}

/// For how long the time is believed from which on a user's tokens count. Another process may have changed it.
const BELIEVED: Duration = Duration::from_secs(5);

/// Maximum number of users of whom it is remembered.
const MOST_VOIDED: usize = 10_000;

/// When each user's tokens begin to count, and when that was read, since startup.
pub(super) struct Voided(quick_cache::sync::Cache<UserFile, (Duration, Option<Timestamp>)>);

impl Default for Voided {
    fn default() -> Self {
        Self(quick_cache::sync::Cache::new(MOST_VOIDED))
    }
}

impl Accounts {
    /// What is recorded of a user.
    ///
    /// # Errors
    /// Those of the storage.
    pub async fn user(&self, user: &str) -> Result<UserRecord> {
        let found = self.record::<UserRecord>(&AccountKey::User(UserFile::of(user))).await?;
        let nothing = || UserRecord { user: user.to_owned(), ..UserRecord::default() };
        Ok(found.map(|(record, _)| record).filter(|record| record.user == user).unwrap_or_else(nothing))
    }

    /// Records something of a user.
    ///
    /// # Errors
    /// Those of the storage; [`super::AccountsError::Contended`].
    pub async fn record_user(&self, user: &str, change: impl Fn(&mut UserRecord) + Send) -> Result<UserRecord> {
        let file = UserFile::of(user);
        let key = AccountKey::User(file.clone());
        let changed = self.edit("the user's record", &key, Durability::Durable, |found| {
            let mut record: UserRecord = found.unwrap_or_default();
            record.user = user.to_owned();
            change(&mut record);
            Edit::To(record)
        });
        let record = changed.await?.unwrap_or_default();
        self.voided.0.insert(file, (world::uptime(), record.not_before));
        Ok(record)
    }

    /// Records that a user was created.
    ///
    /// # Errors
    /// As for [`record_user`](Self::record_user).
    pub async fn record_created(&self, user: &str, email: Option<String>) -> Result<()> {
        let now = now();
        let record = |record: &mut UserRecord| (record.created, record.email) = (Some(now), email.clone());
        self.record_user(user, record).await.map(drop)
    }

    /// Records a login.
    ///
    /// # Errors
    /// As for [`record_user`](Self::record_user).
    pub async fn record_login(&self, user: &str) -> Result<()> {
        let now = now();
        self.record_user(user, |record| record.last_login = Some(now)).await.map(drop)
    }

    /// Records that a user has another password.
    ///
    /// # Errors
    /// As for [`record_user`](Self::record_user).
    pub async fn record_password(&self, user: &str) -> Result<()> {
        let now = now();
        self.record_user(user, |record| record.password_changed = Some(now)).await.map(drop)
    }

    /// Voids all tokens and sessions of a user from before now.
    ///
    /// # Errors
    /// As for [`record_user`](Self::record_user).
    pub async fn void(&self, user: &str) -> Result<()> {
        let now = now();
        self.record_user(user, |record| record.not_before = Some(now)).await.map(drop)
    }

    /// Whether something that a user got at this time was voided since. Another process's change is noticed within some
    /// seconds.
    ///
    /// # Errors
    /// Those of the storage.
    pub async fn is_void(&self, user: &str, issued: SystemTime) -> Result<bool> {
        let file = UserFile::of(user);
        let read = self.voided.0.get(&file).filter(|(read, _)| world::uptime().saturating_sub(*read) < BELIEVED);
        let not_before = match read {
            Some((_, not_before)) => not_before,
            None => {
                let (read, not_before) = (world::uptime(), self.user(user).await?.not_before);
                self.voided.0.insert(file, (read, not_before));
                not_before
            }
        };
        Ok(not_before.is_some_and(|from| issued < SystemTime::from(from)))
    }

    /// The tombstone of a name.
    ///
    /// # Errors
    /// Those of the storage.
    pub async fn tombstone(&self, user: &str) -> Result<Option<Tombstone>> {
        let found = self.record::<Tombstone>(&AccountKey::Tombstone(UserFile::of(user))).await?;
        Ok(found.map(|(stone, _)| stone).filter(|stone| stone.user == user))
    }

    /// All tombstones.
    ///
    /// # Errors
    /// Those of the storage.
    pub async fn tombstones(&self) -> Result<Vec<Tombstone>> {
        let (mut names, mut stones) = (self.store.names(DirOf::tombstones(), 1000), Vec::new());
        while let Some(file) = names.next().await? {
            stones.extend(self.record(&AccountKey::Tombstone(file)).await?.map(|(stone, _)| stone));
        }
        Ok(stones)
    }

    /// Keeps a deleted user's name from being given again, and removes their sessions, API keys and record. May be
    /// repeated if it fails half way.
    ///
    /// # Errors
    /// Those of the storage.
    pub async fn bury(&self, user: &str, by: &str) -> Result<()> {
        let file = UserFile::of(user);
        let stone = Tombstone { user: user.to_owned(), deleted: now(), by: by.to_owned() };
        let key = AccountKey::Tombstone(file.clone());
        self.put_record(&key, &stone, Expect::Absent, Durability::Durable).await?;
        self.void(user).await?;
        self.end_sessions(user, None).await?;
        self.delete_api_keys(user).await?;
        // Last, since it voids what the others may have missed.
        self.remove(&AccountKey::User(file), Expect::Any).await?;
        Ok(())
    }

    /// Allows a name to be given again; returns whether it was kept from it.
    ///
    /// # Errors
    /// Those of the storage.
    pub async fn lift_tombstone(&self, user: &str) -> Result<bool> {
        self.remove(&AccountKey::Tombstone(UserFile::of(user)), Expect::Any).await
    }
}
