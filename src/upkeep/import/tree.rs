//! The directory of another registry, opened for reading only. No symbolic link below it is followed, and nothing above
//! it is reached, whatever the names in it are.

use super::ImportProblem;
use crate::files::{FileKind, Real, Sys, cause};
use bytes::Bytes;
use std::{fs::File, io, path::Path, time::SystemTime};

/// A directory tree that is only read.
pub(super) struct SourceTree(Real);

impl SourceTree {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        Real::open_root(path).map(Self)
    }

    /// The names in a directory, in order. None if it does not exist.
    pub(super) fn names(&self, dir: &str) -> Result<Vec<(String, FileKind)>, ImportProblem> {
        let mut names = Vec::new();
        let read = self.0.read_dir(dir, &mut |name, kind| {
            names.push((name.to_owned(), kind));
            true
        });
        match read {
            Ok(()) => names.sort_unstable_by(|(a, _), (b, _)| a.cmp(b)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(unreadable(dir, &error)),
        }
        Ok(names)
    }

    pub(super) fn is(&self, path: &str, kind: FileKind) -> bool {
        self.0.meta(path).is_ok_and(|meta| meta.kind == kind)
    }

    /// Opens a regular file.
    pub(super) fn file(&self, path: &str) -> Result<File, ImportProblem> {
        self.0.open(path).map_err(|error| unreadable(path, &error))
    }

    /// The content of a file of at most this many bytes, and when it last changed. `None` if it does not exist.
    pub(super) fn read(&self, path: &str, most: u64) -> Result<Option<(Bytes, SystemTime)>, ImportProblem> {
        let file = match self.0.open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(unreadable(path, &error)),
        };
        let meta = self.0.file_meta(&file).map_err(|error| unreadable(path, &error))?;
        if meta.len > most {
            return Err(ImportProblem::new(path, format!("has {} bytes, more than the {most} it may have", meta.len)));
        }
        let mut bytes = vec![0; meta.len as usize];
        let read = self.0.read_at(&file, &mut bytes, 0).map_err(|error| unreadable(path, &error))?;
        bytes.truncate(read);
        Ok(Some((bytes.into(), meta.modified)))
    }
}

/// A name that is neither a directory nor a regular file.
pub(super) fn special(path: &str) -> ImportProblem {
    ImportProblem::new(path, "is a symbolic link or a special file, and is not followed")
}

fn unreadable(path: &str, error: &io::Error) -> ImportProblem {
    match rustix::io::Errno::from_io_error(error) {
        Some(rustix::io::Errno::LOOP) => {
            ImportProblem::new(path, "is a symbolic link, or is behind one, and is not followed")
        }
        _ if error.kind() == io::ErrorKind::InvalidData => ImportProblem::new(path, "is not a regular file"),
        _ if error.kind() == io::ErrorKind::NotFound => ImportProblem::new(path, "is missing"),
        _ => ImportProblem::new(path, format!("cannot be read: {}", cause(error))),
    }
}
