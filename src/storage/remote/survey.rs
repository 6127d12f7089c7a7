//! What a check sees of objects: the layout of a directory, which is the one that checks know. An item is one file
//! there, whichever generations it has. What is condemned, uploads and the bytes that belong to them have no place in it.

use super::{
    AT_ONCE, LIST_PAGE, ObjectStorage,
    facts::TOMBSTONE,
    generations::Looked,
    names::{self, Generation, ListedGeneration},
};
use crate::{
    files::{FileKind, Meta},
    storage::{
        Durability, Examined, Expect, FactKey, Facts as _, Item, Lifecycle as _, Put, PutOutcome, Result, RunId,
        StorageError, StoreSurvey, Version, Why,
        key::{QUARANTINE, StorePlace},
    },
};
use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use oci::{Algorithm, Digest, Hasher, Span};
use std::{collections::HashMap, sync::Arc, time::SystemTime};
use tokio::runtime::Handle;

/// What is checked at the top.
const TOP: [(&str, FileKind); 6] = [
    ("ROOT.json", FileKind::File),
    ("artifacts", FileKind::Directory),
    ("blobs", FileKind::Directory),
    ("identity", FileKind::Directory),
    ("quarantine", FileKind::Directory),
    ("repositories", FileKind::Directory),
];

/// Read at once while bytes are hashed.
const STEP: u64 = 1 << 20;

/// A store of objects that is checked.
pub struct ObjectSurvey {
    store: Arc<ObjectStorage>,
    runtime: Handle,
}

/// What was copied to quarantine, and is to be removed from its place.
enum WrongObject {
    Fact(FactKey, Version),
    Item(Item, Vec<ListedGeneration>),
    Other(String),
}

impl ObjectSurvey {
    /// A view for a thread that may block, while another one runs `runtime`.
    pub fn new(store: Arc<ObjectStorage>, runtime: Handle) -> Self {
        Self { store, runtime }
    }

    fn run<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.block_on(work)
    }
}

impl StoreSurvey for ObjectSurvey {
    fn list(&self, dir: &str) -> Result<Vec<(String, FileKind)>> {
        match dir {
            "." => Ok(TOP.map(|(name, kind)| (name.to_owned(), kind)).to_vec()),
            dir => self.run(self.store.surveyed_names(dir)),
        }
    }

    fn meta(&self, path: &str) -> Result<Option<Meta>> {
        self.run(self.store.surveyed_meta(path))
    }

    fn metas(&self, dir: &str, names: &[&str]) -> Result<Vec<Option<Meta>>> {
        self.run(self.store.surveyed_metas(dir, names))
    }

    fn read(&self, path: &str, most: u64) -> Result<Option<Bytes>> {
        let found = self.run(self.store.surveyed_value(path, most))?;
        match found {
            Some(bytes) if bytes.len() as u64 > most => {
                Err(StorageError::damaged(path, format!("it is longer than {most} bytes")))
            }
            found => Ok(found),
        }
    }

    fn digest(&self, path: &str, algorithm: Algorithm, each: &mut dyn FnMut(u64)) -> Result<Option<Digest>> {
        let Some(Item::Blob(digest)) = names::item(path) else { return Ok(None) };
        self.run(async {
            let Some(blob) = self.store.find_blob(&digest).await? else { return Ok(None) };
            let (mut hasher, mut at) = (Hasher::new(algorithm), 0);
            while at < blob.len() {
                let span = Span { start: at, len: STEP.min(blob.len() - at) };
                match blob.read(span).await {
                    Ok(bytes) => hasher.update(&bytes),
                    // What is cut off does not have its digest either.
                    Err(StorageError::Damaged { .. }) => break,
                    Err(error) => return Err(error),
                }
                at += span.len;
                each(span.len);
            }
            Ok(Some(hasher.finish()))
        })
    }

    fn find<T>(&self, item: &Item, read: impl Fn(&str) -> Result<Option<T>>) -> Result<Option<T>> {
        // Condemned generations that can be restored are at the same path.
        read(&item.path())
    }

