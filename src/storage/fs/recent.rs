//! Small files that were read recently, kept in memory.
//!
//! Files in the system's page cache are read directly. Where the file system cannot tell what is cached (tmpfs,
//! overlayfs, NFS), another thread reads a file, once for as long as it is kept here.
//!
//! A cached file is used only while its path still leads to the very file that was read, unchanged: another process may
//! have moved, replaced or removed it. The file is held open, so that no other file can get its inode number, and so
//! that the kernel keeps the names on its path in memory: the check does not wait for a disk.
//!
//! The open file is checked every time, and shows every change of itself and its names. Only the path shows whether a
//! directory above was moved, which our own code never does; it is checked from time to time.

use super::FsInner;
use crate::{
    files::{self, Stamp, Sys, world},
    storage::{
        Result,
        content::{DigestCheck, checked},
        key,
    },
};
use bytes::Bytes;
use oci::Digest;
use quick_cache::{Weighter, sync::Cache};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

/// Longer files are not kept: another thread reads them every time.
const SMALL: u64 = 64 << 10;

/// A short file counts as at least this long, to limit how many are held open.
const LEAST: u64 = 4 << 10;

/// Size of the cache in units of [`LEAST`], and so the most files held open: 8 MiB.
const MOST: usize = 2048;

/// For so many milliseconds a path is trusted to lead to the same file, unless the file shows a change.
const BELIEVED: u64 = 100;

/// A file that was changed longer ago than this gets another time when it changes again: more than one tick of the
/// clock that Linux takes file times from.
const STEP: Duration = Duration::from_millis(20);

/// The fraction of the files that may be open which this cache may use.
const SHARE: u64 = 16;

/// Small files by their paths.
pub(super) struct Recent<F>(Cache<String, Arc<Small<F>>, Length>);

/// A small file.
pub(super) struct Small<F> {
    stamp: Stamp,
    pub(super) bytes: Bytes,
    pub(super) modified: SystemTime,
    file: F,
    /// When its path last led to it, in milliseconds since startup; zero for never.
    in_place: AtomicU64,
    /// The bytes were checked and match their digest.
    is_checked: AtomicBool,
}

#[derive(Clone)]
struct Length;

impl<F> Weighter<String, Arc<Small<F>>> for Length {
    fn weight(&self, _: &String, small: &Arc<Small<F>>) -> u64 {
        (small.bytes.len() as u64).max(LEAST)
    }
}

impl<F> Default for Recent<F> {
    fn default() -> Self {
        let bearable = files::descriptor_limit().map_or(usize::MAX, |limit| (limit / SHARE) as usize);
        let most = MOST.min(bearable).max(1);
        Self(Cache::with_weighter(most, most as u64 * LEAST, Length))
    }
}

impl<F> Small<F> {
    /// The bytes, if they match the digest in their path; checked once.
    pub(super) fn checked(&self, digest: &Digest, check: DigestCheck) -> Result<Bytes> {
        if !self.is_checked.load(Ordering::Relaxed) {
            checked(digest, &self.bytes, check)?;
            self.is_checked.store(true, Ordering::Relaxed);
        }
        Ok(self.bytes.clone())
    }
}

impl<S: Sys> FsInner<S> {
    /// The value at a path if it is small and in memory: most are, and a switch to another thread costs more than the
    /// read. `None` does not mean that nothing is there.
    pub(super) fn fact_now(&self, path: &str) -> Option<Arc<Small<S::File>>> {
        self.small_now(path, |small| self.is_in_place(path, small))
    }

    /// Like [`Self::fact_now`], for a blob, whose bytes are right wherever it is.
    pub(super) fn bytes_now(&self, digest: &Digest) -> Option<Arc<Small<S::File>>> {
        self.small_now(&key::blob(digest), |_| true)
    }

    /// Whether its path still leads to the unchanged file.
    fn is_in_place(&self, path: &str, small: &Small<S::File>) -> bool {
        let now = world::uptime().as_millis() as u64;
        let seen = small.in_place.load(Ordering::Relaxed);
        if seen > 0 && now.saturating_sub(seen) < BELIEVED {
            return true;
        }
        // Before the path is checked: any later change of the file shows.
        let tells = self.sys().detects_moves(&small.stamp) && small.stamp.is_older_than(STEP);
        let is_in_place = self.sys().stamp(path) == Some(small.stamp);
        if tells && is_in_place {
            small.in_place.store(now, Ordering::Relaxed);
        }
        is_in_place
    }

