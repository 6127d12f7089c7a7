//! Bodies as the server sees them: whether a request's body was read, and when a response's was sent.

use super::{activity::Flight, pace::StreamPace};
use crate::wire::{BoxError, RequestBody};
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use std::{
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};
use tokio::time::timeout;

/// The body of a request, which reports what became of it.
pub(super) struct UploadBody {
    /// `None` once nobody reads it any more.
    body: Option<Incoming>,
    begun: bool,
    fate: Arc<Fate>,
}

/// What became of a request's body.
#[derive(Default)]
pub(super) struct Fate {
    ended: AtomicBool,
    /// The body, if it was dropped before its first byte was read.
    untouched: Mutex<Option<Incoming>>,
}

/// How much of a refused body is read before the answer, and for how long.
const HEARD: usize = 16 << 20;
const HEARING: Duration = Duration::from_secs(1);

/// In this time, a client whose body is not read any more fills the kernel's buffers, and waits.
const SETTLE: Duration = Duration::from_millis(250);

impl UploadBody {
    /// The body, and a handle to learn its fate; no handle if the request has no body.
    pub(super) fn watched(body: Incoming) -> (RequestBody, Option<Arc<Fate>>) {
        if body.is_end_stream() {
            return (RequestBody::default(), None);
        }
        let fate = Arc::<Fate>::default();
        (RequestBody::new(Self { body: Some(body), begun: false, fate: fate.clone() }), Some(fate))
    }
}

impl Fate {
    /// Whether all of the body was read.
    pub(super) fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }

    /// Reads a body that nobody read, within bounds, before its request is refused. containerd 1.6 never returns from a
    /// push that is answered before it starts to send, and loses an answer that arrives between two of its writes.
    pub(super) async fn drain_unread(&self) {
        let untouched = self.untouched.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(mut body) = untouched else { return };
        let mut left = HEARD;
        let hearing = async {
            while left > 0
                && let Some(Ok(frame)) = body.frame().await
            {
                left = left.saturating_sub(frame.data_ref().map_or(0, Bytes::len));
            }
        };
        // The answer does not depend on what was read.
        let _ = timeout(HEARING, hearing).await;
        match body.is_end_stream() {
            true => self.ended.store(true, Ordering::Release),
            false => tokio::time::sleep(SETTLE).await,
        }
    }
}

impl Drop for UploadBody {
    fn drop(&mut self) {
        if !self.begun {
            *self.fate.untouched.lock().unwrap_or_else(PoisonError::into_inner) = self.body.take();
        }
    }
}

impl Body for UploadBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        self.begun = true;
        let Some(body) = &mut self.body else { return Poll::Ready(None) };
        let polled = Pin::new(&mut *body).poll_frame(cx);
        if matches!(polled, Poll::Ready(None)) || body.is_end_stream() {
            self.fate.ended.store(true, Ordering::Release);
        }
        polled.map_err(Into::into)
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}

/// The body of a response, which keeps its request in flight.
pub(super) struct Download<B> {
    body: B,
    pace: Option<Arc<StreamPace>>,
    _flight: Flight,
}

impl<B> Download<B> {
    pub(super) fn new(body: B, flight: Flight) -> Self {
        let pace = StreamPace::of_this_task();
        if let Some(pace) = &pace {
            pace.client_must_read();
        }
        Self { body, pace, _flight: flight }
    }
}

impl<B: Body<Data = Bytes, Error = BoxError> + Unpin> Body for Download<B> {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        match &self.pace {
            Some(pace) if polled.is_ready() => pace.client_must_read(),
            Some(pace) => pace.client_waits(),
            None => {}
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
