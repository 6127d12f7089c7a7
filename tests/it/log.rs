//! What is logged about requests, and that no request waits for the log.

use crate::PROGRAM;
use http::Method;
use serde_json::Value;
use std::{
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Stdio},
    sync::mpsc,
    time::{Duration, Instant},
};
use testing::{
    daemon::{Daemon, over},
    people::{basic, htpasswd, password},
    session::*,
};

const SOON: Duration = Duration::from_secs(10);

/// A registry with a token service, where alice may do everything in `app` and bob may pull.
struct Site {
    daemon: Daemon,
    _dir: tempfile::TempDir,
}

impl Site {
    fn start(format: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("data")).unwrap();
        let write = |name: &str, text: &str| {
            std::fs::write(dir.path().join(name), text).unwrap();
            dir.path().join(name).display().to_string()
        };
        let users = write("htpasswd", &htpasswd(&["alice", "bob"]));
        let rules = write(
            "rules.json",
            r#"{"rules": [
                {"repository": "app", "users": ["alice"], "permissions": ["pull", "push", "delete"]},
                {"repository": "app", "users": ["bob"], "permissions": ["pull"]}
            ]}"#,
        );
        let vars = [
            ("REGISTRY_LOG_FORMAT", format),
            ("REGISTRY_AUTH_TYPE", "basic"),
            ("REGISTRY_AUTH_HTPASSWD", users.as_str()),
            ("REGISTRY_AUTH_TOKEN_SIGNINGKEY", "auto"),
            ("REGISTRY_ACCESS_CONTROL_ENABLED", "true"),
            ("REGISTRY_ACCESS_CONTROL_CONFIG", rules.as_str()),
        ];
        Self { daemon: Daemon::start(PROGRAM, &dir.path().join("data"), &vars), _dir: dir }
    }

    /// Sends a request with an id.
    async fn ask(
        &self,
        id: &str,
        authorization: &str,
        method: Method,
        target: &str,
        body: impl Into<bytes::Bytes>,
    ) -> Reply {
        let ask = self.daemon.ask(method, target).header("x-request-id", id).body(body);
        let ask = ask.header("user-agent", "docker/27.0 (\"linux\")");
        match authorization {
            "" => ask.send().await,
            value => ask.header("authorization", value).send().await,
        }
    }

    /// The log line of a request, by its id.
    async fn line(&self, id: &str) -> Value {
        let line =
            |log: &str| log.lines().find(|line| line.contains(id) && line.contains("\"request\"")).map(str::to_owned);
        self.daemon.until(SOON, id, async || line(&self.daemon.log()).is_some()).await;
        serde_json::from_str(&line(&self.daemon.log()).unwrap()).unwrap()
    }
}

#[tokio::test]
async fn each_request_says_who_did_what_to_which_content() {
    let site = Site::start("json");
    let alice = basic("alice");
    let layer = noise(3000, 1);
    let digest = sha256(&layer);
    let target = format!("/v2/app/blobs/uploads/?digest={digest}");
    site.ask("pushed", &alice, Method::POST, &target, layer.clone()).await.is(201);
    let manifest = index(&[]).to_string();
    let put = site.daemon.ask(Method::PUT, "/v2/app/manifests/v1").header("content-type", OCI_INDEX);
    put.header("authorization", &alice).body(manifest.clone()).send().await.is(201);
    site.ask("by-tag", &basic("bob"), Method::GET, "/v2/app/manifests/v1", "").await.is(200);

    let line = site.line("pushed").await;
    for (field, value) in [
        ("user", "alice"),
        ("auth", "basic"),
        ("client", "127.0.0.1"),
        ("method", "POST"),
        ("endpoint", "blob_push"),
        ("repository", "app"),
        ("reference", digest.as_str()),
        ("agent", "docker/27.0 (\"linux\")"),
        ("level", "INFO"),
    ] {
        assert_eq!(line[field], value, "{line}");
    }
    assert_eq!(
        (&line["status"], &line["bytes_in"], &line["bytes_out"]),
        (&201.into(), &3000.into(), &0.into()),
        "{line}"
    );
    assert!(line.get("reason").is_none() && line.get("cut").is_none(), "{line}");

    let line = site.line("by-tag").await;
    assert_eq!((&line["user"], &line["reference"]), (&"bob".into(), &"v1".into()), "{line}");
    assert_eq!((&line["bytes_in"], &line["bytes_out"]), (&0.into(), &manifest.len().into()), "{line}");
}

