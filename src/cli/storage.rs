//! What a start would do with the storage directory: use it, create it, or refuse it.

use crate::{
    config::{Env, Problem, StorageInit, Warning},
    files::{
        Real,
        probe::{self, Finding},
    },
    storage::fs::{Fs, Init, root},
};
use std::{io, os::unix::fs::MetadataExt};

/// Whether the root may be made.
pub(super) fn init(env: &Env) -> Init {
    match env.storage_init {
        StorageInit::Never => Init::Never,
        StorageInit::Auto => Init::CreateDirectory,
    }
}

/// Whether a problem with this key leaves open where the store is.
pub(super) fn is_named_by(key: &str) -> bool {
    key.starts_with("REGISTRY_STORAGE") || key.starts_with("--storage")
}

/// What a start would do and what the file system can do, a line each, and what to be warned of; the
/// problem if a start would refuse. Writes at most temporary files, into a store that is there.
pub(super) fn inspect(env: &Env) -> Result<(Vec<String>, Vec<Warning>), Problem> {
    let of_path = |message: String| Problem::of_key("REGISTRY_STORAGE_PATH", message);
    let is_store = root::inspect(&env.storage_path, init(env)).map_err(|error| of_path(error.to_string()))?;
    let mut lines = vec![match is_store {
        true => "storage directory: initialised".to_owned(),
        false => "storage directory: empty or missing, will be initialised".to_owned(),
    }];
    let mut warnings = Vec::new();
    let Ok(sys) = Real::open_root(&env.storage_path) else { return Ok((lines, warnings)) };
    let mut tell = |found: io::Result<Vec<Finding>>| match found {
        Ok(findings) => {
            for finding in findings {
                lines.push(format!("storage directory: {}", finding.told));
                warnings.extend(finding.warning.map(|warning| Warning(of_path(warning))));
            }
        }
        Err(error) => lines.push(format!("storage directory: file system not tested: {error}")),
    };
    tell(probe::look(&sys));
    match is_store {
        true => tell(probe::attempt(&sys)),
        false => lines
            .push("storage directory: file system not tested, since the directory is not initialised yet".to_owned()),
    }
    Ok((lines, warnings))
}

/// The store, beside a daemon that may be serving it. Whoever is to write must be its owner: what
/// somebody else makes there the daemon can neither read nor remove.
pub(super) fn beside(env: &Env, to_write: bool) -> Result<Fs, String> {
    let path = &env.storage_path;
    let store = Fs::open_beside(path).map_err(|error| error.to_string())?;
    let owner = std::fs::metadata(path).map_err(|error| format!("{}: {error}", path.display()))?.uid();
    let caller = rustix::process::geteuid().as_raw();
    if to_write && caller != owner {
        return Err(format!("{} belongs to user {owner}: run this as that user, not as {caller}", path.display()));
    }
    Ok(store)
}
