//! SFTP servers: what the configuration says of them, and opening them.

use super::store::{NoStore, open_cache};
use crate::{
    config::{Env, StorageInit},
    files::{detached, regular},
    storage::{
        OpenStore, StorageError, StoreHold,
        objects::{Objects, ReadOnlyObjects},
        outbox::{OutboxSettings, OutboxWatch, WriteBehind},
        remote::{ObjectStorage, is_bulk, is_free},
        sftp::{NoSftpStore, SftpLogin, SftpObjects, SftpRemote, SftpSettings, SftpStore},
    },
};
use async_trait::async_trait;
use std::{fmt::Display, path::Path, sync::Arc, time::Duration};
use tracing::{info, warn};

/// The directory below REGISTRY_STORAGE_PATH that belongs to a store on an SFTP server.
const LOCAL: &str = "sftp";
/// The journal in it.
const JOURNAL: &str = "outbox";
/// How long a daemon that stops goes on uploading.
const DRAIN: Duration = Duration::from_secs(20);

/// A store that a daemon writes to.
struct SftpHold {
    store: SftpStore,
    outbox: Option<WriteBehind<SftpObjects>>,
}

#[async_trait]
impl StoreHold for SftpHold {
    fn outbox(&self) -> Option<Arc<dyn OutboxWatch>> {
        self.outbox.clone().map(|outbox| Arc::new(outbox) as Arc<dyn OutboxWatch>)
    }

    async fn end(&self) {
        if let Some(outbox) = &self.outbox {
            let left = outbox.drain(DRAIN).await;
            if left > 0 {
                warn!(
                    writes = left,
                    "not everything is uploaded; the journal keeps the rest, and the next start goes on"
                );
            }
        }
        self.store.close().await;
    }
}

/// Opens the store of a daemon, and logs what the server can do.
pub(super) async fn open(env: &Env) -> Result<OpenStore, NoStore> {
    if env.sftp_read_only {
        info!("using {}, only to read: pushes go to the registry that writes there", env.storage_place());
        return open_beside(env).await;
    }
    let settings = settings(env).await.map_err(NoStore::Unusable)?;
    let failed = |error: &dyn Display| NoStore::Unusable(format!("{}: {error}", env.storage_place()));
    let local = env.storage_path.join(LOCAL);
    let store = match SftpStore::open(settings, &local, env.sftp_takeover).await {
        Ok(store) => store,
        Err(error) => return Err(NoStore::Unusable(unopened(&error, &local.join(JOURNAL)).await)),
    };
    info!("using {}", env.storage_place());
    for lack in &store.probe.lacks {
        warn!("the SFTP server lacks {lack}");
    }
    if store.probe.lacks.is_empty() {
        info!("the SFTP server makes bytes and names durable when it says so");
    }
    let (objects, outbox): (Arc<dyn Objects>, _) = match env.sftp_write_behind {
        false => {
            check_journal(&local.join(JOURNAL)).await.map_err(NoStore::Unusable)?;
            (Arc::new(store.objects.clone()), None)
        }
        true => {
            let (inner, dir) = (store.objects.clone(), local.join(JOURNAL));
            let how =
                OutboxSettings { most_bytes: env.sftp_journal_limit, at_once: env.sftp_connections, is_bulk, is_free };
            let outbox = detached(move || WriteBehind::open(inner, &dir, how)).await.and_then(|opened| opened);
            let outbox = outbox.map_err(|error| failed(&format!("journal: {error}")))?;
            outbox.start().map_err(|error| failed(&error))?;
            info!("write-behind: a push is answered when it is in the journal, and uploaded later");
            (Arc::new(outbox.clone()), Some(outbox))
        }
    };
    let may_create = env.storage_init == StorageInit::Auto;
    let opened = ObjectStorage::open(objects, may_create).await.map_err(|error| failed(&error))?;
    let opened = opened.with_cache(open_cache(env).await?);
    Ok(OpenStore { hold: Some(Arc::new(SftpHold { store, outbox })), ..OpenStore::new(opened, true) })
}

/// Opens the store while a daemon may be writing to it, only to read.
pub(super) async fn open_beside(env: &Env) -> Result<OpenStore, NoStore> {
    let settings = settings(env).await.map_err(NoStore::Unusable)?;
    let objects = SftpObjects::new(Arc::new(SftpRemote::new(settings)));
    match ObjectStorage::open(Arc::new(ReadOnlyObjects(objects)), false).await {
        Ok(store) => Ok(OpenStore::new(store, true)),
        Err(error @ StorageError::Damaged { .. }) => Err(NoStore::Absent(error.to_string())),
        Err(error) => Err(NoStore::Unusable(format!("{}: {error}", env.storage_place()))),
    }
}

/// Why a store cannot be opened, and what that means for what is in the journal. Without the server nobody knows whether
/// another registry has taken the store over since, so nothing more is acknowledged until it is back.
async fn unopened(error: &NoSftpStore, journal: &Path) -> String {
    let entries = journal.join("entries");
    let waiting = detached(move || std::fs::read_dir(entries).map_or(0, Iterator::count)).await.unwrap_or_default();
    match waiting {
        0 => error.to_string(),
        waiting => format!(
            "{error}. The journal in {} keeps {waiting} acknowledged writes; start again when the server can be \
             reached, and they are uploaded",
            journal.display()
        ),
    }
}

/// Refuses to leave behind what was acknowledged and not uploaded.
async fn check_journal(dir: &Path) -> Result<(), String> {
    let (entries, shown) = (dir.join("entries"), dir.display().to_string());
    let left = detached(move || std::fs::read_dir(entries).is_ok_and(|mut entries| entries.next().is_some())).await;
    match left {
        Ok(false) => Ok(()),
        Ok(true) => Err(format!(
            "the journal in {shown} has writes that were acknowledged and not uploaded: start with \
             REGISTRY_SFTP_WRITE_BEHIND=true until it is empty"
        )),
        Err(error) => Err(format!("{shown}: {error}")),
    }
}

async fn settings(env: &Env) -> Result<SftpSettings, String> {
    let (password, key) = (&env.sftp_password, &env.sftp_key);
    let login = match (&env.sftp_key_file, &env.sftp_password_file) {
        (Some(path), _) => SftpLogin::key(&text(path).await?).map_err(|why| format!("{}: {why}", path.display()))?,
        (None, Some(path)) => SftpLogin::Password(text(path).await?.trim_end_matches(['\r', '\n']).to_owned()),
        (None, None) => match (key, password) {
            (Some(key), _) => SftpLogin::key(key.expose()).map_err(|why| format!("REGISTRY_SFTP_KEY {why}"))?,
            (None, password) => SftpLogin::Password(password.as_ref().map_or("", |text| text.expose()).to_owned()),
        },
    };
    // `config::storage` requires these.
    let trust = env.sftp_known_hosts.clone().ok_or("REGISTRY_SFTP_KNOWN_HOSTS is not set")?;
    Ok(SftpSettings {
        host: env.sftp_host.clone().unwrap_or_default(),
        port: env.sftp_port,
        username: env.sftp_username.clone().unwrap_or_default(),
        login,
        trust,
        root: env.sftp_root.clone(),
        connections: env.sftp_connections,
    })
}

async fn text(path: &Path) -> Result<String, String> {
    let (read, shown) = (path.to_owned(), path.display().to_string());
    let bytes = detached(move || regular::read(&read)).await.and_then(|read| read);
    let bytes = bytes.map_err(|error| format!("cannot read {shown}: {error}"))?;
    String::from_utf8(bytes).map_err(|_| format!("{shown} is not text"))
}