#[tokio::test]
async fn the_log_distinguishes_tokens_passwords_and_anonymous_callers() {
    let site = Site::start("json");
    let scope = "/auth/token?service=x&scope=repository:app:pull";
    let token = site.ask("asks", &basic("alice"), Method::GET, scope, "").await.is(200).json()["token"].take();
    let token = token.as_str().unwrap();
    site.ask("bears", &format!("Bearer {token}"), Method::GET, "/v2/app/tags/list", "").await;
    site.ask("nobody", "", Method::GET, "/v2/app/tags/list", "").await.is(401);
    let who = async |id: &str| {
        let line = site.line(id).await;
        (line["user"].as_str().unwrap().to_owned(), line["auth"].as_str().unwrap().to_owned())
    };
    assert_eq!(who("asks").await, ("alice".into(), "basic".into()));
    assert_eq!(who("bears").await, ("alice".into(), "token".into()));
    assert_eq!(who("nobody").await, ("anonymous".into(), "none".into()));
    assert!(!site.daemon.log().contains(token), "a token is a secret");
    let metrics = String::from_utf8(site.daemon.get("/metrics").await.body.to_vec()).unwrap();
    let one = "wharfinger_http_requests_total{endpoint=\"token\",method=\"GET\",code=\"200\",auth=\"basic\"} 1";
    assert!(metrics.contains(one), "{metrics}");
    assert!(metrics.contains("wharfinger_http_errors_total{error=\"UNAUTHORIZED\"} 1"), "{metrics}");
}

#[tokio::test]
async fn a_refusal_says_why_and_a_failed_login_says_who_and_from_where() {
    let site = Site::start("json");
    site.ask("denied", &basic("bob"), Method::POST, "/v2/app/blobs/uploads/", "").await.is(403);
    site.ask("unknown", &basic("bob"), Method::GET, "/v2/app/manifests/absent", "").await.is(404);
    site.ask("odd", &basic("bob"), Method::GET, "/v2/app/manifests/-", "").await.is(400);
    site.ask("guess", &password("alice", "CANARY"), Method::GET, "/v2/", "").await.is(401);
    site.ask("guess-2", &password("mallory", "CANARY"), Method::GET, "/auth/token?service=x", "").await.is(401);
    let reason = async |id: &str| site.line(id).await["reason"].as_str().unwrap().to_owned();
    assert!(reason("denied").await.contains("bob may not push app"), "{}", reason("denied").await);
    assert!(!reason("unknown").await.is_empty());
    assert!(reason("odd").await.contains("a tag must"), "{}", reason("odd").await);
    assert!(reason("guess").await.contains("wrong user name or password"), "{}", reason("guess").await);
    site.line("guess-2").await;
    let log = site.daemon.log();
    for user in ["alice", "mallory"] {
        let failed = log.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()).find(|line| {
            line["user"] == user && line["message"].as_str().is_some_and(|message| message.starts_with("login failed"))
        });
        let failed = failed.unwrap_or_else(|| panic!("{log}"));
        assert_eq!((&failed["client"], &failed["level"]), (&"127.0.0.1".into(), &"WARN".into()), "{failed}");
    }
    assert!(!log.contains("CANARY"), "a password is a secret");
    let metrics = String::from_utf8(site.daemon.get("/metrics").await.body.to_vec()).unwrap();
    assert!(metrics.contains("wharfinger_login_failures_total 2"), "{metrics}");
    assert!(metrics.contains("wharfinger_http_errors_total{error=\"DENIED\"} 1"), "{metrics}");
}

