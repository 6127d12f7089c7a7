//! Generations and markers of one item: how it is found, written, superseded and restored.

use super::{
    AT_ONCE, ObjectStorage,
    names::{BytesIn, DataId, Generation, LEASE, ListedGeneration, Marker, data, data_in, graves_of},
};
use crate::storage::{Item, Result, StorageError, Why, objects::ObjectError};
use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use std::time::SystemTime;

/// What is there of an item.
#[derive(Debug, Default)]
pub(super) struct Looked {
    /// In the order in which they were made.
    pub(super) generations: Vec<ListedGeneration>,
    /// When it was last renewed, if it was.
    pub(super) lease: Option<SystemTime>,
    pub(super) markers: Vec<Marker>,
}

impl Looked {
    /// Generations that were not condemned.
    pub(super) fn usable(&self) -> impl DoubleEndedIterator<Item = &ListedGeneration> {
        self.generations.iter().filter(|listed| !self.is_marked(&listed.generation))
    }

    fn is_marked(&self, generation: &Generation) -> bool {
        self.markers.iter().any(|marker| marker.generation.id == generation.id)
    }

    /// Generations from which the item can be restored, the latest first.
    pub(super) fn restorable(&self) -> impl Iterator<Item = &ListedGeneration> {
        let is_deleted = |generation: &Generation| {
            let of_it = self.markers.iter().filter(|marker| marker.generation.id == generation.id);
            of_it.map(|marker| marker.entry.why).any(|why| why != Why::Unreferenced)
        };
        self.generations.iter().rev().filter(move |listed| !is_deleted(&listed.generation))
    }

    /// When the item was last renewed; `None` if nothing usable is there.
    pub(super) fn renewed(&self) -> Option<SystemTime> {
        let written = self.usable().map(|listed| listed.written).max()?;
        Some(self.lease.map_or(written, |lease| written.max(lease)))
    }
}

/// Directories of data that a blob's bytes are in, and their parts in order.
pub(super) type Segments = Vec<(String, u64)>;

impl ObjectStorage {
    /// Lists the generations of an item.
    pub(super) async fn generations(&self, item: &Item) -> Result<Looked> {
        let prefix = format!("{}/", item.path());
        let mut looked = Looked::default();
        for object in self.list_all(&prefix).await? {
            let name = object.key.get(prefix.len()..).unwrap_or_default();
            if name == LEASE {
                looked.lease = Some(object.modified);
            } else if let Some(generation) = Generation::parse(name) {
                looked.generations.push(ListedGeneration { generation, written: object.modified });
            }
        }
        Ok(looked)
    }

    pub(super) async fn markers(&self, item: &Item) -> Result<Vec<Marker>> {
        let markers = self.list_all(&graves_of(item)).await?;
        Ok(markers.iter().filter_map(|object| Marker::parse(&object.key)).collect())
    }

    /// Looks at an item in the order that makes what is usable safe to rely on.
    pub(super) async fn look(&self, item: &Item) -> Result<Looked> {
        #[cfg(test)]
        if self.is(super::Mutant::GenerationsFirst) {
            let looked = self.generations(item).await?;
            return Ok(Looked { markers: self.markers(item).await?, ..looked });
        }
        let markers = self.markers(item).await?;
        Ok(Looked { markers, ..self.generations(item).await? })
    }

    /// Looks at an item, and passes over generations whose bytes are gone: one may be named after its entry was
    /// purged, by a publisher that was stopped for that long.
    pub(super) async fn look_with_bytes(&self, item: &Item) -> Result<Looked> {
        let mut looked = self.look(item).await?;
        let mut whole = Vec::new();
        for listed in std::mem::take(&mut looked.generations) {
            if self.has_bytes(item, &listed.generation).await? {
                whole.push(listed);
            }
        }
        looked.generations = whole;
        Ok(looked)
    }

