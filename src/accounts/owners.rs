//! Which user owns which session or API key. A file's owner never changes, so each file is read once.

use super::{Accounts, Result};
use crate::storage::{AccountKey, DirOf, Listed};
use serde::Deserialize;
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

/// Owners that are known so far.
pub(super) struct Owners<I>(Mutex<Arc<BTreeMap<I, Arc<str>>>>);

impl<I> Default for Owners<I> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

/// The part of a record that says whose it is: `user` in a session, `owner` in an API key.
#[derive(Deserialize)]
struct Owned {
    #[serde(alias = "user")]
    owner: String,
}

/// Names read at once.
const PAGE: usize = 1000;

impl Accounts {
    /// The ids in a directory that belong to a user, or all with their owners.
    pub(super) async fn owned<I: Listed + Copy + Ord>(
        &self,
        owners: &Owners<I>,
        dir: DirOf<I>,
        key: fn(I) -> AccountKey,
        user: Option<&str>,
    ) -> Result<Vec<(I, Arc<str>)>> {
        let (mut names, mut ids) = (self.store.names(dir, PAGE), Vec::new());
        while let Some(id) = names.next().await? {
            ids.push(id);
        }
        let known = owners.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut found = BTreeMap::new();
        for id in ids {
            let owner = match known.get(&id) {
                Some(owner) => owner.clone(),
                None => match self.record::<Owned>(&key(id)).await? {
                    Some((Owned { owner }, _)) => owner.into(),
                    None => continue,
                },
            };
            found.insert(id, owner);
        }
        let mine = found.iter().filter(|(_, owner)| user.is_none_or(|user| user == &***owner));
        let mine = mine.map(|(id, owner)| (*id, owner.clone())).collect();
        *owners.0.lock().unwrap_or_else(PoisonError::into_inner) = found.into();
        Ok(mine)
    }
}
