//! Starting a door on a port of its own, with limits of milliseconds.

use crate::{
    app::Behind,
    client::{LONG, Raw},
};
use std::{
    net::SocketAddr,
    sync::atomic::Ordering,
    time::{Duration, Instant},
};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinHandle,
    time::timeout,
};
use wharfinger::{
    config::Limits,
    server::{self, Options, Reactors, Shutdown, Tls, Trigger},
};

/// A running door.
pub struct Door {
    pub address: SocketAddr,
    pub behind: Behind,
    pub trigger: Trigger,
    pub shutdown: Shutdown,
    pub serving: JoinHandle<()>,
}

pub fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// Bounds no test runs into unless it lowers one.
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

impl Door {
    pub async fn open(change: impl FnOnce(&mut Limits)) -> Self {
        Self::with(None, change).await
    }

    pub async fn with(tls: Option<Tls>, change: impl FnOnce(&mut Limits)) -> Self {
        let mut limits = wide();
        change(&mut limits);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let behind = Behind::new(limits.upload_stall);
        let (trigger, shutdown) = Trigger::new();
        let serving = tokio::spawn(server::run(
            listener,
            behind.service(),
            Options { limits, tls, reactors: Reactors::here() },
            shutdown.clone(),
        ));
        Self { address, behind, trigger, shutdown, serving }
    }

    pub async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    pub async fn raw(&self) -> Raw<TcpStream> {
        Raw::new(self.connect().await)
    }

    /// Waits until the service behind has no body of a file left.
    pub async fn bodies_are_gone(&self) {
        let deadline = Instant::now() + LONG;
        while self.behind.bodies.load(Ordering::SeqCst) > 0 {
            assert!(Instant::now() < deadline, "a body is kept");
            tokio::time::sleep(ms(10)).await;
        }
    }

    /// Waits until the server has ended by itself.
    pub async fn ends(self) {
        timeout(LONG, self.serving).await.expect("its end").unwrap();
    }
}
