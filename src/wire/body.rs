//! Bodies of responses.
//!
//! A blob is sent in pieces. Where the connection takes marker frames, the kernel moves the pages; otherwise the next
//! piece is read while the current one is sent. Memory never holds more than a few pieces. When a blob is verified, its
//! last piece is held back until the digest is known.

use super::{
    BoxError,
    memory::{MemoryShare, MemoryUsedUp},
    outbox::{Outbox, Pieces},
    sendfile::{self, SendfileSlot, Window},
    verification::Verification,
};
use crate::storage::{self, Blob, BlobData};
use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};
use http_body::{Frame, SizeHint};
use oci::{Hasher, Span};
use std::{
    collections::VecDeque,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

/// Longest piece in which a body in memory is handed over: TLS copies each piece.
const PART: usize = 128 << 10;

/// A longer body is counted against the memory for clients. Shorter ones fit into the kernel's socket buffer.
pub const LARGE: usize = 16 << 10;

/// Read into memory before sending starts: a switch to another thread for each window would cost more.
const AHEAD: u64 = 1 << 20;

#[derive(Default)]
pub struct ResponseBody(BodyContent);

#[derive(Default)]
enum BodyContent {
    #[default]
    Empty,
    Whole(Bytes),
    /// Bytes shared with other responses, and counted already.
    Shared(Bytes),
    Blob(Box<BlobBody>),
    /// Pieces that are made while they are sent; their number is unknown.
    Stream(Pin<Box<dyn Stream<Item = Bytes> + Send>>),
    Made(MadeBody),
}

/// Pieces that are made from what is read while they are sent, so that making one may fail.
struct MadeBody {
    pieces: Pin<Box<dyn Stream<Item = Result<Bytes, BoxError>> + Send>>,
    /// How many bytes are left, if it is known.
    left: Option<u64>,
}

/// One part of a blob's response.
#[derive(Clone, Debug)]
pub enum BodyPart {
    /// Bytes in memory: the head of a part of a multipart response.
    Text(Bytes),
    /// A span of the blob.
    Span(Span),
}

impl ResponseBody {
    /// Sends the parts of a blob, in order.
    pub fn from_blob(
        blob: Blob,
        parts: impl IntoIterator<Item = BodyPart>,
        slot: Option<Arc<SendfileSlot>>,
        outbox: Option<Arc<Outbox>>,
    ) -> Self {
        let parts: VecDeque<BodyPart> = parts.into_iter().collect();
        let left = parts.iter().map(BodyPart::len).sum();
        if let (Some(BodyPart::Span(span)), 1) = (parts.front(), parts.len()) {
            blob.will_read(*span);
        }
        // Only a file's pages can be moved by the kernel.
        let slot = slot.filter(|_| matches!(blob.data(), BlobData::File(_)));
        let pieces = Pieces::of(outbox.filter(|_| slot.is_none()));
        let (handed, reading, verification) = (None, None, None);
        Self(BodyContent::Blob(Box::new(BlobBody { blob, parts, left, slot, pieces, handed, reading, verification })))
    }

    /// A whole blob, verified while it is sent: if it is damaged, the body fails before its last byte.
    pub fn from_verified_blob(blob: Blob, verification: Verification, outbox: Option<Arc<Outbox>>) -> Self {
        let whole = BodyPart::Span(Span::whole(blob.len()));
        // No slot: the kernel would send bytes that were not hashed.
        let mut body = Self::from_blob(blob, [whole], None, outbox);
        if let BodyContent::Blob(blob) = &mut body.0 {
            blob.verification = Some(verification);
        }
        body
    }

    /// Bytes that several responses share, and that are counted once for all of them.
    pub fn shared(bytes: Bytes) -> Self {
        Self(BodyContent::Shared(bytes))
    }

    /// Pieces that are made while they are sent.
    pub fn streaming<T: Into<Bytes> + 'static>(pieces: impl Stream<Item = T> + Send + 'static) -> Self {
        Self(BodyContent::Stream(Box::pin(pieces.map(Into::into))))
    }

    /// Pieces that are made from what is read while they are sent, and their length if it is known. An error ends the
    /// response before its end, so that the client notices. The pieces are counted by whoever makes them.
    pub fn making(len: Option<u64>, pieces: impl Stream<Item = Result<Bytes, BoxError>> + Send + 'static) -> Self {
        Self(BodyContent::Made(MadeBody { pieces: Box::pin(pieces), left: len }))
    }

    /// Counts the bytes in memory until the client has them.
    ///
    /// # Errors
    /// [`MemoryUsedUp`].
    pub fn counted(self, share: &Arc<MemoryShare>) -> Result<Self, MemoryUsedUp> {
        match self.0 {
            BodyContent::Whole(bytes) if bytes.len() > LARGE => {
                let held = share.take(bytes.len())?;
                Ok(Self(BodyContent::Whole(held.until_dropped(bytes))))
            }
            // A blob's pieces are counted one by one.
            BodyContent::Blob(blob) if blob.slot.is_none() && blob.left > LARGE as u64 && !share.has_room(LARGE) => {
                Err(MemoryUsedUp)
            }
            inner => Ok(Self(inner)),
        }
    }

    /// Length in bytes, as far as it is known: zero otherwise.
    pub fn len(&self) -> u64 {
        match &self.0 {
            BodyContent::Empty | BodyContent::Stream(_) => 0,
            BodyContent::Whole(bytes) | BodyContent::Shared(bytes) => bytes.len() as u64,
            BodyContent::Blob(blob) => blob.left,
            BodyContent::Made(made) => made.left.unwrap_or(0),
        }
    }

    /// All its bytes, if they are in memory.
    pub fn in_memory(&self) -> Option<&[u8]> {
        match &self.0 {
            BodyContent::Empty => Some(&[]),
            BodyContent::Whole(bytes) | BodyContent::Shared(bytes) => Some(bytes),
            BodyContent::Blob(_) | BodyContent::Stream(_) | BodyContent::Made(_) => None,
        }
    }

    /// All its bytes, if they are in memory.
    pub fn into_memory(self) -> Option<Bytes> {
        match self.0 {
            BodyContent::Empty => Some(Bytes::new()),
            BodyContent::Whole(bytes) | BodyContent::Shared(bytes) => Some(bytes),
            BodyContent::Blob(_) | BodyContent::Stream(_) | BodyContent::Made(_) => None,
        }
    }

    /// Whether the length is zero.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<B: Into<Bytes>> From<B> for ResponseBody {
    fn from(bytes: B) -> Self {
        Self(BodyContent::Whole(bytes.into()))
    }
}

