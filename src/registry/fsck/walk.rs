//! Going through all names, and looking again at what seemed wrong.

use super::{Check, unreadable};
use crate::{
    files::{self, Sys},
    storage::{Key, key::Place},
};
use std::thread;

/// Names of one directory looked at together.
const LOOKS: usize = 64;

/// Suspects looked at again together, after one pause.
const TOGETHER: usize = 1024;

impl<S: Sys> Check<'_, S> {
    /// Looks at every name once, directory by directory.
    pub(super) fn walk(&mut self) {
        let mut dirs = vec![String::from(".")];
        while let Some(dir) = dirs.pop() {
            let names = match self.survey.list(&dir) {
                Ok(names) => names,
                Err(error) => {
                    self.tell(unreadable(&dir, &error));
                    continue;
                }
            };
            // The last is looked into first.
            for names in names.rchunks(LOOKS) {
                self.walk_some(&dir, names, &mut dirs);
            }
        }
    }

    /// Looks at some names of a directory.
    fn walk_some(&mut self, dir: &str, names: &[(String, files::Kind)], dirs: &mut Vec<String>) {
        let only: Vec<&str> = names.iter().map(|(name, _)| name.as_str()).collect();
        // Where one of them cannot be looked at, each is by itself.
        let metas = self.survey.looks(dir, &only).unwrap_or_default();
        for (at, (name, kind)) in names.iter().enumerate().rev() {
            let path = if dir == "." { name.clone() } else { format!("{dir}/{name}") };
            let place = Place::of(&path, *kind);
            if self.is_first {
                self.count(place.as_ref());
            }
            if matches!(place, Some(Place::Directory | Place::Upload(_))) {
                dirs.push(path.clone());
            }
            let found = match metas.get(at).cloned().flatten() {
                Some(meta) => self.judge(&path, &meta, self.is_first),
                None => self.look(&path, self.is_first),
            };
            if !found.is_ok_and(|found| found.is_empty()) {
                self.suspects.push(path);
            }
            if self.suspects.len() >= TOGETHER {
                self.confirm();
            }
        }
    }

    /// Looks again at what seemed wrong, and tells what still is.
    pub(super) fn confirm(&mut self) {
        let mut suspects = std::mem::take(&mut self.suspects);
        for pause in [self.options.patience / 4, self.options.patience] {
            if suspects.is_empty() {
                return;
            }
            if pause.is_zero() {
                continue;
            }
            thread::sleep(pause);
            // Bytes that were wrong are read again only once, below.
            suspects.retain(|path| is_of_bytes(path) || !self.examine(path, false).is_empty());
        }
        // What others depend on is repaired before them: a tag whose manifest is whole again is whole.
        suspects.sort_by_cached_key(|path| (rank(path), path.clone()));
        for path in suspects {
            for found in self.examine(&path, self.is_first) {
                self.tell(found);
            }
        }
    }
}

/// Whether what may be wrong at a path is the bytes of a blob.
fn is_of_bytes(path: &str) -> bool {
    matches!(Place::of(path, files::Kind::File), Some(Place::Blob(_) | Place::Grave(_)))
}

fn rank(path: &str) -> u8 {
    match Place::of(path, files::Kind::File) {
        Some(Place::Blob(_) | Place::Grave(_)) => 0,
        Some(Place::Fact(Key::Revision(..))) => 1,
        Some(Place::Fact(Key::Tag(..))) => 3,
        _ => 2,
    }
}
