//! Lists of names, typed: what goes down as a tag comes up as a tag.

use super::{DirOf, Listed, ListingPage, Result, Storage};
use std::vec;

/// The names in a directory, one after the other in byte order. It is read a page at a time, so what comes or goes
/// meanwhile may be met or not.
pub struct NamesIn<'s, N> {
    store: &'s dyn Storage,
    level: DirOf<N>,
    page: usize,
    ahead: vec::IntoIter<N>,
    rest: Rest,
    from_memory: bool,
}

/// What is still to be read of a directory.
enum Rest {
    All,
    After(String),
    Nothing,
}

impl dyn Storage + '_ {
    /// All names in a directory. `page` are read at once, for each of which a backend may have to read the whole
    /// directory.
    pub fn names<N: Listed>(&self, level: DirOf<N>, page: usize) -> NamesIn<'_, N> {
        NamesIn { store: self, level, page, ahead: Vec::new().into_iter(), rest: Rest::All, from_memory: false }
    }

    /// Some of the names, for showing them to somebody: see [`super::Facts::listing`].
    ///
    /// # Errors
    /// Those of the backend.
    pub async fn page<N: Listed>(&self, level: &DirOf<N>, after: Option<&str>, most: usize) -> Result<ListingPage<N>> {
        let page = self.listing(level.dir(), after, most).await?;
        Ok(ListingPage { entries: read(level, &page.entries), more: page.more })
    }
}

impl<N: Listed> NamesIn<'_, N> {
    /// They may come from memory, as those of [`super::Facts::listing`] do: nothing is deleted by them.
    #[must_use]
    pub fn from_memory(self) -> Self {
        Self { from_memory: true, ..self }
    }

    /// The next name.
    ///
    /// # Errors
    /// Those of the backend.
    pub async fn next(&mut self) -> Result<Option<N>> {
        loop {
            if let Some(name) = self.ahead.next() {
                return Ok(Some(name));
            }
            let after = match &self.rest {
                Rest::All => None,
                Rest::After(last) => Some(last.as_str()),
                Rest::Nothing => return Ok(None),
            };
            let page = match self.from_memory {
                true => self.store.listing(self.level.dir(), after, self.page).await?,
                false => self.store.children(self.level.dir(), after, self.page).await?,
            };
            self.ahead = read(&self.level, &page.entries).into_iter();
            self.rest = match page.entries.into_iter().next_back() {
                Some(last) if page.more => Rest::After(last),
                _ => Rest::Nothing,
            };
        }
    }
}

fn read<N: Listed>(level: &DirOf<N>, names: &[String]) -> Vec<N> {
    names.iter().filter_map(|name| N::read(level.dir(), name)).collect()
}