    fn small_now(&self, path: &str, counts: impl Fn(&Small<S::File>) -> bool) -> Option<Arc<Small<S::File>>> {
        if let Some(small) = self.recent.0.get(path) {
            if self.sys().stamp_of(&small.file) == Some(small.stamp) && counts(&small) {
                return Some(small);
            }
            self.recent.0.remove(path);
        }
        let (file, meta, stamp) = self.sys().open_now(path)?;
        if meta.len > SMALL {
            return None;
        }
        let mut bytes = vec![0; meta.len as usize];
        if !bytes.is_empty() && self.sys().read_now(&file, &mut bytes) != bytes.len() {
            return None;
        }
        Some(self.keep(path, file, stamp, bytes.into(), meta.modified))
    }

    /// Reads a file, and keeps it if it is small; may block. `None` does not mean that nothing is there.
    pub(super) fn small_kept(&self, path: &str) -> Option<Arc<Small<S::File>>> {
        // First, so that any change during the read shows.
        let stamp = self.sys().stamp(path)?;
        let file = self.sys().open(path).ok()?;
        let meta = self.sys().file_meta(&file).ok()?;
        if stamp.len > SMALL || self.sys().stamp_of(&file) != Some(stamp) {
            return None;
        }
        let mut bytes = vec![0; stamp.len as usize];
        let read = self.sys().read_at(&file, &mut bytes, 0).ok()?;
        (read == bytes.len()).then(|| self.keep(path, file, stamp, bytes.into(), meta.modified))
    }

    fn keep(&self, path: &str, file: S::File, stamp: Stamp, bytes: Bytes, modified: SystemTime) -> Arc<Small<S::File>> {
        let (in_place, is_checked) = (AtomicU64::new(0), AtomicBool::new(false));
        let small = Arc::new(Small { stamp, bytes, modified, file, in_place, is_checked });
        self.recent.0.insert(path.to_owned(), small.clone());
        small
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        files::Real,
        storage::fs::{Fs, Init},
    };
    use std::{fs, path::Path};

    fn store(dir: &Path) -> Fs<Real> {
        Fs::open(dir, Init::EmptyDirectory).unwrap().0
    }

    #[cfg(not(portable))]
    fn now(store: &Fs<Real>) -> Option<Vec<u8>> {
        // The kernel drops names from its memory now and then.
        let found = (0..100).find_map(|_| store.inner.fact_now("state/x"));
        found.or_else(|| store.inner.small_kept("state/x")).map(|small| small.bytes.to_vec())
    }

    /// Directories on a disk, and on a file system that cannot tell what is cached.
    #[cfg(not(portable))]
    fn directories() -> Vec<tempfile::TempDir> {
        let memory = tempfile::tempdir_in("/dev/shm").ok();
        [tempfile::tempdir().ok(), memory].into_iter().flatten().collect()
    }

