//! Content that stays in memory. A machine may reclaim pages that nobody has touched for a minute, even if memory is
//! free; then content that should be warm comes from the disk again, and that is what is measured.

use std::path::Path;
use std::process::Child;
use std::time::{Duration, Instant};

use crate::Result;
use crate::peers::in_path;
use crate::peers::server::{Launch, command};
use crate::procs::memory;

/// How often to check how much is held.
const LOOK: Duration = Duration::from_millis(300);
/// Gives up if nothing is held after this time.
const MOST: Duration = Duration::from_secs(10);

/// The files of a directory, held in memory by `vmtouch` until this is dropped.
pub struct ResidentFiles(Child);

impl ResidentFiles {
    /// Holds the files that are below the directory now.
    pub fn below(directory: &Path) -> Result<Self> {
        let launch = Launch {
            program: in_path("vmtouch").ok_or("vmtouch was not found")?,
            arguments: ["-q", "-l", &directory.display().to_string()].map(str::to_owned).to_vec(),
            environment: Vec::new(),
            directory: directory.parent().unwrap_or(directory).to_owned(),
        };
        let mut kept = Self(command(&launch)?.spawn()?);
        let (start, mut before) = (Instant::now(), 0.0);
        loop {
            std::thread::sleep(LOOK);
            if let Some(status) = kept.0.try_wait()? {
                return Err(format!("vmtouch ended: {status}; see the log").into());
            }
            let held = memory(&[kept.0.id()], "VmLck");
            if held > 0.0 && held <= before {
                return Ok(kept);
            }
            if held <= 0.0 && start.elapsed() > MOST {
                return Err("vmtouch holds nothing".into());
            }
            before = held;
        }
    }
}

impl Drop for ResidentFiles {
    fn drop(&mut self) {
        // It may have ended by itself; the wait shows it.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