#[tokio::test]
async fn a_clients_user_agent_cannot_forge_log_lines() {
    for format in ["pretty", "json"] {
        let site = Site::start(format);
        let user = format!("eve\u{202e}\u{2028}\u{7f}{}", "x".repeat(5000));
        let agent = format!("evil\u{202e}\u{2028}\u{200b}{}", "y".repeat(5000));
        let ask = site.daemon.ask(Method::GET, "/v2/").header("authorization", password(&user, "x"));
        ask.header("user-agent", agent).header("x-request-id", "hostile").send().await.is(401);
        site.daemon.until(SOON, "the line", async || site.daemon.log().contains("hostile")).await;
        let log = site.daemon.log();
        assert!(log.is_ascii() && !log.contains('\u{7f}'), "{log:?}");
        assert!(log.contains("login failed") && log.contains("202e") && log.contains("2028"), "{log}");
        assert!(log.lines().all(|line| line.len() < 2000), "a name is cut: {log}");
    }
}

/// A daemon whose log is read only when the test says so.
struct Unread {
    child: Child,
    out: Option<BufReader<ChildStdout>>,
    client: Client,
}

impl Unread {
    fn start(dir: &Path) -> Self {
        let settings: PathBuf = dir.join("settings.toml");
        let text = "[logging]\nqueue_bytes = \"64 KiB\"\n[server]\nshutdown_lag_seconds = 0\ndrain_seconds = 2\n";
        std::fs::write(&settings, text).unwrap();
        let root = dir.join("data");
        std::fs::create_dir_all(&root).unwrap();
        let mut command = Command::new(PROGRAM);
        let settings = settings.display().to_string();
        over(&mut command, &root, &[("REGISTRY_SETTINGS", &settings)]).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let address = loop {
            let mut line = String::new();
            assert!(out.read_line(&mut line).unwrap() > 0, "it ended");
            let address = line.split_once("listening on ").and_then(|(_, rest)| rest.split_whitespace().next());
            if let Some(address) = address {
                break address.trim_end_matches(|c: char| !c.is_ascii_digit()).parse().unwrap();
            }
        };
        Self { child, out: Some(out), client: Client::new(address) }
    }

    /// Logs more than the pipe and the queue hold.
    async fn fill(&self) {
        for _ in 0..1500 {
            self.client.ask(Method::GET, "/health").header("user-agent", "x".repeat(200)).send().await.is(200);
        }
    }

    async fn dropped(&self) -> u64 {
        let metrics = String::from_utf8(self.client.get("/metrics").await.is(200).body.to_vec()).unwrap();
        let count = metrics.lines().find_map(|line| line.strip_prefix("wharfinger_log_lines_dropped_total "));
        count.unwrap().parse().unwrap()
    }
}

impl Drop for Unread {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test]
async fn an_unread_log_blocks_no_request_and_reports_dropped_lines_later() {
    let dir = tempfile::tempdir().unwrap();
    let mut unread = Unread::start(dir.path());
    unread.fill().await;
    assert!(unread.dropped().await > 100, "more than fits is dropped");
    let (tell, output) = mpsc::channel();
    let out = unread.out.take().unwrap();
    std::thread::spawn(move || {
        for line in out.lines().map_while(Result::ok) {
            if line.contains("log lines were dropped") {
                let _ = tell.send(line);
            }
        }
    });
    let line = output.recv_timeout(SOON).expect("once it is read again it says what is missing");
    assert!(line.contains("WARN") && line.contains("dropped="), "{line}");
    let line = unread.dropped().await;
    unread.client.get("/health").await.is(200);
    assert_eq!(unread.dropped().await, line, "nothing more is missing");
}

#[tokio::test]
async fn a_shutdown_does_not_wait_for_the_log_to_be_read() {
    let dir = tempfile::tempdir().unwrap();
    let mut unread = Unread::start(dir.path());
    unread.fill().await;
    assert!(unread.dropped().await > 0);
    let begun = Instant::now();
    let pid = unread.child.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    while unread.child.try_wait().unwrap().is_none() {
        assert!(begun.elapsed() < SOON, "it does not end");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let mut rest = String::new();
    unread.out.take().unwrap().read_to_string(&mut rest).unwrap();
    assert!(rest.contains("endpoint=\"health\""), "what was written before can be read: {rest}");
}
