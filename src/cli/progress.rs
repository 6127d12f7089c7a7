//! Progress of a long command: a line on a terminal, nothing in a pipe.

use super::terminal;
use crate::upkeep::{CollectionStep, Follow};
use async_trait::async_trait;
use std::{
    sync::Mutex,
    time::{Duration, Instant},
};

/// Time between two updates of the line.
const EVERY: Duration = Duration::from_millis(100);

/// A line on stderr with the current step. It is cleared at the end.
pub(super) struct ProgressLine {
    is_shown: bool,
    last: Mutex<Option<Instant>>,
}

impl ProgressLine {
    pub(super) fn new() -> Self {
        Self { is_shown: terminal::is_watched(), last: Mutex::new(None) }
    }

    /// Shows `what` and how much of it is done, unless the line has just been updated.
    pub(super) fn show(&self, what: &str, done: u64) {
        let mut last = self.last.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if !self.is_shown || last.is_some_and(|last| last.elapsed() < EVERY) {
            return;
        }
        *last = Some(Instant::now());
        terminal::show(format_args!("{what} {done}"));
    }
}

impl Drop for ProgressLine {
    fn drop(&mut self) {
        if self.is_shown {
            terminal::clear();
        }
    }
}

#[async_trait]
impl Follow for ProgressLine {
    async fn at(&self, step: CollectionStep, done: u64) {
        self.show(step.as_str(), done);
    }
}
