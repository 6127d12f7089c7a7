//! The files that are followed and the generation that they were compiled to. Whoever reads or changes the files holds
//! its lock, so that two generations never overtake each other.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;

use super::compile::ConfigFiles;
use super::env::Env;
use super::live::Live;
use super::problems::{Problems, Warning};
use super::snapshot::Snapshot;
use super::tls;

/// How often the same problem is logged again.
const REMIND: Duration = Duration::from_secs(300);

/// The state of the files of one environment.
pub(super) struct Followed {
    pub(super) env: Env,
    pub(super) files: ConfigFiles,
    pub(super) live: Arc<ArcSwap<Live>>,
    /// The contents that were read last.
    pub(super) seen: Snapshot,
    /// The active contents: for a file that was rejected, the previous ones.
    in_force: Snapshot,
    reported: Option<(Problems, Instant)>,
    /// The warnings of the last generation, which are not repeated.
    warned: Vec<Warning>,
}

/// A generation that is not active yet.
pub(super) struct CandidateGeneration {
    pub(super) files: Snapshot,
    pub(super) live: Live,
    pub(super) problems: Problems,
    warnings: Vec<Warning>,
}

/// Its lock. A panic while it was held leaves the last generation active.
pub(super) fn locked(followed: &Mutex<Followed>) -> MutexGuard<'_, Followed> {
    followed.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Followed {
    /// The state after a start with these contents; their warnings were reported.
    pub(super) fn new(
        files: ConfigFiles,
        env: Env,
        live: Arc<ArcSwap<Live>>,
        seen: Snapshot,
        warned: Vec<Warning>,
    ) -> Self {
        Self { env, files, live, in_force: seen.clone(), seen, reported: None, warned }
    }

    /// Reads all files; if something changed, compiles and activates a new generation.
    pub(super) fn reload(&mut self) -> bool {
        self.files.patience.limit = self.live.load().read;
        let files = self.files.read();
        let has_changed = files != self.seen;
        match has_changed {
            true => self.activate(self.compile(files)),
            false => self.repeat_problems(),
        }
        has_changed
    }

    /// Compiles these contents. Where they are invalid, what is active stays.
    pub(super) fn compile(&self, files: Snapshot) -> CandidateGeneration {
        let last = self.live.load();
        let (mut problems, mut warnings) = (Problems::default(), Vec::new());
        let live = Live::compile(&self.env, &files, Some((&last, &self.seen)), &mut problems, &mut warnings);
        CandidateGeneration { files, live, problems, warnings }
    }

    /// Makes a generation the active one.
    pub(super) fn activate(&mut self, candidate: CandidateGeneration) {
        let CandidateGeneration { files, mut live, problems, warnings } = candidate;
        if !self.in_force.take_over(&files, &problems, &tls::files(&self.env)) {
            live.number = self.live.load().number;
        }
        live.version = self.in_force.version(&self.files.editable);
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
            self.reported = None;
        } else if self.reported.as_ref().is_none_or(|(reported, _)| *reported != problems) {
            self.report(problems);
        }
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
        self.reported = Some((problems, Instant::now()));
    }

    /// Logs the problems again that remain.
    pub(super) fn repeat_problems(&mut self) {
        if let Some((problems, _)) = self.reported.take_if(|(_, at)| at.elapsed() >= REMIND) {
            self.report(problems);
        }
    }
}
