//! Sessions of clients with a daemon whose store is on a real OpenSSH server: `.ci/run sftp` installs sshd and runs them.
//!
//! Where sshd is not installed they are skipped, with a message. `WHARFINGER_TEST_SFTP_KILLS` is how often daemon and
//! server are killed; a few times by default.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a helper fails the test it is called by")]

mod chaos;

use http::Method;
use serde_json::json;
use std::{
    path::PathBuf,
    process::Command,
    time::{Duration, Instant},
};
use testing::{
    content::{descriptor, image, noise, sha256},
    daemon::{Daemon, over},
    sshd::{self, Relay, Sshd},
};

const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";

/// The program.
const PROGRAM: &str = env!("CARGO_BIN_EXE_wharfinger");

/// Longer than two parts.
const LONG: usize = 40 << 20;

/// A server, and the directories of daemons that use it.
struct Site {
    server: Sshd,
    dir: tempfile::TempDir,
}

impl Site {
    /// `None` where sshd is not installed.
    fn new(test: &str) -> Option<Self> {
        sshd::is_installed(test).then(|| Self { server: Sshd::start(), dir: tempfile::tempdir().unwrap() })
    }

    /// Variables of a daemon with this private key.
    fn variables(&self, key: &str) -> Vec<(&'static str, String)> {
        let path = |file: &str| self.server.path(file).display().to_string();
        vec![
            ("REGISTRY_STORAGE", "sftp".into()),
            ("REGISTRY_SFTP_HOST", "127.0.0.1".into()),
            ("REGISTRY_SFTP_PORT", self.server.port().to_string()),
            ("REGISTRY_SFTP_USERNAME", self.server.user()),
            ("REGISTRY_SFTP_KEY_FILE", path(key)),
            ("REGISTRY_SFTP_KNOWN_HOSTS", path("known_hosts")),
            ("REGISTRY_SFTP_ROOT", self.server.root().join("registry").display().to_string()),
        ]
    }

