//! Distribution (`registry:2` and later) and the Deno registry: one pool of blobs, and repositories whose files `link`
//! name digests in it. The two differ in the file of a blob only.

use super::{
    ImportProblem,
    contents::{FoundTag, ListedContents, RepositoryContents},
    source::{SourceLimits, SourceRepository, join},
    tree::{SourceTree, special},
};
use crate::{files::FileKind, storage::fs::Layout};
use oci::{Algorithm, Digest, RepositoryName, Tag};
use std::time::SystemTime;

/// Where `repositories` and `blobs` may be, below the directory that was named.
const BASES: [&str; 4] = ["docker/registry/v2", "registry/v2", "v2", "."];

/// The longest file that may name a digest, in bytes; one of sha512 has 135.
const LONGEST_LINK: u64 = 256;

/// The pool of blobs.
pub(super) struct Pool {
    base: String,
    /// A blob is a directory with a file `data`, as in Distribution.
    has_data: bool,
}

impl Pool {
    pub(super) fn find(tree: &SourceTree) -> Option<Self> {
        let is_dir = |path: &str| tree.is(path, FileKind::Directory);
        let is_base = |base: &&str| {
            is_dir(&join(base, "repositories"))
                && is_dir(&join(base, "blobs"))
                && !tree.is(&join(base, "repositories/oci-layout"), FileKind::File)
        };
        let base = BASES.into_iter().find(is_base)?.to_owned();
        let mut pool = Self { base, has_data: true };
        pool.has_data = pool.first_blob(tree) != Some(FileKind::File);
        Some(pool)
    }

    /// What the first blob is.
    fn first_blob(&self, tree: &SourceTree) -> Option<FileKind> {
        let all = join(&self.base, "blobs/sha256");
        for (shard, _) in tree.names(&all).ok()?.into_iter().filter(|(_, kind)| *kind == FileKind::Directory) {
            if let Some((_, kind)) =
                tree.names(&join(&all, &shard)).ok()?.into_iter().find(|(name, _)| name.len() == 64)
            {
                return Some(kind);
            }
        }
        None
    }

    pub(super) fn layout(&self) -> Layout {
        if self.has_data { Layout::Distribution } else { Layout::Deno }
    }

    pub(super) fn blob_path(&self, digest: &Digest) -> String {
        let (algorithm, hex) = (digest.algorithm(), digest.hex());
        let data = if self.has_data { "/data" } else { "" };
        join(&self.base, &format!("blobs/{algorithm}/{}/{hex}{data}", &hex[..2]))
    }

    pub(super) fn repositories(&self, tree: &SourceTree, problems: &mut Vec<ImportProblem>) -> Vec<SourceRepository> {
        let top = join(&self.base, "repositories");
        let mut found = Vec::new();
        let mut dirs = vec![String::new()];
        while let Some(prefix) = dirs.pop() {
            let dir = if prefix.is_empty() { top.clone() } else { format!("{top}/{prefix}") };
            let names = match tree.names(&dir) {
                Ok(names) => names,
                Err(problem) => {
                    problems.push(problem);
                    continue;
                }
            };
            for (name, kind) in names {
                let path = format!("{dir}/{name}");
                match kind {
                    FileKind::Directory if name == "_manifests" => {
                        if let Ok(name) = prefix.parse() {
                            found.push(SourceRepository { name, root: dir.clone() });
                        }
                    }
                    FileKind::Directory if name.starts_with('_') => {}
                    FileKind::Directory => {
                        let below = if prefix.is_empty() { name } else { format!("{prefix}/{name}") };
                        match below.parse::<RepositoryName>() {
                            Ok(_) => dirs.push(below),
                            Err(error) => problems.push(ImportProblem::new(path, error.to_string())),
                        }
                    }
                    FileKind::Other => problems.push(special(&path)),
                    // Left by an editor or a file manager.
                    FileKind::File => {}
                }
            }
        }
        found.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        found
    }

