//! Files from outside the root that come in whole: they share blocks with the original, are copied, or get a second
//! name.

use super::{
    AtomicFiles, Staged, Sys,
    atomic::TEMPORARY,
    system::{read_now, read_uncached},
};
use bytes::Bytes;
use std::{fs::File, io, os::unix::fs::MetadataExt};

/// How a file may come in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IntakeMode {
    /// As a copy, which shares the blocks of the original where the file system can.
    #[default]
    Copy,
    /// As a second name of the original where that is possible. Whoever changes one of them changes the other.
    HardLink,
}

/// How a file came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IntakeWay {
    /// It shares the blocks of the original.
    Reflink,
    Copy,
    HardLink,
}

/// Bytes read at once.
const STEP: usize = 1 << 20;

impl<S: Sys> AtomicFiles<S> {
    /// Makes a temporary file with the bytes of another, and shows these to `each` in order: exactly the bytes that the
    /// temporary file has. Nothing is synced.
    ///
    /// # Errors
    /// An error of the operating system; nothing is left then. [`io::ErrorKind::UnexpectedEof`] if the file is shorter
    /// than it was.
    pub fn take_in(
        &self,
        from: &File,
        mode: IntakeMode,
        each: &mut dyn FnMut(&[u8]),
    ) -> io::Result<(Staged, u64, IntakeWay)> {
        let len = from.metadata()?.len();
        if mode == IntakeMode::HardLink && self.may_share(from)? {
            self.ensure_dir(TEMPORARY)?;
            let name = self.temporary();
            if self.sys().link_file(from, &name)? {
                let staged = Staged::at(name);
                return match read_through(from, len, &mut |bytes, _| {
                    each(bytes);
                    Ok(())
                }) {
                    Ok(()) => Ok((staged, len, IntakeWay::HardLink)),
                    Err(e) => {
                        self.discard(staged);
                        Err(e)
                    }
                };
            }
        }
        let staged = self.stage(&Bytes::new(), None, false)?;
        match self.fill(&staged, from, len, each) {
            Ok(way) => Ok((staged, len, way)),
            Err(e) => {
                self.discard(staged);
                Err(e)
            }
        }
    }

    /// Whether a second name of this file could be used like one of ours: the store's user owns it.
    fn may_share(&self, from: &File) -> io::Result<bool> {
        Ok(from.metadata()?.uid() == rustix::process::geteuid().as_raw())
    }

    fn fill(&self, staged: &Staged, from: &File, len: u64, each: &mut dyn FnMut(&[u8])) -> io::Result<IntakeWay> {
        let to = self.sys().open_rw(staged.path())?;
        if self.sys().clone_file(from, &to)? {
            // The clone is read, not the original, which its owner may be changing.
            let mut buffer = vec![0; STEP.min(len as usize)];
            let mut at = 0;
            loop {
                let read = self.sys().read_uncached(&to, &mut buffer, at)?;
                each(&buffer[..read]);
                at += read as u64;
                if read < buffer.len() || at == len {
                    break;
                }
            }
            return if at == len { Ok(IntakeWay::Reflink) } else { Err(io::ErrorKind::UnexpectedEof.into()) };
        }
        read_through(from, len, &mut |bytes, at| {
            each(bytes);
            self.sys().write_at(&to, &[Bytes::copy_from_slice(bytes)], at)
        })?;
        Ok(IntakeWay::Copy)
    }
}

/// Reads `len` bytes of a file, a part at a time, each with its offset.
fn read_through(from: &File, len: u64, each: &mut dyn FnMut(&[u8], u64) -> io::Result<()>) -> io::Result<()> {
    let mut buffer = vec![0; STEP.min(usize::try_from(len).unwrap_or(STEP))];
    let mut at = 0;
    while at < len {
        let wanted = buffer.len().min(usize::try_from(len - at).unwrap_or(usize::MAX));
        let part = &mut buffer[..wanted];
        // What is in memory already need not be dropped from there.
        let read = match read_now(from, part, at) {
            read if read == wanted => read,
            _ => read_uncached(from, part, at)?,
        };
        if read < wanted {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        each(part, at)?;
        at += read as u64;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::{FileKind, Real};

    fn taken_in(mode: IntakeMode, content: &[u8]) -> (Vec<u8>, Vec<u8>, IntakeWay, u64) {
        let (source, root) = (tempfile::tempdir().unwrap(), tempfile::tempdir_in("/dev/shm").unwrap());
        let files = AtomicFiles::new(Real::open_root(root.path()).unwrap());
        let path = source.path().join("original");
        std::fs::write(&path, content).unwrap();
        let mut seen = Vec::new();
        let original = File::open(&path).unwrap();
        let (staged, len, way) = files.take_in(&original, mode, &mut |bytes| seen.extend_from_slice(bytes)).unwrap();
        let staged_bytes = std::fs::read(root.path().join(staged.path())).unwrap();
        files.discard(staged);
        assert_eq!(std::fs::read(&path).unwrap(), content);
        (seen, staged_bytes, way, len)
    }

    #[test]
    fn a_file_of_another_file_system_is_copied_and_seen_whole() {
        for content in [Vec::new(), b"x".to_vec(), vec![7; STEP], vec![9; STEP + 1]] {
            for mode in [IntakeMode::Copy, IntakeMode::HardLink] {
                let (seen, staged, way, len) = taken_in(mode, &content);
                assert!(seen == content && staged == content && len == content.len() as u64);
                assert_eq!(way, IntakeWay::Copy);
            }
        }
    }

    #[test]
    fn a_second_name_is_the_same_file() {
        let root = tempfile::tempdir().unwrap();
        let files = AtomicFiles::new(Real::open_root(root.path()).unwrap());
        files.ensure_dir(TEMPORARY).unwrap();
        let path = root.path().join("original");
        std::fs::write(&path, "content").unwrap();
        let (staged, len, way) = files.take_in(&File::open(&path).unwrap(), IntakeMode::HardLink, &mut |_| ()).unwrap();
        if !cfg!(portable) {
            assert_eq!((len, way), (7, IntakeWay::HardLink));
            let meta = files.sys().meta(staged.path()).unwrap();
            assert_eq!((meta.kind, meta.links), (FileKind::File, 2));
        }
        files.discard(staged);
        assert_eq!(std::fs::read(&path).unwrap(), b"content");
    }
}
