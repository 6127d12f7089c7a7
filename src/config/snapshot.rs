//! Reads all configuration files as of one moment.
//!
//! Files that belong together are replaced together by switching a symbolic link to their directory (Kubernetes does
//! this, and so does our GitOps example). So each link is read once for all files of a snapshot, which come from the
//! same side of a switch; and a file that changes while it is read is read again.

use std::collections::BTreeMap;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use oci::{Algorithm, Hasher};

use super::editable::EditableFile;
use super::links::{Links, Way};
use super::permissions::Permissions;
use super::problems::{Problem, Problems, Warning};
use crate::files::{Patience, cause, regular, system::is_seen_by_others};

/// The timeout for reading one file until the settings are known.
pub(super) const READ: Duration = Duration::from_secs(5);

/// Maximum number of attempts to read a file that keeps changing, and the pause between them.
const TRIES: usize = 8;
const PAUSE: Duration = Duration::from_millis(15);

#[cfg(test)]
thread_local! {
    /// How often this thread has read the files.
    pub(super) static TAKEN: std::cell::Cell<u64> = const { std::cell::Cell::new(0) };
}

/// Contents of files, or why they could not be read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Snapshot(BTreeMap<PathBuf, Result<FileContent, String>>);

#[derive(Clone, PartialEq, Eq)]
pub(super) struct FileContent {
    bytes: Vec<u8>,
    permissions: Permissions,
}

impl FileContent {
    /// Reads the current content.
    pub(super) fn read(path: &Path, patience: &Patience) -> io::Result<Self> {
        let read = ask(patience, path, &mut Links::default(), |path, links| read(&links.resolve(path)?));
        read.map(|(content, _)| content)
    }

    /// The bytes.
    ///
    /// # Errors
    /// Why they must not be used.
    pub(super) fn usable(&self) -> Result<&[u8], String> {
        self.permissions.refusal().map_or(Ok(&self.bytes), |why| Err(why.to_owned()))
    }

    /// What the operator should know about the permissions of the file.
    pub(super) fn warnings(&self, has_key: bool) -> Vec<String> {
        self.permissions.warnings(has_key)
    }
}

impl std::fmt::Debug for FileContent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} bytes", self.bytes.len())
    }
}

/// Metadata that reveals a change of a file without reading it; compared for equality only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Signs(Vec<Option<(PathBuf, Sign)>>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Sign {
    file: (u64, u64),
    len: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Sign {
    fn of(meta: &Metadata) -> Self {
        Self {
            file: (meta.dev(), meta.ino()),
            len: meta.len(),
            modified: (meta.mtime(), meta.mtime_nsec()),
            changed: (meta.ctime(), meta.ctime_nsec()),
        }
    }
}

impl Signs {
    /// Collects the metadata of files without reading them.
    pub(super) fn of(paths: &[PathBuf], patience: &Patience) -> Self {
        let mut links = Links::default();
        let look = |path: &PathBuf| {
            ask(patience, path, &mut links, |path, links| {
                let real = links.resolve(path)?.real;
                let sign = Sign::of(&fs::metadata(&real)?);
                Ok((real, sign))
            })
        };
        Self(paths.iter().map(look).map(Result::ok).collect())
    }
}

/// A file or directory to watch for changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct WatchedPlace {
    /// Device and inode: distinguishes it from a replacement.
    pub(super) id: (u64, u64),
    /// Other machines may change it without a notification here.
    pub(super) is_shared: bool,
}

