//! Hearing at once that a configuration file has changed: the system reports what happens to the files and in the
//! directories on the way to them.
//!
//! A report is only a reason to look. Some changes are never reported (to what is mounted over a single file, or made
//! by another machine on a network file system), so the files are looked at without a reason too.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use notify::event::{AccessKind, AccessMode, EventKind, ModifyKind};
use notify::{ErrorKind, Event, RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::Notify;

use super::snapshot::FileId;
use crate::files::probe;

/// What is watched, and what was heard.
pub(super) struct Wake {
    watcher: Option<RecommendedWatcher>,
    watched: HashMap<PathBuf, FileId>,
    heard: Arc<Heard>,
    is_complete: bool,
    has_warned: bool,
}

/// What the watcher's thread leaves for us.
#[derive(Default)]
struct Heard {
    something: Arc<Notify>,
    /// The watched files, and whether each was written to and not closed since.
    open: Mutex<HashMap<PathBuf, bool>>,
}

impl Wake {
    pub(super) fn new() -> Self {
        let heard = Arc::default();
        Self { watcher: None, watched: HashMap::new(), heard, is_complete: false, has_warned: false }
    }

    /// Notified when something has happened.
    pub(super) fn heard(&self) -> Arc<Notify> {
        self.heard.something.clone()
    }

    /// Whether everything that can be reported will be.
    pub(super) fn is_complete(&self) -> bool {
        self.is_complete
    }

    /// Watches these places and no others. What is watched already is watched anew: a file that was replaced or moved
    /// away may have taken its watch along.
    pub(super) fn watch(&mut self, places: &BTreeMap<PathBuf, FileId>) {
        match self.try_watch(places) {
            Ok(()) => self.is_complete = true,
            Err((path, why)) => {
                self.is_complete = false;
                if !std::mem::replace(&mut self.has_warned, true) {
                    let path = path.display();
                    tracing::warn!(%path, reason = why, "changes are not reported here; looking for them twice a second");
                }
            }
        }
    }

    fn try_watch(&mut self, places: &BTreeMap<PathBuf, FileId>) -> Result<(), (PathBuf, String)> {
        let first = || places.keys().next().cloned().unwrap_or_default();
        if self.watcher.is_none() {
            let heard = self.heard.clone();
            let made = notify::recommended_watcher(move |event| heard.take(event));
            self.watcher = Some(made.map_err(|error| (first(), in_words(error)))?);
        }
        let Some(watcher) = &mut self.watcher else { return Ok(()) };
        self.watched.retain(|path, id| {
            let stays = places.get(path) == Some(id);
            if !stays {
                // It may have gone with the file.
                let _ = watcher.unwatch(path);
            }
            stays
        });
        self.heard.open().retain(|path, _| places.contains_key(path));
        let mut result = Ok(());
        for (path, id) in places {
            let watched = match probe::is_seen_by_others(path) {
                true => Err("on a network or shared file system".to_owned()),
                false => watcher.watch(path, RecursiveMode::NonRecursive).or_else(|error| match error.kind {
                    // It was there a moment ago; its directory reports when it comes back.
                    ErrorKind::PathNotFound => Ok(()),
                    _ => Err(in_words(error)),
                }),
            };
            match watched {
                Ok(()) => {
                    self.watched.insert(path.clone(), *id);
                    self.heard.open().entry(path.clone()).or_default();
                }
                Err(why) => result = Err((path.clone(), why)),
            }
        }
        result
    }

    /// Whether somebody is still writing to one of the watched files.
    pub(super) fn is_being_written(&self) -> bool {
        self.heard.open().values().any(|is_open| *is_open)
    }

    /// Waits for no writer any longer.
    pub(super) fn forget_writers(&self) {
        self.heard.open().values_mut().for_each(|is_open| *is_open = false);
    }
}

impl Heard {
    fn open(&self) -> MutexGuard<'_, HashMap<PathBuf, bool>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, event: notify::Result<Event>) {
        // An error means that reports may have been lost, which is a reason to look as well.
        if let Ok(event) = event {
            match event.kind {
                EventKind::Access(AccessKind::Close(AccessMode::Write)) => self.mark(&event.paths, false),
                // Our own reading.
                EventKind::Access(_) => return,
                // Elsewhere than on Linux nobody reports that a file was closed.
                EventKind::Modify(ModifyKind::Data(_)) => self.mark(&event.paths, cfg!(target_os = "linux")),
                EventKind::Modify(ModifyKind::Metadata(_)) => {}
                // The name stands for something else now.
                _ => self.mark(&event.paths, false),
            }
        }
        self.something.notify_one();
    }

    fn mark(&self, paths: &[PathBuf], is_open: bool) {
        let mut open = self.open();
        for path in paths {
            if let Some(known) = open.get_mut(path) {
                *known = is_open;
            }
        }
    }
}

/// Why something cannot be watched.
fn in_words(error: notify::Error) -> String {
    match error.kind {
        ErrorKind::MaxFilesWatch => "no more watches are available (sysctl fs.inotify.max_user_watches)".to_owned(),
        ErrorKind::Io(error) if error.raw_os_error() == Some(rustix::io::Errno::MFILE.raw_os_error()) => {
            "no more watchers are available (sysctl fs.inotify.max_user_instances)".to_owned()
        }
        ErrorKind::Io(error) => error.to_string(),
        _ => error.to_string(),
    }
}
