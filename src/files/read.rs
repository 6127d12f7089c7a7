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

/// Waits until `len` bytes from `offset` are in memory; nothing is copied.
///
/// # Errors
/// As `sendfile(2)` gives them, and [`io::ErrorKind::UnexpectedEof`] if the file ends before.
#[cfg(not(portable))]
pub fn warm(file: &File, mut offset: u64, mut len: u64) -> io::Result<()> {
    let nowhere = super::real::nowhere()?;
    while len > 0 {
        match rustix::fs::sendfile(nowhere, file, Some(&mut offset), len as usize) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(sent) => len -= sent as u64,
            Err(Errno::INTR) => {}
            Err(e) => return Err(e.into()),
        }
    }
    Ok(())
}

/// Where the system does not send files, they are read and thrown away.
///
/// # Errors
/// As `pread(2)` gives them, and [`io::ErrorKind::UnexpectedEof`] if the file ends before.
#[cfg(portable)]
pub fn warm(file: &File, offset: u64, len: u64) -> io::Result<()> {
    let mut buffer = vec![0; len as usize];
    match read_at(file, &mut buffer, offset)? == buffer.len() {
        true => Ok(()),
        false => Err(io::ErrorKind::UnexpectedEof.into()),
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(not(portable))]
    fn what_was_warmed_is_in_memory_and_a_file_that_ends_before_is_told() {
        // Where this system keeps files on a disk.
        let dir = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).unwrap();
        let path = dir.path().join("file");
        std::fs::write(&path, vec![7; 3 << 20]).unwrap();
        let file = File::open(&path).unwrap();
        file.sync_all().unwrap();
        rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed).unwrap();
        warm(&file, 1000, 2 << 20).unwrap();
        let mut bytes = vec![0; 2 << 20];
        assert_eq!(read_now(&file, &mut bytes, 1000), bytes.len());
        assert!(bytes.iter().all(|byte| *byte == 7));
        let error = warm(&file, 2 << 20, 2 << 20).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }
}
