//! Ending upload sessions that nobody goes on with, counted from their last byte.

use super::{Registry, Result};
use crate::storage::{Item, ItemKind, Verdict};
use std::time::Duration;

/// Temporary files of interrupted writes are no use to anybody after this.
const STALE: Duration = Duration::from_secs(3600);

impl Registry {
    /// Ends every session idle for longer than the timeout; how many. Sessions that go on are
    /// entered in the ledger, so that those of an earlier process count too.
    ///
    /// # Errors
    /// Only the store's; what was done stays done.
    pub async fn sweep(&self) -> Result<u64> {
        let store = &self.core.store;
        let mut expired = 0;
        let mut after: Option<Item> = None;
        loop {
            let page = store.items(&ItemKind::Uploads, after.as_ref(), 1000).await?;
            for aged in &page.entries {
                let Item::Upload(id) = &aged.item else { continue };
                match store.abandon(id, self.settings.upload_timeout).await? {
                    Verdict::Condemned => {
                        self.core.ledger.close(id);
                        expired += 1;
                    }
                    Verdict::Renewed => self.meet(id, aged.len).await?,
                    Verdict::Gone => self.core.ledger.close(id),
                }
            }
            after = page.entries.last().map(|aged| aged.item.clone());
            if !page.more {
                break;
            }
        }
        store.tidy(STALE).await?;
        Ok(expired)
    }
}
