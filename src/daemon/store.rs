//! Opens or creates the store that the configuration names, for a daemon or beside one, and sets its durability. Only
//! here it is known which kinds of stores there are.

use super::{buckets, sftp};
use crate::{
    config::{AuthType, Env, SigningKey, StorageInit, StorageKind},
    files::{Size, Syncing},
    identity::new_signing_key,
    storage::{
        BlobCache, OpenStore, SESSION_KEY, SIGNING_KEY, StoreRecords,
        fs::{Fs, Init, OpenError, Opened},
    },
};
use bytes::Bytes;
use std::{fmt, os::unix::fs::MetadataExt, sync::Arc};
use tracing::{error, info, warn};

/// Why a store cannot be opened.
#[derive(Debug)]
pub enum NoStore {
    /// There is none yet.
    Absent(String),
    /// It cannot be used.
    Unusable(String),
}

impl fmt::Display for NoStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Absent(why) | Self::Unusable(why)) = self;
        f.write_str(why)
    }
}

impl From<OpenError> for NoStore {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::Absent(_) | OpenError::NoStore(_) => Self::Absent(error.to_string()),
            error => Self::Unusable(error.to_string()),
        }
    }
}

/// Opens the cache of blobs, if there is to be one.
pub(super) async fn open_cache(env: &Env) -> Result<Option<Arc<BlobCache>>, NoStore> {
    let Some((path, most_bytes)) = env.blob_cache() else { return Ok(None) };
    let shown = path.display().to_string();
    let opened = BlobCache::open(&path, most_bytes).await;
    let cache = opened.map_err(|error| NoStore::Unusable(format!("cannot use the cache in {shown}: {error}")))?;
    info!("blobs are cached in {shown}, up to {}", Size(most_bytes));
    Ok(Some(cache))
}

/// Whether the storage directory may be created.
pub fn init(env: &Env) -> Init {
    match env.storage_init {
        StorageInit::Never => Init::Never,
        StorageInit::Auto => Init::CreateDirectory,
    }
}

/// Opens the store while a daemon may be serving it, and changes nothing.
///
/// # Errors
/// There is no store, or not one that this build reads.
pub async fn open_beside(env: &Env) -> Result<OpenStore, NoStore> {
    match env.storage {
        StorageKind::Filesystem => Ok(Fs::open_beside(&env.storage_path)?.into()),
        StorageKind::S3 | StorageKind::Gcs | StorageKind::Azure => Ok(buckets::open(env, false, None).await?.store),
        StorageKind::Sftp => sftp::open_beside(env).await,
    }
}

/// Like [`open_beside`], to write to it; makes a store if there is none, as a start would.
///
/// # Errors
/// As for [`open_beside`], or the caller is not the one whom the store belongs to.
pub async fn open_or_make(env: &Env) -> Result<OpenStore, NoStore> {
    match open_beside(env).await {
        Err(NoStore::Absent(_)) => make(env).await,
        Ok(store) => check_owner(env, &store).map(|()| store).map_err(NoStore::Unusable),
        Err(unusable) => Err(unusable),
    }
}

async fn make(env: &Env) -> Result<OpenStore, NoStore> {
    match env.storage {
        StorageKind::Filesystem => Ok(Fs::open(&env.storage_path, init(env))?.0.into()),
        StorageKind::S3 | StorageKind::Gcs | StorageKind::Azure => Ok(buckets::open(env, true, None).await?.store),
        StorageKind::Sftp => sftp::open(env).await,
    }
}

/// Refuses a caller who would leave files that the daemon can neither read nor remove: whoever writes to a directory
/// must be its owner.
///
/// # Errors
/// A sentence for the caller.
pub fn check_owner(env: &Env, store: &OpenStore) -> Result<(), String> {
    if store.files.is_none() {
        return Ok(());
    }
    let path = &env.storage_path;
    let owner = std::fs::metadata(path).map_err(|error| format!("{}: {error}", path.display()))?.uid();
    let caller = rustix::process::geteuid().as_raw();
    match caller == owner {
        true => Ok(()),
        false => Err(format!("{} belongs to user {owner}: run this as that user, not as {caller}", path.display())),
    }
}

/// Opens or creates the store of a daemon, and logs what was found.
pub(super) async fn open(env: &Env) -> Result<OpenStore, String> {
    match env.storage {
        StorageKind::Filesystem => directory(env).await,
        StorageKind::S3 | StorageKind::Gcs | StorageKind::Azure => {
            let cache = open_cache(env).await.map_err(|error| error.to_string())?;
            let bucket = buckets::open(env, true, cache).await.map_err(|error| error.to_string())?;
            info!("using {}", env.storage_place());
            for words in &bucket.words {
                info!("storage: {words}");
            }
            Ok(bucket.store)
        }
        StorageKind::Sftp => sftp::open(env).await.map_err(|error| error.to_string()),
    }
}

async fn directory(env: &Env) -> Result<OpenStore, String> {
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
    Ok(store.into())
}

/// Creates the keys that the daemon makes for itself, unless they exist. Returns the key that is in use, where it cannot
/// be read as a file.
pub(super) async fn make_signing_keys(env: &Env, store: &dyn StoreRecords) -> Result<Option<Bytes>, String> {
    let path = match (env.auth_type, &env.auth_token_signingkey) {
        (AuthType::Basic, Some(SigningKey::Auto)) => SIGNING_KEY,
        (AuthType::Basic, None) => SESSION_KEY,
        (AuthType::Basic, Some(SigningKey::Path(_))) | (AuthType::None | AuthType::Token, _) => return Ok(None),
    };
    ensure_signing_key(env, store).await?;
    store.signing_key(path).await.map_err(|error| format!("cannot read {path}: {error}"))
}

async fn ensure_signing_key(env: &Env, store: &dyn StoreRecords) -> Result<(), String> {
    match (env.auth_type, &env.auth_token_signingkey) {
        (AuthType::Basic, Some(SigningKey::Auto)) => match make_signing_key(store, SIGNING_KEY).await {
            Ok(true) => info!("token service: created a signing key, {SIGNING_KEY} in the storage"),
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

async fn make_signing_key(store: &dyn StoreRecords, path: &'static str) -> Result<bool, String> {
    let key = new_signing_key().map_err(|_| "the system provides no random numbers")?;
    store.ensure_signing_key(path, key.into()).await.map_err(|error| error.to_string())
}

/// Applies a durability from now on.
pub(super) async fn apply_durability(store: &OpenStore, durability: Syncing) {
    let before = store.storage.health().syncing;
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
    if let Err(error) = store.records.set_syncing(durability).await {
        error!(%error, "cannot sync what was written with durability {}; it may not survive a power failure", before.as_str());
    }
}
