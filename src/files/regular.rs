//! Regular files anywhere on the machine, as named by an operator. Opening one never blocks: a fifo would wait for a
//! writer, and other special files for a device.

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
};

use rustix::fs::{Mode, OFlags};

/// A longer file is a mistake.
const LONGEST: u64 = 16 << 20;

/// Opens a file for reading.
///
/// # Errors
/// The operating system's; `IsADirectory` and `InvalidInput` for what is not a regular file.
#[expect(clippy::disallowed_methods, reason = "reads only; everyone else opens files of the operator here")]
pub fn open(path: &Path) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = File::from(rustix::fs::open(path, flags, Mode::empty())?);
    let kind = file.metadata()?.file_type();
    match (kind.is_file(), kind.is_dir()) {
        (true, _) => Ok(file),
        (_, true) => Err(io::Error::new(io::ErrorKind::IsADirectory, "it is a directory")),
        _ => Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file")),
    }
}

/// Opens a file and reads all of it.
///
/// # Errors
/// As for [`open`] and [`read_whole`].
pub fn read(path: &Path) -> io::Result<Vec<u8>> {
    read_whole(&open(path)?)
}

/// Reads an open file from its current position to its end.
///
/// # Errors
/// The operating system's; `InvalidData` if it is too long.
pub fn read_whole(file: &File) -> io::Result<Vec<u8>> {
    let too_long = || io::Error::new(io::ErrorKind::InvalidData, format!("it has more than {LONGEST} bytes"));
    if file.metadata()?.len() > LONGEST {
        return Err(too_long());
    }
    let mut bytes = Vec::new();
    file.take(LONGEST + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LONGEST { Err(too_long()) } else { Ok(bytes) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_regular_files_are_read_and_pipes_do_not_block() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        std::fs::write(path("file"), "text").unwrap();
        std::fs::File::create(path("long")).unwrap().set_len(LONGEST + 1).unwrap();
        rustix::fs::mkfifoat(rustix::fs::CWD, path("fifo"), Mode::RWXU).unwrap();
        let _listener = std::os::unix::net::UnixListener::bind(path("socket")).unwrap();
        assert_eq!(read(&path("file")).unwrap(), b"text");
        let refused = |path: &Path| read(path).unwrap_err();
        assert_eq!(refused(&path("fifo")).to_string(), "it is not a regular file");
        assert_eq!(refused(Path::new("/dev/null")).to_string(), "it is not a regular file");
        assert_eq!(refused(dir.path()).kind(), io::ErrorKind::IsADirectory);
        assert_eq!(refused(&path("absent")).kind(), io::ErrorKind::NotFound);
        assert_eq!(refused(&path("long")).kind(), io::ErrorKind::InvalidData);
        assert!(open(&path("socket")).is_err());
    }
}
