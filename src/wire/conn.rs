//! What the server knows of the connection of a request: the only request extension.

use super::{memory::MemoryShare, outbox::Outbox, sendfile::SendfileSlot};
use std::{net::SocketAddr, sync::Arc};

/// A connection. A request without one (in a test) has an unknown peer, and its bodies are sent by ordinary writes.
#[derive(Clone)]
pub struct Conn {
    /// The other end of the socket.
    pub peer: SocketAddr,
    /// Whether it is encrypted.
    pub tls: bool,
    /// The request's head gave two lengths.
    pub ambiguous: bool,
    /// The connection limit is exceeded: only health requests are answered here.
    pub is_beyond_limit: bool,
    /// The pieces of blobs that this connection holds in memory, and its client's share of the memory.
    pub outbox: Arc<Outbox>,
    /// Where windows of files are queued; only on plain HTTP/1.1, see [`super::sendfile`].
    pub slot: Option<Arc<SendfileSlot>>,
}

impl Conn {
    /// The client's share of the memory for clients.
    pub fn memory(&self) -> &Arc<MemoryShare> {
        self.outbox.share()
    }
}
