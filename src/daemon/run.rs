//! Runs a daemon from its configuration until a signal ends it.

use super::{Daemon, check_conditions, jobs, service_manager, storage_box::AskStorageBox, store};
use crate::{
    config::{AuthType, ConfigReport, Env, Live, Pending},
    files::{cause, detached},
    manage::Manage,
    server::{self, Reactors, Trigger},
    service::{Face, Telemetry},
    storage::OpenStore,
    upkeep::fsck::CheckedStore,
};
use arc_swap::ArcSwap;
use std::{net::SocketAddr, sync::Arc};
use tokio::{net::TcpListener, sync::Notify};
use tracing::{error, info, warn};

/// What a daemon needs from its log.
pub struct LogControl {
    /// Makes the log follow the settings of a generation.
    pub configure: Box<dyn Fn(&Live) + Send + Sync>,
    /// How many lines have been dropped so far.
    pub lines_dropped: fn() -> u64,
}

/// Opens everything that the configuration names, and serves until a signal ends it.
///
/// # Errors
/// What keeps it from starting, as a message for the operator.
pub async fn run(report: ConfigReport, pending: Pending, log: LogControl, reactors: &Reactors) -> Result<(), String> {
    let env = report.env.clone();
    if let Some(files) = server::raise_descriptor_limit() {
        info!("open file limit: {files}");
    }
    let no_signals = |error| format!("cannot handle signals: {error}");
    server::survive_long_files().map_err(no_signals)?;
    // First, so that an address in use is reported at once.
    let listener = match service_manager::passed_listener()? {
        Some(passed) => adopt(passed, env.listen())?,
        None => listen(env.listen()).await?,
    };
    let admin = match env.admin_addr {
        Some(address) => Some(listen(address).await?),
        None => None,
    };
    let store = store::open(&env).await?;
    let stored_key = store::make_signing_keys(&env, &*store.records).await?;
    let report = report.with_stored_key(stored_key.as_deref());
    let watch = report.follow().map_err(|problems| problems.to_string())?;
    let (generation, editor) = (watch.live(), watch.editor());
    let first = generation.load_full();
    check_conditions(store.has_conditions, &first)?;
    // The files may have changed since the log was started.
    (log.configure)(&first);
    store::apply_durability(&store, first.durability).await;
    let (trigger, shutdown) = Trigger::new();
    let telemetry = Telemetry::new(log.lines_dropped);
    let daemon = Daemon::new(
        store.storage.clone(),
        generation.clone(),
        env.trusted_proxies.clone(),
        telemetry,
        shutdown.clone(),
    );
    let outbox = store.hold.as_ref().and_then(|hold| hold.outbox());
    let manage = Manage::new(editor, generation.clone(), store.records.clone());
    let daemon = Arc::new(daemon.with_check(CheckedStore::of(&store)).with_outbox(outbox).with_manage(manage));
    let registry = daemon.registry();
    tokio::spawn(server::on_signals(trigger).map_err(no_signals)?);
    let [nudge, was_read, reload, hangup] = std::array::from_fn(|_| Arc::new(Notify::new()));
    for waiting in [&reload, &hangup] {
        tokio::spawn(server::on_hangup(waiting.clone()).map_err(no_signals)?);
    }
    tokio::spawn(report_pending(pending, generation.clone(), hangup));
    tokio::spawn(service_manager::reload_on_hangup(reload, nudge.clone(), was_read.clone()));
    tokio::spawn(watch.run(nudge, was_read, following(log, daemon.clone(), store.clone())));
    if let Some(dir) = env.api_keys.as_deref().filter(|_| env.auth_type == AuthType::Basic) {
        jobs::read_shared_keys(&daemon, dir).await.map_err(|error| format!("REGISTRY_API_KEYS: {error}"))?;
    }
    jobs::start(&daemon, &store.records);
    if let Some(ask) = AskStorageBox::of(&env, &daemon.usage).await? {
        let shutdown = shutdown.clone();
        daemon.jobs.start(ask, async move { shutdown.begun().await });
    }
    daemon.restore_migrations().await;

    log_start(&env, &listener);
    tokio::spawn(async move {
        service_manager::ready().await;
        shutdown.begun().await;
        service_manager::stopping().await;
    });
    let face = if admin.is_some() { Face::Registry } else { Face::Everything };
    let main = daemon.serve(listener, face, reactors);
    match admin.map(|listener| daemon.serve(listener, Face::Admin, reactors)) {
        Some(admin) => {
            tokio::join!(main, admin);
        }
        None => main.await,
    }
    daemon.jobs.end().await;
    daemon.tasks.end().await;
    daemon.migrations.end().await;
    registry.close().await;
    if let Err(error) = jobs::save_last_pulls(registry, &generation).await {
        warn!(%error, "cannot save the last pull times");
    }
    if let Err(error) = store.records.flush().await {
        error!(%error, "cannot sync the last writes; they may not survive a power failure");
    }
    if let Some(hold) = &store.hold {
        hold.end().await;
    }
    info!("stopped");
    Ok(())
}

