//! One writer for each store on an SFTP server.
//!
//! SFTP has no locks, and a lease cannot stop a writer that was merely paused. So a writer has a file of its own in one
//! directory, named by its instance, for as long as it runs. A second one finds it and refuses to start, unless it is
//! told to take over; then it removes the file, and the first one finds it gone before its next commit.

use super::{SftpRemote, SftpTrouble, link::SftpLink, remote::parent};
use bytes::Bytes;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

/// The directory of the writers' files.
const WRITERS: &str = ".wharfinger/writers";

/// Who writes to a store.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct SftpWriter {
    pub host: String,
    pub pid: u32,
    /// Identifies the local directory, which only one process uses at a time.
    pub home: String,
    pub instance: String,
    pub since: Timestamp,
}

/// The right to write to a store. It ends with [`WriterLock::release`], or when somebody takes over.
pub struct WriterLock {
    path: String,
    lost: AtomicBool,
}

/// Why the right to write was not given.
#[derive(Debug, thiserror::Error)]
pub enum WriterRefused {
    /// Somebody has it.
    #[error(
        "the store at {place} is in use by {} (process {}, instance {}) since {}; if that process has ended for good, \
         start this one once with REGISTRY_SFTP_TAKEOVER=true",
        .writer.host, .writer.pid, .writer.instance, .writer.since
    )]
    Held { place: String, writer: SftpWriter },
    /// The server did not do what was asked.
    #[error("cannot lock the store at {place}: {why}")]
    Trouble { place: String, why: SftpTrouble },
}

impl WriterLock {
    /// Takes the lock; with `take_over` from whoever has it. The caller must hold a lock on the local directory that
    /// `own.home` identifies.
    ///
    /// # Errors
    /// Who has it, or why the server cannot tell.
    pub async fn take(remote: &SftpRemote, own: &SftpWriter, take_over: bool) -> Result<Self, WriterRefused> {
        let place = remote.place();
        let trouble = |why| WriterRefused::Trouble { place: place.clone(), why };
        let held = |writer| WriterRefused::Held { place: place.clone(), writer };
        let path = format!("{WRITERS}/{}.json", own.instance);
        for writer in others(remote, own).await.map_err(trouble)? {
            // The caller has the local directory for itself, so whoever had it before has ended.
            let gone = writer.home == own.home;
            if !take_over && !gone {
                return Err(held(writer));
            }
            if gone {
                tracing::info!(pid = writer.pid, since = %writer.since, "replaced the lock of an earlier run, which did not stop in order");
            } else {
                tracing::warn!(host = writer.host, pid = writer.pid, since = %writer.since, "TOOK THE STORE OVER; the other daemon must not run any more");
            }
            remote.remove(&format!("{WRITERS}/{}.json", writer.instance)).await.map_err(trouble)?;
        }
        let text = serde_json::to_vec(own).map_err(|error| trouble(SftpTrouble::Failed(error.to_string())))?;
        remote.put_new(&path, &[Bytes::from(text)]).await.map_err(trouble)?;
        // Of two that start at once, at least one sees the other now.
        if let Some(writer) = others(remote, own).await.map_err(trouble)?.into_iter().next() {
            remote.remove(&path).await.map_err(trouble)?;
            return Err(held(writer));
        }
        Ok(Self { path, lost: AtomicBool::new(false) })
    }

    /// Who writes to a store now.
    ///
    /// # Errors
    /// The server's.
    pub async fn writers(remote: &SftpRemote) -> Result<Vec<SftpWriter>, SftpTrouble> {
        let mut writers = Vec::new();
        for entry in remote.list(WRITERS).await? {
            let Some(instance) = entry.name.strip_suffix(".json") else { continue };
            let found = remote.read(&format!("{WRITERS}/{}", entry.name)).await?;
            let Some((bytes, meta)) = found else { continue };
            let unknown = || SftpWriter {
                host: "an unknown host".into(),
                pid: 0,
                home: String::new(),
                instance: instance.to_owned(),
                since: Timestamp::try_from(meta.modified).unwrap_or_default(),
            };
            let read = oci::json::from_slice::<SftpWriter>(&bytes).ok();
            writers.push(read.filter(|writer| writer.instance == instance).unwrap_or_else(unknown));
        }
        Ok(writers)
    }

    /// Fails if the lock is lost. Called between the preparation of a write and the moment it becomes visible.
    ///
    /// # Errors
    /// It is lost, or the server cannot tell.
    pub(super) async fn check(&self, remote: &SftpRemote, link: &Arc<SftpLink>) -> Result<(), SftpTrouble> {
        if self.lost.load(Ordering::Relaxed) {
            return Err(SftpTrouble::TakenOver);
        }
        match link.watch(remote.exists_on(link, &self.path).await) {
            Ok(true) => Ok(()),
            Ok(false) => {
                if !self.lost.swap(true, Ordering::Relaxed) {
                    tracing::error!("ANOTHER DAEMON HAS TAKEN THE STORE OVER; this one does not write any more");
                }
                Err(SftpTrouble::TakenOver)
            }
            Err(trouble) => Err(trouble),
        }
    }

    /// Whether somebody took over.
    pub fn is_lost(&self) -> bool {
        self.lost.load(Ordering::Relaxed)
    }

    /// Gives the lock back.
    ///
    /// # Errors
    /// The server's.
    pub async fn release(&self, remote: &SftpRemote) -> Result<(), SftpTrouble> {
        remote.remove(&self.path).await?;
        remote.remove_dir(parent(&self.path)).await.map(drop)
    }
}

async fn others(remote: &SftpRemote, own: &SftpWriter) -> Result<Vec<SftpWriter>, SftpTrouble> {
    let mut writers = WriterLock::writers(remote).await?;
    writers.retain(|writer| writer.instance != own.instance);
    Ok(writers)
}
