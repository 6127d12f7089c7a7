//! API keys in a directory of the operator's, for those who keep their configuration in Git. They are read and never
//! changed.

use super::{Accounts, ApiKey};
use crate::{files::regular, who::ApiKeyId};
use arc_swap::ArcSwap;
use oci::json;
use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

/// What was read of the directory last.
#[derive(Default)]
pub(super) struct SharedKeys {
    pub(super) keys: ArcSwap<BTreeMap<ApiKeyId, Arc<ApiKey>>>,
    /// What was wrong with its files, so that it is reported only once.
    problems: Mutex<BTreeSet<String>>,
}

impl Accounts {
    /// Reads the keys of a directory, in place of those that were read before. Only files `<id>.json` count. One that
    /// cannot be used is reported in the log, and the key is not accepted. Blocks.
    ///
    /// # Errors
    /// The directory cannot be read; the keys from before stay.
    pub fn read_shared_keys(&self, dir: &Path) -> io::Result<()> {
        let (mut keys, mut problems) = (BTreeMap::new(), BTreeSet::new());
        for entry in std::fs::read_dir(dir)? {
            let path = entry?.path();
            let name = path.file_name().and_then(|name| name.to_str());
            let Some(id) = name.and_then(|name| name.strip_suffix(".json")?.parse::<ApiKeyId>().ok()) else { continue };
            match read(&path) {
                Ok(key) => drop(keys.insert(id, Arc::new(key))),
                Err(why) => drop(problems.insert(format!("{}: {why}", path.display()))),
            }
        }
        let mut known = self.shared.problems.lock().unwrap_or_else(PoisonError::into_inner);
        for problem in problems.difference(&known) {
            tracing::error!(problem, "an API key cannot be used");
        }
        *known = problems;
        self.shared.keys.store(Arc::new(keys));
        Ok(())
    }

    /// A key of the directory.
    pub(super) fn shared_key(&self, id: ApiKeyId) -> Option<Arc<ApiKey>> {
        self.shared.keys.load().get(&id).cloned()
    }

    /// Whether a key is one of the directory's, which cannot be changed here.
    pub fn is_shared_key(&self, id: ApiKeyId) -> bool {
        self.shared.keys.load().contains_key(&id)
    }
}

fn read(path: &Path) -> Result<ApiKey, String> {
    let bytes = regular::read(path).map_err(|error| error.to_string())?;
    let key: ApiKey = json::from_slice(&bytes).map_err(|error| error.to_string())?;
    key.parsed().ok_or_else(|| "its scopes cannot be read".to_owned())
}
