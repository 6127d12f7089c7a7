//! A disk that is full, or that was replaced.

mod phases;

use crate::PROGRAM;
use bytes::Bytes;
use http::StatusCode;
use std::{path::Path, process::Command, time::Duration};
use testing::{daemon::Daemon, registry::Registry, session::*};

/// A small file system of its own; `None` if none can be mounted.
struct Small(tempfile::TempDir);

impl Small {
    fn mount(options: &str) -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let mounted =
            Command::new("mount").args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(dir.path()).output().ok()?.status;
        if mounted.success() {
            return Some(Self(dir));
        }
        eprintln!("skipped: no file system can be mounted here (root is needed)");
        None
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    /// Leaves `left` bytes free.
    fn fill(&self, left: u64) {
        let space = rustix::fs::statvfs(self.path()).unwrap();
        let free = space.f_bavail * space.f_frsize;
        std::fs::write(
            self.path().join("lost+found/filler"),
            vec![0; usize::try_from(free.saturating_sub(left)).unwrap()],
        )
        .unwrap();
    }

    fn free(&self) {
        std::fs::remove_file(self.path().join("lost+found/filler")).unwrap();
    }

    /// A daemon over it without a reserve, so that the disk itself fills up.
    fn daemon(&self, settings: &str) -> Daemon {
        let file = self.0.path().join("lost+found/settings.toml");
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, settings).unwrap();
        Daemon::start(PROGRAM, self.path(), &[("REGISTRY_SETTINGS", file.to_str().unwrap())])
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.path()).status();
    }
}

const NO_RESERVE: &str = "[storage]\nreserve_bytes = 0\nreserve_inodes = 0\n";

#[track_caller]
fn full(reply: &Reply) {
    reply.refused(507, "DENIED");
    assert!(reply.has("retry-after"));
}

#[tokio::test]
async fn a_full_disk_refuses_pushes_serves_pulls_and_recovers() {
    let Some(small) = Small::mount("size=24m") else { return };
    let daemon = small.daemon(NO_RESERVE);
    let (_, manifest) = daemon.push_image("app", "v1", "before").await;
    let open = daemon.begin("app").await;
    daemon.patch(&open, noise(100_000, 1)).await;
    small.fill(1 << 20);

    let big = noise(8 << 20, 2);
    full(&daemon.post(format!("/v2/app/blobs/uploads/?digest={}", sha256(&big)), big.clone()).await);
    let streamed = daemon
        .ask(http::Method::POST, format!("/v2/app/blobs/uploads/?digest={}", sha256(&big)))
        .stream(big.chunks(1 << 20).map(Bytes::copy_from_slice).collect())
        .send()
        .await;
    full(&streamed);
    full(&daemon.patch(&open, big.clone()).await);
    let uploads = std::fs::read_dir(small.path().join("uploads")).unwrap().count();
    assert_eq!(uploads, 1, "nothing of the refused pushes stays");
    assert_eq!(std::fs::read_dir(small.path().join("state/tmp")).unwrap().count(), 0);
    assert_eq!(daemon.get("/v2/app/manifests/v1").await.body, manifest.to_string(), "pulls still work");

    small.free();
    let status = daemon.get(&open).await;
    let len: usize = status.header("range").strip_prefix("0-").unwrap().parse::<usize>().unwrap() + 1;
    assert!(len >= 100_000, "the session keeps its offset");
    let whole = [noise(100_000, 1), big.slice(..len - 100_000), Bytes::from("end")].concat();
    let done = daemon.put(format!("{open}?digest={}", sha256(&whole)), "end").await;
    assert_eq!(done.status, StatusCode::CREATED, "without a restart: {done:?}");
}

