//! Blobs pushed in one request, and wrong digests.

use crate::PROGRAM;
use http::Method;
use testing::{daemon::Daemon, registry::Registry, session::*};

#[tokio::test]
async fn a_session_is_finished_by_one_put_with_the_whole_blob() {
    let registry = Registry::start().await;
    let content = noise(700_000, 1);
    let digest = sha256(&content);
    for slash in ["", "/"] {
        let begun = registry.post(format!("/v2/app/blobs/uploads{slash}"), "").await.is(202);
        let location = begun.header("location").to_owned();
        assert!(location.starts_with("/v2/app/blobs/uploads/"), "relative: {location}");
        let uuid = begun.header("docker-upload-uuid");
        assert!(location.ends_with(&format!("/{uuid}.0")) && uuid.len() == 36);
        assert_eq!((begun.header("range"), begun.header("content-length")), ("0-0", "0"));
        assert!(!begun.has("oci-chunk-min-length"));
        let put = registry.put(format!("{location}?digest={digest}"), content.clone()).await.is(201);
        assert_eq!(put.header("location"), format!("/v2/app/blobs/{digest}"));
        assert_eq!(put.header("docker-content-digest"), digest);
        assert_eq!(put.header("content-length"), "0");
        registry.get(&location).await.refused(404, "BLOB_UPLOAD_UNKNOWN");
    }
    assert_eq!(registry.read(format!("/v2/app/blobs/{digest}")).await.body, content);
}

#[tokio::test]
async fn a_single_post_is_recognised_by_its_digest_parameter() {
    let registry = Registry::start().await;
    for content in [noise(300_000, 2), "".into()] {
        let digest = sha256(&content);
        let target = format!("/v2/app/blobs/uploads/?digest={digest}");
        for ask in [registry.ask(Method::POST, &target), registry.ask(Method::POST, target.replace("/?", "?"))] {
            let reply = ask.stream(vec![content.clone()]).send().await.is(201);
            assert_eq!(reply.header("location"), format!("/v2/app/blobs/{digest}"));
            assert_eq!(reply.header("docker-content-digest"), digest);
        }
        let head = registry.head(format!("/v2/app/blobs/{digest}")).await.is(200);
        assert_eq!(head.header("content-length"), content.len().to_string());
    }
    assert_eq!(registry.inner().open_uploads(), 0);
}

#[tokio::test]
async fn the_content_type_of_an_upload_is_ignored() {
    let registry = Registry::start().await;
    for media_type in ["application/json", "application/octet-stream", "image/png", "nonsense"] {
        let ask = registry.ask(Method::POST, "/v2/app/blobs/uploads/").header("content-type", media_type);
        ask.send().await.is(202);
    }
}

#[tokio::test]
async fn the_algorithm_of_a_session_is_optional() {
    let registry = Registry::start().await;
    let content = noise(300_000, 3);
    for (query, digest) in [
        ("?digest-algorithm=sha512", sha512(&content)),
        ("?digest-algorithm=sha512", sha256(&content)),
        ("?digest-algorithm=sha256", sha256(&content)),
        ("", sha512(&content)),
    ] {
        let begun = registry.post(format!("/v2/app/blobs/uploads/{query}"), "").await.is(202);
        let location = begun.header("location");
        let patched = registry.patch(location, content.slice(..200_000)).await.is(202);
        let location = patched.header("location");
        let put = registry.put(format!("{location}?digest={digest}"), content.slice(200_000..)).await.is(201);
        assert_eq!(put.header("docker-content-digest"), digest);
        assert_eq!(registry.read(format!("/v2/app/blobs/{digest}")).await.body, content);
        registry.delete(format!("/v2/app/blobs/{digest}")).await.is(202);
    }
    for unknown in ["blake3", "md5", "SHA256"] {
        let reply = registry.post(format!("/v2/app/blobs/uploads/?digest-algorithm={unknown}"), "").await;
        reply.refused(400, "DIGEST_INVALID");
    }
}

