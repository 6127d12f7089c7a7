//! Notices at once that a configuration file has changed: the system reports events of the files and of the directories
//! on the way to them.
//!
//! An event is only a reason to check. Some changes are never reported (of a file that is mounted by itself, or by
//! another machine on a network file system), so the files are also checked periodically.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use notify::event::{AccessKind, AccessMode, EventKind, ModifyKind};
use notify::{ErrorKind, Event, RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::Notify;

use super::snapshot::WatchedPlace;

/// The watched places, and the events.
pub(super) struct Wake {
    watcher: Option<RecommendedWatcher>,
    watched: HashMap<PathBuf, WatchedPlace>,
    heard: Arc<Heard>,
    is_complete: bool,
    has_warned: bool,
}

/// Written by the watcher's thread.
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

    /// Notified after an event.
    pub(super) fn notify(&self) -> Arc<Notify> {
        self.heard.something.clone()
    }

    /// Whether all changes will be reported.
    pub(super) fn is_complete(&self) -> bool {
        self.is_complete
    }

    /// Watches exactly these places. Those already watched are watched again: a file that was replaced or moved away
    /// may have taken its watch along.
    pub(super) fn watch(&mut self, places: &BTreeMap<PathBuf, WatchedPlace>) {
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

    fn try_watch(&mut self, places: &BTreeMap<PathBuf, WatchedPlace>) -> Result<(), (PathBuf, String)> {
        let first = || places.keys().next().cloned().unwrap_or_default();
        if self.watcher.is_none() {
            let heard = self.heard.clone();
            let made = notify::recommended_watcher(move |event| heard.handle(event));
            self.watcher = Some(made.map_err(|error| (first(), in_words(error)))?);
        }
        let Some(watcher) = &mut self.watcher else { return Ok(()) };
        self.watched.retain(|path, place| {
            let stays = places.get(path) == Some(place);
            if !stays {
                // It may have gone with the file.
                let _ = watcher.unwatch(path);
            }
            stays
        });
        self.heard.open().retain(|path, _| places.contains_key(path));
        let mut result = Ok(());
        for (path, place) in places {
            let watched = match place.is_shared {
                true => Err("on a network or shared file system".to_owned()),
                false => watcher.watch(path, RecursiveMode::NonRecursive).or_else(|error| match error.kind {
                    // It existed a moment ago; its directory reports when it comes back.
                    ErrorKind::PathNotFound => Ok(()),
                    _ => Err(in_words(error)),
                }),
            };
            match watched {
                Ok(()) => {
                    self.watched.insert(path.clone(), *place);
                    self.heard.open().entry(path.clone()).or_default();
                }
                Err(why) => result = Err((path.clone(), why)),
            }
        }
        result
    }

    /// Whether another process is still writing to one of the watched files.
    pub(super) fn is_being_written(&self) -> bool {
        self.heard.open().values().any(|is_open| *is_open)
    }

    /// Stops waiting for writers.
    pub(super) fn forget_writers(&self) {
        self.heard.open().values_mut().for_each(|is_open| *is_open = false);
    }
}

impl Heard {
    fn open(&self) -> MutexGuard<'_, HashMap<PathBuf, bool>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn handle(&self, event: notify::Result<Event>) {
        // An error means that events may have been lost, which is a reason to check as well.
        if let Ok(event) = event {
            match event.kind {
                EventKind::Access(AccessKind::Close(AccessMode::Write)) => self.mark(&event.paths, false),
                // Our own reads.
                EventKind::Access(_) => return,
                // Only Linux reports that a file was closed.
                EventKind::Modify(ModifyKind::Data(_)) => self.mark(&event.paths, cfg!(target_os = "linux")),
                EventKind::Modify(ModifyKind::Metadata(_)) => {}
                // The name refers to another file now.
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
