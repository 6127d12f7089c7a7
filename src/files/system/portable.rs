//! What stands in for the calls of Linux. Each item is documented there.

use crate::files::{read::read_at, sys::Stamp};
use rustix::{
    fd::{AsFd, BorrowedFd, OwnedFd},
    fs::{Mode, OFlags, Stat},
    io::Errno,
    net::SendFlags,
};
use std::{fs::File, io, net::SocketAddr, path::Path};

pub(in crate::files) const DIRECTORY: OFlags = OFlags::DIRECTORY;

pub const MORE: SendFlags = SendFlags::empty();

pub const SENDS_FILES: bool = false;

/// Nothing is known of any file without waiting.
pub(in crate::files) struct Kernel;

impl Kernel {
    pub(in crate::files) fn of(_: BorrowedFd<'_>) -> io::Result<Self> {
        Ok(Self)
    }

    pub(in crate::files) fn open(&self, _: BorrowedFd<'_>, _: &str, _: OFlags, _: Mode) -> Option<io::Result<OwnedFd>> {
        None
    }

    pub(in crate::files) fn open_now(&self, _: BorrowedFd<'_>, _: &str) -> Option<(OwnedFd, Stat, Stamp)> {
        None
    }

    pub(in crate::files) fn stamp(&self, _: BorrowedFd<'_>, _: &str) -> Option<Stamp> {
        None
    }

    pub(in crate::files) fn stamp_of(&self, _: impl AsFd) -> Option<Stamp> {
        None
    }

    pub(in crate::files) fn detects_moves(&self, _: &Stamp) -> bool {
        false
    }

    #[cfg(test)]
    pub(in crate::files) fn without_resolution(self) -> Self {
        self
    }
}

pub(in crate::files) fn file_system(_: impl AsFd) -> io::Result<u64> {
    Ok(0)
}

pub fn is_seen_by_others(_: &Path) -> bool {
    false
}

pub(in crate::files) fn rename_new(_: impl AsFd, _: &str, _: impl AsFd, _: &str) -> rustix::io::Result<()> {
    Err(Errno::NOSYS)
}

pub(in crate::files) fn exchange(_: impl AsFd, _: &str, _: impl AsFd, _: &str) -> rustix::io::Result<()> {
    Err(Errno::NOSYS)
}

pub(in crate::files) fn clone_file(_: &File, _: &File) -> io::Result<bool> {
    Ok(false)
}

pub(in crate::files) fn link_file(_: &File, _: impl AsFd, _: &str) -> io::Result<bool> {
    Ok(false)
}

pub(in crate::files) fn sync_file_system(_: impl AsFd) -> io::Result<()> {
    rustix::fs::sync();
    Ok(())
}

pub fn read_now(_: &File, _: &mut [u8], _: u64) -> usize {
    0
}

pub fn read_uncached(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    read_at(file, buffer, offset)
}

pub fn warm(file: &File, offset: u64, len: u64) -> io::Result<()> {
    let mut buffer = vec![0; len as usize];
    match read_at(file, &mut buffer, offset)? == buffer.len() {
        true => Ok(()),
        false => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

pub fn send_file(_: impl AsFd, _: &File, _: u64, _: usize) -> io::Result<usize> {
    Err(io::ErrorKind::Unsupported.into())
}

pub fn cork(_: impl AsFd, _: bool) -> io::Result<()> {
    Ok(())
}

pub fn tune(_: impl AsFd, _: SocketAddr) {}

pub fn yield_to_others() {}
