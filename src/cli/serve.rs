//! `wharfinger serve`: listen, open the storage, serve until a signal ends it.

use super::{
    log::{self, ConfigureLog, before_waiting, start_log},
    upkeep,
};
use crate::{
    auth::new_signing_key,
    config::{AuthType, Env, Live, Pending, SigningKey, Warning, Watch},
    files::{Syncing, cause},
    registry::Registry,
    server::{self, Options, Reactors, Shutdown, Tls, Trigger},
    service::{Face, Login, Realm, State, Telemetry, app},
    storage::{
        Lifecycle, SIGNING_KEY,
        fs::{Fs, Opened},
    },
};
use arc_swap::ArcSwap;
use std::{io, num::NonZero, process::ExitCode, sync::Arc, thread, time::Duration};
use tokio::{
    net::TcpListener,
    runtime::{self, Runtime},
    sync::Notify,
};
use tracing::{error, info, warn};

/// Threads for blocking work; more work than this waits. The reactors share them, but each has a minimum: a disk that
/// hangs for a moment must not hold up work on another.
const BLOCKING_THREADS: usize = 128;
const LEAST_BLOCKING_THREADS: usize = 16;

/// Freed memory that the allocator keeps: a few parts of uploads.
const KEPT_FREE: usize = 2 << 20;

/// How long the last log lines may take: nobody may read them.
const LAST_LINES: Duration = Duration::from_secs(1);

/// Serves until a signal ends it; `warnings` are repeated in the log.
pub(super) fn serve(env: Env, live: &Live, warnings: &[Warning], pending: Pending) -> ExitCode {
    keep_freed_memory();
    let configure_log = start_log(env.log_format, live);
    let code = serve_logged(env, configure_log, warnings, pending);
    log::flush(LAST_LINES);
    code
}

