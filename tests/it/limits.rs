//! Each limit on what a client may send: at the limit, and one past it.

use http::{Method, StatusCode};
use serde_json::json;
use std::time::Duration;
use testing::{registry::Registry, session::*};

#[tokio::test]
async fn open_sessions_are_limited_and_ending_one_makes_room() {
    let registry = Registry::with(|setup| setup.settings.open_uploads = 2).await;
    let first = registry.begin("app").await;
    registry.begin("app").await;
    let refused = registry.post("/v2/app/blobs/uploads/", "").await;
    refused.refused(429, "TOOMANYREQUESTS");
    assert_eq!(refused.header("retry-after"), "60");
    assert_eq!(registry.delete(&first).await.status, StatusCode::NO_CONTENT);
    let second = registry.begin("app").await;
    let done = registry.put(format!("{second}?digest={}", sha256(b"x")), "x").await;
    assert_eq!(done.status, StatusCode::CREATED);
    registry.begin("app").await;
}

#[tokio::test]
async fn the_sessions_of_one_caller_are_limited() {
    let registry = Registry::with(|setup| setup.settings.open_uploads_per_user = 1).await;
    registry.begin("app").await;
    registry.post("/v2/app/blobs/uploads/", "").await.refused(429, "TOOMANYREQUESTS");
}

#[tokio::test]
async fn the_bytes_of_one_caller_in_open_sessions_are_limited() {
    let registry = Registry::with(|setup| setup.settings.upload_bytes_per_user = 1000).await;
    let location = registry.begin("app").await;
    assert_eq!(registry.patch(&location, noise(1000, 1)).await.status, StatusCode::ACCEPTED);
    let other = registry.begin("app").await;
    registry.patch(&other, "x").await.refused(413, "DENIED");
    registry.delete(&location).await;
    assert_eq!(registry.patch(&other, "x").await.status, StatusCode::ACCEPTED);
}

#[tokio::test]
async fn blobs_have_a_maximum_size_however_they_are_pushed() {
    let registry = Registry::with(|setup| setup.settings.blob_bytes = 1000).await;
    registry.push_blob("app", noise(1000, 1)).await;
    let long = noise(1001, 2);
    let target = format!("/v2/app/blobs/uploads/?digest={}", sha256(&long));
    registry.post(&target, long.clone()).await.refused(413, "DENIED");
    let streamed = registry.ask(Method::POST, &target).stream(vec![long.slice(..600), long.slice(600..)]).send().await;
    streamed.refused(413, "DENIED");
    assert_eq!(registry.inner().open_uploads(), 0, "no client knows these sessions");
    assert_eq!(std::fs::read_dir(registry.root().join("uploads")).unwrap().count(), 0);
    // A session keeps what was within the limit.
    let location = registry.begin("app").await;
    registry.patch(&location, noise(900, 3)).await;
    registry.patch(&location, noise(101, 3)).await.refused(413, "DENIED");
    assert_eq!(registry.get(&location).await.header("range"), "0-899");
    assert_eq!(registry.patch(&location, noise(100, 3)).await.status, StatusCode::ACCEPTED);
}

#[tokio::test]
async fn names_and_tags_have_a_maximum_length() {
    let registry = Registry::start().await;
    registry.begin(&"n".repeat(255)).await;
    registry.post(format!("/v2/{}/blobs/uploads/", "n".repeat(256)), "").await.refused(400, "NAME_INVALID");
    let longest = "t".repeat(128);
    registry.push_image("app", &longest, "x").await;
    assert_eq!(registry.tags("app").await, [longest]);
    let (_, manifest) = registry.push_image("app", "v", "x").await;
    registry.put_manifest("app", &"t".repeat(129), &manifest).await.refused(400, "TAG_INVALID");
}

#[tokio::test]
async fn json_has_a_maximum_depth_and_deeper_json_is_refused_at_once() {
    let registry = Registry::start().await;
    let (_, mut manifest) = registry.push_image("app", "v1", "x").await;
    let nested = |levels: usize| format!("{}1{}", "[".repeat(levels), "]".repeat(levels));
    // The manifest itself is the first level.
    manifest["deep"] = serde_json::from_str(&nested(31)).unwrap();
    assert_eq!(registry.put_manifest("app", "deep", &manifest).await.status, StatusCode::CREATED);
    manifest["deep"] = serde_json::from_str(&nested(32)).unwrap();
    registry.put_manifest("app", "deeper", &manifest).await.refused(400, "MANIFEST_INVALID");
    registry.put("/v2/app/manifests/bomb", vec![b'['; 4 << 20]).await.refused(400, "MANIFEST_INVALID");
    registry.put("/v2/app/manifests/bomb", "{\"a\":".repeat(100_000)).await.refused(400, "MANIFEST_INVALID");
}

