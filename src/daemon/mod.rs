//! An assembled registry: a store, a configuration, the service on top of both, and its listeners.
//!
//! [`run()`] opens the store and watches the configuration: that is `serve`. Tests and fuzzing bring their own store
//! and configuration, so that they test the same assembly that is served.

mod artifact_jobs;
mod buckets;
mod conditions;
mod jobs;
mod mirror_jobs;
mod run;
mod scrub_job;
mod service_manager;
mod sftp;
mod storage_box;
mod store;
#[cfg(test)]
mod tests;

pub use buckets::inspect_bucket;
pub use conditions::check_conditions;
pub use run::{LogControl, run};
pub use store::{NoStore, check_owner, init, open_beside, open_or_make};

use crate::{
    access::Ceiling,
    accounts::Accounts,
    config::{Limits, Live},
    jobs::{Jobs, Tasks},
    manage::Manage,
    migration::{Authority, Migrations},
    mirror::Mirrors,
    registry::Registry,
    server::{self, ListenerOptions, Reactors, Shutdown, Tls},
    service::{App, Face, Heavy, LoginMemory, SeenByCallers, ServiceState, SharedManifests, Telemetry, Throttle, app},
    storage::{ProviderUsage, Storage, outbox::OutboxWatch},
    upkeep::fsck::CheckedStore,
    who::Subject,
    wire::ClientMemory,
};
use arc_swap::ArcSwap;
use ipnet::IpNet;
use std::{future::Future, sync::Arc};
use tokio::net::TcpListener;

/// What all listeners of a registry share.
pub struct Daemon {
    registry: Registry,
    live: Arc<ArcSwap<Live>>,
    /// The boot settings at startup: changing them takes a restart.
    limits: Limits,
    trusted_proxies: Vec<IpNet>,
    tls: Option<Tls>,
    memory: Arc<ClientMemory>,
    logins: Arc<LoginMemory>,
    accounts: Arc<Accounts>,
    heavy: Arc<Heavy>,
    writes: Arc<Throttle>,
    seen: Arc<SeenByCallers>,
    telemetry: Arc<Telemetry>,
    /// Background jobs: none unless [`run()`] starts them.
    jobs: Jobs,
    tasks: Tasks,
    migrations: Migrations,
    checked: Option<CheckedStore>,
    outbox: Option<Arc<dyn OutboxWatch>>,
    usage: Arc<ProviderUsage>,
    manage: Option<Manage>,
    mirrors: Mirrors,
    shutdown: Shutdown,
}

impl Daemon {
    /// A registry over this store, with the active generation.
    pub fn new(
        store: Arc<dyn Storage>,
        live: Arc<ArcSwap<Live>>,
        trusted_proxies: Vec<IpNet>,
        telemetry: Telemetry,
        shutdown: Shutdown,
    ) -> Self {
        let first = live.load();
        Self {
            registry: Registry::new(store.clone(), first.registry.clone()),
            limits: first.limits.clone(),
            trusted_proxies,
            tls: first.tls.clone().map(Tls::new),
            memory: ClientMemory::new(first.client_memory),
            logins: Arc::default(),
            migrations: Migrations::new(store.clone()),
            accounts: Arc::new(Accounts::new(store)),
            heavy: Arc::default(),
            writes: Arc::default(),
            seen: Arc::default(),
            telemetry: Arc::new(telemetry),
            jobs: Jobs::default(),
            tasks: Tasks::default(),
            checked: None,
            outbox: None,
            usage: Arc::default(),
            manage: None,
            shutdown,
            live: live.clone(),
            mirrors: Mirrors::default(),
        }
    }

    /// Lets administrators check its store.
    pub fn with_check(self, checked: Option<CheckedStore>) -> Self {
        Self { checked, ..self }
    }

    /// Shows administrators what is uploaded later.
    pub fn with_outbox(self, outbox: Option<Arc<dyn OutboxWatch>>) -> Self {
        Self { outbox, ..self }
    }

    /// Lets administrators change these configuration files.
    pub fn with_manage(self, manage: Manage) -> Self {
        Self { manage: Some(manage), ..self }
    }

    /// The registry without HTTP.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// The caches that hold responses in memory.
    pub fn memory(&self) -> &Arc<ClientMemory> {
        &self.memory
    }

    /// Continues the migrations that an earlier process did not finish.
    pub async fn restore_migrations(&self) {
        let authority_of = |owner: Option<&str>| {
            let owner = owner.map_or(Subject::Anonymous, |name| Subject::User(name.into()));
            Authority::new(self.live.clone(), self.registry.clone(), owner, Ceiling::None)
        };
        self.migrations.restore(authority_of).await;
    }

    /// The service of a listener.
    pub fn app(&self, face: Face) -> App {
        app(Arc::new(ServiceState {
            registry: self.registry.clone(),
            limits: self.limits.clone(),
            trusted_proxies: self.trusted_proxies.clone(),
            face,
            draining: self.shutdown.draining(),
            live: self.live.clone(),
            logins: self.logins.clone(),
            accounts: self.accounts.clone(),
            manage: self.manage.clone(),
            heavy: self.heavy.clone(),
            writes: self.writes.clone(),
            seen: self.seen.clone(),
            telemetry: self.telemetry.clone(),
            jobs: self.jobs.clone(),
            tasks: self.tasks.clone(),
            migrations: self.migrations.clone(),
            checked: self.checked.clone(),
            outbox: self.outbox.clone(),
            usage: self.usage.clone(),
            mirrors: self.mirrors.clone(),
            manifests: SharedManifests::default(),
        }))
    }

    /// Serves a listener until shutdown.
    pub fn serve(
        &self,
        listener: TcpListener,
        face: Face,
        reactors: &Reactors,
    ) -> impl Future<Output = ()> + Send + use<> {
        let options = ListenerOptions {
            limits: self.limits.clone(),
            // Probes and scrapers use a separate address, without TLS.
            tls: self.tls.clone().filter(|_| face != Face::Admin),
            reactors: reactors.clone(),
            live: self.live.clone(),
            memory: self.memory.clone(),
            trusted_proxies: self.trusted_proxies.clone(),
        };
        server::run(listener, self.app(face), options, self.shutdown.clone())
    }

    /// Applies a new generation to whatever does not read it for each request.
    pub fn apply(&self, live: &Live) {
        self.memory.allow(live.client_memory);
        self.jobs.reconsider();
        if let (Some(tls), Some(config)) = (&self.tls, &live.tls) {
            tls.renew(config.clone());
        }
        if live.limits != self.limits {
            tracing::warn!("settings under [server] have changed; restart to apply them");
        }
    }
}
