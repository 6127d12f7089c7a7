//! Ends upload sessions that have been idle for too long, counted from their last byte.

use crate::{
    files::world,
    registry::{Registry, Result},
    storage::{Aged, Condemnation, ItemsOf, UploadTurn},
};
use oci::UploadId;
use std::time::{Duration, SystemTime};

/// Temporary files of interrupted writes are useless after this time.
const STALE: Duration = Duration::from_secs(3600);

/// Sessions listed at once.
const PAGE: usize = 1000;

impl Registry {
    /// Ends every session that has been idle for longer than the timeout, and returns how many. Active sessions are
    /// added to the ledger, so that those of an earlier process count too.
    ///
    /// # Errors
    /// The first error of the store; sessions that could be ended were ended.
    pub async fn sweep(&self) -> Result<u64> {
        let store = self.store();
        let (mut expired, mut failed) = (0, None);
        let mut missed = self.ledger().sessions();
        let mut uploads = store.aged(ItemsOf::uploads(), PAGE);
        while let Some(Aged { item: id, len, .. }) = uploads.next().await? {
            missed.remove(&id);
            match self.sweep_one(&id, len).await {
                Ok(ended) => expired += u64::from(ended),
                // A damaged session must not keep the others from ending.
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        // Ended by a collection, perhaps in another process, or by a request that failed afterwards.
        for id in missed {
            if store.progress(&id).await?.is_none() {
                self.ledger().close(&id);
            }
        }
        // Read the time first: if the clock is set forward right now, nothing is older than it.
        let now = world::now();
        let stale = STALE + self.clock().ahead();
        store.tidy(now.checked_sub(stale).unwrap_or(SystemTime::UNIX_EPOCH)).await?;
        self.forget_fulfilled().await?;
        failed.map_or(Ok(expired), Err)
    }

    /// Whether a session was ended. Enters its current state in the ledger.
    async fn sweep_one(&self, id: &UploadId, len: u64) -> Result<bool> {
        match self.store().abandon(id, &UploadTurn::default(), self.upload_idle()).await? {
            Condemnation::Renewed => self.register_session(id, len).await.map(|()| false),
            Condemnation::Condemned => {
                self.ledger().close(id);
                Ok(true)
            }
            Condemnation::Gone => {
                self.ledger().close(id);
                Ok(false)
            }
        }
    }
}
