//! Opens or creates the storage directory of a daemon, and sets its durability.

use crate::{
    config::{AuthType, Env, SigningKey, StorageInit},
    files::Syncing,
    identity::new_signing_key,
    storage::{
        Lifecycle, SESSION_KEY, SIGNING_KEY,
        fs::{Fs, Init, Opened},
    },
};
use tracing::{error, info, warn};

/// Whether the storage directory may be created.
pub fn init(env: &Env) -> Init {
    match env.storage_init {
        StorageInit::Never => Init::Never,
        StorageInit::Auto => Init::CreateDirectory,
    }
}

pub(super) async fn open(env: &Env) -> Result<Fs, String> {
    let (path, init) = (env.storage_path.clone(), init(env));
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

/// Creates the keys that the daemon makes for itself, unless they exist.
pub(super) async fn make_signing_keys(env: &Env, store: &Fs) -> Result<(), String> {
    match (env.auth_type, &env.auth_token_signingkey) {
        (AuthType::Basic, Some(SigningKey::Auto)) => match make_signing_key(store, SIGNING_KEY).await {
            Ok(true) => info!("token service: created a signing key, {SIGNING_KEY} in the storage directory"),
            Ok(false) => {}
            Err(error) => return Err(format!("cannot save the signing key of the token service: {error}")),
        },
        (AuthType::Basic, None) => {
            // Pulls and pushes do without sessions.
            if let Err(error) = make_signing_key(store, SESSION_KEY).await {
                warn!(error, "cannot save the signing key of sessions; they end when the registry stops");
            }
        }
        (AuthType::Basic, Some(SigningKey::Path(_))) | (AuthType::None | AuthType::Token, _) => {}
    }
    Ok(())
}

async fn make_signing_key(store: &Fs, path: &'static str) -> Result<bool, String> {
    let key = new_signing_key().map_err(|_| "the system provides no random numbers")?;
    store.ensure_signing_key(path, key.into()).await.map_err(|error| error.to_string())
}

/// Applies a durability from now on.
pub(super) async fn apply_durability(store: &Fs, durability: Syncing) {
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
