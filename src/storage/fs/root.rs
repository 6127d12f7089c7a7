//! Creating, checking and locking a storage root.
//!
//! `ROOT.json` is written last, so a directory without it is not a store: an unmounted volume never looks like an empty
//! registry.

use super::{
    Fs,
    foreign::{self, Layout},
    skeleton,
};
use crate::files::{AtomicFiles, FileKind, Real, Sys, world};
use bytes::Bytes;
use oci::json;
use rustix::{fs::FlockOperation, io::Errno};
use serde::{Deserialize, Serialize};
use std::{io, path::Path, thread, time::Duration};

/// The file that marks a directory as a store.
pub(super) const MARK: &str = "ROOT.json";

/// The format that this build writes; it reads this and all earlier ones. `docs/layout.md` specifies it.
pub const FORMAT: u32 = 1;

/// How long a second daemon waits for the first to release the root.
const PATIENCE: Duration = Duration::from_secs(10);

/// Whether an empty directory may become a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Init {
    /// It may, and it is created if it does not exist.
    CreateDirectory,
    /// It may, if the directory exists.
    EmptyDirectory,
    /// It may not.
    Never,
}

/// The state in which a root was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opened {
    /// A store existed.
    Existing,
    /// The directory was empty, and is a store now.
    Initialised,
    /// The directory did not exist.
    Created,
}

/// Why a directory cannot be used as a store.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The directory does not exist.
    #[error("storage directory {0} does not exist: create it, or mount the volume that belongs there")]
    Absent(String),
    /// It is empty, and may not be initialised.
    #[error("storage directory {0} is empty and REGISTRY_STORAGE_INIT=never: is the volume mounted?")]
    Empty(String),
    /// It is empty, and the caller does not create stores.
    #[error("storage directory {0} is empty: there is no store to look at; is the volume mounted?")]
    NoStore(String),
    /// It holds something else.
    #[error(
        "storage directory {path} holds {found:?} but no ROOT.json, so it is not a wharfinger store: choose an empty directory"
    )]
    NotAStore {
        /// The directory.
        path: String,
        /// One of the names in it.
        found: String,
    },
    /// It holds data of a known layout.
    #[error("storage directory {path} {layout}")]
    OtherData {
        /// The directory.
        path: String,
        layout: Layout,
    },
    /// Its directories lack what a store needs.
    #[error("storage directory {path}: {why}")]
    Unsuitable {
        /// The directory.
        path: String,
        /// What is wrong.
        why: String,
    },
    /// It cannot be created.
    #[error("cannot create storage directory {path}: {source} (running as uid {uid})")]
    Create {
        /// The directory.
        path: String,
        /// The user id of this process.
        uid: u32,
        /// The error of the system.
        source: io::Error,
    },
    /// This build does not read the format of `ROOT.json`.
    #[error("{path}/ROOT.json: {why}")]
    Format {
        /// The directory.
        path: String,
        /// What is wrong.
        why: String,
    },
    /// Another daemon uses it.
    #[error("storage directory {0} is served by another wharfinger, which did not let go of it")]
    Locked(String),
    /// The operating system refused.
    #[error("storage directory {path}: {source}")]
    Io {
        /// The directory.
        path: String,
        /// The error of the system.
        source: io::Error,
    },
}

/// What `ROOT.json` holds.
#[derive(Debug, Serialize, Deserialize)]
struct RootFile {
    /// The layout's number.
    format: u32,
    /// Distinguishes this store from any other.
    id: uuid::Uuid,
    /// Additions to the layout; a build that does not know them must not collect garbage.
    #[serde(default)]
    features: Vec<String>,
}

/// The contents of a directory that might become a store.
enum DirectoryState {
    Store(RootFile),
    Empty,
    Foreign(String),
}

