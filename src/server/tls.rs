//! The certificates of a listener, which may change while it listens.

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use std::sync::Arc;
use tokio_rustls::TlsAcceptor;

/// With what a listener encrypts. Clones are the same: who keeps one may renew it.
#[derive(Clone)]
pub struct Tls(Arc<ArcSwap<ServerConfig>>);

impl Tls {
    /// Certificates and client authorities, ready to accept with.
    pub fn new(config: Arc<ServerConfig>) -> Self {
        Self(Arc::new(ArcSwap::new(config)))
    }

    /// From the next handshake on these are in force. The whole configuration changes, so no
    /// session made under the client authorities of the old one can be resumed.
    pub fn renew(&self, config: Arc<ServerConfig>) {
        self.0.store(config);
    }

    pub(super) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(self.0.load_full())
    }
}
