//! What the server tells about the connection a request came by: the only request extension.

use super::sendfile::Slot;
use std::{net::SocketAddr, sync::Arc};

/// A connection. A request without one (a test's) has an unknown peer and gets its bodies by
/// ordinary writes.
#[derive(Clone)]
pub struct Conn {
    /// The other end of the socket.
    pub peer: SocketAddr,
    /// Whether it is encrypted.
    pub tls: bool,
    /// The request's head gave its length in two ways.
    pub ambiguous: bool,
    /// Where windows of files may be queued; only on plain HTTP/1.1, see [`super::sendfile`].
    pub slot: Option<Arc<Slot>>,
}