/// Checks a directory without changing anything.
///
/// # Errors
/// [`OpenError`]; `Ok(false)` where an empty or missing directory would be initialised.
pub fn inspect(path: &Path, init: Init) -> Result<bool, OpenError> {
    let shown = path.display().to_string();
    let sys = match Real::open_root(path) {
        Ok(sys) => sys,
        Err(e) if e.kind() == io::ErrorKind::NotFound && init == Init::CreateDirectory => {
            return Real::may_make_root(path).map(|()| false).map_err(|source| OpenError::create(shown, source));
        }
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Err(OpenError::Absent(shown)),
        Err(source) => return Err(OpenError::Io { path: shown, source }),
    };
    let is_store = match state(&sys, &shown)? {
        DirectoryState::Store(_) => true,
        DirectoryState::Empty if init == Init::Never => return Err(OpenError::Empty(shown)),
        DirectoryState::Empty => false,
        DirectoryState::Foreign(found) => return Err(foreign(&sys, shown, found)),
    };
    match skeleton::fault(&sys, true) {
        Some(why) => Err(OpenError::Unsuitable { path: shown, why }),
        None => Ok(is_store),
    }
}

/// Whether a daemon serves the store in a directory at the moment.
pub fn is_served(path: &Path) -> bool {
    let Ok(sys) = Real::open_root(path) else { return false };
    // Shared, so that two processes that check do not take each other for a daemon.
    rustix::fs::flock(sys.root(), FlockOperation::NonBlockingLockShared) == Err(Errno::WOULDBLOCK)
}

/// The error for a directory that holds something else.
fn foreign(sys: &impl Sys, path: String, found: String) -> OpenError {
    match foreign::recognise(sys) {
        Ok(Some(layout)) => OpenError::OtherData { path, layout },
        Ok(None) => OpenError::NotAStore { path, found },
        Err(source) => OpenError::Io { path, source },
    }
}

impl OpenError {
    fn create(path: String, source: io::Error) -> Self {
        Self::Create { path, uid: rustix::process::geteuid().as_raw(), source }
    }
}

impl Fs<Real> {
    /// Opens the store in a directory, locks it for this process, and creates it if `init` allows.
    ///
    /// # Errors
    /// [`OpenError`]; nothing was changed then, except perhaps a directory that is half initialised, which the next
    /// start completes.
    pub fn open(path: &Path, init: Init) -> Result<(Self, Opened), OpenError> {
        let shown = path.display().to_string();
        let failed = |source| OpenError::Io { path: shown.clone(), source };
        inspect(path, init)?;
        let mut has_made = false;
        if init == Init::CreateDirectory {
            has_made = Real::make_root(path).map_err(|source| OpenError::create(shown.clone(), source))?;
        }
        let sys = Real::open_root(path).map_err(failed)?;
        lock(&sys, &shown)?;
        let (store, opened) = Self::mount(sys, &shown)?;
        store.inner.keep_room();
        Ok((store, if has_made { Opened::Created } else { opened }))
    }

    /// Opens the store in a directory that a daemon may be serving: takes no lock, and neither creates nor changes
    /// anything. Callers that write must take the daemon's own writes into account; the locks of one process do not
    /// order those of another.
    ///
    /// # Errors
    /// [`OpenError`] if there is no store, or not one that this build reads.
    pub fn open_beside(path: &Path) -> Result<Self, OpenError> {
        let shown = path.display().to_string();
        let sys = Real::open_root(path).map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => OpenError::Absent(shown.clone()),
            _ => OpenError::Io { path: shown.clone(), source },
        })?;
        match state(&sys, &shown)? {
            DirectoryState::Store(_) => match skeleton::fault(&sys, false) {
                Some(why) => Err(OpenError::Unsuitable { path: shown, why }),
                None => Ok(Self::beside(sys)),
            },
            DirectoryState::Empty => Err(OpenError::NoStore(shown)),
            DirectoryState::Foreign(found) => Err(foreign(&sys, shown, found)),
        }
    }
}