#[tokio::test]
async fn the_descriptors_of_a_manifest_are_limited() {
    let registry = Registry::with(|setup| setup.settings.manifest_descriptors = 3).await;
    let child = || json!({"mediaType": OCI_MANIFEST, "digest": sha256(b"child"), "size": 5});
    let three = index(&[child(), child(), child()]);
    assert_eq!(registry.put_manifest("app", "v1", &three).await.status, StatusCode::CREATED);
    let four = index(&[child(), child(), child(), child()]);
    registry.put_manifest("app", "v2", &four).await.refused(400, "MANIFEST_INVALID");
}

#[tokio::test]
async fn an_index_of_indexes_with_shared_children_costs_no_more_than_its_length() {
    let registry = Registry::start().await;
    let mut child = registry.push_image("app", "leaf", "x").await.1.to_string();
    let mut media_type = OCI_MANIFEST;
    for level in 0..30 {
        let twice = [descriptor(media_type, child.as_bytes()), descriptor(media_type, child.as_bytes())];
        let parent = index(&twice);
        let reply = registry.put_manifest("app", &format!("level{level}"), &parent).await;
        assert_eq!(reply.status, StatusCode::CREATED);
        (child, media_type) = (parent.to_string(), OCI_INDEX);
    }
}

#[tokio::test]
async fn request_heads_have_a_maximum_length() {
    let registry = Registry::with(|setup| setup.limits.header_bytes = 20 << 10).await;
    let with = |len: usize| registry.ask(Method::GET, "/v2/").header("authorization", "x".repeat(len)).send();
    assert_eq!(with(16 << 10).await.status, StatusCode::OK);
    with(20 << 10).await.refused(431, "SIZE_INVALID");
    // Exact: the length of the other headers is known.
    let head = format!("GET /v2/ HTTP/1.1\r\nhost: {}\r\nauthorization: ", registry.address());
    let room = (20 << 10) - head.len() - "\r\n\r\n".len();
    assert_eq!(with(room).await.status, StatusCode::OK);
    with(room + 1).await.refused(431, "SIZE_INVALID");
}

#[tokio::test]
async fn a_session_expires_a_fixed_time_after_its_last_byte() {
    let registry = Registry::with(|setup| setup.settings.upload_timeout = Duration::from_millis(400)).await;
    let (left, kept) = (registry.begin("app").await, registry.begin("app").await);
    tokio::time::sleep(Duration::from_millis(250)).await;
    registry.patch(&kept, "x").await;
    tokio::time::sleep(Duration::from_millis(250)).await;
    assert_eq!(registry.inner().sweep().await.unwrap(), 1);
    registry.get(&left).await.refused(404, "BLOB_UPLOAD_UNKNOWN");
    assert_eq!(registry.get(&kept).await.header("range"), "0-0");
}

#[tokio::test]
async fn uploads_without_a_length_count_as_they_arrive() {
    let registry = Registry::with(|setup| setup.settings.upload_bytes_per_user = 1 << 20).await;
    let pieces = |bytes: usize| noise(bytes, 1).chunks(100_000).map(bytes::Bytes::copy_from_slice).collect::<Vec<_>>();
    let location = registry.begin("app").await;
    let stream = |bytes: usize| registry.ask(Method::PATCH, &location).stream(pieces(bytes)).send();
    stream((1 << 20) + 1).await.refused(413, "DENIED");
    let held = registry.get(&location).await.header("range").strip_prefix("0-").unwrap().parse::<usize>().unwrap() + 1;
    assert!(held <= 1 << 20, "{held}");
    assert_eq!(stream((1 << 20) - held).await.status, StatusCode::ACCEPTED, "exactly as many as are allowed");
    let other = registry.post(format!("/v2/app/blobs/uploads/?digest={}", sha256(b"x")), "x").await;
    other.refused(413, "DENIED");
    assert_eq!(registry.inner().open_uploads(), 1, "nothing of it stays");
}

