//! The configuration files as they are at one moment.
//!
//! Files that belong together are switched together by a symbolic link to their directory
//! (Kubernetes does it so, and so does our GitOps example). Every link is therefore read once for
//! all files of a snapshot, so that they come from the same side of a switch; and a file that
//! changes while it is read is read again.

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use super::problems::Problems;
use crate::files::cause;

/// Longer files are somebody's mistake.
const LONGEST: u64 = 16 << 20;

/// How often a file that changes while it is read is read again, and after which pause.
const TRIES: usize = 8;
const PAUSE: Duration = Duration::from_millis(15);

/// Links on the way to one file before they are taken for a loop, as the kernel does.
const MOST_LINKS: usize = 40;

/// Contents of files, or why they could not be read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Snapshot(BTreeMap<PathBuf, Result<Content, String>>);

/// What a file holds.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Content {
    bytes: Vec<u8>,
    mode: u32,
}

impl std::fmt::Debug for Content {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} bytes", self.bytes.len())
    }
}

/// By what a change of a file shows without reading it; compared for equality only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Signs(Vec<Option<(PathBuf, Sign)>>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Sign {
    file: FileId,
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
    /// Looks at files without reading them.
    pub(super) fn of(paths: &[PathBuf]) -> Self {
        let mut links = Links::default();
        let look = |path: &PathBuf| {
            let real = links.resolve(path).ok()?;
            let meta = fs::metadata(&real).ok()?;
            Some((real, Sign::of(&meta)))
        };
        Self(paths.iter().map(look).collect())
    }
}

/// Tells a file from any other that takes its place.
pub(super) type FileId = (u64, u64);

/// Where changes of files show: each file, its directory, and the directory of every symbolic link on the way to it. Of
/// what is not there, the directory above.
pub(super) fn places(paths: &[PathBuf]) -> BTreeMap<PathBuf, FileId> {
    let mut links = Links::default();
    let mut places: Vec<PathBuf> = Vec::new();
    for path in paths {
        let Ok(real) = links.resolve(path) else { continue };
        places.extend(real.parent().and_then(|parent| parent.ancestors().find(|dir| dir.is_dir())).map(Path::to_owned));
        places.push(real);
    }
    let links = links.0.into_iter().filter(|(_, target)| target.is_some());
    places.extend(links.filter_map(|(link, _)| link.parent().map(Path::to_owned)));
    let identified = places.into_iter().filter_map(|path| {
        let meta = fs::metadata(&path).ok()?;
        Some((path, (meta.dev(), meta.ino())))
    });
    identified.collect()
}

impl Snapshot {
    /// Reads these files. What cannot be read is told when it is asked for.
    pub(super) fn take(paths: &[PathBuf]) -> Self {
        let mut last = Self::default();
        for _ in 0..TRIES {
            let (snapshot, calm) = Self::once(paths);
            if calm {
                return snapshot;
            }
            last = snapshot;
            std::thread::sleep(PAUSE);
        }
        last
    }

