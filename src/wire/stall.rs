//! A timeout for poll functions, which allocates nothing until something has to wait.

use super::awake::Moment;
use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};
use tokio::time::Sleep;

/// A timer that counts only the time in which the process runs.
#[derive(Default)]
pub struct StallTimer {
    sleep: Option<Pin<Box<Sleep>>>,
    /// When it was started, while it runs.
    since: Option<Moment>,
}

impl StallTimer {
    /// Starts the timer unless it is running. It is ready once `allowed` has passed since the moment that `from`
    /// returns.
    pub fn poll(&mut self, cx: &mut Context<'_>, allowed: Duration, from: impl FnOnce() -> Moment) -> Poll<()> {
        let is_new = self.since.is_none();
        let since = *self.since.get_or_insert_with(from);
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(since.after(allowed))));
        if is_new {
            sleep.as_mut().reset(since.after(allowed));
        }
        while sleep.as_mut().poll(cx).is_ready() {
            if since.is_past(allowed) {
                return Poll::Ready(());
            }
            sleep.as_mut().reset(since.after(allowed));
        }
        Poll::Pending
    }

    /// Stops the timer; the next poll starts it again.
    pub fn stop(&mut self) {
        self.since = None;
    }
}
