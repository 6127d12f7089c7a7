//! Content to be pushed: readable again from any offset, so that an upload can resume.

use bytes::Bytes;
use futures_util::{Stream, stream};
use std::{io, pin::Pin};

/// Bytes as they come.
pub type ByteStream = Pin<Box<dyn Stream<Item = io::Result<Bytes>> + Send>>;

/// Content that can be opened at an offset, as often as it takes.
///
/// [`Bytes`] are one, and so are closures from an offset to a future of a stream. A blob of another
/// registry is one too: [`RemoteBlob`](crate::RemoteBlob).
#[async_trait::async_trait]
pub trait BlobSource: Send + Sync {
    /// The bytes from `offset` to the end.
    ///
    /// # Errors
    /// The push then fails with it; it is not repeated.
    async fn open(&self, offset: u64) -> io::Result<ByteStream>;
}

#[async_trait::async_trait]
impl BlobSource for Bytes {
    async fn open(&self, offset: u64) -> io::Result<ByteStream> {
        let rest = self.slice(usize::try_from(offset).unwrap_or(usize::MAX).min(self.len())..);
        Ok(Box::pin(stream::iter([Ok(rest)])))
    }
}

#[async_trait::async_trait]
impl<F, Opened> BlobSource for F
where
    F: Fn(u64) -> Opened + Send + Sync,
    Opened: Future<Output = io::Result<ByteStream>> + Send,
{
    async fn open(&self, offset: u64) -> io::Result<ByteStream> {
        self(offset).await
    }
}
