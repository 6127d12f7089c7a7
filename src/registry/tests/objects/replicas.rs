//! Clients and collections at two replicas of one store, which fail, are killed, and take any time: nothing that was
//! acknowledged is lost. All timers are zero, so that nothing but the order of steps protects anything.

use super::*;
use crate::{
    files::sim::Chance,
    registry::{Collection, MissingReferences, Settings},
    storage::Result,
    upkeep::CollectionOptions,
};
use oci::Digest;
use std::{
    cell::RefCell,
    rc::Rc,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};
use tokio::sync::watch;

const NOW: CollectionOptions = CollectionOptions { dry_run: false, now: true, force: true };

/// What clients push: few contents, so that they meet.
const LAYERS: [&[u8]; 4] = [b"layer one", b"layer two", b"layer three", b"layer four"];

fn settings() -> Arc<Settings> {
    let collection = Collection {
        lease: Duration::ZERO,
        settle: Duration::ZERO,
        retention: Duration::ZERO,
        files_per_second: u64::MAX,
        most_percent: 100,
        ..Collection::default()
    };
    Arc::new(Settings { missing_references: MissingReferences::Refuse, collection, ..Settings::default() })
}

/// A replica, which may be replaced by another one.
struct Replica {
    objects: Arc<dyn Objects>,
    faults: u64,
    running: RefCell<(Registry, Arc<FaultyObjects>)>,
    /// How many were started.
    number: watch::Sender<u64>,
}

impl Replica {
    async fn start(objects: &Arc<dyn Objects>, faults: u64, seed: u64) -> Rc<Self> {
        let running = RefCell::new(Self::run(objects, faults, seed).await);
        Rc::new(Self { objects: objects.clone(), faults, running, number: watch::Sender::new(seed) })
    }

    async fn run(objects: &Arc<dyn Objects>, faults: u64, seed: u64) -> (Registry, Arc<FaultyObjects>) {
        let faults = if faults == 0 { ObjectFaults::Never } else { ObjectFaults::OneIn(faults) };
        let calls = FaultyObjects::by_chance(objects.clone(), faults, seed);
        loop {
            if let Ok(store) = ObjectStorage::open(calls.clone(), false).await {
                return (Registry::new(Arc::new(store.collecting_together()), settings()), calls);
            }
        }
    }

    /// Ends the process at once, and starts another one.
    async fn kill(&self) {
        let seed = *self.number.borrow() + 1000;
        self.running.borrow().1.kill();
        let next = Self::run(&self.objects, self.faults, seed).await;
        *self.running.borrow_mut() = next;
        self.number.send_replace(seed);
    }

    /// Runs a request, which ends without an answer when the process does.
    async fn ask<T>(
        &self,
        request: impl AsyncFnOnce(Registry) -> Result<T, RegistryError>,
    ) -> Option<Result<T, RegistryError>> {
        let mut number = self.number.subscribe();
        let registry = self.running.borrow().0.clone();
        tokio::select! {
            answer = request(registry) => Some(answer),
            _ = number.changed() => None,
        }
    }
}

/// What a tag of a client may be: one of these images.
struct Client {
    number: usize,
    replicas: Vec<Rc<Replica>>,
    chance: Chance,
    /// The image that was acknowledged last, and those whose pushes were not answered since.
    may_be: Vec<Option<Image>>,
    images: usize,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Image {
    bytes: Bytes,
    layer: &'static [u8],
}

impl Image {
    fn of(client: usize, number: usize, layer: &'static [u8]) -> Self {
        let of =
            |content: &[u8]| serde_json::json!({"mediaType": "a/b", "digest": sha256(content), "size": content.len()});
        let manifest = serde_json::json!({
            "schemaVersion": 2,
            "mediaType": oci::media_type::OCI_MANIFEST,
            "config": of(b"{}"),
            "layers": [of(layer)],
            "annotations": {"is": format!("{client} {number}")},
        });
        Self { bytes: manifest.to_string().into(), layer }
    }

    fn digest(&self) -> Digest {
        sha256(&self.bytes)
    }
}

impl Client {
    fn tag(&self) -> Reference {
        format!("client{}", self.number).parse().unwrap()
    }

    fn replica(&mut self) -> Rc<Replica> {
        let at = self.chance.below(self.replicas.len());
        self.replicas[at].clone()
    }

