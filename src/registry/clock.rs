//! How far the clock was set forward while this process runs, so that nothing expires early.

use super::Registry;
use crate::files::world;
use std::time::{Duration, SystemTime};

/// Smaller differences are clock corrections, not jumps.
const SLIGHT: Duration = Duration::from_secs(60);

/// Both clocks when the process started.
pub(crate) struct Clock {
    time: SystemTime,
    uptime: Duration,
}

impl Default for Clock {
    fn default() -> Self {
        Self { time: world::now(), uptime: world::uptime() }
    }
}

impl Clock {
    /// By how much existing files may seem older than they are, at most. The clock may have been set forward since
    /// they were written, by a person or because the machine slept.
    pub(crate) fn ahead(&self) -> Duration {
        let passed = world::uptime().saturating_sub(self.uptime);
        // A clock that was set back makes nothing older.
        let ahead = world::now().duration_since(self.time + passed).unwrap_or_default();
        if ahead < SLIGHT { Duration::ZERO } else { ahead }
    }
}

impl Registry {
    /// How old the last byte of a session must appear for the session to have expired. If the clock was set forward,
    /// it appears older than it is.
    pub(crate) fn upload_idle(&self) -> Duration {
        self.settings().upload_timeout + self.clock().ahead()
    }
}
