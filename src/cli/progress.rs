//! How far a long command is: a line on the terminal, nothing in a pipe.

use crate::registry::{CollectionStep, Follow};
use async_trait::async_trait;
use std::{
    io::{self, IsTerminal, Write},
    sync::Mutex,
    time::{Duration, Instant},
};

/// Time between two changes of the line.
const EVERY: Duration = Duration::from_millis(100);

/// A line on stderr that says what is being done. It is wiped out at the end.
pub(super) struct Progress {
    is_shown: bool,
    last: Mutex<Option<Instant>>,
}

impl Progress {
    pub(super) fn new() -> Self {
        Self { is_shown: io::stderr().is_terminal(), last: Mutex::new(None) }
    }

    /// Shows `what` and how much of it is done, unless the line has only just changed.
    pub(super) fn show(&self, what: &str, done: u64) {
        let mut last = self.last.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if !self.is_shown || last.is_some_and(|last| last.elapsed() < EVERY) {
            return;
        }
        *last = Some(Instant::now());
        // A terminal that is gone is told nothing.
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
