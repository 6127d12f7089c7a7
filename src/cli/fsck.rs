//! `wharfinger fsck`: checks the store, and repairs it if asked to.

use super::{
    block_on::block_on,
    say, terminal,
    words::{bytes, count},
};
use crate::{
    config::{ConfigReport, Problem, Problems, size},
    files::system::yield_to_others,
    upkeep::fsck::{CheckedStore, Finding, FsckOptions, PoolPart, Severity, Summary, Watch},
};
use clap::Args;
use serde_json::{Value, json};
use std::{
    io::Write,
    process::ExitCode,
    time::{Duration, Instant},
};

/// The options of a check.
#[derive(Clone, Debug, PartialEq, Eq, Args)]
#[command(after_help = AFTER)]
pub struct Fsck {
    /// Read every blob and compare it with its digest (manifests always are)
    #[arg(long, conflicts_with = "read_data_subset")]
    read_data: bool,
    /// Read only the K-th of N parts of the blobs; N such checks read all of them
    #[arg(long, value_name = "K/N")]
    read_data_subset: Option<PoolPart>,
    /// Read at most this many bytes of blobs per second, such as "100 MiB", and at low CPU priority
    #[arg(long, value_name = "SIZE", value_parser = size)]
    rate: Option<u64>,
    /// Move damaged files to quarantine/ and rewrite what can be derived; deletes nothing
    #[arg(long)]
    repair: bool,
    /// Print JSON: one object per line for each finding, and a summary at the end
    #[arg(long)]
    json: bool,
}

const AFTER: &str = "\
Examples:
  wharfinger fsck                          check the structure and every manifest
  wharfinger fsck --read-data              read every blob too
  wharfinger fsck --read-data-subset 1/7   read a seventh of all blobs
  wharfinger fsck --repair                 repair what can be repaired

Exit codes: 0 clean, 1 warnings, 2 damage (also if it was repaired), 78 no store to check.";

/// Checks the store, whether or not a daemon serves it. Exits 0 if clean, 1 for warnings, 2 for damage.
pub(super) fn fsck(report: &ConfigReport, asked: &Fsck) -> Result<ExitCode, Problems> {
    // Only the location of the store matters; the rest of the configuration may be invalid.
    let is_of_storage = |problem: &&Problem| problem.key.as_ref().is_some_and(|key| super::storage::is_named_by(key));
    let problems: Vec<_> = report.problems.0.iter().filter(is_of_storage).cloned().collect();
    if !problems.is_empty() {
        return Err(Problems(problems));
    }
    // A rate limit means that the check is not urgent.
    if asked.rate.is_some() {
        yield_to_others();
    }
    let problem = |message: String| Problems(vec![Problem::of_key(super::storage::variable_of(&report.env), message)]);
    let store = super::storage::open(&report.env).map_err(|error| problem(error.to_string()))?;
    let Some(checked) = CheckedStore::of(&store) else { return Err(problem("cannot be checked".to_owned())) };
    let read = if asked.read_data { Some(PoolPart::WHOLE) } else { asked.read_data_subset };
    let options = FsckOptions { read, bytes_per_second: asked.rate, repair: asked.repair, ..FsckOptions::default() };
    let output = Output { json: asked.json, shows: terminal::is_watched(), last: None };
    let done = block_on(checked.check(options, output)).and_then(|done| done);
    let (summary, mut output) = done.map_err(|error| problem(error.to_string()))?;
    output.end(&summary);
    Ok(match summary.worst() {
        None | Some(Severity::Note) => ExitCode::SUCCESS,
        Some(Severity::Warning) => ExitCode::from(1),
        Some(Severity::Damage) => ExitCode::from(2),
    })
}

/// Findings go to stdout, progress to a terminal on stderr.
struct Output {
    json: bool,
    shows: bool,
    last: Option<Instant>,
}

/// Least time between two updates of the progress line.
const STEP: Duration = Duration::from_millis(200);

impl Output {
    fn clear(&mut self) {
        if self.last.take().is_some() {
            terminal::clear();
        }
    }

    // If the reader is gone there is nobody to inform; the exit code still reports the result.
    fn json(&self, object: &Value) {
        let _ = writeln!(terminal::json(), "{object}");
    }

    fn end(&mut self, summary: &Summary) {
        self.clear();
        if self.json {
            return self.json(&json!({ "type": "summary", "summary": summary }));
        }
        say(format_args!(
            "{} ({} read in full, {}) in {:.1} s",
            counts(summary),
            summary.blobs_read,
            bytes(summary.bytes_read),
            summary.seconds
        ));
        if let Some(quarantine) = &summary.quarantine {
            say(format_args!("{} repaired; damaged files were moved to {quarantine}", summary.repaired));
        } else if summary.repaired > 0 {
            say(format_args!("{} repaired", summary.repaired));
        }
        let notes = count(summary.notes, "note", "notes");
        match summary.worst() {
            None => say(format_args!("no problems found ({notes})")),
            Some(_) => say(format_args!("{}, {notes}", damage_text(summary))),
        }
    }
}

impl Watch for Output {
    fn at(&mut self, so_far: &Summary) {
        if !self.shows || self.last.is_some_and(|last| last.elapsed() < STEP) {
            return;
        }
        self.last = Some(Instant::now());
        terminal::show(format_args!("{}, {} read; {}", counts(so_far), bytes(so_far.bytes_read), damage_text(so_far)));
    }

    fn found(&mut self, finding: &Finding) {
        self.clear();
        if self.json {
            return self.json(&json!({ "type": "finding", "finding": finding }));
        }
        let word = match finding.severity {
            Severity::Note => "note",
            Severity::Warning => "warning",
            Severity::Damage => "DAMAGE",
        };
        let Finding { path, what, advice, repaired, .. } = finding;
        // A name on the disk may contain anything, including terminal escape sequences.
        let path = path.escape_debug();
        match repaired {
            Some(done) => say(format_args!("{word}: {path}: {what}; repaired: {done}")),
            None if finding.severity == Severity::Note => say(format_args!("{word}: {path}: {what}")),
            None => say(format_args!("{word}: {path}: {what}; {advice}")),
        }
    }
}

fn counts(summary: &Summary) -> String {
    let counts = [
        count(summary.repositories, "repository", "repositories"),
        count(summary.manifests, "manifest", "manifests"),
        count(summary.tags, "tag", "tags"),
        count(summary.blobs, "blob", "blobs"),
    ];
    counts.join(", ")
}

fn damage_text(summary: &Summary) -> String {
    format!("{} damaged, {}", summary.damage, count(summary.warnings, "warning", "warnings"))
}
