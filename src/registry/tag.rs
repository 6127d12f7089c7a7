//! Tag lists.

use super::{Error, Registry, Result};
use crate::{
    oci::RepositoryName,
    storage::{Dir, Page},
};

/// The names in a list that no request bounded: as many as fit this many bytes of reply. More
/// are had by the next page, so memory does not grow with the number of tags.
const LONGEST_REPLY: usize = 4 << 20;

/// No more than this are held at once, however short they are.
const MOST_TAGS: usize = 100_000;

impl Registry {
    /// Tags after `last` in byte order: `n` of them or, if that is not said, all that fit one
    /// reply.
    ///
    /// # Errors
    /// [`Error::NameUnknown`].
    pub async fn tags(
        &self,
        repository: &RepositoryName,
        last: Option<&str>,
        n: Option<usize>,
    ) -> Result<Page<String>> {
        let most = n.map_or(MOST_TAGS, |n| n.min(self.settings.page_max));
        let page = match most {
            0 => Page { entries: Vec::new(), more: false },
            most => self.core.store.children(&Dir::Tags(repository.clone()), last, most).await?,
        };
        if page.entries.is_empty() && !self.is_repository(repository).await? {
            return Err(Error::NameUnknown(repository.clone()));
        }
        let mut tags: Vec<String> = page.entries.into_iter().map(|child| child.name).collect();
        let mut more = page.more;
        let mut bytes = 0;
        // Three bytes for quotes and comma.
        let fitting = tags.iter().take_while(|tag| {
            bytes += tag.len() + 3;
            bytes <= LONGEST_REPLY
        });
        let fitting = fitting.count();
        if fitting < tags.len() {
            tags.truncate(fitting);
            more = true;
        }
        Ok(Page { entries: tags, more })
    }
}
