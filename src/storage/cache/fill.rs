//! A file of the cache while it is written, and read at the same time.

use crate::storage::Blob;
use bytes::Bytes;
use oci::Span;
use std::sync::{Arc, OnceLock};
use tokio::sync::watch;

/// Whoever reads further ahead than this asks the store for it.
const AHEAD: u64 = 8 << 20;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FillState {
    /// So many bytes can be read.
    Grown(u64),
    Failed,
}

/// A blob that is being fetched, for everybody who wants it.
pub struct CacheFill {
    len: u64,
    file: OnceLock<Arc<std::fs::File>>,
    state: watch::Sender<FillState>,
}

impl CacheFill {
    pub(super) fn new(len: u64) -> Self {
        Self { len, file: OnceLock::new(), state: watch::Sender::new(FillState::Grown(0)) }
    }

    pub(super) fn begun(&self, file: Arc<std::fs::File>) {
        // Only the task that fills it calls this, once.
        let _ = self.file.set(file);
    }

    pub(super) fn grown(&self, to: u64) {
        self.state.send_replace(FillState::Grown(to));
    }

    pub(super) fn failed(&self) {
        self.state.send_replace(FillState::Failed);
    }

    /// Reads a span as soon as it is there; `None` if it will not be there soon.
    pub async fn read(&self, span: Span) -> Option<Bytes> {
        let mut state = self.state.subscribe();
        loop {
            match *state.borrow_and_update() {
                FillState::Grown(len) if len >= span.end() => break,
                FillState::Grown(len) if span.start <= len + AHEAD => {}
                FillState::Grown(_) | FillState::Failed => return None,
            }
            state.changed().await.ok()?;
        }
        Blob::file(self.file.get()?.clone(), self.len).read(span).await.ok()
    }
}
