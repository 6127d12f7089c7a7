//! The body of a request, with a timeout: a client may be slow, but not silent for long.
//!
//! A whole request has no timeout: an upload may take hours.

use super::{BoxError, awake::Moment, stall::StallTimer};
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

/// The body of a request. The server's body, the timer and the counter share one allocation.
#[derive(Default)]
pub struct RequestBody(Option<Box<Watched<BodySource>>>);

/// The body as the server reads it.
type BodySource = dyn Body<Data = Bytes, Error = BoxError> + Send + Sync + Unpin;

struct Watched<B: ?Sized> {
    /// The longest pause between two frames.
    allowed: Option<Duration>,
    /// Runs while the body waits for a frame.
    clock: StallTimer,
    counter: Option<Arc<dyn CountBytes>>,
    body: B,
}

/// Counts the bytes that arrive.
pub trait CountBytes: Send + Sync {
    /// `bytes` more have arrived.
    fn count(&self, bytes: usize);
}

/// Nothing arrived for as long as was allowed.
#[derive(Debug, thiserror::Error)]
#[error("nothing arrived for too long")]
pub struct Stalled;

impl RequestBody {
    /// Wraps a body as the server reads it.
    pub fn new(body: impl Body<Data = Bytes, Error = BoxError> + Send + Sync + Unpin + 'static) -> Self {
        Self(Some(Box::new(Watched { allowed: None, clock: StallTimer::default(), counter: None, body })))
    }

    /// Fails with [`Stalled`] when `allowed` passes between two frames.
    #[must_use]
    pub fn stalling_after(mut self, allowed: Duration) -> Self {
        if let Some(watched) = &mut self.0 {
            watched.allowed = Some(allowed);
        }
        self
    }

    /// Counts the bytes that arrive from now on.
    #[must_use]
    pub fn counted_by(mut self, counter: Arc<dyn CountBytes>) -> Self {
        if let Some(watched) = &mut self.0 {
            watched.counter = Some(counter);
        }
        self
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let Some(watched) = &mut self.0 else { return Poll::Ready(None) };
        let Poll::Ready(frame) = Pin::new(&mut watched.body).poll_frame(cx) else {
            let Some(allowed) = watched.allowed else { return Poll::Pending };
            ready!(watched.clock.poll(cx, allowed, Moment::now));
            return Poll::Ready(Some(Err(Stalled.into())));
        };
        watched.clock.stop();
        if let (Some(counter), Some(Ok(frame))) = (&watched.counter, &frame) {
            counter.count(frame.data_ref().map_or(0, Bytes::len));
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.0.as_ref().is_none_or(|watched| watched.body.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        self.0.as_ref().map_or(SizeHint::with_exact(0), |watched| watched.body.size_hint())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::{BodyExt, Full, channel::Channel};
    use std::sync::atomic::{AtomicUsize, Ordering};

    impl CountBytes for AtomicUsize {
        fn count(&self, bytes: usize) {
            self.fetch_add(bytes, Ordering::Relaxed);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_stalled_body_ends_and_a_slow_one_does_not() {
        let (mut sender, body) = Channel::<Bytes, BoxError>::new(1);
        let arrived = Arc::new(AtomicUsize::new(0));
        let mut body = RequestBody::new(body).stalling_after(Duration::from_secs(10)).counted_by(arrived.clone());
        for _ in 0..3 {
            let late = async {
                tokio::time::sleep(Duration::from_secs(9)).await;
                sender.send_data(Bytes::from("four")).await.unwrap();
            };
            let (frame, ()) = tokio::join!(body.frame(), late);
            assert!(frame.unwrap().is_ok());
        }
        let ended = body.frame().await.unwrap().unwrap_err();
        assert!(ended.is::<Stalled>());
        assert_eq!(arrived.load(Ordering::Relaxed), 12);
    }

    #[tokio::test]
    async fn the_length_is_passed_on_and_a_missing_body_is_empty() {
        let body = RequestBody::new(Full::new(Bytes::from("abc")).map_err(BoxError::from));
        let body = body.stalling_after(Duration::from_secs(1));
        assert_eq!((body.size_hint().exact(), body.is_end_stream()), (Some(3), false));
        let none = RequestBody::default();
        assert_eq!((none.size_hint().exact(), none.is_end_stream()), (Some(0), true));
        assert_eq!(none.collect().await.unwrap().to_bytes(), "");
    }
}
