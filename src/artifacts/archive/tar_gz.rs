//! Tar archives, compressed by gzip.

use super::{ArchiveEntry, ArchiveNeed, Progress};
use flate2::{Compression, write::GzEncoder};
use std::io::{self, Write as _};

/// The length of a block: headers have one or more, and the last of an entry is filled with zeros.
const BLOCK: u64 = 512;

/// A compressed tar archive that is being written.
pub struct TarGzWriter {
    progress: Progress,
    /// `None` once the archive is complete.
    gzip: Option<GzEncoder<Vec<u8>>>,
}

impl TarGzWriter {
    pub(super) fn new(entries: Vec<ArchiveEntry>) -> Self {
        // Most of what is built is compressed already; more effort would win little.
        let gzip = GzEncoder::new(Vec::new(), Compression::fast());
        Self { progress: Progress::new(entries), gzip: Some(gzip) }
    }

    pub(super) fn need(&self) -> ArchiveNeed {
        self.progress.need()
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<Vec<u8>> {
        let Some(gzip) = &mut self.gzip else { return Ok(Vec::new()) };
        add(gzip, &mut self.progress, bytes)?;
        let mut out = std::mem::take(gzip.get_mut());
        if self.progress.current().is_none()
            && let Some(mut gzip) = self.gzip.take()
        {
            // Two blocks of zeros end a tar archive.
            gzip.write_all(&[0; 2 * BLOCK as usize])?;
            out.append(&mut gzip.finish()?);
        }
        Ok(out)
    }
}

fn add(gzip: &mut GzEncoder<Vec<u8>>, progress: &mut Progress, bytes: &[u8]) -> io::Result<()> {
    let Some(entry) = progress.current() else { return Ok(()) };
    if progress.offset == 0 {
        gzip.write_all(&header(entry)?)?;
    }
    let padding = entry.size.next_multiple_of(BLOCK) - entry.size;
    gzip.write_all(bytes)?;
    if progress.advance(bytes.len()) {
        gzip.write_all(&[0; BLOCK as usize][..padding as usize])?;
        progress.next();
    }
    Ok(())
}

/// The header of an entry, with the blocks before it that a long name needs.
fn header(entry: &ArchiveEntry) -> io::Result<Vec<u8>> {
    let mut header = tar::Header::new_gnu();
    header.set_size(entry.size);
    header.set_mode(0o644);
    header.set_mtime(u64::try_from(entry.modified.as_second()).unwrap_or_default());
    header.set_uid(0);
    header.set_gid(0);
    // The builder writes headers only together with content, so it is given none.
    let mut builder = tar::Builder::new(Vec::new());
    builder.append_data(&mut header, &entry.name, io::empty())?;
    // Not finished: its end would follow.
    Ok(std::mem::take(builder.get_mut()))
}
