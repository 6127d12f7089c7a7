//! Clocks on a connection: on a request's head while it is read, and on a client that takes
//! nothing of what is written.

use super::activity::Activity;
use crate::config::Limits;
use std::{
    future::Future,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep},
};

/// A connection with clocks. It also shows the head of each request to
/// [`super::head`], as only here its bytes pass.
pub(super) struct Timed<T> {
    inner: T,
    activity: Arc<Activity>,
    first_byte: Duration,
    header: Duration,
    stall: Duration,
    head: Clock,
    write: Clock,
}

/// A timer made when it is first needed.
#[derive(Default)]
struct Clock {
    sleep: Option<Pin<Box<Sleep>>>,
    runs: bool,
}

impl Clock {
    /// Runs until `deadline` if it does not run yet; whether it is over.
    fn has_rung(&mut self, cx: &mut Context<'_>, deadline: Instant) -> bool {
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline)));
        if !std::mem::replace(&mut self.runs, true) {
            sleep.as_mut().reset(deadline);
        }
        sleep.as_mut().poll(cx).is_ready()
    }

    fn stop(&mut self) {
        self.runs = false;
    }
}

impl<T> Timed<T> {
    pub(super) fn new(inner: T, activity: Arc<Activity>, limits: &Limits) -> Self {
        Self {
            inner,
            activity,
            first_byte: limits.first_byte,
            header: limits.header,
            stall: limits.download_stall,
            head: Clock::default(),
            write: Clock::default(),
        }
    }

    /// Counts a write as progress, or lets the clock run that ends a stalled one.
    pub(super) fn written<R>(&mut self, cx: &mut Context<'_>, polled: Poll<io::Result<R>>) -> Poll<io::Result<R>> {
        if polled.is_ready() {
            self.write.stop();
            return polled;
        }
        match self.write.has_rung(cx, Instant::now() + self.stall) {
            true => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            false => Poll::Pending,
        }
    }

    /// Takes note of bytes that belong to a head.
    fn seen(&mut self, bytes: &[u8]) {
        let mut now = self.activity.now();
        if now.in_flight > 0 || bytes.is_empty() {
            return;
        }
        now.scan.see(bytes);
        // A head is timed from its own first byte; the wait for it before that has its own bound.
        if now.is_first || now.head_since.is_none() {
            now.is_first = false;
            now.head_since = Some(Instant::now());
            self.head.stop();
        }
    }

    /// Whether the head that is being read takes too long.
    fn is_late(&mut self, cx: &mut Context<'_>) -> bool {
        let (since, allowed) = {
            let now = self.activity.now();
            (now.head_since, if now.is_first { self.first_byte } else { self.header })
        };
        match since {
            Some(since) => self.head.has_rung(cx, since + allowed),
            None => {
                self.head.stop();
                false
            }
        }
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Timed<T> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        let polled = Pin::new(&mut this.inner).poll_read(cx, buf);
        if polled.is_ready() {
            this.seen(&buf.filled()[before..]);
            return polled;
        }
        match this.is_late(cx) {
            true => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            false => Poll::Pending,
        }
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Timed<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.inner).poll_write(cx, buf);
        self.written(cx, polled)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.inner).poll_write_vectored(cx, bufs);
        self.written(cx, polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.inner).poll_flush(cx);
        self.written(cx, polled)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.inner).poll_shutdown(cx);
        self.written(cx, polled)
    }
}
