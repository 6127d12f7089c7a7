//! Large directories, kept in order in memory to return pages of them: reading and sorting a hundred thousand names for
//! each page of a hundred would be slow.
//!
//! A list is used only while the directory's time is unchanged, and only if that time was some time ago when the list
//! was read: the next change then surely gives the directory another time, however coarse the file system's clock is.
//! Nothing is ever deleted because of a list in memory.

use super::FsInner;
use crate::{
    files::{FileKind, Sys, absent, world},
    storage::{Dir, ListingPage, Result, StorageError},
};
use quick_cache::{Weighter, sync::Cache};
use std::{
    io,
    sync::{Arc, Mutex},
    time::{Duration, SystemTime},
};

/// Directories with fewer names are read each time.
const MANY: usize = 512;

/// Most bytes of all lists together. A directory that exceeds nearly all of this alone is read each time.
const MOST_BYTES: usize = 16 << 20;

/// Lists that are expected. It must be so few that the cache does not divide its bytes among several parts, or a list
/// would have to fit into one of them.
const EXPECTED: usize = 32;

/// A directory that changed within this time may change again without getting another time.
pub(super) const SETTLED: Duration = Duration::from_secs(2);

/// The lists in memory, by the paths of their directories.
pub(super) struct Listings {
    kept: Cache<String, Arc<SortedNames>, ListBytes>,
    /// Held while a large directory is read, so that others wait and share the result.
    reading: Mutex<()>,
}

/// The names of one directory.
struct SortedNames {
    /// The directory's modification time.
    modified: SystemTime,
    text: String,
    /// Where each name is in the text, in byte order of the names.
    names: Vec<(u32, u32)>,
}

impl SortedNames {
    fn name(&self, &(start, end): &(u32, u32)) -> &str {
        &self.text[start as usize..end as usize]
    }

    fn bytes(&self) -> usize {
        self.text.len() + self.names.len() * size_of::<(u32, u32)>()
    }

    fn page(&self, after: Option<&str>, most: usize) -> ListingPage<String> {
        let from = after.map_or(0, |after| self.names.partition_point(|at| self.name(at) <= after));
        let names = self.names[from..].iter().take(most);
        let entries = names.map(|at| self.name(at).to_owned()).collect();
        ListingPage { entries, more: self.names.len() - from > most }
    }
}

#[derive(Clone)]
struct ListBytes;

impl Weighter<String, Arc<SortedNames>> for ListBytes {
    fn weight(&self, _: &String, level: &Arc<SortedNames>) -> u64 {
        level.bytes() as u64
    }
}

impl Default for Listings {
    fn default() -> Self {
        Self { kept: Cache::with_weighter(EXPECTED, MOST_BYTES as u64, ListBytes), reading: Mutex::default() }
    }
}

/// The kind of the names in a directory.
pub(super) fn kind_in(dir: &Dir) -> FileKind {
    match dir.holds_directories() {
        true => FileKind::Directory,
        false => FileKind::File,
    }
}

impl<S: Sys> FsInner<S> {
    /// A page of a directory, from memory if it is known to be unchanged.
    pub(super) fn listing(&self, dir: &Dir, after: Option<&str>, most: usize) -> Result<ListingPage<String>> {
        let path = dir.path();
        let Some(kept) = self.listings.kept.get(&path) else {
            return self.read_level(dir, &path, after, most);
        };
        if self.time_of(&path)? == Some(kept.modified) {
            return Ok(kept.page(after, most));
        }
        let _reading = world::lock(&self.listings.reading);
        match self.listings.kept.get(&path) {
            Some(kept) if self.time_of(&path)? == Some(kept.modified) => Ok(kept.page(after, most)),
            _ => self.read_level(dir, &path, after, most),
        }
    }

    pub(super) fn time_of(&self, path: &str) -> Result<Option<SystemTime>> {
        let meta = absent(self.sys().meta(path)).map_err(|e| StorageError::io("look at", path, e))?;
        Ok(meta.map(|meta| meta.modified))
    }

