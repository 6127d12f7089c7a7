//! The life cycle of items in memory.

use super::{Buried, Mem, idle_for};
use crate::storage::{
    Aged, Capabilities, Condemnation, Condemned, Examined, Exclusive, Fact, Grave, InstanceId, Item, ItemKind,
    Lifecycle, ListingPage, Presence, Result, RunId, Why,
};
use async_trait::async_trait;
use oci::{Digest, Hasher};
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};

#[async_trait]
impl Lifecycle for Mem {
    async fn probe(&self) -> Result<Capabilities> {
        Ok(Capabilities { space: None, read_condemned: 0 })
    }

    async fn try_write(&self) -> Result<()> {
        Ok(())
    }

    async fn settle(&self) -> Result<()> {
        Ok(())
    }

    async fn now(&self) -> Result<SystemTime> {
        Ok(SystemTime::now())
    }

    async fn items(&self, kind: &ItemKind, after: Option<&Item>, most: usize) -> Result<ListingPage<Aged>> {
        let state = self.state();
        let all: Vec<Item> = match kind {
            ItemKind::Uploads => state.uploads.keys().copied().map(Item::Upload).collect(),
            _ => {
                let dirs = kind.dirs();
                dirs.iter()
                    .flat_map(|dir| state.level(&dir.path).into_keys().filter_map(move |name| dir.item(&name)))
                    .collect()
            }
        };
        let after = after.map(Item::path);
        let mut rest = all.into_iter().filter(|item| after.as_ref().is_none_or(|after| item.path() > *after));
        let entries = rest
            .by_ref()
            .take(most)
            .filter_map(|item| state.age(&item).map(|(renewed, len)| Aged { item, renewed, len }))
            .collect();
        Ok(ListingPage { entries, more: rest.next().is_some() })
    }

    async fn renew(&self, item: &Item, if_older: Duration) -> Result<bool> {
        let mut state = self.state();
        let now = SystemTime::now();
        Ok(match item {
            Item::Upload(id) => state.uploads.get_mut(id).map(|session| session.touched = now).is_some(),
            other => match state.files.get_mut(&other.path()) {
                Some(file) if idle_for(file.written, if_older) => {
                    file.written = now;
                    true
                }
                file => file.is_some(),
            },
        })
    }

    async fn ensure(&self, items: &[Item]) -> Result<Vec<Presence>> {
        let mut state = self.state();
        let mut ensure = |item: &Item| {
            if state.age(item).is_some() {
                return Presence::Live;
            }
            match state.graves(item).iter().any(|entry| state.restore(entry)) {
                true => Presence::Restored,
                false => Presence::Missing,
            }
        };
        Ok(items.iter().map(&mut ensure).collect())
    }

    async fn condemn(&self, item: &Item, run: RunId, why: Why, idle: Duration) -> Result<Condemnation> {
        let mut state = self.state();
        let copies = if why == Why::Deleted { state.graves(item) } else { Vec::new() };
        for copy in &copies {
            state.graves.remove(&copy.path());
        }
        let Some((renewed, _)) = state.age(item) else {
            return Ok(if copies.is_empty() { Condemnation::Gone } else { Condemnation::Condemned });
        };
        if !idle_for(renewed, idle) {
            return Ok(Condemnation::Renewed);
        }
        let entry = Condemned { run, item: item.clone(), why };
        if why != Why::Deleted && state.graves.contains_key(&entry.path()) {
            return Ok(Condemnation::Renewed);
        }
        if let Some(mut buried) = state.take(item) {
            if let Buried::File(file) = &mut buried {
                file.written = SystemTime::now();
            }
            state.graves.insert(entry.path(), (entry, buried));
        }
        Ok(Condemnation::Condemned)
    }

    async fn condemned(&self, after: Option<&Condemned>, most: usize) -> Result<ListingPage<Grave>> {
        let state = self.state();
        let after = after.map(Condemned::path);
        let mut rest = state
            .graves
            .iter()
            .filter(|(path, (entry, _))| entry.why != Why::Damaged && after.as_ref().is_none_or(|after| *path > after));
        let grave = |(_, (entry, buried)): (&String, &(Condemned, Buried))| {
            let (since, len) = match buried {
                Buried::File(file) => (file.written, file.bytes.len()),
                Buried::Upload(session) => (session.touched, session.data.len()),
            };
            Grave { entry: entry.clone(), since, len: len as u64 }
        };
        let entries = rest.by_ref().take(most).map(grave).collect();
        Ok(ListingPage { entries, more: rest.next().is_some() })
    }

    async fn restore(&self, entry: &Condemned) -> Result<bool> {
        Ok(self.state().restore(entry))
    }

    async fn condemned_value(&self, entry: &Condemned) -> Result<Option<Fact>> {
        Ok(match self.state().graves.get(&entry.path()) {
            Some((_, Buried::File(file))) => Some(file.clone()),
            Some((_, Buried::Upload(_))) | None => None,
        })
    }

    async fn purge(&self, entry: &Condemned) -> Result<u64> {
        Ok(match self.state().graves.remove(&entry.path()) {
            Some((_, Buried::File(file))) => file.bytes.len() as u64,
            Some((_, Buried::Upload(session))) => session.data.len() as u64,
            None => 0,
        })
    }

    async fn examine(&self, digest: &Digest, run: RunId) -> Result<Examined> {
        let mut state = self.state();
        let item = Item::Blob(digest.clone());
        let is_sound = |file: &Fact| Hasher::digest(digest.algorithm(), &file.bytes) == *digest;
        let mut quarantined = Vec::new();
        for entry in state.graves(&item) {
            if matches!(state.graves.get(&entry.path()), Some((_, Buried::File(file))) if !is_sound(file)) {
                state.graves.remove(&entry.path());
                quarantined.push(entry.path());
            }
        }
        if state.files.get(&item.path()).is_some_and(|file| !is_sound(file)) {
            let entry = Condemned { run, item: item.clone(), why: Why::Damaged };
            if let Some(buried) = state.take(&item) {
                quarantined.push(entry.path());
                state.graves.insert(entry.path(), (entry, buried));
            }
        }
        let is_there = state.find(&item).is_some();
        if quarantined.is_empty() {
            return Ok(if is_there { Examined::Sound } else { Examined::Gone });
        }
        let graves = state.graves(&item);
        graves.first().map(|entry| state.restore(entry));
        Ok(Examined::Damaged { quarantined, replaced: is_there })
    }

    fn instance(&self) -> InstanceId {
        self.instance
    }

    async fn lives(&self, instance: InstanceId) -> Result<bool> {
        Ok(instance == self.instance)
    }

    async fn begin_collection(&self) -> Result<Option<Exclusive>> {
        struct Release(Arc<Mutex<bool>>);
        impl Drop for Release {
            fn drop(&mut self) {
                *self.0.lock().unwrap_or_else(PoisonError::into_inner) = false;
            }
        }
        let mut running = self.collecting.lock().unwrap_or_else(PoisonError::into_inner);
        let free = !std::mem::replace(&mut *running, true);
        Ok(free.then(|| Exclusive::new(Release(self.collecting.clone()))))
    }

    async fn tidy(&self, _: SystemTime) -> Result<u64> {
        Ok(0)
    }
}
