//! `wharfinger fsck`: checks the storage directory, and repairs it if asked to.

use crate::{
    config::{Problem, Problems, Report, size},
    registry::fsck::{self, Finding, Options, Part, Severity, Summary, Watch},
    storage::fs::Fs,
};
use clap::Args;
use serde_json::json;
use std::{
    io::{self, IsTerminal, Write},
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
    read_data_subset: Option<Part>,
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

Exit codes: 0 clean, 1 warnings, 2 damage (also if it was repaired), 78 no storage directory to check.";

/// Checks the store, whether or not a daemon serves it. 0 clean, 1 warnings, 2 damage.
pub(super) fn fsck(report: &Report, asked: &Fsck) -> Result<ExitCode, Problems> {
    // Only where the store is matters; the rest of the configuration may be wrong.
    let is_of_storage = |problem: &&Problem| problem.key.as_ref().is_some_and(|key| super::storage::is_named_by(key));
    let problems: Vec<_> = report.problems.0.iter().filter(is_of_storage).cloned().collect();
    if !problems.is_empty() {
        return Err(Problems(problems));
    }
    // Who wants it slow does not wait for it.
    if asked.rate.is_some() {
        super::background::yield_to_others();
    }
    let store = Fs::open_beside(&report.env.storage_path)
        .map_err(|error| Problems(vec![Problem::of_key("REGISTRY_STORAGE_PATH", error.to_string())]))?;
    let read = if asked.read_data { Some(Part::WHOLE) } else { asked.read_data_subset };
    let options = Options { read, bytes_per_second: asked.rate, repair: asked.repair, ..Options::default() };
    let mut told = Told { json: asked.json, shows: io::stderr().is_terminal(), last: None };
    let summary = fsck::check(&store.survey(), &options, &mut told);
    told.end(&summary);
    Ok(match summary.worst() {
        None | Some(Severity::Note) => ExitCode::SUCCESS,
        Some(Severity::Warning) => ExitCode::from(1),
        Some(Severity::Damage) => ExitCode::from(2),
    })
}

/// Findings go to stdout, progress to a terminal on stderr.
struct Told {
    json: bool,
    shows: bool,
    last: Option<Instant>,
}

/// Time between two lines of progress.
const STEP: Duration = Duration::from_millis(200);

impl Told {
    fn clear(&mut self) {
        if self.last.take().is_some() {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }

    // Nobody is left to tell when the reader is gone; the exit code still says how it went.
    fn line(&self, text: std::fmt::Arguments<'_>) {
        let _ = writeln!(io::stdout().lock(), "{text}");
    }

    fn end(&mut self, summary: &Summary) {
        self.clear();
        if self.json {
            return self.line(format_args!("{}", json!({ "type": "summary", "summary": summary })));
        }
        let Summary { repositories, manifests, tags, blobs, blobs_read, damage, warnings, notes, .. } = summary;
        self.line(format_args!(
            "{repositories} repositories, {manifests} manifests, {tags} tags, {blobs} blobs ({blobs_read} read in full, \
             {}) in {:.1} s",
            bytes(summary.bytes_read),
            summary.seconds
        ));
        if let Some(quarantine) = &summary.quarantine {
            self.line(format_args!("{} repaired; damaged files were moved to {quarantine}", summary.repaired));
        } else if summary.repaired > 0 {
            self.line(format_args!("{} repaired", summary.repaired));
        }
        match summary.worst() {
            None => self.line(format_args!("no problems found ({notes} notes)")),
            Some(_) => self.line(format_args!("{damage} damaged, {warnings} warnings, {notes} notes")),
        }
    }
}

impl Watch for Told {
    fn at(&mut self, so_far: &Summary) {
        if !self.shows || self.last.is_some_and(|last| last.elapsed() < STEP) {
            return;
        }
        self.last = Some(Instant::now());
        let Summary { repositories, manifests, tags, blobs, damage, warnings, .. } = so_far;
        let _ = write!(
            io::stderr(),
            "\r\x1b[K{repositories} repositories, {manifests} manifests, {tags} tags, {blobs} blobs, {} read; \
             {damage} damaged, {warnings} warnings",
            bytes(so_far.bytes_read)
        );
    }

    fn found(&mut self, finding: &Finding) {
        self.clear();
        if self.json {
            return self.line(format_args!("{}", json!({ "type": "finding", "finding": finding })));
        }
        let word = match finding.severity {
            Severity::Note => "note",
            Severity::Warning => "warning",
            Severity::Damage => "DAMAGE",
        };
        let Finding { path, what, advice, repaired, .. } = finding;
        // A name on the disk may hold anything, also what a terminal would obey.
        let path = path.escape_debug();
        match repaired {
            Some(done) => self.line(format_args!("{word}: {path}: {what}; repaired: {done}")),
            None if finding.severity == Severity::Note => self.line(format_args!("{word}: {path}: {what}")),
            None => self.line(format_args!("{word}: {path}: {what}; {advice}")),
        }
    }
}

/// A number of bytes for people.
fn bytes(number: u64) -> String {
    let units = [(40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")];
    match units.iter().find(|(shift, _)| number >> shift > 0) {
        Some((shift, unit)) => format!("{:.1} {unit}", number as f64 / (1u64 << shift) as f64),
        None => format!("{number} B"),
    }
}
