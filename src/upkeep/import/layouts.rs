//! zot: a directory in OCI image layout for each repository. Other tools write single directories of that layout.

use super::{
    ImportProblem,
    contents::{FoundTag, ListedContents, RepositoryContents},
    source::{SourceLimits, SourceRepository, join},
    tree::{SourceTree, special},
};
use crate::files::FileKind;
use oci::{Digest, RepositoryName, Tag, json};
use serde::Deserialize;
use std::collections::BTreeMap;

/// The file that marks a directory in OCI image layout.
pub(super) const MARK: &str = "oci-layout";

/// The longest `index.json`, in bytes: some ten thousand manifests.
const LONGEST_INDEX: u64 = 64 << 20;

/// The annotation with the tag of a manifest (image-spec, "Pre-Defined Annotation Keys").
const TAG: &str = "org.opencontainers.image.ref.name";

/// Directories that are looked at before a tree counts as none of zot.
const MOST_DIRECTORIES: usize = 10_000;

/// `index.json`, as far as it is read.
#[derive(Deserialize)]
struct LayoutIndex {
    #[serde(default)]
    manifests: Vec<LayoutEntry>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct LayoutEntry {
    #[serde(default)]
    media_type: Option<String>,
    digest: String,
    #[serde(default)]
    annotations: Option<BTreeMap<String, String>>,
}

/// Whether there is a directory in this layout.
pub(super) fn is_there(tree: &SourceTree) -> bool {
    let mut left = MOST_DIRECTORIES;
    let mut is_there = false;
    walk(
        tree,
        &mut Vec::new(),
        &mut |_| {
            is_there = true;
            false
        },
        &mut left,
    );
    is_there
}

pub(super) fn repositories(tree: &SourceTree, problems: &mut Vec<ImportProblem>) -> Vec<SourceRepository> {
    let mut found = Vec::new();
    let mut wrong = Vec::new();
    let mut each = |path: &str| {
        match path.parse::<RepositoryName>() {
            Ok(name) => found.push(SourceRepository { name, root: path.to_owned() }),
            Err(error) => wrong.push(ImportProblem::new(path, error.to_string())),
        }
        true
    };
    walk(tree, problems, &mut each, &mut usize::MAX.clone());
    problems.append(&mut wrong);
    found.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    found
}

/// Calls `each` for every directory in the layout until it returns `false`. The path of a repository is its name, so
/// the length of a name bounds the depth.
fn walk(tree: &SourceTree, problems: &mut Vec<ImportProblem>, each: &mut dyn FnMut(&str) -> bool, left: &mut usize) {
    let mut dirs = vec![".".to_owned()];
    while let Some(dir) = dirs.pop() {
        *left = left.saturating_sub(1);
        if *left == 0 {
            return;
        }
        let names = match tree.names(&dir) {
            Ok(names) => names,
            Err(problem) => {
                problems.push(problem);
                continue;
            }
        };
        let is_layout = names.iter().any(|(name, kind)| name == MARK && *kind == FileKind::File);
        if is_layout && !each(&dir) {
            return;
        }
        for (name, kind) in names {
            let path = join(&dir, &name);
            match kind {
                // Blobs, uploads, and what zot keeps for itself.
                FileKind::Directory if (is_layout && name == "blobs") || name.starts_with(['.', '_']) => {}
                FileKind::Directory if path.len() > 255 => {
                    problems.push(ImportProblem::new(path, "is too long a name"))
                }
                FileKind::Directory => dirs.push(path),
                FileKind::Other => problems.push(special(&path)),
                FileKind::File => {}
            }
        }
    }
}

pub(super) fn blob_path(root: &str, digest: &Digest) -> String {
    join(root, &format!("blobs/{}/{}", digest.algorithm(), digest.hex()))
}

pub(super) fn contents(tree: &SourceTree, repository: &SourceRepository, limits: SourceLimits) -> RepositoryContents {
    let mut listed = ListedContents::default();
    let path = join(&repository.root, "index.json");
    match index(tree, &path) {
        Ok((index, since)) => {
            for entry in index.manifests {
                let digest = match entry.digest.parse::<Digest>() {
                    Ok(digest) => digest,
                    Err(error) => {
                        listed.problems.push(ImportProblem::new(&path, error.to_string()));
                        continue;
                    }
                };
                let known = listed.manifests.entry(digest.clone()).or_default();
                *known = known.take().or(entry.media_type);
                let Some(name) = entry.annotations.and_then(|mut annotations| annotations.remove(TAG)) else {
                    continue;
                };
                match name.parse::<Tag>() {
                    Ok(tag) => listed.tags.push((FoundTag { tag, since }, digest)),
                    Err(error) => {
                        listed.bad_tags += 1;
                        listed.problems.push(ImportProblem::new(&path, error.to_string()));
                    }
                }
            }
        }
        Err(problem) => listed.problems.push(problem),
    }
    let path_of = |digest: &Digest| blob_path(&repository.root, digest);
    let follows = |digest: &Digest| tree.is(&path_of(digest), FileKind::File);
    listed.read(tree, repository, limits, &path_of, &follows)
}

fn index(tree: &SourceTree, path: &str) -> Result<(LayoutIndex, std::time::SystemTime), ImportProblem> {
    let Some((bytes, since)) = tree.read(path, LONGEST_INDEX)? else {
        return Err(ImportProblem::new(path, "is missing"));
    };
    let index = json::from_slice(&bytes).map_err(|error| ImportProblem::new(path, error.to_string()))?;
    Ok((index, since))
}