/// Where to watch for changes of files: each file, its directory, and the directory of every symbolic link on the way
/// to it. For a path that does not exist, the directory above.
pub(super) fn places(paths: &[PathBuf], patience: &Patience) -> BTreeMap<PathBuf, WatchedPlace> {
    let mut links = Links::default();
    let mut places = BTreeMap::new();
    for path in paths {
        let found = ask(patience, path, &mut links, |path, links| {
            let way = links.resolve(path)?;
            let above = way.real.ancestors().skip(1).find(|dir| dir.is_dir());
            let of_links = way.links.iter().filter_map(|link| link.parent());
            let identified = above.into_iter().chain(of_links).chain([way.real.as_path()]).filter_map(|path| {
                let meta = fs::metadata(path).ok()?;
                let place = WatchedPlace { id: (meta.dev(), meta.ino()), is_shared: is_seen_by_others(path) };
                Some((path.to_owned(), place))
            });
            Ok(identified.collect::<Vec<_>>())
        });
        places.extend(found.into_iter().flatten());
    }
    places
}

/// Examines a path whose file system may not respond. Links read before stay known either way.
fn ask<T: Send + 'static>(
    patience: &Patience,
    path: &Path,
    links: &mut Links,
    look: impl FnOnce(&Path, &mut Links) -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    let (asked, mut known) = (path.to_owned(), links.clone());
    let (answer, known) = patience.ask(path, move || {
        let answer = look(&asked, &mut known);
        Ok((answer, known))
    })?;
    *links = known;
    answer
}

impl Snapshot {
    /// Reads these files. Errors are returned when a file's content is requested.
    pub(super) fn take(paths: &[PathBuf], patience: &Patience) -> Self {
        #[cfg(test)]
        TAKEN.with(|taken| taken.set(taken.get() + 1));
        let mut last = Self::default();
        for _ in 0..TRIES {
            let (snapshot, calm) = Self::once(paths, patience);
            if calm {
                return snapshot;
            }
            last = snapshot;
            std::thread::sleep(PAUSE);
        }
        last
    }

    /// Reads all files once; returns also whether nothing changed meanwhile.
    fn once(paths: &[PathBuf], patience: &Patience) -> (Self, bool) {
        let mut links = Links::default();
        let mut calm = true;
        let mut files = BTreeMap::new();
        for path in paths {
            let read = ask(patience, path, &mut links, |path, links| read(&links.resolve(path)?));
            calm &= !matches!(&read, Ok((_, false)));
            let read = match read {
                Ok((content, true)) => Ok(content),
                Ok((_, false)) => Err("changes while it is read".to_owned()),
                Err(error) => Err(cause(&error)),
            };
            files.insert(path.clone(), read);
        }
        // A link has changed: its former target may be gone, and the files read so far must not be combined with newer
        // ones.
        let look = move || Ok(links.have_moved());
        if patience.ask(Path::new("/"), look).unwrap_or(false) {
            calm = false;
            if files.values().any(Result::is_err) {
                for read in files.values_mut() {
                    *read = Err("changes all the time".to_owned());
                }
            }
        }
        (Self(files), calm)
    }

    /// A file's bytes.
    ///
    /// # Errors
    /// Why there are none, as a sentence for the operator. An empty file is an error, because an interrupted write
    /// leaves one.
    pub(super) fn bytes(&self, path: &Path) -> Result<&[u8], String> {
        let bytes = self.raw(path)?;
        if bytes.trim_ascii().is_empty() {
            return Err("is empty".to_owned());
        }
        Ok(bytes)
    }

    /// A file's text. `nothing` is what to write into a file that is empty on purpose.
    ///
    /// # Errors
    /// As for [`Snapshot::bytes`].
    pub(super) fn text(&self, path: &Path, nothing: &str) -> Result<&str, String> {
        let bytes = self.raw(path)?;
        if bytes.trim_ascii().is_empty() {
            return Err(format!("is empty; if that is meant, write: {nothing}"));
        }
        std::str::from_utf8(bytes).map_err(|error| {
            let line = 1 + bytes[..error.valid_up_to()].iter().filter(|b| **b == b'\n').count();
            format!("is not UTF-8 text (line {line})")
        })
    }

