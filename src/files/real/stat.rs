//! What the system tells of files, in our words.

#[cfg(not(portable))]
use crate::files::Stamp;
use crate::files::{Kind, Meta};
#[cfg(not(portable))]
use rustix::fs::{AtFlags, StatxFlags};
use rustix::fs::{FileType, Stat};
#[cfg(not(portable))]
use std::os::fd::{AsFd, BorrowedFd};
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

/// The numbers of ext4 (and ext2, ext3), XFS, Btrfs and tmpfs: the time of a file changes when it is renamed there.
/// This was tried on each of them.
#[cfg(not(portable))]
const TELLS_MOVES: [u64; 4] = [0xef53, 0x5846_5342, 0x9123_683e, TMPFS];
#[cfg(not(portable))]
const TMPFS: u64 = 0x0102_1994;

/// The number of overlayfs. It asks the file systems below it, which are local.
#[cfg(not(portable))]
const OVERLAYFS: u64 = 0x794c_7630;

/// The file system of a directory, and how its files are asked about without waiting.
#[cfg(not(portable))]
pub(super) struct FileSystem {
    /// Its device, if it changes `st_ctime` of what is renamed.
    tells_moves_on: Option<u64>,
    /// What it knows of a file that is held open is in memory. Others may ask a server, unless they are told not to.
    is_local: bool,
}

#[cfg(not(portable))]
impl FileSystem {
    pub(super) fn of(dir: BorrowedFd<'_>) -> rustix::io::Result<Self> {
        let kind = u64::from(rustix::fs::fstatfs(dir)?.f_type as u32);
        let tells_moves = TELLS_MOVES.contains(&kind);
        let tells_moves_on = if tells_moves { Some(rustix::fs::fstat(dir)?.st_dev) } else { None };
        Ok(Self { tells_moves_on, is_local: tells_moves || kind == OVERLAYFS })
    }

    pub(super) fn tells_moves(&self, stamp: &Stamp) -> bool {
        self.tells_moves_on == Some(stamp.device)
    }

    pub(super) fn is_local(&self) -> bool {
        self.is_local
    }

    /// The stamp of what is open.
    pub(super) fn stamp_of(&self, file: impl AsFd) -> Option<Stamp> {
        match self.is_local {
            true => rustix::fs::fstat(file).ok().as_ref().map(stamp),
            false => known(file.as_fd()),
        }
    }
}

/// The stamp of what is open, as far as this machine knows it: no server is asked.
#[cfg(not(portable))]
fn known(file: BorrowedFd<'_>) -> Option<Stamp> {
    let flags = AtFlags::EMPTY_PATH | AtFlags::STATX_DONT_SYNC;
    let stat = rustix::fs::statx(file, "", flags, StatxFlags::BASIC_STATS).ok()?;
    Some(Stamp {
        device: rustix::fs::makedev(stat.stx_dev_major, stat.stx_dev_minor),
        inode: stat.stx_ino,
        links: u64::from(stat.stx_nlink),
        len: stat.stx_size,
        changed: (stat.stx_ctime.tv_sec, i64::from(stat.stx_ctime.tv_nsec)),
    })
}

#[cfg(all(test, not(portable)))]
mod tests {
    use super::*;

    #[test]
    fn a_file_has_the_same_stamp_whether_a_server_may_be_asked_or_not() {
        for dir in ["/dev/shm", env!("CARGO_MANIFEST_DIR")] {
            let file = tempfile::tempfile_in(dir).unwrap();
            let [local, remote] = [true, false].map(|is_local| FileSystem { tells_moves_on: None, is_local });
            assert_eq!(local.stamp_of(&file).unwrap(), remote.stamp_of(&file).unwrap(), "{dir}");
        }
    }

    #[test]
    fn what_is_said_to_tell_moves_does() {
        for dir in ["/dev/shm", env!("CARGO_MANIFEST_DIR")] {
            let dir = tempfile::tempdir_in(dir).unwrap();
            let system = FileSystem::of(std::fs::File::open(dir.path()).unwrap().as_fd()).unwrap();
            let file = std::fs::File::create(dir.path().join("a")).unwrap();
            let before = system.stamp_of(&file).unwrap();
            if !system.tells_moves(&before) {
                continue;
            }
            std::thread::sleep(Duration::from_millis(30));
            std::fs::rename(dir.path().join("a"), dir.path().join("b")).unwrap();
            assert_ne!(system.stamp_of(&file).unwrap(), before, "{dir:?}");
        }
    }
}
