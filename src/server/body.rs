//! Bodies as the door sees them: whether a request's was read, and while a response's is sent.

use super::{activity::Flight, pace::Pace};
use crate::service::{BoxError, RequestBody};
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt, Empty};
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

/// A request's body that reports what became of it.
pub(super) struct Upload {
    /// Gone once nobody reads it any more.
    body: Option<Incoming>,
    begun: bool,
    fate: Arc<Fate>,
}

/// What became of a request's body.
#[derive(Default)]
pub(super) struct Fate {
    ended: AtomicBool,
    /// The body, if it was given up before its first byte was read.
    untouched: Mutex<Option<Incoming>>,
}

/// How much of a refused body is taken before the answer, and for how long.
const HEARD: usize = 16 << 20;
const HEARING: Duration = Duration::from_secs(1);

/// In this time a client that is no longer listened to fills what the kernel holds for it, and waits.
const SETTLE: Duration = Duration::from_millis(250);

impl Upload {
    /// The body, and what will say what became of it; nothing, where there is none to begin with.
    pub(super) fn watched(body: Incoming) -> (RequestBody, Option<Arc<Fate>>) {
        if body.is_end_stream() {
            return (Empty::new().map_err(|never| match never {}).boxed_unsync(), None);
        }
        let fate = Arc::<Fate>::default();
        (Self { body: Some(body), begun: false, fate: fate.clone() }.boxed_unsync(), Some(fate))
    }
}

impl Fate {
    /// Whether nothing of the body is left.
    pub(super) fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }

    /// Takes a body that nobody read, within bounds, before it is refused. containerd 1.6 never returns from a push that is
    /// answered before it has begun to send, and loses the answer where it comes between two of its writes.
    pub(super) async fn hear(&self) {
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
        // Whatever came, and if nothing did, the answer is the same.
        let _ = timeout(HEARING, hearing).await;
        match body.is_end_stream() {
            true => self.ended.store(true, Ordering::Release),
            false => tokio::time::sleep(SETTLE).await,
        }
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        if !self.begun {
            *self.fate.untouched.lock().unwrap_or_else(PoisonError::into_inner) = self.body.take();
        }
    }
}

impl Body for Upload {
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

/// A response's body that keeps its request in flight.
pub(super) struct Download<B> {
    body: B,
    pace: Option<Arc<Pace>>,
    _flight: Flight,
}

impl<B> Download<B> {
    pub(super) fn new(body: B, flight: Flight) -> Self {
        let pace = Pace::of_this_task();
        if let Some(pace) = &pace {
            pace.given();
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
            Some(pace) if polled.is_ready() => pace.given(),
            Some(pace) => pace.owed(),
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
