//! Follows the configuration files: when they change, a new generation replaces the active one.
//!
//! The system reports most changes ([`super::wake`]), and then the files' metadata are checked. They are also checked
//! periodically, which notices whatever an editor, Git or Kubernetes does, on any file system. At longer intervals, and
//! on request, the contents are read and compared, in case metadata do not reveal a change.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use tokio::sync::Notify;

use super::compile::ConfigFiles;
use super::edit::ConfigEditor;
use super::env::Env;
use super::followed::{Followed, locked};
use super::live::Live;
use super::problems::{Problems, Warning};
use super::snapshot::{Signs, Snapshot};
use super::wake::Wake;
use crate::files::detached;

/// Intervals between two checks: if all changes are reported, and if some may not be.
const LOOK: Duration = Duration::from_secs(2);
const LOOK_UNREPORTED: Duration = Duration::from_millis(500);

/// Files are read once they have not changed for `CALM`, or after `IMPATIENT` in any case. If changes are reported it
/// is known when a writer has closed its file, and waiting only keeps files together that are written together.
const CALM: Duration = Duration::from_millis(40);
const CALM_UNREPORTED: Duration = Duration::from_millis(100);
const IMPATIENT: Duration = Duration::from_millis(500);

/// Minimum time between two checks: other files in the same directories may change all the time.
const PAUSE: Duration = Duration::from_millis(20);

/// Follows the files of one environment.
pub struct ConfigWatch {
    /// Shared with those who edit the files.
    followed: Arc<Mutex<Followed>>,
    files: ConfigFiles,
    live: Arc<ArcSwap<Live>>,
    signs: Signs,
    read: Instant,
    wake: Wake,
}

impl ConfigWatch {
    /// Reads the files and makes the result the first generation.
    ///
    /// # Errors
    /// All problems.
    pub fn new(env: Env) -> Result<Self, Problems> {
        Self::after(env, None)
    }

    /// Like [`new`](Self::new), but the first generation was compiled from the files `before`, and is compiled again
    /// only if they have changed. The caller has reported its warnings.
    pub(super) fn after(env: Env, before: Option<(Snapshot, Live, Vec<Warning>)>) -> Result<Self, Problems> {
        let files = ConfigFiles::of(&env);
        let (signs, seen) = (files.signs(), files.read());
        let (live, warned) = match before {
            Some((read, live, warned)) if read == seen => (live, warned),
            _ => {
                let (mut problems, mut warned) = (Problems::default(), Vec::new());
                let live = Live::compile(&env, &seen, None, &mut problems, &mut warned);
                problems.or((live, warned))?
            }
        };
        let live = Arc::new(ArcSwap::from_pointee(live));
        // Both look at the same paths at the same time, so each has a patience of its own.
        let followed = Followed::new(ConfigFiles::of(&env), env, live.clone(), seen, warned);
        let (read, wake) = (Instant::now(), Wake::new());
        Ok(Self { followed: Arc::new(Mutex::new(followed)), files, live, signs, read, wake })
    }

    /// Edits the files.
    pub fn editor(&self) -> ConfigEditor {
        ConfigEditor::new(self.followed.clone(), self.wake.notify())
    }

    /// The active generation, now and later.
    pub fn live(&self) -> Arc<ArcSwap<Live>> {
        self.live.clone()
    }

    /// Follows the files forever. `nudge` triggers a read at once, and `was_read` is notified when that is over;
    /// `applied` is called for every new generation after it has become active.
    pub async fn run(mut self, nudge: Arc<Notify>, was_read: Arc<Notify>, applied: impl Fn(&Live)) {
        let heard = self.wake.notify();
        let mut nudged = false;
        let mut last = self.live.load_full();
        loop {
            let turn = detached(move || {
                let has_read = self.check_files(nudged);
                (self, has_read)
            });
            let has_read;
            (self, has_read) = match turn.await {
                Ok(turn) => turn,
                Err(error) => return tracing::error!(%error, "configuration files are no longer followed"),
            };
            // From this check, or from an edit since the previous one.
            let now = self.live.load_full();
            if !Arc::ptr_eq(&now, &last) {
                applied(&now);
                last = now;
            }
            if std::mem::take(&mut nudged) {
                was_read.notify_one();
            }
            if has_read {
                // There may be more to read already.
                continue;
            }
            tokio::time::sleep(PAUSE).await;
            let look = if self.wake.is_complete() { LOOK } else { LOOK_UNREPORTED };
            tokio::select! {
                () = tokio::time::sleep(look.min(self.live.load().poll)) => {}
                () = heard.notified() => {}
                () = nudge.notified() => nudged = true,
            }
        }
    }

    /// Checks the files, and reads them if they may have changed; `false` if not.
    fn check_files(&mut self, nudged: bool) -> bool {
        self.files.patience.limit = self.live.load().read;
        let due = nudged || self.read.elapsed() >= self.live.load().poll;
        // Later changes are reported, and earlier ones show in the metadata below.
        self.wake.watch(&self.files.places());
        let signs = self.files.signs();
        if signs == self.signs && !due {
            locked(&self.followed).repeat_problems();
            return false;
        }
        self.signs = self.settle(signs);
        self.reload();
        true
    }

    /// Waits until no file is being written any more, up to a limit.
    fn settle(&self, mut signs: Signs) -> Signs {
        let begun = Instant::now();
        let calm = if self.wake.is_complete() { CALM } else { CALM_UNREPORTED };
        while (signs != self.signs || self.wake.is_being_written()) && begun.elapsed() < IMPATIENT {
            std::thread::sleep(calm);
            let next = self.files.signs();
            if next == signs && !self.wake.is_being_written() {
                break;
            }
            signs = next;
        }
        self.wake.forget_writers();
        signs
    }

    /// Reads all files; if something changed, compiles and activates a new generation.
    pub(super) fn reload(&mut self) -> bool {
        self.read = Instant::now();
        locked(&self.followed).reload()
    }
}
