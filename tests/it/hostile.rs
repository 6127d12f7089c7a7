//! What a stranger may try: paths, planted files, forged headers. Nothing of it reaches the
//! storage, leaves the root or breaks a log line.

use crate::{daemon::Daemon, registry::Registry, session::*};
use http::{Method, StatusCode};
use std::{
    collections::BTreeSet,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// Every path below a directory.
fn listing(root: &Path) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    let mut open = vec![root.to_owned()];
    while let Some(dir) = open.pop() {
        for entry in std::fs::read_dir(dir).unwrap().map(Result::unwrap) {
            if entry.file_type().unwrap().is_dir() {
                open.push(entry.path());
            }
            found.insert(entry.path());
        }
    }
    found
}

/// Sends bytes as they are and reads the answer to its end.
async fn raw(registry: &Registry, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(registry.address()).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn hostile_paths_never_reach_the_storage() {
    let registry = Registry::start().await;
    registry.push_image("app", "v1", "x").await;
    let before = listing(registry.root());
    let digest = sha256(b"evil");
    let names = [
        "..",
        "../..",
        "a/..",
        "a/../b",
        "%2e%2e",
        "%2e%2e/x",
        "a%2f..%2fb",
        "a%2Fb",
        "a%00",
        "a//b",
        "/a",
        "a\\b",
        "a;b",
        "A",
        "\u{e9}",
        "_manifests",
        "a/_layers",
        ".hidden",
        "a.",
        "-a",
        "a%0d%0aSet-Cookie:x",
        "%c0%ae%c0%ae",
    ];
    for name in names.into_iter().chain([&*"a".repeat(256), &*"a/".repeat(200)]) {
        for (method, rest) in [
            ("POST", "blobs/uploads/".to_owned()),
            ("POST", format!("blobs/uploads/?digest={digest}")),
            ("PUT", "manifests/v1".to_owned()),
            ("GET", "manifests/v1".to_owned()),
            ("DELETE", "manifests/v1".to_owned()),
            ("GET", format!("blobs/{digest}")),
            ("GET", "tags/list".to_owned()),
        ] {
            let request = format!(
                "{method} /v2/{name}/{rest} HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nConnection: close\r\n\r\nevil"
            );
            let answer = raw(&registry, request.as_bytes()).await;
            assert!(answer.starts_with("HTTP/1.1 400 "), "{method} {name} {rest}: {answer}");
        }
    }
    for reference in ["..", "%2e%2e", "..%2f..%2fROOT.json", "%00", "a%2fb", "sha256:..", "-x", "a%5cb", "%", "%zz"] {
        let request = format!(
            "PUT /v2/app/manifests/{reference} HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{{}}"
        );
        let answer = raw(&registry, request.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{reference}: {answer}");
    }
    assert_eq!(listing(registry.root()), before);
}

#[tokio::test]
async fn planted_links_and_pipes_are_errors_and_lead_nowhere() {
    let registry = Registry::start().await;
    let (digest, manifest) = registry.push_image("app", "v1", "x").await;
    let outside = tempfile::tempdir().unwrap();
    let secret = outside.path().join("secret");
    std::fs::write(&secret, "secret").unwrap();
    let root = registry.root();
    let layer = manifest["layers"][0]["digest"].as_str().unwrap().to_owned();
    let pool = |digest: &str| {
        let hex = digest.strip_prefix("sha256:").unwrap();
        root.join("blobs/sha256").join(&hex[..2]).join(hex)
    };
    let repository = root.join("repositories/app");
    let revision = repository.join("_manifests/revisions/sha256").join(digest.strip_prefix("sha256:").unwrap());
    let plant = |path: &Path| {
        std::fs::remove_file(path).unwrap();
        symlink(&secret, path).unwrap();
    };
    for (path, target) in [
        (pool(&layer), format!("/v2/app/blobs/{layer}")),
        (revision, format!("/v2/app/manifests/{digest}")),
        (repository.join("_manifests/tags/v1"), "/v2/app/manifests/v1".to_owned()),
    ] {
        plant(&path);
        let reply = registry.get(&target).await;
        reply.refused(500, "UNKNOWN");
        assert!(!String::from_utf8_lossy(&reply.body).contains("secret"));
    }
    // A repository that is a link to elsewhere.
    symlink(outside.path(), root.join("repositories/evil")).unwrap();
    registry.post(format!("/v2/evil/blobs/uploads/?digest={}", sha256(b"x")), "x").await.refused(500, "UNKNOWN");
    registry.get("/v2/evil/manifests/v1").await.refused(500, "UNKNOWN");
    assert_eq!(std::fs::read_dir(outside.path()).unwrap().count(), 1, "nothing was written outside");
    assert_eq!(std::fs::read_to_string(&secret).unwrap(), "secret");
    // A pipe where a tag should be neither hangs nor reads.
    let pipe = repository.join("_manifests/tags/pipe");
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, rustix::fs::Mode::RWXU, 0).unwrap();
    registry.get("/v2/app/manifests/pipe").await.refused(500, "UNKNOWN");
}

#[tokio::test]
async fn what_is_in_the_way_is_a_failure_and_not_an_absence() {
    let registry = Registry::start().await;
    let (_, manifest) = registry.push_image("app", "v1", "x").await;
    let layer = manifest["layers"][0]["digest"].as_str().unwrap();
    let hex = layer.strip_prefix("sha256:").unwrap();
    let path = registry.root().join("blobs/sha256").join(&hex[..2]).join(hex);
    std::fs::remove_file(&path).unwrap();
    std::fs::create_dir(&path).unwrap();
    registry.get(format!("/v2/app/blobs/{layer}")).await.refused(500, "UNKNOWN");
    let tag = registry.root().join("repositories/app/_manifests/tags/v1");
    std::fs::write(&tag, "sha256:cut").unwrap();
    registry.get("/v2/app/manifests/v1").await.refused(500, "UNKNOWN");
    assert_eq!(registry.put_manifest("app", "v1", &index(&[])).await.status, StatusCode::CREATED, "a push heals it");
    assert_eq!(registry.get("/v2/app/manifests/v1").await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_damaged_manifest_is_never_served() {
    let registry = Registry::start().await;
    let (digest, manifest) = registry.push_image("app", "v1", "x").await;
    let hex = digest.strip_prefix("sha256:").unwrap();
    let path = registry.root().join("blobs/sha256").join(&hex[..2]).join(hex);
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[20] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let reply = registry.get("/v2/app/manifests/v1").await;
    reply.refused(500, "UNKNOWN");
    assert!(!reply.json()["errors"][0]["message"].as_str().unwrap().contains("blobs/"), "paths are for the log");
    drop(manifest);
}

#[tokio::test]
async fn a_log_line_cannot_be_forged() {
    let dir = tempfile::tempdir().unwrap();
    for format in ["pretty", "json"] {
        let root = dir.path().join(format);
        std::fs::create_dir(&root).unwrap();
        let daemon = Daemon::start(&root, &[("REGISTRY_LOG_FORMAT", format), ("REGISTRY_LOG_LEVEL", "debug")]);
        let reply = daemon
            .ask(Method::GET, "/v2/app/manifests/%0d%0aFORGED%1b[31m?last=%0aFORGED")
            .header("x-request-id", "a b\u{7f}FORGED".replace('\u{7f}', "%"))
            .header("user-agent", "x\tFORGED")
            .header("x-forwarded-for", "FORGED")
            .send()
            .await;
        assert_eq!(reply.status, StatusCode::BAD_REQUEST);
        assert_ne!(reply.header("x-request-id"), "a b%FORGED", "only a harmless id is taken over");
        let taken = daemon.ask(Method::GET, "/v2/").header("x-request-id", "ci-42.a_b").send().await;
        assert_eq!(taken.header("x-request-id"), "ci-42.a_b");
        while !daemon.log().contains("ci-42.a_b") {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        let log = daemon.log();
        assert!(log.lines().all(|line| !line.starts_with("FORGED")), "{log}");
        assert!(!log.contains('\u{1b}'), "no terminal sequences: {log}");
        if format == "json" {
            log.lines().for_each(|line| drop(serde_json::from_str::<serde_json::Value>(line).expect(line)));
        }
    }
}

#[tokio::test]
async fn the_clients_address_is_believed_of_trusted_proxies_alone() {
    let dir = tempfile::tempdir().unwrap();
    for (proxies, told) in [("", "client=127.0.0.1"), ("127.0.0.0/8", "client=203.0.113.9")] {
        let root = dir.path().join(format!("data{}", proxies.len()));
        std::fs::create_dir(&root).unwrap();
        let vars = [("REGISTRY_TRUSTED_PROXIES", proxies)];
        let daemon = Daemon::start(&root, if proxies.is_empty() { &[] } else { &vars });
        daemon.ask(Method::GET, "/v2/").header("x-forwarded-for", "1.1.1.1, 203.0.113.9").send().await;
        while !daemon.log().contains("endpoint=\"ping\"") {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        assert!(daemon.log().contains(told), "{}", daemon.log());
    }
}

#[tokio::test]
async fn browsers_are_told_to_run_nothing() {
    let registry = Registry::start().await;
    let (_, manifest) = registry.push_image("app", "v1", "x").await;
    let layer = manifest["layers"][0]["digest"].as_str().unwrap();
    let blob = registry.get(format!("/v2/app/blobs/{layer}")).await;
    assert_eq!(blob.header("content-disposition"), "attachment");
    assert_eq!(blob.header("content-security-policy"), "sandbox");
    for reply in [blob, registry.get("/v2/").await, registry.get("/nowhere").await] {
        assert_eq!(reply.header("x-content-type-options"), "nosniff");
        assert_eq!(reply.header("referrer-policy"), "no-referrer");
        assert_eq!(reply.header("docker-distribution-api-version"), "registry/2.0");
        assert!(!reply.has("strict-transport-security"), "only over TLS");
    }
}
