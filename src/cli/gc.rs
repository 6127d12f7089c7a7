//! `wharfinger gc`: collects garbage, also beside a running daemon.

use super::{background, progress::Progress, storage};
use crate::{
    config::{Problems, Report as Configuration},
    registry::{CollectionOptions, CollectionReport, Count, Kinds, Registry, RepositoryReport},
};
use std::{fmt::Write as _, io::Write, process::ExitCode, sync::Arc};

/// Collects as the settings say, and prints what was found and done; exits 0 if it completed.
pub(super) fn gc(configuration: Configuration, options: CollectionOptions, json: bool) -> Result<ExitCode, Problems> {
    let (env, live, _) = configuration.usable()?;
    if live.operator.read_only && !options.dry_run {
        eprintln("cannot collect garbage: operator.read_only is on");
        return Ok(ExitCode::FAILURE);
    }
    // With --now somebody is waiting for free space.
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
            eprintln("another collection of this storage directory is running; try again when it has ended");
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
    let mut line = |args: std::fmt::Arguments<'_>| {
        // Writing to a String cannot fail.
        let _ = text.write_fmt(args);
        text.push('\n');
    };
    line(format_args!(
        "checked {} and {} in {:.1} s ({})",
        number(report.repositories, "repository", "repositories"),
        number(report.manifests, "manifest", "manifests"),
        report.seconds,
        number(report.passes.into(), "pass", "passes")
    ));
    if report.dry_run {
        line(format_args!("dry run: nothing was changed"));
    }
    if report.resumed {
        line(format_args!("continued a collection that was interrupted"));
    }
    let [moved, restored, deleted, left, tags] = match report.dry_run {
        true => ["to move to graveyard", "to restore", "to delete", "would be in graveyard", "tags to delete"],
        false => ["moved to graveyard", "restored", "deleted", "left in graveyard", "tags deleted"],
    };
    line(format_args!("{:<22}{}", "in use", blobs(report.referenced)));
    line(format_args!("{:<22}{}", "unused, kept for now", blobs(report.unused)));
    for (word, kinds) in [(moved, &report.condemned), (restored, &report.restored), (deleted, &report.purged)] {
        line(format_args!("{word:<22}{}", kinds_told(kinds)));
    }
    line(format_args!("{left:<22}{:>9} entries{:>12}", report.left.number, size(report.left.bytes)));
    line(format_args!("{tags:<22}{:>9}", report.deleted_tags));
    if report.waiting_manifests > 0 {
        line(format_args!(
            "{} to delete by the plan stay for now: pushed, or lost a tag, less than collection.lease_hours ago",
            number(report.waiting_manifests, "manifest", "manifests")
        ));
    }
    let untagged = &report.untagged;
    if untagged.manifests > 0 {
        line(format_args!(
            "{} cannot be reached from a tag and hold {}, {}; to delete such manifests, set {}",
            number(untagged.manifests, "manifest", "manifests"),
            number(untagged.blobs, "blob", "blobs"),
            size(untagged.bytes),
            untagged.setting
        ));
    }
    for repository in &report.by_repository {
        line(format_args!("  {}: {}", repository.name, repository_told(repository)));
    }
    for error in &report.errors {
        line(format_args!("error: {error}; the next collection tries again"));
    }
    if let Some(refused) = &report.refused {
        line(format_args!("nothing was moved to the graveyard: {refused}"));
    }
    text.truncate(text.trim_end().len());
    text
}

/// What there is to say of a repository.
fn repository_told(repository: &RepositoryReport) -> String {
    let mut parts = Vec::new();
    if repository.untagged_manifests > 0 {
        let (of, held) = (repository.manifests, size(repository.untagged_bytes));
        let untagged = repository.untagged_manifests;
        parts.push(format!("{untagged} of {of} manifests cannot be reached from a tag and hold {held}"));
    }
    let counts = [
        (repository.deleted_tags, "tag", "tags", "deleted"),
        (repository.condemned_manifests, "manifest", "manifests", "moved to the graveyard"),
        (repository.condemned_links, "blob link", "blob links", "moved to the graveyard"),
    ];
    let counts = counts.iter().filter(|(n, ..)| *n > 0);
    parts.extend(counts.map(|(n, one, many, done)| format!("{} {done}", number(*n, one, many))));
    parts.join("; ")
}

fn number(n: u64, one: &str, many: &str) -> String {
    format!("{n} {}", if n == 1 { one } else { many })
}

fn blobs(count: Count) -> String {
    format!("{:>9} blobs  {:>12}", count.number, size(count.bytes))
}

fn kinds_told(kinds: &Kinds) -> String {
    let blobs = blobs(Count { number: kinds.blobs, bytes: kinds.bytes });
    format!("{blobs}, {} links, {} manifests, {} uploads", kinds.links, kinds.revisions, kinds.uploads)
}

/// Bytes in the largest binary unit that leaves a number of at least one.
fn size(bytes: u64) -> String {
    let units = [(40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")];
    match units.iter().find(|(shift, _)| bytes >> shift > 0) {
        Some((shift, unit)) => format!("{:.1} {unit}", bytes as f64 / (1u64 << shift) as f64),
        None => format!("{bytes} B"),
    }
}
