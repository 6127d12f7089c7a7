//! A disk without free bytes or free files, at every step of a session: requests that write are refused with 507 and
//! leave existing content intact; reads continue; deletions free space.

use super::*;
use crate::PROGRAM;
use serde_json::Value;
use std::process::Output;

/// How a disk is full.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Full {
    Bytes,
    Files,
}

const BOTH: [Full; 2] = [Full::Bytes, Full::Files];

/// A disk that can be filled to the last byte or the last file.
struct Fillable {
    small: Small,
    made: usize,
}

impl Fillable {
    fn mount() -> Option<Self> {
        Some(Self { small: Small::mount("size=16m,nr_inodes=3000")?, made: 0 })
    }

    fn daemon(&self) -> Daemon {
        self.small
            .daemon(&format!("{NO_RESERVE}[collection]\nlease_hours = 0\nsettle_seconds = 0\nretention_hours = 0\n"))
    }

    fn fill(&mut self, how: Full) {
        if how == Full::Bytes {
            return self.small.fill(0);
        }
        let dir = self.small.path().join("lost+found/files");
        std::fs::create_dir(&dir).unwrap();
        while std::fs::write(dir.join(self.made.to_string()), "").is_ok() {
            self.made += 1;
        }
    }

    fn free(&mut self, how: Full) {
        match how {
            Full::Bytes => self.small.free(),
            Full::Files => std::fs::remove_dir_all(self.small.path().join("lost+found/files")).unwrap(),
        }
        // The free space is measured every quarter of a second.
        std::thread::sleep(std::time::Duration::from_millis(300));
    }

    fn gc(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(PROGRAM);
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("REGISTRY_")) {
            command.env_remove(name);
        }
        let settings = self.small.path().join("lost+found/settings.toml");
        command.arg("gc").args(arguments).env("REGISTRY_SETTINGS", settings).current_dir("/");
        command.env("REGISTRY_STORAGE_PATH", self.small.path()).output().unwrap()
    }

    /// Collects all garbage.
    #[track_caller]
    fn collect(&self) -> Value {
        let output = self.gc(&["--now", "--force", "--json"]);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stdout));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// Verifies that all content matches its digest.
    #[track_caller]
    fn is_sound(&self) {
        let mut command = Command::new(PROGRAM);
        command.args(["fsck", "--read-data"]).current_dir("/").env("REGISTRY_STORAGE_PATH", self.small.path());
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    }
}

/// One step of a session that writes.
async fn step(daemon: &Daemon, number: usize, open: &str, manifest: &Value) -> Reply {
    let content = noise(200_000, 7);
    let digest = sha256(&content);
    match number {
        0 => daemon.post("/v2/app/blobs/uploads/", "").await,
        1 => daemon.post(format!("/v2/app/blobs/uploads/?digest={digest}"), content).await,
        2 => daemon.patch_at(open, 100_000, content).await,
        3 => daemon.post(format!("/v2/other/blobs/uploads/?mount={}&from=app", config(manifest)), "").await,
        4 => daemon.put_manifest("app", "new", manifest).await,
        5 => daemon.put_manifest("app", "v1", &index(&[])).await,
        6 => daemon.put_manifest("fresh", "v1", &index(&[])).await,
        _ => unreachable!(),
    }
}

const STEPS: usize = 7;

fn config(manifest: &Value) -> &str {
    manifest["config"]["digest"].as_str().unwrap()
}

#[tokio::test]
async fn every_step_of_a_push_reports_a_full_disk_and_truncates_nothing() {
    for how in BOTH {
        let Some(mut disk) = Fillable::mount() else { return };
        let daemon = disk.daemon();
        let (_, manifest) = daemon.push_image("app", "v1", "before").await;
        for number in 0..STEPS {
            let open = daemon.begin("app").await;
            daemon.patch(&open, noise(100_000, 1)).await;
            disk.fill(how);
            let refused = step(&daemon, number, &open, &manifest).await;
            // An existing file takes bytes if only files are exhausted, and the right to serve a blob takes none.
            let may_succeed = matches!((how, number), (Full::Files, 2) | (Full::Bytes, 3));
            if !(may_succeed && refused.status.is_success()) {
                assert_eq!(refused.status, StatusCode::INSUFFICIENT_STORAGE, "{how:?}, step {number}: {refused:?}");
                full(&refused);
            }
            let pulled = daemon.get("/v2/app/manifests/v1").await;
            assert_eq!(pulled.body, manifest.to_string(), "{how:?}, step {number}: pulls work and tags are intact");
            assert_eq!(daemon.get(format!("/v2/app/blobs/{}", config(&manifest))).await.status, StatusCode::OK);
            assert_eq!(daemon.tags("app").await, ["v1"], "{how:?}, step {number}");
            assert_eq!(daemon.delete(&open).await.status, StatusCode::NO_CONTENT, "{how:?}, step {number}");
            disk.free(how);
        }
        disk.is_sound();
        for number in [0, 1, 3, 4, 6, 5] {
            let done = step(&daemon, number, "", &manifest).await;
            assert!(done.status.is_success(), "{how:?}, step {number}, without a restart: {done:?}");
        }
        assert_eq!(daemon.tags("app").await, ["new", "v1"]);
        disk.is_sound();
    }
}

