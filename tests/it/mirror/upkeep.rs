//! What a mirror does without being asked: it removes what nobody pulls, and fetches what it is to have.

use super::{Upstream, has_image};
use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};
use testing::content::{LAYER, descriptor, image, noise, sha256};
use wharfinger::{
    config::{self, Live},
    mirror::{Mirrors, evict},
    registry::{Condition, Registry, Repository},
    storage::fs::{Fs, Init},
};

/// A registry without HTTP whose rule has these further lines.
struct Inside {
    home: tempfile::TempDir,
    registry: Registry,
    live: Live,
    mirrors: Mirrors,
}

impl Inside {
    fn over(upstream: &Upstream, more: &str) -> Self {
        let home = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
        let settings = home.path().join("settings.toml");
        let address = upstream.address();
        let text = format!(
            "[[mirror]]\nrepositories = [\"hub/**\"]\nprefix = \"hub\"\nupstream = \"http://{address}\"\nallow_private = [\"127.0.0.1\"]\n{more}\n"
        );
        std::fs::write(&settings, text).unwrap();
        let vars = [("REGISTRY_SETTINGS".into(), settings.into_os_string())];
        let (_, live, _) = config::read(vars, None, []).usable().unwrap();
        let root = home.path().join("data");
        let (store, _) = Fs::open(&root, Init::CreateDirectory).unwrap();
        let registry = Registry::new(Arc::new(store), live.registry.clone());
        Self { home, registry, live, mirrors: Mirrors::default() }
    }

    fn repository(&self, name: &str) -> Repository {
        self.registry.repository(&name.parse().unwrap())
    }

    async fn pull(&self, name: &str, reference: &str) {
        let repository = self.repository(name);
        let rule = &self.live.mirrors[0];
        self.mirrors.manifest(rule, &repository, &reference.parse().unwrap()).await.unwrap();
        let manifest = repository.manifest(&reference.parse().unwrap()).await.unwrap();
        let bytes = self.registry.manifest_bytes(&manifest.digest).await.unwrap();
        let parsed: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
        for blob in parsed["layers"].as_array().unwrap().iter().chain([&parsed["config"]]) {
            let digest = blob["digest"].as_str().unwrap().parse().unwrap();
            if let Some(coming) = self.mirrors.blob(rule, &repository, &digest).await.unwrap() {
                coming.arrived().await.unwrap();
            }
        }
    }

    async fn tags(&self, name: &str) -> Vec<String> {
        let tags = self.repository(name).tags(None, None).await;
        tags.map(|page| page.entries.iter().map(ToString::to_string).collect()).unwrap_or_default()
    }
}

fn in_days(days: u64) -> SystemTime {
    SystemTime::now() + Duration::from_secs(days * 86_400)
}

#[tokio::test]
async fn what_nobody_pulls_is_removed_and_what_somebody_pushed_stays() {
    let upstream = Upstream::start().await;
    has_image(&upstream, "app", "v1", noise(1000, 1).to_vec());
    has_image(&upstream, "app", "base", noise(1000, 2).to_vec());
    let mirror = Inside::over(&upstream, "evict_after_days = 7");
    mirror.pull("hub/app", "v1").await;
    mirror.pull("hub/app", "base").await;
    // Somebody keeps one of the images under a tag of their own.
    let repository = mirror.repository("hub/app");
    let base = repository.manifest(&"base".parse().unwrap()).await.unwrap();
    let bytes = mirror.registry.manifest_bytes(&base.digest).await.unwrap();
    let own = "own".parse().unwrap();
    repository.put_manifest(&own, &[], Some(base.media_type.as_str()), bytes, Condition::None).await.unwrap();

    let evicted = evict(&mirror.registry, &mirror.live, in_days(6)).await.unwrap();
    assert_eq!(evicted.manifests, 0);
    let evicted = evict(&mirror.registry, &mirror.live, in_days(8)).await.unwrap();
    assert_eq!(evicted.manifests, 1);
    assert!(evicted.bytes >= 1000, "{evicted:?}");
    assert_eq!(mirror.tags("hub/app").await, ["base", "own"]);
    // It can be fetched again.
    mirror.pull("hub/app", "v1").await;
    assert_eq!(mirror.tags("hub/app").await, ["base", "own", "v1"]);
    drop(mirror.home);
}

#[tokio::test]
async fn too_many_bytes_are_less_after_those_that_were_unused_for_longest_were_removed() {
    let upstream = Upstream::start().await;
    let mirror = Inside::over(&upstream, "max_bytes = \"250 KiB\"");
    for i in 0..4 {
        has_image(&upstream, "app", &format!("v{i}"), noise(100 << 10, i).to_vec());
        mirror.pull("hub/app", &format!("v{i}")).await;
        // Times of files are compared.
        tokio::time::sleep(Duration::from_millis(1100)).await;
    }
    let evicted = evict(&mirror.registry, &mirror.live, SystemTime::now()).await.unwrap();
    assert_eq!(evicted.manifests, 2);
    assert_eq!(mirror.tags("hub/app").await, ["v2", "v3"]);
    let again = evict(&mirror.registry, &mirror.live, SystemTime::now()).await.unwrap();
    assert_eq!(again.manifests, 0, "also before a collection has freed the bytes");
}

#[tokio::test]
async fn tags_are_fetched_with_everything_before_anybody_pulls_them() {
    let upstream = Upstream::start().await;
    let (first, layer) = has_image(&upstream, "app", "3.1", noise(1000, 1).to_vec());
    has_image(&upstream, "app", "edge", noise(1000, 2).to_vec());
    upstream.answer("/v2/app/tags/list?n=500", super::Fake::ok(r#"{"name":"app","tags":["3.1","edge"]}"#));
    let mirror = Inside::over(&upstream, "sync_tags = \"[0-9.]+\"");
    let rule = mirror.live.mirrors[0].clone();
    let sync = async || mirror.mirrors.sync(&mirror.registry, &mirror.live, &rule).await.unwrap();
    assert_eq!(sync().await.tags, 0, "of repositories that nobody has pulled from there is nothing to fetch");
    mirror.pull("hub/app", "edge").await;
    assert_eq!(sync().await.tags, 1);
    assert_eq!(mirror.tags("hub/app").await, ["3.1", "edge"]);
    let repository = mirror.repository("hub/app");
    assert_eq!(repository.blob(&layer.parse().unwrap()).await.unwrap().len(), 1000);
    // A tag that moved there moves here, although its time is not over.
    let config = br#"{"os":"linux"}"#;
    let layer = noise(1000, 3);
    upstream.has_blob("app", layer.clone());
    let moved = image(&descriptor("application/vnd.oci.image.config.v1+json", config), &[descriptor(LAYER, &layer)]);
    let moved = upstream.has_manifest("app", "3.1", &moved);
    assert_ne!(moved, first);
    assert_eq!(sync().await.tags, 1);
    assert_eq!(repository.manifest(&"3.1".parse().unwrap()).await.unwrap().digest.as_str(), moved);
    assert_eq!(repository.blob(&sha256(&layer).parse().unwrap()).await.unwrap().len(), 1000);
}
