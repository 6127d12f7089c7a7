//! Reads the `.env` file of the current directory without changing the process environment.

use std::cell::Cell;
use std::io::{ErrorKind, Read};
use std::path::Path;
use std::rc::Rc;

use super::problems::{Problem, Problems, Warning};
use super::snapshot::{FileContent, READ};
use crate::files::{Patience, cause};

/// An assignment in a `.env` file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Assignment {
    pub(super) name: String,
    pub(super) value: String,
    /// The line it ends on, from 1.
    pub(super) line: usize,
}

/// Returns one line at a time, so that the parser's position is known.
struct LineReader<'a> {
    left: &'a [u8],
    taken: Rc<Cell<usize>>,
}

impl Read for LineReader<'_> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let line = self.left.iter().position(|&b| b == b'\n').map_or(self.left.len(), |at| at + 1);
        let take = line.min(into.len());
        let (now, later) = self.left.split_at(take);
        into[..take].copy_from_slice(now);
        self.left = later;
        // A line longer than the buffer is counted when its end is returned.
        if take > 0 && take == line {
            self.taken.set(self.taken.get() + 1);
        }
        Ok(take)
    }
}

/// All assignments of the file; none if it does not exist.
///
/// `$NAME` in a value is replaced, as usual in dotenv files. Messages never quote a line: other programs keep secrets
/// in the same file.
pub(super) fn read(path: &Path, problems: &mut Problems, warnings: &mut Vec<Warning>) -> Vec<Assignment> {
    let content = match FileContent::read(path, &Patience::new(READ)) {
        Ok(content) => content,
        // Python keeps virtual environments in directories of this name.
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::IsADirectory) => return Vec::new(),
        Err(error) => {
            problems.push(Problem::of_file(path, format!("cannot read the file: {}", cause(&error))));
            return Vec::new();
        }
    };
    let of_file = |message| Warning(Problem::of_file(path, message));
    warnings.extend(content.warnings(false).into_iter().map(of_file));
    match content.usable() {
        Ok(bytes) => parse(path, bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes), problems),
        Err(why) => {
            problems.push(Problem::of_file(path, why));
            Vec::new()
        }
    }
}

fn parse(path: &Path, bytes: &[u8], problems: &mut Problems) -> Vec<Assignment> {
    let taken = Rc::new(Cell::new(0));
    let lines = LineReader { left: bytes, taken: Rc::clone(&taken) };
    let mut found: Vec<Assignment> = Vec::new();
    for item in dotenvy::from_read_iter(lines) {
        let line = taken.get();
        let (name, value) = match item {
            Ok(pair) => pair,
            Err(dotenvy::Error::LineParse(text, _)) => {
                // An unclosed quotation mark runs to the end of the file: report the line it started on.
                let first = line.saturating_sub(text.trim_end_matches('\n').matches('\n').count());
                problems.push(
                    Problem::of_file(path, "is not NAME=value (put quotes around values with spaces)")
                        .at_line(first.max(1)),
                );
                continue;
            }
            // The file is in memory, so the text is not UTF-8; the parser cannot continue.
            Err(_) => {
                problems.push(Problem::of_file(path, "is not UTF-8 text").at_line(line.max(1)));
                break;
            }
        };
        match found.iter().find(|other| other.name == name && name.starts_with("REGISTRY_")) {
            Some(other) => problems.push(
                Problem::of_file(path, format!("is set twice, first on line {}", other.line))
                    .at_line(line)
                    .at_key(name),
            ),
            None => found.push(Assignment { name, value, line }),
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> (Vec<(String, String, usize)>, String) {
        let mut problems = Problems::default();
        let found = parse(Path::new(".env"), text.as_bytes(), &mut problems);
        let found = found.into_iter().map(|a| (a.name, a.value, a.line)).collect();
        (found, problems.to_string())
    }

    #[test]
    fn assignments_know_their_line() {
        let long = "x".repeat(20_000);
        let text = format!("# comment\n\nA=1\nLONG={long}\nexport B='two words' # why\r\nC=\"a\nb\"\nD=4");
        let (found, problems) = parsed(&text);
        let places: Vec<_> = found.iter().map(|(name, _, line)| (name.as_str(), *line)).collect();
        assert_eq!(places, [("A", 3), ("LONG", 4), ("B", 5), ("C", 7), ("D", 8)]);
        assert_eq!(found[2].1, "two words");
        assert_eq!(problems, "");
    }

    #[test]
    fn errors_name_the_line_and_never_repeat_it() {
        let (found, problems) =
            parsed("A=1\nhunter2 is my password\nB=2\nREGISTRY_PORT=1\nREGISTRY_PORT=2\nC='hunter2\nX=1\n");
        assert_eq!(found.len(), 3);
        assert_eq!(
            problems,
            ".env:2: is not NAME=value (put quotes around values with spaces)\n\
             .env:5: REGISTRY_PORT: is set twice, first on line 4\n\
             .env:6: is not NAME=value (put quotes around values with spaces)"
        );
    }
}
