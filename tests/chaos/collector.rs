//! Runs collections in a loop beside the daemon, with all timers at zero.

use crate::{PROGRAM, dice::Dice, world::World};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::{
    fs::File,
    os::unix::process::ExitStatusExt,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus},
    sync::{Arc, Mutex, MutexGuard},
    time::{Duration, Instant},
};
use testing::daemon;

/// No collection takes longer, even if it is sometimes suspended and the disk is slow.
const PATIENCE: Duration = Duration::from_secs(600);

/// The running collection, which may be killed and suspended.
#[derive(Default)]
pub struct Running(Mutex<Option<Child>>);

/// Runs one collection after another.
pub struct Collector {
    pub world: Arc<World>,
    pub dice: Dice,
    pub running: Arc<Running>,
    pub root: PathBuf,
    pub settings: PathBuf,
}

impl Running {
    fn child(&self) -> MutexGuard<'_, Option<Child>> {
        self.0.lock().unwrap()
    }

    /// Signals the running collection; `false` if there is none. The lock prevents a wait for the process meanwhile, so
    /// its process id cannot be reused.
    pub fn signal(&self, signal: Signal) -> bool {
        let child = self.child();
        let pid = child.as_ref().and_then(|child| Pid::from_raw(child.id() as i32));
        pid.is_some_and(|pid| kill_process(pid, signal).is_ok())
    }

    fn ended(&self) -> Option<ExitStatus> {
        let mut child = self.child();
        let status = child.as_mut().expect("a collection").try_wait().expect("its state")?;
        *child = None;
        Some(status)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(child) = self.child().as_mut() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Collector {
    /// Collects until the campaign ends.
    pub async fn run(mut self) -> Self {
        while !self.world.is_ending() {
            self.collect().await;
            if self.dice.chance(30) {
                tokio::time::sleep(self.dice.millis(0..200)).await;
            }
        }
        self
    }

    /// Runs one collection until it ends or is killed.
    pub async fn collect(&mut self) {
        let (report, began) = (self.root.with_extension("gc"), Instant::now());
        let mut command = program(&self.root, &self.settings, &["gc", "--now", "--force", "--json"]);
        let (out, err) = (File::create(&report).expect("a file"), File::create(errors(&report)).expect("a file"));
        *self.running.child() = Some(command.stdout(out).stderr(err).spawn().expect("the program starts"));
        let status = loop {
            if let Some(status) = self.running.ended() {
                break status;
            }
            if began.elapsed() > PATIENCE {
                panic!("the collection does not end");
            }
            tokio::time::sleep(Duration::from_millis(3)).await;
        };
        let tally = &self.world.tally;
        if status.signal().is_some() {
            tally.one("collections killed");
            return;
        }
        let text = std::fs::read_to_string(&report).expect("its report");
        if !status.success() {
            let errors = std::fs::read_to_string(errors(&report)).expect("its errors");
            panic!("a collection failed: {status}: {text} {errors}");
        }
        let report: Value = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}"));
        tally.one("collections");
        tally.took("ms, the longest collection", began.elapsed());
        tally.add("passes of collections", report["passes"].as_u64().unwrap_or_default());
        for what in ["condemned", "restored", "purged"] {
            for kind in ["blobs", "links"] {
                tally.add(format!("{kind} {what}"), report[what][kind].as_u64().unwrap_or_default());
            }
        }
    }
}

impl Collector {
    /// Checks that everything in the store is sound.
    pub fn check(&self) {
        let checked =
            program(&self.root, &self.settings, &["fsck", "--read-data", "--json"]).output().expect("a check");
        let text = String::from_utf8_lossy(&checked.stdout);
        assert_eq!(checked.status.code(), Some(0), "{text} {}", String::from_utf8_lossy(&checked.stderr));
        let last = text.lines().last().unwrap_or_default();
        let summary: Value = serde_json::from_str(last).unwrap_or_else(|e| panic!("{e}: {text}"));
        self.world.tally.add("blobs read by fsck", summary["summary"]["blobsRead"].as_u64().unwrap_or_default());
        self.world.tally.add("notes of fsck", summary["summary"]["notes"].as_u64().unwrap_or_default());
    }
}

/// The program with this storage directory and these settings.
pub fn program(root: &Path, settings: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(PROGRAM);
    let settings = settings.to_str().expect("a path that is text");
    daemon::over(&mut command, root, &[("REGISTRY_SETTINGS", settings)]).args(arguments);
    command
}

fn errors(report: &Path) -> PathBuf {
    report.with_extension("gc-errors")
}