    #[test]
    #[cfg(not(portable))]
    fn changes_by_another_process_are_seen() {
        // At once, while the file system's clock may show the same time; and while the path is trusted.
        let times = || [Duration::ZERO, STEP * 2];
        for (dir, pause) in directories().into_iter().zip(times()).chain(directories().into_iter().rev().zip(times())) {
            let store = store(dir.path());
            let path = dir.path().join("state/x");
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            // Reads the current value often enough for the path to be trusted.
            let now = || {
                let found = now(&store);
                std::thread::sleep(pause);
                assert_eq!((now(&store), now(&store)), (found.clone(), found.clone()));
                let small = store.inner.recent.0.get("state/x");
                let believed = small.is_some_and(|small| small.in_place.load(Ordering::Relaxed) > 0);
                assert_eq!(believed, found.is_some() && !pause.is_zero());
                found
            };
            fs::write(&path, "first").unwrap();
            now();
            let first = store.inner.fact_now("state/x").expect("what was written a moment ago is in memory");
            let again = store.inner.fact_now("state/x").unwrap();
            assert_eq!(first.bytes.as_ptr(), again.bytes.as_ptr(), "it was read twice");

            // Another file, of the same length.
            fs::write(dir.path().join("state/y"), "other").unwrap();
            fs::rename(dir.path().join("state/y"), &path).unwrap();
            assert_eq!(now().as_deref(), Some(b"other".as_slice()));

            // The same file, changed in place. The clock of a file system may stand for some milliseconds.
            std::thread::sleep(STEP);
            fs::write(&path, "OTHER").unwrap();
            assert_eq!(now().as_deref(), Some(b"OTHER".as_slice()));

            // Moved away, and back.
            fs::rename(&path, dir.path().join("state/z")).unwrap();
            assert_eq!(now(), None);
            fs::rename(dir.path().join("state/z"), &path).unwrap();
            assert_eq!(now().as_deref(), Some(b"OTHER".as_slice()));

            // Another name of the same file, and this one gone.
            fs::hard_link(&path, dir.path().join("state/z")).unwrap();
            assert_eq!(now().as_deref(), Some(b"OTHER".as_slice()));
            fs::remove_file(&path).unwrap();
            assert_eq!(now(), None);
            fs::rename(dir.path().join("state/z"), &path).unwrap();
            assert_eq!(now().as_deref(), Some(b"OTHER".as_slice()));

            // Its directory is moved, which does not change the file itself.
            fs::rename(dir.path().join("state"), dir.path().join("elsewhere")).unwrap();
            std::thread::sleep(Duration::from_millis(if pause.is_zero() { 0 } else { BELIEVED }));
            assert_eq!(now(), None);
            fs::rename(dir.path().join("elsewhere"), dir.path().join("state")).unwrap();

            // A file that is too long to be kept, and none.
            fs::write(&path, vec![1; SMALL as usize + 1]).unwrap();
            assert_eq!(now(), None);
            fs::remove_file(&path).unwrap();
            assert_eq!(now(), None);
            assert_eq!(store.inner.recent.0.len(), 0, "it is still held open");
        }
    }

    #[tokio::test]
    #[cfg(not(portable))]
    async fn files_that_are_read_often_are_read_from_disk_once() {
        use crate::storage::{Content as _, Durability, FactKey, Facts as _, Put, Verified};
        use oci::{Algorithm, Hasher};
        for dir in directories() {
            let store = store(dir.path());
            let tag = FactKey::Tag("app".parse().unwrap(), "v1".parse().unwrap());
            store.put(vec![Put::any(tag.clone(), "a digest")], Durability::Process).await.unwrap();
            let digest = Hasher::digest(Algorithm::Sha256, b"a manifest");
            store.put_blob(&Verified::vouch(digest.clone(), 10), "a manifest".into()).await.unwrap();
            let read = async || {
                let fact = store.get(&tag).await.unwrap().unwrap().bytes;
                (fact, store.read(&digest, |_, bytes| bytes == "a manifest").await.unwrap().unwrap())
            };
            let (first, second) = (read().await, read().await);
            assert_eq!((first.0.as_ptr(), first.1.as_ptr()), (second.0.as_ptr(), second.1.as_ptr()), "{dir:?}");
            // The file is checked every time.
            fs::remove_file(dir.path().join(tag.path())).unwrap();
            fs::remove_file(dir.path().join(key::blob(&digest))).unwrap();
            assert!(store.get(&tag).await.unwrap().is_none());
            assert!(store.read(&digest, |_, _| true).await.unwrap().is_none());
        }
    }

    #[test]
    fn only_a_few_files_are_kept_open() {
        let dir = tempfile::tempdir().unwrap();
        let store = store(dir.path());
        fs::create_dir_all(dir.path().join("state")).unwrap();
        for i in 0..3 * MOST {
            fs::write(dir.path().join(format!("state/{i}")), "x").unwrap();
            store.inner.fact_now(&format!("state/{i}"));
            store.inner.small_kept(&format!("state/{i}"));
        }
        assert!(store.inner.recent.0.len() <= MOST, "{}", store.inner.recent.0.len());
    }
}
