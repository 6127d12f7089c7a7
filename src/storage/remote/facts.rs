//! Small values at typed keys.
//!
//! A condition is checked by the server: with the ETag of what was read. Where it has no such conditions, one process
//! at a time writes and a lock in memory is as good; if several write, what needs conditions is refused.
//!
//! An ETag is a hash of the bytes, mostly: a value that was written again has the same. Where that matters, because it is
//! removed only if it was not written again, each write ends with a mark of its own.

use super::{AT_ONCE, ObjectStorage, generations::Looked};
use crate::files::world;
use crate::storage::{
    ArtifactKey, Dir, Durability, Expect, Fact, FactKey, Facts, Item, ListingPage, OutlineStamp, Put, PutOutcome,
    RepositoryOutline, Result, StorageError,
    key::STEPS,
    objects::{ObjectError, ObjectTag, PutWhen},
};
use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use oci::RepositoryName;

/// Stands at the key of a value that was removed under a condition, where the server cannot do that itself. It counts as
/// no value.
pub(super) const TOMBSTONE: &[u8] = b"wharfinger: this was removed\n";

/// What is at a key.
#[derive(Default)]
struct AtKey {
    fact: Option<Fact>,
    /// The state of the object, if there is one.
    tag: Option<ObjectTag>,
    exists: bool,
    /// What there is of the item whose value this is, if it is one's.
    looked: Option<Looked>,
}

impl ObjectStorage {
    async fn at(&self, key: &FactKey) -> Result<AtKey> {
        if let Some(item) = key.item() {
            let value = self.latest_value(&item).await?;
            let fact = value.map(|(bytes, written)| Fact { bytes, written });
            return Ok(AtKey { fact, ..AtKey::default() });
        }
        let longest = key.longest() + MARK_LEN as u64;
        let Some((meta, bytes)) = self.whole(&key.path(), longest).await? else { return Ok(AtKey::default()) };
        let fact = (bytes != TOMBSTONE).then(|| Fact { bytes: without_mark(key, bytes), written: meta.modified });
        Ok(AtKey { fact, tag: meta.tag, exists: true, looked: None })
    }

    /// What a write needs to know of its key before.
    async fn before(&self, put: &Put) -> Result<AtKey> {
        let at = match put.expect {
            Expect::Any => AtKey::default(),
            _ => self.at(&put.key).await?,
        };
        Ok(match put.key.item() {
            Some(item) => AtKey { looked: Some(self.generations(&item).await?), ..at },
            None => at,
        })
    }

    /// How the server is to check a condition that held a moment ago.
    fn condition(&self, expect: &Expect, at: &AtKey, key: &str) -> Result<PutWhen> {
        let abilities = self.objects.abilities();
        let when = match (expect, &at.tag) {
            (Expect::Any, _) => PutWhen::Any,
            (_, None) if !at.exists => PutWhen::Absent,
            (_, Some(tag)) => PutWhen::Is(tag.clone()),
            (_, None) => PutWhen::Any,
        };
        let is_able = match when {
            PutWhen::Any => *expect == Expect::Any,
            PutWhen::Absent => abilities.put_absent,
            PutWhen::Is(_) => abilities.put_match,
        };
        match is_able {
            true => Ok(when),
            // No other process writes, and this one holds the lock.
            false if !abilities.shared => Ok(PutWhen::Any),
            false => {
                let error = std::io::Error::new(
                    std::io::ErrorKind::Unsupported,
                    "the object store has no conditional writes, which this needs",
                );
                Err(StorageError::io("write", key, error))
            }
        }
    }

    /// Writes one value; `false` if its condition does not hold any more.
    async fn write(&self, put: Put, before: AtKey) -> Result<bool> {
        if let Some(item) = put.key.item() {
            let generations = before.looked.map(|looked| looked.generations).unwrap_or_default();
            return self.put_value(&item, put.bytes, &generations).await.map(|()| true);
        }
        let key = put.key.path();
        let when = self.condition(&put.expect, &before, &key)?;
        let bytes = marked(&put.key, put.bytes);
        match self.objects.put(&key, vec![bytes.clone()], when).await {
            Ok(_) => Ok(true),
            // The answer to a first attempt may have been lost.
            Err(ObjectError::Changed) => {
                let found = self.whole(&key, put.key.longest() + MARK_LEN as u64).await?;
                Ok(found.is_some_and(|(_, found)| found == bytes))
            }
            Err(error) => Err(error.during("write", &key)),
        }
    }

