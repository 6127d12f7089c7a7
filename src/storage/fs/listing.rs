//! Large directories, kept in order in memory for showing pages of them: reading and sorting a
//! hundred thousand names for each hundred of them would be felt.
//!
//! What is kept is used only while the directory's time is the one it had, and only if that was some
//! time ago when it was read: the next change then surely gives it another time, however coarse the
//! file system's clock is. Nothing is ever deleted by what is kept here.

use super::Inner;
use crate::{
    files::{Kind, Sys, absent, world},
    storage::{Child, Dir, Error, Page, Result},
};
use std::{
    collections::VecDeque,
    io,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};

/// Fewer names are read each time.
const MANY: usize = 512;

/// All that is kept takes no more bytes; nor does one directory, which else is read each time.
const MOST_BYTES: usize = 16 << 20;

/// A directory that changed since then may change again without its time telling so.
const SETTLED: Duration = Duration::from_secs(2);

/// The directories that are kept, the one used last at the end.
#[derive(Default)]
pub(super) struct Listings {
    kept: Mutex<VecDeque<(String, Arc<Level>)>>,
    /// Held by who reads a large directory again: others wait for what he finds.
    reading: Mutex<()>,
}

/// The names of one directory.
struct Level {
    /// The directory's time.
    modified: SystemTime,
    text: String,
    /// Where in the text each name is, in byte order of the names.
    names: Vec<(u32, u32)>,
}

impl Level {
    fn name(&self, &(start, end): &(u32, u32)) -> &str {
        &self.text[start as usize..end as usize]
    }

    fn bytes(&self) -> usize {
        self.text.len() + self.names.len() * size_of::<(u32, u32)>()
    }

    fn page(&self, after: Option<&str>, most: usize, kind: Kind) -> Page<Child> {
        let from = after.map_or(0, |after| self.names.partition_point(|at| self.name(at) <= after));
        let names = self.names[from..].iter().take(most);
        let entries =
            names.map(|at| Child { name: self.name(at).to_owned(), is_dir: kind == Kind::Directory }).collect();
        Page { entries, more: self.names.len() - from > most }
    }
}

impl Listings {
    fn get(&self, path: &str) -> Option<Arc<Level>> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let i = kept.iter().position(|(other, _)| other == path)?;
        let entry = kept.remove(i)?;
        let level = entry.1.clone();
        kept.push_back(entry);
        Some(level)
    }

    fn keep(&self, path: &str, level: Arc<Level>) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|(other, _)| other != path);
        kept.push_back((path.to_owned(), level));
        let mut bytes: usize = kept.iter().map(|(_, level)| level.bytes()).sum();
        while bytes > MOST_BYTES
            && let Some((_, level)) = kept.pop_front()
        {
            bytes -= level.bytes();
        }
    }
}

/// What a level lists.
pub(super) fn kind_in(dir: &Dir) -> Kind {
    match dir {
        Dir::Names(_) => Kind::Directory,
        _ => Kind::File,
    }
}

impl<S: Sys> Inner<S> {
    /// A page of a level, from memory where that is known to be the same.
    pub(super) fn listing(&self, dir: &Dir, after: Option<&str>, most: usize) -> Result<Page<Child>> {
        let path = dir.path();
        let Some(kept) = self.listings.get(&path) else {
            return self.read_level(dir, &path, after, most);
        };
        if self.time_of(&path)? == Some(kept.modified) {
            return Ok(kept.page(after, most, kind_in(dir)));
        }
        let _reading = world::lock(&self.listings.reading);
        match self.listings.get(&path) {
            Some(kept) if self.time_of(&path)? == Some(kept.modified) => Ok(kept.page(after, most, kind_in(dir))),
            _ => self.read_level(dir, &path, after, most),
        }
    }

    fn time_of(&self, path: &str) -> Result<Option<SystemTime>> {
        let meta = absent(self.sys().meta(path)).map_err(|e| Error::io("look at", path, e))?;
        Ok(meta.map(|meta| meta.modified))
    }