impl http_body::Body for ResponseBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match &mut self.0 {
            BodyContent::Empty => Poll::Ready(None),
            BodyContent::Whole(bytes) | BodyContent::Shared(bytes) if bytes.is_empty() => Poll::Ready(None),
            BodyContent::Whole(bytes) | BodyContent::Shared(bytes) => {
                let part = if bytes.len() > PART { bytes.split_to(PART) } else { std::mem::take(bytes) };
                Poll::Ready(Some(Ok(Frame::data(part))))
            }
            BodyContent::Blob(blob) => blob.poll(cx).map(|piece| piece.map(|p| p.map(Frame::data))),
            BodyContent::Stream(pieces) => {
                pieces.as_mut().poll_next(cx).map(|piece| piece.map(|bytes| Ok(Frame::data(bytes))))
            }
            BodyContent::Made(made) => {
                let piece = ready!(made.pieces.as_mut().poll_next(cx));
                if let (Some(left), Some(Ok(bytes))) = (&mut made.left, &piece) {
                    *left = left.saturating_sub(bytes.len() as u64);
                }
                Poll::Ready(piece.map(|piece| piece.map(Frame::data)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            BodyContent::Stream(_) => false,
            BodyContent::Made(made) => made.left == Some(0),
            _ => self.is_empty(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self.0 {
            BodyContent::Stream(_) | BodyContent::Made(MadeBody { left: None, .. }) => SizeHint::default(),
            _ => SizeHint::with_exact(self.len()),
        }
    }
}

impl BodyPart {
    pub(crate) fn len(&self) -> u64 {
        match self {
            Self::Text(text) => text.len() as u64,
            Self::Span(span) => span.len,
        }
    }
}

type PieceRead = Pin<Box<dyn Future<Output = storage::Result<Piece>> + Send>>;

/// A result of the blocking pool: bytes, or pages that are now in memory.
enum Piece {
    /// With the hasher that has seen these bytes, if the blob is verified.
    Bytes(Bytes, Option<Box<Hasher>>),
    Warm(u64),
}

struct BlobBody {
    blob: Blob,
    parts: VecDeque<BodyPart>,
    left: u64,
    slot: Option<Arc<SendfileSlot>>,
    /// The pieces that are read, where there is no slot.
    pieces: Pieces,
    /// End of the last window that was handed over.
    handed: Option<u64>,
    /// The next piece, being read from the disk before it is asked for.
    reading: Option<PieceRead>,
    verification: Option<Verification>,
}

impl BlobBody {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BoxError>>> {
        loop {
            let span = match self.parts.front_mut() {
                None => return Poll::Ready(None),
                Some(BodyPart::Text(text)) => {
                    let text = std::mem::take(text);
                    self.parts.pop_front();
                    self.left -= text.len() as u64;
                    return Poll::Ready(Some(Ok(text)));
                }
                Some(BodyPart::Span(Span { len: 0, .. })) => {
                    self.parts.pop_front();
                    continue;
                }
                Some(BodyPart::Span(span)) => *span,
            };
            if let Some(reading) = &mut self.reading {
                let piece = ready!(reading.as_mut().poll(cx));
                self.reading = None;
                match piece {
                    Err(e) => {
                        if let Some(verification) = &mut self.verification {
                            verification.failed();
                        }
                        return Poll::Ready(Some(Err(e.into())));
                    }
                    Ok(Piece::Bytes(bytes, hasher)) => {
                        if let Err(e) = self.hashed(bytes.len() as u64, hasher) {
                            return Poll::Ready(Some(Err(e.into())));
                        }
                        self.advance(bytes.len() as u64);
                        if let Some(room) = self.pieces.room() {
                            self.read_ahead(room);
                        }
                        return Poll::Ready(Some(Ok(bytes)));
                    }
                    Ok(Piece::Warm(len)) => return Poll::Ready(self.window(span, len).map(Ok)),
                }
            }
            match (&self.slot, self.blob.data()) {
                (Some(_), BlobData::File(file)) => {
                    let len = span.len.min(sendfile::WINDOW as u64);
                    if sendfile::is_warm(file, span.start, len, self.handed == Some(span.start)) {
                        return Poll::Ready(self.window(span, len).map(Ok));
                    }
                    // Otherwise the kernel would wait for the disk on the reactor's thread.
                    let (blob, ahead) = (self.blob.clone(), Span { start: span.start, len: span.len.min(AHEAD) });
                    self.reading = Some(Box::pin(async move { blob.warm(ahead).await.map(|()| Piece::Warm(len)) }));
                }
                _ => {
                    let room = ready!(self.pieces.poll_room(cx));
                    self.read_ahead(room);
                }
            }
        }
    }

    /// Hands a window to the connection, which sends it.
    fn window(&mut self, span: Span, len: u64) -> Option<Bytes> {
        let (Some(slot), BlobData::File(file)) = (&self.slot, self.blob.data()) else { return None };
        let (file, more) = (file.clone(), len < span.len);
        let marker = slot.window(Window { file, offset: span.start, len: len as usize, more });
        self.handed = Some(span.start + len);
        self.advance(len);
        Some(marker)
    }

    /// Records the hasher's state after the next `len` bytes. Before the last bytes are sent, the blob's digest is
    /// checked.
    fn hashed(&mut self, len: u64, hasher: Option<Box<Hasher>>) -> storage::Result<()> {
        let (Some(verification), Some(hasher)) = (&mut self.verification, hasher) else { return Ok(()) };
        verification.replace_hasher(*hasher);
        if len == self.left { verification.end() } else { Ok(()) }
    }

    fn advance(&mut self, len: u64) {
        self.left -= len;
        if let Some(BodyPart::Span(span)) = self.parts.front_mut() {
            span.start += len;
            span.len -= len;
        }
    }

    /// Starts to read the next piece, of at most `room` bytes.
    fn read_ahead(&mut self, room: u64) {
        if let Some(BodyPart::Span(span)) = self.parts.front()
            && span.len > 0
            && self.slot.is_none()
        {
            let (blob, span) = (self.blob.clone(), Span { start: span.start, len: span.len.min(room) });
            let place = self.pieces.reserve(span.len);
            let hasher = self.verification.as_ref().map(|verification| Box::new(verification.hasher()));
            let piece = tokio::spawn(async move {
                let bytes = blob.read(span).await?;
                let bytes = place.map_or(bytes.clone(), |place| place.filled(bytes));
                let Some(mut hasher) = hasher else { return Ok(Piece::Bytes(bytes, None)) };
                let hash = move || {
                    hasher.update(&bytes);
                    Ok(Piece::Bytes(bytes, Some(hasher)))
                };
                storage::work_on(span.len as usize, hash).await
            });
            self.reading = Some(Box::pin(async move {
                let stopping =
                    |_| storage::StorageError::io("read", "a blob", std::io::Error::other("the read was aborted"));
                piece.await.map_err(stopping)?
            }));
        }
    }
}

impl Drop for BlobBody {
    fn drop(&mut self) {
        // The body was cut short: windows that were queued and not sent must not go out with another response.
        if let Some(slot) = self.slot.as_ref().filter(|_| self.handed.is_some() && self.left > 0) {
            slot.clear();
        }
    }
}
