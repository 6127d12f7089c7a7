//! A registry on a failing disk: whatever call fails, nothing that is needed is lost, nothing that was deleted comes
//! back, and once the disk works again everything completes.

mod collection;
mod fsck;
mod requests;

use super::{directory, manifest, name, once, sha256};
use crate::{
    files::{AtomicFiles, Real},
    registry::{Chunk, Condition, Registry, RegistryError, Settings, StoredManifest, settings::RetentionRule},
    storage::{
        Condemned, Dir, Durability, FactKey, Item, ItemKind, PushId, Put, RunId, Storage, Why,
        faulty::{FaultPlan, FaultySys, Trouble},
        fs::{Fs, Init},
    },
    upkeep::CollectionOptions,
};
use bytes::Bytes;
use oci::{Reference, RepositoryName, Span, media_type};
use rustix::io::Errno;
use std::{path::Path, sync::Arc, time::Duration};

const NOW: CollectionOptions = CollectionOptions { dry_run: false, now: true, force: false };

/// A repository of which the rules keep the last tag.
fn ruled() -> RepositoryName {
    "org/ruled".parse().unwrap()
}

/// All times are zero, so that every pass has everything to do that there is.
fn settings() -> Arc<Settings> {
    let rule = RetentionRule {
        repositories: vec!["org/ruled".parse().unwrap()].into(),
        keep_last: Some(1),
        delete_untagged: Some(Duration::ZERO),
        ..RetentionRule::default()
    };
    let mut settings = Settings { retention: vec![rule], upload_timeout: Duration::ZERO, ..Settings::default() };
    let collection = &mut settings.collection;
    (collection.lease, collection.settle, collection.retention) = (Duration::ZERO, Duration::ZERO, Duration::ZERO);
    Arc::new(settings)
}

/// The store in a directory, without its lock: a collection that was dropped may hold that for a
/// while.
fn open(dir: &Path) -> Arc<dyn Storage> {
    Arc::new(Fs::new(AtomicFiles::new(Real::open_root(dir).unwrap())))
}

fn over(store: Arc<dyn Storage>) -> Registry {
    Registry::new(store, settings())
}

/// A registry whose system calls fail as planned.
fn failing(dir: &Path, plan: &Arc<FaultPlan>) -> Registry {
    over(Arc::new(Fs::new(AtomicFiles::new(FaultySys::new(Real::open_root(dir).unwrap(), plan.clone())))))
}

async fn put(registry: &Registry, repository: &RepositoryName, to: &str, bytes: &Bytes) {
    let reference: Reference = to.parse().unwrap();
    registry.repository(repository).put_manifest(&reference, &[], None, bytes.clone(), Condition::None).await.unwrap();
}

async fn push(registry: &Registry, repository: &RepositoryName, content: &'static [u8]) {
    registry.repository(repository).push_blob(&sha256(content), Chunk::default(), once(content)).await.unwrap();
}

