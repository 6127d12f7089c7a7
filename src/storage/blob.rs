//! A blob, opened.

use super::{Error, Result};
use crate::{
    files::{self, world},
    oci::Span,
};
use bytes::Bytes;
use std::{fmt, io, sync::Arc};

/// So much is read at once if it is in memory: asking another thread would cost more.
const SMALL: u64 = 64 << 10;

/// Content that can be read any number of times, from anywhere.
#[derive(Clone)]
pub struct Blob {
    len: u64,
    data: BlobData,
}

/// Where a blob's bytes are.
#[derive(Clone)]
pub enum BlobData {
    /// In a file.
    File(Arc<std::fs::File>),
    /// In memory.
    Memory(Bytes),
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

    /// Reads a span, which must lie within the content; off the reactor where that may block.
    ///
    /// # Errors
    /// [`Error::Damaged`] when the content is shorter than it was, else as the system gives them.
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

    /// The same as [`Blob::read`] for who reads everything once: it leaves in memory what it found there, and
    /// nothing more.
    ///
    /// # Errors
    /// As [`Blob::read`].
    pub async fn read_aside(&self, span: Span) -> Result<Bytes> {
        self.read_by(span, files::read_aside).await
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

fn cut() -> Error {
    Error::damaged("a blob", "it ends before its length")
}

fn unread(error: io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => cut(),
        _ => Error::io("read", "a blob", error),
    }
}

impl fmt::Debug for Blob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Blob({} bytes)", self.len)
    }
}

/// Runs what may block off the reactor. It runs to its end even if the caller does not wait.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    if world::is_simulated() {
        return work();
    }
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(join) => match join.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => Err(Error::io("run", "storage", std::io::Error::other("the daemon is stopping"))),
        },
    }
}

/// The same for work on so many bytes in memory: what is done in a moment is done here.
pub(crate) async fn work_on<T: Send + 'static>(
    bytes: usize,
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    if bytes as u64 <= SMALL { work() } else { blocking(work).await }
}