    /// Removes a value under a condition that held for what was read.
    async fn remove(&self, key: &str, at: &AtKey) -> Result<bool> {
        let abilities = self.objects.abilities();
        let removed = match &at.tag {
            Some(tag) if abilities.delete_match => self.objects.delete_match(key, tag).await,
            Some(tag) if abilities.put_match => {
                let tombstone = vec![Bytes::from_static(TOMBSTONE)];
                self.objects.put(key, tombstone, PutWhen::Is(tag.clone())).await.map(drop)
            }
            _ => self.objects.delete(vec![key.to_owned()]).await,
        };
        match removed {
            Ok(()) => Ok(true),
            Err(ObjectError::Changed) => Ok(false),
            Err(error) => Err(error.during("delete", key)),
        }
    }

    /// Removes the values of a link or a revision that meet the condition: those that were read, and no newer one.
    async fn remove_value(&self, item: &Item, expect: &Expect) -> Result<bool> {
        let looked = self.generations(item).await?;
        let Some((bytes, written)) = self.latest_value(item).await? else { return Ok(false) };
        if !expect.holds(Some(&Fact { bytes, written })) {
            return Ok(false);
        }
        self.remove_generations(item, &looked.generations).await?;
        Ok(!looked.generations.is_empty())
    }
}

#[async_trait]
impl Facts for ObjectStorage {
    async fn get(&self, key: &FactKey) -> Result<Option<Fact>> {
        let fact = self.at(key).await?.fact;
        if self.cache.is_some() && is_pulled(key) {
            self.memory.see(key, fact.as_ref());
        }
        Ok(fact)
    }

    fn last_seen(&self, key: &FactKey) -> Option<Fact> {
        self.memory.seen(key)
    }

    async fn get_all(&self, keys: Vec<FactKey>) -> Result<Vec<Result<Option<Fact>>>> {
        let reads: Vec<_> = keys.iter().map(|key| self.get(key)).collect();
        Ok(stream::iter(reads).buffered(AT_ONCE).collect().await)
    }

    async fn put(&self, puts: Vec<Put>, _: Durability) -> Result<PutOutcome> {
        let mut locks = Vec::new();
        for lock in self.writing.of_each(puts.iter().map(|put| &put.key)) {
            locks.push(lock.lock().await);
        }
        puts.iter().for_each(|put| self.memory.see(&put.key, None));
        if puts.iter().any(|put| matches!(put.key, FactKey::Intent(..) | FactKey::Artifact(_))) {
            self.say_alive().await?;
        }
        let befores: Vec<_> = puts.iter().map(|put| self.before(put)).collect();
        let befores: Vec<AtKey> = stream::iter(befores).buffered(AT_ONCE).try_collect().await?;
        let conflict = puts.iter().zip(&befores).position(|(put, at)| !put.expect.holds(at.fact.as_ref()));
        if let Some(conflict) = conflict {
            return Ok(PutOutcome::Conflict(conflict));
        }
        let mut steps: [Vec<(usize, Put, AtKey)>; STEPS] = Default::default();
        for (i, (put, before)) in puts.into_iter().zip(befores).enumerate() {
            if let Some(step) = steps.get_mut(put.key.step()) {
                step.push((i, put, before));
            }
        }
        for step in steps {
            // Those with a condition first: if one fails now, another replica was faster, and the rest stays.
            let (conditional, free): (Vec<_>, Vec<_>) =
                step.into_iter().partition(|(_, put, _)| put.expect != Expect::Any);
            for (i, put, before) in conditional {
                if !self.write(put, before).await? {
                    return Ok(PutOutcome::Conflict(i));
                }
            }
            let writes: Vec<_> = free.into_iter().map(|(_, put, before)| self.write(put, before)).collect();
            stream::iter(writes).buffer_unordered(AT_ONCE).try_for_each(|_| async { Ok(()) }).await?;
        }
        Ok(PutOutcome::Done)
    }

    async fn delete(&self, key: &FactKey, expect: Expect) -> Result<bool> {
        let _lock = self.writing.of(key).lock().await;
        self.memory.see(key, None);
        if let Some(item) = key.item() {
            return self.remove_value(&item, &expect).await;
        }
        loop {
            let at = self.at(key).await?;
            if at.fact.is_none() || !expect.holds(at.fact.as_ref()) {
                return Ok(false);
            }
            if expect == Expect::Any {
                return self.delete_objects(vec![key.path()]).await.map(|()| true);
            }
            if self.remove(&key.path(), &at).await? {
                return Ok(true);
            }
        }
    }

