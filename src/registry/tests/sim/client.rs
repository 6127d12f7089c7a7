//! A client: a random series of operations, each recorded in the history.

use super::{
    content::{Content, content},
    history::{History, Op},
};
use crate::{
    files::sim::{Chance, Sim, block_on},
    registry::{Condition, Everything, Registry, RegistryError, Result},
    storage::{Item, SIGNING_KEY, fs::Fs},
    upkeep::CollectionOptions,
};
use bytes::Bytes;
use oci::{Span, UploadId};
use std::sync::{Arc, Mutex};

/// What clients of a run may do, chosen by its seed.
#[derive(Clone, Debug)]
pub(super) struct Habits {
    pub(super) deletes: bool,
    pub(super) collects: bool,
    pub(super) damages: bool,
    pub(super) artifacts: bool,
    /// How many operations each client does.
    pub(super) operations: usize,
}

/// What the clients of a run share.
pub(super) struct Shared {
    pub(super) sim: Sim,
    pub(super) history: Mutex<History>,
    /// Open upload sessions: repository, id, blob.
    pub(super) sessions: Mutex<Vec<(usize, UploadId, usize)>>,
    /// The first violation found.
    pub(super) wrong: Mutex<Option<String>>,
    /// Calls may fail, or find damage, without the end of the machine.
    pub(super) may_fail: bool,
}

impl Shared {
    pub(super) fn is_wrong(&self, what: impl FnOnce() -> String) {
        self.wrong.lock().unwrap().get_or_insert_with(|| format!("while other clients ran: {}", what()));
    }

    /// An error of the storage is wrong where nothing fails.
    fn judge(&self, error: &RegistryError) {
        if matches!(error, RegistryError::Storage(_)) && !self.may_fail && !self.sim.has_crashed() {
            self.is_wrong(|| format!("nothing failed, yet: {error}"));
        }
    }
}

pub(super) struct Client {
    pub(super) shared: Arc<Shared>,
    pub(super) registry: Registry,
    pub(super) store: Arc<Fs<Sim>>,
    pub(super) chance: Chance,
    pub(super) habits: Habits,
}

/// Bytes as they come over a connection.
pub(super) fn once(bytes: Bytes) -> impl crate::registry::IncomingBytes {
    futures_util::stream::iter([Ok(bytes)])
}

/// The signing key, as the first who makes one makes it.
pub(super) const KEY: &[u8] = b"a key";

impl Client {
    pub(super) fn run(mut self) {
        for _ in 0..self.habits.operations {
            if self.shared.sim.has_crashed() || self.shared.wrong.lock().unwrap().is_some() {
                return;
            }
            self.operate();
        }
    }

    fn operate(&mut self) {
        if self.habits.artifacts && self.chance.once_in(2) {
            return self.work_on_artifacts();
        }
        let c = content();
        let repository = self.chance.below(c.repositories.len());
        let (image, tag) = (self.chance.below(c.images.len()), self.chance.below(c.tags.len()));
        let blob = self.chance.below(c.blobs.len());
        match self.chance.below(20) {
            0..=6 => self.push(repository, image, tag),
            7 => self.put(repository, image, vec![tag]).map_or((), drop),
            8 | 9 => self.pull(),
            10 => self.push_blob(repository, blob),
            11 if self.chance.once_in(3) => self.meddle(blob),
            11 => self.finish_anothers(),
            12 => self.signing_key(),
            13 => {
                // It ends sessions, and forgets the intents of pushes that were answered.
                let _ = block_on(self.registry.sweep());
            }
            14 if self.habits.deletes => self.delete(Op::DeleteTag(repository, tag)),
            15 | 16 if self.habits.deletes => self.delete(Op::DeleteImage(repository, image)),
            17 if self.habits.deletes => self.delete(Op::DeleteBlob(repository, blob)),
            18 if self.habits.damages => self.damage(blob),
            18 | 19 if self.habits.collects => self.collect(),
            _ => self.push(repository, image, tag),
        }
    }

    /// Records the result of an operation.
    pub(super) fn enter<T>(&self, number: usize, result: Result<T>) -> Option<T> {
        let mut history = self.shared.history.lock().unwrap();
        match result {
            Ok(done) => {
                history.answered(number);
                Some(done)
            }
            Err(error) => {
                history.failed(number);
                self.shared.judge(&error);
                None
            }
        }
    }