/// Applies each new generation.
fn following(log: LogControl, daemon: Arc<Daemon>, store: OpenStore) -> impl Fn(&Live) + Send + 'static {
    move |live| {
        (log.configure)(live);
        daemon.apply(live);
        if let Err(refused) = check_conditions(store.has_conditions, live) {
            error!("{refused}; requests that need it fail until it is switched off");
        }
        if live.durability != store.storage.health().syncing {
            let (store, durability) = (store.clone(), live.durability);
            tokio::spawn(async move { store::apply_durability(&store, durability).await });
        }
    }
}

/// Logs at each SIGHUP which changed boot settings wait for a restart: a reload does not apply them.
async fn report_pending(pending: Pending, generation: Arc<ArcSwap<Live>>, hangup: Arc<Notify>) {
    let pending = Arc::new(pending);
    loop {
        hangup.notified().await;
        let (pending, live) = (pending.clone(), generation.load_full());
        match detached(move || pending.changes(&live)).await {
            Ok(Ok(changed)) if changed.is_empty() => {}
            Ok(Ok(changed)) => {
                warn!(changed = changed.join(", "), "boot settings have changed; restart to apply them");
            }
            Ok(Err(problems)) => {
                for problem in &problems.0 {
                    warn!("boot settings cannot be used; the next start would fail: {problem}");
                }
            }
            Err(error) => warn!(%error, "cannot read the boot settings again"),
        }
    }
}

async fn listen(address: SocketAddr) -> Result<TcpListener, String> {
    TcpListener::bind(address).await.map_err(|error| format!("cannot listen on {address}: {}", cause(&error)))
}

/// Serves a socket that is bound already, to the address of the configuration or to another.
fn adopt(passed: std::net::TcpListener, configured: SocketAddr) -> Result<TcpListener, String> {
    let listener =
        TcpListener::from_std(passed).map_err(|error| format!("cannot serve the socket of systemd: {error}"))?;
    let address = listener.local_addr().map_err(|error| format!("the socket of systemd has no address: {error}"))?;
    if address != configured {
        warn!(
            "systemd listens on {address}; REGISTRY_HOST and REGISTRY_PORT ({configured}) are only where `health` asks"
        );
    }
    Ok(listener)
}

/// Logs the address and how to push.
fn log_start(env: &Env, listener: &TcpListener) {
    let address = listener.local_addr().map_or(env.listen(), |address| address);
    info!("listening on {address}");
    let host = match &env.public_url {
        Some(url) => url.authority.to_string(),
        None if address.ip().is_unspecified() || address.ip().is_loopback() => format!("localhost:{}", address.port()),
        None => address.to_string(),
    };
    info!("push an image: docker tag IMAGE {host}/IMAGE && docker push {host}/IMAGE");
}
