//! [`Sys`] on the running system, by way of `rustix`.

#![expect(clippy::disallowed_methods, reason = "the calls that make files appear; everyone else goes by `atomic`")]

mod root;
mod stat;

#[cfg(not(portable))]
use super::sys::Stamp;
use super::{
    absent,
    read::{read_aside, read_at, read_now},
    sys::{Kind, Meta, Space, Sys, Unsuitable},
};
use bytes::Bytes;
use rustix::{
    fd::{AsFd, BorrowedFd, OwnedFd},
    fs::{self, AtFlags, FileType, Mode, OFlags},
    io::Errno,
};
#[cfg(not(portable))]
use stat::stamp;
use stat::{kind, meta};
use std::{
    io::{self, IoSlice},
    path::Path,
    sync::Arc,
};

/// The system calls below a directory held open, so that moving or replacing the path to it
/// changes nothing.
pub struct Real {
    root: OwnedFd,
    /// The kernel resolves a path beneath the root by itself.
    #[cfg_attr(portable, expect(dead_code, reason = "no other system than Linux does"))]
    resolves: bool,
    #[cfg(not(portable))]
    system: stat::FileSystem,
}

/// Opens a directory to go on from there, which needs no right to list it where the system can
/// tell the two apart.
#[cfg(not(portable))]
const DIRECTORY: OFlags = OFlags::DIRECTORY.union(OFlags::PATH);
#[cfg(portable)]
const DIRECTORY: OFlags = OFlags::DIRECTORY;

/// No way leads out of the root, and no link is followed.
#[cfg(not(portable))]
const BENEATH: fs::ResolveFlags =
    fs::ResolveFlags::BENEATH.union(fs::ResolveFlags::NO_SYMLINKS).union(fs::ResolveFlags::NO_MAGICLINKS);

/// How many parts one vectored write takes (Linux' `IOV_MAX`).
const MOST_PARTS: usize = 1024;

impl Real {
    /// Opens the root directory itself; a link to it may be followed.
    ///
    /// # Errors
    /// As `open(2)` gives them.
    pub fn open_root(path: &Path) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = fs::open(path, flags, Mode::empty())?;
        // Kernels and sandboxes without openat2; some of the latter call it forbidden.
        #[cfg(not(portable))]
        let resolves = !matches!(
            fs::openat2(&root, ".", DIRECTORY | OFlags::CLOEXEC, Mode::empty(), fs::ResolveFlags::BENEATH),
            Err(Errno::NOSYS | Errno::PERM)
        );
        #[cfg(portable)]
        let resolves = false;
        Ok(Self {
            #[cfg(not(portable))]
            system: stat::FileSystem::of(root.as_fd())?,
            root,
            resolves,
        })
    }

    /// The root's descriptor, for locking it.
    pub fn root(&self) -> BorrowedFd<'_> {
        self.root.as_fd()
    }

    /// The number Linux gives the kind of file system the root is on; zero where there is none.
    ///
    /// # Errors
    /// As `fstatfs(2)` gives them.
    pub fn file_system(&self) -> io::Result<u64> {
        #[cfg(not(portable))]
        return Ok(u64::from(fs::fstatfs(&self.root)?.f_type as u32));
        #[cfg(portable)]
        Ok(0)
    }

    /// Opens beneath the root without following any link.
    fn open_beneath(&self, path: &str, flags: OFlags, mode: Mode) -> io::Result<OwnedFd> {
        #[cfg(not(portable))]
        if self.resolves {
            loop {
                return match fs::openat2(&self.root, path, flags | OFlags::CLOEXEC, mode, BENEATH) {
                    // A rename elsewhere in the tree raced with the resolution: the kernel asks for another try.
                    Err(Errno::AGAIN | Errno::INTR) => continue,
                    opened => Ok(opened?),
                };
            }
        }
        self.walk(path, flags, mode)
    }

    /// The same component by component, each without following a link, where the kernel cannot do
    /// it in one call.
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

    /// The directory a path lies in, opened, and its last component.
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

/// Where what is written is lost.
#[cfg(not(portable))]
pub(super) fn nowhere() -> io::Result<&'static std::fs::File> {
    static NOWHERE: std::sync::OnceLock<std::fs::File> = std::sync::OnceLock::new();
    match NOWHERE.get() {
        Some(nowhere) => Ok(nowhere),
        None => {
            let opened = std::fs::OpenOptions::new().write(true).open("/dev/null")?;
            Ok(NOWHERE.get_or_init(|| opened))
        }
    }
}

impl Sys for Real {
    type File = std::fs::File;

    fn open(&self, path: &str) -> io::Result<Self::File> {
        self.open_file(path, OFlags::RDONLY, Mode::empty())
    }

    #[cfg(not(portable))]
    fn open_now(&self, path: &str) -> Option<(Self::File, Meta, Stamp)> {
        if !self.resolves {
            return None;
        }
        // Kernels before 5.12 do not know `CACHED` and refuse it.
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = fs::openat2(&self.root, path, flags, Mode::empty(), BENEATH | fs::ResolveFlags::CACHED).ok()?;
        let stat = fs::fstat(&file).ok()?;
        let meta = meta(&stat);
        (meta.kind == Kind::File).then(|| (file.into(), meta, stamp(&stat)))
    }