    async fn discard(&self, key: &FactKey) -> Result<()> {
        match key.item() {
            Some(item) => self.remove_value(&item, &Expect::Any).await.map(drop),
            None => self.delete_objects(vec![key.path()]).await,
        }
    }

    async fn rename(&self, from: &FactKey, to: &FactKey) -> Result<bool> {
        let Some(fact) = self.get(from).await? else { return Ok(false) };
        // In both places for a moment: whoever looks for it finds it in one of them.
        self.put_object(&to.path(), fact.bytes).await?;
        self.delete_objects(vec![from.path()]).await?;
        Ok(true)
    }

    async fn children(&self, dir: &Dir, after: Option<&str>, most: usize) -> Result<ListingPage<String>> {
        self.names_in(dir, after, most).await
    }

    async fn outlines(
        &self,
        asked: Vec<(RepositoryName, Option<OutlineStamp>)>,
    ) -> Result<Vec<Option<RepositoryOutline>>> {
        let outlines: Vec<_> = asked.iter().map(|(name, _)| self.outline(name)).collect();
        stream::iter(outlines).buffered(4).map_ok(Some).try_collect().await
    }

    async fn hold_any(&self, dirs: Vec<Dir>) -> Result<Vec<bool>> {
        let found: Vec<_> = dirs.iter().map(|dir| self.names_in(dir, None, 1)).collect();
        stream::iter(found).buffered(AT_ONCE).map_ok(|page| !page.entries.is_empty()).try_collect().await
    }
}

/// Length of the mark of a write: `#`, a ULID, and a line feed.
const MARK_LEN: usize = ulid::ULID_LEN + 2;

/// Whether values at a key end with the mark of their write.
fn has_marks(key: &FactKey) -> bool {
    matches!(key, FactKey::Tag(..) | FactKey::Artifact(ArtifactKey::Record(..) | ArtifactKey::Trash(..)))
}

/// A value as it is written.
fn marked(key: &FactKey, value: Bytes) -> Bytes {
    match has_marks(key) {
        true => [&value[..], format!("#{}\n", world::ulid()).as_bytes()].concat().into(),
        false => value,
    }
}

/// A value as it was given.
fn without_mark(key: &FactKey, bytes: Bytes) -> Bytes {
    let Some(len) = bytes.len().checked_sub(MARK_LEN).filter(|_| has_marks(key)) else { return bytes };
    let mark = bytes.get(len..).and_then(|mark| std::str::from_utf8(mark).ok());
    let is_mark = mark
        .and_then(|mark| mark.strip_prefix('#')?.strip_suffix('\n'))
        .is_some_and(|id| id.parse::<ulid::Ulid>().is_ok());
    if is_mark { bytes.slice(..len) } else { bytes }
}

/// Whether a pull needs this value.
fn is_pulled(key: &FactKey) -> bool {
    matches!(key, FactKey::Tag(..) | FactKey::Revision(..) | FactKey::Layer(..))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::objects::{
        MemObjects, Objects,
        faulty::{FaultyObjects, ObjectFaults},
    };
    use std::sync::Arc;

    /// A value that is written again while another replica removes it stays, although its bytes are the same.
    #[tokio::test]
    async fn a_value_that_is_written_again_is_not_removed_as_the_one_that_was_there_before() {
        let key = FactKey::Tag("app".parse().unwrap(), "v1".parse().unwrap());
        let value = Put::any(key.clone(), "sha256:0\n");
        for at in 1.. {
            let objects: Arc<dyn Objects> = Arc::new(MemObjects::default());
            let one = ObjectStorage::open(objects.clone(), true).await.unwrap();
            one.put(vec![value.clone()], Durability::Durable).await.unwrap();
            let found = one.get(&key).await.unwrap().unwrap();
            assert_eq!(found.bytes, value.bytes);
            let calls = FaultyObjects::new(objects, ObjectFaults::WaitsAt(at));
            let two = ObjectStorage::open(calls.clone(), false).await.unwrap();
            let again = async {
                calls.reached.notified().await;
                one.put(vec![value.clone()], Durability::Durable).await.unwrap();
                calls.resume.notify_one();
            };
            let (mut again, mut removal) =
                (std::pin::pin!(again), std::pin::pin!(two.delete(&key, Expect::Unchanged(found))));
            tokio::select! {
                removed = &mut removal => {
                    assert!(removed.unwrap(), "nobody wrote it again");
                    return;
                }
                () = &mut again => {
                    assert!(!removal.await.unwrap(), "at call {at}");
                    assert!(one.get(&key).await.unwrap().is_some(), "at call {at}");
                }
            }
        }
    }
}