/// A store in which a collection meets one of each: what is needed, live or by mistake in the graveyard; what nobody
/// needs, live or condemned; what was deleted; tags and manifests that the rules delete, one with a subject; a
/// manifest that only an index needs; intents of every age; an abandoned upload.
async fn prepare(dir: &Path) {
    drop(Fs::open(dir, Init::EmptyDirectory).unwrap());
    let store = open(dir);
    let registry = over(store.clone());
    for repository in [&name(), &ruled()] {
        push(&registry, repository, b"{}").await;
        push(&registry, repository, b"layer").await;
    }
    push(&registry, &name(), b"orphan").await;
    push(&registry, &name(), b"condemned").await;
    put(&registry, &name(), "gone", &manifest("gone", None)).await;
    put(&registry, &name(), sha256(&child()).as_str(), &child()).await;
    put(&registry, &name(), "index", &index()).await;
    put(&registry, &name(), "v1", &manifest("kept", None)).await;
    put(&registry, &ruled(), "old", &manifest("old", None)).await;
    let signature = manifest("signature", Some(&sha256(&manifest("old", None))));
    put(&registry, &ruled(), sha256(&signature).as_str(), &signature).await;
    put(&registry, &ruled(), "new", &manifest("new", None)).await;
    push(&registry, &name(), b"doomed").await;
    let doomed = doomed();
    put(&registry, &name(), "doomed1", &doomed).await;
    put(&registry, &name(), "doomed2", &doomed).await;
    let gone = Reference::Digest(sha256(&manifest("gone", None)));
    registry.repository(&name()).delete_manifest(&gone).await.unwrap();
    let upload = registry.repository(&name()).begin_upload(oci::Algorithm::Sha256).await.unwrap();
    registry.repository(&name()).append_upload(&upload.id, Chunk::default(), once(b"half")).await.unwrap();
    let intent = serde_json::json!({"manifest": sha256(b"never pushed"), "refers": [sha256(b"orphan")]});
    let keys = [FactKey::Intent(name(), PushId::fresh()), FactKey::ExpiredIntent(name(), PushId::fresh())];
    let puts = keys.map(|key| Put::any(key, serde_json::to_vec(&intent).unwrap()));
    store.put(puts.to_vec(), Durability::Process).await.unwrap();
    for content in [b"layer".as_ref(), b"condemned"] {
        for item in [Item::Blob(sha256(content)), Item::Link(name(), sha256(content))] {
            store.condemn(&item, RunId::fresh(), Why::Unreferenced, Duration::ZERO).await.unwrap();
        }
    }
    let child = Item::Revision(name(), sha256(&child()));
    store.condemn(&child, RunId::fresh(), Why::Unreferenced, Duration::ZERO).await.unwrap();
}

/// A manifest that the tests of deletions delete.
fn doomed() -> Bytes {
    manifest("doomed", Some(&sha256(b"anything")))
}

fn child() -> Bytes {
    manifest("child", None)
}

fn index() -> Bytes {
    let child =
        serde_json::json!({"mediaType": media_type::OCI_MANIFEST, "digest": sha256(&child()), "size": child().len()});
    serde_json::json!({"schemaVersion": 2, "mediaType": media_type::OCI_INDEX, "manifests": [child]}).to_string().into()
}

/// What must hold at every moment: everything that is needed can be pulled, and what was deleted cannot.
async fn nothing_is_lost(registry: &Registry, when: &str) {
    for (repository, tag, bytes) in
        [(name(), "v1", manifest("kept", None)), (name(), "index", index()), (ruled(), "new", manifest("new", None))]
    {
        let stored = registry.repository(&repository).manifest(&tag.parse().unwrap()).await;
        let stored: StoredManifest = stored.unwrap_or_else(|e| panic!("{when}: {repository}:{tag}: {e}"));
        assert_eq!(registry.manifest_bytes(&stored.digest).await.unwrap(), bytes, "{when}");
        for content in [b"{}".as_ref(), b"layer"] {
            let blob = registry.repository(&repository).blob(&sha256(content)).await;
            let blob = blob.unwrap_or_else(|e| panic!("{when}: {repository}: {e}"));
            assert_eq!(blob.read(Span::whole(blob.len())).await.unwrap(), content, "{when}");
        }
    }
    let child = registry.repository(&name()).manifest(&Reference::Digest(sha256(&child()))).await;
    child.unwrap_or_else(|e| panic!("{when}: the child of an index: {e}"));
    for gone in [Reference::Digest(sha256(&manifest("gone", None))), "gone".parse().unwrap()] {
        let found = registry.repository(&name()).manifest(&gone).await;
        assert!(matches!(found, Err(RegistryError::ManifestUnknown(_))), "{when}: what was deleted is back: {found:?}");
    }
}

/// All that there is, by name.
async fn everything(store: &Arc<dyn Storage>) -> Vec<String> {
    let mut all = Vec::new();
    let of = |name: &RepositoryName| [ItemKind::Links(name.clone()), ItemKind::Revisions(name.clone())];
    let kinds = [ItemKind::Blobs, ItemKind::Uploads].into_iter().chain(of(&name())).chain(of(&ruled()));
    for kind in kinds {
        let page = store.items(&kind, None, 100).await.unwrap();
        all.extend(page.entries.iter().map(|aged| aged.item.to_string()));
    }
    for name in [name(), ruled()] {
        let referrers = Dir::Referrers(name.clone(), sha256(&manifest("old", None)));
        for dir in [Dir::Tags(name.clone()), Dir::Intents(name), referrers] {
            let page = store.children(&dir, None, 100).await.unwrap();
            all.extend(page.entries.iter().map(|name| format!("{}/{name}", dir.path())));
        }
    }
    let graves = store.condemned(None, 100).await.unwrap();
    all.extend(graves.entries.iter().map(|grave| Condemned::path(&grave.entry)));
    all
}