    /// Adopts the contents that are now active: those of all files without a problem. The files of a group are adopted
    /// together or not at all. Returns whether anything changed.
    pub(super) fn take_over(&mut self, files: &Self, problems: &Problems, group: &[&Path]) -> bool {
        let has_problem = |path: &Path| problems.0.iter().any(|problem| problem.file.as_deref() == Some(path));
        let group_has_problem = group.iter().any(|path| has_problem(path));
        let mut has_changed = false;
        for (path, content) in &files.0 {
            let is_rejected = has_problem(path) || (group_has_problem && group.contains(&path.as_path()));
            if !is_rejected && self.0.get(path) != Some(content) {
                self.0.insert(path.clone(), content.clone());
                has_changed = true;
            }
        }
        has_changed
    }

    /// The same files, one of them with this content.
    pub(super) fn with(&self, path: &Path, bytes: &[u8]) -> Self {
        let mut files = self.clone();
        if let Some(Ok(content)) = files.0.get_mut(path) {
            content.bytes = bytes.to_vec();
        }
        files
    }

    /// Whether this is the content of a file.
    pub(super) fn has(&self, path: &Path, bytes: &[u8]) -> bool {
        matches!(self.0.get(path), Some(Ok(content)) if content.bytes == bytes)
    }

    /// A hash of these files' contents: the same on every machine that has the same files.
    pub(super) fn version(&self, files: &BTreeMap<EditableFile, PathBuf>) -> Arc<str> {
        let mut hasher = Hasher::new(Algorithm::Sha256);
        for (file, path) in files {
            let bytes = self.0.get(path).and_then(|content| Some(content.as_ref().ok()?.bytes.as_slice()));
            hasher.update(format!("{file} {:?} ", bytes.map(<[u8]>::len)).as_bytes());
            hasher.update(bytes.unwrap_or_default());
        }
        hasher.finish().hex()[..16].into()
    }

    fn raw(&self, path: &Path) -> Result<&[u8], String> {
        match self.0.get(path) {
            Some(Ok(content)) => content.usable(),
            Some(Err(why)) => Err(format!("cannot be read: {why}")),
            None => Err("cannot be read: nobody looked at it".to_owned()),
        }
    }

    /// What the operator should know about the permissions of the files that were read; `keys` contain private keys.
    pub(super) fn warnings(&self, keys: &[&Path]) -> impl Iterator<Item = Warning> {
        self.0.iter().flat_map(|(path, content)| {
            let warnings = content.as_ref().map(|content| content.warnings(keys.contains(&path.as_path())));
            warnings.unwrap_or_default().into_iter().map(move |message| Warning(Problem::of_file(path, message)))
        })
    }

    /// Whether these files are the same in both.
    pub(super) fn same(&self, other: &Self, paths: &[&Path]) -> bool {
        paths.iter().all(|path| self.0.get(*path) == other.0.get(*path))
    }
}

