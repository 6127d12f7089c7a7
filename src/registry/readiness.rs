//! Whether the store answers, asked often and found out seldom.

use super::Registry;
use std::time::{Duration, Instant};
use tokio::sync::Mutex;

/// What the registry can do at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Readiness {
    /// The store can be read.
    pub pull: bool,
    /// The store can be written, and has room.
    pub push: bool,
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
        if let Some((at, readiness)) = *last
            && at.elapsed() < FRESH
        {
            return readiness;
        }
        let within = |probe| tokio::time::timeout(PATIENCE, probe);
        let pull = within(Box::pin(async { self.core.store.probe().await.is_ok() })).await.unwrap_or(false);
        let writes = async { self.core.store.now().await.is_ok() && self.admit(0).await.is_ok() };
        let push = pull && tokio::time::timeout(PATIENCE, writes).await.unwrap_or(false);
        let readiness = Readiness { pull, push };
        *last = Some((Instant::now(), readiness));
        readiness
    }
}
