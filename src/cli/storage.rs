//! What a start would do with the storage directory: use it, create it, or refuse it.

use super::block_on::block_on;
use crate::{
    config::{Env, Live, Problem, StorageKind, Warning},
    daemon::{self, NoStore, check_owner, init},
    files::{
        Real,
        probe::{self, ProbeResult},
    },
    storage::{OpenStore, fs::root},
};
use std::{future::Future, io};

/// Whether a problem with this key leaves the location of the store unknown.
pub(super) fn is_named_by(key: &str) -> bool {
    const OTHERS: [&str; 8] = [
        "REGISTRY_S3_",
        "REGISTRY_GCS_",
        "REGISTRY_AZURE_",
        "REGISTRY_SFTP_",
        "--s3-",
        "--gcs-",
        "--azure-",
        "--sftp-",
    ];
    key.starts_with("REGISTRY_STORAGE")
        || key.starts_with("--storage")
        || OTHERS.iter().any(|prefix| key.starts_with(prefix))
}

/// The variable that a problem with the store is about.
pub(super) fn variable_of(env: &Env) -> &'static str {
    match env.storage {
        StorageKind::Filesystem => "REGISTRY_STORAGE_PATH",
        StorageKind::S3 | StorageKind::Gcs | StorageKind::Azure | StorageKind::Sftp => "REGISTRY_STORAGE",
    }
}

/// What a start would do and what the file system supports, a line each, with warnings; an error if a start would
/// refuse. Writes at most temporary files, and only into an existing store.
pub(super) fn inspect(env: &Env, live: &Live) -> Result<(Vec<String>, Vec<Warning>), Problem> {
    match env.storage {
        StorageKind::Filesystem => {}
        StorageKind::S3 | StorageKind::Gcs | StorageKind::Azure => {
            let of_kind = |message: String| Problem::of_key("REGISTRY_STORAGE", message);
            let inspected = block_on(daemon::inspect_bucket(env, live)).map_err(|error| of_kind(error.to_string()))?;
            return inspected.map(|lines| (lines, Vec::new())).map_err(of_kind);
        }
        StorageKind::Sftp => return Ok((Vec::new(), Vec::new())),
    }
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
pub(super) fn open_or_make(env: &Env) -> Result<OpenStore, NoStore> {
    run(daemon::open_or_make(env))
}

/// Opens the store while a daemon may be serving it, to read it.
pub(super) fn open(env: &Env) -> Result<OpenStore, NoStore> {
    run(daemon::open_beside(env))
}

/// Opens the store while a daemon may be serving it. A command that writes must run as the store's owner.
pub(super) fn open_beside(env: &Env, to_write: bool) -> Result<OpenStore, NoStore> {
    let store = open(env)?;
    if to_write {
        check_owner(env, &store).map_err(NoStore::Unusable)?;
    }
    Ok(store)
}

fn run(opening: impl Future<Output = Result<OpenStore, NoStore>>) -> Result<OpenStore, NoStore> {
    block_on(opening).unwrap_or_else(|error| Err(NoStore::Unusable(error.to_string())))
}
