//! The files of the cache: `blobs/<alg>/<hh>/<hex>.<length>`, and temporary ones until they are whole.

use crate::{
    files::{AtomicFiles, FileKind, Real, Sys, absent, atomic::TEMPORARY},
    storage::Item,
};
use bytes::Bytes;
use oci::Digest;
use std::{io, path::Path, sync::Arc, time::SystemTime};

/// The file that a process locks as long as it uses the cache.
const LOCK: &str = "lock";
/// What is in the cache.
const BLOBS: &str = "blobs";
/// A cache leaves this much of its file system free: others may need it.
const LEFT_FREE: u64 = 64 << 20;

/// The directory of a cache, which this process has for itself.
pub(super) struct CacheFiles {
    files: AtomicFiles<Real>,
    _lock: Box<dyn Send + Sync>,
}

/// A file that an earlier process left whole.
pub(super) struct CachedFile {
    pub(super) digest: Digest,
    pub(super) len: u64,
    pub(super) used: SystemTime,
}

/// A file that is being written, open once for writing and once for reading.
pub(super) struct GrowingFile {
    path: String,
    writer: std::fs::File,
    pub(super) reader: Arc<std::fs::File>,
}

impl CacheFiles {
    /// Opens the directory, which is created if need be, and finds what is in it.
    pub(super) fn open(dir: &Path) -> io::Result<(Self, Vec<CachedFile>)> {
        Real::make_root(dir)?;
        let files = AtomicFiles::new(Real::open_root(dir)?);
        files.ensure_dirs([BLOBS, "state", TEMPORARY].map(str::to_owned).into_iter())?;
        if absent(files.sys().meta(LOCK))?.is_none() {
            files.make_growing(LOCK, &Bytes::new())?;
        }
        let in_use = || io::Error::new(io::ErrorKind::WouldBlock, "another process uses it");
        let lock = files.sys().try_lock(LOCK)?.ok_or_else(in_use)?;
        let cache = Self { files, _lock: lock };
        // What a process that ended was writing.
        for (name, _) in cache.names(TEMPORARY)? {
            absent(cache.files.sys().unlink(&format!("{TEMPORARY}/{name}")))?;
        }
        let found = cache.scan()?;
        Ok((cache, found))
    }

    fn names(&self, dir: &str) -> io::Result<Vec<(String, FileKind)>> {
        let mut names = Vec::new();
        self.files.sys().read_dir(dir, &mut |name, kind| {
            names.push((name.to_owned(), kind));
            true
        })?;
        Ok(names)
    }

    fn directories(&self, dir: &str) -> io::Result<Vec<String>> {
        let names = self.names(dir)?.into_iter().filter(|(_, kind)| *kind == FileKind::Directory);
        Ok(names.map(|(name, _)| format!("{dir}/{name}")).collect())
    }

    fn scan(&self) -> io::Result<Vec<CachedFile>> {
        let mut found = Vec::new();
        for algorithm in self.directories(BLOBS)? {
            for dir in self.directories(&algorithm)? {
                for (name, _) in self.names(&dir)? {
                    let path = format!("{dir}/{name}");
                    let Some(meta) = absent(self.files.sys().meta(&path))? else { continue };
                    match named(&algorithm, &name).filter(|(_, len)| *len == meta.len && meta.kind == FileKind::File) {
                        Some((digest, len)) => found.push(CachedFile { digest, len, used: meta.modified }),
                        // Cut off, or something else: nothing would ever read or count it.
                        None if meta.kind == FileKind::File => absent(self.files.sys().unlink(&path)).map(drop)?,
                        None => {}
                    }
                }
            }
        }
        Ok(found)
    }

    /// Opens a file; [`io::ErrorKind::InvalidData`] if it does not have its length.
    pub(super) fn read(&self, digest: &Digest, len: u64) -> io::Result<Arc<std::fs::File>> {
        let file = self.files.sys().open(&path(digest, len))?;
        match self.files.sys().file_meta(&file)?.len == len {
            true => Ok(Arc::new(file)),
            false => Err(io::Error::new(io::ErrorKind::InvalidData, "a file of the cache has another length")),
        }
    }

    /// Notes that a file was used, for the next process.
    pub(super) fn touch(&self, digest: &Digest, len: u64) -> io::Result<()> {
        self.files.sys().touch(&path(digest, len))
    }

    pub(super) fn remove(&self, digest: &Digest, len: u64) -> io::Result<()> {
        absent(self.files.sys().unlink(&path(digest, len))).map(drop)
    }

    /// Begins a file for so many bytes.
    pub(super) fn create(&self, len: u64) -> io::Result<GrowingFile> {
        let sys = self.files.sys();
        if sys.space()?.free_bytes < len.saturating_add(LEFT_FREE) {
            return Err(io::Error::new(io::ErrorKind::StorageFull, "the file system is almost full"));
        }
        let path = self.files.temporary();
        self.files.make_growing(&path, &Bytes::new())?;
        let opened = || Ok((sys.open_rw(&path)?, Arc::new(sys.open(&path)?)));
        match opened() {
            Ok((writer, reader)) => Ok(GrowingFile { path, writer, reader }),
            Err(error) => {
                let _ = sys.unlink(&path);
                Err(error)
            }
        }
    }

    pub(super) fn write(&self, file: &GrowingFile, bytes: Bytes, at: u64) -> io::Result<()> {
        self.files.sys().write_at(&file.writer, &[bytes], at)
    }

    /// Gives a file whose bytes were compared with the digest its name. They are durable before: a name never leads to
    /// bytes that a power failure cut off.
    pub(super) fn finish(&self, file: &GrowingFile, digest: &Digest, len: u64) -> io::Result<()> {
        self.files.sys().sync_data(&file.writer)?;
        self.files.rename(&file.path, &path(digest, len))
    }

    /// Removes a file that did not become whole.
    pub(super) fn discard(&self, file: &GrowingFile) {
        if let Err(error) = absent(self.files.sys().unlink(&file.path)) {
            tracing::warn!(%error, "cannot remove a temporary file of the cache");
        }
    }
}

fn path(digest: &Digest, len: u64) -> String {
    format!("{}.{len}", Item::Blob(digest.clone()).path())
}

/// The digest and length that a name says.
fn named(algorithm: &str, name: &str) -> Option<(Digest, u64)> {
    let (hex, len) = name.split_once('.')?;
    let (_, algorithm) = algorithm.rsplit_once('/')?;
    Some((format!("{algorithm}:{hex}").parse().ok()?, len.parse().ok()?))
}
