//! The life cycle of items, as the trait has it.

use super::{
    AT_ONCE, ObjectStorage,
    names::{LEASE, ListedGeneration, Marker},
};
use crate::storage::{
    Aged, Capabilities, Condemnation, Condemned, Examined, Exclusive, Fact, FactKey, Grave, InstanceId, Item, ItemKind,
    Lifecycle, ListingPage, Presence, Result, RunId, StorageError, StoreHealth, Why,
};
use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use oci::{Digest, Hasher, Span};
use std::{
    sync::atomic::Ordering,
    time::{Duration, SystemTime},
};

/// Read at once while a blob is examined.
const EXAMINED_AT_ONCE: u64 = 1 << 20;

#[async_trait]
impl Lifecycle for ObjectStorage {
    async fn probe(&self) -> Result<Capabilities> {
        let root = FactKey::Root.path();
        if self.meta(&root).await?.is_none() {
            return Err(StorageError::ReadOnly { why: "ROOT.json is missing from the object store".into() });
        }
        let space = self.objects.space().await.unwrap_or_default();
        Ok(Capabilities { space, read_condemned: self.read_condemned.load(Ordering::Relaxed) })
    }

    fn health(&self) -> StoreHealth {
        StoreHealth { cache: self.cache.as_ref().map(|cache| cache.status()), ..StoreHealth::default() }
    }

    async fn try_write(&self) -> Result<()> {
        if self.meta(&FactKey::Root.path()).await?.is_none() {
            return Err(StorageError::ReadOnly { why: "ROOT.json is missing from the object store".into() });
        }
        let key = format!("state/probe/{}", self.instance.0);
        self.put_object(&key, Bytes::from_static(b"ok\n")).await?;
        self.delete_objects(vec![key]).await
    }

    async fn now(&self) -> Result<SystemTime> {
        let now = self.objects.now().await.map_err(|e| e.during("ask for the time", "the store"))?;
        self.set_clock(now);
        Ok(now)
    }

    async fn settle(&self) -> Result<()> {
        self.objects.settle().await.map_err(|e| e.during("settle", "the store"))
    }

    async fn items(&self, kind: &ItemKind, after: Option<&Item>, most: usize) -> Result<ListingPage<Aged>> {
        self.items_of(kind, after, most).await
    }

    async fn renew(&self, item: &Item, if_older: Duration) -> Result<bool> {
        if let Item::Upload(id) = item {
            return self.renew_session(id).await;
        }
        let Some(renewed) = self.look(item).await?.renewed() else { return Ok(false) };
        if self.idle_for(renewed, if_older) {
            self.put_object(&format!("{}/{LEASE}", item.path()), Bytes::new()).await?;
        }
        Ok(true)
    }

    async fn ensure(&self, items: &[Item]) -> Result<Vec<Presence>> {
        let found: Vec<_> = items.iter().map(|item| self.ensure_item(item)).collect();
        stream::iter(found).buffered(AT_ONCE).try_collect().await
    }

    async fn condemn(&self, item: &Item, run: RunId, why: Why, idle: Duration) -> Result<Condemnation> {
        match item {
            Item::Link(name, digest) => self.memory.see(&FactKey::Layer(name.clone(), digest.clone()), None),
            Item::Revision(name, digest) => self.memory.see(&FactKey::Revision(name.clone(), digest.clone()), None),
            Item::Blob(_) | Item::Upload(_) => {}
        }
        self.condemn_item(item, run, why, idle).await
    }

    async fn condemned(&self, after: Option<&Condemned>, most: usize) -> Result<ListingPage<Grave>> {
        self.condemned_page(after, most).await
    }

    async fn restore(&self, entry: &Condemned) -> Result<bool> {
        self.restore_entry(entry).await
    }

    async fn condemned_value(&self, entry: &Condemned) -> Result<Option<Fact>> {
        self.value_of_entry(entry).await
    }

    async fn purge(&self, entry: &Condemned) -> Result<u64> {
        self.purge_entry(entry).await
    }

    async fn examine(&self, digest: &Digest, run: RunId) -> Result<Examined> {
        let item = Item::Blob(digest.clone());
        self.forget_blob(digest).await;
        let looked = self.look(&item).await?;
        let (mut damaged, mut sound) = (Vec::new(), false);
        let entry = Condemned { run, item: item.clone(), why: Why::Damaged };
        for listed in &looked.generations {
            match self.is_sound(&item, digest, listed).await? {
                None => {}
                Some(true) => sound = true,
                Some(false) => {
                    let path = if damaged.is_empty() { entry.path() } else { String::new() };
                    let marker = Marker { entry: entry.clone(), generation: listed.generation };
                    damaged.push((if path.is_empty() { marker.key() } else { path }, *listed, marker));
                }
            }
        }
        if damaged.is_empty() {
            return Ok(if sound { Examined::Sound } else { Examined::Gone });
        }
        let path = item.path();
        for (_, listed, marker) in &damaged {
            // Kept for a person to look at: the generation itself, under another name.
            let key = format!("{path}/{}", listed.generation);
            let copied = self.objects.copy(&key, &marker.key()).await;
            match copied {
                Ok(()) | Err(crate::storage::objects::ObjectError::Absent) => {}
                Err(error) => return Err(error.during("move to quarantine", &key)),
            }
            self.delete_objects(vec![key]).await?;
            let of_it = looked.markers.iter().filter(|other| other.generation == listed.generation);
            self.delete_objects(of_it.map(Marker::key).collect()).await?;
        }
        let replaced = sound && self.ensure_item(&item).await? != Presence::Missing;
        Ok(Examined::Damaged { quarantined: damaged.into_iter().map(|(path, ..)| path).collect(), replaced })
    }

    /// What a record says is durable, and its note speaks of nothing else.
    fn boot(&self) -> String {
        "stored".to_owned()
    }

    fn instance(&self) -> InstanceId {
        self.instance
    }

    async fn lives(&self, instance: InstanceId) -> Result<bool> {
        self.is_alive(instance).await
    }

    async fn begin_collection(&self) -> Result<Option<Exclusive>> {
        self.collect_alone().await
    }

    async fn tidy(&self, before: SystemTime) -> Result<u64> {
        self.tidy_notes(before).await
    }
}

impl ObjectStorage {
    /// Whether the bytes of a generation have its digest; `None` if it is gone.
    async fn is_sound(&self, item: &Item, digest: &Digest, listed: &ListedGeneration) -> Result<Option<bool>> {
        let Some(segments) = self.segments(item, &listed.generation).await? else { return Ok(None) };
        let blob = super::ObjectBlob::new(self.objects.clone(), segments);
        let (mut hasher, mut at) = (Hasher::new(digest.algorithm()), 0);
        while at < blob.len() {
            let span = Span { start: at, len: EXAMINED_AT_ONCE.min(blob.len() - at) };
            match blob.read(span).await {
                Ok(bytes) => {
                    hasher = crate::storage::work_on(bytes.len(), move || {
                        hasher.update(&bytes);
                        Ok(hasher)
                    })
                    .await?
                }
                Err(StorageError::Damaged { .. }) => return Ok(Some(false)),
                Err(error) => return Err(error),
            }
            at += span.len;
        }
        Ok(Some(hasher.finish() == *digest))
    }
}