    #[cfg(not(portable))]
    fn stamp(&self, path: &str) -> Option<Stamp> {
        if !self.system.is_local() {
            // Only by names that are in memory: a server is not asked for them either.
            let (flags, resolve) = (OFlags::PATH | OFlags::CLOEXEC, BENEATH | fs::ResolveFlags::CACHED);
            let found = self.resolves.then(|| fs::openat2(&self.root, path, flags, Mode::empty(), resolve));
            return self.system.stamp_of(found?.ok()?);
        }
        // A link on the way may be followed: nothing is opened, and what has the stamp of a file that was opened
        // beneath the root is that file.
        fs::statat(&self.root, path, AtFlags::SYMLINK_NOFOLLOW).ok().as_ref().map(stamp)
    }

    #[cfg(not(portable))]
    fn stamp_of(&self, file: &Self::File) -> Option<Stamp> {
        self.system.stamp_of(file)
    }

    #[cfg(not(portable))]
    fn tells_moves(&self, stamp: &Stamp) -> bool {
        self.system.tells_moves(stamp)
    }

    fn unsuitable(&self, path: &str, to_write: bool) -> Option<Unsuitable> {
        // What cannot be looked at is told by whoever uses it.
        let stat = fs::statat(&self.root, path, AtFlags::SYMLINK_NOFOLLOW).ok()?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::Directory {
            return Some(Unsuitable::NotADirectory);
        }
        if fs::fstat(&self.root).is_ok_and(|root| root.st_dev != stat.st_dev) {
            return Some(Unsuitable::Elsewhere);
        }
        let access = fs::Access::WRITE_OK | fs::Access::EXEC_OK;
        match to_write.then(|| fs::accessat(&self.root, path, access, AtFlags::EACCESS)) {
            Some(Err(Errno::ACCESS | Errno::PERM)) => {
                Some(Unsuitable::NotWritable(rustix::process::geteuid().as_raw()))
            }
            Some(Err(Errno::ROFS)) => Some(Unsuitable::ReadOnly),
            _ => None,
        }
    }

    fn read_now(&self, file: &Self::File, buffer: &mut [u8]) -> usize {
        read_now(file, buffer, 0)
    }

    fn open_rw(&self, path: &str) -> io::Result<Self::File> {
        self.open_file(path, OFlags::RDWR, Mode::empty())
    }

    fn create(&self, path: &str, secret: bool) -> io::Result<Self::File> {
        let mode = Mode::RUSR | Mode::WUSR | if secret { Mode::empty() } else { Mode::RGRP };
        self.open_file(path, OFlags::RDWR | OFlags::CREATE | OFlags::EXCL, mode)
    }

    fn write_at(&self, file: &Self::File, parts: &[Bytes], mut offset: u64) -> io::Result<()> {
        for batch in parts.chunks(MOST_PARTS) {
            let mut slices: Vec<_> = batch.iter().map(|part| IoSlice::new(part)).collect();
            let mut rest = slices.as_mut_slice();
            IoSlice::advance_slices(&mut rest, 0);
            while !rest.is_empty() {
                match rustix::io::pwritev(file, rest, offset) {
                    Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                    Ok(n) => {
                        offset += n as u64;
                        IoSlice::advance_slices(&mut rest, n);
                    }
                    Err(Errno::INTR) => {}
                    Err(e) => return Err(e.into()),
                }
            }
        }
        Ok(())
    }

    fn read_at(&self, file: &Self::File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        read_at(file, buffer, offset)
    }

    fn read_aside(&self, file: &Self::File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        read_aside(file, buffer, offset)
    }

    fn truncate(&self, file: &Self::File, len: u64) -> io::Result<()> {
        Ok(fs::ftruncate(file, len)?)
    }

    fn sync_data(&self, file: &Self::File) -> io::Result<()> {
        // Never retried on failure: the kernel may have dropped the pages and call the next one fine.
        file.sync_data()
    }

    fn file_meta(&self, file: &Self::File) -> io::Result<Meta> {
        Ok(meta(&fs::fstat(file)?))
    }