#[tokio::test]
async fn an_expired_session_makes_room_for_another() {
    let registry = Registry::with(|setup| {
        (setup.settings.open_uploads, setup.settings.upload_timeout) = (1, Duration::from_millis(50));
    })
    .await;
    registry.begin("app").await;
    registry.post("/v2/app/blobs/uploads/", "").await.refused(429, "TOOMANYREQUESTS");
    tokio::time::sleep(Duration::from_millis(100)).await;
    registry.inner().sweep().await.unwrap();
    registry.begin("app").await;
}

#[tokio::test]
async fn sessions_of_an_earlier_process_count_as_well() {
    let setup = || {
        let mut setup = testing::registry::Setup::default();
        setup.settings.open_uploads = 2;
        setup
    };
    let registry = Registry::with(|with| *with = setup()).await;
    let (kept, _) = (registry.begin("app").await, registry.begin("app").await);
    let registry = registry.restart(setup()).await;
    // The daemon scans the store at startup.
    registry.inner().sweep().await.unwrap();
    registry.post("/v2/app/blobs/uploads/", "").await.refused(429, "TOOMANYREQUESTS");
    assert_eq!(registry.delete(&kept).await.status, StatusCode::NO_CONTENT);
    registry.begin("app").await;
}

#[tokio::test]
async fn manifests_have_a_maximum_size_however_they_are_pushed() {
    let registry = Registry::with(|setup| setup.settings.manifest_bytes = 5000).await;
    let (_, mut manifest) = registry.push_image("app", "v1", "x").await;
    manifest["padding"] = "".into();
    let room = 5000 - manifest.to_string().len();
    manifest["padding"] = "a".repeat(room).into();
    assert_eq!(registry.put_manifest("app", "at", &manifest).await.status, StatusCode::CREATED);
    let streamed = |manifest: String| {
        let ask = registry.ask(Method::PUT, "/v2/app/manifests/past").header("content-type", OCI_MANIFEST);
        ask.stream(manifest.as_bytes().chunks(999).map(bytes::Bytes::copy_from_slice).collect()).send()
    };
    assert_eq!(streamed(manifest.to_string()).await.status, StatusCode::CREATED);
    manifest["padding"] = "a".repeat(room + 1).into();
    registry.put_manifest("app", "past", &manifest).await.refused(413, "DENIED");
    streamed(manifest.to_string()).await.refused(413, "DENIED");
}

#[tokio::test]
async fn the_tags_of_one_push_are_limited() {
    let registry = Registry::with(|setup| setup.settings.tags_per_push = 3).await;
    let (digest, manifest) = registry.push_image("app", "v0", "x").await;
    let by = |tags: usize| format!("{digest}?{}", (0..tags).map(|i| format!("tag=t{i}&")).collect::<String>());
    registry.put_manifest("app", &by(4), &manifest).await.refused(414, "TAG_INVALID");
    assert_eq!(registry.tags("app").await, ["v0"], "all or none");
    assert_eq!(registry.put_manifest("app", &by(3), &manifest).await.status, StatusCode::CREATED);
    assert_eq!(registry.tags("app").await, ["t0", "t1", "t2", "v0"]);
}

#[tokio::test]
async fn the_size_of_a_page_is_limited() {
    let registry = Registry::with(|setup| setup.settings.page_max = 2).await;
    for tag in ["a", "b", "c"] {
        registry.push_image("app", tag, tag).await;
    }
    let page = |n: &'static str| registry.get(format!("/v2/app/tags/list?n={n}"));
    for n in ["2", "3", "18446744073709551616", "99999999999999999999999999"] {
        let reply = page(n).await;
        assert_eq!(reply.strings("tags"), ["a", "b"], "{n}");
        assert!(reply.has("link"), "{n}");
    }
    assert!(page("0").await.strings("tags").is_empty());
    for n in ["-1", "x", "1.5", "0x2", "%31%00"] {
        page(n).await.refused(400, "PAGINATION_NUMBER_INVALID");
    }
}

#[tokio::test]
async fn the_ranges_of_a_response_are_limited() {
    let registry = Registry::with(|setup| setup.settings.ranges_per_request = 3).await;
    let digest = registry.push_blob("app", noise(1000, 1)).await;
    let ask = |ranges: &'static str| {
        registry.ask(Method::GET, format!("/v2/app/blobs/{digest}")).header("range", format!("bytes={ranges}")).send()
    };
    assert_eq!(ask("0-1,4-5,8-9").await.status, StatusCode::PARTIAL_CONTENT);
    let whole = ask("0-1,4-5,8-9,12-13").await;
    assert_eq!((whole.status, whole.body.len()), (StatusCode::OK, 1000));
}