    pub(super) async fn has_bytes(&self, item: &Item, generation: &Generation) -> Result<bool> {
        let segments = match generation.bytes {
            BytesIn::Itself => return Ok(true),
            BytesIn::One(directory, segment) => vec![(data(directory, segment), generation.len)],
            BytesIn::Many(_) => match self.segments(item, generation).await? {
                Some(segments) => segments.into_iter().next_back().into_iter().collect(),
                None => return Ok(false),
            },
        };
        for (key, len) in segments {
            if self.meta(&key).await?.is_none_or(|meta| meta.len < len) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The objects that hold the bytes of a generation; `None` if the generation is gone.
    pub(super) async fn segments(&self, item: &Item, generation: &Generation) -> Result<Option<Segments>> {
        let key = format!("{}/{generation}", item.path());
        match generation.bytes {
            BytesIn::Itself => Ok(Some(vec![(key, generation.len)])),
            BytesIn::One(directory, segment) => Ok(Some(vec![(data(directory, segment), generation.len)])),
            BytesIn::Many(directory) => match self.whole(&key, crate::storage::key::LONGEST).await? {
                Some((_, value)) => read_segments(directory, &value).map(Some).ok_or_else(|| damaged(&key)),
                None => Ok(None),
            },
        }
    }

    /// The latest generation of a link or a revision, and its value.
    pub(super) async fn latest_value(&self, item: &Item) -> Result<Option<(Bytes, SystemTime)>> {
        loop {
            let looked = self.generations(item).await?;
            let Some(latest) = looked.generations.last() else { return Ok(None) };
            let written = looked.lease.map_or(latest.written, |lease| latest.written.max(lease));
            // Superseded or purged just now: something else is there, or nothing.
            if let Some(value) = self.value(item, &latest.generation).await? {
                return Ok(Some((value, written)));
            }
        }
    }

    /// The value of a generation. It never changes.
    pub(super) async fn value(&self, item: &Item, generation: &Generation) -> Result<Option<Bytes>> {
        if generation.len == 0 && generation.bytes == BytesIn::Itself {
            return Ok(Some(Bytes::new()));
        }
        if let Some(value) = self.memory.value(&generation.id) {
            return Ok(Some(value));
        }
        let key = format!("{}/{generation}", item.path());
        let Some((_, value)) = self.whole(&key, crate::storage::key::LONGEST).await? else { return Ok(None) };
        self.memory.keep_value(generation.id, &value);
        Ok(Some(value))
    }

    /// Writes a generation that holds its value, and removes those that it supersedes. They must have been listed
    /// before: whoever relies on one of them is protected by this one, because all that mark both mark them first.
    pub(super) async fn put_value(&self, item: &Item, value: Bytes, before: &[ListedGeneration]) -> Result<()> {
        let generation = Generation::after(before, value.len() as u64, BytesIn::Itself);
        self.put_object(&format!("{}/{generation}", item.path()), value.clone()).await?;
        self.memory.keep_value(generation.id, &value);
        self.remove_generations(item, before).await
    }

    /// Removes generations of an item, and then their bytes.
    pub(super) async fn remove_generations(&self, item: &Item, generations: &[ListedGeneration]) -> Result<()> {
        let path = item.path();
        let keys = generations.iter().map(|listed| format!("{path}/{}", listed.generation)).collect();
        self.delete_objects(keys).await?;
        for directory in generations.iter().filter_map(|listed| listed.generation.directory()) {
            self.delete_data(directory).await?;
        }
        Ok(())
    }

    /// Removes a directory of bytes.
    pub(super) async fn delete_data(&self, directory: DataId) -> Result<()> {
        let objects = self.list_all(&data_in(directory)).await?;
        self.delete_objects(objects.into_iter().map(|object| object.key).collect()).await
    }

    /// Makes a new generation of the bytes of a condemned one; `false` if that is gone.
    pub(super) async fn copy_generation(
        &self,
        item: &Item,
        from: &Generation,
        before: &[ListedGeneration],
    ) -> Result<bool> {
        let path = item.path();
        let Some(value) = self.value_to_copy(item, from).await? else { return Ok(false) };
        if from.directory().is_none() {
            let generation = Generation::after(before, from.len, BytesIn::Itself);
            self.put_object(&format!("{path}/{generation}"), value).await?;
            return Ok(true);
        }
        let (Item::Blob(digest), Some(segments)) = (item, self.segments(item, from).await?) else { return Ok(false) };
        let directory = DataId::fresh();
        let bytes = match from.bytes {
            BytesIn::One(_, segment) => BytesIn::One(directory, segment),
            BytesIn::Itself | BytesIn::Many(_) => BytesIn::Many(directory),
        };
        let generation = Generation::after(before, from.len, bytes);
        // The record by which an interrupted copy is found and removed.
        let record = self.begin_copy(digest, &generation).await?;
        let copies: Vec<_> = segments.iter().map(|(key, _)| self.copy_segment(key, directory)).collect();
        if stream::iter(copies)
            .buffer_unordered(AT_ONCE)
            .try_fold(true, |all, one| async move { Ok(all && one) })
            .await?
        {
            self.put_object(&format!("{path}/{generation}"), value).await?;
            self.delete_objects(vec![record]).await?;
            return Ok(true);
        }
        self.delete_data(directory).await?;
        self.delete_objects(vec![record]).await?;
        Ok(false)
    }

    /// Copies an object to a directory of bytes; `false` if it is gone.
    pub(super) async fn copy_segment(&self, key: &str, to: DataId) -> Result<bool> {
        let name = key.rsplit_once('/').map_or(key, |(_, name)| name);
        match self.objects.copy(key, &format!("{}{name}", data_in(to))).await {
            Ok(()) => Ok(true),
            Err(ObjectError::Absent) => Ok(false),
            Err(error) => Err(error.during("copy", key)),
        }
    }

    async fn value_to_copy(&self, item: &Item, from: &Generation) -> Result<Option<Bytes>> {
        match from.bytes {
            // The name says everything.
            BytesIn::One(..) => Ok(Some(Bytes::new())),
            BytesIn::Itself | BytesIn::Many(_) => {
                let key = format!("{}/{from}", item.path());
                Ok(self.whole(&key, u64::MAX).await?.map(|(_, value)| value))
            }
        }
    }
}

/// Segments as a generation lists them: name and length, one a line.
pub(super) fn write_segments(segments: &[(DataId, u64)]) -> Bytes {
    segments.iter().map(|(name, len)| format!("{name} {len}\n")).collect::<String>().into()
}

fn read_segments(directory: DataId, value: &[u8]) -> Option<Segments> {
    let text = std::str::from_utf8(value).ok()?;
    let segment = |line: &str| {
        let (name, len) = line.split_once(' ')?;
        Some((data(directory, name.parse().ok()?), len.parse().ok()?))
    };
    text.lines().map(segment).collect()
}

fn damaged(key: &str) -> StorageError {
    StorageError::damaged(key, "it does not list objects and their lengths")
}