    fn meta(&self, path: &str) -> io::Result<Meta> {
        let (parent, name) = self.split(path)?;
        Ok(meta(&fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW)?))
    }

    fn metas(&self, dir: &str, names: &[&str]) -> io::Result<Vec<Option<Meta>>> {
        let Some(dir) = absent(self.open_beneath(dir, DIRECTORY, Mode::empty()))? else {
            return Ok(vec![None; names.len()]);
        };
        let stat = |name: &&str| absent(fs::statat(&dir, *name, AtFlags::SYMLINK_NOFOLLOW).map_err(io::Error::from));
        names.iter().map(|name| Ok(stat(name)?.as_ref().map(meta))).collect()
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let ((from_dir, from), (to_dir, to)) = (self.split(from)?, self.split(to)?);
        Ok(fs::renameat(from_dir, from, to_dir, to)?)
    }

    fn rename_new(&self, from: &str, to: &str) -> io::Result<()> {
        let ((from_dir, from), (to_dir, to)) = (self.split(from)?, self.split(to)?);
        #[cfg(not(portable))]
        match fs::renameat_with(&from_dir, from, &to_dir, to, fs::RenameFlags::NOREPLACE) {
            // File systems without the flag: link does not replace either.
            Err(Errno::INVAL | Errno::NOSYS) => {}
            done => return Ok(done?),
        }
        match fs::linkat(&from_dir, from, &to_dir, to, AtFlags::empty()) {
            Ok(()) => Ok(fs::unlinkat(from_dir, from, AtFlags::empty())?),
            // Directories have one name, and a second name of a file may need room. Then it is looked first: a
            // name that two give at the same moment stands for the same content.
            Err(Errno::PERM | Errno::NOSPC | Errno::DQUOT | Errno::MLINK | Errno::OPNOTSUPP) => {
                match fs::statat(&to_dir, to, AtFlags::SYMLINK_NOFOLLOW) {
                    Ok(_) => Err(Errno::EXIST.into()),
                    Err(Errno::NOENT) => Ok(fs::renameat(from_dir, from, to_dir, to)?),
                    Err(e) => Err(e.into()),
                }
            }
            Err(e) => Err(e.into()),
        }
    }

    fn link(&self, from: &str, to: &str) -> io::Result<()> {
        let ((from_dir, from), (to_dir, to)) = (self.split(from)?, self.split(to)?);
        Ok(fs::linkat(from_dir, from, to_dir, to, AtFlags::empty())?)
    }

    fn unlink(&self, path: &str) -> io::Result<()> {
        let (parent, name) = self.split(path)?;
        Ok(fs::unlinkat(parent, name, AtFlags::empty())?)
    }

    fn mkdir(&self, path: &str) -> io::Result<()> {
        let (parent, name) = self.split(path)?;
        Ok(fs::mkdirat(parent, name, Mode::RWXU | Mode::RGRP | Mode::XGRP)?)
    }

    fn rmdir(&self, path: &str) -> io::Result<()> {
        let (parent, name) = self.split(path)?;
        Ok(fs::unlinkat(parent, name, AtFlags::REMOVEDIR)?)
    }

    fn sync_dir(&self, path: &str) -> io::Result<()> {
        let dir = self.open_beneath(path, OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty())?;
        Ok(fs::fsync(dir)?)
    }

    fn sync_all(&self) -> io::Result<()> {
        #[cfg(not(portable))]
        fs::syncfs(&self.root)?;
        #[cfg(portable)]
        fs::sync();
        Ok(())
    }

    fn read_dir(&self, path: &str, each: &mut dyn FnMut(&str, Kind) -> bool) -> io::Result<()> {
        let fd = self.open_beneath(path, OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty())?;
        for entry in fs::Dir::new(fd)? {
            let entry = entry?;
            // Every name we write is ASCII. One that is not even UTF-8 is told so that somebody can
            // be warned of it; nothing can be opened by what is told.
            let name = entry.file_name().to_string_lossy();
            let name = name.as_ref();
            if matches!(name, "." | "..") {
                continue;
            }
            let found = match entry.file_type() {
                FileType::Unknown => match self.meta(&format!("{path}/{name}")) {
                    Ok(meta) => meta.kind,
                    Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
                    Err(e) => return Err(e),
                },
                known => kind(known),
            };
            if !each(name, found) {
                break;
            }
        }
        Ok(())
    }

    fn touch(&self, path: &str) -> io::Result<()> {
        let now = fs::Timespec { tv_sec: 0, tv_nsec: fs::UTIME_NOW };
        let (parent, name) = self.split(path)?;
        let times = fs::Timestamps { last_access: now, last_modification: now };
        Ok(fs::utimensat(parent, name, &times, AtFlags::SYMLINK_NOFOLLOW)?)
    }

    fn try_lock(&self, path: &str) -> io::Result<Option<Box<dyn Send + Sync>>> {
        let file = self.open_rw(path)?;
        match fs::flock(&file, fs::FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(Box::new(file))),
            Err(Errno::WOULDBLOCK) => Ok(None),
            Err(e) => Err(e.into()),
        }
    }

    fn space(&self) -> io::Result<Space> {
        let stat = fs::fstatvfs(&self.root)?;
        Ok(Space {
            total_bytes: stat.f_blocks.saturating_mul(stat.f_frsize),
            free_bytes: stat.f_bavail.saturating_mul(stat.f_frsize),
            total_inodes: stat.f_files,
            free_inodes: stat.f_favail,
        })
    }

    fn share(&self, file: Self::File) -> Result<Arc<std::fs::File>, Self::File> {
        Ok(Arc::new(file))
    }
}

#[cfg(test)]
mod tests;