    pub(super) fn begin(&self, op: Op) -> usize {
        self.shared.history.lock().unwrap().begin(op)
    }

    /// Pushes an image as real clients do: only what does not exist, and again what was lost.
    fn push(&mut self, repository: usize, image: usize, tag: usize) {
        let c = content();
        for child in &c.images[image].children {
            if block_on(self.registry.repository(&c.repositories[repository]).manifest(&c.by_digest(*child))).is_err() {
                self.push_untagged(repository, *child);
            }
        }
        for _ in 0..3 {
            for blob in &c.images[image].blobs {
                let digest = &c.blobs[*blob].digest;
                if block_on(self.registry.repository(&c.repositories[repository]).blob(digest)).is_err() {
                    self.push_blob(repository, *blob);
                }
            }
            let tags = if self.chance.once_in(4) { (0..c.tags.len()).collect() } else { vec![tag] };
            match self.put(repository, image, tags) {
                Err(RegistryError::MissingReferences(_)) if !self.shared.sim.has_crashed() => {}
                _ => return,
            }
        }
    }

    fn push_untagged(&mut self, repository: usize, image: usize) {
        let c = content();
        for blob in &c.images[image].blobs {
            if block_on(self.registry.repository(&c.repositories[repository]).blob(&c.blobs[*blob].digest)).is_err() {
                self.push_blob(repository, *blob);
            }
        }
        let _ = self.put(repository, image, Vec::new());
    }

    fn put(&mut self, repository: usize, image: usize, tags: Vec<usize>) -> Result<()> {
        let c = content();
        let number = self.begin(Op::Put(repository, image, tags.clone()));
        let names: Vec<_> = tags.iter().map(|tag| c.tags[*tag].clone()).collect();
        let put = block_on(self.registry.repository(&c.repositories[repository]).put_manifest(
            &c.by_digest(image),
            &names,
            None,
            c.images[image].bytes.clone(),
            Condition::None,
        ));
        match put {
            Err(RegistryError::MissingReferences(missing)) => {
                let mut history = self.shared.history.lock().unwrap();
                let needed = history.needed_since(repository, number);
                history.refused(number);
                drop(history);
                for blob in needed {
                    if missing.iter().any(|missing| missing.digest.as_str() == c.blobs[blob].digest.as_str()) {
                        self.shared
                            .is_wrong(|| format!("blob {blob} of repository {repository} is said to be missing"));
                    }
                }
                Err(RegistryError::MissingReferences(missing))
            }
            Err(e) => {
                self.shared.history.lock().unwrap().failed(number);
                self.shared.judge(&e);
                Err(e)
            }
            Ok(_) => {
                self.shared.history.lock().unwrap().answered(number);
                Ok(())
            }
        }
    }

    fn push_blob(&mut self, repository: usize, blob: usize) {
        let (c, registry) = (content(), self.registry.clone());
        let (name, content) = (&c.repositories[repository], &c.blobs[blob]);
        if self.chance.once_in(4) {
            let other = &c.repositories[1 - repository];
            let number = self.begin(Op::Mount(repository, blob));
            match block_on(registry.repository(name).mount(&content.digest, Some(other), &Everything)) {
                Ok(false) => self.shared.history.lock().unwrap().refused(number),
                mounted => {
                    self.enter(number, mounted);
                    return;
                }
            }
        }
        let number = self.begin(Op::Blob(repository, blob));
        let pushed = match self.chance.below(6) {
            0..=3 => self.in_one_go(repository, blob),
            4 => self.in_chunks(repository, blob),
            _ => self.again_and_again(repository, blob),
        };
        self.enter(number, pushed);
    }

    fn delete(&mut self, op: Op) {
        let c = content();
        let number = self.begin(op.clone());
        let repository = |number: &usize| self.registry.repository(&c.repositories[*number]);
        let deleted = match &op {
            Op::DeleteTag(number, tag) => {
                let reference = oci::Reference::Tag(c.tags[*tag].clone());
                block_on(repository(number).delete_manifest(&reference))
            }
            Op::DeleteImage(number, image) => block_on(repository(number).delete_manifest(&c.by_digest(*image))),
            Op::DeleteBlob(number, blob) => block_on(repository(number).delete_blob(&c.blobs[*blob].digest)),
            _ => Ok(()),
        };
        self.enter(number, deleted);
    }

