//! Iterates over all possible repositories: every directory whose path is a repository name.

use super::super::{PAGE, Result};
use crate::{
    registry::{Registry, Repository},
    storage::{DirOf, NamesIn},
};
use oci::RepositoryName;

/// The position of the walk, ordered by the components of names. Holds at most one page of names for each level.
pub(in crate::upkeep::collect) struct RepositoryWalk<'r> {
    registry: &'r Registry,
    levels: Vec<NamesIn<'r, RepositoryName>>,
}

impl<'r> RepositoryWalk<'r> {
    pub(in crate::upkeep::collect) fn of(registry: &'r Registry) -> Self {
        Self { registry, levels: vec![registry.store().names(DirOf::names(None), PAGE)] }
    }

    /// The next one; there need not be a repository of this name or below it.
    pub(in crate::upkeep::collect) async fn next(&mut self) -> Result<Option<Repository>> {
        while let Some(level) = self.levels.last_mut() {
            match level.next().await? {
                Some(name) => {
                    self.levels.push(self.registry.store().names(DirOf::names(Some(&name)), PAGE));
                    return Ok(Some(self.registry.repository(&name)));
                }
                None => drop(self.levels.pop()),
            }
        }
        Ok(None)
    }
}
