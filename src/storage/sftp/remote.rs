//! Files below one directory of an SFTP server.

use super::{
    SftpOffers, SftpPool, SftpSettings, SftpTrouble, WriterLock,
    link::{RemoteFile, SftpLink},
    transfer::{RemoteReader, read_piece},
};
use crate::files::{FileKind, Space};
use bytes::Bytes;
use futures_util::TryStreamExt as _;
use russh_sftp::{
    client::error::Error as SftpError,
    protocol::{FileAttributes, FileType, OpenFlags, Packet, StatusCode},
};
use std::{
    collections::HashSet,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, SystemTime},
};

/// What is read of a file before its size is known.
const SMALL: u64 = 64 << 10;

/// What a directory of the server contains.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteEntry {
    pub name: String,
    pub meta: RemoteMeta,
}

/// What the server says about a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RemoteMeta {
    pub len: u64,
    pub kind: FileKind,
    pub modified: SystemTime,
}

impl From<&FileAttributes> for RemoteMeta {
    fn from(attributes: &FileAttributes) -> Self {
        let seconds = u64::from(attributes.mtime.unwrap_or_default());
        Self {
            len: attributes.size.unwrap_or_default(),
            kind: match attributes.file_type() {
                FileType::File => FileKind::File,
                FileType::Dir => FileKind::Directory,
                FileType::Symlink | FileType::Other => FileKind::Other,
            },
            modified: SystemTime::UNIX_EPOCH + Duration::from_secs(seconds),
        }
    }
}

/// Files below one directory of an SFTP server. Paths are relative to it, and made by this program.
pub struct SftpRemote {
    pub(super) pool: SftpPool,
    pub(super) root: String,
    /// Directories that exist and were made durable as far as the server can.
    known: Mutex<HashSet<String>>,
    /// The server offers hard links, and fails to make them.
    lacks_links: AtomicBool,
    /// A file that is written at a place loses what it had.
    lacks_parts: AtomicBool,
    /// The right to write. Without one, nobody asks for it: only the lock itself is written then.
    lock: OnceLock<WriterLock>,
}

/// The directory of what belongs to this program and not to the store, such as temporary files.
pub(super) const OWN: &str = ".wharfinger";

impl SftpRemote {
    pub fn new(settings: SftpSettings) -> Self {
        let root = match settings.root.trim_end_matches('/') {
            "" if settings.root.starts_with('/') => String::new(),
            "" => ".".to_owned(),
            root => root.to_owned(),
        };
        Self {
            pool: SftpPool::new(settings),
            root,
            known: Mutex::default(),
            lacks_links: AtomicBool::new(false),
            lacks_parts: AtomicBool::new(false),
            lock: OnceLock::new(),
        }
    }

    pub fn pool(&self) -> &SftpPool {
        &self.pool
    }

    /// From now on, nothing appears or disappears without this lock.
    pub fn hold(&self, lock: WriterLock) {
        let _ = self.lock.set(lock);
    }

    /// The lock that is held.
    pub fn lock(&self) -> Option<&WriterLock> {
        self.lock.get()
    }

    /// Fails if there is a lock and it is lost.
    pub(super) async fn check_lock(&self, link: &Arc<SftpLink>) -> Result<(), SftpTrouble> {
        match self.lock.get() {
            Some(lock) => lock.check(self, link).await,
            None => Ok(()),
        }
    }

    /// The path on the server.
    pub(super) fn at(&self, path: &str) -> String {
        if path.is_empty() || path == "." { format!("{}/.", self.root) } else { format!("{}/{path}", self.root) }
    }

    /// What the server can do, as told by a connection.
    ///
    /// # Errors
    /// There is no connection.
    pub async fn offers(&self) -> Result<SftpOffers, SftpTrouble> {
        let offers = self.pool.run(true, |link| async move { Ok(link.offers) }).await?;
        Ok(SftpOffers { hardlink: offers.hardlink && !self.lacks_links.load(Ordering::Relaxed), ..offers })
    }

