//! Starts a server on a free port, with limits of milliseconds.

use crate::app::Behind;
use arc_swap::ArcSwap;
use std::{
    net::SocketAddr,
    sync::{Arc, atomic::Ordering},
    time::Instant,
};
use testing::wire::{LONG, Wire, ms};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinHandle,
    time::timeout,
};
use wharfinger::{
    config::{Limits, Live},
    server::{self, ListenerOptions, Reactors, Shutdown, Tls, Trigger},
    wire::ClientMemory,
};

/// A running server with the test service.
pub struct Door {
    pub address: SocketAddr,
    pub behind: Behind,
    pub trigger: Trigger,
    pub shutdown: Shutdown,
    pub serving: JoinHandle<()>,
}

/// Limits that no test reaches unless it lowers one.
pub fn wide() -> Limits {
    Limits {
        first_byte: LONG,
        header: LONG,
        keep_alive: LONG,
        upload_stall: LONG,
        download_stall: LONG,
        tls_handshake: LONG,
        shutdown_lag: ms(0),
        drain: LONG,
        ..Limits::default()
    }
}

/// A listener with these limits.
pub fn options(limits: Limits, tls: Option<Tls>, live: Live) -> ListenerOptions {
    let live = Arc::new(ArcSwap::from_pointee(live));
    ListenerOptions {
        limits,
        tls,
        reactors: Reactors::current_runtime(),
        live,
        memory: ClientMemory::new(256 << 20),
        trusted_proxies: Vec::new(),
    }
}

impl Door {
    pub async fn open(change: impl FnOnce(&mut Limits)) -> Self {
        Self::with(None, change).await
    }

    pub async fn with(tls: Option<Tls>, change: impl FnOnce(&mut Limits)) -> Self {
        Self::under(tls, Live::default(), change).await
    }

    pub async fn under(tls: Option<Tls>, live: Live, change: impl FnOnce(&mut Limits)) -> Self {
        let mut limits = wide();
        change(&mut limits);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let behind = Behind::new(limits.upload_stall);
        let (trigger, shutdown) = Trigger::new();
        let serving =
            tokio::spawn(server::run(listener, behind.service(), options(limits, tls, live), shutdown.clone()));
        Self { address, behind, trigger, shutdown, serving }
    }

    pub async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    pub async fn wire(&self) -> Wire {
        Wire::open(self.address).await
    }

    /// Waits until the service has dropped all bodies of files.
    pub async fn bodies_are_gone(&self) {
        let deadline = Instant::now() + LONG;
        while self.behind.bodies.load(Ordering::SeqCst) > 0 {
            assert!(Instant::now() < deadline, "a body was not dropped");
            tokio::time::sleep(ms(10)).await;
        }
    }

    /// Waits until the server has ended by itself.
    pub async fn ends(self) {
        timeout(LONG, self.serving).await.expect("its end").unwrap();
    }
}
