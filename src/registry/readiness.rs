//! Whether the store answers, asked often and found out seldom.

use super::{Registry, Result};
use crate::storage;
use std::time::{Duration, Instant};
use tokio::sync::Mutex;

/// What the registry can do at the moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Readiness {
    /// The store can be read.
    pub pull: bool,
    /// The store can be written, and has room.
    pub push: bool,
    /// What keeps one of them from being.
    pub reason: Option<String>,
}

/// The last answer and when it was had. Held while asking, so that many askers are one.
pub(super) type Probe = Mutex<Option<(Instant, Readiness)>>;

/// How long an answer is good for.
const FRESH: Duration = Duration::from_secs(2);

/// A store that takes longer than this does not answer.
const PATIENCE: Duration = Duration::from_secs(2);

impl Registry {
    /// What the registry can do; no older than two seconds.
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
        let readiness = match within(reads).await {
            Err(reason) => Readiness { pull: false, push: false, reason: Some(reason) },
            Ok(()) => {
                let reason = within(writes).await.err();
                Readiness { pull: true, push: reason.is_none(), reason }
            }
        };
        *last = Some((Instant::now(), readiness.clone()));
        readiness
    }

    /// How the store does.
    pub fn store_health(&self) -> storage::Health {
        self.core.store.health()
    }
}

/// What keeps `asked` from being done in time.
async fn within(asked: impl Future<Output = Result<()>>) -> Result<(), String> {
    match tokio::time::timeout(PATIENCE, asked).await {
        Ok(done) => done.map_err(|error| error.to_string()),
        Err(_) => Err("the storage does not answer".to_owned()),
    }
}
