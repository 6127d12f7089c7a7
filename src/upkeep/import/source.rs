//! Recognises the layout of a directory, and finds the repositories in it.

use super::{ImportProblem, contents::RepositoryContents, layouts, linked, tree::SourceTree};
use crate::{
    files::{FileKind, cause},
    storage::fs::Layout,
};
use oci::{Bounds, Digest, RepositoryName};
use std::path::Path;

/// A directory of another registry, recognised.
pub struct ImportSource {
    pub(super) tree: SourceTree,
    form: SourceForm,
}

/// How a registry keeps its repositories.
enum SourceForm {
    /// One pool of blobs, and repositories that link to it: Distribution and the Deno registry.
    Linked(linked::Pool),
    /// A directory in OCI image layout for each repository: zot.
    Layouts,
    /// One such directory, which becomes this repository.
    Layout(RepositoryName),
}

/// A repository in the source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SourceRepository {
    pub(super) name: RepositoryName,
    /// Its directory.
    pub(super) root: String,
}

/// Limits on what is read.
#[derive(Clone, Copy)]
pub(super) struct SourceLimits {
    pub(super) manifest_bytes: u64,
    pub(super) bounds: Bounds,
}

/// Why a directory cannot be imported.
#[derive(Debug, thiserror::Error)]
pub enum ImportRefusal {
    #[error("cannot open {path}: {why}")]
    Unreadable { path: String, why: String },
    #[error(
        "{0} is a storage directory of wharfinger itself: copy it as docs/backup.md says, or set REGISTRY_STORAGE_PATH \
         to it"
    )]
    Ours(String),
    #[error("{0} is one image in OCI image layout, which has no repository name: add --repository NAME")]
    Nameless(String),
    #[error("--repository is for a directory in OCI image layout; {0} holds repositories with names of their own")]
    Named(String),
    #[error(
        "{0} holds no data of a registry that can be imported: there is neither docker/registry/v2, nor repositories/ \
         beside blobs/, nor a directory with a file oci-layout"
    )]
    Unknown(String),
}

impl ImportSource {
    /// Opens a directory for reading, and recognises its layout. `repository` is the name for a single OCI image layout,
    /// which has none of its own.
    ///
    /// # Errors
    /// [`ImportRefusal`].
    pub fn open(path: &Path, repository: Option<RepositoryName>) -> Result<Self, ImportRefusal> {
        let shown = path.display().to_string();
        let tree = SourceTree::open(path)
            .map_err(|error| ImportRefusal::Unreadable { path: shown.clone(), why: cause(&error) })?;
        let is_file = |path: &str| tree.is(path, FileKind::File);
        if is_file("ROOT.json") {
            return Err(ImportRefusal::Ours(shown));
        }
        let form = if let Some(pool) = linked::Pool::find(&tree) {
            SourceForm::Linked(pool)
        } else if is_file(layouts::MARK) {
            SourceForm::Layout(repository.clone().ok_or_else(|| ImportRefusal::Nameless(shown.clone()))?)
        } else if layouts::is_there(&tree) {
            SourceForm::Layouts
        } else {
            return Err(ImportRefusal::Unknown(shown));
        };
        match (&form, repository) {
            (SourceForm::Linked(_) | SourceForm::Layouts, Some(_)) => Err(ImportRefusal::Named(shown)),
            _ => Ok(Self { tree, form }),
        }
    }

    pub fn layout(&self) -> Layout {
        match &self.form {
            SourceForm::Linked(pool) => pool.layout(),
            SourceForm::Layouts => Layout::Zot,
            SourceForm::Layout(_) => Layout::Image,
        }
    }

    /// Its repositories, in order, and names that are none.
    pub(super) fn repositories(&self, problems: &mut Vec<ImportProblem>) -> Vec<SourceRepository> {
        match &self.form {
            SourceForm::Linked(pool) => pool.repositories(&self.tree, problems),
            SourceForm::Layouts => layouts::repositories(&self.tree, problems),
            SourceForm::Layout(name) => vec![SourceRepository { name: name.clone(), root: ".".to_owned() }],
        }
    }

    /// What a repository holds.
    pub(super) fn contents(&self, repository: &SourceRepository, limits: SourceLimits) -> RepositoryContents {
        match &self.form {
            SourceForm::Linked(pool) => pool.contents(&self.tree, repository, limits),
            SourceForm::Layouts | SourceForm::Layout(_) => layouts::contents(&self.tree, repository, limits),
        }
    }

    /// Where the bytes of a blob or a manifest of a repository are.
    pub(super) fn blob_path(&self, root: &str, digest: &Digest) -> String {
        match &self.form {
            SourceForm::Linked(pool) => pool.blob_path(digest),
            SourceForm::Layouts | SourceForm::Layout(_) => layouts::blob_path(root, digest),
        }
    }
}

/// A path below another, of which `.` is none.
pub(super) fn join(dir: &str, name: &str) -> String {
    if dir == "." { name.to_owned() } else { format!("{dir}/{name}") }
}
