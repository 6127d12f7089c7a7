//! Archives of artifacts, written while they are sent: no file is made, and no more is in memory than a piece of one
//! entry.
//!
//! An [`ArchiveWriter`] does no I/O. It says which bytes of which entry it needs next, and turns them into bytes of the
//! archive.

mod names;
mod tar_gz;
#[cfg(test)]
mod tests;
mod zip;

pub use names::entry_names;

use super::ArchiveFormat;
use jiff::Timestamp;
use std::io;
use tar_gz::TarGzWriter;
use zip::ZipWriter;

/// A file in an archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArchiveEntry {
    /// Its name, with `/` between its components; see [`entry_names`].
    pub name: String,
    /// Its length in bytes.
    pub size: u64,
    pub modified: Timestamp,
}

/// An archive that is being written.
pub enum ArchiveWriter {
    Zip(ZipWriter),
    TarGz(Box<TarGzWriter>),
}

/// What an archive needs next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArchiveNeed {
    /// The next bytes of this entry, which is not complete.
    Bytes { entry: usize, offset: u64 },
    /// Nothing: it is complete.
    Nothing,
}

impl ArchiveWriter {
    /// Begins an archive of these entries, in this order; at least one.
    pub fn new(format: ArchiveFormat, entries: Vec<ArchiveEntry>) -> Self {
        match format {
            ArchiveFormat::Zip => Self::Zip(ZipWriter::new(entries)),
            ArchiveFormat::TarGz => Self::TarGz(Box::new(TarGzWriter::new(entries))),
        }
    }

    /// The length of the whole archive in bytes, where it is known before it is written.
    pub fn whole_len(&self) -> Option<u64> {
        match self {
            Self::Zip(zip) => Some(zip.whole_len()),
            Self::TarGz(_) => None,
        }
    }

    /// What it needs next.
    pub fn need(&self) -> ArchiveNeed {
        match self {
            Self::Zip(zip) => zip.need(),
            Self::TarGz(tar) => tar.need(),
        }
    }

    /// Adds the bytes that it needs, no more than are left of the entry; none for an entry that is empty. Returns the
    /// bytes of the archive that follow from them, perhaps none.
    ///
    /// # Errors
    /// If an entry cannot be written; the archive must then be given up.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<Vec<u8>> {
        match self {
            Self::Zip(zip) => Ok(zip.write(bytes)),
            Self::TarGz(tar) => tar.write(bytes),
        }
    }
}

/// How far the entries are written.
struct Progress {
    entries: Vec<ArchiveEntry>,
    /// The entry whose bytes are written.
    entry: usize,
    /// How many of its bytes are.
    offset: u64,
}

impl Progress {
    fn new(entries: Vec<ArchiveEntry>) -> Self {
        Self { entries, entry: 0, offset: 0 }
    }

    fn current(&self) -> Option<&ArchiveEntry> {
        self.entries.get(self.entry)
    }

    fn need(&self) -> ArchiveNeed {
        match self.current() {
            Some(_) => ArchiveNeed::Bytes { entry: self.entry, offset: self.offset },
            None => ArchiveNeed::Nothing,
        }
    }

    /// Whether the entry is complete with these bytes.
    fn advance(&mut self, bytes: usize) -> bool {
        self.offset += bytes as u64;
        self.current().is_some_and(|entry| self.offset >= entry.size)
    }

    fn next(&mut self) {
        self.entry += 1;
        self.offset = 0;
    }
}
