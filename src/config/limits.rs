//! Limits of connections and of shutdown.

use std::time::Duration;

/// Limits of the listener and its connections.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Largest request head in bytes.
    pub header_bytes: usize,
    /// From accept (or the end of the TLS handshake) to the first byte of the first request.
    pub first_byte: Duration,
    /// From a request's first byte to the end of its head.
    pub header: Duration,
    /// Idle time of a keep-alive connection between two requests.
    pub keep_alive: Duration,
    /// Longest pause inside a request body.
    pub upload_stall: Duration,
    /// Longest time in which a client reads nothing of a response.
    pub download_stall: Duration,
    /// Maximum duration of the TLS handshake.
    pub tls_handshake: Duration,
    /// Maximum number of connections; further ones wait in the kernel's backlog.
    pub connections: usize,
    /// Maximum number of concurrent streams per HTTP/2 connection.
    pub h2_streams: u32,
    /// How long the listener still accepts after the first signal, so that load balancers notice the shutdown.
    pub shutdown_lag: Duration,
    /// How long requests in progress may take after that.
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            header_bytes: 32 << 10,
            first_byte: Duration::from_secs(10),
            header: Duration::from_secs(10),
            keep_alive: Duration::from_secs(120),
            upload_stall: Duration::from_secs(60),
            download_stall: Duration::from_secs(60),
            tls_handshake: Duration::from_secs(10),
            connections: 10_000,
            h2_streams: 128,
            shutdown_lag: Duration::from_secs(3),
            drain: Duration::from_secs(25),
        }
    }
}
