//! Reads from open files that take the page cache into account.

use rustix::io::Errno;
use std::{fs::File, io};

/// Reads into `buffer` from `offset`; returns fewer bytes only at the end of the file.
///
/// # Errors
/// As `pread(2)` gives them.
pub(super) fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match rustix::io::pread(file, &mut buffer[filled..], offset + filled as u64) {
            Ok(0) => break,
            Ok(n) => filled += n,
            Err(Errno::INTR) => {}
            Err(e) => return Err(e.into()),
        }
    }
    Ok(filled)
}

/// How many files this process may have open at a time; `None` for any number.
pub fn descriptor_limit() -> Option<u64> {
    rustix::process::getrlimit(rustix::process::Resource::Nofile).current
}
