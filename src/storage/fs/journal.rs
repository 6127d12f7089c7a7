//! The audit log: lines that are only ever appended, in files of bounded size of which the oldest are removed.
//!
//! A crash can leave a half line at the end. The next line is then begun on a new one, and readers skip the half.
//!
//! Commands append beside a running daemon. Whoever appends locks the last file, and only they may begin the next one.

use super::{Fs, FsInner, Sys};
use crate::{
    files::absent,
    storage::{LinePlace, Result, StorageError},
};
use bytes::Bytes;
use std::{
    io, thread,
    time::{Duration, Instant},
};

/// The directory of the audit log.
const AUDIT: &str = "state/audit";

/// A file is continued up to this length.
const LONGEST_FILE: u64 = 4 << 20;

/// The number of files that are kept.
const MOST_FILES: usize = 16;

/// The longest line.
const LONGEST_LINE: usize = 64 << 10;

/// Bytes that are read at once.
const BLOCK: u64 = 64 << 10;

/// How long to wait for another process that appends, and the time between two attempts.
const PATIENCE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(2);

impl<S: Sys> Fs<S> {
    /// Appends a line to the audit log, durably.
    ///
    /// # Errors
    /// [`StorageError::Io`], [`StorageError::Full`].
    pub async fn append_audit(&self, line: Bytes) -> Result<()> {
        self.run(move |inner| {
            let _turn = inner.lock(&AUDIT);
            inner.append_line(&line).map_err(|e| StorageError::io("append to", AUDIT, e))
        })
        .await
    }

    /// The last lines of the audit log before a place, newest first, each with its own place.
    ///
    /// # Errors
    /// [`StorageError::Io`].
    pub async fn read_audit(&self, before: Option<LinePlace>, most: usize) -> Result<Vec<(LinePlace, Bytes)>> {
        self.run(move |inner| inner.last_lines(before, most).map_err(|e| StorageError::io("read", AUDIT, e))).await
    }
}

impl<S: Sys> FsInner<S> {
    fn append_line(&self, line: &Bytes) -> io::Result<()> {
        if line.len() > LONGEST_LINE || line.contains(&b'\n') {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "a line of the audit log is too long"));
        }
        let begun = Instant::now();
        while !self.try_append(line)? {
            if begun.elapsed() >= PATIENCE {
                return Err(io::Error::new(io::ErrorKind::TimedOut, "another process holds a lock on its last file"));
            }
            thread::sleep(PAUSE);
        }
        Ok(())
    }

    /// Appends a line; `false` if another process was faster.
    fn try_append(&self, line: &Bytes) -> io::Result<bool> {
        let numbers = self.audit_files()?;
        let next = path(numbers.last().map_or(1, |last| last + 1));
        let last = numbers.last().map(|last| path(*last));
        let lock = match &last {
            Some(last) => absent(self.sys().try_lock(last))?.flatten(),
            None => None,
        };
        if let Some(last) = &last {
            if lock.is_none() || absent(self.sys().meta(&next))?.is_some() {
                return Ok(false);
            }
            let file = self.sys().open_rw(last)?;
            let len = self.sys().file_meta(&file)?.len;
            if len + line.len() as u64 <= LONGEST_FILE {
                let mut end = [b'\n'];
                if len > 0 {
                    self.sys().read_at(&file, &mut end, len - 1)?;
                }
                let begin = if end == *b"\n" { Bytes::new() } else { Bytes::from_static(b"\n") };
                self.sys().write_at(&file, &[begin, line.clone(), Bytes::from_static(b"\n")], len)?;
                return self.sys().sync_data(&file).map(|()| true);
            }
        }
        let staged = self.files.stage(&[line, &b"\n"[..]].concat().into(), Some("a line of the audit log"), true)?;
        match self.files.place_new(&staged, &next) {
            Ok(()) => {}
            Err(error) => {
                self.files.discard(staged);
                return if error.kind() == io::ErrorKind::AlreadyExists { Ok(false) } else { Err(error) };
            }
        }
        self.files.sync_parent(&next, "the name of a file of the audit log")?;
        let surplus = (numbers.len() + 1).saturating_sub(MOST_FILES);
        numbers.iter().take(surplus).try_for_each(|old| self.sys().unlink(&path(*old)))?;
        Ok(true)
    }

    /// The numbers of the files, in order.
    fn audit_files(&self) -> io::Result<Vec<u64>> {
        let mut numbers = Vec::new();
        absent(self.sys().read_dir(AUDIT, &mut |name, _| {
            numbers.extend(name.strip_suffix(".jsonl").and_then(|number| number.parse::<u64>().ok()));
            true
        }))?;
        numbers.sort_unstable();
        Ok(numbers)
    }

    fn last_lines(&self, before: Option<LinePlace>, most: usize) -> io::Result<Vec<(LinePlace, Bytes)>> {
        let mut found = Vec::new();
        for number in self.audit_files()?.into_iter().rev() {
            let end = match before {
                Some(before) if number > before.file => continue,
                Some(before) if number == before.file => Some(before.offset),
                _ => None,
            };
            // It may have been removed since.
            let Some(file) = absent(self.sys().open(&path(number)))? else { continue };
            let end = end.unwrap_or(self.sys().file_meta(&file)?.len);
            self.lines_backwards(&file, end, &mut |offset, line| {
                found.push((LinePlace { file: number, offset }, line));
                found.len() < most
            })?;
            if found.len() >= most {
                break;
            }
        }
        Ok(found)
    }

    /// Calls `each` for the whole lines before `end`, last first, until it returns `false`.
    fn lines_backwards(&self, file: &S::File, end: u64, each: &mut dyn FnMut(u64, Bytes) -> bool) -> io::Result<()> {
        // The bytes from `start` that belong to lines not yet returned.
        let (mut start, mut held) = (end, Vec::new());
        while start > 0 {
            let len = start.min(BLOCK);
            let mut block = vec![0; usize::try_from(len).unwrap_or_default()];
            let read = self.sys().read_at(file, &mut block, start - len)?;
            block.truncate(read);
            block.append(&mut held);
            (start, held) = (start - len, block);
            // Half a line at the end of the file, or a damaged one.
            if !held.ends_with(b"\n") {
                let end = held.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
                held.truncate(end);
            }
            // A line begins after a line feed, or at the start of the file.
            while let Some(content) = held.strip_suffix(b"\n") {
                let begin = content.iter().rposition(|byte| *byte == b'\n').map(|at| at + 1);
                let Some(begin) = begin.or((start == 0).then_some(0)) else { break };
                let line = Bytes::copy_from_slice(&content[begin..]);
                held.truncate(begin);
                if !each(start + begin as u64, line) {
                    return Ok(());
                }
            }
        }
        Ok(())
    }
}

