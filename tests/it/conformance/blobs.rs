//! Blobs: every way to push one, ranges, and wrong digests.

use super::*;
use testing::registry::Registry;

/// The length of a chunk, and a blob of three, the last of them shorter.
const CHUNK: usize = 1024;
const THREE: usize = 3 * CHUNK - 5;

#[tokio::test]
async fn a_blob_nobody_pushed_is_not_found() {
    let registry = Registry::start().await;
    for naming in NAMINGS {
        let path = format!("/v2/{REPO}/blobs/{}", naming(b"nothing"));
        registry.get(&path).await.refused(404, "BLOB_UNKNOWN");
        registry.head(&path).await.is(404);
    }
}

#[tokio::test]
async fn a_blob_is_pushed_by_a_post_alone() {
    let registry = Registry::start().await;
    for naming in NAMINGS {
        let content = noise(512, 1);
        let digest = naming(&content);
        let target = format!("/v2/{REPO}/blobs/uploads/?digest={digest}");
        let created = registry.post(target, content.clone()).await;
        location_leads_to(&registry, &created, &content).await;
        is_served(&registry, REPO, &digest, &content).await;
        goes_away(&registry, REPO, &digest).await;
    }
}

#[tokio::test]
async fn a_blob_is_pushed_by_a_post_and_a_put() {
    let registry = Registry::start().await;
    for naming in NAMINGS {
        for content in [noise(512, 2), Bytes::new(), Bytes::from_static(b"{}")] {
            let digest = naming(&content);
            let created = post_and_put(&registry, REPO, &digest, content.clone()).await;
            location_leads_to(&registry, &created, &content).await;
            is_served(&registry, REPO, &digest, &content).await;
            goes_away(&registry, REPO, &digest).await;
        }
    }
}

#[tokio::test]
async fn a_blob_is_streamed_in_one_patch_without_a_length() {
    let registry = Registry::start().await;
    for naming in NAMINGS {
        let content = noise(512, 3);
        let digest = naming(&content);
        let location = registry.locate(REPO).await;
        let patched = registry.ask(Method::PATCH, &location).stream(vec![content.clone()]).send().await.is(202);
        assert_eq!(patched.header("range"), "0-511");
        let put = registry.put(with_digest(patched.header("location"), &digest), "").await;
        location_leads_to(&registry, &put, &content).await;
        is_served(&registry, REPO, &digest, &content).await;
        goes_away(&registry, REPO, &digest).await;
    }
}

#[tokio::test]
async fn a_blob_is_pushed_in_chunks_and_the_last_may_be_in_the_put() {
    let registry = Registry::start().await;
    for naming in NAMINGS {
        for (len, last_in_put) in [(512, false), (THREE, false), (THREE, true)] {
            let content = noise(len, 4);
            let digest = naming(&content);
            let mut location = registry.locate(REPO).await;
            let mut at = 0;
            while len - at > if last_in_put { CHUNK } else { 0 } {
                let chunk = content.slice(at..len.min(at + CHUNK));
                at += chunk.len();
                let patched = registry.patch_at(&location, at - chunk.len(), chunk).await.is(202);
                assert_eq!(patched.header("range"), format!("0-{}", at - 1));
                location = patched.header("location").to_owned();
                let status = registry.get(&location).await.is(204);
                assert_eq!(status.header("range"), format!("0-{}", at - 1));
                location = status.header("location").to_owned();
            }
            let put = registry.ask(Method::PUT, with_digest(&location, &digest));
            let put = match last_in_put {
                true => put.header("content-range", format!("{at}-{}", len - 1)).body(content.slice(at..)),
                false => put,
            };
            location_leads_to(&registry, &put.send().await, &content).await;
            is_served(&registry, REPO, &digest, &content).await;
            goes_away(&registry, REPO, &digest).await;
        }
    }
}

#[tokio::test]
async fn chunks_out_of_order_are_refused_and_the_session_continues() {
    let registry = Registry::start().await;
    for naming in NAMINGS {
        for last_in_put in [false, true] {
            let content = noise(THREE, 5);
            let digest = naming(&content);
            let mut location = registry.locate(REPO).await;
            for (at, wrong) in [(0, CHUNK), (CHUNK, 2 * CHUNK), (2 * CHUNK, 0)] {
                let bad = content.slice(wrong..THREE.min(wrong + CHUNK));
                let last = at == 2 * CHUNK && last_in_put;
                let refused = match last {
                    // Rejected before the digest is considered.
                    true => {
                        let put = registry.ask(Method::PUT, with_digest(&location, &digest));
                        put.header("content-range", format!("{wrong}-{}", wrong + bad.len() - 1)).body(bad).send().await
                    }
                    false => registry.patch_at(&location, wrong, bad).await,
                };
                refused.refused(416, "BLOB_UPLOAD_INVALID");
                // A client may ask at the address that included the digest.
                let asked = if last { with_digest(&location, &digest) } else { location.clone() };
                let status = registry.get(&asked).await.is(204);
                if at > 0 {
                    assert_eq!(status.header("range"), format!("0-{}", at - 1));
                }
                location = status.header("location").to_owned();
                let good = content.slice(at..THREE.min(at + CHUNK));
                if last {
                    let put = registry.ask(Method::PUT, with_digest(&location, &digest));
                    let put = put.header("content-range", format!("{at}-{}", THREE - 1)).body(good).send().await;
                    location_leads_to(&registry, &put, &content).await;
                } else {
                    location = registry.patch_at(&location, at, good).await.is(202).header("location").to_owned();
                }
            }
            if !last_in_put {
                let put = registry.put(with_digest(&location, &digest), "").await;
                location_leads_to(&registry, &put, &content).await;
            }
            is_served(&registry, REPO, &digest, &content).await;
            goes_away(&registry, REPO, &digest).await;
        }
    }
}

