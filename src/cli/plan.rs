//! `wharfinger plan [PATTERN]`: what the retention rules would do with each tag and each untagged manifest. Reads the
//! store, also while a server runs, and writes nothing.

use super::{block_on::block_on, complain, print_problems, storage, terminal};
use crate::{
    config::{ConfigReport, Problem, Problems},
    registry::{Everything, Registry, Shows, Visible},
    upkeep::{RetentionPlan, RetentionVerdict},
};
use oci::{Pattern, RepositoryName};
use serde_json::{Value, json};
use std::{
    io::{self, Write},
    process::ExitCode,
    time::SystemTime,
};

/// Repositories per page.
const PAGE: usize = 1000;

/// Prints the plan of every repository that matches: a table, or a JSON object per line.
pub(super) fn plan(report: ConfigReport, pattern: Option<&Pattern>, as_json: bool) -> ExitCode {
    let opened = report.usable().and_then(|(env, live, _)| {
        let problem = |text: String| Problems(vec![Problem::of_key(storage::variable_of(&env), text)]);
        Ok((storage::open(&env).map_err(|e| problem(e.to_string()))?, live))
    });
    let (store, live) = match opened {
        Ok(opened) => opened,
        Err(problems) => {
            print_problems(&problems);
            return ExitCode::from(super::EX_CONFIG);
        }
    };
    let registry = Registry::new(store.storage, live.registry.clone());
    let done = block_on(print(&registry, pattern, as_json)).unwrap_or_else(|error| Err(Stopped::Output(error)));
    match done {
        Ok(()) => ExitCode::SUCCESS,
        // If the reader is gone there is nobody to inform.
        Err(Stopped::Output(e)) if e.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(Stopped::Output(error)) => failed(&error.to_string()),
        Err(Stopped::Store(error)) => failed(&error.to_string()),
    }
}

/// Why the output ends early.
enum Stopped {
    Output(io::Error),
    Store(crate::registry::RegistryError),
}

impl From<io::Error> for Stopped {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

impl From<crate::registry::RegistryError> for Stopped {
    fn from(error: crate::registry::RegistryError) -> Self {
        Self::Store(error)
    }
}

fn failed(why: &str) -> ExitCode {
    complain(format_args!("{why}"));
    ExitCode::FAILURE
}

async fn print(registry: &Registry, pattern: Option<&Pattern>, as_json: bool) -> Result<(), Stopped> {
    let mut out = io::BufWriter::new(if as_json { terminal::json() } else { terminal::text() });
    let removed = registry.removed_manifests().await?;
    let (now, mut sums, mut last) = (SystemTime::now(), Sums::default(), None::<String>);
    loop {
        let visible: &dyn Visible = match pattern {
            Some(pattern) => pattern,
            None => &Everything,
        };
        let page = registry.catalog(last.as_deref(), Some(PAGE), visible).await?;
        for name in &page.entries {
            let plan = registry.repository(name).retention_plan(now, &removed).await?;
            match as_json {
                true => print_lines(&mut out, name, &plan)?,
                false => print_table(&mut out, name, &plan)?,
            }
            sums.add(&plan);
            out.flush()?;
        }
        last = page.entries.last().map(ToString::to_string);
        if !page.more {
            break;
        }
    }
    if !as_json {
        writeln!(out, "{sums}")?;
    }
    Ok(out.flush()?)
}

/// What a person asked to see.
impl Visible for Pattern {
    fn shows(&self, repository: &RepositoryName) -> Shows {
        self.matches(repository, None).into()
    }

    fn reaches(&self, prefix: &RepositoryName) -> bool {
        Self::reaches(self, prefix, None)
    }
}

fn word(verdict: &RetentionVerdict) -> &'static str {
    if verdict.keep { "keep" } else { "delete" }
}

/// A time to the second, which is the precision of the files.
fn timestamp(time: SystemTime) -> Option<String> {
    let time = jiff::Timestamp::try_from(time).ok()?;
    Some(jiff::Timestamp::from_second(time.as_second()).ok()?.to_string())
}

fn day(time: SystemTime) -> String {
    timestamp(time).map_or_else(|| "?".to_owned(), |time| time.chars().take(10).collect())
}

fn print_table(out: &mut impl Write, name: &RepositoryName, plan: &RetentionPlan) -> io::Result<()> {
    writeln!(out, "{name}")?;
    let tags = plan.tags.iter().map(|t| (t.tag.to_string(), t.pushed, t.pulled, &t.verdict));
    let untagged = plan.untagged.iter().map(|m| (m.digest.to_string(), m.since, m.pulled, &m.verdict));
    let rows: Vec<_> = tags.chain(untagged).collect();
    let width = rows.iter().map(|(what, ..)| what.len()).max().unwrap_or_default();
    for (what, pushed, pulled, verdict) in rows {
        let pulled = pulled.map_or_else(|| "unknown".to_owned(), day);
        writeln!(
            out,
            "  {:<6}  {what:<width$}  pushed {}  pulled {pulled:<10}  {verdict}",
            word(verdict),
            day(pushed)
        )?;
    }
    writeln!(out)
}

fn print_lines(out: &mut impl Write, name: &RepositoryName, plan: &RetentionPlan) -> io::Result<()> {
    let line = |tag: Value, digest: &str, pushed, pulled: Option<SystemTime>, verdict: &RetentionVerdict| {
        json!({
            "repository": name.as_str(), "tag": tag, "digest": digest, "pushed": timestamp(pushed),
            "pulled": pulled.and_then(timestamp), "verdict": word(verdict), "rule": verdict.rule,
            "why": verdict.to_string(),
        })
    };
    for planned in &plan.tags {
        let tag = planned.tag.as_str().into();
        writeln!(out, "{}", line(tag, planned.digest.as_str(), planned.pushed, planned.pulled, &planned.verdict))?;
    }
    for planned in &plan.untagged {
        let digest = planned.digest.as_str();
        writeln!(out, "{}", line(Value::Null, digest, planned.since, planned.pulled, &planned.verdict))?;
    }
    Ok(())
}

/// The totals of all plans.
#[derive(Default)]
struct Sums {
    repositories: usize,
    tags: usize,
    tags_go: usize,
    untagged: usize,
    untagged_go: usize,
}

impl Sums {
    fn add(&mut self, plan: &RetentionPlan) {
        self.repositories += 1;
        self.tags += plan.tags.len();
        self.tags_go += plan.deleted_tags().count();
        self.untagged += plan.untagged.len();
        self.untagged_go += plan.deleted_manifests().count();
    }
}

impl std::fmt::Display for Sums {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { repositories, tags, tags_go, untagged, untagged_go } = self;
        write!(
            f,
            "repositories: {repositories}; tags: {} to keep, {tags_go} to delete; \
             manifests without a tag: {} to keep, {untagged_go} to delete",
            tags - tags_go,
            untagged - untagged_go
        )
    }
}
