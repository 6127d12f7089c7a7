//! Storage in memory: the simplest code that keeps the promises, for tests and for readers.

mod lifecycle;

use super::{
    Appended, Blob, Condemnation, Condemned, Content, Dir, Durability, Expect, Fact, FactKey, Facts, InstanceId, Item,
    ListingPage, OutlineNames, OutlineStamp, Published, Put, PutOutcome, RepositoryOutline, Result, StorageError,
    TakenIn, TakenOver, UploadProgress, UploadTurn, Verified, Why, content::TakenInBytes, key,
};
use crate::files::{IntakeMode, IntakeWay};
use async_trait::async_trait;
use bytes::Bytes;
use oci::{Algorithm, Digest, Hasher, RepositoryName, UploadId};
use std::{
    collections::{BTreeMap, BTreeSet},
    io::{self, Read as _},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

/// A store that lasts as long as the process.
pub struct Mem {
    state: Mutex<MemState>,
    collecting: Arc<Mutex<bool>>,
    instance: InstanceId,
}

impl Default for Mem {
    fn default() -> Self {
        let root = fact(Bytes::from_static(b"{\"features\":[]}"));
        let state = MemState { files: BTreeMap::from([(FactKey::Root.path(), root)]), ..MemState::default() };
        Self { state: Mutex::new(state), collecting: Arc::default(), instance: InstanceId::fresh() }
    }
}

/// All values by the paths that a file system would use.
#[derive(Default)]
struct MemState {
    files: BTreeMap<String, Fact>,
    uploads: BTreeMap<UploadId, MemUpload>,
    /// Entries of the graveyard by path, with the value to restore.
    graves: BTreeMap<String, (Condemned, Buried)>,
}

#[derive(Clone)]
struct MemUpload {
    data: Vec<u8>,
    facts: Bytes,
    sealed: bool,
    touched: SystemTime,
}

#[derive(Clone)]
enum Buried {
    File(Fact),
    Upload(MemUpload),
}

impl Mem {
    fn state(&self) -> MutexGuard<'_, MemState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn fact(bytes: Bytes) -> Fact {
    Fact { bytes, written: SystemTime::now() }
}

fn idle_for(time: SystemTime, idle: Duration) -> bool {
    idle.is_zero() || SystemTime::now().duration_since(time).is_ok_and(|age| age >= idle)
}

impl MemState {
    /// Names directly below `dir`, each with whether it has children, in byte order.
    fn level(&self, dir: &str) -> BTreeMap<String, bool> {
        let prefix = format!("{dir}/");
        let below = self.files.range(prefix.clone()..).take_while(|(path, _)| path.starts_with(&prefix));
        let mut names = BTreeMap::new();
        for (path, _) in below {
            match path[prefix.len()..].split_once('/') {
                Some((name, _)) => names.insert(name.to_owned(), true),
                None => names.insert(path[prefix.len()..].to_owned(), false),
            };
        }
        names
    }

    fn take(&mut self, item: &Item) -> Option<Buried> {
        match item {
            Item::Upload(id) => self.uploads.remove(id).map(Buried::Upload),
            other => self.files.remove(&other.path()).map(Buried::File),
        }
    }

    fn age(&self, item: &Item) -> Option<(SystemTime, u64)> {
        match item {
            Item::Upload(id) => self.uploads.get(id).map(|s| (s.touched, s.data.len() as u64)),
            other => self.files.get(&other.path()).map(|f| (f.written, f.bytes.len() as u64)),
        }
    }

    fn restore(&mut self, entry: &Condemned) -> bool {
        if self.age(&entry.item).is_some() {
            return self.graves.contains_key(&entry.path());
        }
        match self.graves.get(&entry.path()).cloned() {
            Some((_, Buried::File(file))) => {
                self.files.insert(entry.item.path(), file);
                true
            }
            Some((condemned, Buried::Upload(session))) => {
                if let Item::Upload(id) = condemned.item {
                    self.uploads.insert(id, session);
                }
                self.graves.remove(&entry.path());
                true
            }
            None => false,
        }
    }

    /// Entries from which an item could be restored, the latest first.
    fn graves(&self, item: &Item) -> Vec<Condemned> {
        let entries = self.graves.values().map(|(entry, _)| entry);
        entries.filter(|entry| entry.item == *item && entry.why == Why::Unreferenced).rev().cloned().collect()
    }

    /// The live value, or one that could be restored.
    fn find(&self, item: &Item) -> Option<Fact> {
        self.files.get(&item.path()).cloned().or_else(|| {
            let buried = self.graves(item).into_iter().find_map(|entry| self.graves.get(&entry.path()));
            buried.and_then(|(_, buried)| match buried {
                Buried::File(file) => Some(file.clone()),
                Buried::Upload(_) => None,
            })
        })
    }

    fn outline(&self, name: &RepositoryName) -> RepositoryOutline {
        let dirs = key::outline_dirs(name);
        let times = |dir: &String| {
            let prefix = format!("{dir}/");
            let files = self.files.range(prefix.clone()..).take_while(move |(path, _)| path.starts_with(&prefix));
            files.map(|(_, file)| file.written).collect::<Vec<_>>()
        };
        let digests = |dirs: &[String]| -> BTreeSet<Digest> {
            let of_dir = |(dir, algorithm): (&String, Algorithm)| {
                let names = self.level(dir).into_keys();
                names.filter_map(move |hex| format!("{algorithm}:{hex}").parse().ok()).collect::<Vec<_>>()
            };
            dirs.iter().zip(Algorithm::ALL).flat_map(of_dir).collect()
        };
        let (manifests, linked) = (digests(&dirs[1..3]), digests(&dirs[3..]));
        let len = |digest: &Digest| self.files.get(&key::blob(digest)).map_or(0, |file| file.bytes.len() as u64);
        let pushed = times(&dirs[0]);
        RepositoryOutline {
            tags: pushed.len() as u64,
            manifests: manifests.len() as u64,
            blobs: linked.difference(&manifests).count() as u64,
            bytes: manifests.union(&linked).map(len).sum(),
            pushed: pushed.into_iter().max(),
            changed: dirs.iter().flat_map(times).max(),
            names: OutlineNames::of(&self.level(&dirs[0]).into_keys().collect::<Vec<_>>(), manifests.iter()),
            stamp: None,
        }
    }

    fn publish(&mut self, verified: &Verified, bytes: Bytes) -> Published {
        let path = Item::Blob(verified.digest().clone()).path();
        let before = self.files.insert(path, fact(bytes.clone()));
        match before {
            None => Published::New,
            Some(before) if before.bytes.len() == bytes.len() => Published::Existed,
            Some(_) => Published::Healed,
        }
    }
}

#[async_trait]
impl Facts for Mem {
    async fn get(&self, key: &FactKey) -> Result<Option<Fact>> {
        let state = self.state();
        Ok(match key.item() {
            Some(item) => state.find(&item),
            None => state.files.get(&key.path()).cloned(),
        })
    }

    async fn put(&self, puts: Vec<Put>, _: Durability) -> Result<PutOutcome> {
        let mut state = self.state();
        for (i, put) in puts.iter().enumerate() {
            let found = state.files.get(&put.key.path());
            if !put.expect.holds(found) {
                return Ok(PutOutcome::Conflict(i));
            }
        }
        for put in puts {
            let fact = Fact { bytes: put.bytes, written: put.since.unwrap_or_else(SystemTime::now) };
            state.files.insert(put.key.path(), fact);
        }
        Ok(PutOutcome::Done)
    }

    async fn delete(&self, key: &FactKey, expect: Expect) -> Result<bool> {
        let mut state = self.state();
        let path = key.path();
        let found = state.files.get(&path);
        if found.is_none() || !expect.holds(found) {
            return Ok(false);
        }
        Ok(state.files.remove(&path).is_some())
    }

    async fn discard(&self, key: &FactKey) -> Result<()> {
        self.state().files.remove(&key.path());
        Ok(())
    }

    async fn rename(&self, from: &FactKey, to: &FactKey) -> Result<bool> {
        let mut state = self.state();
        let value = state.files.remove(&from.path());
        Ok(value.map(|value| state.files.insert(to.path(), value)).is_some())
    }

    async fn children(&self, dir: &Dir, after: Option<&str>, most: usize) -> Result<ListingPage<String>> {
        let wants_dirs = dir.holds_directories();
        let level = self.state().level(&dir.path());
        let mut names = level.into_iter().filter(|(name, is_dir)| {
            *is_dir == wants_dirs && dir.lists(name) && after.is_none_or(|a| name.as_str() > a)
        });
        let entries = names.by_ref().take(most).map(|(name, _)| name).collect();
        Ok(ListingPage { entries, more: names.next().is_some() })
    }

    async fn outlines(
        &self,
        asked: Vec<(RepositoryName, Option<OutlineStamp>)>,
    ) -> Result<Vec<Option<RepositoryOutline>>> {
        let state = self.state();
        Ok(asked.iter().map(|(name, _)| Some(state.outline(name))).collect())
    }
}

#[async_trait]
impl Content for Mem {
    async fn begin(&self, id: &UploadId, facts: Bytes) -> Result<()> {
        let session = MemUpload { data: Vec::new(), facts, sealed: false, touched: SystemTime::now() };
        self.state().uploads.insert(*id, session);
        Ok(())
    }

    async fn note(&self, id: &UploadId, turn: &UploadTurn, was: &Bytes, facts: Bytes) -> Result<bool> {
        let mut state = self.state();
        let session = state.uploads.get_mut(id).filter(|session| !turn.is_over() && session.facts == *was);
        Ok(session.map(|session| session.facts = facts).is_some())
    }

    async fn append(
        &self,
        id: &UploadId,
        turn: &UploadTurn,
        at: u64,
        bytes: Vec<Bytes>,
        mut hasher: Hasher,
    ) -> Result<(Appended, Hasher)> {
        let mut state = self.state();
        let Some(session) = state.uploads.get_mut(id).filter(|session| !session.sealed && !turn.is_over()) else {
            return Ok((Appended::Gone, hasher));
        };
        if session.data.len() as u64 != at {
            return Ok((Appended::At(session.data.len() as u64), hasher));
        }
        for part in &bytes {
            session.data.extend_from_slice(part);
            hasher.update(part);
        }
        session.touched = SystemTime::now();
        Ok((Appended::To(session.data.len() as u64), hasher))
    }

    async fn take_over(
        &self,
        id: &UploadId,
        turn: &UploadTurn,
        to: u64,
        was: &Bytes,
        facts: Bytes,
    ) -> Result<TakenOver> {
        let mut state = self.state();
        let Some(session) = state.uploads.get_mut(id) else { return Ok(TakenOver::Gone) };
        let len = session.data.len() as u64;
        if len < to {
            return Ok(TakenOver::At(len));
        }
        if len > to && session.facts != *was {
            return Ok(TakenOver::Changed);
        }
        if len > to {
            session.data.truncate(to as usize);
            session.facts = facts;
            session.touched = SystemTime::now();
        }
        session.sealed = false;
        Ok(TakenOver::Yes(turn.next()))
    }

    async fn progress(&self, id: &UploadId) -> Result<Option<UploadProgress>> {
        Ok(self.state().uploads.get(id).map(|session| UploadProgress {
            len: session.data.len() as u64,
            facts: session.facts.clone(),
            sealed: session.sealed,
            touched: session.touched,
        }))
    }

    async fn read_upload(&self, id: &UploadId) -> Result<Option<Blob>> {
        Ok(self.state().uploads.get(id).map(|session| Blob::memory(session.data.clone().into())))
    }

    async fn seal(&self, id: &UploadId, turn: &UploadTurn) -> Result<Option<Blob>> {
        let mut state = self.state();
        Ok(state.uploads.get_mut(id).filter(|_| !turn.is_over()).map(|session| {
            session.sealed = true;
            Blob::memory(session.data.clone().into())
        }))
    }

    async fn publish(&self, id: &UploadId, turn: &UploadTurn, verified: &Verified) -> Result<Published> {
        let mut state = self.state();
        if turn.is_over() {
            return Ok(Published::Gone);
        }
        let is_verified = |session: &MemUpload| session.sealed || session.data.len() as u64 == verified.len();
        if state.uploads.get(id).is_some_and(|session| !is_verified(session)) {
            return Ok(Published::Differs);
        }
        Ok(match state.uploads.remove(id) {
            Some(session) => state.publish(verified, session.data.into()),
            None => Published::Gone,
        })
    }

    async fn put_blob(&self, verified: &Verified, bytes: Bytes) -> Result<Published> {
        Ok(self.state().publish(verified, bytes))
    }

    async fn take_in(
        &self,
        from: Arc<std::fs::File>,
        _mode: IntakeMode,
        mut hasher: Hasher,
    ) -> Result<(TakenIn, Hasher)> {
        let mut bytes = Vec::new();
        (&*from).read_to_end(&mut bytes).map_err(|e| StorageError::io("read", "a file from outside", e))?;
        hasher.update(&bytes);
        let taken =
            TakenIn { len: bytes.len() as u64, way: IntakeWay::Copy, bytes: TakenInBytes::Memory(bytes.into()) };
        Ok((taken, hasher))
    }

    async fn publish_taken_in(&self, blobs: Vec<(TakenIn, Verified)>) -> Result<Vec<Published>> {
        let publish = |(taken, verified): (TakenIn, Verified)| match taken.bytes {
            TakenInBytes::Memory(bytes) => Ok(self.state().publish(&verified, bytes)),
            TakenInBytes::File(_) | TakenInBytes::Upload(_) => {
                Err(StorageError::io("publish", "a blob", io::ErrorKind::InvalidInput.into()))
            }
        };
        blobs.into_iter().map(publish).collect()
    }

    async fn drop_taken_in(&self, _: TakenIn) -> Result<()> {
        Ok(())
    }

    async fn abandon(&self, id: &UploadId, turn: &UploadTurn, idle: Duration) -> Result<Condemnation> {
        let mut state = self.state();
        match state.uploads.get(id) {
            None => Ok(Condemnation::Gone),
            Some(session) if turn.is_over() || !idle_for(session.touched, idle) => Ok(Condemnation::Renewed),
            Some(_) => {
                state.uploads.remove(id);
                Ok(Condemnation::Condemned)
            }
        }
    }

    async fn open(&self, digest: &Digest) -> Result<Option<Blob>> {
        Ok(self.state().find(&Item::Blob(digest.clone())).map(|fact| Blob::memory(fact.bytes)))
    }
}
