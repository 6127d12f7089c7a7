//! A clock on request bodies: a client may be slow, but not silent for long.
//!
//! There is no clock on a whole request: an upload may take hours.

use super::body::BoxError;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};
use tokio::time::{Instant, Sleep};

/// Nothing came for as long as was allowed.
#[derive(Debug, thiserror::Error)]
#[error("nothing arrived for too long")]
pub struct Stalled;

/// A body that ends with [`Stalled`] when no frame arrives in time.
pub struct StallBody<B> {
    inner: B,
    allowed: Duration,
    /// Runs while a frame is waited for; made when one first is.
    clock: Option<Pin<Box<Sleep>>>,
    waiting: bool,
}

impl<B> StallBody<B> {
    /// Allows `allowed` between two frames.
    pub fn new(inner: B, allowed: Duration) -> Self {
        Self { inner, allowed, clock: None, waiting: false }
    }
}

impl<B: Body<Data = Bytes, Error = BoxError> + Unpin> Body for StallBody<B> {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.inner).poll_frame(cx) {
            self.waiting = false;
            return Poll::Ready(frame);
        }
        let deadline = Instant::now() + self.allowed;
        let fresh = !std::mem::replace(&mut self.waiting, true);
        let clock = self.clock.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline)));
        if fresh {
            clock.as_mut().reset(deadline);
        }
        match clock.as_mut().as_mut().poll(cx) {
            Poll::Ready(()) => Poll::Ready(Some(Err(Box::new(Stalled)))),
            Poll::Pending => Poll::Pending,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::{BodyExt, Full, channel::Channel};

    #[tokio::test(start_paused = true)]
    async fn silence_ends_a_body_and_slowness_does_not() {
        let (mut sender, body) = Channel::<Bytes, BoxError>::new(1);
        let mut body = StallBody::new(body, Duration::from_secs(10));
        for _ in 0..3 {
            let late = async {
                tokio::time::sleep(Duration::from_secs(9)).await;
                sender.send_data(Bytes::from("x")).await.unwrap();
            };
            let (frame, ()) = tokio::join!(body.frame(), late);
            assert!(frame.unwrap().is_ok());
        }
        let ended = body.frame().await.unwrap().unwrap_err();
        assert!(ended.is::<Stalled>());
    }

    #[test]
    fn the_length_shows_through() {
        let body = StallBody::new(Full::new(Bytes::from("abc")).map_err(BoxError::from), Duration::from_secs(1));
        assert_eq!(body.size_hint().exact(), Some(3));
        assert!(!body.is_end_stream());
    }
}