#[tokio::test]
async fn on_a_full_disk_nothing_is_half_written_and_deleting_works() {
    let Some(small) = Small::mount("size=8m") else { return };
    let daemon = small.daemon(NO_RESERVE);
    let (digest, manifest) = daemon.push_image("app", "v1", "before").await;
    let open = daemon.begin("app").await;
    daemon.patch(&open, noise(300_000, 1)).await;
    small.fill(0);
    full(&daemon.post("/v2/app/blobs/uploads/", "").await);
    full(&daemon.patch(&open, noise(300_000, 2)).await);
    full(&daemon.put_manifest("app", "v2", &index(&[])).await);
    full(&daemon.put_manifest("app", "v2", &manifest).await);
    assert_eq!(daemon.tags("app").await, ["v1"]);
    assert_eq!(daemon.get(&open).await.header("range"), "0-299999", "the bytes that did not fit were removed");
    assert_eq!(daemon.get("/health/ready").await.json()["push"], false);
    assert_eq!(daemon.get("/health/ready").await.status, StatusCode::OK, "it is ready, because images can be pulled");
    let metrics = async || String::from_utf8(daemon.get("/metrics").await.body.to_vec()).unwrap();
    assert!(metrics().await.contains("wharfinger_push_allowed 0\n"), "{}", metrics().await);
    assert!(metrics().await.contains("wharfinger_storage_reserve_bytes 0\n"), "{}", metrics().await);
    let free = async || {
        metrics().await.lines().find_map(|line| line.strip_prefix("wharfinger_storage_free_bytes ")?.parse().ok())
    };
    daemon
        .until(Duration::from_secs(5), "free space", async || free().await.is_some_and(|free: u64| free < 300_000))
        .await;
    // Deleting to free space must succeed.
    assert_eq!(daemon.delete(&open).await.status, StatusCode::NO_CONTENT);
    small.free();
    small.fill(0);
    let layer = manifest["layers"][0]["digest"].as_str().unwrap();
    assert_eq!(daemon.delete(format!("/v2/app/blobs/{layer}")).await.status, StatusCode::ACCEPTED);
    assert_eq!(daemon.delete(format!("/v2/app/manifests/{digest}")).await.status, StatusCode::ACCEPTED);
    daemon.get("/v2/app/manifests/v1").await.refused(404, "MANIFEST_UNKNOWN");
    small.free();
    // The free space is measured every quarter of a second, and the result applies to pushes too.
    let push = format!("/v2/app/blobs/uploads/?digest={}", sha256(b"after"));
    let has_room = async || daemon.post(&push, "after").await.status == StatusCode::CREATED;
    daemon.until(Duration::from_secs(5), "pushes work again", has_room).await;
    daemon.push_image("app", "v1", "after").await;
}

#[tokio::test]
async fn a_reserve_of_bytes_and_inodes_is_kept() {
    let Some(small) = Small::mount("size=24m,nr_inodes=2000") else { return };
    let daemon = small.daemon("[storage]\nreserve_bytes = \"16 MiB\"\nreserve_inodes = 0\n");
    daemon.push_image("app", "v1", "x").await;
    let big = noise(10 << 20, 1);
    // The length is known, so it is refused before any byte is read.
    full(&daemon.post(format!("/v2/app/blobs/uploads/?digest={}", sha256(&big)), big).await);
    drop(daemon);
    let daemon = small.daemon("[storage]\nreserve_bytes = 0\nreserve_inodes = 2000\n");
    full(&daemon.post("/v2/app/blobs/uploads/", "").await);
    assert_eq!(daemon.get("/v2/app/manifests/v1").await.status, StatusCode::OK);
}

#[tokio::test]
async fn uploads_without_a_length_respect_the_reserve() {
    let Some(small) = Small::mount("size=40m") else { return };
    let daemon = small.daemon("[storage]\nreserve_bytes = \"16 MiB\"\nreserve_inodes = 0\n");
    let (_, manifest) = daemon.push_image("app", "v1", "x").await;
    let open = daemon.begin("app").await;
    // More than fits; after the refusal less remains than is read from a refused client.
    let pieces: Vec<_> = noise(1 << 20, 1).repeat(28).chunks(256 << 10).map(Bytes::copy_from_slice).collect();
    let target = format!("/v2/app/blobs/uploads/?digest={}", sha256(b"whatever"));
    full(&daemon.ask(http::Method::POST, &target).stream(pieces.clone()).send().await);
    // Free space is measured every quarter of a second. With an old measurement the next push would be refused at its
    // first byte, with more left to send than is read from a refused client.
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    full(&daemon.ask(http::Method::PATCH, &open).stream(pieces.clone()).send().await);
    // A file system rounds up.
    let space = rustix::fs::statvfs(small.path()).unwrap();
    assert!(space.f_bavail * space.f_frsize >= 15 << 20, "{} bytes are left", space.f_bavail * space.f_frsize);
    assert_eq!(daemon.get("/v2/app/manifests/v1").await.body, manifest.to_string());
    assert_eq!(daemon.delete(&open).await.status, StatusCode::NO_CONTENT);
    // Several at once, each of which would fit alone.
    let big = Bytes::from(noise(1 << 20, 2).repeat(14));
    let target = format!("/v2/app/blobs/uploads/?digest={}", sha256(&big));
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    let replies = tokio::join!(
        daemon.post(&target, big.clone()),
        daemon.post(&target, big.clone()),
        daemon.post(&target, big.clone())
    );
    let statuses = [replies.0.status, replies.1.status, replies.2.status];
    assert!(statuses.contains(&StatusCode::INSUFFICIENT_STORAGE), "{statuses:?}");
    let space = rustix::fs::statvfs(small.path()).unwrap();
    assert!(space.f_bavail * space.f_frsize >= 15 << 20, "{} bytes are left", space.f_bavail * space.f_frsize);
}

