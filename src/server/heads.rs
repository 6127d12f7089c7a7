//! A timeout for the head of a request, on connections whose bytes we see.

use super::activity::{Activity, Arrived};
use crate::wire::{
    memory::{HeldBytes, MemoryShare},
    stall::StallTimer,
};
use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// An HTTP/1.1 connection that limits the time of each request's head from its first byte, which the library's own
/// timer cannot tell from idle time. It also feeds the head to [`super::head`], as its bytes pass only here.
pub(super) struct Heads<T> {
    pub(super) inner: T,
    activity: Arc<Activity>,
    allowed: Duration,
    clock: StallTimer,
    /// Bytes of the head so far.
    len: usize,
    held: HeldBytes,
}

/// Nearly all heads are shorter; the rest of a longer one is counted against the memory for clients.
const SHORT: usize = 8 << 10;

impl<T> Heads<T> {
    pub(super) fn new(inner: T, activity: Arc<Activity>, allowed: Duration, memory: &Arc<MemoryShare>) -> Self {
        Self { inner, activity, allowed, clock: StallTimer::default(), len: 0, held: memory.nothing() }
    }

    /// Counts the bytes of a head that have arrived.
    fn count(&mut self, arrived: Arrived, len: usize) -> io::Result<()> {
        match arrived {
            Arrived::Body => return Ok(()),
            Arrived::FirstOfHead => {
                self.clock.stop();
                self.held.clear();
                self.len = len;
            }
            Arrived::MoreOfHead => self.len += len,
        }
        let more = self.len.saturating_sub(SHORT).saturating_sub(self.held.bytes());
        if more > 0 {
            self.held.grow(more).map_err(|full| io::Error::new(io::ErrorKind::OutOfMemory, full))?;
        }
        Ok(())
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Heads<T> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        let polled = Pin::new(&mut this.inner).poll_read(cx, buf);
        if polled.is_ready() {
            let bytes = &buf.filled()[before..];
            this.count(this.activity.arrived(bytes), bytes.len())?;
            return polled;
        }
        let Some(since) = this.activity.head_since() else { return Poll::Pending };
        this.clock.poll(cx, this.allowed, || since).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Heads<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
