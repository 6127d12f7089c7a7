//! Repositories that mirror another registry.

mod fake;
mod faults;
mod tags;
mod upkeep;

use crate::PROGRAM;
use fake::{Fake, Upstream};
use std::{
    fs,
    net::SocketAddr,
    time::{Duration, Instant},
};
use testing::{
    daemon::Daemon,
    session::{CONFIG, LAYER, descriptor, image, index, noise, sha256},
};

/// A mirror of one registry, below the prefix `hub`.
struct Mirror {
    daemon: Daemon,
    _home: tempfile::TempDir,
}

impl std::ops::Deref for Mirror {
    type Target = Daemon;

    fn deref(&self) -> &Daemon {
        &self.daemon
    }
}

/// A rule that logs in.
const NEAR: &str = "allow_private = [\"127.0.0.0/8\"]\ncredentials = \"near\"";

/// Starts a mirror whose rule has these further lines.
fn mirror_with(upstream: SocketAddr, more: &str) -> Mirror {
    mirror_by(upstream, more, &[])
}

/// The same with further variables.
fn mirror_by(upstream: SocketAddr, more: &str, vars: &[(&str, &str)]) -> Mirror {
    let home = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
    let settings = home.path().join("settings.toml");
    let text = format!(
        "[[mirror]]\nrepositories = [\"hub/**\"]\nprefix = \"hub\"\nupstream = \"http://{upstream}\"\n{more}\n"
    );
    fs::write(&settings, text).unwrap();
    let vars = [vars, &[("REGISTRY_SETTINGS", settings.to_str().unwrap())]].concat();
    let daemon = Daemon::start(PROGRAM, &home.path().join("data"), &vars);
    Mirror { daemon, _home: home }
}

fn mirror(upstream: SocketAddr, more: &str) -> Mirror {
    mirror_with(upstream, &format!("allow_private = [\"127.0.0.0/8\"]\n{more}"))
}

/// An image of one layer in a fake registry: the digests of the manifest and the layer.
fn has_image(upstream: &Upstream, name: &str, tag: &str, layer: Vec<u8>) -> (String, String) {
    let config = br#"{"os":"linux"}"#.to_vec();
    let manifest = image(&descriptor(CONFIG, &config), &[descriptor(LAYER, &layer)]);
    upstream.has_blob(name, config);
    let layer = upstream.has_blob(name, layer);
    (upstream.has_manifest(name, tag, &manifest), layer)
}

#[tokio::test]
async fn an_image_of_another_wharfinger_is_pulled_through_and_then_is_here() {
    let home = tempfile::tempdir().unwrap();
    let upstream = Daemon::start(PROGRAM, &home.path().join("data"), &[]);
    let (digest, manifest) = upstream.push_image("team/app", "v1", "a layer").await;
    let child = serde_json::json!({ "mediaType": manifest["mediaType"], "digest": digest, "size": 1 });
    upstream.put_manifest("team/app", "multi", &index(&[child])).await.is(201);
    let expected = upstream.get("/v2/team/app/manifests/v1").await.is(200).body;

    let mirror = mirror(upstream.address(), "");
    // Its tags are known before anything of it is here.
    assert_eq!(mirror.tags("hub/team/app").await, ["multi", "v1"]);
    mirror.get("/v2/hub/team/nothing/tags/list").await.refused(404, "NAME_UNKNOWN");
    mirror.get("/v2/hub/team/app/manifests/multi").await.is(200);
    let pulled = mirror.get("/v2/hub/team/app/manifests/v1").await.is(200);
    assert_eq!((pulled.body.clone(), pulled.header("docker-content-digest")), (expected.clone(), digest.as_str()));
    assert_eq!(
        mirror.head(format!("/v2/hub/team/app/manifests/{digest}")).await.is(200).header("content-type"),
        pulled.header("content-type")
    );
    let layer = manifest["layers"][0]["digest"].as_str().unwrap();
    let blob = mirror.get(format!("/v2/hub/team/app/blobs/{layer}")).await.is(200);
    assert_eq!(sha256(&blob.body), layer);
    assert_eq!(blob.header("docker-content-digest"), layer);
    assert_eq!(mirror.tags("hub/team/app").await, ["multi", "v1"]);

    // Without the upstream, all of it is served from here.
    upstream.kill();
    assert_eq!(mirror.get("/v2/hub/team/app/manifests/v1").await.is(200).body, expected);
    let part = mirror.ask(http::Method::GET, format!("/v2/hub/team/app/blobs/{layer}")).header("range", "bytes=1-2");
    assert_eq!(part.send().await.is(206).body, blob.body.slice(1..3));
    mirror.get("/v2/hub/team/app/manifests/v9").await.refused(503, "UNAVAILABLE");
    // Other repositories are none of a mirror.
    mirror.get("/v2/team/app/manifests/v1").await.refused(404, "MANIFEST_UNKNOWN");
}

