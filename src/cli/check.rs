//! `wharfinger check`: everything a start would find, without starting. Nothing is written but
//! temporary files in a store that is there, to find out what its file system can do.

use std::io::Write;
use std::process::ExitCode;

use super::{print_problems, storage};
use crate::config::Report;

/// Prints decisions, warnings and problems; success means that `serve` would start.
pub(super) fn check(mut report: Report) -> ExitCode {
    let mut decisions = report.env.decisions();
    // Where a storage variable is wrong, the directory it meant is not known.
    let wrong = |key: &String| key.starts_with("REGISTRY_STORAGE") || key.starts_with("--storage");
    if !report.problems.0.iter().any(|problem| problem.key.as_ref().is_some_and(wrong)) {
        match storage::inspect(&report.env) {
            Ok((lines, told)) => {
                decisions.extend(lines);
                report.warnings.extend(told);
            }
            Err(problem) => report.problems.push(problem),
        }
    }
    // A reader that closed the pipe (`check | head`) changes nothing about the verdict.
    let _ = print(&report, &decisions);
    if report.problems.is_empty() {
        return ExitCode::SUCCESS;
    }
    print_problems(&report.problems);
    ExitCode::FAILURE
}

fn print(report: &Report, decisions: &[String]) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    // With problems nothing is decided: a wrong value would show as its default.
    let good = report.problems.is_empty();
    for line in decisions.iter().filter(|_| good) {
        writeln!(out, "{line}")?;
    }
    for warning in &report.warnings {
        writeln!(out, "warning: {warning}")?;
    }
    if good {
        writeln!(out, "no problems")?;
    }
    out.flush()
}
