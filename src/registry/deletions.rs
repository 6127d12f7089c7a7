//! The graveyard run for what clients delete.
//!
//! One run a day, so that the graveyard has few of them: a lookup for something missing checks each.

use crate::{files::world, storage::RunId};
use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

/// How long one run is used.
const A_DAY: Duration = Duration::from_secs(86_400);

/// The current run.
#[derive(Default)]
pub(super) struct Deletions(Mutex<Option<(Duration, RunId)>>);

impl Deletions {
    /// The run for deletions now.
    pub(super) fn run(&self) -> RunId {
        let now = world::uptime();
        let mut current = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match *current {
            Some((since, run)) if now.saturating_sub(since) < A_DAY => run,
            _ => current.insert((now, RunId::fresh())).1,
        }
    }
}
