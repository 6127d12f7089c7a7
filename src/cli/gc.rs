//! `wharfinger gc`: collects garbage, also while a daemon runs.

use super::{
    block_on::block_on,
    complain,
    progress::ProgressLine,
    say, say_json, storage,
    words::{bytes, count},
};
use crate::{
    config::{ConfigReport, Problems},
    files::system::yield_to_others,
    registry::Registry,
    upkeep::{CollectionOptions, CollectionReport, Count, Kinds, RepositoryReport},
};
use std::{fmt::Write as _, process::ExitCode, time::Duration};

/// How long the program stays after a collection of a store on another machine.
const FAREWELL: Duration = Duration::from_secs(1);

/// Collects garbage as configured, and prints what was found and done; exits 0 if it completed.
pub(super) fn gc(configuration: ConfigReport, options: CollectionOptions, as_json: bool) -> Result<ExitCode, Problems> {
    let (env, live, _) = configuration.usable()?;
    if live.operator.read_only && !options.dry_run {
        complain(format_args!("cannot collect garbage: operator.read_only is on"));
        return Ok(ExitCode::FAILURE);
    }
    // With --now, somebody is waiting for free space.
    if !options.now {
        yield_to_others();
    }
    let opened = storage::open_beside(&env, !options.dry_run).map_err(|error| error.to_string());
    let collected = opened.and_then(|store| {
        let registry = Registry::new(store.storage, live.registry.clone());
        let progress = ProgressLine::new();
        let is_elsewhere = store.files.is_none();
        let collected = block_on(async {
            let collected = registry.collect(options, &progress).await;
            if is_elsewhere {
                // Others are told in the background that this collection is over.
                tokio::time::sleep(FAREWELL).await;
            }
            collected
        });
        collected.map_err(|e| e.to_string())?.map_err(|e| e.to_string())
    });
    Ok(match collected {
        Ok(Some(report)) => {
            match as_json {
                true => say_json(&report),
                false => say(format_args!("{}", report_text(&report))),
            }
            if report.refused.is_none() && report.errors.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Ok(None) => {
            complain(format_args!(
                "another collection of this storage directory is running; try again when it has ended"
            ));
            ExitCode::FAILURE
        }
        Err(reason) => {
            complain(format_args!("{reason}"));
            ExitCode::FAILURE
        }
    })
}

/// The report for people.
fn report_text(report: &CollectionReport) -> String {
    let mut text = String::new();
    let mut line = |args: std::fmt::Arguments<'_>| {
        // Writing to a String cannot fail.
        let _ = text.write_fmt(args);
        text.push('\n');
    };
    line(format_args!(
        "checked {} and {} in {:.1} s ({})",
        count(report.repositories, "repository", "repositories"),
        count(report.manifests, "manifest", "manifests"),
        report.seconds,
        count(report.passes.into(), "pass", "passes")
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
        line(format_args!("{word:<22}{}", kinds_line(kinds)));
    }
    line(format_args!("{left:<22}{}", column(report.left.number, "entry", "entries", report.left.bytes)));
    line(format_args!("{tags:<22}{:>9}", report.deleted_tags));
    if report.waiting_manifests > 0 {
        line(format_args!(
            "{} to delete by the plan {} for now: pushed, or lost a tag, less than collection.lease_hours ago",
            count(report.waiting_manifests, "manifest", "manifests"),
            if report.waiting_manifests == 1 { "stays" } else { "stay" }
        ));
    }
    let untagged = &report.untagged;
    if untagged.manifests > 0 {
        line(format_args!(
            "{} cannot be reached from a tag and {} {}, {}; to delete such manifests, set {}",
            count(untagged.manifests, "manifest", "manifests"),
            if untagged.manifests == 1 { "holds" } else { "hold" },
            count(untagged.blobs, "blob", "blobs"),
            bytes(untagged.bytes),
            untagged.setting
        ));
    }
    for repository in &report.by_repository {
        line(format_args!("  {}: {}", repository.name, repository_line(repository)));
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

/// The line about a repository.
fn repository_line(repository: &RepositoryReport) -> String {
    let mut parts = Vec::new();
    if repository.untagged_manifests > 0 {
        let of = count(repository.manifests, "manifest", "manifests");
        let (untagged, held) = (repository.untagged_manifests, bytes(repository.untagged_bytes));
        let hold = if untagged == 1 { "holds" } else { "hold" };
        parts.push(format!("{untagged} of {of} cannot be reached from a tag and {hold} {held}"));
    }
    let counts = [
        (repository.deleted_tags, "tag", "tags", "deleted"),
        (repository.condemned_manifests, "manifest", "manifests", "moved to the graveyard"),
        (repository.condemned_links, "blob link", "blob links", "moved to the graveyard"),
    ];
    let counts = counts.iter().filter(|(n, ..)| *n > 0);
    parts.extend(counts.map(|(n, one, many, done)| format!("{} {done}", count(*n, one, many))));
    parts.join("; ")
}

/// A column of the report.
fn column(number: u64, one: &str, many: &str, held: u64) -> String {
    format!("{number:>9} {:<7}{:>12}", if number == 1 { one } else { many }, bytes(held))
}

fn blobs(count: Count) -> String {
    column(count.number, "blob", "blobs", count.bytes)
}

fn kinds_line(kinds: &Kinds) -> String {
    let blobs = blobs(Count { number: kinds.blobs, bytes: kinds.bytes });
    let links = count(kinds.links, "link", "links");
    let manifests = count(kinds.revisions, "manifest", "manifests");
    format!("{blobs}, {links}, {manifests}, {}", count(kinds.uploads, "upload", "uploads"))
}