fn serve_logged(env: Env, configure_log: ConfigureLog, warnings: &[Warning], pending: Pending) -> ExitCode {
    for line in env.decisions() {
        info!("{line}");
    }
    for warning in warnings {
        warn!("{warning}");
    }
    let (reactors, runtime) = match threads() {
        Ok(threads) => threads,
        Err(error) => {
            error!(%error, "cannot start the server threads");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(run(env, configure_log, pending, &reactors)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            error!("{reason}");
            ExitCode::FAILURE
        }
    }
}

/// Threads that serve connections, one for each core, and a runtime for everything else: accepting connections, and
/// the background tasks of the daemon.
fn threads() -> io::Result<(Reactors, Runtime)> {
    let cores = thread::available_parallelism().map_or(1, NonZero::get);
    let blocking = (BLOCKING_THREADS / cores).max(LEAST_BLOCKING_THREADS);
    let reactors = Reactors::start(cores, blocking, before_waiting)?;
    let runtime = runtime::Builder::new_current_thread().max_blocking_threads(BLOCKING_THREADS).enable_all().build()?;
    Ok((reactors, runtime))
}

async fn run(env: Env, configure_log: ConfigureLog, pending: Pending, reactors: &Reactors) -> Result<(), String> {
    if let Some(files) = server::raise_descriptor_limit() {
        info!("open file limit: {files}");
    }
    // First, so that an address in use is reported at once.
    let listener = listen(env.listen()).await?;
    let admin = match env.admin_addr {
        Some(address) => Some(listen(address).await?),
        None => None,
    };
    let store = open_storage(&env).await?;
    if env.auth_token_signingkey == Some(SigningKey::Auto) && env.auth_type == AuthType::Basic {
        make_signing_key(&store).await?;
    }
    let watch = Watch::new(env.clone()).map_err(|problems| problems.to_string())?;
    let generation = watch.live();
    let first = generation.load_full();
    let store = Arc::new(store);
    keep(&store, first.durability).await;
    let registry = Registry::new(store.clone(), first.registry.clone());
    let login = login(&env)?;
    let (trigger, shutdown) = Trigger::new();
    let no_signals = |error| format!("cannot handle signals: {error}");
    tokio::spawn(server::on_signals(trigger).map_err(no_signals)?);
    let (nudge, hangup) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    for told in [&nudge, &hangup] {
        tokio::spawn(server::on_hangup(told.clone()).map_err(no_signals)?);
    }
    tokio::spawn(report_pending(pending, generation.clone(), hangup));
    let tls = first.tls.clone().map(Tls::new);
    let at_start = first.limits.clone();
    let applied = {
        let (tls, store) = (tls.clone(), store.clone());
        move |live: &Live| {
            configure_log(live);
            if live.durability != store.health().syncing {
                let (store, durability) = (store.clone(), live.durability);
                tokio::spawn(async move { keep(&store, durability).await });
            }
            if let (Some(tls), Some(config)) = (&tls, &live.tls) {
                tls.renew(config.clone());
            }
            if live.limits != at_start {
                warn!("settings under [server] have changed; restart to apply them");
            }
        }
    };
    tokio::spawn(watch.run(nudge, applied));
    tokio::spawn(upkeep::sweep(registry.clone(), generation.clone()));
    tokio::spawn(upkeep::collect(registry.clone(), generation.clone()));
    tokio::spawn(upkeep::scrub(registry.clone(), generation.clone()));
    tokio::spawn(upkeep::write_pulls(registry.clone(), generation.clone()));
    tokio::spawn(upkeep::flush(store.clone()));

    let telemetry = Arc::new(Telemetry::new(log::lines_dropped));
    let state = |face| {
        Arc::new(State {
            registry: registry.clone(),
            limits: first.limits.clone(),
            trusted_proxies: env.trusted_proxies.clone(),
            face,
            draining: shutdown.draining(),
            live: generation.clone(),
            login: login.clone(),
            telemetry: telemetry.clone(),
        })
    };
    greet(&env, &listener);
    let face = if admin.is_some() { Face::Registry } else { Face::Everything };
    let options = |tls| Options { limits: first.limits.clone(), tls, reactors: reactors.clone() };
    let main = server::run(listener, app(state(face)), options(tls), shutdown.clone());
    // Probes and scrapers use an address of the operator's own, without TLS.
    let inside =
        admin.map(|listener| server::run(listener, app(state(Face::Admin)), options(None), Shutdown::clone(&shutdown)));
    match inside {
        Some(inside) => {
            tokio::join!(main, inside);
        }
        None => main.await,
    }
    registry.close().await;
    if let Err(error) = upkeep::write_pulls_once(&registry, &generation).await {
        warn!(%error, "cannot save the last pull times");
    }
    if let Err(error) = store.flush().await {
        error!(%error, "cannot sync the last writes; they may not survive a power failure");
    }
    info!("stopped");
    Ok(())
}

/// Says at each SIGHUP which boot settings wait for a restart: a reload does not apply them.
async fn report_pending(pending: Pending, generation: Arc<ArcSwap<Live>>, hangup: Arc<Notify>) {
    let pending = Arc::new(pending);
    loop {
        hangup.notified().await;
        let (pending, live) = (pending.clone(), generation.load_full());
        match tokio::task::spawn_blocking(move || pending.look(&live)).await {
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

/// Creates the key of the token service unless there is one.
async fn make_signing_key(store: &Fs) -> Result<(), String> {
    let key = new_signing_key().map_err(|_| "cannot create a signing key: the system provides no random numbers")?;
    match store.ensure_signing_key(key.into()).await {
        Ok(true) => info!("token service: created a signing key, {SIGNING_KEY} in the storage directory"),
        Ok(false) => {}
        Err(error) => return Err(format!("cannot save the signing key of the token service: {error}")),
    }
    Ok(())
}

/// How callers prove who they are; decided once.
fn login(env: &Env) -> Result<Login, String> {
    Ok(match (env.auth_type, &env.auth_token_signingkey) {
        (AuthType::None, _) => Login::None,
        (AuthType::Basic, None) => Login::Basic { realm: env.auth_realm.clone(), passwords: Arc::default() },
        (AuthType::Basic, Some(_)) => {
            let realm = match &env.public_url {
                Some(url) => Realm::At(format!("{url}/auth/token")),
                None => Realm::Here,
            };
            Login::Own { realm, service: env.token_service(), passwords: Arc::default() }
        }
        (AuthType::Token, _) => match (&env.auth_token_realm, &env.auth_token_service) {
            (Some(realm), Some(service)) => {
                Login::Elsewhere { realm: realm.clone(), service: service.clone(), told: Arc::default() }
            }
            // The configuration was refused before this; it must never be served as if it were `none`.
            _ => return Err("REGISTRY_AUTH_TYPE=token needs REGISTRY_AUTH_TOKEN_REALM and _SERVICE".to_owned()),
        },
    })
}

async fn listen(address: std::net::SocketAddr) -> Result<TcpListener, String> {
    TcpListener::bind(address).await.map_err(|error| format!("cannot listen on {address}: {}", cause(&error)))
}

async fn open_storage(env: &Env) -> Result<Fs, String> {
    let (path, init) = (env.storage_path.clone(), super::storage::init(env));
    let opening = tokio::task::spawn_blocking(move || Fs::open(&path, init)).await;
    let (store, opened) = opening.map_err(|e| e.to_string())?.map_err(|e| e.to_string())?;
    let path = env.storage_path.display();
    match opened {
        Opened::Existing => info!("using the storage directory {path}"),
        Opened::Created if env.storage_is_explicit() => {
            warn!("CREATED THE STORAGE DIRECTORY {path}; if a volume belongs there, stop and mount it");
        }
        Opened::Initialised if env.storage_is_explicit() => {
            warn!("INITIALISED THE EMPTY STORAGE DIRECTORY {path}; if a volume belongs there, stop and mount it");
        }
        Opened::Created | Opened::Initialised => info!("created the storage directory {path}"),
    }
    Ok(store)
}

/// Applies a durability from now on.
async fn keep(store: &Fs, durability: Syncing) {
    let before = store.health().syncing;
    let mode = durability.as_str();
    match durability {
        Syncing::Strict => info!("durability {mode}: every acknowledged write survives a power failure"),
        Syncing::Relaxed => {
            warn!("durability {mode}: a power failure may lose what was pushed in the last second")
        }
        Syncing::None => {
            warn!("durability {mode}: A POWER FAILURE MAY DESTROY THE STORE; use this for tests and caches only")
        }
    }
    if let Err(error) = store.set_syncing(durability).await {
        error!(%error, "cannot sync what was written with durability {}; it may not survive a power failure", before.as_str());
    }
}

/// Lets the allocator keep what is freed. glibc gives the end of a heap back as soon as 256 KiB of it are free, so that
/// an upload pays a page fault for each page it brings, a tenth of its CPU. When a block is freed that was mapped by
/// itself, glibc takes its length for the new bound, and twice that for what it keeps (mallopt(3), `M_MMAP_THRESHOLD`).
/// Other allocators do nothing here.
fn keep_freed_memory() {
    drop(std::hint::black_box(Vec::<u8>::with_capacity(KEPT_FREE)));
}

/// Logs the address and how to push.
fn greet(env: &Env, listener: &TcpListener) {
    let address = listener.local_addr().map_or(env.listen(), |address| address);
    info!("listening on {address}");
    let host = match &env.public_url {
        Some(url) => url.authority.to_string(),
        None if address.ip().is_unspecified() || address.ip().is_loopback() => format!("localhost:{}", address.port()),
        None => address.to_string(),
    };
    info!("push an image: docker tag IMAGE {host}/IMAGE && docker push {host}/IMAGE");
}
