//! Zip archives (APPNOTE 6.3.10) whose entries are stored as they are, so that the length is known beforehand.
//!
//! The crates that write zip archives do not tell their length. What is needed of the format is little: a checksum
//! follows each entry, since it is known only then, and the directory at the end has everything. Sizes and places that
//! do not fit into 32 bits are written as Zip64 says.

use super::{ArchiveEntry, ArchiveNeed, Progress};
use crc32fast::Hasher;
use jiff::{Timestamp, tz::Offset};

/// Takes the place of a number that is in the Zip64 field.
const IN_ZIP64: u32 = u32::MAX;

/// Versions of the format that are needed: without and with Zip64.
const PLAIN: u16 = 20;
const ZIP64: u16 = 45;

/// Made on Unix, so the attributes are a mode.
const MADE_BY: u16 = 3 << 8 | ZIP64;

/// A regular file that its owner may write.
const MODE: u32 = 0o100_644 << 16;

/// The checksum follows the entry, and names are UTF-8.
const FLAGS: u16 = 1 << 3 | 1 << 11;

/// A zip archive that is being written.
pub struct ZipWriter {
    progress: Progress,
    /// The checksums of the entries that are complete.
    checksums: Vec<u32>,
    /// Of the current one.
    checksum: Hasher,
}

impl ZipWriter {
    pub(super) fn new(entries: Vec<ArchiveEntry>) -> Self {
        let checksums = Vec::with_capacity(entries.len());
        Self { progress: Progress::new(entries), checksums, checksum: Hasher::new() }
    }

    pub(super) fn whole_len(&self) -> u64 {
        let entries = &self.progress.entries;
        let local: u64 = entries.iter().map(local_len).sum();
        let (central, end) = directory(entries, &[]);
        local + (central.len() + end.len()) as u64
    }

    pub(super) fn need(&self) -> ArchiveNeed {
        self.progress.need()
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        let Some(entry) = self.progress.current() else { return out };
        if self.progress.offset == 0 {
            local_header(entry, &mut out);
        }
        out.extend_from_slice(bytes);
        self.checksum.update(bytes);
        let size = entry.size;
        if self.progress.advance(bytes.len()) {
            let checksum = std::mem::take(&mut self.checksum).finalize();
            descriptor(checksum, size, &mut out);
            self.checksums.push(checksum);
            self.progress.next();
            if self.progress.current().is_none() {
                let (central, end) = directory(&self.progress.entries, &self.checksums);
                out.extend_from_slice(&central);
                out.extend_from_slice(&end);
            }
        }
        out
    }
}

/// Whether a number is in a Zip64 field.
fn is_long(number: u64) -> bool {
    number >= IN_ZIP64.into()
}

/// A number, or what takes its place.
fn short(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(IN_ZIP64)
}

fn put_u16(out: &mut Vec<u8>, number: u16) {
    out.extend_from_slice(&number.to_le_bytes());
}

fn put_u32(out: &mut Vec<u8>, number: u32) {
    out.extend_from_slice(&number.to_le_bytes());
}

fn put_u64(out: &mut Vec<u8>, number: u64) {
    out.extend_from_slice(&number.to_le_bytes());
}

/// The time as MS-DOS has it, in UTC and even seconds: time and date.
fn dos_time(time: Timestamp) -> (u16, u16) {
    let at = Offset::UTC.to_datetime(time);
    match u16::try_from(at.year()) {
        Ok(year @ 1980..=2107) => {
            let number = |part: i8| u16::from(part.unsigned_abs());
            let time = (number(at.hour()) << 11) | (number(at.minute()) << 5) | (number(at.second()) / 2);
            (time, ((year - 1980) << 9) | (number(at.month()) << 5) | number(at.day()))
        }
        _ => (0, 1 << 5 | 1),
    }
}

/// The field with the time in seconds since 1970, if it fits.
fn unix_time(time: Timestamp, out: &mut Vec<u8>) {
    if let Ok(seconds) = i32::try_from(time.as_second()) {
        put_u16(out, 0x5455);
        put_u16(out, 5);
        out.push(1);
        out.extend_from_slice(&seconds.to_le_bytes());
    }
}

