//! Ending upload sessions that nobody goes on with, counted from their last byte.

use super::{Registry, Result};
use crate::storage::{Condemned, Item, ItemKind, RunId, Verdict, Why};
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
        let (store, run) = (&self.core.store, RunId::fresh());
        let mut expired = 0;
        let mut after: Option<Item> = None;
        loop {
            let page = store.items(&ItemKind::Uploads, after.as_ref(), 1000).await?;
            for aged in &page.entries {
                let Item::Upload(id) = &aged.item else { continue };
                let timeout = self.settings.upload_timeout;
                match store.condemn(&aged.item, run, Why::Unreferenced, timeout).await? {
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
        self.purge_uploads().await?;
        store.tidy(STALE).await?;
        Ok(expired)
    }

    /// Removes condemned sessions, also those that a kill left there.
    async fn purge_uploads(&self) -> Result<()> {
        let mut after: Option<Condemned> = None;
        loop {
            let page = self.core.store.condemned(after.as_ref(), 1000).await?;
            for entry in page.entries.iter().filter(|entry| matches!(entry.item, Item::Upload(_))) {
                self.core.store.purge(entry).await?;
            }
            after = page.entries.last().cloned();
            if !page.more {
                return Ok(());
            }
        }
    }
}