#[tokio::test]
async fn a_private_upstream_is_asked_with_the_credentials_of_the_operator() {
    use testing::people::htpasswd;
    let home = tempfile::tempdir().unwrap();
    let users = home.path().join("htpasswd");
    fs::write(&users, htpasswd(&["puller"])).unwrap();
    let vars = [("REGISTRY_AUTH_TYPE", "basic"), ("REGISTRY_AUTH_HTPASSWD", users.to_str().unwrap())];
    let upstream = Daemon::start(PROGRAM, &home.path().join("data"), &vars);
    let known = upstream.authorized(testing::people::basic("puller"));
    let (_, manifest) = known.push_image("team/app", "v1", "a layer").await;
    let layer = format!("/v2/hub/team/app/blobs/{}", manifest["layers"][0]["digest"].as_str().unwrap());

    let credentials = home.path().join("credentials");
    fs::create_dir(&credentials).unwrap();
    let file = |registry: &str, password: &str| {
        let text = serde_json::json!({ "registry": registry, "username": "puller", "password": password });
        fs::write(credentials.join("near.json"), text.to_string()).unwrap();
    };
    let address = format!("http://{}", upstream.address());
    let vars = [("REGISTRY_CREDENTIALS", credentials.to_str().unwrap())];
    // For another registry it is not sent at all.
    file("http://127.0.0.1:1", "puller!");
    let without = mirror_by(upstream.address(), "allow_private = [\"127.0.0.0/8\"]", &[]);
    let other = mirror_by(upstream.address(), NEAR, &vars);
    for mirror in [&without, &other] {
        let refused = mirror.get("/v2/hub/team/app/manifests/v1").await;
        refused.refused(404, "MANIFEST_UNKNOWN");
        assert!(!refused.has("www-authenticate"));
    }
    let log = other.daemon.logged("near are for another registry");
    assert!(!log.contains("puller!"), "{log}");

    file(&address, "puller!");
    let mirror = mirror_by(upstream.address(), NEAR, &vars);
    mirror.get("/v2/hub/team/app/manifests/v1").await.is(200);
    assert_eq!(mirror.get(layer).await.is(200).body, "layer of a layer");
    assert!(!mirror.daemon.log().contains("puller!"));
}

