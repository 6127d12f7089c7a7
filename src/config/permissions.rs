//! Checks who besides the operator can change a configuration file or read a key. Whoever can change it controls
//! access.

use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

/// What modes and owners allow to others, for a file and the directories on the way to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Permissions {
    mode: u32,
    owner: u32,
    /// A directory on the way in which any user can replace the next path component.
    open: Option<PathBuf>,
}

/// In a directory with this mode bit, such as `/tmp`, only its owner can replace a file.
const STICKY: u32 = 0o1000;
const ALL_WRITE: u32 = 0o002;
const ALL_READ: u32 = 0o004;

impl Permissions {
    /// The permissions of a file, reached through these directories.
    pub(super) fn of(file: &Metadata, dirs: &[PathBuf]) -> Self {
        let is_open =
            |dir: &&PathBuf| fs::metadata(dir).is_ok_and(|dir| dir.mode() & (STICKY | ALL_WRITE) == ALL_WRITE);
        Self { mode: file.mode(), owner: file.uid(), open: dirs.iter().find(is_open).cloned() }
    }

    /// Why the file must not be used, if so.
    pub(super) fn refusal(&self) -> Option<&'static str> {
        (self.mode & ALL_WRITE != 0).then_some("is writable by every user of this machine; run chmod o-w on it")
    }

    /// What the operator should know about the file. These are only warnings: some container volumes, which have no
    /// other users, cannot be mounted in another way.
    pub(super) fn warnings(&self, has_key: bool) -> Vec<String> {
        let us = rustix::process::geteuid().as_raw();
        let owner = (self.owner != us && self.owner != 0).then(|| {
            format!("belongs to uid {}, who can change it; give it to root or to the daemon's uid {us}", self.owner)
        });
        let replaced = self.open.as_ref().map(|dir| {
            let dir = dir.display();
            format!("can be replaced by every user of this machine, who can write to {dir}; run chmod o-w {dir}")
        });
        let read = (has_key && self.mode & ALL_READ != 0).then(|| {
            "is readable by every user of this machine, who can use the private key in it; run chmod o-r on it"
                .to_owned()
        });
        [owner, replaced, read].into_iter().flatten().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn access_by_other_users_is_reported() {
        let dir = tempfile::tempdir().unwrap();
        let (above, path) = (dir.path().join("conf"), dir.path().join("conf/file"));
        fs::create_dir(&above).unwrap();
        fs::write(&path, "text").unwrap();
        let set = |path: &PathBuf, mode| fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
        let judged = |file_mode, dir_mode, has_key| {
            set(&path, file_mode);
            set(&above, dir_mode);
            let dirs = [PathBuf::from("/"), dir.path().to_owned(), above.clone()];
            let found = Permissions::of(&fs::metadata(&path).unwrap(), &dirs);
            (found.refusal().is_some(), found.warnings(has_key))
        };
        let fine = (false, Vec::new());
        // The last ones are what Kubernetes mounts: secrets in a sticky directory, readable by the group of the pod.
        for (file, dir, has_key) in [
            (0o600, 0o700, true),
            (0o644, 0o755, false),
            (0o664, 0o775, false),
            (0o440, 0o1777, true),
            (0o644, 0o1777, false),
        ] {
            assert_eq!(judged(file, dir, has_key), fine, "{file:o} in {dir:o}");
        }
        assert!(judged(0o666, 0o700, false).0 && judged(0o602, 0o700, true).0);
        let (refused, warned) = judged(0o644, 0o777, false);
        assert!(!refused && warned.len() == 1 && warned[0].contains("can be replaced by every user"), "{warned:?}");
        let (refused, warned) = judged(0o644, 0o755, true);
        assert!(!refused && warned.len() == 1 && warned[0].contains("readable by every user"), "{warned:?}");
    }

    #[test]
    fn a_file_must_belong_to_root_or_to_the_daemons_user() {
        let us = rustix::process::geteuid().as_raw();
        let of = |owner| Permissions { mode: 0o644, owner, open: None }.warnings(false);
        assert_eq!((of(0), of(us)), (Vec::new(), Vec::new()));
        let warned = of(us + 1);
        assert!(warned.len() == 1 && warned[0].starts_with(&format!("belongs to uid {}", us + 1)), "{warned:?}");
    }
}
