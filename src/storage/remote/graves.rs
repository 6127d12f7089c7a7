//! The graveyard: markers, and what is done by them.

use super::{
    LIST_PAGE, ObjectStorage,
    generations::Looked,
    names::{BytesIn, Generation, LAST, LEASE, ListedGeneration, Marker, graves_of_run},
    session::{self, SessionRecord, SessionState},
};
use crate::{
    files::world,
    storage::{
        Condemnation, Condemned, Fact, Grave, Item, ListingPage, Presence, Result, RunId, Why,
        key::{GRAVEYARD, LONGEST},
    },
};
use bytes::Bytes;
use oci::UploadId;
use std::time::Duration;

impl ObjectStorage {
    pub(super) async fn condemn_item(&self, item: &Item, run: RunId, why: Why, idle: Duration) -> Result<Condemnation> {
        if let Item::Upload(id) = item {
            return self.condemn_session(id, run, why, idle).await;
        }
        let looked = self.look(item).await?;
        let entry = Condemned { run, item: item.clone(), why };
        let Some(renewed) = looked.renewed() else {
            // Only condemned ones are left: a deletion includes them.
            let rest: Vec<ListedGeneration> = looked.restorable().copied().collect();
            if why == Why::Unreferenced || rest.is_empty() {
                return Ok(Condemnation::Gone);
            }
            self.delete_generations(&entry, &looked, &rest).await?;
            return Ok(Condemnation::Condemned);
        };
        if !self.idle_for(renewed, idle) {
            return Ok(Condemnation::Renewed);
        }
        if why != Why::Unreferenced {
            let rest: Vec<ListedGeneration> = looked.restorable().copied().collect();
            self.delete_generations(&entry, &looked, &rest).await?;
            return Ok(Condemnation::Condemned);
        }
        // In the order in which they were made, one after the other: see `put_value`.
        for listed in looked.usable() {
            let marker = Marker { entry: entry.clone(), generation: listed.generation };
            self.put_object(&marker.key(), Bytes::new()).await?;
        }
        Ok(Condemnation::Condemned)
    }

    /// Removes generations for a reason that nothing restores. Their markers keep their values.
    async fn delete_generations(
        &self,
        entry: &Condemned,
        looked: &Looked,
        generations: &[ListedGeneration],
    ) -> Result<()> {
        let path = entry.item.path();
        for listed in generations {
            let marker = Marker { entry: entry.clone(), generation: listed.generation };
            let value = self.kept_value(&entry.item, &listed.generation).await?;
            self.put_object(&marker.key(), value).await?;
        }
        if let Item::Blob(digest) = &entry.item {
            self.forget_blob(digest).await;
        }
        self.delete_objects(generations.iter().map(|listed| format!("{path}/{}", listed.generation)).collect()).await?;
        // Earlier entries of the same generations have nothing left to restore.
        let of_them = |marker: &&Marker| generations.iter().any(|listed| listed.generation == marker.generation);
        self.delete_objects(looked.markers.iter().filter(of_them).map(Marker::key).collect()).await
    }

    /// What a marker keeps of a generation that is removed.
    async fn kept_value(&self, item: &Item, generation: &Generation) -> Result<Bytes> {
        match (item, generation.bytes) {
            // Nothing restores the bytes of a blob, and an object that holds them is found by its name.
            (Item::Blob(_), BytesIn::Itself) if generation.len > LONGEST => Ok(Bytes::new()),
            _ => {
                let key = format!("{}/{generation}", item.path());
                Ok(self.whole(&key, LONGEST).await?.map(|(_, value)| value).unwrap_or_default())
            }
        }
    }

    pub(super) async fn condemned_page(&self, after: Option<&Condemned>, most: usize) -> Result<ListingPage<Grave>> {
        let prefix = format!("{GRAVEYARD}/");
        let mut from = after.map(|entry| format!("{}{LAST}", graves_of_run(&entry.item, entry.run)));
        let mut entries: Vec<Grave> = Vec::new();
        loop {
            let page = self.objects.list(&prefix, from.as_deref(), LIST_PAGE).await;
            let page = page.map_err(|e| e.during("list", &prefix))?;
            from = page.objects.last().map(|object| object.key.clone());
            for object in &page.objects {
                let Some(Marker { entry, generation }) = Marker::parse(&object.key) else { continue };
                match entries.last_mut() {
                    Some(last) if last.entry == entry => {
                        last.len += generation.len;
                        last.since = last.since.max(object.modified);
                    }
                    _ => entries.push(Grave { entry, since: object.modified, len: generation.len }),
                }
            }
            if entries.len() > most || !page.more || from.is_none() {
                let more = entries.len() > most;
                entries.truncate(most);
                return Ok(ListingPage { entries, more });
            }
        }
    }

    /// The markers of an entry.
    async fn markers_of(&self, entry: &Condemned) -> Result<Vec<Marker>> {
        let listed = self.list_all(&graves_of_run(&entry.item, entry.run)).await?;
        let markers = listed.iter().filter_map(|object| Marker::parse(&object.key));
        Ok(markers.filter(|marker| marker.entry == *entry).collect())
    }

