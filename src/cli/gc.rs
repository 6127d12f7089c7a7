//! `wharfinger gc`: collects garbage, also beside a running daemon.

use super::{background, progress::Progress, storage};
use crate::{
    config::{Problems, Report as Configuration},
    registry::{CollectionOptions, CollectionReport, Kinds, Registry, RepositoryReport},
};
use std::{fmt::Write as _, io::Write, process::ExitCode, sync::Arc};

/// Collects as the settings say, and prints what was found and done; 0 if it went to its end.
pub(super) fn gc(configuration: Configuration, options: CollectionOptions, json: bool) -> Result<ExitCode, Problems> {
    let (env, live, _) = configuration.usable()?;
    if live.operator.read_only && !options.dry_run {
        eprintln("cannot collect garbage: operator.read_only is on");
        return Ok(ExitCode::FAILURE);
    }
    // Somebody waits for the room.
    if !options.now {
        background::yield_to_others();
    }
    let collected = storage::beside(&env, !options.dry_run).and_then(|store| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().map_err(|e| e.to_string())?;
        let registry = Registry::new(Arc::new(store), live.registry.clone());
        let progress = Progress::new();
        runtime.block_on(registry.collect(options, &progress)).map_err(|e| e.to_string())
    });
    Ok(match collected {
        Ok(Some(report)) => {
            let text = if json { serde_json::to_string_pretty(&report).unwrap_or_default() } else { told(&report) };
            // Nobody is left to tell when the reader is gone.
            let _ = writeln!(std::io::stdout().lock(), "{text}");
            if report.refused.is_none() && report.errors.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Ok(None) => {
            eprintln("another collection of this storage directory is running");
            ExitCode::FAILURE
        }
        Err(reason) => {
            eprintln(&reason);
            ExitCode::FAILURE
        }
    })
}

fn eprintln(line: &str) {
    let _ = writeln!(std::io::stderr().lock(), "wharfinger: {line}");
}

/// The report for people.
fn told(report: &CollectionReport) -> String {
    let mut text = String::new();
    let (s, would) = (if report.passes == 1 { "" } else { "es" }, if report.dry_run { " (dry run)" } else { "" });
    let mut line = |args: std::fmt::Arguments<'_>| {
        // Writing to a String cannot fail.
        let _ = text.write_fmt(args);
        text.push('\n');
    };
    line(format_args!(
        "{} repositories, {} manifests; {} pass{s} in {:.1} s{would}",
        report.repositories, report.manifests, report.passes, report.seconds
    ));
    if report.resumed {
        line(format_args!("resumed an interrupted collection"));
    }
    line(format_args!("referenced {:>9} blobs  {:>12}", report.referenced.number, size(report.referenced.bytes)));
    line(format_args!("orphaned   {:>9} blobs  {:>12}", report.orphaned.number, size(report.orphaned.bytes)));
    for (word, kinds) in [("condemned", &report.condemned), ("restored", &report.restored), ("purged", &report.purged)]
    {
        line(format_args!("{word:<10} {}", kinds_told(kinds)));
    }
    line(format_args!("graveyard  {:>9} entries{:>12}", report.graveyard.number, size(report.graveyard.bytes)));
    let untagged = &report.untagged;
    if untagged.manifests > 0 {
        line(format_args!(
            "{} untagged manifests hold {} blobs ({}); {} deletes such manifests",
            untagged.manifests,
            untagged.blobs,
            size(untagged.bytes),
            untagged.setting
        ));
    }
    for repository in &report.by_repository {
        line(format_args!("  {}: {}", repository.name, repository_told(repository)));
    }
    for error in &report.errors {
        line(format_args!("error: {error}"));
    }
    if let Some(refused) = &report.refused {
        line(format_args!("nothing was removed: {refused}"));
    }
    text.truncate(text.trim_end().len());
    text
}

/// What there is to say of a repository.
fn repository_told(repository: &RepositoryReport) -> String {
    let mut parts = Vec::new();
    if repository.untagged_manifests > 0 {
        let (of, held) = (repository.manifests, size(repository.untagged_bytes));
        parts.push(format!("{} of {of} manifests are untagged and hold {held}", repository.untagged_manifests));
    }
    let counts = [
        (repository.deleted_tags, "tags deleted by retention rules"),
        (repository.condemned_manifests, "manifests condemned"),
        (repository.condemned_links, "links condemned"),
    ];
    parts.extend(counts.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}")));
    parts.join("; ")
}

fn kinds_told(kinds: &Kinds) -> String {
    format!(
        "{:>9} blobs  {:>12}, {} links, {} manifests, {} uploads",
        kinds.blobs,
        size(kinds.bytes),
        kinds.links,
        kinds.revisions,
        kinds.uploads
    )
}

/// Bytes in the largest binary unit that leaves a number of at least one.
fn size(bytes: u64) -> String {
    let units = [(40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")];
    match units.iter().find(|(shift, _)| bytes >> shift > 0) {
        Some((shift, unit)) => format!("{:.1} {unit}", bytes as f64 / (1u64 << shift) as f64),
        None => format!("{bytes} B"),
    }
}