    fn was_deleted(&self, item: &Item) -> Result<bool> {
        self.run(async {
            if self.store.markers(item).await?.iter().any(|marker| marker.entry.why == Why::Deleted) {
                return Ok(true);
            }
            // After the graves, because the record is written before one of them is purged.
            match item {
                Item::Link(name, digest) | Item::Revision(name, digest) => {
                    Ok(self.store.get(&FactKey::Deleted(name.clone(), digest.clone())).await?.is_some())
                }
                Item::Blob(_) | Item::Upload(_) => Ok(false),
            }
        })
    }

    fn quarantine(
        &self,
        run: RunId,
        path: &str,
        is_wrong: impl FnOnce(&str) -> Result<bool>,
    ) -> Result<Option<String>> {
        let to = format!("{QUARANTINE}/{}/{path}", run.0);
        let Some(wrong) = self.run(self.store.copy_wrong(path, &to))? else { return Ok(None) };
        let is_removed = match is_wrong(&to) {
            Ok(true) => self.run(self.store.remove_wrong(wrong)),
            verdict => verdict,
        };
        if !matches!(is_removed, Ok(true)) {
            // It was replaced meanwhile, or is right.
            self.run(self.store.delete_objects(vec![to.clone()]))?;
        }
        is_removed.map(|is_removed| is_removed.then_some(to))
    }

    fn examine(&self, digest: &Digest, run: RunId) -> Result<Examined> {
        self.run(self.store.examine(digest, run))
    }

    fn add(&self, key: FactKey, bytes: impl Into<Bytes>) -> Result<bool> {
        let put = Put::when(key, bytes, Expect::Absent);
        Ok(self.run(self.store.put(vec![put], Durability::Durable))? == PutOutcome::Done)
    }
}

fn meta(kind: FileKind, len: u64, modified: SystemTime) -> Meta {
    let mode = if kind == FileKind::Directory { 0o700 } else { 0o600 };
    Meta { kind, len, modified, mode, links: 1 }
}

impl ObjectStorage {
    async fn surveyed_names(&self, dir: &str) -> Result<Vec<(String, FileKind)>> {
        let (mut names, mut after) = (Vec::new(), None::<String>);
        loop {
            let level = self.objects.level(dir, after.as_deref(), LIST_PAGE).await;
            let level = level.map_err(|e| e.during("list", dir))?;
            after = level.names.last().map(|(name, is_dir)| if *is_dir { format!("{name}/") } else { name.clone() });
            names.extend(level.names.into_iter().map(|(name, is_dir)| {
                let is_file = !is_dir || names::item(&format!("{dir}/{name}")).is_some();
                (name, if is_file { FileKind::File } else { FileKind::Directory })
            }));
            if !level.more || after.is_none() {
                return Ok(names);
            }
        }
    }

    async fn surveyed_meta(&self, path: &str) -> Result<Option<Meta>> {
        if let Some(item) = names::item(path) {
            return Ok(meta_of_item(&self.generations(&item).await?));
        }
        match self.meta(path).await? {
            Some(found) if found.len == TOMBSTONE.len() as u64 => {
                let is_there = self.surveyed_value(path, found.len).await?.is_some();
                Ok(is_there.then(|| meta(FileKind::File, found.len, found.modified)))
            }
            Some(found) => Ok(Some(meta(FileKind::File, found.len, found.modified))),
            None => {
                let below =
                    self.objects.list(&format!("{path}/"), None, 1).await.map_err(|e| e.during("list", path))?;
                Ok(below.objects.first().map(|first| meta(FileKind::Directory, 0, first.modified)))
            }
        }
    }

