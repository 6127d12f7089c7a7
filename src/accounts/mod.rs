//! Logins, API keys and what else is recorded of users, in small files beside the repositories.
//!
//! Who exists, and by which password they log in, is said by the operator's htpasswd file alone. Here is what the daemon
//! itself has to remember. Every file is read when it is needed, so another process may write them too. A file that is
//! malformed grants nothing, and is reported in the log.

mod api_keys;
mod owners;
mod record;
mod sessions;
mod shared_keys;
mod sweep;
#[cfg(test)]
mod tests;
mod users;

pub use api_keys::{ApiKey, ApiKeyChange, ApiKeyRequest, MOST_KEYS_PER_USER, MOST_NAME_BYTES};
pub use record::is_sound;
pub use sessions::{Device, MOST_SESSIONS_PER_USER, OpenedSession, Refreshed, Session, SessionLives};
pub use sweep::Swept;
pub use users::{Tombstone, UserRecord};

use crate::{
    storage::{Storage, StorageError},
    who::{ApiKeyId, SessionId},
};
use owners::Owners;
use std::sync::Arc;

/// What is remembered of logins, API keys and users.
pub struct Accounts {
    store: Arc<dyn Storage>,
    sessions: Owners<SessionId>,
    api_keys: Owners<ApiKeyId>,
    parsed_keys: api_keys::ParsedKeys,
    uses: api_keys::Uses,
    voided: users::Voided,
    shared: shared_keys::SharedKeys,
}

/// Why something cannot be read or recorded.
#[derive(Debug, thiserror::Error)]
pub enum AccountsError {
    /// The storage failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The system has no randomness for a secret.
    #[error("cannot make a secret: the system provides no random numbers")]
    NoRandomness,
    /// The user has as many API keys as allowed.
    #[error("a user has at most {MOST_KEYS_PER_USER} API keys; delete one first")]
    TooManyKeys,
    /// Others changed it every time.
    #[error("{0} is changed by others at the same time; try again")]
    Contended(&'static str),
}

/// The result of a call.
pub type Result<T, E = AccountsError> = std::result::Result<T, E>;

impl Accounts {
    /// What is recorded in this store.
    pub fn new(store: Arc<dyn Storage>) -> Self {
        Self {
            store,
            sessions: Owners::default(),
            api_keys: Owners::default(),
            parsed_keys: api_keys::ParsedKeys::default(),
            uses: api_keys::Uses::default(),
            voided: users::Voided::default(),
            shared: shared_keys::SharedKeys::default(),
        }
    }
}