#[tokio::test]
async fn on_a_full_disk_deleting_and_collecting_free_space() {
    for how in BOTH {
        let Some(mut disk) = Fillable::mount() else { return };
        let daemon = disk.daemon();
        let (kept, _) = daemon.push_image("app", "kept", "kept").await;
        let mut old = Vec::new();
        for n in 0..60 {
            old.push(daemon.push_image(&format!("old{}", n % 3), &format!("v{n}"), &format!("old {n}")).await.0);
        }
        for n in 0..20 {
            daemon.push_blob("app", noise(50_000, n)).await;
        }
        disk.fill(how);
        for (n, digest) in old.iter().enumerate() {
            let deleted = daemon.delete(format!("/v2/old{}/manifests/{digest}", n % 3)).await;
            assert_eq!(deleted.status, StatusCode::ACCEPTED, "{how:?}: {deleted:?}");
        }
        let free = || rustix::fs::statvfs(disk.small.path()).map(|space| (space.f_bavail, space.f_favail)).unwrap();
        let before = free();
        let printed = disk.collect();
        assert_eq!(printed["errors"], serde_json::json!([]), "{how:?}: {printed}");
        assert!(printed["purged"]["blobs"].as_u64().unwrap() >= 80, "{how:?}: {printed}");
        let after = free();
        assert!(after.0 > before.0 && after.1 > before.1 + 200, "{how:?}: {before:?}, then {after:?}");
        let pulled = daemon.get("/v2/app/manifests/kept").await;
        assert_eq!(pulled.header("docker-content-digest"), kept);
        daemon.get("/v2/old0/manifests/v0").await.refused(404, "MANIFEST_UNKNOWN");
        // Free space for a push, although the filler is still there.
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        daemon.push_image("app", "after", "after").await;
        disk.is_sound();
        disk.free(how);
    }
}

#[tokio::test]
async fn a_collection_frees_space_even_if_no_directory_can_be_created() {
    for how in BOTH {
        let Some(mut disk) = Fillable::mount() else { return };
        let daemon = disk.daemon();
        let (_, manifest) = daemon.push_image("app", "v1", "x").await;
        for n in 0..100 {
            daemon.push_blob("app", noise(20_000, n)).await;
        }
        disk.fill(how);
        let printed = disk.collect();
        assert_eq!(printed["purged"]["blobs"], 100, "{how:?}: {printed}");
        assert_eq!(printed["errors"], serde_json::json!([]), "{how:?}: {printed}");
        assert_eq!(daemon.get("/v2/app/manifests/v1").await.body, manifest.to_string());
        disk.free(how);
        daemon.push_image("app", "v2", "y").await;
        disk.is_sound();
    }
}

#[tokio::test]
async fn content_restored_on_a_full_disk_is_kept() {
    for how in BOTH {
        let Some(mut disk) = Fillable::mount() else { return };
        let daemon = disk.daemon();
        let (_, manifest) = daemon.push_image("app", "v1", "x").await;
        // As if a collection had overlooked the manifest.
        let hex = config(&manifest).strip_prefix("sha256:").unwrap();
        let grave = disk.small.path().join("graveyard/01ARZ3NDEKTSV4RRFFQ69G5FAV/blobs/sha256");
        std::fs::create_dir_all(&grave).unwrap();
        let live = disk.small.path().join("blobs/sha256").join(&hex[..2]).join(hex);
        std::fs::rename(&live, grave.join(format!("{hex}.unreferenced"))).unwrap();
        disk.fill(how);
        assert_eq!(daemon.get(format!("/v2/app/blobs/sha256:{hex}")).await.status, StatusCode::OK, "{how:?}");
        let output = disk.gc(&["--now", "--json"]);
        let printed: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(printed["restored"]["blobs"], 1, "{how:?}: {printed}");
        // If nothing was freed, not even the report can be written.
        let errors = printed["errors"].as_array().unwrap();
        assert!(errors.iter().all(|e| e.as_str().unwrap().starts_with("no space left")), "{how:?}: {printed}");
        assert!(live.exists(), "{how:?}");
        assert_eq!(daemon.get(format!("/v2/app/blobs/sha256:{hex}")).await.status, StatusCode::OK, "{how:?}");
    }
}

#[tokio::test]
async fn a_daemon_starts_on_a_full_disk_and_htpasswd_is_not_truncated() {
    for how in BOTH {
        let Some(mut disk) = Fillable::mount() else { return };
        drop(disk.daemon());
        let people = disk.small.path().join("lost+found/htpasswd");
        let add = |name: &str| {
            let mut command = Command::new(PROGRAM);
            command.args(["htpasswd", "add", "--file"]).arg(&people).args(["--stdin", "--cost", "4", name]);
            let command = command.stdin(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
            let mut child = command.current_dir("/").spawn().unwrap();
            std::io::Write::write_all(&mut child.stdin.take().unwrap(), b"a long password\n").unwrap();
            child.wait_with_output().unwrap()
        };
        let added = add("ann");
        assert!(added.status.success(), "{}", String::from_utf8_lossy(&added.stderr));
        let before = std::fs::read(&people).unwrap();
        disk.fill(how);
        let refused = add("bob");
        assert!(!refused.status.success(), "{how:?}");
        assert_eq!(std::fs::read(&people).unwrap(), before, "{how:?}");
        let daemon = disk.daemon_as_it_is();
        assert_eq!(daemon.get("/v2/").await.status, StatusCode::OK, "{how:?}");
        full(&daemon.post("/v2/app/blobs/uploads/", "").await);
        disk.free(how);
        assert!(add("bob").status.success(), "{how:?}");
        daemon.push_image("app", "v1", "x").await;
    }
}

impl Fillable {
    /// A daemon with the existing settings.
    fn daemon_as_it_is(&self) -> Daemon {
        let settings = self.small.path().join("lost+found/settings.toml");
        Daemon::start(PROGRAM, self.small.path(), &[("REGISTRY_SETTINGS", settings.to_str().unwrap())])
    }
}
