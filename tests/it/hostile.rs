//! Attacks by strangers: paths, planted files, forged headers. None reaches the storage, leaves the root or breaks a
//! log line.

use crate::PROGRAM;
use http::{Method, StatusCode};
use std::{
    collections::BTreeSet,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};
use testing::{daemon::Daemon, registry::Registry, session::*, wire::exchange};

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
        "a%252fb",
        "a%2f",
        "%2fa",
        "a%2f%2fb",
        "a%00",
        "a%",
        "%zz",
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
            let answer = exchange(registry.address(), &request).await;
            let answer = String::from_utf8_lossy(&answer);
            assert!(answer.starts_with("HTTP/1.1 400 "), "{method} {name} {rest}: {answer}");
        }
    }
    for reference in ["..", "%2e%2e", "..%2f..%2fROOT.json", "%00", "a%2fb", "sha256:..", "-x", "a%5cb", "%", "%zz"] {
        let request = format!(
            "PUT /v2/app/manifests/{reference} HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{{}}"
        );
        let answer = exchange(registry.address(), &request).await;
        let answer = String::from_utf8_lossy(&answer);
        assert!(answer.starts_with("HTTP/1.1 400 "), "{reference}: {answer}");
    }
    assert_eq!(listing(registry.root()), before);
}

#[tokio::test]
async fn planted_links_and_pipes_are_errors_and_not_followed() {
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
    // A repository that is a link to another directory.
    symlink(outside.path(), root.join("repositories/evil")).unwrap();
    registry.post(format!("/v2/evil/blobs/uploads/?digest={}", sha256(b"x")), "x").await.refused(500, "UNKNOWN");
    registry.get("/v2/evil/manifests/v1").await.refused(500, "UNKNOWN");
    assert_eq!(std::fs::read_dir(outside.path()).unwrap().count(), 1, "nothing was written outside");
    assert_eq!(std::fs::read_to_string(&secret).unwrap(), "secret");
    // A pipe in place of a tag neither hangs nor is read.
    let pipe = repository.join("_manifests/tags/pipe");
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, rustix::fs::Mode::RWXU, 0).unwrap();
    registry.get("/v2/app/manifests/pipe").await.refused(500, "UNKNOWN");
}

