//! Edits one of the operator's files: nothing is written unless the whole configuration would be valid with it, and
//! the result is active at return.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::Notify;

use super::editable::EditableFile;
use super::env::Env;
use super::followed::{CandidateGeneration, Followed, locked};
use super::links::Links;
use super::live::{EditPolicy, Editing, Live};
use super::problems::{Problem, Problems};
use crate::files::replace::{Replaced, check_replaceable, replace_within};
use crate::files::{cause, regular};

/// How long to wait for somebody else's edit of the same file.
const PATIENCE: Duration = Duration::from_secs(3);

/// Why a file was not edited. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum EditFault {
    /// The configuration names no such file.
    #[error("there is no {0} file: set {variable}", variable = .0.variable())]
    Unset(EditableFile),
    /// The file cannot or must not be written here.
    #[error("cannot edit {path}: {why}", path = .path.display())]
    ReadOnly {
        /// The file.
        path: PathBuf,
        /// Why not.
        why: String,
    },
    /// The configuration would be invalid.
    #[error("{0}")]
    Rejected(Problems),
    /// The file on disk is invalid now, so nothing in it can be edited.
    #[error("{0}")]
    Broken(Problems),
    /// Somebody else edits it.
    #[error("somebody else is editing {path}", path = .0.display())]
    Busy(PathBuf),
    /// Reading or writing it failed.
    #[error("cannot write {path}: {error}", path = .path.display(), error = cause(.error))]
    Failed {
        /// The file.
        path: PathBuf,
        /// The operating system's error.
        error: io::Error,
    },
}

/// An edit that was made, or had nothing to change.
#[derive(Debug)]
pub struct Edited {
    /// The version of the active configuration.
    pub version: Arc<str>,
    /// The text before.
    pub before: Vec<u8>,
    /// The text after.
    pub after: Vec<u8>,
    /// The old file, which somebody may still write to.
    pub replaced: Replaced,
}

/// An edit that was tried and not made.
#[derive(Debug)]
pub struct TriedEdit {
    /// The file.
    pub path: PathBuf,
    /// The text that the file has.
    pub before: String,
    /// The text that it would have.
    pub after: String,
    /// The configuration that would be active.
    pub live: Arc<Live>,
    /// Why the file could not be written.
    pub read_only: Option<String>,
}

/// Edits the files that a [`ConfigWatch`](super::ConfigWatch) follows. Blocks.
#[derive(Clone)]
pub struct ConfigEditor {
    followed: Arc<Mutex<Followed>>,
    wake: Arc<Notify>,
}

/// Why an attempt ended.
enum Ended<E> {
    Refused(E),
    Fault(EditFault),
    Io(io::Error),
}

impl ConfigEditor {
    pub(super) fn new(followed: Arc<Mutex<Followed>>, wake: Arc<Notify>) -> Self {
        Self { followed, wake }
    }

    /// Replaces a file's text by what `edit` makes of it, and activates the result. `judge` is asked about the
    /// configuration before and after. Both are called again if somebody else changes the file meanwhile.
    ///
    /// Of the other files, the contents count that were read last: whoever makes several edits calls
    /// [`reload`](Self::reload) once before the first. All files are read again after the text was written.
    ///
    /// # Errors
    /// What `edit` or `judge` refuse, or an [`EditFault`].
    pub fn edit<E: From<EditFault>>(
        &self,
        file: EditableFile,
        mut edit: impl FnMut(&str, &Live) -> Result<String, E>,
        mut judge: impl FnMut(&Live, &Live) -> Result<(), E>,
    ) -> Result<Edited, E> {
        let mut followed = locked(&self.followed);
        let Some(path) = followed.files.editable.get(&file).cloned() else { return Err(EditFault::Unset(file).into()) };
        check_is_ours(&path, followed.live.load().editing.of(file))?;
        let mut made = None;
        let replaced = replace_within(PATIENCE, &path, |old| {
            let old = old.ok_or(io::ErrorKind::NotFound)?;
            // An outside edit of this file that nobody noticed yet comes first.
            if !followed.seen.has(&path, old) {
                followed.reload();
            }
            let live = followed.live.load_full();
            let text = std::str::from_utf8(old).map_err(|_| broken(&path, "is not UTF-8 text"))?;
            let after = edit(text, &live).map_err(Ended::Refused)?;
            let compiled = followed.compile(followed.seen.with(&path, after.as_bytes()));
            check(&compiled, &live, &path)?;
            judge(&live, &compiled.live).map_err(Ended::Refused)?;
            made = Some((old.to_vec(), after.clone().into_bytes(), compiled));
            Ok(after.into_bytes())
        });
        let replaced = match replaced {
            Ok(replaced) => replaced,
            Err(Ended::Refused(refused)) => return Err(refused),
            Err(Ended::Fault(fault)) => return Err(fault.into()),
            Err(Ended::Io(error)) => return Err(EditFault::of(path, error).into()),
        };
        // It was called, or there would be no result.
        let Some((before, after, compiled)) = made else { return Err(EditFault::Busy(path).into()) };
        if replaced.has_changed() {
            match compiled.files == followed.files.read() {
                true => followed.activate(compiled),
                // Somebody changed another file, or this one again.
                false => {
                    followed.reload();
                }
            }
            self.wake.notify_one();
        }
        Ok(Edited { version: followed.live.load().version.clone(), before, after, replaced })
    }