/// What local and central headers have in common, from the version to the sizes.
fn common(entry: &ArchiveEntry, needed: u16, checksum: u32, size: u32, out: &mut Vec<u8>) {
    put_u16(out, needed);
    put_u16(out, FLAGS);
    // Stored.
    put_u16(out, 0);
    let (time, date) = dos_time(entry.modified);
    put_u16(out, time);
    put_u16(out, date);
    put_u32(out, checksum);
    put_u32(out, size);
    put_u32(out, size);
}

/// Writes the lengths of name and fields, and the rest of a header between them.
fn put_name(entry: &ArchiveEntry, between: &[u8], extra: &[u8], out: &mut Vec<u8>) {
    // Names of artifacts are much shorter.
    let len = |bytes: &[u8]| u16::try_from(bytes.len()).unwrap_or(u16::MAX);
    put_u16(out, len(entry.name.as_bytes()));
    put_u16(out, len(extra));
    out.extend_from_slice(between);
    out.extend_from_slice(entry.name.as_bytes());
    out.extend_from_slice(extra);
}

fn local_header(entry: &ArchiveEntry, out: &mut Vec<u8>) {
    let mut extra = Vec::new();
    let (mut needed, mut size) = (PLAIN, 0);
    if is_long(entry.size) {
        // Says that the sizes after the entry have 64 bits.
        (needed, size) = (ZIP64, IN_ZIP64);
        put_u16(&mut extra, 1);
        put_u16(&mut extra, 16);
        put_u64(&mut extra, 0);
        put_u64(&mut extra, 0);
    }
    unix_time(entry.modified, &mut extra);
    put_u32(out, 0x0403_4b50);
    common(entry, needed, 0, size, out);
    put_name(entry, &[], &extra, out);
}

fn descriptor(checksum: u32, size: u64, out: &mut Vec<u8>) {
    put_u32(out, 0x0807_4b50);
    put_u32(out, checksum);
    for _ in 0..2 {
        match is_long(size) {
            true => put_u64(out, size),
            false => put_u32(out, short(size)),
        }
    }
}

/// The bytes of an entry with what is before and after it.
fn local_len(entry: &ArchiveEntry) -> u64 {
    let mut around = Vec::new();
    local_header(entry, &mut around);
    descriptor(0, entry.size, &mut around);
    entry.size + around.len() as u64
}

/// The directory of an archive, and its end. Checksums that are not known yet are 0.
fn directory(entries: &[ArchiveEntry], checksums: &[u32]) -> (Vec<u8>, Vec<u8>) {
    let (mut central, mut offset) = (Vec::new(), 0);
    for (i, entry) in entries.iter().enumerate() {
        central_header(entry, checksums.get(i).copied().unwrap_or_default(), offset, &mut central);
        offset += local_len(entry);
    }
    let mut end = Vec::new();
    let (count, len) = (entries.len() as u64, central.len() as u64);
    let short_count = u16::try_from(count).unwrap_or(u16::MAX);
    if short_count == u16::MAX || is_long(offset) || is_long(len) {
        put_u32(&mut end, 0x0606_4b50);
        // The length of what follows in this record.
        put_u64(&mut end, 44);
        put_u16(&mut end, MADE_BY);
        put_u16(&mut end, ZIP64);
        put_u64(&mut end, 0);
        put_u64(&mut end, count);
        put_u64(&mut end, count);
        put_u64(&mut end, len);
        put_u64(&mut end, offset);
        // Where that record is.
        put_u32(&mut end, 0x0706_4b50);
        put_u32(&mut end, 0);
        put_u64(&mut end, offset + len);
        put_u32(&mut end, 1);
    }
    put_u32(&mut end, 0x0605_4b50);
    put_u32(&mut end, 0);
    put_u16(&mut end, short_count);
    put_u16(&mut end, short_count);
    put_u32(&mut end, short(len));
    put_u32(&mut end, short(offset));
    put_u16(&mut end, 0);
    (central, end)
}

