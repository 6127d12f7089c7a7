//! Request bodies, counted against the memory limit for clients.

use super::gate::Granted;
use crate::{
    registry::Interruption,
    wire::{RequestBody, conn::Conn, memory::HeldBytes, request::Stalled},
};
use bytes::Bytes;
use futures_util::Stream;
use http_body::Body;
use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

/// The most an upload holds while many others run: a batch being written, one arriving, and the connection's
/// read-ahead. Larger batches share a budget of their own (`registry::batch`).
pub(super) const HELD_BY_UPLOAD: usize = 192 << 10;

/// The most a connection reads ahead of a body, in bytes.
const READ_AHEAD: usize = 64 << 10;

/// A request body. Its memory is released when it is dropped.
pub(super) struct IncomingBody {
    body: RequestBody,
    /// Bytes received so far.
    arrived: usize,
    /// The most it may hold, in bytes.
    most: usize,
    held: Option<HeldBytes>,
}

impl Granted {
    /// Takes the request's body, which holds at most `most` bytes at a time.
    pub(super) fn incoming(&mut self, most: usize) -> IncomingBody {
        let held = self.request.conn.as_ref().map(|conn| Conn::memory(conn).nothing());
        IncomingBody { body: std::mem::take(&mut self.request.body), arrived: 0, most, held }
    }
}

impl IncomingBody {
    /// Counts received bytes.
    fn count(&mut self, bytes: &Bytes) -> Result<(), Interruption> {
        self.arrived = self.arrived.saturating_add(bytes.len());
        let Some(held) = &mut self.held else { return Ok(()) };
        let due = self.arrived.saturating_add(self.arrived.min(READ_AHEAD)).min(self.most);
        match due.saturating_sub(held.bytes()) {
            0 => Ok(()),
            more => held.grow(more).map_err(|_| Interruption::NoMemory),
        }
    }
}

impl Stream for IncomingBody {
    type Item = Result<Bytes, Interruption>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            let item = match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
                None => return Poll::Ready(None),
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(bytes) => self.count(&bytes).map(|()| bytes),
                    Err(_trailers) => continue,
                },
                Some(Err(e)) if e.is::<Stalled>() => Err(Interruption::Stalled),
                Some(Err(_)) => Err(Interruption::Cut),
            };
            return Poll::Ready(Some(item));
        }
    }
}
