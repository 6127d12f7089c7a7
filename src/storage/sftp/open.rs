//! Opens a store on an SFTP server for writing, or only for reading.

use super::{
    LocalHome, SftpObjects, SftpProbe, SftpRemote, SftpSettings, SftpTrouble, SftpWriter, WriterLock, put::TEMPORARY,
};
use crate::files::{regular, world};
use jiff::Timestamp;
use std::{io, path::Path, sync::Arc};

/// Why a store on an SFTP server cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum NoSftpStore {
    #[error("cannot use the local directory {path}: {source}")]
    Home { path: String, source: io::Error },
    #[error("cannot use {place}: {why}")]
    Remote { place: String, why: SftpTrouble },
    #[error(transparent)]
    Writer(#[from] super::WriterRefused),
}

/// A store on an SFTP server that this process writes to.
pub struct SftpStore {
    pub objects: SftpObjects,
    pub probe: SftpProbe,
    _home: LocalHome,
}

impl SftpStore {
    /// Takes the local directory and the lock of the store, and tries the server out.
    ///
    /// # Errors
    /// [`NoSftpStore`], worded for the operator.
    pub async fn open(settings: SftpSettings, dir: &Path, take_over: bool) -> Result<Self, NoSftpStore> {
        let at_home = |source| NoSftpStore::Home { path: dir.display().to_string(), source };
        let path = dir.to_owned();
        let home = tokio::task::spawn_blocking(move || LocalHome::take(&path)).await;
        let home = home.map_err(|error| at_home(io::Error::other(error)))?.map_err(at_home)?;
        let remote = SftpRemote::new(settings);
        let place = remote.place();
        let no = |why| NoSftpStore::Remote { place: place.clone(), why };
        let own = SftpWriter {
            host: host_name(),
            pid: std::process::id(),
            home: home.id().to_owned(),
            instance: world::ulid().to_string(),
            since: Timestamp::now(),
        };
        remote.make_root().await.map_err(no)?;
        remote.try_links().await.map_err(no)?;
        remote.hold(WriterLock::take(&remote, &own, take_over).await?);
        let probe = remote.probe().await.map_err(no)?;
        remote.sweep().await.map_err(no)?;
        Ok(Self { objects: SftpObjects::new(Arc::new(remote)), probe, _home: home })
    }

    /// Gives the lock back.
    pub async fn close(&self) {
        let remote = self.objects.remote();
        if let Some(lock) = remote.lock().filter(|lock| !lock.is_lost())
            && let Err(error) = lock.release(remote).await
        {
            tracing::warn!(%error, "cannot remove the lock of the store; the next start on this machine does");
        }
    }
}

fn host_name() -> String {
    let name = regular::read("/proc/sys/kernel/hostname".as_ref());
    name.map_or_else(|_| "unknown".to_owned(), |name| String::from_utf8_lossy(&name).trim().to_owned())
}

impl SftpRemote {
    /// Creates the root if it does not exist.
    ///
    /// # Errors
    /// The server's.
    pub(super) async fn make_root(&self) -> Result<(), SftpTrouble> {
        match self.meta("").await? {
            Some(_) => Ok(()),
            None => self.make_dirs_to_root().await,
        }
    }

    /// Removes temporary files of earlier writers, which have ended.
    ///
    /// # Errors
    /// The server's.
    async fn sweep(&self) -> Result<(), SftpTrouble> {
        for entry in self.list(TEMPORARY).await? {
            self.remove_held(&format!("{TEMPORARY}/{}", entry.name)).await?;
        }
        Ok(())
    }
}