    /// Those of neighbours from one list.
    async fn surveyed_metas(&self, dir: &str, names: &[&str]) -> Result<Vec<Option<Meta>>> {
        let (Some(first), Some(last)) = (names.iter().min(), names.iter().max()) else { return Ok(Vec::new()) };
        let (prefix, end) = (format!("{dir}/"), format!("{dir}/{last}/{}", names::LAST));
        let mut items: HashMap<String, Looked> = HashMap::new();
        let mut files = HashMap::new();
        let mut after = format!("{dir}/{first}");
        loop {
            let page = self.objects.list(&prefix, Some(&after), LIST_PAGE).await.map_err(|e| e.during("list", dir))?;
            let reached = page.objects.last().map(|object| object.key.clone());
            for object in page.objects {
                let Some(below) = object.key.strip_prefix(&prefix) else { continue };
                match below.split_once('/') {
                    None if object.len != TOMBSTONE.len() as u64 => {
                        files.insert(below.to_owned(), meta(FileKind::File, object.len, object.modified));
                    }
                    Some((name, generation)) if names::item(&format!("{prefix}{name}")).is_some() => {
                        let looked = items.entry(name.to_owned()).or_default();
                        let generation = Generation::parse(generation);
                        looked.generations.extend(
                            generation.map(|generation| ListedGeneration { generation, written: object.modified }),
                        );
                    }
                    None | Some(_) => {}
                }
            }
            match reached {
                Some(reached) if page.more && reached < end => after = reached,
                _ => break,
            }
        }
        let found = |name: &&str| items.get(*name).and_then(meta_of_item).or_else(|| files.get(*name).copied());
        // The first one, and directories.
        let looks = names.iter().map(|name| (found(name), format!("{prefix}{name}"))).map(|(known, path)| async move {
            match known {
                Some(known) => Ok(Some(known)),
                None => self.surveyed_meta(&path).await,
            }
        });
        stream::iter(looks).buffered(AT_ONCE).try_collect().await
    }

    async fn surveyed_value(&self, path: &str, most: u64) -> Result<Option<Bytes>> {
        match names::item(path) {
            Some(Item::Blob(digest)) => {
                let Some(blob) = self.find_blob(&digest).await? else { return Ok(None) };
                match blob.len() > most {
                    true => Err(StorageError::damaged(path, format!("it is longer than {most} bytes"))),
                    false => blob.read(Span::whole(blob.len())).await.map(Some),
                }
            }
            Some(item) => Ok(self.latest_value(&item).await?.map(|(value, _)| value)),
            None => match StorePlace::of(path, FileKind::File) {
                Some(StorePlace::Fact(key)) => Ok(self.get(&key).await?.map(|fact| fact.bytes)),
                _ => Ok(self.whole(path, most).await?.map(|(_, bytes)| bytes)),
            },
        }
    }

    async fn copy_wrong(&self, path: &str, to: &str) -> Result<Option<WrongObject>> {
        let (value, wrong) = match names::item(path) {
            Some(item) => {
                let generations = self.generations(&item).await?.generations;
                let Some((value, _)) = self.latest_value(&item).await? else { return Ok(None) };
                (value, WrongObject::Item(item, generations))
            }
            None => match StorePlace::of(path, FileKind::File) {
                Some(StorePlace::Fact(key)) => match self.get(&key).await {
                    Ok(Some(fact)) => (fact.bytes.clone(), WrongObject::Fact(key, fact.version())),
                    Ok(None) => return Ok(None),
                    Err(StorageError::Damaged { .. }) => return self.copy_other(path, to).await,
                    Err(error) => return Err(error),
                },
                _ => return self.copy_other(path, to).await,
            },
        };
        self.put_object(to, value).await?;
        Ok(Some(wrong))
    }

    /// Copies an object of any length.
    async fn copy_other(&self, path: &str, to: &str) -> Result<Option<WrongObject>> {
        match self.objects.copy(path, to).await {
            Ok(()) => Ok(Some(WrongObject::Other(path.to_owned()))),
            Err(crate::storage::objects::ObjectError::Absent) => Ok(None),
            Err(error) => Err(error.during("copy", path)),
        }
    }

    /// Removes what was copied; `false` if something else is there by now.
    async fn remove_wrong(&self, wrong: WrongObject) -> Result<bool> {
        match wrong {
            WrongObject::Fact(key, version) => self.delete(&key, Expect::Is(version)).await,
            // A newer generation has another name.
            WrongObject::Item(item, generations) => self.remove_generations(&item, &generations).await.map(|()| true),
            WrongObject::Other(path) => self.delete_objects(vec![path]).await.map(|()| true),
        }
    }
}

fn meta_of_item(looked: &Looked) -> Option<Meta> {
    let latest = looked.generations.iter().max_by_key(|listed| listed.generation)?;
    Some(meta(FileKind::File, latest.generation.len, latest.written))
}
