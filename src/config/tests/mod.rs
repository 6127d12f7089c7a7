//! The rules of the configuration as tables: what is fatal, what is warned about, what wins.

mod environment;
mod files;
mod watch;

use std::ffi::OsString;
use std::path::{Path, PathBuf};

fn os(pairs: &[(&str, &str)]) -> Vec<(OsString, OsString)> {
    pairs.iter().map(|(name, value)| (name.into(), value.into())).collect()
}

fn write(dir: &Path, name: &str, text: &str) -> PathBuf {
    let path = dir.join(name);
    std::fs::write(&path, text).unwrap();
    path
}
