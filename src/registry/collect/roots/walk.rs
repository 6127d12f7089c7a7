//! All repositories there may be, one after the other: every directory whose path is a name.

use super::super::{PAGE, Result};
use crate::{oci::RepositoryName, registry::Registry, storage::Dir};

/// Where the walk stands. Holds no more than a page of names for each level.
pub(in crate::registry::collect) struct Walk {
    /// Names read and not yet given out, the next one last.
    ahead: Vec<RepositoryName>,
    /// Directories of which more is to be read, and the last name read of each.
    unread: Vec<(Option<RepositoryName>, Option<String>)>,
}

impl Default for Walk {
    fn default() -> Self {
        Self { ahead: Vec::new(), unread: vec![(None, None)] }
    }
}

impl Walk {
    /// The next name; there need be nothing of a repository below it.
    pub(in crate::registry::collect) async fn next(&mut self, registry: &Registry) -> Result<Option<RepositoryName>> {
        loop {
            if let Some(name) = self.ahead.pop() {
                self.unread.push((Some(name.clone()), None));
                return Ok(Some(name));
            }
            let Some((prefix, after)) = self.unread.pop() else { return Ok(None) };
            let page = registry.core.store.children(&Dir::Names(prefix.clone()), after.as_deref(), PAGE).await?;
            let full =
                |name: &str| prefix.as_ref().map_or_else(|| name.to_owned(), |prefix| format!("{prefix}/{name}"));
            // What is too long to be a name cannot have been pushed to.
            let names = page.entries.iter().rev().filter_map(|child| full(&child.name).parse().ok());
            self.ahead.extend(names);
            if let Some(last) = page.entries.last().filter(|_| page.more) {
                self.unread.push((prefix, Some(last.name.clone())));
            }
        }
    }
}
