//! CPU time and memory of a server and its child processes, from /proc.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::Result;

/// Clock ticks per second in /proc: 100 on every Linux in use.
const TICKS: f64 = 100.0;
const SAMPLE: Duration = Duration::from_millis(20);

/// Parent, and user and system time in ticks, of a line of `/proc/PID/stat`.
fn stat(line: &str) -> Option<(u32, u64)> {
    // The name is in parentheses and may contain spaces and parentheses.
    let fields: Vec<&str> = line.rsplit_once(')')?.1.split_whitespace().collect();
    let number = |at: usize| fields.get(at)?.parse::<u64>().ok();
    Some((u32::try_from(number(1)?).ok()?, number(11)? + number(12)?))
}

/// The process and all its descendants.
pub fn tree(pid: u32) -> Result<Vec<u32>> {
    let mut parents = Vec::new();
    for entry in std::fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let Some(id) = name.to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        // It may have ended since it was listed.
        let Ok(line) = std::fs::read_to_string(format!("/proc/{id}/stat")) else { continue };
        if let Some((parent, _)) = stat(&line) {
            parents.push((id, parent));
        }
    }
    let mut found = vec![pid];
    let mut next = 0;
    while let Some(parent) = found.get(next).copied() {
        found.extend(parents.iter().filter(|(_, of)| *of == parent).map(|(id, _)| *id));
        next += 1;
    }
    Ok(found)
}

/// CPU seconds that these processes have used so far.
pub fn cpu(pids: &[u32]) -> Result<f64> {
    let mut ticks = 0;
    for pid in pids {
        let line =
            std::fs::read_to_string(format!("/proc/{pid}/stat")).map_err(|error| format!("process {pid}: {error}"))?;
        ticks += stat(&line).ok_or_else(|| format!("/proc/{pid}/stat is not understood"))?.1;
    }
    Ok(ticks as f64 / TICKS)
}

/// A field of `/proc/PID/status` that is in kB, summed over processes, in MiB.
pub fn memory(pids: &[u32], field: &str) -> f64 {
    let of = |pid: &u32| {
        let text = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':').map(str::to_owned));
        line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<f64>().ok()).unwrap_or(0.0)
    };
    pids.iter().map(of).sum::<f64>() / 1024.0
}

/// Samples the anonymous memory of processes every 20 ms.
pub struct Peak {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<f64>,
}

impl Peak {
    /// Starts sampling.
    pub fn of(pids: Vec<u32>) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let thread = std::thread::spawn(move || {
            let mut most = 0.0f64;
            loop {
                most = most.max(memory(&pids, "RssAnon"));
                if stopped.load(Ordering::Relaxed) {
                    return most;
                }
                std::thread::sleep(SAMPLE);
            }
        });
        Self { stop, thread }
    }

    /// Stops sampling; returns the peak in MiB.
    pub fn end(self) -> Result<f64> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().map_err(|_| "the sampling thread failed".into())
    }
}

/// Processor, cores, memory and kernel, for the report.
pub fn machine() -> serde_json::Value {
    let read = |path: &str| std::fs::read_to_string(Path::new(path)).unwrap_or_default();
    let field = |text: &str, name: &str| {
        let line = text.lines().find(|line| line.starts_with(name)).unwrap_or_default();
        line.split_once(':').map_or("", |(_, value)| value.trim()).to_owned()
    };
    serde_json::json!({
        "processor": field(&read("/proc/cpuinfo"), "model name"),
        "cores": std::thread::available_parallelism().map_or(0, std::num::NonZero::get),
        "memory": field(&read("/proc/meminfo"), "MemTotal"),
        "kernel": read("/proc/sys/kernel/osrelease").trim(),
        "load before": read("/proc/loadavg").split(' ').next(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_and_blanks_does_not_shift_the_fields() {
        let line = "7 (a) b) (c) S 3 7 7 0 -1 4194560 100 0 0 0 11 31 0 0 20 0 1 0 5 6 7";
        assert_eq!(stat(line), Some((3, 42)));
        assert_eq!(stat("nothing"), None);
    }

    #[test]
    fn a_process_is_measured_together_with_its_children() {
        let mut child = std::process::Command::new("sleep").arg("10").spawn().unwrap();
        let pids = tree(std::process::id()).unwrap();
        assert!(pids.contains(&child.id()));
        child.kill().unwrap();
        child.wait().unwrap();
        let own = [std::process::id()];
        assert!(cpu(&own).unwrap() >= 0.0);
        assert!(memory(&own, "RssAnon") > 0.0);
        assert!(Peak::of(own.to_vec()).end().unwrap() > 0.0);
    }
}