    /// Tries an edit as [`edit`](Self::edit) would make it, and writes nothing. `earlier` has texts that other files, or
    /// this one, would have by then. A file that cannot be written is no error here.
    ///
    /// # Errors
    /// What `edit` or `judge` refuse, or an [`EditFault`].
    pub fn try_edit<E: From<EditFault>>(
        &self,
        file: EditableFile,
        earlier: &BTreeMap<EditableFile, String>,
        edit: impl FnOnce(&str, &Live) -> Result<String, E>,
        judge: impl FnOnce(&Live, &Live) -> Result<(), E>,
    ) -> Result<TriedEdit, E> {
        let mut followed = locked(&self.followed);
        let path = followed.files.editable.get(&file).cloned().ok_or(EditFault::Unset(file))?;
        followed.reload();
        let active = followed.live.load_full();
        let ours = check_is_ours(&path, active.editing.of(file));
        let ours = ours.and_then(|()| check_replaceable(&path).map_err(|error| EditFault::of(path.clone(), error)));
        let read_only = match ours {
            Ok(()) => None,
            Err(EditFault::ReadOnly { why, .. }) => Some(why),
            Err(fault) => return Err(fault.into()),
        };
        let mut files = followed.seen.clone();
        for (other, text) in earlier {
            if let Some(path) = followed.files.editable.get(other) {
                files = files.with(path, text.as_bytes());
            }
        }
        let before = match earlier.get(&file) {
            Some(text) => text.clone(),
            None => read_text(&path)?,
        };
        let live = if earlier.is_empty() { active.clone() } else { Arc::new(followed.compile(files.clone()).live) };
        let after = edit(&before, &live)?;
        let compiled = followed.compile(files.with(&path, after.as_bytes()));
        check(&compiled, &active, &path)?;
        judge(&active, &compiled.live)?;
        Ok(TriedEdit { path, before, after, live: Arc::new(compiled.live), read_only })
    }

    /// The text of a file, as it is now.
    ///
    /// # Errors
    /// [`EditFault`].
    pub fn read(&self, file: EditableFile) -> Result<String, EditFault> {
        read_text(&self.path(file)?)
    }

    /// The problems that the configuration would have with this text in a file.
    ///
    /// # Errors
    /// [`EditFault::Unset`].
    pub fn check(&self, file: EditableFile, text: &str) -> Result<Problems, EditFault> {
        let path = self.path(file)?;
        let mut followed = locked(&self.followed);
        followed.reload();
        Ok(followed.compile(followed.seen.with(&path, text.as_bytes())).problems)
    }

    /// The startup settings.
    pub fn env(&self) -> Env {
        locked(&self.followed).env.clone()
    }

    /// Reads all files now.
    pub fn reload(&self) {
        locked(&self.followed).reload();
        self.wake.notify_one();
    }

    /// The path of a file.
    ///
    /// # Errors
    /// [`EditFault::Unset`].
    pub fn path(&self, file: EditableFile) -> Result<PathBuf, EditFault> {
        locked(&self.followed).files.editable.get(&file).cloned().ok_or(EditFault::Unset(file))
    }
}

fn read_text(path: &Path) -> Result<String, EditFault> {
    let bytes = regular::read(path).map_err(|error| EditFault::of(path.to_owned(), error))?;
    String::from_utf8(bytes).map_err(|_| broken(path, "is not UTF-8 text"))
}

/// Whether a configuration may become active. What is wrong with other files already is no reason against it.
fn check(compiled: &CandidateGeneration, live: &Live, path: &Path) -> Result<(), EditFault> {
    let known = live.stale.as_ref().map(|stale| stale.problems.0.as_slice()).unwrap_or_default();
    let is_ours =
        |problem: &&Problem| problem.file.as_deref() == Some(path) || !known.iter().any(|known| known.is_like(problem));
    let problems: Vec<_> = compiled.problems.0.iter().filter(is_ours).cloned().collect();
    Problems(problems).or(()).map_err(EditFault::Rejected)
}

/// Whether an edit of this file would last.
fn check_is_ours(path: &Path, editing: Editing) -> Result<(), EditFault> {
    let read_only = |why: String| Err(EditFault::ReadOnly { path: path.to_owned(), why });
    match editing {
        Editing::Editable => Ok(()),
        Editing::External => read_only("the settings say that it is edited elsewhere".to_owned()),
        Editing::Auto => {
            let way = Links::default().resolve(path).map_err(|error| EditFault::of(path.to_owned(), error))?;
            match way.links.iter().find(|link| link.is_dir()) {
                None => Ok(()),
                Some(link) => read_only(format!(
                    "{} is a link to a directory, and switching it would undo the edit; edit the file where it comes \
                     from",
                    link.display()
                )),
            }
        }
    }
}

fn broken(path: &Path, message: &str) -> EditFault {
    EditFault::Broken(Problems(vec![Problem::of_file(path, message)]))
}

impl EditFault {
    fn of(path: PathBuf, error: io::Error) -> Self {
        use io::ErrorKind as Kind;
        match error.kind() {
            Kind::NotFound => broken(&path, "does not exist"),
            Kind::TimedOut => Self::Busy(path),
            Kind::PermissionDenied | Kind::ReadOnlyFilesystem | Kind::ResourceBusy => {
                Self::ReadOnly { path, why: cause(&error) }
            }
            _ => Self::Failed { path, error },
        }
    }
}

impl<E> From<EditFault> for Ended<E> {
    fn from(fault: EditFault) -> Self {
        Self::Fault(fault)
    }
}

impl<E> From<io::Error> for Ended<E> {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl<E> From<io::ErrorKind> for Ended<E> {
    fn from(kind: io::ErrorKind) -> Self {
        Self::Io(kind.into())
    }
}

impl EditPolicy {
    pub fn of(&self, file: EditableFile) -> Editing {
        match file {
            EditableFile::Htpasswd => self.htpasswd,
            EditableFile::AccessControl => self.access_control,
            EditableFile::Settings => self.settings,
        }
    }
}