fn central_header(entry: &ArchiveEntry, checksum: u32, offset: u64, out: &mut Vec<u8>) {
    let mut long = Vec::new();
    if is_long(entry.size) {
        put_u64(&mut long, entry.size);
        put_u64(&mut long, entry.size);
    }
    if is_long(offset) {
        put_u64(&mut long, offset);
    }
    let mut extra = Vec::new();
    if !long.is_empty() {
        put_u16(&mut extra, 1);
        put_u16(&mut extra, u16::try_from(long.len()).unwrap_or_default());
        extra.extend_from_slice(&long);
    }
    unix_time(entry.modified, &mut extra);
    put_u32(out, 0x0201_4b50);
    put_u16(out, MADE_BY);
    common(entry, if long.is_empty() { PLAIN } else { ZIP64 }, checksum, short(entry.size), out);
    let mut between = Vec::new();
    // No comment, the first disk, no internal attributes.
    put_u16(&mut between, 0);
    put_u16(&mut between, 0);
    put_u16(&mut between, 0);
    put_u32(&mut between, MODE);
    put_u32(&mut between, short(offset));
    put_name(entry, &between, &extra, out);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs::File, os::unix::fs::FileExt as _, path::Path, process::Command};

    /// The checksum of this many zeros, a power of two.
    fn checksum_of_zeros(len: u64) -> u32 {
        let mut hasher = Hasher::new();
        hasher.update(&[0]);
        for _ in 0..len.ilog2() {
            let half = hasher.clone();
            hasher.combine(&half);
        }
        hasher.finalize()
    }

    /// Writes an archive of zeros, which are holes of the file. Returns its length.
    fn write_zeros(path: &Path, sizes: &[u64]) -> u64 {
        let name = |(i, size): (usize, &u64)| ArchiveEntry {
            name: i.to_string(),
            size: *size,
            modified: Timestamp::UNIX_EPOCH,
        };
        let entries: Vec<_> = sizes.iter().enumerate().map(name).collect();
        let checksums: Vec<_> = sizes.iter().map(|size| checksum_of_zeros(*size)).collect();
        let (file, mut at) = (File::create(path).unwrap(), 0);
        let mut put = |bytes: Vec<u8>, hole: u64| {
            file.write_all_at(&bytes, at).unwrap();
            at += bytes.len() as u64 + hole;
        };
        for (entry, checksum) in entries.iter().zip(&checksums) {
            let (mut before, mut after) = (Vec::new(), Vec::new());
            local_header(entry, &mut before);
            descriptor(*checksum, entry.size, &mut after);
            put(before, entry.size);
            put(after, 0);
        }
        let (central, end) = directory(&entries, &checksums);
        put(central, 0);
        put(end, 0);
        assert_eq!(at, ZipWriter::new(entries).whole_len());
        at
    }

    #[test]
    fn entries_and_places_beyond_four_gigabytes_are_written_as_zip64() {
        let dir = tempfile::tempdir().unwrap();
        let sizes = [1 << 31, 1 << 32, 4];
        assert!(write_zeros(&dir.path().join("archive"), &sizes) > sizes.iter().sum());
        // It seeks over the first entries, and reads the last, whose place has more than 32 bits.
        let script = "import zipfile\nz = zipfile.ZipFile('archive')\n\
                      print([i.file_size for i in z.infolist()], z.read('2'), z.open('1').read(3))";
        let Ok(output) = Command::new("python3").args(["-c", script]).current_dir(dir.path()).output() else { return };
        let printed = String::from_utf8_lossy(&output.stdout);
        assert_eq!(printed.trim(), format!(r"{sizes:?} b'\x00\x00\x00\x00' b'\x00\x00\x00'"), "{output:?}");
    }

    #[test]
    fn a_size_takes_zip64_from_where_32_bits_end() {
        let len = |size| {
            ZipWriter::new(vec![ArchiveEntry { name: "a".into(), size, modified: Timestamp::UNIX_EPOCH }]).whole_len()
        };
        let last = u64::from(u32::MAX) - 1;
        // The directory is behind 4 GiB, so its end has Zip64, too.
        assert_eq!(len(last) - len(0), last + 56 + 20);
        // Fields of 20 bytes in both headers, and 8 more after the entry.
        assert_eq!(len(last + 1) - len(last), 1 + 20 + 20 + 8);
    }
}
