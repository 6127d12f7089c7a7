//! Sessions of clients with replicas over one bucket of a real server: `.ci/run objects` installs SeaweedFS and runs them.
//!
//! `WHARFINGER_TEST_WEED` is the program `weed`, which is then started for the tests; or `WHARFINGER_TEST_S3` is the
//! bucket of a server that runs already, `http://HOST:PORT/BUCKET`, with the keys `AKTEST` and `SKTEST`.
//! `WHARFINGER_TEST_S3_KILLS` is how often one of three replicas is killed.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a helper fails the test it is called by")]
#![allow(unreachable_pub, dead_code, reason = "a test program is not a library")]

mod bucket;
mod chaos;

use bucket::{Bucket, Gate};
use http::Method;
use serde_json::json;
use std::time::Duration;
use testing::content::{descriptor, image, index, noise, sha256};

const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// Longer than one part, so that an upload is several.
const LONG: usize = 40 << 20;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs SeaweedFS: .ci/run objects"]
async fn an_upload_continues_on_another_replica_and_every_replica_shows_the_result() {
    let bucket = Bucket::new();
    let (one, two) = (bucket.replica(&[]), bucket.replica(&[]));
    one.get("/v2/").await.is(200);
    let layer = noise(LONG, 1);
    let location = one.begin("team/app").await;
    let mut location = one.patch_at(&location, 0, layer.slice(..LONG / 3)).await.is(202).header("location").to_owned();
    let (mut at, replicas) = (LONG / 3, [&two, &one]);
    for (turn, end) in [LONG / 3 + 1000, LONG / 2, LONG].into_iter().enumerate() {
        let replica = replicas[turn % 2];
        let status = replica.get(&location).await.is(204);
        assert_eq!(status.header("range"), format!("0-{}", at - 1), "another replica knows how far it is");
        location = replica.patch_at(&location, at, layer.slice(at..end)).await.is(202).header("location").to_owned();
        at = end;
    }
    let digest = sha256(&layer);
    let mark = if location.contains('?') { '&' } else { '?' };
    one.put(format!("{location}{mark}digest={digest}"), "").await.is(201);
    let config = json!({"architecture": "amd64"}).to_string();
    let manifest = image(&descriptor(CONFIG, config.as_bytes()), &[descriptor(LAYER, &layer)]);
    two.push_blob("team/app", config.clone()).await;
    two.put_manifest("team/app", "v1", &manifest).await.is(201);
    for replica in [&one, &two] {
        let pulled = replica.get("/v2/team/app/manifests/v1").await.is(200);
        assert_eq!(pulled.header("docker-content-digest"), sha256(manifest.to_string().as_bytes()));
        let pulled = replica.get(format!("/v2/team/app/blobs/{digest}")).await.is(200);
        assert!(pulled.body == layer, "the layer differs");
        let part = replica.ask(Method::GET, format!("/v2/team/app/blobs/{digest}"));
        let part = part.header("range", format!("bytes={}-{}", LONG / 2, LONG / 2 + 9)).send().await.is(206);
        assert_eq!(part.body, layer.slice(LONG / 2..LONG / 2 + 10));
        assert_eq!(replica.tags("team/app").await, ["v1"]);
        assert_eq!(replica.get("/v2/_catalog").await.is(200).strings("repositories"), ["team/app"]);
    }
    two.get(format!("/v2/team/other/blobs/{digest}")).await.refused(404, "BLOB_UNKNOWN");
    assert!(!one.log().contains("SKTEST") && !one.log().contains("AKTEST"), "{}", one.log());
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs SeaweedFS: .ci/run objects"]
async fn what_is_deleted_on_one_replica_is_collected_and_gone_on_all() {
    let bucket = Bucket::new();
    let (one, two) = (bucket.replica(&[]), bucket.replica(&[]));
    let (kept, kept_manifest) = one.push_image("app", "kept", "kept").await;
    let (gone, gone_manifest) = two.push_image("app", "gone", "gone").await;
    let signature = json!({
        "schemaVersion": 2, "mediaType": MANIFEST, "artifactType": "application/vnd.example.signature",
        "config": kept_manifest["config"], "layers": [], "subject": {"mediaType": MANIFEST, "digest": kept, "size": 1},
    });
    two.put_manifest("app", "signature", &signature).await.is(201);
    let referrers = one.get(format!("/v2/app/referrers/{kept}")).await.is(200).json();
    assert_eq!(referrers["manifests"][0]["artifactType"], "application/vnd.example.signature");
    one.delete(format!("/v2/app/manifests/{gone}")).await.is(202);
    two.get("/v2/app/manifests/gone").await.refused(404, "MANIFEST_UNKNOWN");
    let layer = gone_manifest["layers"][0]["digest"].as_str().unwrap();
    let shown = bucket.command(&["gc", "--now", "--force"]);
    assert!(shown.status.success(), "{shown:?}");
    let shown = bucket.command(&["gc", "--now", "--force"]);
    assert!(shown.status.success(), "{shown:?}");
    for replica in [&one, &two] {
        replica.get(format!("/v2/app/blobs/{layer}")).await.refused(404, "BLOB_UNKNOWN");
        replica.get("/v2/app/manifests/kept").await.is(200);
        for layer in kept_manifest["layers"].as_array().unwrap() {
            replica.get(format!("/v2/app/blobs/{}", layer["digest"].as_str().unwrap())).await.is(200);
        }
    }
    // Whoever pushes it again has it again.
    let (again, _) = one.push_image("app", "gone", "gone").await;
    assert_eq!(again, gone);
    two.get(format!("/v2/app/blobs/{layer}")).await.is(200);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs SeaweedFS: .ci/run objects"]
async fn many_who_push_one_tag_leave_one_of_their_images() {
    let bucket = Bucket::new();
    let (one, two) = (bucket.replica(&[]), bucket.replica(&[]));
    let mut digests = Vec::new();
    for n in 0..8 {
        let replica = if n % 2 == 0 { &one } else { &two };
        digests.push(replica.push_image("race", &format!("own-{n}"), &format!("image {n}")).await);
    }
    let pushes = digests.iter().enumerate().map(|(n, (_, manifest))| {
        let replica = if n % 2 == 0 { &one } else { &two };
        replica.put_manifest("race", "latest", manifest)
    });
    for pushed in futures_util::future::join_all(pushes).await {
        pushed.is(201);
    }
    let latest = one.get("/v2/race/manifests/latest").await.is(200).header("docker-content-digest").to_owned();
    assert_eq!(two.get("/v2/race/manifests/latest").await.is(200).header("docker-content-digest"), latest);
    assert!(digests.iter().any(|(digest, _)| *digest == latest));
    let mut expected: Vec<String> = (0..8).map(|n| format!("own-{n}")).collect();
    expected.insert(0, "latest".to_owned());
    assert_eq!(two.tags("race").await, expected);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs SeaweedFS: .ci/run objects"]
async fn names_are_listed_in_order_and_page_by_page() {
    let bucket = Bucket::new();
    let one = bucket.replica(&[]);
    let mut names = ["team/app", "team-x/app", "team-x", "team", "team.y/app", "team0/app", "a", "a-b", "a/b"].to_vec();
    for name in &names {
        one.push_empty_index(name, "v1").await;
    }
    names.sort_unstable();
    let (mut found, mut next) = (Vec::new(), Some("/v2/_catalog?n=2".to_owned()));
    while let Some(page) = next {
        let reply = one.get(page).await.is(200);
        found.extend(reply.strings("repositories"));
        next = reply.next().map(str::to_owned);
    }
    assert_eq!(found, names);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs SeaweedFS: .ci/run objects"]
async fn while_the_store_is_down_clients_are_told_to_come_back() {
    let bucket = Bucket::new();
    let gate = Gate::open(bucket.address()).await;
    let one = bucket.replica(&[("REGISTRY_S3_ENDPOINT", &gate.url())]);
    let (_, manifest) = one.push_image("app", "v1", "image").await;
    one.get("/health/ready").await.is(200);
    gate.shut();
    let refused = one.get("/v2/other/manifests/v1").await.is(503);
    assert!(refused.has("retry-after"), "{refused:?}");
    assert!(!refused.message().contains("127.0.0.1"), "{}", refused.message());
    let refused = one.post("/v2/app/blobs/uploads/", "").await.is(503);
    assert!(refused.has("retry-after"), "{refused:?}");
    one.until(Duration::from_secs(20), "it is not ready", async || one.get("/health/ready").await.status == 503).await;
    gate.open_again();
    one.until(Duration::from_secs(20), "it is ready again", async || one.get("/health/ready").await.status == 200)
        .await;
    one.put_manifest("app", "v2", &manifest).await.is(201);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs SeaweedFS: .ci/run objects"]
async fn what_a_replica_has_cached_is_pulled_while_the_store_is_down_and_after_a_kill() {
    let bucket = Bucket::new();
    let gate = Gate::open(bucket.address()).await;
    let (dir, url) = (tempfile::tempdir().unwrap(), gate.url());
    let path = dir.path().join("cache");
    let cached = [
        ("REGISTRY_S3_ENDPOINT", &*url),
        ("REGISTRY_CACHE_SIZE", "1GiB"),
        ("REGISTRY_CACHE_PATH", path.to_str().unwrap()),
    ];
    let one = bucket.replica(&cached);
    let layer = noise(LONG, 2);
    let digest = one.push_blob("app", layer.clone()).await;
    let blob = format!("/v2/app/blobs/{digest}");
    assert!(one.get(&blob).await.is(200).body == layer, "the layer differs");
    let has = async |one: &testing::daemon::Daemon, line: &str| {
        let metrics = one.get("/metrics").await.is(200).body;
        String::from_utf8_lossy(&metrics).lines().any(|found| found == line)
    };
    one.until(Duration::from_secs(20), "it is not cached", async || has(&one, "wharfinger_cache_blobs 1").await).await;
    gate.shut();
    assert!(one.get(&blob).await.is(200).body == layer, "the layer differs");
    let part = one.ask(Method::GET, &blob).header("range", "bytes=7-9").send().await.is(206);
    assert_eq!(part.body, layer.slice(7..10));
    one.get(format!("/v2/other/blobs/{digest}")).await.is(503);
    gate.open_again();
    one.kill();
    let one = bucket.replica(&cached);
    assert!(one.get(&blob).await.is(200).body == layer, "the layer differs");
    assert!(has(&one, "wharfinger_cache_hits_total 1").await);
    let (_, manifest) = one.push_image("app", "v1", "image").await;
    assert!(manifest["layers"].is_array());
    let checked = bucket.command(&["fsck", "--read-data"]);
    let shown = String::from_utf8_lossy(&checked.stdout).into_owned();
    assert!(checked.status.success() && shown.contains("1 manifest, 1 tag"), "{checked:?}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs SeaweedFS: .ci/run objects"]
async fn a_check_says_what_the_bucket_can_do_and_no_secret() {
    let bucket = Bucket::new();
    let checked = bucket.command(&["check"]);
    let shown = String::from_utf8(checked.stdout).unwrap();
    assert!(checked.status.success(), "{shown}");
    assert!(shown.contains("reads and lists see every write: yes"), "{shown}");
    assert!(shown.contains("writes on condition that nothing has changed: yes"), "{shown}");
    assert!(!shown.contains("SKTEST"), "{shown}");
    let wrong = bucket.command_with(&["check"], &[("REGISTRY_S3_SECRET_KEY", "hunter2")]);
    let shown = format!("{}{}", String::from_utf8_lossy(&wrong.stdout), String::from_utf8_lossy(&wrong.stderr));
    assert!(!wrong.status.success() && shown.contains("denies access") && !shown.contains("hunter2"), "{shown}");
    let absent = bucket.command(&["fsck"]);
    assert_eq!(absent.status.code(), Some(78), "there is nothing to check: {absent:?}");
    assert_eq!(bucket.command(&["init", "--wipe-data", "--confirm", "x"]).status.code(), Some(2));
    let empty = bucket.command(&["repo", "list"]);
    assert_eq!(empty.status.code(), Some(78), "there is no store before the first start: {empty:?}");
    assert!(bucket.command(&["repo", "create", "team/app"]).status.success());
    let listed = bucket.command(&["repo", "list"]);
    assert!(String::from_utf8_lossy(&listed.stdout).starts_with("team/app"), "{listed:?}");
    let one = bucket.replica(&[]);
    assert_eq!(one.get("/v2/team/app/tags/list").await.is(200).strings("tags"), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs SeaweedFS: .ci/run objects"]
async fn a_bucket_that_holds_something_else_is_refused() {
    let bucket = Bucket::new();
    drop(bucket.replica(&[]));
    // The same bucket, one level above: it holds a registry, but is none.
    let refused = bucket.command_with(&["repo", "create", "app"], &[("REGISTRY_S3_PREFIX", bucket.above())]);
    let shown = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && shown.contains("in use"), "{shown}");
}

/// An index of several images is pulled by parts of it from both replicas.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs SeaweedFS: .ci/run objects"]
async fn an_index_refers_to_what_another_replica_has_stored() {
    let bucket = Bucket::new();
    let (one, two) = (bucket.replica(&[]), bucket.replica(&[]));
    let (_, first) = one.push_image("multi", "amd64", "amd64").await;
    let (_, second) = two.push_image("multi", "arm64", "arm64").await;
    let children = [&first, &second].map(|manifest| descriptor(MANIFEST, manifest.to_string().as_bytes()));
    one.put_manifest("multi", "all", &index(&children)).await.is(201);
    let found = two.get("/v2/multi/manifests/all").await.is(200).json();
    assert_eq!(found["manifests"].as_array().unwrap().len(), 2);
}
