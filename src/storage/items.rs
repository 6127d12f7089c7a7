//! Lists of items, typed: each comes up as what identifies it among the items of its kind.

use super::{Aged, Item, ItemKind, Result, Storage};
use oci::{Digest, RepositoryName, UploadId};
use std::vec;

/// The items of a kind, and what identifies each.
pub struct ItemsOf<N> {
    kind: ItemKind,
    read: fn(Item) -> Option<N>,
}

impl ItemsOf<Digest> {
    /// The blob pool.
    pub fn blobs() -> Self {
        let read = |item| match item {
            Item::Blob(digest) => Some(digest),
            _ => None,
        };
        Self { kind: ItemKind::Blobs, read }
    }

    /// The manifests of a repository.
    pub fn revisions(repository: &RepositoryName) -> Self {
        let read = |item| match item {
            Item::Revision(_, digest) => Some(digest),
            _ => None,
        };
        Self { kind: ItemKind::Revisions(repository.clone()), read }
    }
}

impl ItemsOf<UploadId> {
    /// The upload sessions.
    pub fn uploads() -> Self {
        let read = |item| match item {
            Item::Upload(id) => Some(id),
            _ => None,
        };
        Self { kind: ItemKind::Uploads, read }
    }
}

/// Items of any kind, as themselves.
impl From<ItemKind> for ItemsOf<Item> {
    fn from(kind: ItemKind) -> Self {
        Self { kind, read: Some }
    }
}

/// Items of a kind with their ages, one after the other in byte order of their paths. They are read a page at a time,
/// so what comes or goes meanwhile may be met or not.
pub struct AgedItems<'s, N> {
    store: &'s dyn Storage,
    of: ItemsOf<N>,
    page: usize,
    ahead: vec::IntoIter<Aged<N>>,
    after: Option<Item>,
    is_read: bool,
}

impl dyn Storage + '_ {
    /// All items of a kind. `page` are read at once.
    pub fn aged<N>(&self, of: ItemsOf<N>, page: usize) -> AgedItems<'_, N> {
        AgedItems { store: self, of, page, ahead: Vec::new().into_iter(), after: None, is_read: false }
    }
}

impl<N> AgedItems<'_, N> {
    /// Only those after this one.
    #[must_use]
    pub fn after(self, after: Option<Item>) -> Self {
        Self { after, ..self }
    }

    /// The next item.
    ///
    /// # Errors
    /// Those of the backend.
    pub async fn next(&mut self) -> Result<Option<Aged<N>>> {
        loop {
            if let Some(aged) = self.ahead.next() {
                return Ok(Some(aged));
            }
            match self.next_page().await? {
                Some(page) => self.ahead = page.into_iter(),
                None => return Ok(None),
            }
        }
    }

    /// The next items, as many as are read at once; `None` after the last ones.
    ///
    /// # Errors
    /// Those of the backend.
    pub async fn next_page(&mut self) -> Result<Option<Vec<Aged<N>>>> {
        if self.is_read {
            return Ok(None);
        }
        let page = self.store.items(&self.of.kind, self.after.as_ref(), self.page).await?;
        self.is_read = !page.more;
        if let Some(last) = page.entries.last() {
            self.after = Some(last.item.clone());
        }
        let read = |Aged { item, renewed, len }| (self.of.read)(item).map(|item| Aged { item, renewed, len });
        Ok(Some(page.entries.into_iter().filter_map(read).collect()))
    }
}