#[tokio::test]
async fn a_thousand_clients_that_pull_a_cold_image_cost_one_fetch_of_each_part() {
    let upstream = Upstream::start().await;
    let mirror = mirror(upstream.address(), "");
    // A slow layer has all of them at once; with a fast one, many come just when the fetch of another has ended.
    for (name, len, pause) in [("slow", 3 << 20, 30), ("fast", 1000, 0), ("faster", 100, 0), ("fastest", 10, 0)] {
        let layer = noise(len, 7).to_vec();
        let (digest, layer_digest) = has_image(&upstream, name, "v1", layer.clone());
        let mut slow = Fake::ok(layer.clone());
        slow.pause = Duration::from_millis(pause);
        upstream.answer(format!("/v2/{name}/blobs/{layer_digest}"), slow);
        let pulls = (0..1000).map(|_| async {
            let manifest = mirror.get(format!("/v2/hub/{name}/manifests/v1")).await;
            let blob = mirror.get(format!("/v2/hub/{name}/blobs/{layer_digest}")).await;
            (manifest.status.as_u16(), sha256(&manifest.body), blob.status.as_u16(), sha256(&blob.body))
        });
        let pulled = futures_util::future::join_all(pulls).await;
        for pull in pulled {
            assert_eq!(pull, (200, digest.clone(), 200, layer_digest.clone()));
        }
        assert_eq!(upstream.asked(&format!("GET /v2/{name}/manifests/v1")), 1);
        assert_eq!(upstream.asked(&format!("GET /v2/{name}/blobs/{layer_digest}")), 1);
    }
}

#[tokio::test]
async fn the_first_bytes_reach_a_client_before_the_upstream_has_sent_the_last() {
    let upstream = Upstream::start().await;
    let layer = noise(10 << 20, 3).to_vec();
    let (_, digest) = has_image(&upstream, "slow", "v1", layer.clone());
    let mut slow = Fake::ok(layer.clone());
    slow.pause = Duration::from_millis(300);
    upstream.answer(format!("/v2/slow/blobs/{digest}"), slow);
    let mirror = mirror(upstream.address(), "");
    let began = Instant::now();
    let mut stream = tokio::net::TcpStream::connect(mirror.address()).await.unwrap();
    let request = format!("GET /v2/hub/slow/blobs/{digest} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    tokio::io::AsyncWriteExt::write_all(&mut stream, request.as_bytes()).await.unwrap();
    let mut received = vec![0; 1 << 20];
    tokio::io::AsyncReadExt::read_exact(&mut stream, &mut received).await.unwrap();
    let first = began.elapsed();
    let mut rest = Vec::new();
    tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut rest).await.unwrap();
    let (all, whole) = (began.elapsed(), [received, rest].concat());
    assert!(whole.ends_with(&layer[layer.len() - 1000..]));
    assert!(String::from_utf8_lossy(&whole[..1000]).contains(&format!("content-length: {}", layer.len())));
    assert!(all >= Duration::from_millis(2500) && first < all / 2, "{first:?} of {all:?}");
}

#[tokio::test]
async fn a_tag_is_asked_for_again_when_its_time_is_over_and_only_pulled_when_it_moved() {
    let upstream = Upstream::start().await;
    let (first, _) = has_image(&upstream, "app", "latest", vec![1; 100]);
    let mirror = mirror(upstream.address(), "tag_ttl_seconds = 1");
    let target = async || sha256(&mirror.get("/v2/hub/app/manifests/latest").await.is(200).body);
    let (get, head) = ("GET /v2/app/manifests/latest", "HEAD /v2/app/manifests/latest");
    assert_eq!(target().await, first);
    assert_eq!(target().await, first);
    assert_eq!((upstream.asked(get), upstream.asked(head)), (1, 0));
    tokio::time::sleep(Duration::from_millis(1100)).await;
    assert_eq!(target().await, first);
    assert_eq!((upstream.asked(get), upstream.asked(head)), (1, 1), "it has not moved");
    let (second, _) = has_image(&upstream, "app", "latest", vec![2; 100]);
    tokio::time::sleep(Duration::from_millis(1100)).await;
    assert_eq!(target().await, second);
    assert_eq!((upstream.asked(get), upstream.asked(head)), (2, 2));
    // Gone there, gone here.
    upstream.answer("/v2/app/manifests/latest", Fake::absent());
    tokio::time::sleep(Duration::from_millis(1100)).await;
    mirror.get("/v2/hub/app/manifests/latest").await.refused(404, "MANIFEST_UNKNOWN");
    // What has a digest stays.
    mirror.get(format!("/v2/hub/app/manifests/{second}")).await.is(200);
}

