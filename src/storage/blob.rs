//! A blob that is open for reading.

use super::{ObjectBlob, Result, StorageError};
use crate::files::{self, world};
use bytes::Bytes;
use oci::Span;
use std::{fmt, io, sync::Arc};

/// A span up to this length is read directly if it is in memory: a switch to another thread would cost more.
const SMALL: u64 = 64 << 10;

/// Content that can be read any number of times, from any offset.
#[derive(Clone)]
pub struct Blob {
    len: u64,
    data: BlobData,
}

/// Where the bytes of a blob are.
#[derive(Clone)]
pub enum BlobData {
    File(Arc<std::fs::File>),
    Memory(Bytes),
    /// On another machine. What is read in order is one request there.
    Remote(Arc<ObjectBlob>),
}

impl Blob {
    /// Content of this length in a file.
    pub fn file(file: Arc<std::fs::File>, len: u64) -> Self {
        Self { len, data: BlobData::File(file) }
    }

    /// Content in memory.
    pub fn memory(bytes: Bytes) -> Self {
        Self { len: bytes.len() as u64, data: BlobData::Memory(bytes) }
    }

    /// Content on another machine.
    pub fn remote(blob: ObjectBlob) -> Self {
        Self { len: blob.len(), data: BlobData::Remote(Arc::new(blob)) }
    }

    /// Length in bytes.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Where the bytes are.
    pub fn data(&self) -> &BlobData {
        &self.data
    }

    /// Says that nothing but this span will be read.
    pub fn will_read(&self, span: Span) {
        if let BlobData::Remote(blob) = &self.data {
            blob.will_read(span);
        }
    }

    /// Makes sure that a span can be read, as far as its first bytes tell. They are kept. Nothing but this span will be
    /// read.
    ///
    /// # Errors
    /// As [`Blob::read`].
    pub async fn begin(&self, span: Span) -> Result<()> {
        match &self.data {
            BlobData::Remote(blob) => {
                blob.will_read(span);
                blob.begin(span).await
            }
            _ => Ok(()),
        }
    }

    /// Reads a span, which must lie within the content; off the reactor where that may block.
    ///
    /// # Errors
    /// [`StorageError::Damaged`] if the content has become shorter, or an error of the operating system.
    pub async fn read(&self, span: Span) -> Result<Bytes> {
        if let BlobData::File(file) = &self.data
            && span.len <= SMALL
        {
            let mut buffer = vec![0; span.len as usize];
            if !buffer.is_empty() && files::read_now(file, &mut buffer, span.start) == buffer.len() {
                return Ok(buffer.into());
            }
        }
        self.read_by(span, |file, buffer, at| {
            std::os::unix::fs::FileExt::read_exact_at(file, buffer, at).map(|()| buffer.len())
        })
        .await
    }

    /// Waits until a span, which must lie within the content, can be read from memory; off the reactor.
    ///
    /// # Errors
    /// As [`Blob::read`].
    pub async fn warm(&self, span: Span) -> Result<()> {
        let BlobData::File(file) = &self.data else { return Ok(()) };
        let file = file.clone();
        blocking(move || files::warm(&file, span.start, span.len).map_err(unread)).await
    }

    /// Reads a span like [`Blob::read`], for callers that read everything once: pages that were not in memory before do
    /// not stay there.
    ///
    /// # Errors
    /// As [`Blob::read`].
    pub async fn read_uncached(&self, span: Span) -> Result<Bytes> {
        self.read_by(span, files::read_uncached).await
    }

    async fn read_by(
        &self,
        span: Span,
        read: impl Fn(&std::fs::File, &mut [u8], u64) -> io::Result<usize> + Send + 'static,
    ) -> Result<Bytes> {
        match &self.data {
            BlobData::Memory(bytes) => {
                let (start, end) = (span.start as usize, span.end() as usize);
                if end > bytes.len() { Err(cut()) } else { Ok(bytes.slice(start..end)) }
            }
            BlobData::Remote(blob) => blob.read(span).await,
            BlobData::File(file) => {
                let file = file.clone();
                blocking(move || {
                    let mut buffer = vec![0; span.len as usize];
                    match read(&file, &mut buffer, span.start) {
                        Ok(read) if read == buffer.len() => Ok(buffer.into()),
                        Ok(_) => Err(cut()),
                        Err(e) => Err(unread(e)),
                    }
                })
                .await
            }
        }
    }
}

fn cut() -> StorageError {
    StorageError::damaged("a blob", "it ends before its length")
}

fn unread(error: io::Error) -> StorageError {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => cut(),
        _ => StorageError::io("read", "a blob", error),
    }
}

impl fmt::Debug for Blob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Blob({} bytes)", self.len)
    }
}

/// Runs blocking work off the reactor. The work completes even if the caller is dropped.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    if world::is_simulated() {
        return work();
    }
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(join) => match join.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => Err(StorageError::io("run", "storage", std::io::Error::other("the daemon is stopping"))),
        },
    }
}

/// Runs work on `len` bytes in memory off the reactor, or directly if it is short.
pub(crate) async fn work_on<T: Send + 'static>(
    bytes: usize,
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    if bytes as u64 <= SMALL { work() } else { blocking(work).await }
}
