//! `wharfinger serve`: listen, open the storage, serve until told to stop.

use crate::{
    config::{AuthType, Env, Live, LogFormat, LogLevel, Warning},
    registry::Registry,
    server::{self, Options, Shutdown, Tls, Trigger},
    service::{Face, Login, State, Telemetry, app},
    storage::fs::{Fs, Opened},
};
use arc_swap::ArcSwap;
use std::{
    io::{self, IsTerminal},
    process::ExitCode,
    sync::Arc,
};
use tokio::net::TcpListener;
use tracing::{error, info, level_filters::LevelFilter, warn};

/// Threads for what may block; more than this wait their turn.
const BLOCKING_THREADS: usize = 128;

/// Serves until a signal ends it; `warnings` are repeated in the log.
pub(super) fn serve(env: Env, live: Live, warnings: &[Warning]) -> ExitCode {
    start_log(&env);
    for line in env.decisions() {
        info!("{line}");
    }
    for warning in warnings {
        warn!("{warning}");
    }
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let runtime = match builder.max_blocking_threads(BLOCKING_THREADS).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            error!(%error, "no runtime");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(run(env, live)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            error!("{reason}");
            ExitCode::FAILURE
        }
    }
}

async fn run(env: Env, live: Live) -> Result<(), String> {
    if let Some(files) = server::raise_descriptor_limit() {
        info!("open files: at most {files}");
    }
    // First of all: whoever starts us learns at once if the address is taken.
    let listener = listen(env.listen()).await?;
    let admin = match env.admin_addr {
        Some(address) => Some(listen(address).await?),
        None => None,
    };
    let store = open_storage(&env).await?;
    let registry = Registry::new(Arc::new(store), live.registry.clone());
    let login = match env.auth_type {
        AuthType::Basic => Login::Basic { realm: env.auth_realm.clone(), passwords: Arc::default() },
        AuthType::None => Login::None,
        // Refused before this, by `config::unbuilt`; never to be served as if it were none.
        AuthType::Token => return Err("token authentication is not built yet".to_owned()),
    };
    let generation = Arc::new(ArcSwap::from_pointee(live.clone()));
    let (trigger, shutdown) = Trigger::new();
    let signals = server::on_signals(trigger).map_err(|e| format!("signals cannot be handled: {e}"))?;
    tokio::spawn(signals);
    tokio::spawn(sweep(registry.clone()));

    let telemetry = Arc::new(Telemetry::default());
    let state = |face| {
        Arc::new(State {
            registry: registry.clone(),
            limits: live.limits.clone(),
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
    let options = Options { limits: live.limits.clone(), tls: live.tls.clone().map(Tls::new) };
    let main = server::run(listener, app(state(face)), options, shutdown.clone());
    // Probes and scrapers come by an address of the operator's own: no TLS there.
    let inside = admin.map(|listener| {
        let options = Options { limits: live.limits.clone(), tls: None };
        server::run(listener, app(state(Face::Admin)), options, Shutdown::clone(&shutdown))
    });
    match inside {
        Some(inside) => {
            tokio::join!(main, inside);
        }
        None => main.await,
    }
    registry.close().await;
    info!("stopped");
    Ok(())
}

async fn listen(address: std::net::SocketAddr) -> Result<TcpListener, String> {
    TcpListener::bind(address).await.map_err(|e| format!("{address} cannot be listened on: {e}"))
}

async fn open_storage(env: &Env) -> Result<Fs, String> {
    let (path, init) = (env.storage_path.clone(), super::storage::init(env));
    let opening = tokio::task::spawn_blocking(move || Fs::open(&path, init)).await;
    let (store, opened) = opening.map_err(|e| e.to_string())?.map_err(|e| e.to_string())?;
    let path = env.storage_path.display();
    match opened {
        Opened::Existing => info!("storage: {path} holds a store; using it"),
        Opened::Initialised if env.storage_is_explicit() => {
            warn!(
                "storage: {path} WAS EMPTY AND IS A NEW STORE NOW; if a volume should be mounted there, stop and mount it"
            );
        }
        Opened::Initialised => info!("storage: {path} is a new store"),
    }
    Ok(store)
}

/// Ends expired uploads from time to time, the first time soon after the start.
async fn sweep(registry: Registry) {
    let mut ticks = tokio::time::interval(registry.settings().upload_cleanup_interval);
    loop {
        ticks.tick().await;
        match registry.sweep().await {
            Ok(0) => {}
            Ok(expired) => info!(expired, "uploads that nobody went on with were ended"),
            Err(error) => warn!(%error, "expired uploads could not be ended; trying again later"),
        }
    }
}

/// Says where we are and how to push.
fn greet(env: &Env, listener: &TcpListener) {
    let address = listener.local_addr().map_or(env.listen(), |address| address);
    info!("listening on {address}");
    let host = match &env.public_url {
        Some(url) => url.authority.to_string(),
        None if address.ip().is_unspecified() || address.ip().is_loopback() => format!("localhost:{}", address.port()),
        None => address.to_string(),
    };
    info!("to push: docker tag IMAGE {host}/IMAGE && docker push {host}/IMAGE");
}

/// Log lines go to stdout; what keeps the program from starting goes to stderr.
fn start_log(env: &Env) {
    let level = match env.log_level {
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Error => LevelFilter::ERROR,
    };
    let log = tracing_subscriber::fmt().with_max_level(level);
    // The log may be set only once in a process; a second attempt (in a test) keeps the first.
    let _ = match env.log_format {
        LogFormat::Pretty => {
            let log = log.with_ansi(io::stdout().is_terminal()).with_target(false);
            tracing::subscriber::set_global_default(log.finish())
        }
        LogFormat::Json => tracing::subscriber::set_global_default(log.json().flatten_event(true).finish()),
    };
}
