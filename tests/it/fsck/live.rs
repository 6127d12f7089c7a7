//! Checks while clients push, move tags and delete, and collections run one after another.

use super::fsck;
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};
use testing::{
    registry::Registry,
    session::{CONFIG, Client, LAYER, descriptor, image, sha256},
};
use tokio::task::JoinSet;
use wharfinger::upkeep::CollectionOptions;

/// What was acknowledged and not deleted since: manifests by repository and digest.
pub type Acknowledged = Arc<Mutex<BTreeMap<(String, String), Value>>>;

/// Clients that work until they are stopped.
pub struct Load {
    pub acknowledged: Acknowledged,
    stop: Arc<AtomicBool>,
    clients: JoinSet<u64>,
}

impl Load {
    /// `pushers` clients, which share their layers, and collections in a loop if there are `options`.
    pub fn start(registry: &Registry, pushers: usize, options: Option<CollectionOptions>) -> Self {
        let (stop, acknowledged) = (Arc::new(AtomicBool::new(false)), Acknowledged::default());
        let mut clients = JoinSet::new();
        for n in 0..pushers {
            let (client, stop, acknowledged) = (Client::clone(registry), stop.clone(), acknowledged.clone());
            clients.spawn(async move {
                let mut pushed = 0;
                while !stop.load(Ordering::Relaxed) {
                    work(&client, n as u64, pushed, &acknowledged).await;
                    pushed += 1;
                }
                pushed
            });
        }
        let (inner, stopping) = (registry.inner().clone(), stop.clone());
        clients.spawn(async move {
            while let Some(options) = options
                && !stopping.load(Ordering::Relaxed)
            {
                inner.collect(options, &()).await.expect("a collection");
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            0
        });
        Self { acknowledged, stop, clients }
    }

    /// Stops them; returns the number of pushes.
    pub async fn stop(self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        self.clients.join_all().await.into_iter().sum()
    }
}

/// Pushes an image, and now and then deletes one or refers to it.
async fn work(client: &Client, n: u64, pushed: u64, acknowledged: &Acknowledged) {
    let name = format!("load/r{}", n % 3);
    let layer = format!("layer {}", (n + pushed) % 5).repeat(500);
    let config = format!("{{\"n\":{n},\"pushed\":{pushed}}}");
    for content in [&layer, &config] {
        let digest = sha256(content.as_bytes());
        if client.head(format!("/v2/{name}/blobs/{digest}")).await.status == 404 {
            client.post(format!("/v2/{name}/blobs/uploads/?digest={digest}"), content.clone()).await;
        }
    }
    let mut manifest = image(&descriptor(CONFIG, config.as_bytes()), &[descriptor(LAYER, layer.as_bytes())]);
    let by = n.to_string();
    let own = |found: &Acknowledged| {
        let found = found.lock().expect("a lock");
        let mine = found.iter().filter(|((of, _), manifest)| *of == name && manifest["annotations"]["by"] == by);
        mine.map(|((_, digest), _)| digest.clone()).next()
    };
    manifest["annotations"] = json!({ "by": by });
    if pushed % 4 == 1
        && let Some(subject) = own(acknowledged)
    {
        manifest["subject"] = json!({ "mediaType": manifest["mediaType"], "digest": subject, "size": 1 });
    }
    let digest = sha256(manifest.to_string().as_bytes());
    let reply = client.put_manifest(&name, &format!("t{}-{}", n, pushed % 4), &manifest).await;
    if reply.status == 201 {
        acknowledged.lock().expect("a lock").insert((name.clone(), digest), manifest);
    } else {
        // A collection without a lease took what was just pushed; a client pushes it again.
        assert!(reply.status == 400 || reply.status == 503, "{reply:?}");
    }
    if pushed % 3 == 2
        && let Some(digest) = own(acknowledged)
    {
        forget(&mut acknowledged.lock().expect("a lock"), &name, &digest);
        client.delete(format!("/v2/{name}/manifests/{digest}")).await.is(202);
    }
}

/// A manifest is about to be deleted: neither it nor anything removed after it is guaranteed any more.
fn forget(acknowledged: &mut BTreeMap<(String, String), Value>, name: &str, digest: &str) {
    acknowledged.remove(&(name.to_owned(), digest.to_owned()));
    let refers =
        |((of, _), manifest): &(&(String, String), &Value)| of == name && manifest["subject"]["digest"] == digest;
    let referrers: Vec<_> = acknowledged.iter().filter(refers).map(|((_, digest), _)| digest.clone()).collect();
    referrers.iter().for_each(|referrer| forget(acknowledged, name, referrer));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_check_of_a_busy_store_finds_nothing_wrong() {
    let registry = Registry::start().await;
    let now = CollectionOptions { now: true, force: true, ..CollectionOptions::default() };
    let load = Load::start(&registry, 6, Some(now));
    let deadline = Instant::now() + Duration::from_secs(8);
    let mut checks = 0;
    while Instant::now() < deadline {
        let root = registry.root().to_owned();
        let checked = tokio::task::spawn_blocking(move || fsck(&root, &["--read-data"])).await.expect("a check");
        checked.clean();
        checks += 1;
    }
    let acknowledged = load.acknowledged.clone();
    let pushed = load.stop().await;
    assert!(checks > 2 && pushed > 50, "{checks} checks, {pushed} pushes");
    fsck(registry.root(), &["--read-data"]).clean();
    let acknowledged = acknowledged.lock().expect("a lock").clone();
    for ((name, digest), manifest) in acknowledged {
        assert_eq!(registry.read(format!("/v2/{name}/manifests/{digest}")).await.json(), manifest);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_repair_beside_pushes_and_deletions_removes_nothing_valid() {
    let registry = Registry::start().await;
    // No collections: they refuse to run over unreadable files.
    let load = Load::start(&registry, 4, None);
    for n in 0..3 {
        let (digest, _) = registry.push_image("other/app", "v1", &format!("image {n}")).await;
        let hex = digest.strip_prefix("sha256:").expect("sha256").to_owned();
        let root = registry.root().to_owned();
        std::fs::write(root.join(format!("repositories/other/app/_manifests/revisions/sha256/{hex}")), "{")
            .expect("a write");
        std::fs::write(root.join(format!("repositories/other/app/_manifests/tags/cut{n}")), "sha256:")
            .expect("a write");
        let repaired = tokio::task::spawn_blocking(move || fsck(&root, &["--read-data", "--repair"])).await;
        let repaired = repaired.expect("a check");
        assert_eq!(repaired.wrong().len(), 2, "{}", repaired.lines());
        assert_eq!(repaired.summary["repaired"], 2);
        registry.read("/v2/other/app/manifests/v1").await;
    }
    let acknowledged = load.acknowledged.clone();
    load.stop().await;
    fsck(registry.root(), &["--read-data"]).clean();
    let acknowledged = acknowledged.lock().expect("a lock").clone();
    for ((name, digest), manifest) in acknowledged {
        assert_eq!(registry.read(format!("/v2/{name}/manifests/{digest}")).await.json(), manifest);
    }
}
