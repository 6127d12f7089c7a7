//! The runtime of the commands. There is one: connections to a store belong to the runtime that made them.

use std::{future::Future, io, sync::OnceLock};
use tokio::runtime::{Builder, Runtime};

static RUNTIME: OnceLock<Runtime> = OnceLock::new();

/// Runs work until it is done.
///
/// # Errors
/// The system gives the runtime nothing to wait with.
pub(super) fn block_on<T>(work: impl Future<Output = T>) -> io::Result<T> {
    if RUNTIME.get().is_none() {
        // If another thread was faster, its runtime does.
        let _ = RUNTIME.set(Builder::new_current_thread().enable_all().build()?);
    }
    let runtime = RUNTIME.get().ok_or_else(|| io::Error::other("there is no runtime"))?;
    Ok(runtime.block_on(work))
}
