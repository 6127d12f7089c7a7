//! Uploads that have begun, so that the next run goes on where an interrupted one was.

use super::transfer::UploadTarget;
use crate::config::write_private;
use oci::Digest;
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

/// Uploads that are remembered. Beyond that, some begin again.
const MOST: usize = 100;

/// A file of uploads by what they are. Without it, an upload begins again: nothing here is an error.
#[derive(Clone, Debug)]
pub struct UploadNotes {
    path: PathBuf,
}

impl UploadNotes {
    /// The notes of a file, which need not exist.
    pub fn at(path: &Path) -> Self {
        Self { path: path.to_owned() }
    }

    /// What is uploaded where: with another byte, or to another place, it is another upload.
    pub fn key(server: &str, target: &UploadTarget, digest: &Digest) -> String {
        format!("{server} {} {} {} {digest}", target.repo, target.version, target.path)
    }

    /// Where an upload goes on.
    pub fn find(&self, key: &str) -> Option<String> {
        self.read().remove(key)
    }

    /// Notes where an upload goes on.
    pub fn keep(&self, key: &str, location: &str) {
        let mut all = self.read();
        all.insert(key.to_owned(), location.to_owned());
        while all.len() > MOST {
            let Some(other) = all.keys().find(|other| *other != key).cloned() else { break };
            all.remove(&other);
        }
        self.write(&all);
    }

    /// Forgets an upload that has ended.
    pub fn forget(&self, key: &str) {
        let mut all = self.read();
        if all.remove(key).is_some() {
            self.write(&all);
        }
    }

    fn read(&self) -> BTreeMap<String, String> {
        fs::read(&self.path).ok().and_then(|bytes| oci::json::from_slice(&bytes).ok()).unwrap_or_default()
    }

    fn write(&self, all: &BTreeMap<String, String>) {
        if let Ok(text) = serde_json::to_string_pretty(all) {
            let _ = write_private(&self.path, text.as_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_are_kept_until_the_upload_ends() {
        let directory = tempfile::tempdir().unwrap();
        let notes = UploadNotes::at(&directory.path().join("uploads.json"));
        assert_eq!(notes.find("a"), None);
        notes.keep("a", "/x");
        notes.keep("a", "/y");
        assert_eq!(notes.find("a").as_deref(), Some("/y"));
        notes.forget("a");
        assert_eq!(notes.find("a"), None);
        for i in 0..MOST + 10 {
            notes.keep(&format!("{i:04}"), "/x");
        }
        assert_eq!(notes.read().len(), MOST);
        fs::write(&notes.path, "not json").unwrap();
        assert_eq!(notes.find("0100"), None);
    }
}
