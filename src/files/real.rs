//! [`Sys`](super::Sys) on the real system, through `rustix`.

#![expect(clippy::disallowed_methods, reason = "the calls that make files appear; everyone else goes by `atomic`")]

mod calls;
mod root;
mod stat;

use super::system::{DIRECTORY, Kernel, file_system};
use rustix::{
    fd::{AsFd, BorrowedFd, OwnedFd},
    fs::{self, FileType, Mode, OFlags},
};
use std::{io, path::Path};

/// System calls below a directory that is held open, so that it does not matter if the path to it is moved or replaced.
pub struct Real {
    root: OwnedFd,
    kernel: Kernel,
}

/// How many parts one vectored write accepts (Linux' `IOV_MAX`).
const MOST_PARTS: usize = 1024;

impl Real {
    /// Opens the root directory itself; links to it are followed.
    ///
    /// # Errors
    /// As `open(2)` gives them.
    pub fn open_root(path: &Path) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = fs::open(path, flags, Mode::empty())?;
        Ok(Self { kernel: Kernel::of(root.as_fd())?, root })
    }

    /// The root's descriptor, for locking it.
    pub fn root(&self) -> BorrowedFd<'_> {
        self.root.as_fd()
    }

    /// Linux' number for the kind of file system that the root is on; zero on other systems.
    ///
    /// # Errors
    /// As `fstatfs(2)` gives them.
    pub fn file_system(&self) -> io::Result<u64> {
        file_system(&self.root)
    }

    /// Opens a path beneath the root without following links.
    fn open_beneath(&self, path: &str, flags: OFlags, mode: Mode) -> io::Result<OwnedFd> {
        self.kernel.open(self.root(), path, flags, mode).unwrap_or_else(|| self.walk(path, flags, mode))
    }

    /// The same component by component, for kernels that cannot do it in one call.
    fn walk(&self, path: &str, flags: OFlags, mode: Mode) -> io::Result<OwnedFd> {
        let (parent, name) = path.rsplit_once('/').unwrap_or((".", path));
        let mut dir: Option<OwnedFd> = None;
        let open = |dir: &Option<OwnedFd>, name: &str, flags: OFlags, mode: Mode| {
            if name.is_empty() || name == ".." {
                return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("{path} is no path below the root")));
            }
            let dir = dir.as_ref().map_or(self.root.as_fd(), AsFd::as_fd);
            Ok(fs::openat(dir, name, flags | OFlags::CLOEXEC | OFlags::NOFOLLOW, mode)?)
        };
        for component in parent.split('/').filter(|component| *component != ".") {
            dir = Some(open(&dir, component, DIRECTORY, Mode::empty())?);
        }
        open(&dir, name, flags, mode)
    }

    /// Opens the directory that contains a path; also returns the last component.
    fn split<'a>(&self, path: &'a str) -> io::Result<(OwnedFd, &'a str)> {
        let (parent, name) = path.rsplit_once('/').unwrap_or((".", path));
        Ok((self.open_beneath(parent, DIRECTORY, Mode::empty())?, name))
    }

    fn open_file(&self, path: &str, flags: OFlags, mode: Mode) -> io::Result<std::fs::File> {
        // NONBLOCK: opening a planted fifo must not hang.
        let fd = self.open_beneath(path, flags | OFlags::NONBLOCK, mode)?;
        let stat = fs::fstat(&fd)?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(io::Error::new(io::ErrorKind::InvalidData, format!("{path} is not a regular file")));
        }
        Ok(std::fs::File::from(fd))
    }
}

#[cfg(test)]
mod tests;