#[tokio::test]
async fn an_upload_that_failed_on_a_full_disk_can_be_finished_later() {
    let Some(small) = Small::mount("size=24m") else { return };
    let daemon = small.daemon("[storage]\nreserve_bytes = \"1 MiB\"\nreserve_inodes = 0\n");
    let (content, target) = (noise(3 << 20, 1), format!("/v2/app/blobs/{}", sha256(&noise(3 << 20, 1))));
    let open = daemon.begin("app").await;
    daemon.patch(&open, content.clone()).await;
    small.fill(512 << 10);
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    let finish = format!("{open}?digest={}", sha256(&content));
    full(&daemon.put(&finish, "").await);
    daemon.get(&target).await.refused(404, "BLOB_UNKNOWN");
    assert_eq!(daemon.get(&open).await.header("range"), "0-3145727");
    small.free();
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    assert_eq!(daemon.put(&finish, "").await.status, StatusCode::CREATED);
    assert_eq!(daemon.get(&target).await.body, content);
}

#[tokio::test]
async fn a_read_only_store_still_serves_pulls() {
    let registry = Registry::start().await;
    let (_, manifest) = registry.push_image("app", "v1", "x").await;
    let tmp = registry.root().join("state/tmp");
    std::fs::remove_dir(&tmp).unwrap();
    std::fs::write(&tmp, "in the way").unwrap();
    let ready = registry.get("/health/ready").await;
    assert_eq!((ready.status, ready.json()["push"].as_bool()), (StatusCode::OK, Some(false)), "{ready:?}");
    assert_eq!(registry.get("/v2/app/manifests/v1").await.body, manifest.to_string());
    // A session is in another place than the content it becomes.
    let layer = noise(1000, 1);
    let target = format!("/v2/app/blobs/uploads/?digest={}", sha256(&layer));
    registry.post(&target, layer.clone()).await.refused(500, "UNKNOWN");
    assert_eq!(registry.get(format!("/v2/app/blobs/{}", sha256(&layer))).await.status, 404);
    registry.put_manifest("app", "v2", &manifest).await.refused(500, "UNKNOWN");
    std::fs::remove_file(&tmp).unwrap();
    std::fs::create_dir(&tmp).unwrap();
    registry.post(&target, layer).await.is(201);
    registry.push_image("app", "v2", "y").await;
}

#[tokio::test]
async fn running_out_of_inodes_is_a_full_disk() {
    let Some(small) = Small::mount("size=24m,nr_inodes=1000") else { return };
    let daemon = small.daemon(NO_RESERVE);
    let (_, manifest) = daemon.push_image("app", "v1", "x").await;
    let fillers = small.path().join("lost+found");
    let mut made = 0;
    while std::fs::write(fillers.join(format!("i{made}")), "").is_ok() {
        made += 1;
    }
    full(&daemon.post("/v2/app/blobs/uploads/", "").await);
    full(&daemon.put_manifest("app", "v2", &manifest).await);
    assert_eq!(daemon.get("/v2/app/manifests/v1").await.body, manifest.to_string());
    (0..made).for_each(|i| std::fs::remove_file(fillers.join(format!("i{i}"))).unwrap());
    daemon.push_image("app", "v2", "y").await;
}

#[tokio::test]
async fn a_vanished_storage_directory_is_not_an_empty_registry() {
    let registry = Registry::start().await;
    registry.push_image("app", "v1", "x").await;
    let root = registry.root().to_owned();
    std::fs::rename(root.join("ROOT.json"), root.join("ROOT.away")).unwrap();
    let ready = registry.get("/health/ready").await;
    assert_eq!((ready.status, ready.json()["pull"].as_bool()), (StatusCode::SERVICE_UNAVAILABLE, Some(false)));
    assert_eq!(registry.get("/health").await.status, StatusCode::OK, "the daemon need not be restarted");
    // Free space is measured four times a second; the next measurement notices the missing root.
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    registry.post("/v2/app/blobs/uploads/", "").await.refused(503, "UNAVAILABLE");
    std::fs::rename(root.join("ROOT.away"), root.join("ROOT.json")).unwrap();
}
