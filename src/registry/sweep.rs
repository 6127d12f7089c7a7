//! Ending upload sessions that nobody goes on with, counted from their last byte.

use super::{Registry, Result};
use crate::{
    files::world,
    oci::UploadId,
    storage::{Item, ItemKind, Turn, Verdict},
};
use std::time::{Duration, SystemTime};

/// Temporary files of interrupted writes are no use to anybody after this.
const STALE: Duration = Duration::from_secs(3600);

impl Registry {
    /// Ends every session idle for longer than the timeout; how many. Sessions that go on are
    /// entered in the ledger, so that those of an earlier process count too.
    ///
    /// # Errors
    /// The first of the store's; all that could be done was done.
    pub async fn sweep(&self) -> Result<u64> {
        let store = &self.core.store;
        let (mut expired, mut failed) = (0, None);
        let mut missed = self.core.ledger.sessions();
        let mut after: Option<Item> = None;
        loop {
            let page = store.items(&ItemKind::Uploads, after.as_ref(), 1000).await?;
            for aged in &page.entries {
                let Item::Upload(id) = &aged.item else { continue };
                missed.remove(id);
                match self.sweep_one(id, aged.len).await {
                    Ok(ended) => expired += u64::from(ended),
                    // One that is damaged does not keep the others from ending.
                    Err(error) => failed = failed.or(Some(error)),
                }
            }
            after = page.entries.last().map(|aged| aged.item.clone());
            if !page.more {
                break;
            }
        }
        // Ended by a collection, perhaps of another process, or by a request that failed after that.
        for id in missed {
            if store.progress(&id).await?.is_none() {
                self.core.ledger.close(&id);
            }
        }
        // The time first: if the clock is set forward at this very moment nothing is older for it.
        let now = world::now();
        let stale = STALE + self.core.clock.ahead();
        store.tidy(now.checked_sub(stale).unwrap_or(SystemTime::UNIX_EPOCH)).await?;
        self.forget_fulfilled().await?;
        failed.map_or(Ok(expired), Err)
    }

    /// How old the last byte of a session has to look for it to be over. Where the clock was set
    /// forward it looks older than it is.
    pub(super) fn upload_idle(&self) -> Duration {
        self.settings.upload_timeout + self.core.clock.ahead()
    }

    /// Whether a session was ended; it is in the ledger as it stands.
    async fn sweep_one(&self, id: &UploadId, len: u64) -> Result<bool> {
        match self.core.store.abandon(id, &Turn::default(), self.upload_idle()).await? {
            Verdict::Renewed => self.meet(id, len).await.map(|()| false),
            Verdict::Condemned => {
                self.core.ledger.close(id);
                Ok(true)
            }
            Verdict::Gone => {
                self.core.ledger.close(id);
                Ok(false)
            }
        }
    }
}
