//! Visits all names, and checks suspected problems again.

use super::{Check, unreadable};
use crate::{
    files,
    storage::{FactKey, StoreSurvey, key::StorePlace},
};
use std::thread;

/// Names of one directory that are checked together.
const LOOKS: usize = 64;

/// Suspected paths that are checked again together, after one pause.
const TOGETHER: usize = 1024;

impl<S: StoreSurvey> Check<'_, S> {
    /// Checks every name once, directory by directory.
    pub(super) fn walk(&mut self) {
        let mut dirs = vec![String::from(".")];
        while let Some(dir) = dirs.pop() {
            let names = match self.survey.list(&dir) {
                Ok(names) => names,
                Err(error) => {
                    self.report(unreadable(&dir, &error));
                    continue;
                }
            };
            // A stack: the last directory is visited first.
            for names in names.rchunks(LOOKS) {
                self.walk_some(&dir, names, &mut dirs);
            }
        }
    }

    /// Checks some names of a directory.
    fn walk_some(&mut self, dir: &str, names: &[(String, files::FileKind)], dirs: &mut Vec<String>) {
        let only: Vec<&str> = names.iter().map(|(name, _)| name.as_str()).collect();
        // If one of them cannot be checked, each is checked by itself.
        let metas = self.survey.metas(dir, &only).unwrap_or_default();
        for (at, (name, kind)) in names.iter().enumerate().rev() {
            let path = if dir == "." { name.clone() } else { format!("{dir}/{name}") };
            let place = StorePlace::of(&path, *kind);
            if self.is_first {
                self.count(place.as_ref());
            }
            if matches!(place, Some(StorePlace::Directory | StorePlace::Upload(_))) {
                dirs.push(path.clone());
            }
            let found = match metas.get(at).cloned().flatten() {
                Some(meta) => self.check_entry(&path, &meta, self.is_first),
                None => self.check_path(&path, self.is_first),
            };
            if !found.is_ok_and(|found| found.is_empty()) {
                self.suspects.push(path);
            }
            if self.suspects.len() >= TOGETHER {
                self.confirm();
            }
        }
    }

    /// Checks suspected paths again, and reports what is still wrong.
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
            // Damaged bytes are read again only once, below.
            suspects.retain(|path| is_of_bytes(path) || !self.examine(path, false).is_empty());
        }
        // Repair dependencies first: a tag is correct again once its manifest is.
        suspects.sort_by_cached_key(|path| (rank(path), path.clone()));
        for path in suspects {
            for found in self.examine(&path, self.is_first) {
                self.report(found);
            }
        }
    }
}

/// Whether a problem at this path may be in the bytes of a blob.
fn is_of_bytes(path: &str) -> bool {
    matches!(StorePlace::of(path, files::FileKind::File), Some(StorePlace::Blob(_) | StorePlace::Grave(_)))
}

fn rank(path: &str) -> u8 {
    match StorePlace::of(path, files::FileKind::File) {
        Some(StorePlace::Blob(_) | StorePlace::Grave(_)) => 0,
        Some(StorePlace::Fact(FactKey::Revision(..))) => 1,
        Some(StorePlace::Fact(FactKey::Tag(..))) => 3,
        _ => 2,
    }
}
