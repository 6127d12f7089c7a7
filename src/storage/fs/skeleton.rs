//! The directories that every store has, and whether they have what the store needs.

use crate::files::{Sys, Unsuitable};
use oci::Algorithm;

/// The directories that every store has from the start, parents first.
pub(super) fn directories() -> impl Iterator<Item = String> {
    let plain =
        ["artifacts", "blobs", "graveyard", "identity", "quarantine", "repositories", "state", "state/tmp", "uploads"];
    let pools = Algorithm::ALL.into_iter().flat_map(|a| {
        let pool = format!("blobs/{a}");
        let shards = (0..=255u8).map(move |shard| format!("blobs/{a}/{shard:02x}"));
        std::iter::once(pool).chain(shards)
    });
    plain.into_iter().map(str::to_owned).chain(pools)
}

/// Why the directories of a store cannot be used, to read or, if `to_write`, also to write. `None` if they can be used.
/// A missing one is created when it is needed.
pub(super) fn fault(sys: &impl Sys, to_write: bool) -> Option<String> {
    // Hundreds may have the same fault, such as after a copy by another user: report only the first.
    let faulty = |path: String| sys.unsuitable(&path, to_write).map(|why| in_words(&path, &why));
    std::iter::once(".".to_owned()).chain(directories()).find_map(faulty)
}

fn in_words(path: &str, why: &Unsuitable) -> String {
    let shown = if path == "." { "it" } else { path };
    match why {
        Unsuitable::NotADirectory => {
            format!("{shown} is not a real directory (a symbolic link?): put the directory itself there")
        }
        Unsuitable::Elsewhere => format!(
            "{shown} is on another file system, so files cannot be moved into it: mount one volume for the whole storage directory"
        ),
        Unsuitable::NotWritable(uid) => {
            format!(
                "{shown} cannot be written by this user (uid {uid}): run as its owner, or chown -R {uid} the storage directory"
            )
        }
        Unsuitable::ReadOnly => format!("{shown} is on a file system that is mounted read-only"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Fs, Init, OpenError, root};
    use std::{os::unix::fs::symlink, path::Path};

    fn store() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        Fs::open(dir.path(), Init::CreateDirectory).unwrap();
        dir
    }

    fn refused(path: &Path) -> String {
        let checked = root::inspect(path, Init::CreateDirectory).unwrap_err();
        assert!(matches!(checked, OpenError::Unsuitable { .. }), "{checked}");
        let opened = Fs::open(path, Init::CreateDirectory).map(drop).unwrap_err();
        assert_eq!(opened.to_string(), checked.to_string());
        opened.to_string()
    }

    #[test]
    fn a_directory_of_the_skeleton_that_is_a_link_is_refused() {
        for name in ["blobs", "uploads", "state/tmp", "blobs/sha256/7f"] {
            let (dir, elsewhere) = (store(), tempfile::tempdir().unwrap());
            let path = dir.path().join(name);
            std::fs::rename(&path, elsewhere.path().join("moved")).unwrap();
            symlink(elsewhere.path().join("moved"), &path).unwrap();
            let error = refused(dir.path());
            assert!(error.contains(&format!(": {name} is not a real directory (a symbolic link?)")), "{error}");
            let beside = Fs::open_beside(dir.path()).map(drop).unwrap_err();
            assert_eq!(beside.to_string(), error, "for fsck and gc too");
        }
    }

    #[test]
    fn a_missing_directory_of_the_skeleton_is_not_a_fault() {
        let dir = store();
        std::fs::remove_dir(dir.path().join("blobs/sha256/7f")).unwrap();
        std::fs::remove_dir(dir.path().join("uploads")).unwrap();
        assert!(root::inspect(dir.path(), Init::CreateDirectory).unwrap());
    }
}
