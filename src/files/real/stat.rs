//! What the system tells of files, in our words.

#[cfg(not(portable))]
use crate::files::Stamp;
use crate::files::{Kind, Meta};
use rustix::fs::{FileType, Stat};
#[cfg(not(portable))]
use std::os::fd::BorrowedFd;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

pub(super) fn kind(file_type: FileType) -> Kind {
    match file_type {
        FileType::RegularFile => Kind::File,
        FileType::Directory => Kind::Directory,
        _ => Kind::Other,
    }
}

pub(super) fn meta(stat: &Stat) -> Meta {
    let (seconds, nanos) = (stat.st_mtime, stat.st_mtime_nsec);
    let since = Duration::new(u64::try_from(seconds).unwrap_or(0), u32::try_from(nanos).unwrap_or(0));
    #[allow(clippy::useless_conversion, reason = "some systems have sixteen bits for it")]
    let mode = u32::from(stat.st_mode) & 0o7777;
    Meta {
        kind: kind(FileType::from_raw_mode(stat.st_mode)),
        len: u64::try_from(stat.st_size).unwrap_or(0),
        modified: UNIX_EPOCH.checked_add(since).unwrap_or(SystemTime::UNIX_EPOCH),
        mode,
    }
}

#[cfg(not(portable))]
#[allow(clippy::useless_conversion, reason = "some systems count links in 32 bits")]
pub(super) fn stamp(stat: &Stat) -> Stamp {
    Stamp {
        device: stat.st_dev,
        inode: stat.st_ino,
        links: u64::from(stat.st_nlink),
        len: u64::try_from(stat.st_size).unwrap_or(0),
        changed: (stat.st_ctime, stat.st_ctime_nsec as i64),
    }
}

/// The numbers of ext4 (and ext2, ext3), XFS and Btrfs, where this was tried.
#[cfg(not(portable))]
const TELLS_MOVES: [u64; 3] = [0xef53, 0x5846_5342, 0x9123_683e];

/// The device of a directory, if its file system changes `st_ctime` of what is renamed.
#[cfg(not(portable))]
pub(super) fn tells_moves_on(dir: BorrowedFd<'_>) -> rustix::io::Result<Option<u64>> {
    let kind = u64::from(rustix::fs::fstatfs(dir)?.f_type as u32);
    Ok(if TELLS_MOVES.contains(&kind) { Some(rustix::fs::fstat(dir)?.st_dev) } else { None })
}