/// Everything that is left when all there is to collect was collected.
async fn collected(dir: &Path, when: &str) -> Vec<String> {
    let store = open(dir);
    let registry = over(store.clone());
    let report = loop {
        // A collection that was dropped may hold its lock for a moment more.
        if let Some(report) = registry.collect(NOW, &()).await.unwrap_or_else(|e| panic!("{when}: {e}")) {
            break report;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    };
    assert!(report.errors.is_empty(), "{when}: {report:?}");
    nothing_is_lost(&registry, when).await;
    everything(&store).await
}

/// Copies a store without its empty directories: there are hundreds, and they are not needed.
fn copy(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).unwrap().map(|entry| entry.unwrap()) {
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to);
        } else {
            std::fs::create_dir_all(to.parent().unwrap()).unwrap();
            std::fs::copy(entry.path(), &to).unwrap();
            let modified = entry.metadata().unwrap().modified().unwrap();
            std::fs::File::options().append(true).open(&to).unwrap().set_modified(modified).unwrap();
        }
    }
}

/// A prepared store, and what a collection leaves of it.
async fn prepared() -> (tempfile::TempDir, Vec<String>) {
    let (dir, twin) = (directory(), directory());
    prepare(dir.path()).await;
    copy(dir.path(), twin.path());
    let left = collected(twin.path(), "undisturbed").await;
    assert!(left.iter().all(|path| !path.contains("graveyard") && !path.contains("_intents")), "{left:#?}");
    (dir, left)
}

/// More calls than there are.
const MOST: usize = 20_000;

/// How a call fails, and how it goes on.
const TROUBLES: [(Errno, Trouble); 5] = [
    (Errno::IO, Trouble::Once),
    (Errno::NOSPC, Trouble::Once),
    (Errno::IO, Trouble::Late),
    (Errno::IO, Trouble::Lasting),
    (Errno::NOSPC, Trouble::Lasting),
];

/// What is known of one run with a fault.
struct Outcome<'a, T> {
    dir: &'a Path,
    /// What the work returned.
    returned: T,
    /// It was a sync that failed, once.
    failed_sync: bool,
    /// For messages.
    when: &'a str,
}

/// Runs `work` with every kind of fault at one call after the other, trying every `step`th, each time on a copy of
/// `original`; then, once the disk works again, `after`. Returns the number of calls.
async fn at_every_call<T>(
    original: &Path,
    step: usize,
    work: impl AsyncFn(&Registry) -> T,
    after: impl AsyncFn(Outcome<'_, T>),
) -> usize {
    let mut calls = 0;
    for (first, (errno, trouble)) in TROUBLES.into_iter().enumerate() {
        let mut at = first % step;
        loop {
            let dir = directory();
            copy(original, dir.path());
            let plan = FaultPlan::of(at, errno, trouble);
            let registry = failing(dir.path(), &plan);
            let when = format!("{errno}, {trouble:?}, at call {at}");
            let returned = work(&registry).await;
            let was_reached = plan.was_reached();
            plan.heal();
            nothing_is_lost(&registry, &when).await;
            // As a restart: what nobody looks after a failing disk is read-only.
            drop(registry);
            // A full disk is another matter: there are other ways.
            let is_told = (errno, trouble) == (Errno::IO, Trouble::Once);
            let failed_sync = is_told && plan.failed().is_some_and(|call| call.starts_with("sync"));
            after(Outcome { dir: dir.path(), returned, failed_sync, when: &when }).await;
            if !was_reached {
                break;
            }
            at += step;
            assert!(at < MOST);
        }
        calls = at;
    }
    calls
}
