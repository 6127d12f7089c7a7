//! `wharfinger check`: everything a start would find, without starting. Nothing is written but
//! temporary files in a store that is there, to find out what its file system can do.

use std::io::{self, Write};
use std::net::TcpListener;
use std::process::ExitCode;

use super::{print_problems, storage};
use crate::config::{Problem, Report, Warning};
use crate::files::cause;
use crate::storage::fs::root;

/// Prints decisions, warnings and problems; success means that `serve` would start.
pub(super) fn check(mut report: Report) -> ExitCode {
    let mut decisions = report.env.decisions();
    // Where a storage variable is wrong, the directory it meant is not known.
    if !report.problems.0.iter().any(|problem| problem.key.as_ref().is_some_and(|key| storage::is_named_by(key))) {
        match storage::inspect(&report.env) {
            Ok((lines, warned)) => {
                decisions.extend(lines);
                report.warnings.extend(warned);
            }
            Err(problem) => report.problems.push(problem),
        }
    }
    addresses(&mut report, &mut decisions);
    // A reader that closed the pipe (`check | head`) changes nothing about the verdict.
    let _ = print(&report, &decisions);
    if report.problems.is_empty() {
        return ExitCode::SUCCESS;
    }
    print_problems(&report.problems);
    ExitCode::FAILURE
}

/// Tries whether the addresses can be listened on. While a daemon serves the storage directory, it is taken to be the
/// one that listens on them: `check` is also run beside it, before a change.
fn addresses(report: &mut Report, decisions: &mut Vec<String>) {
    // A wrong value stands at its default, which nobody asked for.
    let of_address = ["REGISTRY_HOST", "REGISTRY_PORT", "REGISTRY_ADMIN_ADDR", "--host", "--port", "--admin-addr"];
    let is_of_address = |problem: &Problem| problem.key.as_ref().is_some_and(|key| of_address.contains(&key.as_str()));
    if report.problems.0.iter().any(is_of_address) {
        return;
    }
    let is_served = root::is_served(&report.env.storage_path);
    let main = ("REGISTRY_PORT", report.env.listen());
    let admin = report.env.admin_addr.map(|address| ("REGISTRY_ADMIN_ADDR", address));
    let mut is_in_use = false;
    for (key, address) in std::iter::once(main).chain(admin) {
        match TcpListener::bind(address) {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && is_served => {
                is_in_use = true;
                decisions.push(format!("{address} is in use, as a daemon serves the storage directory now"));
            }
            Err(error) => {
                let message = format!("cannot listen on {address}: {}", cause(&error));
                report.problems.push(Problem::of_key(key, message));
            }
        }
    }
    if is_served && !is_in_use {
        let message =
            "a daemon serves this storage directory now; another one waits for it to stop, and gives up after 10 s";
        report.warnings.push(Warning(Problem::of_key("REGISTRY_STORAGE_PATH", message)));
    }
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
