//! Following the configuration files: when they change, a new generation takes over.
//!
//! The system reports most changes ([`super::wake`]), and then the files are looked at. They are also looked at without
//! a report, which sees whatever an editor, Git or Kubernetes does, on any file system. In longer intervals they are
//! read and compared, for what does not show in a file's metadata; and at once on request.

use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use tokio::sync::Notify;
use tokio::task::spawn_blocking;

use super::compile::Files;
use super::env::Env;
use super::live::Live;
use super::problems::{Problems, Warning};
use super::snapshot::{Signs, Snapshot};
use super::tls;
use super::wake::Wake;

/// Time between two looks where all changes are reported, and where some may not be.
const LOOK: Duration = Duration::from_secs(2);
const LOOK_UNREPORTED: Duration = Duration::from_millis(500);

/// Files are read when they have been left alone for so long, or after so long in any case. Where changes are reported
/// it is known that a writer has closed its file, so the wait only keeps together what is written together.
const CALM: Duration = Duration::from_millis(40);
const CALM_UNREPORTED: Duration = Duration::from_millis(100);
const IMPATIENT: Duration = Duration::from_millis(500);

/// Between two looks there is at least this time: files beside ours may change all the time.
const PAUSE: Duration = Duration::from_millis(20);

/// How often the same problem is reported again.
const REMIND: Duration = Duration::from_secs(300);

/// Follows the files of one environment.
pub struct Watch {
    env: Env,
    files: Files,
    live: Arc<ArcSwap<Live>>,
    seen: Snapshot,
    /// The contents in force: of a file that was rejected, those before.
    in_force: Snapshot,
    signs: Signs,
    read: Instant,
    told: Option<(Problems, Instant)>,
    /// The warnings of the last generation, which are not repeated.
    warned: Vec<Warning>,
    wake: Wake,
}

/// What came of looking at the files.
struct Looked {
    /// They were read, so there may be more to read already.
    has_read: bool,
    /// A new generation took over.
    has_changed: bool,
}

impl Watch {
    /// Reads the files, and makes what they say the first generation.
    ///
    /// # Errors
    /// Everything that is wrong.
    pub fn new(env: Env) -> Result<Self, Problems> {
        let files = Files::of(&env);
        let (signs, seen) = (files.signs(), files.read());
        // Whoever read the environment has reported the warnings.
        let (mut problems, mut warned) = (Problems::default(), Vec::new());
        let live = Live::compile(&env, &seen, None, &mut problems, &mut warned);
        let live = problems.or(Arc::new(ArcSwap::from_pointee(live)))?;
        let (in_force, read, wake) = (seen.clone(), Instant::now(), Wake::new());
        Ok(Self { env, files, live, in_force, seen, signs, read, told: None, warned, wake })
    }

    /// The generation in force, now and later.
    pub fn live(&self) -> Arc<ArcSwap<Live>> {
        self.live.clone()
    }

    /// Follows the files for ever. `nudge` makes it read them at once; `applied` hears of every
    /// new generation, after it took over.
    pub async fn run(mut self, nudge: Arc<Notify>, applied: impl Fn(&Live)) {
        let heard = self.wake.heard();
        let mut told = false;
        loop {
            let turn = spawn_blocking(move || {
                let looked = self.look(told);
                (self, looked)
            });
            let Ok((watch, looked)) = turn.await else {
                return tracing::error!("configuration files are no longer followed: reading them panicked");
            };
            self = watch;
            if looked.has_changed {
                applied(&self.live.load());
            }
            told = false;
            if looked.has_read {
                continue;
            }
            tokio::time::sleep(PAUSE).await;
            let look = if self.wake.is_complete() { LOOK } else { LOOK_UNREPORTED };
            tokio::select! {
                () = tokio::time::sleep(look.min(self.live.load().poll)) => {}
                () = heard.notified() => {}
                () = nudge.notified() => told = true,
            }
        }
    }

    /// Looks, and reads if there may be something new.
    fn look(&mut self, told: bool) -> Looked {
        let due = told || self.read.elapsed() >= self.live.load().poll;
        // What changes after this is reported, and what changed before shows below.
        self.wake.watch(&self.files.places());
        let signs = self.files.signs();
        if signs == self.signs && !due {
            self.remind();
            return Looked { has_read: false, has_changed: false };
        }
        self.signs = self.settle(signs);
        Looked { has_read: true, has_changed: self.reload() }
    }

    /// Waits until nobody writes any more, but not for ever.
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

    /// Reads everything; if something is new, compiles it and lets it take over.
    pub(super) fn reload(&mut self) -> bool {
        let files = self.files.read();
        self.read = Instant::now();
        if files == self.seen {
            self.remind();
            return false;
        }
        let last = self.live.load_full();
        let (mut problems, mut warnings) = (Problems::default(), Vec::new());
        let mut live = Live::compile(&self.env, &files, Some((&last, &self.seen)), &mut problems, &mut warnings);
        if !self.in_force.take_over(&files, &problems, &tls::files(&self.env)) {
            live.number = last.number;
        }
        let generation = live.number;
        self.seen = files;
        self.live.store(Arc::new(live));
        let is_new = |warning: &&Warning| !self.warned.iter().any(|known| known.0.is_like(&warning.0));
        for warning in warnings.iter().filter(is_new) {
            tracing::warn!("{warning}");
        }
        self.warned = warnings;
        if problems.is_empty() {
            tracing::info!(generation, "configuration reloaded");
            self.told = None;
        } else if self.told.as_ref().is_none_or(|(told, _)| *told != problems) {
            self.report(problems);
        }
        true
    }

    fn report(&mut self, problems: Problems) {
        let stale = self.live.load().stale.clone();
        let stale_seconds = stale.and_then(|stale| stale.since.elapsed().ok()).unwrap_or_default().as_secs();
        for problem in &problems.0 {
            tracing::error!(
                file = problem.file.as_ref().map(|file| display(file.display())),
                line = problem.line,
                key = problem.key,
                problem = %problem.one_line(),
                stale_seconds,
                "configuration reload rejected; previous version still active"
            );
        }
        self.told = Some((problems, Instant::now()));
    }

    /// Reports again what is still wrong.
    fn remind(&mut self) {
        if let Some((problems, _)) = self.told.take_if(|(_, at)| at.elapsed() >= REMIND) {
            self.report(problems);
        }
    }
}