    fn read_level(&self, dir: &Dir, path: &str, after: Option<&str>, most: usize) -> Result<Page<Child>> {
        let nothing = Page { entries: Vec::new(), more: false };
        let Some(modified) = self.time_of(path)? else { return Ok(nothing) };
        let wanted = kind_in(dir);
        let is_settled = world::now().duration_since(modified).is_ok_and(|age| age >= SETTLED);
        let mut level = Level { modified, text: String::new(), names: Vec::new() };
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
            other => other.map_err(|e| Error::io("list", path, e))?,
        }
        if !is_whole {
            return self.children(dir, after, most);
        }
        let mut names = std::mem::take(&mut level.names);
        names.sort_unstable_by(|a, b| level.name(a).cmp(level.name(b)));
        level.names = names;
        let page = level.page(after, most, wanted);
        if level.names.len() >= MANY && is_settled && self.time_of(path)? == Some(modified) {
            level.text.shrink_to_fit();
            level.names.shrink_to_fit();
            self.listings.keep(path, Arc::new(level));
        }
        Ok(page)
    }

    /// Whether a level lists anything.
    pub(super) fn holds_any(&self, dir: &Dir) -> Result<bool> {
        let (path, wanted) = (dir.path(), kind_in(dir));
        let mut found = false;
        let read = self.sys().read_dir(&path, &mut |name, kind| {
            found = kind == wanted && dir.lists(name);
            !found
        });
        match read {
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
            other => other.map(|()| found).map_err(|e| Error::io("list", &path, e)),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::{
        oci::RepositoryName,
        storage::{
            Dir, Facts,
            fs::{Fs, Init},
        },
    };
    use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, utimensat};
    use std::path::Path;

    /// As if the last change was long ago.
    fn settle(dir: &Path, seconds: i64) {
        let time = Timespec { tv_sec: seconds, tv_nsec: 0 };
        let times = Timestamps { last_access: time, last_modification: time };
        utimensat(CWD, dir, &times, AtFlags::empty()).unwrap();
    }

    #[tokio::test]
    async fn pages_of_a_large_directory_are_those_of_the_disk_whatever_is_changed() {
        let dir = tempfile::tempdir().unwrap();
        let fs = Fs::open(dir.path(), Init::EmptyDirectory).unwrap().0;
        let tags = dir.path().join("repositories/app/_manifests/tags");
        std::fs::create_dir_all(&tags).unwrap();
        let level = Dir::Tags("app".parse::<RepositoryName>().unwrap());
        let file = |tag: &str| std::fs::write(tags.join(tag), "").unwrap();
        (0..1000).for_each(|i| file(&format!("v{i:04}")));
        let both = async |after: Option<&str>, most| {
            let names = |page: crate::storage::Page<crate::storage::Child>| {
                (page.entries.into_iter().map(|child| child.name).collect::<Vec<_>>(), page.more)
            };
            let shown = names(fs.listing(&level, after, most).await.unwrap());
            assert_eq!(shown, names(fs.children(&level, after, most).await.unwrap()), "{after:?} {most}");
            shown
        };
        let is_kept = || fs.inner.listings.get(&level.path()).is_some();
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
    async fn no_more_is_kept_than_is_allowed() {
        let dir = tempfile::tempdir().unwrap();
        let fs = Fs::open(dir.path(), Init::EmptyDirectory).unwrap().0;
        let kept = &fs.inner.listings;
        for i in 0..40 {
            let text = "x".repeat(1 << 20);
            let level = super::Level { modified: std::time::SystemTime::UNIX_EPOCH, text, names: Vec::new() };
            kept.keep(&format!("{i}"), level.into());
            kept.get("0");
        }
        assert_eq!(kept.kept.lock().unwrap().len(), 16);
        assert!(kept.get("0").is_some(), "what is used stays");
        assert!(kept.get("39").is_some() && kept.get("20").is_none());
    }
}
