//! How far the clock was set forward while this process runs, so that it ends nothing before its time.

use crate::files::world;
use std::time::{Duration, SystemTime};

/// Less than this is a clock that is being put right, not one that jumped.
const SLIGHT: Duration = Duration::from_secs(60);

/// Both clocks when the process began.
pub(super) struct Clock {
    time: SystemTime,
    uptime: Duration,
}

impl Default for Clock {
    fn default() -> Self {
        Self { time: world::now(), uptime: world::uptime() }
    }
}

impl Clock {
    /// By how much everything that lies there seems older than it is, at most. The clock may have
    /// been set forward since it was written, by a hand, or by a machine that slept.
    pub(super) fn ahead(&self) -> Duration {
        let passed = world::uptime().saturating_sub(self.uptime);
        // A clock that was set back makes nothing older.
        let ahead = world::now().duration_since(self.time + passed).unwrap_or_default();
        if ahead < SLIGHT { Duration::ZERO } else { ahead }
    }
}