fn path(number: u64) -> String {
    format!("{AUDIT}/{number:010}.jsonl")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::fs::Init;
    use std::sync::Arc;

    fn texts(lines: &[(LinePlace, Bytes)]) -> Vec<String> {
        lines.iter().map(|(_, line)| String::from_utf8(line.to_vec()).unwrap()).collect()
    }

    #[tokio::test]
    async fn lines_are_read_newest_first_and_page_by_page_over_all_files() {
        let dir = tempfile::tempdir().unwrap();
        let (fs, _) = Fs::open(dir.path(), Init::EmptyDirectory).unwrap();
        assert_eq!(fs.read_audit(None, 10).await.unwrap(), []);
        // Several files: 300 lines of 32 KiB.
        let line = |n: usize| format!("{n:05}{}", "x".repeat(32 << 10));
        for n in 0..300 {
            fs.append_audit(line(n).into()).await.unwrap();
        }
        assert!(std::fs::read_dir(dir.path().join(AUDIT)).unwrap().count() > 2);
        let (mut place, mut all) = (None, Vec::new());
        loop {
            let page = fs.read_audit(place, 7).await.unwrap();
            let Some((last, _)) = page.last() else { break };
            place = Some(last.to_string().parse().unwrap());
            all.extend(texts(&page));
        }
        assert_eq!(all, (0..300).rev().map(line).collect::<Vec<_>>());
        assert!(fs.append_audit("x".repeat(LONGEST_LINE + 1).into()).await.is_err());
        assert!(fs.append_audit("x".repeat(LONGEST_LINE).into()).await.is_ok());
    }

    #[tokio::test]
    async fn a_half_line_is_skipped_and_not_continued() {
        let dir = tempfile::tempdir().unwrap();
        let (fs, _) = Fs::open(dir.path(), Init::EmptyDirectory).unwrap();
        fs.append_audit("one".into()).await.unwrap();
        fs.append_audit("two".into()).await.unwrap();
        let path = dir.path().join(AUDIT).join("0000000001.jsonl");
        let whole = std::fs::read(&path).unwrap();
        std::fs::write(&path, &whole[..whole.len() - 2]).unwrap();
        assert_eq!(texts(&fs.read_audit(None, 10).await.unwrap()), ["one"]);
        fs.append_audit("three".into()).await.unwrap();
        assert_eq!(texts(&fs.read_audit(None, 10).await.unwrap()), ["three", "tw", "one"]);
    }

    /// Two stores of one directory stand for two processes: their locks are as separate.
    #[test]
    fn processes_append_beside_one_another_and_lose_nothing() {
        const EACH: usize = 200;
        let dir = tempfile::tempdir().unwrap();
        let daemon = Arc::new(Fs::open(dir.path(), Init::EmptyDirectory).unwrap().0);
        let line = |who: &str, n: usize| format!("{who}{n:05}{}", "x".repeat(32 << 10));
        std::thread::scope(|scope| {
            for who in ["a", "b", "c"] {
                let store = if who == "a" { daemon.clone() } else { Arc::new(Fs::open_beside(dir.path()).unwrap()) };
                let line = &line;
                scope.spawn(move || {
                    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
                    for n in 0..EACH {
                        runtime.block_on(store.append_audit(line(who, n).into())).unwrap();
                    }
                });
            }
        });
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let mut all = texts(&runtime.block_on(daemon.read_audit(None, 10_000)).unwrap());
        all.reverse();
        for who in ["a", "b", "c"] {
            let own: Vec<_> = all.iter().filter(|line| line.starts_with(who)).cloned().collect();
            assert_eq!(own, (0..EACH).map(|n| line(who, n)).collect::<Vec<_>>(), "{who}");
        }
        assert_eq!(all.len(), 3 * EACH);
        assert!(std::fs::read_dir(dir.path().join(AUDIT)).unwrap().count() > 3);
    }

    #[tokio::test]
    async fn the_oldest_files_are_removed() {
        let dir = tempfile::tempdir().unwrap();
        let (fs, _) = Fs::open(dir.path(), Init::EmptyDirectory).unwrap();
        fs.append_audit("one".into()).await.unwrap();
        let audit = dir.path().join(AUDIT);
        for n in 2..=20 {
            let file = std::fs::File::create(audit.join(format!("{n:010}.jsonl"))).unwrap();
            file.set_len(LONGEST_FILE).unwrap();
        }
        fs.append_audit("last".into()).await.unwrap();
        let mut names: Vec<_> =
            std::fs::read_dir(audit).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        assert_eq!((names.len(), names[0].as_str(), names[15].as_str()), (16, "0000000006.jsonl", "0000000021.jsonl"));
    }
}