    fn read_level(&self, dir: &Dir, path: &str, after: Option<&str>, most: usize) -> Result<ListingPage<String>> {
        let nothing = ListingPage { entries: Vec::new(), more: false };
        let Some(modified) = self.time_of(path)? else { return Ok(nothing) };
        let wanted = kind_in(dir);
        let is_settled = world::now().duration_since(modified).is_ok_and(|age| age >= SETTLED);
        let mut level = SortedNames { modified, text: String::new(), names: Vec::new() };
        let mut is_whole = true;
        let read = self.sys().read_dir(path, &mut |name, kind| {
            if kind == wanted && dir.lists(name) {
                let start = level.text.len() as u32;
                level.text.push_str(name);
                level.names.push((start, level.text.len() as u32));
                is_whole = level.bytes() <= MOST_BYTES;
            }
            is_whole
        });
        match read {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(nothing),
            other => other.map_err(|e| StorageError::io("list", path, e))?,
        }
        if !is_whole {
            return self.children(dir, after, most);
        }
        let mut names = std::mem::take(&mut level.names);
        names.sort_unstable_by(|a, b| level.name(a).cmp(level.name(b)));
        level.names = names;
        let page = level.page(after, most);
        if level.names.len() >= MANY && is_settled && self.time_of(path)? == Some(modified) {
            level.text.shrink_to_fit();
            level.names.shrink_to_fit();
            self.listings.kept.insert(path.to_owned(), Arc::new(level));
        }
        Ok(page)
    }

    /// Whether a directory has entries.
    pub(super) fn holds_any(&self, dir: &Dir) -> Result<bool> {
        let (path, wanted) = (dir.path(), kind_in(dir));
        let mut found = false;
        let read = self.sys().read_dir(&path, &mut |name, kind| {
            found = kind == wanted && dir.lists(name);
            !found
        });
        match read {
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
            other => other.map(|()| found).map_err(|e| StorageError::io("list", &path, e)),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::storage::{
        Dir, Facts,
        fs::{Fs, Init},
    };
    use oci::RepositoryName;
    use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, utimensat};
    use std::path::Path;

    /// Sets the time of the last change to some time ago.
    fn settle(dir: &Path, seconds: i64) {
        let time = Timespec { tv_sec: seconds, tv_nsec: 0 };
        let times = Timestamps { last_access: time, last_modification: time };
        utimensat(CWD, dir, &times, AtFlags::empty()).unwrap();
    }

    #[tokio::test]
    async fn pages_of_a_large_directory_match_the_disk_after_every_change() {
        let dir = tempfile::tempdir().unwrap();
        let fs = Fs::open(dir.path(), Init::EmptyDirectory).unwrap().0;
        let tags = dir.path().join("repositories/app/_manifests/tags");
        std::fs::create_dir_all(&tags).unwrap();
        let level = Dir::Tags("app".parse::<RepositoryName>().unwrap());
        let file = |tag: &str| std::fs::write(tags.join(tag), "").unwrap();
        (0..1000).for_each(|i| file(&format!("v{i:04}")));
        let both = async |after: Option<&str>, most| {
            let names = |page: crate::storage::ListingPage<String>| (page.entries, page.more);
            let shown = names(fs.listing(&level, after, most).await.unwrap());
            assert_eq!(shown, names(fs.children(&level, after, most).await.unwrap()), "{after:?} {most}");
            shown
        };
        let is_kept = || fs.inner.listings.kept.get(&level.path()).is_some();
        assert_eq!(both(Some("v0998"), 5).await, (vec!["v0999".to_owned()], false));
        assert!(!is_kept(), "it has just been changed");
        settle(&tags, 1_000_000);
        for (after, most) in [(None, 3), (Some("v05"), 2), (Some("v0500"), 499), (Some("v0500"), 500), (Some("w"), 1)] {
            both(after, most).await;
        }
        assert!(is_kept());
        file("v0500a");
        assert_eq!(both(Some("v0500"), 1).await, (vec!["v0500a".to_owned()], true));
        settle(&tags, 2_000_000);
        both(None, 10).await;
        std::fs::remove_file(tags.join("v0003")).unwrap();
        assert_eq!(both(Some("v0002"), 1).await, (vec!["v0004".to_owned()], true));
        settle(&tags, 3_000_000);
        both(None, 10).await;
        std::fs::remove_dir_all(&tags).unwrap();
        assert_eq!(both(None, 10).await, (vec![], false));
    }

    #[tokio::test]
    async fn the_cache_stays_within_its_limit() {
        let dir = tempfile::tempdir().unwrap();
        let fs = Fs::open(dir.path(), Init::EmptyDirectory).unwrap().0;
        let kept = &fs.inner.listings.kept;
        let keep = |path: &str, mebibytes: usize| {
            let text = "x".repeat(mebibytes << 20);
            let level = super::SortedNames { modified: std::time::SystemTime::UNIX_EPOCH, text, names: Vec::new() };
            kept.insert(path.to_owned(), level.into());
        };
        for i in 0..40 {
            keep(&format!("{i}"), 1);
            kept.get("0");
        }
        assert_eq!(kept.weight(), super::MOST_BYTES as u64);
        assert!(kept.get("0").is_some(), "what is used stays");
        assert!(kept.get("39").is_some() && kept.get("20").is_none());
        keep("large", 15);
        assert!(kept.get("large").is_some(), "a list that needs nearly all of it is kept");
    }
}
