//! Lists of names. A server lists what is below `a-b` before what is below `a`, because of the `/` that follows; names
//! come before those that begin with them.

use super::{LIST_PAGE, ObjectStorage, facts::TOMBSTONE};
use crate::storage::{
    Dir, Item, ItemKind, ListingPage, Result,
    objects::{ListedObject, ObjectLevel},
};
use std::collections::BTreeSet;

impl ObjectStorage {
    pub(super) async fn names_in(&self, dir: &Dir, after: Option<&str>, most: usize) -> Result<ListingPage<String>> {
        if let Dir::Revisions(repository, algorithm) = dir {
            let kind = ItemKind::Revisions(repository.clone());
            let prefix = format!("{}/", dir.path());
            let page = self.live_items(&kind, &prefix, after, most).await?;
            let name = |item: Item| match item {
                Item::Revision(_, digest) if digest.algorithm() == *algorithm => Some(digest.hex().to_owned()),
                _ => None,
            };
            let entries = page.entries.into_iter().filter_map(|aged| name(aged.item)).collect();
            return Ok(ListingPage { entries, more: page.more });
        }
        match dir.holds_directories() {
            true => self.directories_in(dir, after, most).await,
            false => self.files_in(dir, after, most).await,
        }
    }

    async fn files_in(&self, dir: &Dir, after: Option<&str>, most: usize) -> Result<ListingPage<String>> {
        let prefix = format!("{}/", dir.path());
        let mut after = after.map(|after| format!("{prefix}{after}"));
        let mut entries = Vec::new();
        loop {
            // One more than asked for shows whether there are more.
            let ask = (most + 1 - entries.len()).clamp(1, LIST_PAGE);
            let page =
                self.objects.list(&prefix, after.as_deref(), ask).await.map_err(|e| e.during("list", &prefix))?;
            after = page.objects.last().map(|object| object.key.clone());
            for object in page.objects {
                let Some(name) = object.key.strip_prefix(&prefix).filter(|name| dir.lists(name)) else { continue };
                if !self.is_tombstone(&object).await? {
                    entries.push(name.to_owned());
                }
            }
            if entries.len() > most || !page.more || after.is_none() {
                let more = entries.len() > most;
                entries.truncate(most);
                return Ok(ListingPage { entries, more });
            }
        }
    }

    async fn is_tombstone(&self, object: &ListedObject) -> Result<bool> {
        if object.len != TOMBSTONE.len() as u64 {
            return Ok(false);
        }
        Ok(self.whole(&object.key, object.len).await?.is_none_or(|(_, bytes)| bytes == TOMBSTONE))
    }

    async fn directories_in(&self, dir: &Dir, after: Option<&str>, most: usize) -> Result<ListingPage<String>> {
        let path = dir.path();
        let mut found = BTreeSet::new();
        // Everything that follows `after` as a name follows it as a text, too, but not the other way round.
        let mut from = after.map(str::to_owned);
        loop {
            // The directories of a repository itself come before most names in it.
            let ask = (most + 8).clamp(1, LIST_PAGE);
            let level = self.objects.level(&path, from.as_deref(), ask).await.map_err(|e| e.during("list", &path))?;
            let ObjectLevel { names, more } = level;
            let last = names.last().cloned();
            let is_next = |name: &str| after.is_none_or(|after| name > after) && dir.lists(name);
            found.extend(names.into_iter().filter(|(name, is_dir)| *is_dir && is_next(name)).map(|(name, _)| name));
            let Some((last, is_dir)) = last.filter(|_| more) else {
                let more = found.len() > most;
                return Ok(ListingPage { entries: found.into_iter().take(most).collect(), more });
            };
            if found.len() > most {
                // Names that the last one begins with are listed after it.
                for shorter in prefixes(&last).filter(|shorter| is_next(shorter)) {
                    if !found.contains(shorter) && self.is_directory(&path, shorter).await? {
                        found.insert(shorter.to_owned());
                    }
                }
                return Ok(ListingPage { entries: found.into_iter().take(most).collect(), more: true });
            }
            from = Some(if is_dir { format!("{last}/") } else { last });
        }
    }

    async fn is_directory(&self, path: &str, name: &str) -> Result<bool> {
        let prefix = format!("{path}/{name}/");
        let page = self.objects.list(&prefix, None, 1).await.map_err(|e| e.during("list", &prefix))?;
        Ok(!page.objects.is_empty())
    }
}

/// Names that this one begins with, followed by a character before `/`.
fn prefixes(name: &str) -> impl Iterator<Item = &str> {
    let ends = name.char_indices().filter(|(at, c)| *at > 0 && *c < '/').map(|(at, _)| at);
    ends.filter_map(|at| name.get(..at))
}

#[cfg(test)]
mod tests {
    use crate::storage::{Dir, Durability, FactKey, Facts as _, Put, objects::MemObjects, remote::ObjectStorage};
    use oci::{Algorithm, Hasher};
    use std::sync::Arc;

    #[tokio::test]
    async fn repositories_come_in_the_order_of_their_names_page_by_page() {
        let store = ObjectStorage::open(Arc::new(MemObjects::default()), true).await.unwrap();
        let names = ["a", "a-b", "a-b.c", "a-b.c-d", "a-b2", "a.b", "a0", "ab", "b-1", "b-2", "b-3", "b"];
        let mut sorted = names.to_vec();
        sorted.sort_unstable();
        for name in names {
            let key = FactKey::Layer(name.parse().unwrap(), Hasher::digest(Algorithm::Sha256, b"x"));
            store.put(vec![Put::any(key, "")], Durability::Durable).await.unwrap();
        }
        for most in 1..names.len() + 2 {
            let (mut seen, mut after) = (Vec::new(), None::<String>);
            loop {
                let page = store.children(&Dir::Names(None), after.as_deref(), most).await.unwrap();
                assert!(page.entries.len() <= most);
                seen.extend(page.entries);
                if !page.more {
                    break;
                }
                after = seen.last().cloned();
            }
            assert_eq!(seen, sorted, "{most} a page");
        }
    }
}