    /// Whether a file can be written in parts.
    pub(super) fn has_parts(&self) -> bool {
        !self.lacks_parts.load(Ordering::Relaxed)
    }

    /// From now on, files are written at once.
    pub(super) fn do_without_parts(&self) {
        self.lacks_parts.store(true, Ordering::Relaxed);
    }

    /// From now on, hard links are not tried any more.
    pub(super) fn do_without_links(&self) {
        self.lacks_links.store(true, Ordering::Relaxed);
    }

    /// The file's size and time; `None` if there is none.
    ///
    /// # Errors
    /// The server's.
    pub async fn meta(&self, path: &str) -> Result<Option<RemoteMeta>, SftpTrouble> {
        let path = self.at(path);
        let found = self.pool.run(true, |link| {
            let path = path.clone();
            async move { Ok(RemoteMeta::from(&link.session.lstat(path).await?.attrs)) }
        });
        found_or_none(found.await)
    }

    /// Opens a file for reading, and reads at most `len` bytes from a place; `None` if there is none.
    ///
    /// # Errors
    /// The server's.
    pub async fn open(&self, path: &str, start: u64, len: u64) -> Result<Option<(RemoteReader, Bytes)>, SftpTrouble> {
        let path = self.at(path);
        let opened = self.pool.run(true, |link| {
            let path = path.clone();
            async move {
                let file = link.open(&path, OpenFlags::READ, None).await?;
                let piece = len.min(link.read_len.into()) as u32;
                let (meta, first) = tokio::join!(file.meta(), read_piece(&file, start, piece));
                Ok((RemoteReader::new(file, meta?), first?))
            }
        });
        found_or_none(opened.await)
    }

    /// All bytes of a small file; `None` if there is none.
    ///
    /// # Errors
    /// The server's.
    pub async fn read(&self, path: &str) -> Result<Option<(Bytes, RemoteMeta)>, SftpTrouble> {
        let Some((reader, first)) = self.open(path, 0, SMALL).await? else { return Ok(None) };
        let rest = reader.meta.len.saturating_sub(first.len() as u64);
        if rest == 0 {
            return Ok(Some((first, reader.meta)));
        }
        let rest: Vec<Bytes> = reader.read(first.len() as u64, rest).try_collect().await?;
        let bytes: Vec<u8> = std::iter::once(first).chain(rest).flatten().collect();
        Ok(Some((bytes.into(), reader.meta)))
    }

    /// Creates a file that must not exist yet, for writing.
    ///
    /// # Errors
    /// The server's.
    pub(super) async fn create(&self, path: &str, link: &Arc<SftpLink>) -> Result<RemoteFile, SftpTrouble> {
        let flags = OpenFlags::WRITE | OpenFlags::CREATE | OpenFlags::EXCLUDE;
        link.open(&self.at(path), flags, Some(0o640)).await
    }

    /// Opens a file for writing at any place, and creates it if that is asked for.
    ///
    /// # Errors
    /// The server's.
    pub(super) async fn open_to_write(
        &self,
        path: &str,
        create: bool,
        link: &Arc<SftpLink>,
    ) -> Result<RemoteFile, SftpTrouble> {
        let flags = OpenFlags::READ | OpenFlags::WRITE;
        let flags = if create { flags | OpenFlags::CREATE } else { flags };
        link.open(&self.at(path), flags, Some(0o640)).await
    }

    /// Removes a file; `false` if there was none.
    ///
    /// # Errors
    /// The server's.
    pub async fn remove(&self, path: &str) -> Result<bool, SftpTrouble> {
        let path = self.at(path);
        let removed = self.pool.run(true, |link| {
            let path = path.clone();
            async move { Ok(link.session.remove(path).await?) }
        });
        Ok(found_or_none(removed.await)?.is_some())
    }

    /// Moves a file over whatever is there, in one step if the server can.
    ///
    /// # Errors
    /// The server's. The effect is unknown if the connection was lost.
    pub async fn rename(&self, from: &str, to: &str) -> Result<(), SftpTrouble> {
        let (from, to) = (self.at(from), self.at(to));
        self.pool.run(false, |link| rename(link, from.clone(), to.clone())).await
    }