/// Reads a file; returns also whether it stayed the same meanwhile.
fn read(way: &Way) -> io::Result<(FileContent, bool)> {
    let file = regular::open(&way.real)?;
    let before = file.metadata()?;
    let bytes = regular::read_whole(&file)?;
    let after = file.metadata()?;
    let calm = Sign::of(&before) == Sign::of(&after) && bytes.len() as u64 == after.len();
    Ok((FileContent { bytes, permissions: Permissions::of(&after, &way.dirs) }, calm))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn patience() -> Patience {
        Patience::new(Duration::from_secs(60))
    }

    fn dir(files: &[(&str, &str)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            fs::create_dir_all(dir.path().join(name).parent().unwrap()).unwrap();
            fs::write(dir.path().join(name), text).unwrap();
        }
        dir
    }

    #[test]
    fn files_are_read_through_links_as_the_kernel_does() {
        let dir = dir(&[("real/deep/file", "one"), ("real/other", "two")]);
        symlink("real/deep", dir.path().join("link")).unwrap();
        symlink("../other", dir.path().join("real/deep/up")).unwrap();
        symlink(dir.path().join("link/file"), dir.path().join("absolute")).unwrap();
        symlink("loop", dir.path().join("loop")).unwrap();
        let path = |name: &str| dir.path().join(name);
        let paths = ["link/file", "link/up", "absolute", "real/../link/./file", "loop", "absent", "real"].map(path);
        let snapshot = Snapshot::take(&paths, &patience());
        let text = |name: &str| snapshot.text(&path(name), "# none");
        assert_eq!(text("link/file"), Ok("one"));
        assert_eq!(text("link/up"), Ok("two"));
        assert_eq!(text("absolute"), Ok("one"));
        assert_eq!(text("real/../link/./file"), Ok("one"));
        for bad in ["loop", "absent", "real"] {
            assert!(text(bad).unwrap_err().starts_with("cannot be read"), "{bad}");
        }
    }

    #[test]
    fn a_file_that_is_not_text_is_reported() {
        let dir = dir(&[("empty", ""), ("blank", " \n\n"), ("comment", "# none\n")]);
        fs::write(dir.path().join("binary"), b"a\n\xff").unwrap();
        fs::File::create(dir.path().join("huge")).unwrap().set_len(100 << 20).unwrap();
        let paths = ["empty", "blank", "comment", "binary", "huge"].map(|name| dir.path().join(name));
        let snapshot = Snapshot::take(&paths, &patience());
        assert!(snapshot.text(&paths[0], "# none").unwrap_err().contains("is empty"));
        assert!(snapshot.text(&paths[1], "# none").unwrap_err().contains("is empty"));
        assert_eq!(snapshot.text(&paths[2], "# none"), Ok("# none\n"));
        assert_eq!(snapshot.text(&paths[3], "# none"), Err("is not UTF-8 text (line 2)".to_owned()));
        assert!(snapshot.text(&paths[4], "# none").unwrap_err().contains("it has more than"));
        assert_eq!(format!("{snapshot:?}").matches("none").count(), 0, "contents are not for logs");
    }

    #[test]
    fn every_kind_of_change_shows() {
        let dir = dir(&[("a/file", "one"), ("b/file", "one")]);
        symlink("a", dir.path().join("now")).unwrap();
        let paths = [dir.path().join("now/file")];
        let patience = patience();
        let mut last = Signs::of(&paths, &patience);
        let mut changed = |what: &str| {
            let now = Signs::of(&paths, &patience);
            assert_ne!(now, last, "{what}");
            last = now;
        };
        fs::write(dir.path().join("a/file"), "other").unwrap();
        changed("written in place");
        fs::write(dir.path().join("new"), "other").unwrap();
        fs::rename(dir.path().join("new"), &paths[0]).unwrap();
        changed("renamed over");
        symlink("b", dir.path().join("next")).unwrap();
        fs::rename(dir.path().join("next"), dir.path().join("now")).unwrap();
        changed("link switched");
        fs::remove_file(dir.path().join("b/file")).unwrap();
        changed("removed");
    }

    /// Two files behind a link that is switched all the time never come from different sides of it.
    #[test]
    fn a_snapshot_is_taken_before_or_after_a_switch_never_between() {
        let dir = dir(&[("a/x", "a"), ("a/y", "a"), ("b/x", "b"), ("b/y", "b")]);
        symlink("a", dir.path().join("now")).unwrap();
        let paths = ["now/x", "now/y"].map(|name| dir.path().join(name));
        let done = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for side in ["b", "a"].iter().cycle() {
                    if done.load(std::sync::atomic::Ordering::Relaxed) {
                        break;
                    }
                    symlink(side, dir.path().join("next")).unwrap();
                    fs::rename(dir.path().join("next"), dir.path().join("now")).unwrap();
                }
            });
            for _ in 0..200 {
                let (snapshot, _) = Snapshot::once(&paths, &patience());
                assert_eq!(snapshot.text(&paths[0], "# none").ok(), snapshot.text(&paths[1], "# none").ok());
            }
            done.store(true, std::sync::atomic::Ordering::Relaxed);
        });
    }
}
