//! Blobs that are verified while they are sent.

use bytes::Bytes;
use std::{fs, path::PathBuf, time::Duration};
use testing::{registry::Registry, session::*, wire::Wire};
use wharfinger::{config::Operator, registry::VerifyReads};

/// Makes a blob arrive in several pieces, the last of them shorter.
const LEN: usize = 700_000;

async fn verifying(verify: VerifyReads) -> Registry {
    Registry::with(|setup| setup.settings.verify_reads = verify).await
}

/// The path of a blob.
fn file(registry: &Registry, digest: &str) -> PathBuf {
    let (algorithm, hex) = digest.split_once(':').unwrap();
    registry.root().join("blobs").join(algorithm).join(&hex[..2]).join(hex)
}

/// Flips a bit of a blob.
fn spoil(registry: &Registry, digest: &str, at: usize) {
    let path = file(registry, digest);
    let mut bytes = fs::read(&path).unwrap();
    bytes[at] ^= 1;
    fs::write(path, bytes).unwrap();
}

async fn until_it_is_quarantined(registry: &Registry, digest: &str) {
    while file(registry, digest).exists() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(fs::read_dir(registry.root().join("quarantine")).unwrap().count(), 1);
    fs::remove_dir_all(registry.root().join("quarantine")).unwrap();
}

/// The bytes that arrive until the connection ends.
async fn whatever_comes(registry: &Registry, path: &str) -> (String, Bytes) {
    let mut wire = Wire::open(registry.address()).await;
    wire.send(format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n")).await;
    (wire.head().await.expect("a head"), wire.rest().await.into())
}

#[tokio::test]
async fn a_damaged_blob_is_never_sent_completely_and_is_quarantined() {
    let registry = verifying(VerifyReads::Always).await;
    for naming in NAMINGS {
        for at in [0, LEN / 2, LEN - 1] {
            let content = noise(LEN, 1);
            let digest = naming(&content);
            let path = format!("/v2/app/blobs/{digest}");
            registry.post(format!("/v2/app/blobs/uploads/?digest={digest}"), content.clone()).await.is(201);
            for client in [registry.clone(), Client::over_h2(registry.address())] {
                assert_eq!(client.read(&path).await.body, content);
            }
            spoil(&registry, &digest, at);
            let (head, body) = whatever_comes(&registry, &path).await;
            assert!(head.starts_with("http/1.1 200") && head.contains(&format!("content-length: {LEN}")), "{head}");
            assert!(body.len() < LEN, "byte {at}: {} bytes", body.len());
            until_it_is_quarantined(&registry, &digest).await;
            registry.get(&path).await.refused(404, "BLOB_UNKNOWN");
        }
        let content = noise(LEN, 2);
        let digest = naming(&content);
        registry.post(format!("/v2/app/blobs/uploads/?digest={digest}"), content).await.is(201);
        spoil(&registry, &digest, 5);
        let client = Client::over_h2(registry.address());
        let ask = client.ask(http::Method::GET, format!("/v2/app/blobs/{digest}"));
        assert!(ask.try_send().await.is_err(), "the stream is reset");
        until_it_is_quarantined(&registry, &digest).await;
    }
}

#[tokio::test]
async fn a_truncated_blob_is_never_sent_completely() {
    let registry = verifying(VerifyReads::Always).await;
    for len in [LEN as u64 - 1, 1000, 0] {
        let digest = registry.push_blob("app", noise(LEN, 3)).await;
        fs::File::options().write(true).open(file(&registry, &digest)).unwrap().set_len(len).unwrap();
        let path = format!("/v2/app/blobs/{digest}");
        if len == 0 {
            registry.get(&path).await.refused(500, "UNKNOWN");
        } else {
            let (_, body) = whatever_comes(&registry, &path).await;
            assert!((body.len() as u64) < len, "{len}: {} bytes", body.len());
        }
        until_it_is_quarantined(&registry, &digest).await;
    }
    let empty = registry.push_blob("app", "").await;
    assert_eq!(registry.read(format!("/v2/app/blobs/{empty}")).await.body, "");
}

#[tokio::test]
async fn parts_heads_and_reads_without_the_setting_are_not_verified() {
    let registry = verifying(VerifyReads::Always).await;
    let content = noise(LEN, 4);
    let digest = registry.push_blob("app", content.clone()).await;
    spoil(&registry, &digest, 0);
    let path = format!("/v2/app/blobs/{digest}");
    for range in ["bytes=1-99", "bytes=1-"] {
        let part = registry.ask(http::Method::GET, &path).header("range", range).send().await.is(206);
        assert!(content[1..].starts_with(&part.body));
    }
    registry.head(&path).await.is(200);
    assert!(file(&registry, &digest).exists());
    let registry = registry.restart(Default::default()).await;
    assert_eq!(registry.read(&path).await.body.len(), LEN);
}

#[tokio::test]
async fn sampling_verifies_one_read_in_sixteen() {
    let registry = verifying(VerifyReads::Sampled).await;
    let digest = registry.push_blob("app", noise(LEN, 5)).await;
    let path = format!("/v2/app/blobs/{digest}");
    registry.read(&path).await;
    spoil(&registry, &digest, 0);
    for _ in 0..15 {
        assert_eq!(registry.read(&path).await.body.len(), LEN);
    }
    assert!(whatever_comes(&registry, &path).await.1.len() < LEN);
    until_it_is_quarantined(&registry, &digest).await;
}

#[tokio::test]
async fn a_damaged_blob_stays_where_it_is_while_the_registry_is_read_only() {
    let registry = Registry::with(|setup| {
        setup.settings.verify_reads = VerifyReads::Always;
        setup.operator = Some(Operator { read_only: true, delete: true, message: "".into() });
    })
    .await;
    let content = noise(LEN, 6);
    let chunk = wharfinger::registry::Chunk::default();
    let repository = registry.inner().repository(&"app".parse().unwrap());
    let (digest, bytes) = (sha256(&content).parse().unwrap(), futures_util::stream::iter([Ok(content)]));
    repository.push_blob(&digest, chunk, bytes).await.unwrap();
    spoil(&registry, digest.as_str(), 0);
    for _ in 0..2 {
        assert!(whatever_comes(&registry, &format!("/v2/app/blobs/{digest}")).await.1.len() < LEN);
    }
    registry.inner().close().await;
    assert!(file(&registry, digest.as_str()).exists());
}