    /// Uploads a blob, each request to any replica; whether it was acknowledged.
    async fn upload(&mut self, content: &'static [u8]) -> bool {
        let digest = sha256(content);
        if self.chance.once_in(3) {
            let push = async |registry: Registry| {
                registry.repository(&name()).push_blob(&digest, Chunk::default(), once(content)).await
            };
            return matches!(self.replica().ask(push).await, Some(Ok(())));
        }
        let begin = async |registry: Registry| registry.repository(&name()).begin_upload(Algorithm::Sha256).await;
        let Some(Ok(upload)) = self.replica().ask(begin).await else { return false };
        let (first, rest) = content.split_at(self.chance.below(content.len()));
        let append =
            async |registry: Registry| registry.repository(&name()).append_upload(&upload.id, at(0), once(first)).await;
        let mut sent = None;
        for _ in 0..3 {
            if let Some(Ok(appended)) = self.replica().ask(append).await {
                sent = Some(appended.len);
                break;
            }
        }
        let Some(sent) = sent else { return false };
        let close =
            async |registry: Registry| finish(&registry, &name(), &upload.id, &digest, at(sent), once(rest)).await;
        for _ in 0..3 {
            if let Some(Ok(())) = self.replica().ask(close).await {
                return true;
            }
        }
        false
    }

    async fn push(&mut self) {
        let layer = *self.chance.one_of(&LAYERS);
        let image = match self.may_be.first() {
            // The same image again, sometimes.
            Some(Some(image)) if self.chance.once_in(4) => image.clone(),
            _ => Image::of(self.number, self.images, layer),
        };
        self.images += 1;
        for content in [b"{}".as_ref(), image.layer] {
            if !self.chance.once_in(3) {
                self.upload(content).await;
            }
        }
        let tag = self.tag();
        let bytes = image.bytes.clone();
        let push = async |registry: Registry| {
            registry.repository(&name()).put_manifest(&tag, &[], None, bytes, Condition::None).await
        };
        match self.replica().ask(push).await {
            Some(Ok(_)) => self.may_be = vec![Some(image)],
            _ => self.may_be.push(Some(image)),
        }
    }

    async fn delete(&mut self) {
        let [Some(image)] = self.may_be.as_slice() else { return };
        let digest = Reference::Digest(image.digest());
        let delete = async |registry: Registry| registry.repository(&name()).delete_manifest(&digest).await.map(drop);
        match self.replica().ask(delete).await {
            Some(Ok(())) => self.may_be = vec![None],
            _ => self.may_be.push(None),
        }
    }

    /// Pulls what the tag points to; what is wrong, if something is. A replica that fails proves nothing.
    async fn check(&mut self) -> Result<(), String> {
        let (tag, may_be) = (self.tag(), self.may_be.clone());
        let pull = async |registry: Registry| Ok(pulled(&registry, &tag, &may_be).await);
        match self.replica().ask(pull).await {
            Some(Ok(Err(wrong))) => Err(format!("client {}: {wrong}", self.number)),
            _ => Ok(()),
        }
    }

