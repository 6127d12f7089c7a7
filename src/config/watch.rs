//! Following the configuration files: when they change, a new generation takes over.
//!
//! The files are looked at twice a second without reading them, which sees whatever an editor, Git
//! or Kubernetes does, on any file system, and cannot go deaf. In longer intervals they are read
//! and compared, for what does not show in a file's metadata; and at once when somebody says so.

use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use tokio::sync::Notify;
use tokio::task::spawn_blocking;

use super::compile::Files;
use super::env::Env;
use super::live::Live;
use super::problems::Problems;
use super::snapshot::{Signs, Snapshot};
use super::tls;

/// Time between two looks.
const LOOK: Duration = Duration::from_millis(500);

/// Files are read when they have been left alone for so long, or after so long in any case.
const CALM: Duration = Duration::from_millis(100);
const IMPATIENT: Duration = Duration::from_millis(500);

/// How often the same problem is told again.
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
}

impl Watch {
    /// Reads the files, and makes what they say the first generation.
    ///
    /// # Errors
    /// Everything that is wrong.
    pub fn new(env: Env) -> Result<Self, Problems> {
        let files = Files::of(&env);
        let (signs, seen) = (files.signs(), files.read());
        let mut problems = Problems::default();
        // Warnings have been told by whoever read the environment.
        let live = Live::compile(&env, &seen, None, &mut problems, &mut Vec::new());
        let live = problems.or(Arc::new(ArcSwap::from_pointee(live)))?;
        Ok(Self { env, files, live, in_force: seen.clone(), seen, signs, read: Instant::now(), told: None })
    }

    /// The generation in force, now and later.
    pub fn live(&self) -> Arc<ArcSwap<Live>> {
        self.live.clone()
    }

    /// Follows the files for ever. `nudge` makes it read them at once; `applied` hears of every
    /// new generation, after it took over.
    pub async fn run(mut self, nudge: Arc<Notify>, applied: impl Fn(&Live)) {
        let mut ticks = tokio::time::interval(LOOK);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let told = tokio::select! {
                _ = ticks.tick() => false,
                () = nudge.notified() => true,
            };
            let turn = spawn_blocking(move || {
                let changed = self.turn(told);
                (self, changed)
            });
            let Ok((watch, changed)) = turn.await else {
                return tracing::error!("the configuration is not followed any more: reading it panicked");
            };
            self = watch;
            if changed {
                applied(&self.live.load());
            }
        }
    }

    /// Looks, and reads if there may be something new; whether a new generation took over.
    fn turn(&mut self, told: bool) -> bool {
        let due = told || self.read.elapsed() >= self.live.load().poll;
        let signs = self.files.signs();
        if signs == self.signs && !due {
            self.remind();
            return false;
        }
        self.signs = self.settle(signs);
        self.reload()
    }

    /// Waits until nobody writes any more, but not for ever.
    fn settle(&self, mut signs: Signs) -> Signs {
        let begun = Instant::now();
        while signs != self.signs && begun.elapsed() < IMPATIENT {
            std::thread::sleep(CALM);
            let next = self.files.signs();
            if next == signs {
                break;
            }
            signs = next;
        }
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
        for warning in &warnings {
            tracing::warn!("{warning}");
        }
        if problems.is_empty() {
            tracing::info!(generation, "the configuration was read again and is in force");
            self.told = None;
        } else if self.told.as_ref().is_none_or(|(told, _)| *told != problems) {
            self.tell(problems);
        }
        true
    }

    fn tell(&mut self, problems: Problems) {
        let stale = self.live.load().stale.clone();
        let seconds = stale.and_then(|stale| stale.since.elapsed().ok()).unwrap_or_default().as_secs();
        for problem in &problems.0 {
            tracing::error!(seconds, "what it said before stays in force: {problem}");
        }
        self.told = Some((problems, Instant::now()));
    }

    /// Tells again what is still wrong.
    fn remind(&mut self) {
        if let Some((problems, _)) = self.told.take_if(|(_, at)| at.elapsed() >= REMIND) {
            self.tell(problems);
        }
    }
}
