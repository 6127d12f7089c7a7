//! Recognises data of other registries in a directory that is not a store of ours, by its layout.

use crate::files::{FileKind, Sys};
use std::{fmt, io};

/// The owner of the data in a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// CNCF Distribution, the program in the image `registry:2`.
    Distribution,
    /// zot: a directory in OCI image layout for each repository.
    Zot,
    /// The Deno registry, the source of some of our names.
    Deno,
    /// One image in OCI image layout.
    Image,
    /// A store of ours without `ROOT.json`.
    Unmarked,
}

impl Layout {
    /// A short name, as in the report of an import.
    pub fn name(self) -> &'static str {
        match self {
            Self::Distribution => "distribution",
            Self::Zot => "zot",
            Self::Deno => "deno",
            Self::Image => "oci-layout",
            Self::Unmarked => "wharfinger",
        }
    }
}

/// Names that are examined before the search ends.
const MOST_NAMES: usize = 10_000;

/// Recognises a layout by the first files that identify it.
///
/// # Errors
/// An error of the operating system.
pub(super) fn recognise(sys: &impl Sys) -> io::Result<Option<Layout>> {
    let mut search = ForeignSearch { sys, left: MOST_NAMES };
    let mut deep = None;
    let is_of_distribution = |path: &str, _| path == "docker/registry/v2";
    if search.find("docker", &is_of_distribution)?.is_some() {
        return Ok(Some(Layout::Distribution));
    }
    if let Some(path) =
        search.find("repositories", &|path, kind| kind == FileKind::File && has_revision(path).is_some())?
    {
        deep = has_revision(&path);
    }
    match deep {
        Some(RevisionForm::File) => return Ok(Some(Layout::Unmarked)),
        // Both keep a file `link` for each manifest, but store differently what it points to.
        Some(RevisionForm::Link) => {
            let blob =
                search.find("blobs", &|path, kind| kind == FileKind::Directory && path.split('/').count() == 4)?;
            return Ok(Some(if blob.is_some() { Layout::Distribution } else { Layout::Deno }));
        }
        None => {}
    }
    let layout =
        search.find(".", &|path, kind| kind == FileKind::File && path.rsplit('/').next() == Some("oci-layout"))?;
    Ok(layout.map(|path| if path == "oci-layout" { Layout::Image } else { Layout::Zot }))
}

/// How a repository lists a manifest.
enum RevisionForm {
    /// A file named after the digest.
    File,
    /// A directory named after the digest, with a file `link`.
    Link,
}

fn has_revision(path: &str) -> Option<RevisionForm> {
    let parts: Vec<_> = path.split('/').collect();
    match parts.as_slice() {
        [.., "_manifests", "revisions", _, _] => Some(RevisionForm::File),
        [.., "_manifests", "revisions", _, _, "link"] | [.., "_layers", _, _, "link"] => Some(RevisionForm::Link),
        _ => None,
    }
}

struct ForeignSearch<'s, S> {
    sys: &'s S,
    left: usize,
}

impl<S: Sys> ForeignSearch<'_, S> {
    /// The first path below a directory that is `wanted`. A missing directory has none.
    fn find(&mut self, dir: &str, wanted: &dyn Fn(&str, FileKind) -> bool) -> io::Result<Option<String>> {
        let mut dirs = vec![dir.to_owned()];
        while let Some(dir) = dirs.pop() {
            let (mut found, mut below) = (None, Vec::new());
            let read = self.sys.read_dir(&dir, &mut |name, kind| {
                let path = if dir == "." { name.to_owned() } else { format!("{dir}/{name}") };
                if wanted(&path, kind) {
                    found = Some(path);
                } else if kind == FileKind::Directory {
                    below.push(path);
                }
                self.left = self.left.saturating_sub(1);
                found.is_none() && self.left > 0
            });
            match read {
                // Missing, not a directory, or not readable for us: other files may identify the layout.
                Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {}
                Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {}
                read => read?,
            }
            if found.is_some() || self.left == 0 {
                return Ok(found);
            }
            dirs.append(&mut below);
        }
        Ok(None)
    }
}

/// What the data is and what to do; completes "the storage directory …".
impl fmt::Display for Layout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const MOVE: &str = "choose an empty directory, and import this one into it while the old registry is stopped: \
                            wharfinger import DIRECTORY (see docs/migration.md)";
        match self {
            Self::Distribution => write!(f, "holds the data of Distribution (registry:2); {MOVE}"),
            Self::Zot => write!(f, "holds the data of zot; {MOVE}"),
            Self::Deno => write!(f, "holds the data of the Deno registry; {MOVE}"),
            Self::Image => f.write_str(
                "holds an image in OCI image layout; choose an empty directory, and import this one into it: \
                 wharfinger import DIRECTORY --repository NAME",
            ),
            Self::Unmarked => f.write_str(
                "holds repositories of a wharfinger store but no ROOT.json; restore ROOT.json from a backup of this store",
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Fs, Init, OpenError};
    use super::*;

    fn opened(files: &[&str]) -> Result<(), OpenError> {
        let dir = tempfile::tempdir().unwrap();
        for file in files {
            let path = dir.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "x").unwrap();
        }
        let before = names(dir.path());
        let opened = Fs::open(dir.path(), Init::CreateDirectory).map(drop);
        assert_eq!(names(dir.path()), before, "nothing is touched");
        opened
    }

    fn names(dir: &std::path::Path) -> Vec<std::ffi::OsString> {
        let mut names: Vec<_> = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    }

    #[test]
    fn data_of_other_registries_is_recognised_and_named() {
        let hex = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        let blob = format!("blobs/sha256/e3/{hex}");
        let link = format!("repositories/team/app/_manifests/revisions/sha256/{hex}/link");
        let layer = format!("repositories/app/_layers/sha256/{hex}/link");
        let ours = format!("repositories/team/app/_manifests/revisions/sha256/{hex}");
        let at_root = format!("docker/registry/v2/{blob}/data");
        let data = format!("{blob}/data");
        for (files, layout, words) in [
            (vec![at_root.as_str()], Layout::Distribution, "registry:2"),
            (vec![&link, &data], Layout::Distribution, "registry:2"),
            (vec![&link, &blob], Layout::Deno, "the Deno registry"),
            (vec![&layer, "uploads/1/startedat"], Layout::Deno, "the Deno registry"),
            (vec!["app/oci-layout", "app/index.json", "cache.db"], Layout::Zot, "zot"),
            (vec!["a/b/c/oci-layout"], Layout::Zot, "zot"),
            (vec!["oci-layout", "index.json"], Layout::Image, "OCI image layout"),
            (vec![&ours, "repositories/team/app/_manifests/tags/link"], Layout::Unmarked, "restore ROOT.json"),
        ] {
            let error = opened(&files).unwrap_err();
            assert!(
                matches!(&error, OpenError::OtherData { layout: found, .. } if *found == layout),
                "{files:?}: {error}"
            );
            assert!(error.to_string().contains(words), "{error}");
        }
        let error = opened(&["docker/registry/v2/repositories/a/x"]).unwrap_err().to_string();
        assert!(error.contains("wharfinger import DIRECTORY"), "{error}");
        let other = opened(&["photos/1.jpg"]).unwrap_err();
        assert!(matches!(other, OpenError::NotAStore { .. }), "{other}");
    }
}
