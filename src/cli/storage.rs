//! What a start would do with the storage directory: use it, create it, or refuse it.

use crate::{
    config::{Env, Problem, Warning},
    daemon::init,
    files::{
        Real,
        probe::{self, ProbeResult},
    },
    storage::fs::{Fs, OpenError, root},
};
use std::{io, os::unix::fs::MetadataExt};

/// Whether a problem with this key leaves the location of the store unknown.
pub(super) fn is_named_by(key: &str) -> bool {
    key.starts_with("REGISTRY_STORAGE") || key.starts_with("--storage")
}

/// What a start would do and what the file system supports, a line each, with warnings; an error if a start would
/// refuse. Writes at most temporary files, and only into an existing store.
pub(super) fn inspect(env: &Env) -> Result<(Vec<String>, Vec<Warning>), Problem> {
    let of_path = |message: String| Problem::of_key("REGISTRY_STORAGE_PATH", message);
    let is_store = root::inspect(&env.storage_path, init(env)).map_err(|error| of_path(error.to_string()))?;
    let mut lines = vec![match is_store {
        true => "storage directory: initialised".to_owned(),
        false => "storage directory: empty or missing, will be initialised".to_owned(),
    }];
    let mut warnings = Vec::new();
    let Ok(sys) = Real::open_root(&env.storage_path) else { return Ok((lines, warnings)) };
    let mut add = |found: io::Result<Vec<ProbeResult>>| match found {
        Ok(findings) => {
            for finding in findings {
                lines.push(format!("storage directory: {}", finding.text));
                warnings.extend(finding.warning.map(|warning| Warning(of_path(warning))));
            }
        }
        Err(error) => lines.push(format!("storage directory: file system not tested: {error}")),
    };
    add(probe::inspect(&sys));
    match is_store {
        true => add(probe::attempt(&sys)),
        false => lines
            .push("storage directory: file system not tested, since the directory is not initialised yet".to_owned()),
    }
    Ok((lines, warnings))
}

/// Opens the store while a daemon may be serving it, to write to it; makes one if there is none, as a start would.
pub(super) fn open_or_make(env: &Env) -> Result<Fs, String> {
    match Fs::open_beside(&env.storage_path) {
        Err(OpenError::Absent(_) | OpenError::NoStore(_)) => {
            Fs::open(&env.storage_path, init(env)).map(|(store, _)| store).map_err(|error| error.to_string())
        }
        Err(error) => Err(error.to_string()),
        Ok(_) => open_beside(env, true),
    }
}

/// Opens the store while a daemon may be serving it. A command that writes must run as the store's owner: the daemon
/// can neither read nor remove files of another user.
pub(super) fn open_beside(env: &Env, to_write: bool) -> Result<Fs, String> {
    let path = &env.storage_path;
    let store = Fs::open_beside(path).map_err(|error| error.to_string())?;
    let owner = std::fs::metadata(path).map_err(|error| format!("{}: {error}", path.display()))?.uid();
    let caller = rustix::process::geteuid().as_raw();
    if to_write && caller != owner {
        return Err(format!("{} belongs to user {owner}: run this as that user, not as {caller}", path.display()));
    }
    Ok(store)
}