    fn signing_key(&self) {
        let number = self.begin(Op::SigningKey);
        match block_on(self.store.ensure_signing_key(SIGNING_KEY, Bytes::from_static(KEY))) {
            Ok(_) => self.shared.history.lock().unwrap().answered(number),
            Err(_) => self.shared.history.lock().unwrap().failed(number),
        }
    }

    /// Truncates a blob to half its length.
    fn damage(&self, blob: usize) {
        let number = self.begin(Op::Damage(blob));
        self.shared.sim.damage(&Item::Blob(content().blobs[blob].digest.clone()).path());
        self.shared.history.lock().unwrap().answered(number);
    }

    fn collect(&mut self) {
        let options = CollectionOptions { dry_run: false, now: self.chance.once_in(2), force: true };
        let number = self.begin(Op::Collect);
        // Half of them by another process, as `wharfinger gc` does.
        let beside = Arc::new(Fs::beside(self.shared.sim.clone()));
        let registry = match self.chance.once_in(2) {
            true => Registry::new(beside, self.registry.settings.clone()),
            false => self.registry.clone(),
        };
        let _ = block_on(registry.collect(options, &()));
        self.shared.history.lock().unwrap().failed(number);
    }

    /// Pulls something that must exist, whatever else happens.
    fn pull(&mut self) {
        let (needed, damages) = {
            let history = self.shared.history.lock().unwrap();
            (history.needed(), history.damages())
        };
        if needed.is_empty() {
            return;
        }
        let (repository, image, ..) = *self.chance.one_of(&needed);
        let found = block_on(pull(&self.registry, repository, image));
        // Only what nobody has begun to delete meanwhile need have been there.
        let still = self.shared.history.lock().unwrap().needed();
        let Some((.., blobs, _)) = still.into_iter().find(|(r, i, ..)| (*r, *i) == (repository, image)) else { return };
        let found = found
            .and_then(|()| blobs.iter().try_for_each(|blob| block_on(pull_blob(&self.registry, repository, *blob))));
        let history = self.shared.history.lock().unwrap();
        // What was damaged while it was pulled may have been healed by now.
        let same = history.damages() == damages
            && history.needed().into_iter().any(|(r, i, b, _)| (r, i) == (repository, image) && b == blobs);
        drop(history);
        match found {
            Err(Missing::It(what)) if same => self.shared.is_wrong(|| what),
            Err(Missing::Unknown(error)) => self.shared.judge(&error),
            _ => {}
        }
    }
}

/// Why something could not be pulled.
pub(super) enum Missing {
    /// It is not there, or not what it should be.
    It(String),
    /// It could not be determined.
    Unknown(RegistryError),
}

fn judge<T>(what: impl FnOnce() -> String, result: Result<T>) -> Result<T, Missing> {
    result.map_err(|error| match error {
        RegistryError::BlobUnknown(_) | RegistryError::ManifestUnknown(_) | RegistryError::NameUnknown(_) => {
            Missing::It(format!("{}: {error}", what()))
        }
        RegistryError::Storage(crate::storage::StorageError::Damaged { .. }) => {
            Missing::It(format!("{}: {error}", what()))
        }
        error => Missing::Unknown(error),
    })
}

/// Pulls a manifest.
pub(super) async fn pull(registry: &Registry, repository: usize, image: usize) -> Result<(), Missing> {
    let c: &Content = content();
    let what = || format!("image {image} of repository {repository}");
    let found = registry.repository(&c.repositories[repository]).manifest(&c.by_digest(image)).await;
    let found = judge(what, found)?;
    judge(what, registry.manifest_bytes(&found.digest).await).map(drop)
}

/// Pulls a blob and verifies it.
pub(super) async fn pull_blob(registry: &Registry, repository: usize, blob: usize) -> Result<(), Missing> {
    let (c, expected) = (content(), &content().blobs[blob]);
    let what = || format!("blob {blob} of repository {repository}");
    let found = judge(what, registry.repository(&c.repositories[repository]).blob(&expected.digest).await)?;
    let bytes = found.read(Span::whole(found.len())).await.map_err(RegistryError::from);
    let bytes = judge(what, bytes)?;
    match bytes == expected.bytes {
        true => Ok(()),
        false => Err(Missing::It(format!("{} has other bytes", what()))),
    }
}
