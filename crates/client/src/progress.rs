//! Progress of transfers.

use std::sync::Arc;

/// What is going on with a blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TransferPhase {
    /// Its bytes are being received.
    Receiving,
    /// Its bytes are being sent.
    Sending,
    /// The connection broke; the transfer goes on from here after a pause.
    Resuming,
    /// All of it is there. Of a pull: and has its digest.
    Complete,
}

/// Is told of each piece: the phase, and how many bytes of the blob are done. The number can fall
/// when a transfer resumes. It is called on the transfer's own path, so it must be quick.
pub type ProgressCallback = Arc<dyn Fn(TransferPhase, u64) + Send + Sync>;

pub(crate) fn report(progress: Option<&ProgressCallback>, phase: TransferPhase, bytes: u64) {
    if let Some(progress) = progress {
        progress(phase, bytes);
    }
}
