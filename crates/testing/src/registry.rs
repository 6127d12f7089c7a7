//! Starts a registry in this process, on a free port and in a temporary directory.

use crate::{
    people::{ELSEWHERE, SERVICE},
    session::Client,
};
use arc_swap::ArcSwap;
use std::{net::SocketAddr, path::Path, sync::Arc};
use tempfile::TempDir;
use tokio::{net::TcpListener, task::JoinHandle};
use wharfinger::{
    access::{Policy, Rights},
    config::{Limits, Live, Operator, Origins},
    daemon::Daemon,
    identity::{Identity, Issuer, LoginLimits, TokenService, Users, Verifier, new_signing_key},
    registry::{self, Settings},
    server::{Reactors, Trigger},
    service::{Face, Telemetry},
    storage::fs::{Fs, Init},
    wire::ClientMemory,
};

/// A running registry. Dereferences to a client for it.
pub struct Registry {
    client: Client,
    dir: Arc<TempDir>,
    trigger: Trigger,
    serving: JoinHandle<()>,
    registry: registry::Registry,
    memory: Arc<ClientMemory>,
}

/// The settings a test chooses for its registry.
#[derive(Clone, Default)]
pub struct Setup {
    pub settings: Settings,
    pub limits: Limits,
    pub tls: Option<Arc<rustls::ServerConfig>>,
    pub trusted_proxies: Vec<ipnet::IpNet>,
    /// The htpasswd file; `None` for no authentication by password.
    pub htpasswd: Option<String>,
    /// The content of access-control.json.
    pub rules: Option<String>,
    /// The key of the built-in token service, which needs `htpasswd`.
    pub signing_key: Option<String>,
    /// The verifier of an external token service.
    pub elsewhere: Option<Arc<Verifier>>,
    /// Limits of password logins.
    pub logins: LoginLimits,
    /// What the operator has disabled.
    pub operator: Option<Operator>,
    /// Maximum bytes held in memory for clients.
    pub client_memory: Option<usize>,
    /// Web pages that may use it from a browser.
    pub cors_origins: Origins,
}

impl Setup {
    /// How callers authenticate.
    fn identity(&self) -> Identity {
        let users =
            || Arc::new(self.htpasswd.as_ref().map(|text| Users::parse(text).expect("users")).unwrap_or_default());
        match (&self.elsewhere, &self.signing_key) {
            (Some(verifier), _) => Identity::ExternalTokens {
                realm: ELSEWHERE.into(),
                service: SERVICE.into(),
                verifier: verifier.clone(),
            },
            (None, Some(key)) => {
                let issuer = Arc::new(Issuer::parse(key.as_bytes(), "wharfinger", SERVICE).expect("a key"));
                let (public_url, name, users) = (None, SERVICE.into(), users());
                Identity::OwnTokens(Arc::new(TokenService { public_url, name, users, issuer }))
            }
            (None, None) if self.htpasswd.is_some() => {
                let key = new_signing_key().expect("a key");
                let sessions = Issuer::parse(key.as_bytes(), "wharfinger", SERVICE).expect("a key");
                Identity::Password { realm: "Registry".into(), users: users(), sessions: Some(sessions.into()) }
            }
            (None, None) => Identity::Nobody,
        }
    }
}

impl Registry {
    /// A registry with default settings.
    pub async fn start() -> Self {
        Self::with(|_| {}).await
    }

    /// A registry with changed settings.
    pub async fn with(change: impl FnOnce(&mut Setup)) -> Self {
        let mut setup = Setup::default();
        change(&mut setup);
        // In memory if possible: every push syncs many times.
        let dir = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir());
        Self::over(Arc::new(dir.expect("a temporary directory")), setup).await
    }

    /// A registry over a directory that may contain a store already.
    pub async fn over(dir: Arc<TempDir>, setup: Setup) -> Self {
        let (fs, _) = Fs::open(dir.path(), Init::EmptyDirectory).expect("a store");
        let identity = setup.identity();
        let rights = match (setup.rules, &identity) {
            (Some(text), identity) => {
                Rights::Rules { policy: Policy::parse(&text).expect("rules").0, authenticated: !identity.is_nobody() }
            }
            (None, Identity::Nobody) => Rights::Open,
            (None, Identity::Password { .. } | Identity::OwnTokens(_)) => Rights::Users,
            (None, Identity::ExternalTokens { .. }) => Rights::Tokens,
        };
        let usual = Live::default();
        let live = Arc::new(ArcSwap::from_pointee(Live {
            registry: setup.settings.into(),
            operator: setup.operator.unwrap_or_else(|| usual.operator.clone()),
            rights: rights.into(),
            identity,
            logins: setup.logins,
            limits: setup.limits,
            client_memory: setup.client_memory.unwrap_or(usual.client_memory),
            cors_origins: setup.cors_origins,
            tls: setup.tls,
            ..usual
        }));
        let (trigger, shutdown) = Trigger::new();
        let store = Arc::new(fs);
        let daemon = Daemon::new(store, live, setup.trusted_proxies, Telemetry::default(), shutdown);
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let client = Client::new(listener.local_addr().expect("an address"));
        let serving = tokio::spawn(daemon.serve(listener, Face::Everything, &Reactors::current_runtime()));
        let (registry, memory) = (daemon.registry().clone(), daemon.memory().clone());
        Self { client, dir, trigger, serving, registry, memory }
    }

    /// Stops this one and starts another over the same directory.
    pub async fn restart(self, setup: Setup) -> Self {
        let dir = self.dir.clone();
        self.stop().await;
        Self::over(dir, setup).await
    }

    /// Stops at once, and waits until nothing uses the directory any more.
    pub async fn stop(self) {
        let Self { client, trigger, serving, registry, memory: _, dir: _dir } = self;
        drop(client);
        trigger.stop(false);
        trigger.stop(false);
        serving.await.expect("the server ends");
        registry.close().await;
    }

    /// The address it listens on.
    pub fn address(&self) -> SocketAddr {
        self.client.address()
    }

    /// The storage directory.
    pub fn root(&self) -> &Path {
        self.dir.path()
    }

    /// The layer below HTTP, to check the state behind the responses.
    pub fn inner(&self) -> &registry::Registry {
        &self.registry
    }

    /// Bytes that it holds for clients.
    pub fn held(&self) -> usize {
        self.memory.held()
    }

    /// Stops it in the ways a signal would.
    pub fn trigger(&self) -> Trigger {
        self.trigger.clone()
    }
}

impl std::ops::Deref for Registry {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}
