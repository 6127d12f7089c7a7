//! Starting a registry in this process, on a port of its own and a directory that goes with it.

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
    auth::{Issuer, Users, Verifier},
    config::{Limits, Live, Operator, Origins, Tokens},
    registry::{self, Settings},
    server::{self, Options, Reactors, Tls, Trigger},
    service::{Face, Login, Realm, State, Telemetry, app},
    storage::fs::{Fs, Init},
};

/// A running registry. Dereferences to a client that speaks to it.
pub struct Registry {
    client: Client,
    dir: Arc<TempDir>,
    trigger: Trigger,
    serving: JoinHandle<()>,
    registry: registry::Registry,
}

/// What a test decides about the registry it starts.
#[derive(Clone, Default)]
pub struct Setup {
    pub settings: Settings,
    pub limits: Limits,
    pub tls: Option<Arc<rustls::ServerConfig>>,
    pub trusted_proxies: Vec<ipnet::IpNet>,
    /// htpasswd, if there is authentication.
    pub htpasswd: Option<String>,
    /// access-control.json.
    pub rules: Option<String>,
    /// The key of a token service of its own, beside htpasswd.
    pub signing_key: Option<String>,
    /// Whose tokens are believed, if those of a service elsewhere are.
    pub elsewhere: Option<Arc<Verifier>>,
    /// What the operator has switched off.
    pub operator: Option<Operator>,
    /// Web pages that may use it from a browser.
    pub cors_origins: Origins,
}

impl Setup {
    /// How callers prove who they are, and whose tokens are believed.
    fn login(&self) -> (Login, Tokens) {
        let passwords = Arc::default();
        match (&self.elsewhere, &self.signing_key, &self.htpasswd) {
            (Some(verifier), ..) => {
                let (realm, service) = (ELSEWHERE.into(), SERVICE.into());
                let login = Login::Elsewhere { realm, service, told: Arc::default() };
                (login, Tokens::Elsewhere(verifier.clone()))
            }
            (None, Some(key), _) => {
                let issuer = Issuer::parse(key.as_bytes(), "wharfinger", SERVICE).expect("a key");
                let login = Login::Own { realm: Realm::Here, service: SERVICE.into(), passwords };
                (login, Tokens::Own(Arc::new(issuer)))
            }
            (None, None, Some(_)) => (Login::Basic { realm: "Registry".into(), passwords }, Tokens::None),
            (None, None, None) => (Login::None, Tokens::None),
        }
    }
}

impl Registry {
    /// A registry as it comes.
    pub async fn start() -> Self {
        Self::with(|_| {}).await
    }

    /// A registry under other settings.
    pub async fn with(change: impl FnOnce(&mut Setup)) -> Self {
        let mut setup = Setup::default();
        change(&mut setup);
        // In memory where there is such a directory: every push syncs many times.
        let dir = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir());
        Self::over(Arc::new(dir.expect("a temporary directory")), setup).await
    }

    /// A registry over a directory that may hold a store already.
    pub async fn over(dir: Arc<TempDir>, setup: Setup) -> Self {
        let (fs, _) = Fs::open(dir.path(), Init::EmptyDirectory).expect("a store");
        let (login, tokens) = setup.login();
        let settings = Arc::new(setup.settings);
        let registry = registry::Registry::new(Arc::new(fs), settings.clone());
        let users = setup.htpasswd.map(|text| Users::parse(&text).expect("users")).unwrap_or_default();
        let rights = match (setup.rules, &login) {
            (Some(text), login) => Rights::Rules {
                policy: Policy::parse(&text).expect("rules").0,
                authenticated: !matches!(login, Login::None),
            },
            (None, Login::None) => Rights::Open,
            (None, Login::Basic { .. } | Login::Own { .. }) => Rights::Users,
            (None, Login::Elsewhere { .. }) => Rights::Tokens,
        };
        let live = Live { registry: settings, rights: rights.into(), users: users.into(), tokens, ..Live::default() };
        let operator = setup.operator.unwrap_or(live.operator.clone());
        let live = Live { operator, cors_origins: setup.cors_origins, ..live };
        let (trigger, shutdown) = Trigger::new();
        let state = State {
            registry: registry.clone(),
            limits: setup.limits.clone(),
            trusted_proxies: setup.trusted_proxies,
            face: Face::Everything,
            draining: shutdown.draining(),
            live: Arc::new(ArcSwap::from_pointee(live)),
            login,
            telemetry: Arc::new(Telemetry::default()),
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let options = Options { limits: setup.limits, tls: setup.tls.map(Tls::new), reactors: Reactors::here() };
        let serving = tokio::spawn(server::run(listener, app(Arc::new(state)), options, shutdown));
        Self { client: Client::new(address), dir, trigger, serving, registry }
    }

    /// Stops this one and starts another over the same directory.
    pub async fn restart(self, setup: Setup) -> Self {
        let dir = self.dir.clone();
        self.stop().await;
        Self::over(dir, setup).await
    }

    /// Stops at once and waits until everything has let go of the directory.
    pub async fn stop(self) {
        let Self { client, trigger, serving, registry, dir: _dir } = self;
        drop(client);
        trigger.stop(false);
        trigger.stop(false);
        serving.await.expect("the server ends");
        registry.close().await;
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.client.address()
    }

    /// The storage root.
    pub fn root(&self) -> &Path {
        self.dir.path()
    }

    /// The floor below HTTP, to look behind the answers.
    pub fn inner(&self) -> &registry::Registry {
        &self.registry
    }

    /// To stop it in the ways a signal would.
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
