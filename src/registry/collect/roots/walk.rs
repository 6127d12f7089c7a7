//! All repositories there may be, one after the other: every directory whose path is a name.

use super::super::{PAGE, Result};
use crate::{oci::RepositoryName, registry::Registry, storage::Dir};

/// Where the walk stands: in the order of the names' components. Holds no more than a page of names
/// for each level.
pub(in crate::registry::collect) struct Walk {
    levels: Vec<Level>,
}

/// One directory.
struct Level {
    prefix: Option<RepositoryName>,
    /// Names read and not yet given out, the next one last.
    ahead: Vec<RepositoryName>,
    unread: Unread,
}

/// What is to be read of a directory.
enum Unread {
    All,
    After(String),
    Nothing,
}

impl Level {
    fn of(prefix: Option<RepositoryName>) -> Self {
        Self { prefix, ahead: Vec::new(), unread: Unread::All }
    }

    async fn read(&mut self, registry: &Registry, after: Option<&str>) -> Result<()> {
        let page = registry.core.store.children(&Dir::Names(self.prefix.clone()), after, PAGE).await?;
        let full = |name: &str| match &self.prefix {
            Some(prefix) => format!("{prefix}/{name}"),
            None => name.to_owned(),
        };
        // What is too long to be a name cannot have been pushed to.
        self.ahead = page.entries.iter().rev().filter_map(|child| full(&child.name).parse().ok()).collect();
        self.unread = match page.entries.into_iter().next_back() {
            Some(last) if page.more => Unread::After(last.name),
            _ => Unread::Nothing,
        };
        Ok(())
    }
}

impl Default for Walk {
    fn default() -> Self {
        Self { levels: vec![Level::of(None)] }
    }
}

impl Walk {
    /// The next name; there need be nothing of a repository below it.
    pub(in crate::registry::collect) async fn next(&mut self, registry: &Registry) -> Result<Option<RepositoryName>> {
        while let Some(level) = self.levels.last_mut() {
            if let Some(name) = level.ahead.pop() {
                self.levels.push(Level::of(Some(name.clone())));
                return Ok(Some(name));
            }
            match std::mem::replace(&mut level.unread, Unread::Nothing) {
                Unread::All => level.read(registry, None).await?,
                Unread::After(last) => level.read(registry, Some(&last)).await?,
                Unread::Nothing => drop(self.levels.pop()),
            }
        }
        Ok(None)
    }
}
