//! Ranges of a blob.

use bytes::Bytes;
use http::Method;
use testing::{registry::Registry, session::*};

async fn with_blob(content: &Bytes) -> (Registry, String) {
    let registry = Registry::with(|setup| setup.settings.ranges_per_request = 4).await;
    let digest = registry.push_blob("app", content.clone()).await;
    (registry, format!("/v2/app/blobs/{digest}"))
}

async fn range(client: &Client, path: &str, range: &str) -> Reply {
    client.ask(Method::GET, path).header("range", range).send().await
}

#[tokio::test]
async fn a_single_range_is_sent_as_one_part() {
    let content = noise(700_000, 1);
    let (registry, path) = with_blob(&content).await;
    for client in [registry.clone(), Client::over_h2(registry.address())] {
        for (asked, start, end) in [
            ("0-1", 0, 2),
            ("0-", 0, 700_000),
            ("299999-300001", 299_999, 300_002),
            ("699999-", 699_999, 700_000),
            ("-1", 699_999, 700_000),
            ("-9000000", 0, 700_000),
            ("1-99999999999999999999999", 1, 700_000),
            ("5-6,800000-", 5, 7),
        ] {
            let reply = range(&client, &path, &format!("bytes={asked}")).await.is(206);
            assert_eq!(reply.header("content-range"), format!("bytes {start}-{}/700000", end - 1), "{asked}");
            assert_eq!(reply.header("content-length"), (end - start).to_string());
            assert_eq!(reply.header("content-type"), "application/octet-stream");
            assert_eq!(reply.header("accept-ranges"), "bytes");
            assert!(reply.body == content[start..end], "{asked}");
        }
    }
}

#[tokio::test]
async fn several_ranges_are_sent_as_parts_in_the_requested_order() {
    let content = noise(500_000, 2);
    let (registry, path) = with_blob(&content).await;
    for client in [registry.clone(), Client::over_h2(registry.address())] {
        for spans in [vec![(400_000, 500_000), (0, 1), (100, 300_000)], vec![(0, 10), (10, 15)], vec![(8, 9), (7, 8)]] {
            let asked: Vec<_> = spans.iter().map(|(start, end)| format!("{start}-{}", end - 1)).collect();
            let reply = range(&client, &path, &format!("bytes={}", asked.join(", "))).await.is(206);
            let boundary = reply.header("content-type").strip_prefix("multipart/byteranges; boundary=").unwrap();
            assert!(boundary.bytes().all(|b| b.is_ascii_alphanumeric()), "no client must unquote it");
            let mut expected = Vec::new();
            for (start, end) in spans {
                if !expected.is_empty() {
                    expected.extend(b"\r\n");
                }
                let head = format!(
                    "--{boundary}\r\nContent-Type: application/octet-stream\r\nContent-Range: bytes {start}-{}/500000\r\n\r\n",
                    end - 1
                );
                expected.extend(head.as_bytes());
                expected.extend(&content[start..end]);
            }
            expected.extend(format!("\r\n--{boundary}--\r\n").as_bytes());
            assert!(reply.body == expected);
            assert_eq!(reply.header("content-length"), expected.len().to_string());
            assert!(!reply.has("content-range"), "each part has its own");
        }
    }
}

#[tokio::test]
async fn unsatisfiable_ranges_are_refused_with_the_length_of_the_blob() {
    let (registry, path) = with_blob(&noise(2048, 3)).await;
    for asked in ["2048-", "5000-10000", "500-0", "-0", "3000-,4000-"] {
        let reply = range(&registry, &path, &format!("bytes={asked}")).await;
        reply.refused(416, "RANGE_INVALID");
        assert_eq!(reply.header("content-range"), "bytes */2048", "{asked}");
        assert_eq!(reply.header("content-length"), reply.body.len().to_string());
    }
    let empty = registry.push_blob("app", "").await;
    let reply = range(&registry, &format!("/v2/app/blobs/{empty}"), "bytes=0-").await;
    reply.refused(416, "RANGE_INVALID");
    assert_eq!(reply.header("content-range"), "bytes */0");
}

#[tokio::test]
async fn an_invalid_range_returns_the_whole_blob() {
    let content = noise(2048, 4);
    let (registry, path) = with_blob(&content).await;
    for asked in ["bytes=", "bytes=x-y", "bytes 0-1", "lines=0-1", "bytes=1", "bytes=0-1,x", "bytes=--1", "nonsense"] {
        let reply = range(&registry, &path, asked).await.is(200);
        assert_eq!(reply.body, content, "{asked}");
        assert_eq!(reply.header("accept-ranges"), "bytes");
    }
}

#[tokio::test]
async fn as_many_ranges_as_the_limit_are_sent_and_one_more_returns_the_whole_blob() {
    let content = noise(2048, 5);
    let (registry, path) = with_blob(&content).await;
    let ranges = |n: usize| format!("bytes={}", (0..n).map(|i| format!("{i}-{i}")).collect::<Vec<_>>().join(","));
    let most = range(&registry, &path, &ranges(4)).await.is(206);
    assert!(most.header("content-type").starts_with("multipart/byteranges"));
    let more = range(&registry, &path, &ranges(5)).await.is(200);
    assert_eq!(more.body, content);
    assert_eq!(more.header("content-type"), "application/octet-stream");
}

#[tokio::test]
async fn overlapping_ranges_return_the_whole_blob_once() {
    let content = noise(2048, 6);
    let registry = Registry::start().await;
    let digest = registry.push_blob("app", content.clone()).await;
    let path = format!("/v2/app/blobs/{digest}");
    for asked in [vec!["0-"; 128], vec!["0-9", "9-19"], vec!["1000-1999", "0-0", "0-1023"], vec!["-1", "2047-"]] {
        let reply = range(&registry, &path, &format!("bytes={}", asked.join(","))).await.is(200);
        assert_eq!((reply.header("content-length"), &reply.body), ("2048", &content), "{asked:?}");
        assert_eq!(reply.header("content-type"), "application/octet-stream");
    }
    // For short ranges the headers of the parts count: a response is at most twice as long as the blob.
    let bytes = |n: usize| (0..n).map(|i| format!("{i}-{i}")).collect::<Vec<_>>().join(",");
    let mut lengths = Vec::new();
    for n in 2..=128 {
        let reply = range(&registry, &path, &format!("bytes={}", bytes(n))).await;
        lengths.push((reply.status.as_u16(), reply.body.len()));
    }
    let in_parts = lengths.iter().take_while(|(status, len)| *status == 206 && *len <= 4096).count();
    assert!((30..40).contains(&in_parts), "{lengths:?}");
    assert!(lengths[in_parts..].iter().all(|reply| *reply == (200, 2048)), "{lengths:?}");
}

#[tokio::test]
async fn ranges_of_manifests_are_ignored() {
    let registry = Registry::start().await;
    let (_, manifest) = registry.push_image("app", "v1", "x").await;
    let reply = range(&registry, "/v2/app/manifests/v1", "bytes=0-1").await.is(200);
    assert_eq!(reply.body, manifest.to_string());
    assert!(!reply.has("accept-ranges"));
}
