//! The certificates of a listener, which can be replaced while it listens.

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use std::sync::Arc;
use tokio_rustls::TlsAcceptor;

/// The TLS configuration of a listener. Clones share it: the owner of one can renew it.
#[derive(Clone)]
pub struct Tls(Arc<ArcSwap<ServerConfig>>);

impl Tls {
    /// Wraps a configuration that is ready to accept connections.
    pub fn new(config: Arc<ServerConfig>) -> Self {
        Self(Arc::new(ArcSwap::new(config)))
    }

    /// Uses this configuration from the next handshake on. It is replaced as a whole, so a session made under the old
    /// client authorities cannot be resumed.
    pub fn renew(&self, config: Arc<ServerConfig>) {
        self.0.store(config);
    }

    pub(super) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(self.0.load_full())
    }
}