    fn home(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A daemon with this local directory, and more variables.
    fn daemon(&self, home: &str, more: &[(&str, &str)]) -> Daemon {
        let variables = self.variables("ed25519");
        let mut all: Vec<(&str, &str)> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
        all.retain(|(name, _)| !more.iter().any(|(other, _)| name == other));
        all.extend(more);
        Daemon::start(PROGRAM, &self.home(home), &all)
    }

    /// What a daemon says that does not start.
    fn refusal(&self, home: &str, more: &[(&str, &str)]) -> String {
        let variables = self.variables("ed25519");
        let mut all: Vec<(&str, &str)> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
        all.extend(more);
        let mut command = Command::new(PROGRAM);
        let output = over(&mut command, &self.home(home), &all).output().unwrap();
        assert!(!output.status.success());
        String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
    }

    /// Waits until nothing is left to upload.
    async fn uploaded(&self, daemon: &Daemon) {
        let is_empty = async || {
            let report = daemon.get("/api/v1/storage/outbox").await.is(200).json();
            report["writes"] == 0
        };
        daemon.until(Duration::from_secs(120), "the journal is not uploaded", is_empty).await;
    }
}

const BEHIND: &[(&str, &str)] = &[("REGISTRY_SFTP_WRITE_BEHIND", "true")];

/// Pushes an image with a layer of this length; returns its digest.
async fn push(daemon: &Daemon, name: &str, tag: &str, len: usize, seed: u64) -> String {
    let (layer, config) = (noise(len, seed), json!({"seed": seed}).to_string());
    let manifest = image(&descriptor(CONFIG, config.as_bytes()), &[descriptor(LAYER, &layer)]);
    daemon.push_blob(name, layer).await;
    daemon.push_blob(name, config).await;
    daemon.put_manifest(name, tag, &manifest).await.is(201).header("docker-content-digest").to_owned()
}

/// Pulls an image with everything in it.
async fn pull(daemon: &Daemon, name: &str, tag: &str) -> String {
    let pulled = daemon.get(format!("/v2/{name}/manifests/{tag}")).await.is(200);
    let manifest = pulled.json();
    for part in manifest["layers"].as_array().unwrap().iter().chain([&manifest["config"]]) {
        let blob = part["digest"].as_str().unwrap();
        let body = daemon.get(format!("/v2/{name}/blobs/{blob}")).await.is(200).body;
        assert_eq!(sha256(&body), blob, "{name}:{tag}");
    }
    pulled.header("docker-content-digest").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn images_lie_on_the_server_and_outlive_the_daemon_and_its_directory() {
    let Some(site) = Site::new("images on an SFTP server") else { return };
    let daemon = site.daemon("one", &[]);
    daemon.logged("the SFTP server makes bytes and names durable");
    let digest = push(&daemon, "team/app", "v1", LONG, 1).await;
    assert_eq!(pull(&daemon, "team/app", "v1").await, digest);
    let layer = noise(LONG, 1);
    let part = daemon.ask(Method::GET, format!("/v2/team/app/blobs/{}", sha256(&layer)));
    let part = part.header("range", format!("bytes={}-{}", LONG / 2, LONG / 2 + 9)).send().await.is(206);
    assert_eq!(part.body, layer.slice(LONG / 2..LONG / 2 + 10));
    daemon.get("/api/v1/storage/outbox").await.is(404);
    // A second daemon is refused, and told who has the store.
    let refused = site.refusal("two", &[]);
    assert!(refused.contains("is in use by") && refused.contains("REGISTRY_SFTP_TAKEOVER=true"), "{refused}");
    assert!(refused.contains(&format!("process {}", daemon.pid())), "{refused}");
    // Killed: the lock stays. The same local directory recognises it, another one needs a takeover.
    daemon.kill();
    let refused = site.refusal("two", &[]);
    assert!(refused.contains("is in use by"), "{refused}");
    let daemon = site.daemon("one", &[]);
    assert_eq!(pull(&daemon, "team/app", "v1").await, digest);
    let second = site.daemon("two", &[("REGISTRY_SFTP_TAKEOVER", "true")]);
    assert_eq!(pull(&second, "team/app", "v1").await, digest);
    push(&second, "team/app", "v2", 100, 2).await;
    let location = daemon.ask(Method::POST, "/v2/team/app/blobs/uploads/").send().await;
    assert_eq!(location.status, 503, "the first daemon writes nothing any more");
    second.delete("/v2/team/app/manifests/v1").await.is(202);
    assert_eq!(second.tags("team/app").await, ["v2"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_host_key_stops_the_start_with_words() {
    let Some(mut site) = Site::new("a changed host key") else { return };
    let daemon = site.daemon("one", &[("REGISTRY_SFTP_KEY_FILE", &site.server.path("rsa").display().to_string())]);
    push(&daemon, "app", "v1", 100, 1).await;
    drop(daemon);
    site.server.change_host_keys();
    let refused = site.refusal("one", &[]);
    assert!(refused.contains("HAS CHANGED") && refused.contains("SHA256:"), "{refused}");
    let empty = site.dir.path().join("nobody");
    std::fs::write(&empty, "").unwrap();
    let unknown = site.refusal("one", &[("REGISTRY_SFTP_KNOWN_HOSTS", &empty.display().to_string())]);
    assert!(unknown.contains("ssh-keyscan -p"), "{unknown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_variables_are_refused_by_name() {
    let Some(site) = Site::new("variables") else { return };
    let secret = "s3cret-Passw0rd";
    let both = site.refusal("one", &[("REGISTRY_SFTP_PASSWORD", secret)]);
    assert!(both.contains("both a password and a key") && !both.contains(secret), "{both}");
    let file = site.dir.path().join("empty");
    std::fs::write(&file, "no key").unwrap();
    let no_key = site.refusal("one", &[("REGISTRY_SFTP_KEY_FILE", &file.display().to_string())]);
    assert!(no_key.contains("is not a private key"), "{no_key}");
    let root = site.refusal("one", &[("REGISTRY_SFTP_ROOT", "a/../../b")]);
    assert!(root.contains("REGISTRY_SFTP_ROOT"), "{root}");
    let daemon = site.daemon("one", &[("FTP_HOST", "old.example"), ("SFTP_SYNC_UPLOAD", "true")]);
    let log = daemon.logged("SFTP_SYNC_UPLOAD");
    assert!(log.contains("REGISTRY_SFTP_HOST") && log.contains("REGISTRY_SFTP_WRITE_BEHIND"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_behind_push_is_there_at_once_and_arrives_later() {
    let Some(mut site) = Site::new("write-behind") else { return };
    let daemon = site.daemon("one", BEHIND);
    let first = push(&daemon, "app", "first", LONG, 1).await;
    site.uploaded(&daemon).await;
    assert_eq!(pull(&daemon, "app", "first").await, first);
    site.server.kill();
    // What the server would have to be asked for is refused, and clients come back.
    let begun = Instant::now();
    let gone =
        daemon.get("/v2/app/blobs/sha256:0000000000000000000000000000000000000000000000000000000000000000").await;
    assert_eq!(gone.status, 503, "{}", gone.message());
    assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
    site.server.resume();
    let second = push(&daemon, "app", "second", 3 << 20, 2).await;
    assert_eq!(pull(&daemon, "app", "second").await, second);
    daemon.delete("/v2/app/manifests/first").await.is(202);
    assert_eq!(daemon.tags("app").await, ["second"]);
    daemon.kill();
    // Without write-behind, the journal would be forgotten.
    let daemon = site.daemon("one", BEHIND);
    assert_eq!(pull(&daemon, "app", "second").await, second);
    site.uploaded(&daemon).await;
    let metrics = String::from_utf8_lossy(&daemon.get("/metrics").await.is(200).body).into_owned();
    assert!(metrics.contains("wharfinger_outbox_limit_bytes 21474836480"), "{metrics}");
    assert!(metrics.contains("wharfinger_outbox_failures_total "), "{metrics}");
    // A daemon that is killed may have noted something a moment before; one that stops uploads it.
    let mut daemon = daemon;
    daemon.signal("TERM");
    assert!(daemon.wait(Duration::from_secs(60)).success());
    drop(daemon);
    let daemon = site.daemon("one", &[]);
    assert_eq!(pull(&daemon, "app", "second").await, second);
    assert_eq!(daemon.tags("app").await, ["second"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_journal_refuses_pushes_until_it_is_uploaded() {
    let Some(site) = Site::new("a full journal") else { return };
    let mut variables = BEHIND.to_vec();
    variables.push(("REGISTRY_SFTP_JOURNAL_LIMIT", "1 MiB"));
    let daemon = site.daemon("one", &variables);
    let location = daemon.begin("app").await;
    let layer = noise(2 << 20, 1);
    let refused = daemon.put(format!("{location}?digest={}", sha256(&layer)), layer).await;
    assert_eq!(refused.status, 507, "{}", refused.message());
    push(&daemon, "app", "small", 1000, 2).await;
    site.uploaded(&daemon).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn over_a_distance_a_write_behind_push_does_not_wait_for_the_server() {
    let Some(site) = Site::new("distance") else { return };
    let relay = Relay::start(site.server.port(), Duration::from_millis(50));
    let known = std::fs::read_to_string(site.server.path("known_hosts")).unwrap();
    let known = known.replace(&format!(":{} ", site.server.port()), &format!(":{} ", relay.port()));
    std::fs::write(site.server.path("known_hosts"), known).unwrap();
    let port = relay.port().to_string();
    let mut variables = BEHIND.to_vec();
    variables.push(("REGISTRY_SFTP_PORT", &port));
    let daemon = site.daemon("one", &variables);
    let digest = push(&daemon, "app", "v1", 8 << 20, 1).await;
    assert_eq!(pull(&daemon, "app", "v1").await, digest);
    site.uploaded(&daemon).await;
    assert_eq!(pull(&daemon, "app", "v1").await, digest);
}