#[tokio::test]
async fn a_tag_that_somebody_pushed_here_is_not_the_mirrors() {
    let upstream = Upstream::start().await;
    has_image(&upstream, "app", "v1", vec![1; 100]);
    let mirror = mirror(upstream.address(), "tag_ttl_seconds = 0");
    let (own, _) = mirror.push_image("hub/app", "v1", "pushed here").await;
    let target = async || sha256(&mirror.get("/v2/hub/app/manifests/v1").await.is(200).body);
    assert_eq!(target().await, own);
    assert_eq!(upstream.asked_in_all(), 0);
}

#[tokio::test]
async fn containerd_names_the_registry_in_the_query() {
    let upstream = Upstream::start().await;
    let (digest, layer) = has_image(&upstream, "library/alpine", "v1", vec![1; 100]);
    let mirror = mirror(upstream.address(), "");
    let ns = format!("ns={}", upstream.address());
    assert_eq!(sha256(&mirror.get(format!("/v2/library/alpine/manifests/v1?{ns}")).await.is(200).body), digest);
    mirror.get(format!("/v2/library/alpine/blobs/{layer}?{ns}")).await.is(200);
    assert_eq!(mirror.tags("hub/library/alpine").await, ["v1"]);
    // Another namespace, and none.
    mirror.get("/v2/library/alpine/manifests/v1?ns=quay.io").await.refused(404, "MANIFEST_UNKNOWN");
    mirror.get("/v2/library/alpine/manifests/v1").await.refused(404, "MANIFEST_UNKNOWN");
}

#[tokio::test]
async fn the_name_here_decides_who_may_pull() {
    let upstream = Upstream::start().await;
    has_image(&upstream, "secret/app", "v1", vec![1; 100]);
    let address = upstream.address();
    let managed = testing::managed::Managed::start(PROGRAM, |files| {
        files.settings = format!(
            "[[mirror]]\nrepositories = [\"hub/**\"]\nprefix = \"hub\"\nupstream = \"http://{address}\"\nallow_private = [\"127.0.0.1\"]\n"
        );
        files.rules = r#"{"adminUsers": ["admin"], "rules": [{"repository": "hub/secret/**", "users": ["alice"], "permissions": ["pull"]}]}"#.to_owned();
    });
    let get = async |who: &str, target: &str| managed.user(who).client.get(target).await.status.as_u16();
    let by_query = format!("/v2/secret/app/manifests/v1?ns={address}");
    for target in ["/v2/hub/secret/app/manifests/v1", &by_query] {
        assert_eq!(get("bob", target).await, 403, "{target}");
    }
    assert_eq!(upstream.asked_in_all(), 0, "nobody makes the mirror fetch what they may not pull");
    assert_eq!(get("alice", &by_query).await, 200);
}

#[tokio::test]
async fn what_another_repository_has_is_not_fetched_again_but_asked_about() {
    let upstream = Upstream::start().await;
    let (_, layer) = has_image(&upstream, "one", "v1", vec![7; 1000]);
    upstream.has_blob("two", vec![7; 1000]);
    let mirror = mirror(upstream.address(), "");
    let secret = mirror.push_blob("private", "only for some").await;
    mirror.get(format!("/v2/hub/one/blobs/{layer}")).await.is(200);
    mirror.get(format!("/v2/hub/two/blobs/{layer}")).await.is(200);
    assert_eq!(upstream.asked(&format!("GET /v2/two/blobs/{layer}")), 0);
    assert_eq!(upstream.asked(&format!("HEAD /v2/two/blobs/{layer}")), 1);
    // Knowing the digest of what somebody else pushed grants nothing.
    mirror.get(format!("/v2/hub/one/blobs/{secret}")).await.refused(404, "BLOB_UNKNOWN");
}
