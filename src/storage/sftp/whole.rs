//! Files that become whole in steps, and copies.

use super::{
    PutMode, RemoteMeta, SftpRemote, SftpTrouble,
    link::{RemoteFile, SftpLink},
    put::TEMPORARY,
    remote::parent,
};
use crate::files::world;
use bytes::Bytes;
use futures_util::TryStreamExt as _;
use std::{pin::pin, sync::Arc, time::SystemTime};

/// Bytes that pass through this process at once, where the server cannot copy.
const COPIED_AT_ONCE: usize = 4 << 20;

impl SftpRemote {
    /// Removes a file if the lock is held; `false` if there was none.
    ///
    /// # Errors
    /// The server's.
    pub(super) async fn remove_held(&self, path: &str) -> Result<bool, SftpTrouble> {
        self.pool().run(true, |link| async move { self.check_lock(&link).await }).await?;
        self.remove(path).await
    }

    /// Creates an empty file, which nobody else knows of.
    ///
    /// # Errors
    /// The server's.
    pub(super) async fn create_empty(&self, path: &str) -> Result<(), SftpTrouble> {
        self.ensure_dir(parent(path)).await?;
        let created = self.pool().run(true, |link| async move {
            let file = self.open_to_write(path, true, &link).await?;
            self.check_lock(&link).await?;
            file.close().await
        });
        match created.await {
            Err(SftpTrouble::Missing) => {
                self.forget(parent(path));
                self.ensure_dir(parent(path)).await?;
                self.pool()
                    .run(true, |link| async move { self.open_to_write(path, true, &link).await?.close().await })
                    .await
            }
            created => created,
        }
    }

    /// Writes at a place of an existing file, durable as far as the server can.
    ///
    /// # Errors
    /// [`SftpTrouble::Missing`], or the server's.
    pub(super) async fn write_at(&self, path: &str, at: u64, pieces: &[Bytes]) -> Result<(), SftpTrouble> {
        let written = self.pool().run(true, |link| async move {
            let file = self.open_to_write(path, false, &link).await?;
            file.write(at, pieces).await?;
            file.sync().await?;
            file.close().await
        });
        written.await
    }

    /// Gives a file of exactly this length its name.
    ///
    /// # Errors
    /// [`SftpTrouble::Missing`], or the server's.
    pub(super) async fn place_parts(
        &self,
        from: &str,
        to: &str,
        len: u64,
        modified: SystemTime,
    ) -> Result<RemoteMeta, SftpTrouble> {
        let finished = self.pool().run(true, |link| async move {
            let file = self.open_to_write(from, false, &link).await?;
            let found = file.meta().await?;
            // What is behind the last part is left of a part that was written twice.
            if found.len > len {
                file.cut(len).await?;
            } else if found.len < len {
                return Err(SftpTrouble::Failed(format!("{} of {len} bytes were written", found.len)));
            }
            self.finish(file, from, modified).await
        });
        let meta = finished.await?;
        self.place_file(from, to, PutMode::Replace).await?;
        Ok(meta)
    }

    /// Copies a file; `None` if there is none.
    ///
    /// # Errors
    /// The server's.
    pub(super) async fn copy(
        &self,
        from: &str,
        to: &str,
        modified: SystemTime,
    ) -> Result<Option<RemoteMeta>, SftpTrouble> {
        self.ensure_dir(TEMPORARY).await?;
        let temporary = format!("{TEMPORARY}/{}", world::uuid());
        let offers = self.offers().await?;
        let copied = self.pool().run(true, |link| {
            let temporary = &temporary;
            async move {
                // Files are never changed, only replaced: two names may share one.
                if offers.hardlink {
                    match link.session.hardlink(self.at(from), self.at(temporary)).await.map_err(SftpTrouble::from) {
                        Ok(_) => {}
                        // Of an attempt whose answer was lost, or a server that does not do what it offers.
                        Err(SftpTrouble::Failed(_)) => self.copy_bytes(&link, from, temporary).await?,
                        Err(trouble) => return Err(trouble),
                    }
                } else {
                    self.copy_bytes(&link, from, temporary).await?;
                }
                let file = self.open_to_write(temporary, false, &link).await?;
                self.finish(file, temporary, modified).await
            }
        });
        let copied = match copied.await {
            Ok(meta) => self.place_file(&temporary, to, PutMode::Replace).await.map(|_| Some(meta)),
            Err(SftpTrouble::Missing) => Ok(None),
            Err(trouble) => Err(trouble),
        };
        if copied.is_err() {
            // What stays is removed with other old temporary files.
            let _ = self.remove(&temporary).await;
        }
        copied
    }

    async fn copy_bytes(&self, link: &Arc<SftpLink>, from: &str, to: &str) -> Result<(), SftpTrouble> {
        let (reader, _) = self.open(from, 0, 0).await?.ok_or(SftpTrouble::Missing)?;
        let file = self.create_again(to, link).await?;
        let mut pieces = pin!(reader.read(0, reader.meta.len));
        let (mut at, mut waiting, mut len) = (0, Vec::new(), 0);
        while let Some(piece) = pieces.try_next().await? {
            len += piece.len();
            waiting.push(piece);
            if len >= COPIED_AT_ONCE {
                file.write(at, &waiting).await?;
                at += len as u64;
                (waiting, len) = (Vec::new(), 0);
            }
        }
        file.write(at, &waiting).await?;
        closed(file).await
    }
}

async fn closed(file: RemoteFile) -> Result<(), SftpTrouble> {
    file.sync().await?;
    file.close().await
}