#[tokio::test]
async fn writes_never_follow_planted_links_and_pipes() {
    let registry = Registry::start().await;
    let (_, manifest) = registry.push_image("app", "v1", "x").await;
    let outside = tempfile::tempdir().unwrap();
    let secret = outside.path().join("secret");
    std::fs::write(&secret, "secret").unwrap();
    let root = registry.root().to_owned();
    let layer = manifest["layers"][0]["digest"].as_str().unwrap().to_owned();
    let hex = layer.strip_prefix("sha256:").unwrap();
    let pipe = |path: &Path| {
        let (cwd, mode) = (rustix::fs::CWD, rustix::fs::Mode::RWXU);
        rustix::fs::mknodat(cwd, path, rustix::fs::FileType::Fifo, mode, 0).unwrap();
    };
    // A session whose bytes would go elsewhere, and one whose directory is elsewhere.
    let id = |location: &str| location.rsplit('/').next().unwrap().to_owned();
    let (bytes, note, whole) = (registry.begin("app").await, registry.begin("app").await, registry.begin("app").await);
    let data = root.join("uploads").join(id(&bytes)).join("data");
    std::fs::remove_file(&data).unwrap();
    symlink(&secret, &data).unwrap();
    let session = root.join("uploads").join(id(&note)).join("session.json");
    std::fs::remove_file(&session).unwrap();
    pipe(&session);
    std::fs::remove_dir_all(root.join("uploads").join(id(&whole))).unwrap();
    symlink(outside.path(), root.join("uploads").join(id(&whole))).unwrap();
    for location in [&bytes, &note, &whole] {
        registry.patch(location, "overwritten").await.refused(500, "UNKNOWN");
        let finish = format!("{location}?digest={}", sha256(b"overwritten"));
        registry.put(finish, "overwritten").await.refused(500, "UNKNOWN");
    }
    // A repository's right to a blob, and the blob itself.
    let link = root.join("repositories/app/_layers/sha256").join(hex);
    std::fs::remove_file(&link).unwrap();
    symlink(&secret, &link).unwrap();
    registry.get(format!("/v2/app/blobs/{layer}")).await.refused(500, "UNKNOWN");
    std::fs::remove_file(&link).unwrap();
    std::fs::write(&link, "").unwrap();
    let blob = root.join("blobs/sha256").join(&hex[..2]).join(hex);
    std::fs::remove_file(&blob).unwrap();
    pipe(&blob);
    registry.get(format!("/v2/app/blobs/{layer}")).await.refused(500, "UNKNOWN");
    // A push of the same bytes replaces what was planted.
    std::fs::remove_file(&blob).unwrap();
    symlink(&secret, &blob).unwrap();
    assert_eq!(registry.push_blob("app", "layer of x").await, layer);
    assert_eq!(registry.get(format!("/v2/app/blobs/{layer}")).await.body, "layer of x");
    // Where manifests and tags would be written.
    for dir in ["repositories/app/_manifests/tags", "repositories/app/_manifests"] {
        let dir = root.join(dir);
        let away = dir.with_extension("away");
        std::fs::rename(&dir, &away).unwrap();
        symlink(outside.path(), &dir).unwrap();
        registry.put_manifest("app", "v2", &manifest).await.refused(500, "UNKNOWN");
        registry.get("/v2/app/manifests/v1").await.refused(500, "UNKNOWN");
        std::fs::remove_file(&dir).unwrap();
        std::fs::rename(&away, &dir).unwrap();
    }
    assert_eq!(std::fs::read_dir(outside.path()).unwrap().count(), 1, "nothing was written outside");
    assert_eq!(std::fs::read_to_string(&secret).unwrap(), "secret");
    assert_eq!(registry.get("/v2/app/manifests/v1").await.status, StatusCode::OK);
    // None of it keeps other sessions from expiring.
    let mut settings = registry.inner().settings().clone();
    settings.upload_timeout = std::time::Duration::ZERO;
    let left = registry.begin("app").await;
    registry.inner().under(settings.into()).sweep().await.unwrap_err();
    registry.get(&left).await.refused(404, "BLOB_UPLOAD_UNKNOWN");
}

#[tokio::test]
async fn a_session_cannot_be_used_through_another_repository() {
    let registry = Registry::start().await;
    let location = registry.begin("app").await;
    registry.patch(&location, "secret").await;
    let elsewhere = location.replace("/v2/app/", "/v2/other/");
    let digest = sha256(b"secret");
    registry.get(&elsewhere).await.refused(404, "BLOB_UPLOAD_UNKNOWN");
    registry.patch(&elsewhere, "x").await.refused(404, "BLOB_UPLOAD_UNKNOWN");
    registry.put(format!("{elsewhere}?digest={digest}"), "").await.refused(404, "BLOB_UPLOAD_UNKNOWN");
    registry.delete(&elsewhere).await.refused(404, "BLOB_UPLOAD_UNKNOWN");
    assert_eq!(registry.get(&location).await.header("range"), "0-5", "it is as it was");
    for id in ["..", "%2e%2e", "a", "67E55044-10B1-426F-9247-BB680E5FE0C8x", "67e5504410b1426f9247bb680e5fe0c8"] {
        let target = format!("/v2/app/blobs/uploads/{id}");
        assert!(registry.get(&target).await.status.is_client_error(), "{id}");
        assert!(registry.delete(&target).await.status.is_client_error(), "{id}");
    }
}

