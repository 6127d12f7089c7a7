//! Lists of live items.

use super::{
    AT_ONCE, LIST_PAGE, ObjectStorage,
    generations::Looked,
    names::{self, Generation, LAST, LEASE, ListedGeneration, Marker},
    session::{SessionRecord, SessionState},
};
use crate::storage::{
    Aged, Item, ItemKind, ListingPage, Result,
    key::{BLOBS, GRAVEYARD, REPOSITORIES, UPLOADS},
    objects::ListedObject,
};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};

/// What the keys of all objects of a kind begin with.
pub(super) fn prefix(kind: &ItemKind) -> String {
    match kind {
        ItemKind::Blobs => format!("{BLOBS}/"),
        ItemKind::Links(name) => format!("{REPOSITORIES}/{name}/_layers/"),
        ItemKind::Revisions(name) => format!("{REPOSITORIES}/{name}/_manifests/revisions/"),
        ItemKind::Uploads => format!("{UPLOADS}/"),
    }
}

impl ObjectStorage {
    pub(super) async fn items_of(
        &self,
        kind: &ItemKind,
        after: Option<&Item>,
        most: usize,
    ) -> Result<ListingPage<Aged>> {
        let prefix = prefix(kind);
        let after = after.map(Item::path);
        let after = after.as_deref().and_then(|path| path.strip_prefix(&prefix));
        match kind {
            ItemKind::Uploads => self.uploads(&prefix, after, most).await,
            _ => self.live_items(kind, &prefix, after, most).await,
        }
    }

    /// Live items below a prefix and after one, by the rest of its path. Only for lists: before something is condemned
    /// or relied on it is looked at again.
    pub(super) async fn live_items(
        &self,
        _: &ItemKind,
        prefix: &str,
        after: Option<&str>,
        most: usize,
    ) -> Result<ListingPage<Aged>> {
        let mut entries: Vec<Aged> = Vec::new();
        let mut from = after.map(|after| format!("{prefix}{after}/{LAST}"));
        // What is known of the last item of a page may go on with the next one.
        let mut open: Option<(Item, Looked)> = None;
        loop {
            let page = self.objects.list(prefix, from.as_deref(), LIST_PAGE).await;
            let page = page.map_err(|e| e.during("list", prefix))?;
            let mut groups: Vec<(Item, Looked)> = open.take().into_iter().collect();
            page.objects.iter().for_each(|object| add(&mut groups, object));
            from = page.objects.last().map(|object| object.key.clone());
            let is_last = !page.more || from.is_none();
            if !is_last {
                open = groups.pop();
            }
            self.add_markers(&mut groups).await?;
            for (item, looked) in groups {
                if let (Some(renewed), Some(latest)) = (looked.renewed(), looked.usable().next_back()) {
                    entries.push(Aged { item, renewed, len: latest.generation.len });
                }
            }
            if entries.len() > most || is_last {
                let more = entries.len() > most;
                entries.truncate(most);
                return Ok(ListingPage { entries, more });
            }
        }
    }

    /// Finds which of these items, which are in order, were condemned.
    async fn add_markers(&self, groups: &mut [(Item, Looked)]) -> Result<()> {
        let (Some((first, _)), Some((last, _))) = (groups.first(), groups.last()) else { return Ok(()) };
        let (first, last) = (first.path(), last.path());
        let common = first.bytes().zip(last.bytes()).take_while(|(a, b)| a == b).count();
        let prefix = format!("{GRAVEYARD}/{}", first.get(..common).unwrap_or_default());
        let mut from = Some(format!("{GRAVEYARD}/{first}"));
        let end = format!("{GRAVEYARD}/{last}/{LAST}");
        loop {
            let page = self.objects.list(&prefix, from.as_deref(), LIST_PAGE).await;
            let page = page.map_err(|e| e.during("list", &prefix))?;
            from = page.objects.last().map(|object| object.key.clone());
            for marker in page.objects.iter().filter_map(|object| Marker::parse(&object.key)) {
                let path = marker.entry.item.path();
                if let Ok(at) = groups.binary_search_by(|(item, _)| item.path().cmp(&path))
                    && let Some((_, looked)) = groups.get_mut(at)
                {
                    looked.markers.push(marker);
                }
            }
            if !page.more || from.as_ref().is_none_or(|from| *from > end) {
                return Ok(());
            }
        }
    }

    async fn uploads(&self, prefix: &str, after: Option<&str>, most: usize) -> Result<ListingPage<Aged>> {
        let from = after.map(|after| format!("{prefix}{after}"));
        let page = self.objects.list(prefix, from.as_deref(), most.min(LIST_PAGE)).await;
        let page = page.map_err(|e| e.during("list", prefix))?;
        let uploads: Vec<_> = page.objects.iter().map(|object| self.upload(object)).collect();
        let entries: Vec<Option<Aged>> = stream::iter(uploads).buffered(AT_ONCE).try_collect().await?;
        let entries: Vec<Aged> = entries.into_iter().flatten().collect();
        // A page without entries would end the list.
        let more = page.more && !entries.is_empty();
        Ok(ListingPage { entries, more })
    }

    async fn upload(&self, object: &ListedObject) -> Result<Option<Aged>> {
        let Some(item @ Item::Upload(_)) = names::item(&object.key) else { return Ok(None) };
        let Some((_, bytes)) = self.whole(&object.key, crate::storage::key::LONGEST).await? else { return Ok(None) };
        let len = SessionRecord::read(&bytes).map_or(0, |(record, _)| match record.state {
            SessionState::Ended => 0,
            _ => record.len(),
        });
        Ok(Some(Aged { item, renewed: object.modified, len }))
    }
}

/// Adds an object to the item it belongs to.
fn add(groups: &mut Vec<(Item, Looked)>, object: &ListedObject) {
    let Some((path, name)) = object.key.rsplit_once('/') else { return };
    let is_same = groups.last().is_some_and(|(item, _)| item.path() == path);
    if !is_same {
        let Some(item) = names::item(path) else { return };
        groups.push((item, Looked::default()));
    }
    let Some((_, looked)) = groups.last_mut() else { return };
    if name == LEASE {
        looked.lease = Some(object.modified);
    } else if let Some(generation) = Generation::parse(name) {
        looked.generations.push(ListedGeneration { generation, written: object.modified });
    }
}
