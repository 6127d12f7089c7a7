//! Metadata of files, converted to our types.

use crate::files::{FileKind, Meta};
use rustix::fs::{FileType, Stat};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

pub(super) fn kind(file_type: FileType) -> FileKind {
    match file_type {
        FileType::RegularFile => FileKind::File,
        FileType::Directory => FileKind::Directory,
        _ => FileKind::Other,
    }
}

pub(super) fn meta(stat: &Stat) -> Meta {
    let (seconds, nanos) = (stat.st_mtime, stat.st_mtime_nsec);
    let since = Duration::new(u64::try_from(seconds).unwrap_or(0), u32::try_from(nanos).unwrap_or(0));
    #[allow(clippy::useless_conversion, reason = "some systems have sixteen bits for it")]
    let mode = u32::from(stat.st_mode) & 0o7777;
    #[allow(clippy::useless_conversion, reason = "some systems have fewer bits for it")]
    let links = u64::from(stat.st_nlink);
    Meta {
        kind: kind(FileType::from_raw_mode(stat.st_mode)),
        len: u64::try_from(stat.st_size).unwrap_or(0),
        modified: UNIX_EPOCH.checked_add(since).unwrap_or(SystemTime::UNIX_EPOCH),
        mode,
        links,
    }
}
