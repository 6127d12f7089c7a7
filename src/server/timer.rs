//! The HTTP library's timer, counting only the time in which the process runs: a ping whose answer arrived while the
//! process was stopped does not count as unanswered.

use crate::wire::{awake::Moment, stall::StallTimer};
use hyper::rt::{Sleep, Timer};
use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::{Duration, Instant},
};

#[derive(Clone, Copy)]
pub(super) struct AwakeTimer;

struct AwakeSleep {
    since: Moment,
    allowed: Duration,
    clock: StallTimer,
}

impl Timer for AwakeTimer {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Sleep>> {
        Box::pin(AwakeSleep { since: Moment::now(), allowed: duration, clock: StallTimer::default() })
    }

    fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn Sleep>> {
        self.sleep(deadline.saturating_duration_since(self.now()))
    }

    fn now(&self) -> Instant {
        tokio::time::Instant::now().into()
    }

    fn reset(&self, sleep: &mut Pin<Box<dyn Sleep>>, deadline: Instant) {
        let allowed = deadline.saturating_duration_since(self.now());
        if let Some(mut sleep) = sleep.as_mut().downcast_mut_pin::<AwakeSleep>() {
            (sleep.since, sleep.allowed) = (Moment::now(), allowed);
            sleep.clock.stop();
        }
    }
}

impl Future for AwakeSleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let (since, allowed) = (self.since, self.allowed);
        self.clock.poll(cx, allowed, || since)
    }
}

impl Sleep for AwakeSleep {}
