//! Bodies of requests and responses.
//!
//! A blob is sent piece by piece: by marker frames where the connection takes them (the kernel
//! moves the pages), else by reading the next piece while one is being sent. Nothing larger than
//! a few pieces is ever in memory.

use super::sendfile::{self, Slot, Window};
use crate::{
    oci::Span,
    storage::{self, Blob, BlobData},
};
use bytes::Bytes;
use http_body::{Frame, SizeHint};
use std::{
    collections::VecDeque,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

/// Whatever ends a body early.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A request's body as the server hands it in.
pub type RequestBody = http_body_util::combinators::UnsyncBoxBody<Bytes, BoxError>;

/// Read at once where the kernel does not move the pages.
const PIECE: u64 = 128 << 10;

/// Brought into memory at once before it is sent: asking another thread for each window would cost more.
const AHEAD: u64 = 1 << 20;

/// A response's body.
#[derive(Default)]
pub struct Body(Inner);

#[derive(Default)]
enum Inner {
    #[default]
    Empty,
    Whole(Bytes),
    Blob(Box<BlobBody>),
}

/// One part of a blob's response.
#[derive(Clone, Debug)]
pub(super) enum Part {
    /// These bytes: the head of a part of a multipart response.
    Text(Bytes),
    /// These bytes of the blob.
    Span(Span),
}

impl Body {
    /// A blob's parts, in order.
    pub(super) fn of_blob(blob: Blob, parts: impl IntoIterator<Item = Part>, slot: Option<Arc<Slot>>) -> Self {
        let parts: VecDeque<Part> = parts.into_iter().collect();
        let left = parts.iter().map(Part::len).sum();
        // Pages are moved from files only.
        let slot = slot.filter(|_| matches!(blob.data(), BlobData::File(_)));
        Self(Inner::Blob(Box::new(BlobBody { blob, parts, left, slot, handed: None, reading: None })))
    }

    /// Length in bytes, which every body of ours knows.
    pub fn len(&self) -> u64 {
        match &self.0 {
            Inner::Empty => 0,
            Inner::Whole(bytes) => bytes.len() as u64,
            Inner::Blob(blob) => blob.left,
        }
    }

    /// Whether there is nothing to send.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<B: Into<Bytes>> From<B> for Body {
    fn from(bytes: B) -> Self {
        Self(Inner::Whole(bytes.into()))
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match &mut self.0 {
            Inner::Empty => Poll::Ready(None),
            Inner::Whole(bytes) if bytes.is_empty() => Poll::Ready(None),
            Inner::Whole(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            Inner::Blob(blob) => blob.poll(cx).map(|piece| piece.map(|p| p.map(Frame::data))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.len())
    }
}

impl Part {
    fn len(&self) -> u64 {
        match self {
            Self::Text(text) => text.len() as u64,
            Self::Span(span) => span.len,
        }
    }
}

type Reading = Pin<Box<dyn Future<Output = storage::Result<Piece>> + Send>>;

/// What comes out of the blocking pool: bytes, or pages made present.
enum Piece {
    Bytes(Bytes),
    Warm(u64),
}

struct BlobBody {
    blob: Blob,
    parts: VecDeque<Part>,
    left: u64,
    slot: Option<Arc<Slot>>,
    /// Where the last window ends that was handed over.
    handed: Option<u64>,
    /// The next piece on its way from the disk; started before it is asked for.
    reading: Option<Reading>,
}

impl BlobBody {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BoxError>>> {
        loop {
            let span = match self.parts.front_mut() {
                None => return Poll::Ready(None),
                Some(Part::Text(text)) => {
                    let text = std::mem::take(text);
                    self.parts.pop_front();
                    self.left -= text.len() as u64;
                    return Poll::Ready(Some(Ok(text)));
                }
                Some(Part::Span(Span { len: 0, .. })) => {
                    self.parts.pop_front();
                    continue;
                }
                Some(Part::Span(span)) => *span,
            };
            if let Some(reading) = &mut self.reading {
                let piece = ready!(reading.as_mut().poll(cx));
                self.reading = None;
                match piece {
                    Err(e) => return Poll::Ready(Some(Err(e.into()))),
                    Ok(Piece::Bytes(bytes)) => {
                        self.advance(bytes.len() as u64);
                        self.read_ahead();
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
                    // The kernel would wait for the disk on the reactor's thread.
                    let (blob, ahead) = (self.blob.clone(), Span { start: span.start, len: span.len.min(AHEAD) });
                    self.reading = Some(Box::pin(async move { blob.warm(ahead).await.map(|()| Piece::Warm(len)) }));
                }
                _ => self.read_ahead(),
            }
        }
    }

    /// Hands a window to the connection to send by itself.
    fn window(&mut self, span: Span, len: u64) -> Option<Bytes> {
        let (Some(slot), BlobData::File(file)) = (&self.slot, self.blob.data()) else { return None };
        let (file, more) = (file.clone(), len < span.len);
        let marker = slot.window(Window { file, offset: span.start, len: len as usize, more });
        self.handed = Some(span.start + len);
        self.advance(len);
        Some(marker)
    }

    fn advance(&mut self, len: u64) {
        self.left -= len;
        if let Some(Part::Span(span)) = self.parts.front_mut() {
            span.start += len;
            span.len -= len;
        }
    }

    /// Starts reading what comes next.
    fn read_ahead(&mut self) {
        if let Some(Part::Span(span)) = self.parts.front()
            && span.len > 0
            && self.slot.is_none()
        {
            let (blob, span) = (self.blob.clone(), Span { start: span.start, len: span.len.min(PIECE) });
            let bytes = tokio::spawn(async move { blob.read(span).await });
            self.reading = Some(Box::pin(async move {
                let stopping = |_| storage::Error::io("read", "a blob", std::io::Error::other("the read was aborted"));
                bytes.await.map_err(stopping)?.map(Piece::Bytes)
            }));
        }
    }
}

impl Drop for BlobBody {
    fn drop(&mut self) {
        // Cut short: windows handed over and not sent are not to go out with another response.
        if let Some(slot) = self.slot.as_ref().filter(|_| self.handed.is_some() && self.left > 0) {
            slot.clear();
        }
    }
}
