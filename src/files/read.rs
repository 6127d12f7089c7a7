//! Reading from open files, with an eye on what is in memory already.

use rustix::io::Errno;
use std::{fs::File, io};

/// Reads into `buffer` from `offset`, fewer bytes than asked only at the end.
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

/// Reads into `buffer` from `offset`, fewer bytes than asked only at the end; what was not in memory
/// before does not stay there.
///
/// # Errors
/// As `pread(2)` gives them.
#[cfg(not(portable))]
pub fn read_aside(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    use rustix::fs::{Advice, fadvise};
    // No reading ahead: what it brings would count as having been there.
    let _ = fadvise(file, 0, None, Advice::Random);
    let warm = read_now(file, buffer, offset);
    let from = offset + warm as u64;
    let cold = read_at(file, &mut buffer[warm..], from)?;
    if let Some(len) = std::num::NonZeroU64::new(cold as u64) {
        // Only advice: where it is not taken, the pages stay a little longer.
        let _ = fadvise(file, from, Some(len), Advice::DontNeed);
    }
    Ok(warm + cold)
}

/// Where the system cannot tell what was in memory, what is read stays there.
///
/// # Errors
/// As `pread(2)` gives them.
#[cfg(portable)]
pub fn read_aside(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    read_at(file, buffer, offset)
}

/// How many files this process may hold open at a time; `None` for any number.
pub fn descriptor_limit() -> Option<u64> {
    rustix::process::getrlimit(rustix::process::Resource::Nofile).current
}

/// Reads as much as is in memory already, without waiting for anything; how many bytes that was.
#[cfg(not(portable))]
pub fn read_now(file: &File, buffer: &mut [u8], offset: u64) -> usize {
    let into = &mut [io::IoSliceMut::new(buffer)];
    // Where the file system cannot tell, nothing is.
    rustix::io::preadv2(file, into, offset, rustix::io::ReadWriteFlags::NOWAIT).unwrap_or(0)
}

/// Where the system cannot tell, nothing is in memory.
#[cfg(portable)]
pub fn read_now(_: &File, _: &mut [u8], _: u64) -> usize {
    0
}
