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
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
};

/// A request's body that tells when it was read to its end.
pub(super) struct Upload {
    body: Incoming,
    ended: Arc<AtomicBool>,
}

impl Upload {
    /// The body, and what will say that nothing of it is left; nothing, where there is none to begin with.
    pub(super) fn watched(body: Incoming) -> (RequestBody, Option<Arc<AtomicBool>>) {
        if body.is_end_stream() {
            return (Empty::new().map_err(|never| match never {}).boxed_unsync(), None);
        }
        let ended = Arc::new(AtomicBool::new(false));
        (Self { body, ended: ended.clone() }.boxed_unsync(), Some(ended))
    }
}

impl Body for Upload {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        if matches!(polled, Poll::Ready(None)) || self.body.is_end_stream() {
            self.ended.store(true, Ordering::Release);
        }
        polled.map_err(Into::into)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
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