    /// Reads once; and whether nothing moved meanwhile.
    fn once(paths: &[PathBuf]) -> (Self, bool) {
        let mut links = Links::default();
        let mut calm = true;
        let mut files = BTreeMap::new();
        for path in paths {
            let read = links.resolve(path).and_then(|real| read(&real));
            calm &= !matches!(&read, Ok((_, false)));
            let read = match read {
                Ok((content, true)) => Ok(content),
                Ok((_, false)) => Err("changes while it is read".to_owned()),
                Err(error) => Err(cause(&error)),
            };
            files.insert(path.clone(), read);
        }
        // Links that point elsewhere by now: what they pointed to may be gone, and the files that
        // could be read must not be put beside older ones.
        if links.have_moved() {
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
    /// Why there are none, in a sentence for the operator; a file without any text is such a case,
    /// because that is what a write that was cut off leaves behind.
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

    /// Takes over the contents that are in force now: those of all files without a problem. The files of a group are
    /// in force together or not at all. Whether any of them is another than before.
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

    fn raw(&self, path: &Path) -> Result<&[u8], String> {
        match self.0.get(path) {
            Some(Ok(content)) => Ok(&content.bytes),
            Some(Err(why)) => Err(format!("cannot be read: {why}")),
            None => Err("cannot be read: nobody looked at it".to_owned()),
        }
    }

    /// Whether everybody may write to a file, and whether everybody may read it.
    pub(super) fn open_to_all(&self, path: &Path) -> (bool, bool) {
        let mode = self.0.get(path).and_then(|read| read.as_ref().ok()).map_or(0, |content| content.mode);
        (mode & 0o002 != 0, mode & 0o004 != 0)
    }

    /// Whether these files are the same in both.
    pub(super) fn same(&self, other: &Self, paths: &[&Path]) -> bool {
        paths.iter().all(|path| self.0.get(*path) == other.0.get(*path))
    }
}

/// Reads a file, and tells whether it stayed as it was meanwhile.
fn read(path: &Path) -> io::Result<(Content, bool)> {
    let mut file = File::open(path)?;
    let before = file.metadata()?;
    if !before.is_file() {
        return Err(io::Error::other("not a file"));
    }
    if before.len() > LONGEST {
        return Err(io::Error::other(format!("{} bytes are more than {LONGEST}", before.len())));
    }
    let mut bytes = Vec::new();
    (&mut file).take(LONGEST + 1).read_to_end(&mut bytes)?;
    let after = file.metadata()?;
    let calm = Sign::of(&before) == Sign::of(&after) && bytes.len() as u64 == after.len();
    Ok((Content { bytes, mode: after.mode() }, calm))
}

/// Symbolic links, each read once.
#[derive(Default)]
struct Links(HashMap<PathBuf, Option<PathBuf>>);

impl Links {
    /// The path without any symbolic link in it.
    fn resolve(&mut self, path: &Path) -> io::Result<PathBuf> {
        let path = std::path::absolute(path)?;
        let mut left: Vec<PathBuf> = parts(&path);
        let mut real = PathBuf::from("/");
        let mut followed = 0;
        while let Some(part) = left.pop() {
            if part == Path::new("..") {
                real.pop();
                continue;
            }
            real.push(&part);
            if let Some(target) = self.target(&real) {
                followed += 1;
                if followed > MOST_LINKS {
                    return Err(io::Error::other("too many symbolic links"));
                }
                real.pop();
                if target.is_absolute() {
                    real = PathBuf::from("/");
                }
                left.extend(parts(&target));
            }
        }
        Ok(real)
    }

    fn target(&mut self, path: &Path) -> Option<PathBuf> {
        let read = || fs::read_link(path).ok();
        self.0.entry(path.to_owned()).or_insert_with(read).clone()
    }

    /// Whether some link points elsewhere than it did.
    fn have_moved(&self) -> bool {
        self.0.iter().any(|(path, target)| target.is_some() && fs::read_link(path).ok() != *target)
    }
}

/// The parts of a path, the first one last.
fn parts(path: &Path) -> Vec<PathBuf> {
    let named = path.components().filter_map(|part| match part {
        Component::Normal(name) => Some(PathBuf::from(name)),
        Component::ParentDir => Some(PathBuf::from("..")),
        Component::Prefix(_) | Component::RootDir | Component::CurDir => None,
    });
    let mut parts: Vec<_> = named.collect();
    parts.reverse();
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

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
        let snapshot = Snapshot::take(&paths);
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
    fn what_holds_no_text_is_told() {
        let dir = dir(&[("empty", ""), ("blank", " \n\n"), ("comment", "# none\n")]);
        fs::write(dir.path().join("binary"), b"a\n\xff").unwrap();
        fs::File::create(dir.path().join("huge")).unwrap().set_len(100 << 20).unwrap();
        let paths = ["empty", "blank", "comment", "binary", "huge"].map(|name| dir.path().join(name));
        let snapshot = Snapshot::take(&paths);
        assert!(snapshot.text(&paths[0], "# none").unwrap_err().contains("is empty"));
        assert!(snapshot.text(&paths[1], "# none").unwrap_err().contains("is empty"));
        assert_eq!(snapshot.text(&paths[2], "# none"), Ok("# none\n"));
        assert_eq!(snapshot.text(&paths[3], "# none"), Err("is not UTF-8 text (line 2)".to_owned()));
        assert!(snapshot.text(&paths[4], "# none").unwrap_err().contains("more than"));
        assert_eq!(format!("{snapshot:?}").matches("none").count(), 0, "contents are not for logs");
    }

    #[test]
    fn every_kind_of_change_shows() {
        let dir = dir(&[("a/file", "one"), ("b/file", "one")]);
        symlink("a", dir.path().join("now")).unwrap();
        let paths = [dir.path().join("now/file")];
        let mut last = Signs::of(&paths);
        let mut changed = |what: &str| {
            let now = Signs::of(&paths);
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

    /// Two files behind a link that is switched all the time never come from two sides of it.
    #[test]
    fn a_snapshot_is_of_one_side_of_a_switch() {
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
                let (snapshot, _) = Snapshot::once(&paths);
                assert_eq!(snapshot.text(&paths[0], "# none").ok(), snapshot.text(&paths[1], "# none").ok());
            }
            done.store(true, std::sync::atomic::Ordering::Relaxed);
        });
    }
}
