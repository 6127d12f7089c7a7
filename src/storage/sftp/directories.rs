//! Directories of the server.

use super::{
    RemoteEntry, RemoteMeta, SftpRemote, SftpTrouble,
    link::SftpLink,
    remote::{found_or_none, parent},
};
use futures_util::future::join_all;
use russh_sftp::{
    client::error::Error as SftpError,
    protocol::{FileAttributes, OpenFlags, StatusCode},
};
use std::sync::Arc;

/// Requests of one listing that are under way.
const PAGES_AT_ONCE: usize = 4;
/// How many directories are remembered before the memory is cleared.
const MOST_KNOWN: usize = 65_536;

impl SftpRemote {
    /// The entries of a directory in byte order of their names; none if there is no such directory.
    ///
    /// # Errors
    /// The server's.
    pub async fn list(&self, dir: &str) -> Result<Vec<RemoteEntry>, SftpTrouble> {
        let path = self.at(dir);
        let listed = self.pool.run(true, |link| {
            let path = path.clone();
            async move { list(&link, path).await }
        });
        let mut entries = found_or_none(listed.await)?.unwrap_or_default();
        entries.sort_unstable_by(|a, b| a.name.as_bytes().cmp(b.name.as_bytes()));
        Ok(entries)
    }

    /// Creates a directory and those above it, durable as far as the server can.
    ///
    /// # Errors
    /// The server's.
    pub async fn ensure_dir(&self, dir: &str) -> Result<(), SftpTrouble> {
        if dir.is_empty() || dir == "." || self.known().contains(dir) {
            return Ok(());
        }
        let above = parent(dir);
        Box::pin(self.ensure_dir(above)).await?;
        match self.make_dir(self.at(dir)).await {
            // Somebody removed it since it was last seen.
            Err(SftpTrouble::Missing) if !above.is_empty() => {
                self.forget(above);
                Box::pin(self.ensure_dir(above)).await?;
                self.make_dir(self.at(dir)).await?;
            }
            made => made?,
        }
        self.sync_dir(above).await?;
        let mut known = self.known();
        if known.len() >= MOST_KNOWN {
            known.clear();
        }
        known.insert(dir.to_owned());
        Ok(())
    }

    /// Creates the root and the directories above it.
    ///
    /// # Errors
    /// The server's.
    pub(super) async fn make_dirs_to_root(&self) -> Result<(), SftpTrouble> {
        for (place, _) in self.root.match_indices('/').skip_while(|(place, _)| *place == 0) {
            let above = self.root.get(..place).unwrap_or_default();
            // A directory above the root need not be ours to create or even to see.
            let _ = self.make_dir(above.to_owned()).await;
        }
        self.make_dir(self.root.clone()).await
    }

    async fn make_dir(&self, path: String) -> Result<(), SftpTrouble> {
        let made = self.pool.run(true, |link| {
            let path = path.clone();
            async move {
                let attributes = FileAttributes { permissions: Some(0o750), ..FileAttributes::default() };
                match link.session.mkdir(path.clone(), attributes).await {
                    Ok(_) => Ok(()),
                    // Servers do not say that it exists.
                    Err(error) => match link.session.stat(path).await {
                        Ok(found) if found.attrs.file_type().is_dir() => Ok(()),
                        Ok(_) => Err(SftpTrouble::Failed("a file is where a directory should be".into())),
                        Err(_) => Err(error.into()),
                    },
                }
            }
        });
        made.await
    }

    /// Removes an empty directory; `false` if that is not possible.
    ///
    /// # Errors
    /// There is no connection.
    pub async fn remove_dir(&self, dir: &str) -> Result<bool, SftpTrouble> {
        self.forget(dir);
        let path = self.at(dir);
        let removed = self.pool.run(true, |link| {
            let path = path.clone();
            async move { Ok(link.session.rmdir(path).await?) }
        });
        match removed.await {
            Ok(_) => Ok(true),
            Err(trouble) if trouble.is_lost() => Err(trouble),
            Err(_) => Ok(false),
        }
    }

    /// Makes the names in a directory durable. SFTP has no call for that, but OpenSSH opens a directory like a file, and
    /// syncs it. Where a server does not, its file system decides when names are durable.
    ///
    /// # Errors
    /// There is no connection.
    pub async fn sync_dir(&self, dir: &str) -> Result<(), SftpTrouble> {
        let path = self.at(dir);
        self.pool.run(true, |link| sync_dir(link, path.clone())).await.map(drop)
    }

    /// Whether the server makes names durable.
    ///
    /// # Errors
    /// There is no connection.
    pub async fn syncs_dirs(&self) -> Result<bool, SftpTrouble> {
        let path = self.at("");
        self.pool.run(true, |link| sync_dir(link, path.clone())).await
    }

    /// Forgets a directory, and those below it, that may have been removed.
    pub fn forget(&self, dir: &str) {
        let below = format!("{dir}/");
        self.known().retain(|known| known != dir && !known.starts_with(&below));
    }
}

async fn list(link: &Arc<SftpLink>, path: String) -> Result<Vec<RemoteEntry>, SftpTrouble> {
    let handle = link.session.opendir(path).await?.handle;
    let mut entries = Vec::new();
    let mut at_once = 1;
    let listed: Result<_, SftpTrouble> = 'pages: loop {
        for page in join_all((0..at_once).map(|_| link.session.readdir(handle.clone()))).await {
            match page {
                Ok(page) => entries.extend(
                    page.files
                        .iter()
                        .filter(|file| !matches!(&*file.filename, "." | ".."))
                        .map(|file| RemoteEntry { name: file.filename.clone(), meta: RemoteMeta::from(&file.attrs) }),
                ),
                Err(SftpError::Status(status)) if status.status_code == StatusCode::Eof => break 'pages Ok(entries),
                Err(error) => break 'pages Err(error.into()),
            }
        }
        at_once = PAGES_AT_ONCE;
    };
    let closed = link.session.close(handle).await;
    let entries = listed?;
    closed?;
    Ok(entries)
}

async fn sync_dir(link: Arc<SftpLink>, path: String) -> Result<bool, SftpTrouble> {
    if !link.offers.fsync {
        return Ok(false);
    }
    let file = match link.open(&path, OpenFlags::READ, None).await {
        Ok(file) => file,
        Err(trouble) if trouble.is_lost() => return Err(trouble),
        Err(_) => return Ok(false),
    };
    let synced = link.session.fsync(file.handle.clone()).await.map_err(SftpTrouble::from);
    file.close().await?;
    match synced {
        Ok(_) => Ok(true),
        Err(trouble) if trouble.is_lost() => Err(trouble),
        Err(_) => Ok(false),
    }
}