    /// Moves a file to a name that must not exist; most servers fail without a reason if it does.
    ///
    /// # Errors
    /// The server's. The effect is unknown if the connection was lost.
    pub(super) async fn rename_new(&self, from: &str, to: &str) -> Result<(), SftpTrouble> {
        let (from, to) = (self.at(from), self.at(to));
        let renamed = self.pool.run(false, |link| {
            let (from, to) = (from.clone(), to.clone());
            async move { Ok(link.session.rename(from, to).await?) }
        });
        renamed.await.map(drop)
    }

    /// Gives a file a second name; `false` if that exists.
    ///
    /// # Errors
    /// The server's. The effect is unknown if the connection was lost.
    pub async fn link(&self, from: &str, to: &str) -> Result<bool, SftpTrouble> {
        let (from, to) = (self.at(from), self.at(to));
        let linked = self.pool.run(false, |link| {
            let (from, to) = (from.clone(), to.clone());
            async move { Ok(link.session.hardlink(from, to).await?) }
        });
        match linked.await {
            Ok(_) => Ok(true),
            Err(trouble @ SftpTrouble::Failed(_)) => match self.meta_at(&to).await? {
                Some(_) => Ok(false),
                None => Err(trouble),
            },
            Err(trouble) => Err(trouble),
        }
    }

    async fn meta_at(&self, path: &str) -> Result<Option<RemoteMeta>, SftpTrouble> {
        let found = self.pool.run(true, |link| {
            let path = path.to_owned();
            async move { Ok(RemoteMeta::from(&link.session.lstat(path).await?.attrs)) }
        });
        found_or_none(found.await)
    }

    /// The space on the server's file system; `None` if it does not tell.
    ///
    /// # Errors
    /// The server's.
    pub async fn space(&self) -> Result<Option<Space>, SftpTrouble> {
        let path = self.at("");
        let found = self.pool.run(true, |link| {
            let path = path.clone();
            async move {
                match link.offers.statvfs {
                    true => Ok(Some(link.session.statvfs(path).await?)),
                    false => Ok(None),
                }
            }
        });
        Ok(found.await?.map(|found| {
            let unit = if found.fragment_size == 0 { found.block_size } else { found.fragment_size };
            Space {
                total_bytes: found.blocks.saturating_mul(unit),
                free_bytes: found.blocks_avail.saturating_mul(unit),
                total_inodes: found.inodes,
                free_inodes: found.inodes_avail,
            }
        }))
    }

    pub(super) fn known(&self) -> MutexGuard<'_, HashSet<String>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The directory of a path.
pub(super) fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(parent, _)| parent)
}

pub(super) fn found_or_none<T>(result: Result<T, SftpTrouble>) -> Result<Option<T>, SftpTrouble> {
    match result {
        Ok(found) => Ok(Some(found)),
        Err(SftpTrouble::Missing) => Ok(None),
        Err(trouble) => Err(trouble),
    }
}

async fn rename(link: Arc<SftpLink>, from: String, to: String) -> Result<(), SftpTrouble> {
    if link.offers.posix_rename {
        let mut data = Vec::with_capacity(8 + from.len() + to.len());
        for path in [&from, &to] {
            data.extend_from_slice(&(path.len() as u32).to_be_bytes());
            data.extend_from_slice(path.as_bytes());
        }
        return match link.session.extended("posix-rename@openssh.com", data).await? {
            Packet::Status(status) if status.status_code == StatusCode::Ok => Ok(()),
            Packet::Status(status) => Err(SftpError::from(status).into()),
            _ => Err(SftpError::UnexpectedPacket.into()),
        };
    }
    match link.session.rename(from.clone(), to.clone()).await {
        Ok(_) => Ok(()),
        Err(error) if matches!(SftpTrouble::from(error.clone()), SftpTrouble::Failed(_)) => {
            // Between these two, there is no such file: the probe says so.
            link.session.remove(to.clone()).await?;
            link.session.rename(from, to).await?;
            Ok(())
        }
        Err(error) => Err(error.into()),
    }
}