    async fn work(mut self, operations: usize) -> Result<Self, String> {
        for _ in 0..operations {
            match self.chance.below(6) {
                0..=2 => self.push().await,
                3 => self.delete().await,
                _ => self.check().await?,
            }
        }
        Ok(self)
    }
}

/// Pulls an image completely. An error of the store is no verdict.
async fn pulled(registry: &Registry, tag: &Reference, may_be: &[Option<Image>]) -> Result<(), String> {
    let repository = registry.repository(&name());
    let stored = match repository.manifest(tag).await {
        Ok(stored) => stored,
        Err(RegistryError::ManifestUnknown(_) | RegistryError::NameUnknown(_)) if may_be.contains(&None) => {
            return Ok(());
        }
        Err(RegistryError::Storage(crate::storage::StorageError::Unavailable { .. })) => return Ok(()),
        Err(error) => return Err(format!("{tag} is lost: {error}, and should be one of {may_be:?}")),
    };
    let known = may_be.iter().flatten().find(|image| image.digest() == stored.digest);
    let Some(image) = known else { return Err(format!("{tag} is {}, and not one of {may_be:?}", stored.digest)) };
    // What was not acknowledged may have lost its content.
    let may_lack = may_be.len() > 1;
    match registry.manifest_bytes(&stored.digest).await {
        Ok(bytes) if bytes == image.bytes => {}
        Ok(_) => return Err(format!("{tag} has other bytes")),
        Err(RegistryError::Storage(crate::storage::StorageError::Unavailable { .. })) => return Ok(()),
        Err(_) if may_lack => return Ok(()),
        Err(error) => return Err(format!("the bytes of {tag} are lost: {error}")),
    }
    for content in [b"{}".as_ref(), image.layer] {
        let read = async {
            let blob = repository.blob(&sha256(content)).await?;
            Ok::<_, RegistryError>(blob.read(Span::whole(blob.len())).await?)
        };
        match read.await {
            Ok(bytes) if bytes == content => {}
            Ok(_) => return Err(format!("a blob of {tag} has other bytes")),
            Err(RegistryError::Storage(crate::storage::StorageError::Unavailable { .. })) => return Ok(()),
            Err(_) if may_lack => return Ok(()),
            Err(error) => return Err(format!("a blob of {tag} is lost: {error}")),
        }
    }
    Ok(())
}

/// Runs a seed; what is wrong, if something is.
async fn run_seed(seed: u64) -> Result<(), String> {
    let mut chance = Chance::new(seed);
    let all = ObjectAbilities::ALL;
    let abilities = match chance.below(3) {
        0 => ObjectAbilities { delete_match: false, ..all },
        _ => all,
    };
    let objects: Arc<dyn Objects> = Arc::new(MemObjects::with(abilities));
    drop(store(objects.clone()).await);
    let faults = *chance.one_of(&[0, 0, 30, 100]);
    let mut replicas = Vec::new();
    for i in 0..2 {
        replicas.push(Replica::start(&objects, faults, seed * 10 + i).await);
    }
    let clients = 2 + chance.below(2);
    let operations = 6 + chance.below(10);
    let working = Rc::new(AtomicUsize::new(clients));
    let tasks = (0..clients).map(|number| {
        let chance = chance.fork(number as u64);
        let client = Client { number, replicas: replicas.clone(), chance, may_be: vec![None], images: 0 };
        let working = working.clone();
        tokio::task::spawn_local(async move {
            let done = client.work(operations).await;
            working.fetch_sub(1, Ordering::SeqCst);
            done
        })
    });
    let tasks: Vec<_> = tasks.collect();
    let kills = chance.once_in(2);
    let collectors: Vec<_> = (0..2)
        .map(|i| {
            let (replica, working, mut chance) = (replicas[i].clone(), working.clone(), chance.fork(100 + i as u64));
            tokio::task::spawn_local(async move {
                while working.load(Ordering::SeqCst) > 0 {
                    let collect = async |registry: Registry| {
                        // Nothing keeps two apart: a collection may be late by any time.
                        let _ = registry.collect(NOW, &()).await;
                        Ok(())
                    };
                    replica.ask(collect).await;
                    for _ in 0..chance.below(200) {
                        tokio::task::yield_now().await;
                    }
                    if kills && chance.once_in(4) {
                        replica.kill().await;
                    }
                }
            })
        })
        .collect();
    let mut done = Vec::new();
    for task in tasks {
        done.push(task.await.unwrap());
    }
    for collector in collectors {
        collector.await.unwrap();
    }
    let clients = done.into_iter().collect::<Result<Vec<Client>, String>>()?;
    // Nothing fails any more: all is checked, also after everything that is not needed was collected.
    let registry = Registry::new(store(objects.clone()).await, settings());
    for round in 0..3 {
        for client in &clients {
            pulled(&registry, &client.tag(), &client.may_be)
                .await
                .map_err(|wrong| format!("round {round}: {wrong}"))?;
        }
        objects.delete(vec!["state/collection.lock".into()]).await.unwrap();
        let report = registry.collect(NOW, &()).await.map_err(|error| error.to_string())?;
        assert!(report.is_some_and(|report| report.errors.is_empty()));
    }
    is_named(&objects).await
}

/// Nothing is left that no record names: it would never be removed.
async fn is_named(objects: &Arc<dyn Objects>) -> Result<(), String> {
    let all = objects.list("", None, usize::MAX).await.unwrap().objects;
    let mut names = String::new();
    for object in all.iter().filter(|object| !object.key.starts_with("data/")) {
        names.push_str(&object.key);
        if object.key.contains("uploads/") {
            let record = objects.get(&object.key, None).await.unwrap().collect().await.unwrap();
            names.push_str(&String::from_utf8_lossy(&record));
        }
    }
    for object in all.iter().filter(|object| object.key.starts_with("data/")) {
        let directory = object.key.split('/').nth(1).unwrap_or_default();
        if !names.contains(directory) {
            return Err(format!("nothing names {}", object.key));
        }
    }
    Ok(())
}

fn in_time(run: impl Future<Output = Result<(), String>>) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let local = tokio::task::LocalSet::new();
    local.block_on(&runtime, async {
        tokio::time::timeout(Duration::from_secs(60), run).await.unwrap_or_else(|_| Err("it never ends".into()))
    })
}

#[test]
fn what_is_acknowledged_survives_replicas_collections_failures_and_kills() {
    let seeds = std::env::var("SEEDS").ok().and_then(|text| text.parse().ok()).unwrap_or(150);
    let first = std::env::var("FIRST").ok().and_then(|text| text.parse().ok()).unwrap_or(0);
    for seed in first..first + seeds {
        in_time(run_seed(seed)).unwrap_or_else(|wrong| panic!("seed {seed}: {wrong}"));
    }
}