impl<S: Sys> Fs<S> {
    /// The store below a root that nobody else uses; an empty one becomes a store. `shown` is its name in errors.
    pub(crate) fn mount(sys: S, shown: &str) -> Result<(Self, Opened), OpenError> {
        let files = AtomicFiles::new(sys);
        let opened = match state(files.sys(), shown)? {
            DirectoryState::Store(root) => {
                tracing::debug!(id = %root.id, features = ?root.features, "store found");
                // Whoever wrote it may have ended before it was durable, and without it nothing else is a store. If
                // this fails, the store is read-only.
                if let Err(error) = files.settle(MARK, "the name of a ROOT.json that was there") {
                    tracing::error!(%error, "{MARK} may not survive a power failure");
                }
                Opened::Existing
            }
            DirectoryState::Empty => {
                initialise(&files).map_err(|source| OpenError::Io { path: shown.to_owned(), source })?;
                Opened::Initialised
            }
            DirectoryState::Foreign(found) => return Err(foreign(files.sys(), shown.to_owned(), found)),
        };
        Ok((Self::new(files), opened))
    }
}

fn state(sys: &impl Sys, shown: &str) -> Result<DirectoryState, OpenError> {
    let failed = |source| OpenError::Io { path: shown.to_owned(), source };
    match sys.open(MARK) {
        Ok(file) => {
            let mut buffer = vec![0; 64 << 10];
            let read = sys.read_at(&file, &mut buffer, 0).map_err(failed)?;
            let wrong = |why: String| OpenError::Format { path: shown.to_owned(), why };
            let root: RootFile = json::from_slice(&buffer[..read])
                .map_err(|_| wrong("is damaged; restore it from a backup of this store".to_owned()))?;
            if root.format > FORMAT {
                return Err(wrong(format!(
                    "format {} was written by a newer wharfinger; this one reads {FORMAT}",
                    root.format
                )));
            }
            return Ok(DirectoryState::Store(root));
        }
        Err(e) if e.kind() == io::ErrorKind::NotFound => {}
        Err(e) => return Err(failed(e)),
    }
    // After an interrupted initialisation the directory still counts as empty: it has our directories, which are empty.
    let ours: Vec<String> = skeleton::directories().filter(|path| !path.contains('/')).collect();
    let mut foreign = None;
    sys.read_dir(".", &mut |name, kind| {
        let expected = kind == FileKind::Directory && (name == "lost+found" || ours.iter().any(|o| o == name));
        foreign = (!expected).then(|| name.to_owned());
        expected
    })
    .map_err(failed)?;
    if foreign.is_none() {
        match sys.read_dir("repositories", &mut |name, _| {
            foreign = Some(format!("repositories/{name}"));
            false
        }) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(failed(e)),
            _ => {}
        }
    }
    Ok(foreign.map_or(DirectoryState::Empty, DirectoryState::Foreign))
}

fn initialise(files: &AtomicFiles<impl Sys>) -> io::Result<()> {
    files.ensure_dirs(skeleton::directories())?;
    let root = RootFile { format: FORMAT, id: world::uuid(), features: Vec::new() };
    let mut json = serde_json::to_vec(&root)?;
    json.push(b'\n');
    let staged = files.stage(&Bytes::from(json), Some("the bytes of ROOT.json"), false)?;
    files.place(staged, MARK)?;
    files.sync_parent(MARK, "the name of ROOT.json")
}

/// Locks the root for as long as its descriptor is open: until this process ends, however it ends.
fn lock(sys: &Real, shown: &str) -> Result<(), OpenError> {
    const PAUSE: Duration = Duration::from_millis(100);
    let mut waited = Duration::ZERO;
    loop {
        match rustix::fs::flock(sys.root(), FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(()),
            Err(Errno::WOULDBLOCK) if waited < PATIENCE => {
                if waited.is_zero() {
                    tracing::warn!(path = shown, "another wharfinger serves this directory; waiting for it to end");
                }
                thread::sleep(PAUSE);
                waited += PAUSE;
            }
            Err(Errno::WOULDBLOCK) => return Err(OpenError::Locked(shown.to_owned())),
            Err(e) => return Err(OpenError::Io { path: shown.to_owned(), source: e.into() }),
        }
    }
}

#[cfg(test)]
mod tests;