    pub(super) async fn restore_entry(&self, entry: &Condemned) -> Result<bool> {
        let markers = self.markers_of(entry).await?;
        if markers.is_empty() {
            return Ok(false);
        }
        if let Item::Upload(id) = &entry.item {
            return self.restore_session(id, &markers).await;
        }
        let looked = self.look_with_bytes(&entry.item).await?;
        if looked.usable().next().is_some() {
            return Ok(true);
        }
        for marker in markers.iter().rev() {
            let is_there = looked.generations.iter().any(|listed| listed.generation == marker.generation);
            if is_there && self.copy_generation(&entry.item, &marker.generation, &looked.generations).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    pub(super) async fn value_of_entry(&self, entry: &Condemned) -> Result<Option<Fact>> {
        let graves = self.list_all(&graves_of_run(&entry.item, entry.run)).await?;
        let mut markers = graves.iter().filter_map(|grave| Some((grave, Marker::parse(&grave.key)?)));
        let Some((grave, marker)) = markers.rfind(|(_, marker)| marker.entry == *entry) else {
            return Ok(None);
        };
        let written = grave.modified;
        let value = match entry.why {
            Why::Unreferenced => self.value(&entry.item, &marker.generation).await?,
            Why::Deleted | Why::Damaged => self.whole(&grave.key, LONGEST).await?.map(|(_, value)| value),
        };
        Ok(value.map(|bytes| Fact { bytes, written }))
    }

    pub(super) async fn purge_entry(&self, entry: &Condemned) -> Result<u64> {
        let mut freed = 0;
        for marker in self.markers_of(entry).await? {
            #[cfg(test)]
            if self.is(super::Mutant::MarkerFirst) {
                self.delete_objects(vec![marker.key()]).await?;
            }
            if let Item::Upload(_) = &entry.item {
                freed += marker.generation.len;
                if let Some((_, bytes)) = self.whole(&marker.key(), LONGEST).await?
                    && let Some((record, _)) = SessionRecord::read(&bytes)
                {
                    self.condemn_unpublished(&record).await?;
                    if !matches!(record.state, SessionState::Publishing { .. }) {
                        self.delete_bytes_of(&record).await?;
                    }
                }
            } else {
                freed += marker.generation.len;
                let listed = ListedGeneration { generation: marker.generation, written: std::time::UNIX_EPOCH };
                self.remove_generations(&entry.item, &[listed]).await?;
                if let Item::Blob(digest) = &entry.item {
                    self.forget_blob(digest).await;
                }
                self.drop_lease(&entry.item).await?;
            }
            // Last: as long as it is there, nobody relies on what is being removed.
            self.delete_objects(vec![marker.key()]).await?;
        }
        Ok(freed)
    }

    /// Removes the lease of an item of which nothing is left. It only says how old the item is.
    async fn drop_lease(&self, item: &Item) -> Result<()> {
        let looked = self.generations(item).await?;
        match looked.lease {
            Some(_) if looked.generations.is_empty() => {
                self.delete_objects(vec![format!("{}/{LEASE}", item.path())]).await
            }
            _ => Ok(()),
        }
    }

    pub(super) async fn ensure_item(&self, item: &Item) -> Result<Presence> {
        if let Item::Upload(id) = item {
            let is_there = self.progress_of(id).await?.is_some();
            return Ok(if is_there { Presence::Live } else { Presence::Missing });
        }
        loop {
            let looked = self.look_with_bytes(item).await?;
            if looked.usable().next().is_some() {
                return Ok(Presence::Live);
            }
            let Some(latest) = looked.restorable().next().copied() else { return Ok(Presence::Missing) };
            #[cfg(test)]
            if self.is(super::Mutant::UnmarkToRestore) {
                let of_it = looked.markers.iter().filter(|marker| marker.generation == latest.generation);
                self.delete_objects(of_it.map(Marker::key).collect()).await?;
                return Ok(Presence::Restored);
            }
            // If it was purged meanwhile, something else may be there.
            if self.copy_generation(item, &latest.generation, &looked.generations).await? {
                return Ok(Presence::Restored);
            }
        }
    }

    async fn condemn_session(&self, id: &UploadId, run: RunId, why: Why, idle: Duration) -> Result<Condemnation> {
        let mut held = self.sessions.hold(id).await;
        loop {
            let Some(live) = self.refresh(id, &mut held).await? else { return Ok(Condemnation::Gone) };
            if !self.idle_for(live.touched, idle) {
                return Ok(Condemnation::Renewed);
            }
            if live.tail_len > 0 {
                self.flush(&mut held).await?;
            }
            let Some(live) = held.as_mut() else { continue };
            let was_ended = live.record.state == SessionState::Ended;
            let (record, note) = (live.record.clone(), live.note.clone());
            let is_publishing = matches!(record.state, SessionState::Publishing { .. });
            if is_publishing {
                self.condemn_unpublished(&record).await?;
            } else if !was_ended {
                live.record.state = SessionState::Ended;
                if !self.save(id, &mut held, true).await? {
                    continue;
                }
            }
            if !is_publishing {
                let item = Item::Upload(*id);
                let entry = Condemned { run, item, why };
                let generation = Generation { id: world::ulid(), len: record.len(), bytes: BytesIn::Itself };
                let grave = Marker { entry, generation };
                self.put_object(&grave.key(), record.write(&note)).await?;
            }
            self.delete_objects(vec![session::key(id)]).await?;
            if let Some(turn) = held.take().and_then(|live| live.turn) {
                turn.next();
            }
            self.sessions.forget(id);
            return Ok(Condemnation::Condemned);
        }
    }

    async fn restore_session(&self, id: &UploadId, markers: &[Marker]) -> Result<bool> {
        if self.progress_of(id).await?.is_some() {
            return Ok(true);
        }
        for marker in markers {
            let Some((_, bytes)) = self.whole(&marker.key(), LONGEST).await? else { continue };
            let Some((mut record, note)) = SessionRecord::read(&bytes) else { continue };
            if record.state == SessionState::Ended {
                record.state = SessionState::Sealed;
            }
            self.put_session(id, record, note).await?;
            // Its bytes belong to the session again: the entry must not be purged.
            self.delete_objects(vec![marker.key()]).await?;
            return Ok(true);
        }
        Ok(false)
    }
}
