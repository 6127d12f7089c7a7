//! Bytes of the journal for readers.

use super::journal::failed;
use crate::storage::objects::{ObjectError, ObjectResult};
use bytes::Bytes;
use futures_util::stream::{self, BoxStream, StreamExt as _};
use oci::Span;
use std::{fs::File, io, os::unix::fs::FileExt as _, sync::Arc};

/// Bytes that are read at once.
const PIECE: u64 = 256 << 10;

/// A span of a file, which lies within it.
pub(super) fn read_file(file: Arc<File>, span: Span) -> BoxStream<'static, ObjectResult<Bytes>> {
    let pieces = stream::unfold((file, span.start), move |(file, at)| async move {
        let len = PIECE.min(span.end() - at) as usize;
        if len == 0 {
            return None;
        }
        let piece = read_piece(file.clone(), at, len).await;
        // After an error, nothing follows.
        let next = if piece.is_ok() { at + len as u64 } else { span.end() };
        Some((piece, (file, next)))
    });
    pieces.boxed()
}

/// Bytes at a place of a file.
pub(super) async fn read_piece(file: Arc<File>, at: u64, len: usize) -> ObjectResult<Bytes> {
    let read = tokio::task::spawn_blocking(move || -> io::Result<Bytes> {
        let mut buffer = vec![0; len];
        file.read_exact_at(&mut buffer, at)?;
        Ok(buffer.into())
    });
    match read.await {
        Ok(read) => read.map_err(|error| failed(&error)),
        Err(_) => Err(ObjectError::Other { why: "the daemon is stopping".into() }),
    }
}
