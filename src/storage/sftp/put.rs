//! Files of the server that appear whole.

use super::{
    RemoteMeta, SftpRemote, SftpTrouble,
    link::{RemoteFile, SftpLink},
    remote::{found_or_none, parent},
};
use crate::files::world;
use bytes::Bytes;
use std::{sync::Arc, time::SystemTime};

/// Where files are written before they get their names.
pub(super) const TEMPORARY: &str = ".wharfinger/tmp";

/// How a file gets its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PutMode {
    /// Over whatever is there.
    Replace,
    /// Only if nothing is there.
    New,
}

impl SftpRemote {
    /// The server and the directory, for people.
    pub fn place(&self) -> String {
        format!("sftp://{}/{}", self.pool().settings().place(), self.pool().settings().root)
    }

    /// Whether a file exists, as this connection sees it.
    pub(super) async fn exists_on(&self, link: &Arc<SftpLink>, path: &str) -> Result<bool, SftpTrouble> {
        match link.session.lstat(self.at(path)).await.map_err(SftpTrouble::from) {
            Ok(_) => Ok(true),
            Err(SftpTrouble::Missing) => Ok(false),
            Err(trouble) => Err(trouble),
        }
    }

    /// Creates a file; `false` if there is one already.
    ///
    /// # Errors
    /// The server's.
    pub async fn put_new(&self, path: &str, bytes: &[Bytes]) -> Result<bool, SftpTrouble> {
        Ok(self.put(path, bytes, PutMode::New, world::now()).await?.is_some())
    }

    /// Writes a file that appears whole, with this time, durable as far as the server can. `None` if it exists and must
    /// not. Without the lock of the writer it does not appear.
    ///
    /// # Errors
    /// The server's. If the connection was lost at the last moment, the file may be there.
    pub async fn put(
        &self,
        path: &str,
        bytes: &[Bytes],
        mode: PutMode,
        modified: SystemTime,
    ) -> Result<Option<RemoteMeta>, SftpTrouble> {
        self.ensure_dir(TEMPORARY).await?;
        let temporary = format!("{TEMPORARY}/{}", world::uuid());
        let prepared = self.pool().run(true, |link| {
            let temporary = &temporary;
            async move {
                let file = self.create_again(temporary, &link).await?;
                file.write(0, bytes).await?;
                self.finish(file, temporary, modified).await
            }
        });
        let placed = match prepared.await {
            Ok(meta) => self.place_file(&temporary, path, mode).await.map(|is_placed| is_placed.then_some(meta)),
            Err(trouble) => Err(trouble),
        };
        if placed.is_err() {
            // What stays is removed with other old temporary files.
            let _ = self.remove(&temporary).await;
        }
        placed
    }

    /// Makes a written file durable and sets its time; checks that it may appear.
    pub(super) async fn finish(
        &self,
        file: RemoteFile,
        path: &str,
        modified: SystemTime,
    ) -> Result<RemoteMeta, SftpTrouble> {
        let timed = async {
            file.set_modified(modified).await?;
            found_or_none(file.meta().await)
        };
        let (synced, meta, held) = tokio::join!(file.sync(), timed, self.check_lock(&file.link));
        synced?;
        let meta = meta?;
        file.close().await?;
        held?;
        match meta {
            Some(meta) => Ok(meta),
            // Some servers make a file when it is closed, with a time of their own.
            None => self.meta(path).await?.ok_or(SftpTrouble::Missing),
        }
    }

    /// Creates a temporary file, also if an earlier attempt did.
    pub(super) async fn create_again(&self, path: &str, link: &Arc<SftpLink>) -> Result<RemoteFile, SftpTrouble> {
        match self.create(path, link).await {
            Err(SftpTrouble::Failed(_)) => {
                let file = self.open_to_write(path, true, link).await?;
                file.cut(0).await?;
                Ok(file)
            }
            Err(SftpTrouble::Missing) => {
                self.forget(TEMPORARY);
                self.ensure_dir(TEMPORARY).await?;
                self.create(path, link).await
            }
            created => created,
        }
    }

    /// Gives a temporary file its name. The directory is created if it is not there.
    ///
    /// # Errors
    /// The server's.
    pub async fn place_file(&self, temporary: &str, path: &str, mode: PutMode) -> Result<bool, SftpTrouble> {
        let dir = parent(path);
        self.ensure_dir(dir).await?;
        let placed = match self.place_once(temporary, path, mode).await {
            // Somebody removed the directory since it was last seen.
            Err(SftpTrouble::Missing) => {
                self.forget(dir);
                self.ensure_dir(dir).await?;
                self.place_once(temporary, path, mode).await
            }
            placed => placed,
        };
        let is_placed = placed?;
        if is_placed {
            self.sync_dir(dir).await?;
        }
        Ok(is_placed)
    }

    async fn place_once(&self, temporary: &str, path: &str, mode: PutMode) -> Result<bool, SftpTrouble> {
        if mode == PutMode::Replace {
            return match self.rename(temporary, path).await {
                // The answer is lost, not necessarily the effect.
                Err(trouble) if trouble.is_lost() => match self.meta(temporary).await? {
                    Some(_) => self.rename(temporary, path).await.map(|()| true),
                    None => Ok(true),
                },
                renamed => renamed.map(|()| true),
            };
        }
        if !self.offers().await?.hardlink {
            // The rename of the protocol itself should fail if the name exists, but some servers replace it. Nobody else
            // writes, and the caller has the key's turn.
            if self.meta(path).await?.is_some() {
                return self.remove(temporary).await.map(|_| false);
            }
            return match self.rename_new(temporary, path).await {
                Ok(()) => Ok(true),
                Err(SftpTrouble::Failed(why)) => match self.meta(path).await? {
                    Some(_) => self.remove(temporary).await.map(|_| false),
                    None => Err(SftpTrouble::Failed(why)),
                },
                Err(trouble) => Err(trouble),
            };
        }
        let linked = match self.link(temporary, path).await {
            // The answer is lost, not necessarily the effect: if the name exists now, it may be that of our file.
            Err(trouble) if trouble.is_lost() => {
                self.link(temporary, path).await? || self.read(temporary).await? == self.read(path).await?
            }
            linked => linked?,
        };
        self.remove(temporary).await?;
        Ok(linked)
    }
}
