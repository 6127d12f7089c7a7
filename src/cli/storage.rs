//! What a start would do with the storage root: use it, make it, or refuse it.

use crate::{
    config::{Env, Problem, StorageInit},
    storage::fs::{Init, root},
};

/// Whether the root may be made: a named directory that is absent may be a mount that failed, so
/// only the default is.
pub(super) fn init(env: &Env) -> Init {
    match env.storage_init {
        StorageInit::Never => Init::Never,
        StorageInit::Auto if env.storage_is_explicit() => Init::EmptyDirectory,
        StorageInit::Auto => Init::CreateDirectory,
    }
}

/// Whether a problem with this key leaves open where the store is.
pub(super) fn is_named_by(key: &str) -> bool {
    key.starts_with("REGISTRY_STORAGE") || key.starts_with("--storage")
}

/// One line on what a start would do; the problem if it would refuse. Writes nothing.
pub(super) fn inspect(env: &Env) -> Result<String, Problem> {
    match root::inspect(&env.storage_path, init(env)) {
        Ok(true) => Ok("storage root: a store, in use".into()),
        Ok(false) => Ok("storage root: empty or absent, will be initialised".into()),
        Err(error) => Err(Problem::of_key("REGISTRY_STORAGE_PATH", error.to_string())),
    }
}