#[tokio::test]
async fn a_blob_is_mounted_with_or_without_a_source() {
    let registry = Registry::start().await;
    for naming in NAMINGS {
        for from in ["", "&from=conformance/repo2"] {
            let content = noise(512, 6);
            let digest = naming(&content);
            post_and_put(&registry, OTHER, &digest, content.clone()).await.is(201);
            let mounted = registry.post(format!("/v2/{REPO}/blobs/uploads/?mount={digest}{from}"), "").await;
            location_leads_to(&registry, &mounted, &content).await;
            goes_away(&registry, OTHER, &digest).await;
            is_served(&registry, REPO, &digest, &content).await;
            goes_away(&registry, REPO, &digest).await;
        }
    }
}

#[tokio::test]
async fn a_mount_of_a_missing_blob_starts_an_upload() {
    let registry = Registry::start().await;
    for naming in NAMINGS {
        let content = noise(512, 7);
        let digest = naming(&content);
        let target = format!("/v2/{REPO}/blobs/uploads/?mount={digest}&from={OTHER}");
        let reply = registry.post(target, "").await.is(202);
        let put = registry.put(with_digest(reply.header("location"), &digest), content.clone()).await;
        location_leads_to(&registry, &put, &content).await;
    }
}

#[tokio::test]
async fn an_upload_is_cancelled() {
    let registry = Registry::start().await;
    let location = registry.locate(REPO).await;
    let cancelled = registry.delete(&location).await.is(204);
    assert!(cancelled.body.is_empty());
    registry.get(&location).await.refused(404, "BLOB_UPLOAD_UNKNOWN");
}

#[tokio::test]
async fn a_range_is_sent_or_refused_with_its_own_length() {
    let registry = Registry::start().await;
    let content = noise(2048, 8);
    for naming in NAMINGS {
        let digest = naming(&content);
        post_and_put(&registry, REPO, &digest, content.clone()).await.is(201);
        let ask = |range: &str| {
            let path = format!("/v2/{REPO}/blobs/{digest}");
            registry.ask(Method::GET, path).header("range", format!("bytes={range}")).send()
        };
        for (range, start, end) in [("500-1499", 500, 1500), ("500-", 500, 2048), ("-500", 1548, 2048)] {
            let reply = ask(range).await.is(206);
            assert_eq!(reply.body, content[start..end], "{range}");
            assert_eq!(reply.header("content-length"), (end - start).to_string());
            assert_eq!(reply.header("content-range"), format!("bytes {start}-{}/2048", end - 1));
        }
        let clamped = ask("2000-5000").await.is(206);
        assert_eq!((clamped.header("content-length"), clamped.header("content-range")), ("48", "bytes 2000-2047/2048"));
        for range in ["500-0", "5000-10000"] {
            let reply = ask(range).await;
            reply.refused(416, "RANGE_INVALID");
            assert_eq!(reply.header("content-length"), reply.body.len().to_string());
        }
    }
}

#[tokio::test]
async fn a_wrong_digest_is_refused_however_the_blob_was_pushed() {
    let registry = Registry::start().await;
    for naming in NAMINGS {
        let content = noise(THREE, 9);
        let digest = naming(&content);
        let wrong: Bytes = [content.as_ref(), b"oh no"].concat().into();
        let target = format!("/v2/{REPO}/blobs/uploads/?digest={digest}");
        registry.post(target, wrong.clone()).await.refused(400, "DIGEST_INVALID");
        post_and_put(&registry, REPO, &digest, wrong.clone()).await.refused(400, "DIGEST_INVALID");
        for (chunk, ranged) in [(CHUNK, true), (wrong.len(), true), (wrong.len(), false)] {
            let location = registry.locate(REPO).await;
            for start in (0..wrong.len()).step_by(chunk) {
                let part = wrong.slice(start..wrong.len().min(start + chunk));
                match ranged {
                    true => registry.patch_at(&location, start, part).await.is(202),
                    false => registry.ask(Method::PATCH, &location).stream(vec![part]).send().await.is(202),
                };
            }
            registry.put(with_digest(&location, &digest), "").await.refused(400, "DIGEST_INVALID");
        }
        registry.head(format!("/v2/{REPO}/blobs/{digest}")).await.is(404);
    }
}
