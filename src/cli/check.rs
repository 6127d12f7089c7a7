//! `wharfinger check`: reports everything a start would find, without starting. Writes nothing but temporary files in
//! an existing store, to find out what its file system supports.

use std::io::{self, Write};
use std::net::TcpListener;
use std::process::ExitCode;

use super::{print_problems, storage, terminal};
use crate::config::{ConfigReport, Problem, StorageKind, Warning};
use crate::files::cause;
use crate::storage::fs::root;

/// Prints decisions, warnings and problems; success means that `serve` would start.
pub(super) fn check(mut report: ConfigReport) -> ExitCode {
    let mut decisions = report.env.decisions();
    // If a storage variable is invalid, the intended directory is unknown.
    if !report.problems.0.iter().any(|problem| problem.key.as_ref().is_some_and(|key| storage::is_named_by(key))) {
        match storage::inspect(&report.env, &report.live) {
            Ok((lines, warned)) => {
                decisions.extend(lines);
                report.warnings.extend(warned);
            }
            Err(problem) => report.problems.push(problem),
        }
    }
    addresses(&mut report, &mut decisions);
    // A reader that closed the pipe (`check | head`) does not change the exit code.
    let _ = print(&report, &decisions);
    if report.problems.is_empty() {
        return ExitCode::SUCCESS;
    }
    print_problems(&report.problems);
    ExitCode::FAILURE
}

/// Tests whether the addresses can be listened on. If a daemon serves the storage directory, it is assumed to be the
/// one that listens on them: `check` also runs beside it, before a change.
fn addresses(report: &mut ConfigReport, decisions: &mut Vec<String>) {
    // An invalid value has been replaced by its default, which nobody asked for.
    let of_address = ["REGISTRY_HOST", "REGISTRY_PORT", "REGISTRY_ADMIN_ADDR", "--host", "--port", "--admin-addr"];
    let is_of_address = |problem: &Problem| problem.key.as_ref().is_some_and(|key| of_address.contains(&key.as_str()));
    if report.problems.0.iter().any(is_of_address) {
        return;
    }
    let is_served = report.env.storage == StorageKind::Filesystem && root::is_served(&report.env.storage_path);
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

fn print(report: &ConfigReport, decisions: &[String]) -> std::io::Result<()> {
    let mut out = terminal::text();
    // If there are problems, print no decisions: an invalid value would appear as its default.
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
