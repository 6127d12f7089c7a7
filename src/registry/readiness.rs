//! Whether the store responds. Callers ask often, the store is checked seldom.

use super::{Registry, RegistryError, Result};
use crate::storage;
use std::time::{Duration, Instant};
use tokio::sync::Mutex;

/// What the registry can do now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Readiness {
    /// The store can be read.
    pub pull: bool,
    /// The store can be written, and has room.
    pub push: bool,
    /// The problem, if one of them is false.
    pub reason: Option<Reason>,
}

/// Why something cannot be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    /// For everyone: one of a few fixed sentences.
    pub summary: &'static str,
    /// For the operator: may name paths.
    pub detail: String,
}

/// The last result and its time. Locked during a check, so that concurrent callers share one.
pub(super) type LastReadiness = Mutex<Option<(Instant, Readiness)>>;

/// How long a result is valid.
const FRESH: Duration = Duration::from_secs(2);

/// A store that takes longer than this counts as not responding.
const PATIENCE: Duration = Duration::from_secs(2);

impl Registry {
    /// What the registry can do; at most two seconds old.
    pub async fn readiness(&self) -> Readiness {
        let mut last = self.core.readiness.lock().await;
        if let Some((at, readiness)) = &*last
            && at.elapsed() < FRESH
        {
            return readiness.clone();
        }
        let reads = async { Ok(self.core.store.probe().await.map(drop)?) };
        let writes = async {
            self.core.store.try_write().await?;
            self.admit(0).await
        };
        let readiness = match within(reads, "the storage cannot be read").await {
            Err(reason) => Readiness { pull: false, push: false, reason: Some(reason) },
            Ok(()) => {
                let reason = within(writes, "the storage cannot be written").await.err();
                Readiness { pull: true, push: reason.is_none(), reason }
            }
        };
        *last = Some((Instant::now(), readiness.clone()));
        readiness
    }

    /// Checks the store.
    pub fn store_health(&self) -> storage::StoreHealth {
        self.core.store.health()
    }
}

/// Why `asked` cannot be done in time.
async fn within(asked: impl Future<Output = Result<()>>, otherwise: &'static str) -> Result<(), Reason> {
    let Ok(done) = tokio::time::timeout(PATIENCE, asked).await else {
        let summary = "the storage does not answer";
        return Err(Reason { summary, detail: summary.to_owned() });
    };
    done.map_err(|error| {
        let summary = match &error {
            RegistryError::Storage(storage::StorageError::Full { .. }) => "the storage is full",
            RegistryError::Storage(storage::StorageError::ReadOnly { .. }) => "the storage is read-only",
            RegistryError::Storage(storage::StorageError::Unavailable { .. }) => "the storage is unavailable",
            _ => otherwise,
        };
        Reason { summary, detail: error.to_string() }
    })
}
