//! The implementation of [`Sys`] below the root.

use super::{
    DIRECTORY, MOST_PARTS, Real,
    stat::{kind, meta},
};
use crate::files::{
    absent,
    read::read_at,
    sys::{FileKind, Meta, Space, Stamp, Sys, Unsuitable},
    system::{clone_file, exchange, link_file, read_now, read_uncached, rename_new, sync_file_system},
};
use bytes::Bytes;
use rustix::{
    fs::{self, AtFlags, FileType, Mode, OFlags},
    io::Errno,
};
use std::{
    io::{self, IoSlice},
    sync::Arc,
    time::SystemTime,
};

impl Real {
    /// Exchanges the files at two paths, at once for every reader; `false` if this file system cannot.
    ///
    /// # Errors
    /// The operating system's; `NotFound` if one of them does not exist.
    pub fn exchange(&self, one: &str, other: &str) -> io::Result<bool> {
        let ((one_dir, one), (other_dir, other)) = (self.split(one)?, self.split(other)?);
        match exchange(&one_dir, one, &other_dir, other) {
            Err(Errno::INVAL | Errno::NOSYS) => Ok(false),
            done => done.map(|()| true).map_err(io::Error::from),
        }
    }
}

impl Sys for Real {
    type File = std::fs::File;

    fn open(&self, path: &str) -> io::Result<Self::File> {
        self.open_file(path, OFlags::RDONLY, Mode::empty())
    }

    fn open_now(&self, path: &str) -> Option<(Self::File, Meta, Stamp)> {
        let (file, stat, stamp) = self.kernel.open_now(self.root(), path)?;
        let meta = meta(&stat);
        (meta.kind == FileKind::File).then(|| (file.into(), meta, stamp))
    }

    fn stamp(&self, path: &str) -> Option<Stamp> {
        self.kernel.stamp(self.root(), path)
    }

    fn stamp_of(&self, file: &Self::File) -> Option<Stamp> {
        self.kernel.stamp_of(file)
    }

    fn detects_moves(&self, stamp: &Stamp) -> bool {
        self.kernel.detects_moves(stamp)
    }

    fn unsuitable(&self, path: &str, to_write: bool) -> Option<Unsuitable> {
        // Errors are left to the user of the path.
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

    fn read_uncached(&self, file: &Self::File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        read_uncached(file, buffer, offset)
    }

    fn truncate(&self, file: &Self::File, len: u64) -> io::Result<()> {
        Ok(fs::ftruncate(file, len)?)
    }

    fn sync_data(&self, file: &Self::File) -> io::Result<()> {
        // Never retried on failure: the kernel may have dropped the pages and report success the next time.
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
        match rename_new(&from_dir, from, &to_dir, to) {
            // Where that is not possible, link does not replace either.
            Err(Errno::INVAL | Errno::NOSYS) => {}
            done => return Ok(done?),
        }
        match fs::linkat(&from_dir, from, &to_dir, to, AtFlags::empty()) {
            Ok(()) => Ok(fs::unlinkat(from_dir, from, AtFlags::empty())?),
            // A directory has only one name, and a second name of a file may need space. Then this checks first: a name
            // that two writers give at the same moment stands for the same content.
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

    fn clone_file(&self, from: &std::fs::File, to: &Self::File) -> io::Result<bool> {
        clone_file(from, to)
    }

    fn link_file(&self, from: &std::fs::File, to: &str) -> io::Result<bool> {
        let (parent, name) = self.split(to)?;
        link_file(from, &parent, name)
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
        sync_file_system(&self.root)
    }

    fn read_dir(&self, path: &str, each: &mut dyn FnMut(&str, FileKind) -> bool) -> io::Result<()> {
        let fd = self.open_beneath(path, OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty())?;
        for entry in fs::Dir::new(fd)? {
            let entry = entry?;
            // Every name we write is ASCII. One that is not even UTF-8 is only listed so that a warning can name it; it
            // cannot be opened by this text.
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

    fn set_modified(&self, path: &str, at: SystemTime) -> io::Result<()> {
        let since = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let at = fs::Timespec { tv_sec: since.as_secs().cast_signed(), tv_nsec: since.subsec_nanos().into() };
        let (parent, name) = self.split(path)?;
        let times = fs::Timestamps { last_access: at, last_modification: at };
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
