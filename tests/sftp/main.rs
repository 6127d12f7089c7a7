//! Sessions of clients with a daemon whose store is on a real OpenSSH server: `.ci/run sftp` installs sshd and runs them.
//!
//! Where sshd is not installed they are skipped, with a message. `WHARFINGER_TEST_SFTP_KILLS` is how often daemon and
//! server are killed; a few times by default.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a helper fails the test it is called by")]

mod away;
mod chaos;
mod limits;
mod other;
mod replicas;
mod upkeep;
mod usage;

use http::Method;
use serde_json::json;
use std::{path::PathBuf, process::Command, time::Duration};
use testing::{
    chaos::pull,
    content::{CONFIG, LAYER, descriptor, image, noise, sha256},
    daemon::{Daemon, over},
    people::{basic, htpasswd},
    session::Client,
    sshd::{self, Relay, Sshd},
};

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
        self.uploaded_within(daemon, Duration::from_secs(120)).await;
    }

    async fn uploaded_within(&self, daemon: &Daemon, most: Duration) {
        self.uploaded_for(daemon, daemon, most).await;
    }

    /// The same for somebody who may see it.
    async fn uploaded_for(&self, daemon: &Daemon, admin: &Client, most: Duration) {
        let is_empty = async || {
            let report = admin.get("/api/v1/storage/outbox").await.is(200).json();
            report["writes"] == 0
        };
        daemon.until(most, "the journal is not uploaded", is_empty).await;
    }

    /// Waits until the daemon knows what the server has, and asks it for nothing any more.
    async fn known(&self, daemon: &Daemon) {
        let knows_all = async || daemon.get("/api/v1/storage/outbox").await.is(200).json()["knows_all"] == true;
        daemon.until(Duration::from_secs(60), "the server is not listed", knows_all).await;
    }

    /// The variables of a daemon with an administrator, and who that is.
    fn administered(&self) -> (Vec<(&'static str, String)>, String) {
        let write = |file: &str, text: &str| {
            let path = self.dir.path().join(file);
            std::fs::write(&path, text).unwrap();
            path.display().to_string()
        };
        let rules = r#"{"defaultPolicy": "deny", "adminUsers": ["admin"], "rules": []}"#;
        let variables = vec![
            ("REGISTRY_AUTH_TYPE", "basic".to_owned()),
            ("REGISTRY_AUTH_HTPASSWD", write("htpasswd", &htpasswd(&["admin"]))),
            ("REGISTRY_ACCESS_CONTROL_ENABLED", "true".to_owned()),
            ("REGISTRY_ACCESS_CONTROL_CONFIG", write("rules.json", rules)),
        ];
        (variables, basic("admin"))
    }

    /// The variables of a daemon that reaches the server by way of a relay.
    fn by_way_of(&self, relay: &Relay) -> String {
        let known = std::fs::read_to_string(self.server.path("known_hosts")).unwrap();
        let known = known.replace(&format!(":{} ", self.server.port()), &format!(":{} ", relay.port()));
        std::fs::write(self.server.path("known_hosts"), known).unwrap();
        relay.port().to_string()
    }
}

const BEHIND: &[(&str, &str)] = &[("REGISTRY_SFTP_WRITE_BEHIND", "true")];

/// Pushes an image with a layer of this length; returns its digest.
async fn push(daemon: &Client, name: &str, tag: &str, len: usize, seed: u64) -> String {
    let (layer, config) = (noise(len, seed), json!({"seed": seed}).to_string());
    let manifest = image(&descriptor(CONFIG, config.as_bytes()), &[descriptor(LAYER, &layer)]);
    daemon.push_blob(name, layer).await;
    daemon.push_blob(name, config).await;
    daemon.put_manifest(name, tag, &manifest).await.is(201).header("docker-content-digest").to_owned()
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
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_left_of_a_configuration_of_refity_is_answered_line_by_line() {
    let Some(site) = Site::new("Refity's variables") else { return };
    // Every line of its `.env`, beside ours; each with what replaces it, if anything does.
    let refity = [
        ("FTP_HOST", "sftp.example.com", Some("REGISTRY_SFTP_HOST")),
        ("FTP_PORT", "22", Some("REGISTRY_SFTP_PORT")),
        ("FTP_USERNAME", "sftpuser", Some("REGISTRY_SFTP_USERNAME")),
        ("FTP_PASSWORD", "s3cret-of-refity", Some("REGISTRY_SFTP_PASSWORD_FILE")),
        ("FTP_KNOWN_HOSTS", "/etc/known_hosts", Some("REGISTRY_SFTP_KNOWN_HOSTS")),
        ("SFTP_SYNC_UPLOAD", "true", Some("REGISTRY_SFTP_WRITE_BEHIND")),
        ("FTP_USAGE_ENABLED", "true", Some("usage is always shown")),
        ("HCLOUD_TOKEN", "t0ken-of-refity", None),
        ("PORT", "5000", None),
        ("JWT_SECRET", "s3cret-of-logins", None),
        ("CORS_ORIGINS", "http://localhost:8080", None),
    ];
    let variables: Vec<(&str, &str)> = refity.iter().map(|(name, value, _)| (*name, *value)).collect();
    let daemon = site.daemon("one", &variables);
    for (name, value, instead) in refity {
        let Some(instead) = instead else { continue };
        let log = daemon.logged(name);
        assert!(log.contains(instead), "{name}: {log}");
        assert!(value.len() < 8 || !log.contains(value), "a value is logged: {log}");
    }
    for secret in ["s3cret", "t0ken"] {
        assert!(!daemon.log().contains(secret), "{}", daemon.log());
    }
    push(&daemon, "group/app", "v1", 1000, 1).await;
    // The page has a `.env` that does the same; its variables are those that are needed.
    let page = include_str!("../../docs/coming-from/refity.md");
    for name in site.variables("ed25519").iter().map(|(name, _)| name).filter(|name| !name.contains("_KEY")) {
        assert!(page.contains(&format!("\n{name}=")), "{name} is not on the page");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_behind_push_is_there_at_once_and_arrives_later() {
    let Some(mut site) = Site::new("write-behind") else { return };
    let daemon = site.daemon("one", BEHIND);
    let first = push(&daemon, "app", "first", LONG, 1).await;
    site.uploaded(&daemon).await;
    assert_eq!(pull(&daemon, "app", "first").await, first);
    site.server.kill();
    tokio::time::sleep(Duration::from_millis(500)).await;
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
