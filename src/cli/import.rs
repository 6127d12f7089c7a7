//! `wharfinger import DIR`: brings the data of another registry into the storage directory, also while the daemon runs.

use super::{
    EX_CONFIG,
    block_on::block_on,
    complain,
    progress::ProgressLine,
    recorded::record,
    say, say_json, storage,
    words::{bytes, count},
};
use crate::{
    config::{ConfigReport, Problem, Problems},
    files::IntakeMode,
    registry::Registry,
    storage::{Mem, Storage},
    upkeep::{ImportOptions, ImportReport, ImportSource, ImportTally, import},
};
use clap::{Args, ValueHint};
use oci::RepositoryName;
use std::{fmt::Write as _, path::PathBuf, process::ExitCode, sync::Arc};

/// The options of an import.
#[derive(Clone, Debug, PartialEq, Eq, Args)]
#[command(after_help = AFTER)]
pub struct Import {
    /// The directory of the other registry, such as /var/lib/registry; it is only read
    #[arg(value_hint = ValueHint::DirPath)]
    dir: PathBuf,
    /// Only show what would be imported, and what cannot be read; does not read layers
    #[arg(long)]
    dry_run: bool,
    /// Give files a second name instead of copying them, where possible; the other registry must never run again
    #[arg(long)]
    hardlink: bool,
    /// The name for a directory that is one image in OCI image layout
    #[arg(long, value_name = "NAME")]
    repository: Option<RepositoryName>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

const AFTER: &str = "\
Reads directories of Distribution (registry:2, registry:3), of zot, of the Deno registry, and in OCI image layout. \
Every file is verified against its digest. What is here already is skipped, so an import can be interrupted and \
repeated.

Examples:
  wharfinger import /var/lib/registry --dry-run    show what would be imported
  wharfinger import /var/lib/registry              import all of it
  wharfinger import ./layout --repository tools/x  import one image in OCI image layout

Exit codes: 0 everything was imported; 1 something could not be read or was refused; 2 invalid command line; 78 the \
configuration, the storage directory or the other directory cannot be used.";

/// Problems printed for people; the JSON has more.
const MOST_PRINTED: usize = 100;

/// Imports a directory.
pub(super) fn run(report: ConfigReport, asked: &Import) -> Result<ExitCode, Problems> {
    let (env, live, _) = report.usable()?;
    let refused = |text: String| {
        complain(format_args!("{text}"));
        Ok(ExitCode::from(EX_CONFIG))
    };
    let source = match ImportSource::open(&asked.dir, asked.repository.clone()) {
        Ok(source) => source,
        Err(refusal) => return refused(refusal.to_string()),
    };
    if live.operator.read_only && !asked.dry_run {
        return refused("cannot import: operator.read_only is on".to_owned());
    }
    let in_store = |text: String| Problems(vec![Problem::of_key(storage::variable_of(&env), text)]);
    let (store, written): (Arc<dyn Storage>, _) = if asked.dry_run {
        // Without a store nothing is here yet.
        match storage::open(&env) {
            Ok(store) => (store.storage, None),
            Err(_) => (Arc::new(Mem::default()), None),
        }
    } else {
        let store = storage::open_or_make(&env).map_err(|error| in_store(error.to_string()))?;
        (store.storage.clone(), Some(store))
    };
    let mode = if asked.hardlink { IntakeMode::HardLink } else { IntakeMode::Copy };
    let options = ImportOptions { mode, dry_run: asked.dry_run };
    let line = ProgressLine::new();
    let progress = |what: &'static str, done: u64| line.show(what, done);
    let done = block_on(async {
        let registry = Registry::new(store, live.registry.clone());
        let report = import(&registry, Arc::new(source), options, &progress).await.map_err(|e| e.to_string())?;
        registry.close().await;
        if let Some(store) = written {
            record(&store, &env, "import", asked.dir.display().to_string(), Vec::new()).await;
        }
        Ok::<_, String>(report)
    })
    .unwrap_or_else(|error| Err(error.to_string()));
    drop(line);
    let report = match done {
        Ok(report) => report,
        Err(error) => {
            complain(format_args!("the import ended early; repeat it to continue: {error}"));
            return Ok(ExitCode::FAILURE);
        }
    };
    match asked.json {
        true => say_json(&report),
        false => say(format_args!("{}", report_text(&report))),
    }
    Ok(if report.is_complete() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The report for people.
fn report_text(report: &ImportReport) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    let mut line = |args: std::fmt::Arguments<'_>| {
        let _ = writeln!(text, "{args}");
    };
    let repositories = count(report.repositories, "repository", "repositories");
    line(format_args!("{repositories} of {} in {:.1} s", report.layout.name(), report.seconds));
    if report.dry_run {
        line(format_args!("dry run: nothing was written, and layers were not read"));
    }
    let imported = if report.dry_run { "to import" } else { "imported" };
    line(format_args!("{:<10}{imported:>12}{:>14}{:>12}", "", "already here", "failed"));
    for (what, tally) in [("blobs", report.blobs), ("manifests", report.manifests), ("tags", report.tags)] {
        line(format_args!("{}", tally_line(what, tally)));
    }
    let ways = report.ways;
    let counted = [(ways.reflink, "sharing blocks"), (ways.copy, "copied"), (ways.hard_link, "hard-linked")];
    let counted: Vec<_> = counted.iter().filter(|(n, _)| *n > 0).map(|(n, way)| format!("{n} {way}")).collect();
    if !counted.is_empty() {
        line(format_args!("blobs {}", counted.join(", ")));
    }
    for tag in report.kept_tags.iter().take(MOST_PRINTED) {
        line(format_args!("kept: {tag} was set here later than in the other registry"));
    }
    for problem in report.problems.iter().take(MOST_PRINTED) {
        line(format_args!("problem: {}: {}", problem.path, problem.problem));
    }
    let more = report.problems.len().saturating_sub(MOST_PRINTED) as u64 + report.more_problems;
    if more > 0 {
        line(format_args!("and {}; --json lists them", count(more, "more problem", "more problems")));
    }
    text.truncate(text.trim_end().len());
    text
}

fn tally_line(what: &str, tally: ImportTally) -> String {
    let size = if tally.bytes > 0 { format!("   {}", bytes(tally.bytes)) } else { String::new() };
    format!("{what:<10}{:>12}{:>14}{:>12}{size}", tally.imported, tally.present, tally.failed)
}