#[tokio::test]
async fn a_wrong_digest_ends_the_session_and_publishes_nothing() {
    let registry = Registry::start().await;
    for (said, content) in [(sha256(b"this"), "that"), (sha512(b"this"), "that"), (sha256(b"this"), "")] {
        let location = registry.begin("app").await;
        registry.patch(&location, content).await.is(202);
        registry.put(format!("{location}?digest={said}"), "").await.refused(400, "DIGEST_INVALID");
        registry.get(&location).await.refused(404, "BLOB_UPLOAD_UNKNOWN");
        let uploads = registry.root().join("uploads");
        assert_eq!(std::fs::read_dir(uploads).unwrap().count(), 0, "its bytes are gone");
        registry.head(format!("/v2/app/blobs/{said}")).await.is(404);
        registry.head(format!("/v2/app/blobs/{}", sha256(content.as_bytes()))).await.is(404);
        let single = registry.post(format!("/v2/app/blobs/uploads/?digest={said}"), content).await;
        single.refused(400, "DIGEST_INVALID");
    }
    assert_eq!(registry.inner().open_uploads(), 0);
}

#[tokio::test]
async fn a_wrong_digest_leaves_the_blob_of_that_digest_as_it_is() {
    let registry = Registry::start().await;
    let digest = registry.push_blob("app", "the blob").await;
    let location = registry.begin("app").await;
    registry.put(format!("{location}?digest={digest}"), "not the blob").await.refused(400, "DIGEST_INVALID");
    let target = format!("/v2/app/blobs/uploads/?digest={digest}");
    registry.post(target, "not it either").await.refused(400, "DIGEST_INVALID");
    assert_eq!(registry.read(format!("/v2/app/blobs/{digest}")).await.body, "the blob");
}

#[tokio::test]
async fn an_unsupported_digest_is_refused_before_any_byte_is_read() {
    let registry = Registry::start().await;
    let location = registry.begin("app").await;
    registry.patch(&location, "half").await.is(202);
    for bad in ["sha256:short", "blake3:00", "nonsense", ""] {
        registry.put(format!("{location}?digest={bad}"), "x").await.refused(400, "DIGEST_INVALID");
        registry.post(format!("/v2/app/blobs/uploads/?digest={bad}"), "x").await.refused(400, "DIGEST_INVALID");
    }
    registry.put(&location, "x").await.refused(400, "DIGEST_INVALID");
    let twice = format!("{location}?digest={}&digest={}", sha256(b"half"), sha256(b"x"));
    registry.put(twice, "").await.refused(400, "UNSUPPORTED");
    assert_eq!(registry.get(&location).await.header("range"), "0-3", "the session stands where it stood");
    registry.put(format!("{location}?digest={}", sha256(b"half")), "").await.is(201);
}

#[tokio::test]
async fn a_blob_of_the_maximum_size_is_accepted_and_one_byte_more_refused() {
    let registry = Registry::with(|setup| setup.settings.blob_bytes = 1000).await;
    let (most, more) = (noise(1000, 1), noise(1001, 1));
    for stream in [false, true] {
        for (content, status) in [(&most, 201), (&more, 413)] {
            let ask = registry.ask(Method::POST, format!("/v2/app/blobs/uploads/?digest={}", sha256(content)));
            let reply = match stream {
                true => ask.stream(vec![content.clone()]).send().await,
                false => ask.body(content.clone()).send().await,
            };
            assert_eq!(reply.status, status, "{reply:?}");
        }
        let location = registry.begin("app").await;
        registry.patch(&location, most.slice(..999)).await.is(202);
        registry.patch(&location, "xx").await.refused(413, "DENIED");
        registry.patch(&location, most.slice(999..)).await.is(202);
        registry.put(format!("{location}?digest={}", sha256(&most)), "").await.is(201);
    }
}

/// Makes glibc keep freed memory; other allocators have no such setting.
#[cfg(target_env = "gnu")]
#[tokio::test]
async fn the_memory_of_a_push_is_allocated_once() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("data");
    std::fs::create_dir(&root).unwrap();
    let daemon = Daemon::start(PROGRAM, &root, &[]);
    let faults = || {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", daemon.pid())).unwrap();
        let fields = stat.rsplit_once(')').unwrap().1;
        fields.split_whitespace().nth(7).unwrap().parse::<u64>().unwrap()
    };
    daemon.push_blob("app", noise(32 << 20, 1)).await;
    let before = faults();
    daemon.push_blob("app", noise(32 << 20, 2)).await;
    let pages = faults() - before;
    // One fault per page would be eight thousand.
    assert!(pages < 600, "{pages} page faults");
}