    pub(super) fn contents(
        &self,
        tree: &SourceTree,
        repository: &SourceRepository,
        limits: SourceLimits,
    ) -> RepositoryContents {
        let root = &repository.root;
        let mut listed = ListedContents::default();
        // Tags first: what they point to was written before, so a source that is still being pushed to is complete.
        let tags = format!("{root}/_manifests/tags");
        for name in directories(tree, &tags, &mut listed.problems) {
            match tag(tree, &tags, &name) {
                // Only the directory is left of a tag that was deleted, or never completed.
                Ok(None) => {}
                Ok(Some(found)) => listed.tags.push(found),
                Err(problem) => {
                    listed.bad_tags += 1;
                    listed.problems.push(problem);
                }
            }
        }
        for (digest, since) in linked(tree, &format!("{root}/_manifests/revisions"), &mut listed.problems) {
            listed.pushed.insert(digest.clone(), since);
            listed.manifests.insert(digest, None);
        }
        let layers = linked(tree, &format!("{root}/_layers"), &mut listed.problems);
        listed.blobs = layers.into_iter().map(|(digest, _)| digest).collect();
        // Distribution 2.1.0 linked manifests like layers.
        for (_, digest) in &listed.tags {
            if !listed.manifests.contains_key(digest) && listed.blobs.contains(digest) {
                listed.manifests.insert(digest.clone(), None);
            }
        }
        for (found, digest) in &listed.tags {
            if !listed.manifests.contains_key(digest) {
                let path = format!("{tags}/{}/current/link", found.tag);
                let problem = format!("the tag points to {digest}, which this repository does not have");
                listed.problems.push(ImportProblem::new(path, problem));
            }
        }
        listed.blobs.retain(|digest| !listed.manifests.contains_key(digest));
        // The repository serves only manifests that it links to.
        listed.read(tree, repository, limits, &|digest| self.blob_path(digest), &|_| false)
    }
}

/// The names of the directories in a directory.
fn directories(tree: &SourceTree, dir: &str, problems: &mut Vec<ImportProblem>) -> Vec<String> {
    let names = match tree.names(dir) {
        Ok(names) => names,
        Err(problem) => {
            problems.push(problem);
            return Vec::new();
        }
    };
    let mut found = Vec::new();
    for (name, kind) in names {
        match kind {
            FileKind::Directory => found.push(name),
            FileKind::Other => problems.push(special(&format!("{dir}/{name}"))),
            FileKind::File => {}
        }
    }
    found
}

fn tag(tree: &SourceTree, tags: &str, name: &str) -> Result<Option<(FoundTag, Digest)>, ImportProblem> {
    let path = format!("{tags}/{name}/current/link");
    let tag = name.parse::<Tag>().map_err(|error| ImportProblem::new(format!("{tags}/{name}"), error.to_string()))?;
    let Some((bytes, since)) = tree.read(&path, LONGEST_LINK)? else { return Ok(None) };
    Ok(Some((FoundTag { tag, since }, digest(&path, &bytes)?)))
}

/// The digests that a directory of links names, and since when.
fn linked(tree: &SourceTree, dir: &str, problems: &mut Vec<ImportProblem>) -> Vec<(Digest, SystemTime)> {
    let mut found = Vec::new();
    for algorithm in Algorithm::ALL {
        let dir = format!("{dir}/{algorithm}");
        let links = crate::files::world::each(directories(tree, &dir, problems), |hex| {
            let path = format!("{dir}/{hex}/link");
            // Only the directory is left of a link that was deleted.
            match tree.read(&path, LONGEST_LINK)? {
                Some((bytes, since)) => digest(&path, &bytes).map(|digest| Some((digest, since))),
                None => Ok(None),
            }
        });
        for link in links {
            match link {
                Ok(digest) => found.extend(digest),
                Err(problem) => problems.push(problem),
            }
        }
    }
    found
}

/// The digest in a file `link`. It may differ from the name of the file's directory: content that was pushed by its
/// sha512 is kept by its sha256.
fn digest(path: &str, bytes: &[u8]) -> Result<Digest, ImportProblem> {
    if bytes.is_empty() {
        return Err(ImportProblem::new(path, "is empty, as the old registry leaves it when it is killed"));
    }
    let text = std::str::from_utf8(bytes).ok().map(str::trim_end);
    text.and_then(|text| text.parse().ok()).ok_or_else(|| ImportProblem::new(path, "does not hold a digest"))
}
