//! Progress of a long command: a line on a terminal, nothing in a pipe.

use crate::registry::{CollectionStep, Follow};
use async_trait::async_trait;
use std::{
    io::{self, IsTerminal, Write},
    sync::Mutex,
    time::{Duration, Instant},
};

/// Time between two updates of the line.
const EVERY: Duration = Duration::from_millis(100);

/// A line on stderr with the current step. It is cleared at the end.
pub(super) struct Progress {
    is_shown: bool,
    last: Mutex<Option<Instant>>,
}

impl Progress {
    pub(super) fn new() -> Self {
        Self { is_shown: io::stderr().is_terminal(), last: Mutex::new(None) }
    }

    /// Shows `what` and how much of it is done, unless the line has just been updated.
    pub(super) fn show(&self, what: &str, done: u64) {
        let mut last = self.last.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if !self.is_shown || last.is_some_and(|last| last.elapsed() < EVERY) {
            return;
        }
        *last = Some(Instant::now());
        // If the terminal is gone there is nobody to show it to.
        let _ = write!(io::stderr(), "\r\x1b[K{what} {done}");
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.is_shown {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }
}

#[async_trait]
impl Follow for Progress {
    async fn at(&self, step: CollectionStep, done: u64) {
        self.show(step.as_str(), done);
    }
}
