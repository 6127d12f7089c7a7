//! The body of a request: bytes, or a stream of a known length, watched as it is taken.

use crate::source::ByteStream;
use bytes::Bytes;
use http_body::{Frame, SizeHint};
use http_body_util::{BodyExt, Empty, Full, combinators::UnsyncBoxBody};
use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::{Context, Poll},
};

pub(crate) type OutgoingBody = UnsyncBoxBody<Bytes, io::Error>;

/// What a request carries.
pub(crate) enum Payload {
    None,
    Bytes(Bytes),
    Stream { stream: ByteStream, length: u64 },
}

impl Payload {
    /// As a body, and its length unless there is none.
    pub(crate) fn body(self, sent: &Arc<Sent>) -> (OutgoingBody, Option<u64>) {
        match self {
            Self::None => {
                sent.done.store(true, Ordering::Relaxed);
                (Empty::new().map_err(|never| match never {}).boxed_unsync(), None)
            }
            Self::Bytes(bytes) => {
                sent.done.store(true, Ordering::Relaxed);
                let length = bytes.len() as u64;
                (Full::new(bytes).map_err(|never| match never {}).boxed_unsync(), Some(length))
            }
            Self::Stream { stream, length } => {
                sent.done.store(length == 0, Ordering::Relaxed);
                (Streamed { stream, left: length, sent: sent.clone() }.boxed_unsync(), Some(length))
            }
        }
    }
}

/// How far the body of a request has been taken.
#[derive(Default)]
pub(crate) struct Sent {
    frames: AtomicU64,
    done: AtomicBool,
}

impl Sent {
    pub(crate) fn now(&self) -> (u64, bool) {
        (self.frames.load(Ordering::Relaxed), self.done.load(Ordering::Relaxed))
    }
}

/// Why a request's body ended early: not the connection's fault.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct SourceFailed(pub(crate) io::Error);

/// A body of a known length, from a stream.
struct Streamed {
    stream: ByteStream,
    left: u64,
    sent: Arc<Sent>,
}

impl http_body::Body for Streamed {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if self.left == 0 {
            self.sent.done.store(true, Ordering::Relaxed);
            return Poll::Ready(None);
        }
        let failed = |error| Poll::Ready(Some(Err(io::Error::other(SourceFailed(error)))));
        match self.stream.as_mut().poll_next(cx) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(None) => failed(io::Error::new(io::ErrorKind::UnexpectedEof, "it is shorter than announced")),
            Poll::Ready(Some(Err(error))) => failed(error),
            Poll::Ready(Some(Ok(mut bytes))) => {
                // The stream may go on: this request may be one chunk of it.
                bytes.truncate(usize::try_from(self.left).unwrap_or(usize::MAX));
                self.left -= bytes.len() as u64;
                self.sent.frames.fetch_add(1, Ordering::Relaxed);
                if self.left == 0 {
                    self.sent.done.store(true, Ordering::Relaxed);
                }
                Poll::Ready(Some(Ok(Frame::data(bytes))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}