#[tokio::test]
async fn digests_have_one_spelling_and_may_not_be_repeated() {
    let registry = Registry::start().await;
    let (good, other) = (sha256(b"x"), sha256(b"y"));
    let upper = good.to_uppercase().replace("SHA256", "sha256");
    let before = listing(registry.root());
    for query in [
        format!("digest={good}&digest={other}"),
        format!("digest={good}&digest={good}"),
        format!("digest={upper}"),
        format!("digest={}", good.replace("sha256", "SHA256")),
        format!("digest={}", good.replace("sha256:", "sha256-")),
        format!("digest={good}0"),
        format!("digest={}", &good[..good.len() - 1]),
        "digest=md5:d41d8cd98f00b204e9800998ecf8427e".to_owned(),
        "digest=".to_owned(),
        format!("digest=sha512:{}", &good[7..]),
        format!("digest={good}%00"),
        format!("digest=../{good}"),
    ] {
        let reply = registry.post(format!("/v2/app/blobs/uploads/?{query}"), "x").await;
        assert_eq!(reply.status, StatusCode::BAD_REQUEST, "{query}: {reply:?}");
    }
    assert_eq!(listing(registry.root()), before);
    let empty = registry.push_blob("app", "").await;
    assert_eq!(registry.get(format!("/v2/app/blobs/{empty}")).await.header("content-length"), "0");
}

#[tokio::test]
async fn json_with_repeated_keys_is_refused() {
    let registry = Registry::start().await;
    let (_, manifest) = registry.push_image("app", "v1", "x").await;
    let text = manifest.to_string();
    for doubled in [
        text.replacen('{', "{\"schemaVersion\":2,", 1),
        text.replacen('{', "{\"\\u006dediaType\":\"application/vnd.oci.image.index.v1+json\",", 1),
        text.replacen("\"size\":", "\"size\":1,\"size\":", 1),
        format!("{text}{text}"),
        text.replacen('{', "{\"manifests\":[],", 1),
    ] {
        let ask = registry.ask(Method::PUT, "/v2/app/manifests/v2").header("content-type", OCI_MANIFEST);
        ask.body(doubled.clone()).send().await.refused(400, "MANIFEST_INVALID");
    }
    let as_index = registry.ask(Method::PUT, "/v2/app/manifests/v2").header("content-type", OCI_INDEX);
    as_index.body(text).send().await.refused(400, "MANIFEST_INVALID");
}

#[tokio::test]
async fn an_unreadable_entry_is_an_error_and_not_404() {
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
        let daemon = Daemon::start(PROGRAM, &root, &[("REGISTRY_LOG_FORMAT", format), ("REGISTRY_LOG_LEVEL", "debug")]);
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
        let log = daemon.logged("ci-42.a_b");
        assert!(log.lines().all(|line| !line.starts_with("FORGED")), "{log}");
        assert!(!log.contains('\u{1b}'), "no terminal sequences: {log}");
        if format == "json" {
            log.lines().for_each(|line| drop(serde_json::from_str::<serde_json::Value>(line).expect(line)));
        }
    }
}

#[tokio::test]
async fn only_trusted_proxies_may_state_the_clients_address() {
    let dir = tempfile::tempdir().unwrap();
    for (proxies, output) in [("", "client=127.0.0.1"), ("127.0.0.0/8", "client=203.0.113.9")] {
        let root = dir.path().join(format!("data{}", proxies.len()));
        std::fs::create_dir(&root).unwrap();
        let vars = [("REGISTRY_TRUSTED_PROXIES", proxies)];
        let daemon = Daemon::start(PROGRAM, &root, if proxies.is_empty() { &[] } else { &vars });
        daemon.ask(Method::GET, "/v2/").header("x-forwarded-for", "1.1.1.1, 203.0.113.9").send().await;
        let log = daemon.logged("endpoint=\"ping\"");
        assert!(log.contains(output), "{log}");
    }
}

#[tokio::test]
async fn responses_have_headers_that_stop_browsers_from_running_content() {
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
