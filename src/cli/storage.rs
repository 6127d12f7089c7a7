//! What a start would do with the storage root: use it, make it, or refuse it.

use crate::{
    config::{Env, Problem, StorageInit},
    storage::fs::{Fs, Init, root},
};
use std::os::unix::fs::MetadataExt;

/// Whether the root may be made: a named directory that is absent may be a mount that failed, so
/// only the default is.
pub(super) fn init(env: &Env) -> Init {
    match env.storage_init {
        StorageInit::Never => Init::Never,
        StorageInit::Auto if env.storage_is_explicit() => Init::EmptyDirectory,
        StorageInit::Auto => Init::CreateDirectory,
    }
}

/// One line on what a start would do; the problem if it would refuse. Writes nothing.
pub(super) fn inspect(env: &Env) -> Result<String, Problem> {
    match root::inspect(&env.storage_path, init(env)) {
        Ok(true) => Ok("storage root: a store, in use".into()),
        Ok(false) => Ok("storage root: empty or absent, will be initialised".into()),
        Err(error) => Err(Problem::of_key("REGISTRY_STORAGE_PATH", error.to_string())),
    }
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
