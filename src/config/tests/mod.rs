//! Tables of configurations: what is fatal, what is a warning, what takes precedence.

mod certificates;
mod edits;
mod environment;
mod files;
mod start;
mod watch;

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::{Env, Live, Problems, Warning};

fn os(pairs: &[(&str, &str)]) -> Vec<(OsString, OsString)> {
    pairs.iter().map(|(name, value)| (name.into(), value.into())).collect()
}

fn write(dir: &Path, name: &str, text: &str) -> PathBuf {
    let path = dir.join(name);
    std::fs::write(&path, text).unwrap();
    path
}

fn env(pairs: &[(&str, &str)]) -> Result<(Env, Vec<Warning>), Problems> {
    Env::load(os(pairs), None, [])
}

/// The problems and the warnings, as lines.
fn reported(pairs: &[(&str, &str)]) -> (String, String) {
    let reading = crate::config::gather::read(os(pairs), None, []).check_distribution(&Live::default());
    let warnings: Vec<_> = reading.warnings.iter().map(ToString::to_string).collect();
    (reading.problems.to_string(), warnings.join("\n"))
}
