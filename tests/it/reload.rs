//! A running daemon follows its files: what an operator does, and what clients see afterwards.

mod saving;
mod unreadable;

use crate::PROGRAM;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::Method;
use std::{
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};
use testing::{
    certs::{Authority, connect},
    daemon::Daemon,
    session::*,
};

/// What the documentation guarantees if metadata shows a change.
const SOON: Duration = Duration::from_secs(2);

fn line(user: &str) -> String {
    format!("{user}:{}\n", bcrypt::hash(format!("{user}!"), 4).unwrap())
}

fn rules(user: &str) -> String {
    format!(r#"{{"rules":[{{"repository":"**","users":["{user}"],"permissions":["pull","push","delete"]}}]}}"#)
}

/// A daemon and the directory of its files.
struct Place {
    daemon: Daemon,
    dir: tempfile::TempDir,
    conf: PathBuf,
}

impl Place {
    /// The files are in `conf`, or behind a link of that name.
    fn start(linked: bool) -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("data")).unwrap();
        let conf = dir.path().join("conf");
        match linked {
            true => {
                std::fs::create_dir(dir.path().join("1")).unwrap();
                symlink("1", &conf).unwrap();
            }
            false => std::fs::create_dir(&conf).unwrap(),
        }
        std::fs::write(conf.join("htpasswd"), line("alice") + &line("bob")).unwrap();
        std::fs::write(conf.join("rules.json"), rules("alice")).unwrap();
        std::fs::write(conf.join("settings.toml"), "[logging]\nlevel = \"info\"\n").unwrap();
        let file = |name: &str| conf.join(name).display().to_string();
        let (htpasswd, rules, settings) = (file("htpasswd"), file("rules.json"), file("settings.toml"));
        let vars = [
            ("REGISTRY_AUTH_TYPE", "basic"),
            ("REGISTRY_AUTH_HTPASSWD", htpasswd.as_str()),
            ("REGISTRY_ACCESS_CONTROL_ENABLED", "true"),
            ("REGISTRY_ACCESS_CONTROL_CONFIG", rules.as_str()),
            ("REGISTRY_SETTINGS", settings.as_str()),
        ];
        let daemon = Daemon::start(PROGRAM, &dir.path().join("data"), &vars);
        Self { daemon, dir, conf }
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.conf.join(name), text).unwrap();
    }

    async fn ask(&self, user: &str, method: Method, target: &str, body: &str) -> Reply {
        let credentials = STANDARD.encode(format!("{user}:{user}!"));
        let ask = self.daemon.ask(method, target).body(body.to_owned());
        ask.header("authorization", format!("Basic {credentials}")).send().await
    }

    async fn push(&self, user: &str) -> u16 {
        self.ask(user, Method::PUT, "/v2/app/manifests/v1", &index(&[]).to_string()).await.status.as_u16()
    }

    /// Waits until a push of this user has this status, at most as long as guaranteed.
    async fn soon(&self, user: &str, status: u16, what: &str) {
        let begun = Instant::now();
        self.daemon.until(SOON, what, async || self.push(user).await == status).await;
        eprintln!("{what}: {} ms", begun.elapsed().as_millis());
    }

    async fn config(&self) -> serde_json::Value {
        self.daemon.get("/health/ready").await.is(200).json()["config"].clone()
    }
}

fn replace(dir: &Path, name: &str, text: &str) {
    std::fs::write(dir.join("new~"), text).unwrap();
    std::fs::rename(dir.join("new~"), dir.join(name)).unwrap();
}

#[tokio::test]
async fn every_way_of_saving_takes_effect_soon() {
    let place = Place::start(false);
    assert_eq!((place.push("alice").await, place.push("bob").await), (201, 403));
    place.write("rules.json", &rules("bob"));
    place.soon("bob", 201, "written in place").await;
    assert_eq!(place.push("alice").await, 403);
    replace(&place.conf, "rules.json", &rules("alice"));
    place.soon("alice", 201, "renamed over").await;
    replace(&place.conf, "htpasswd", &line("bob"));
    place.soon("alice", 401, "a user removed").await;
    place.write("htpasswd", &(line("alice") + &line("bob")));
    place.soon("alice", 201, "a user added").await;
}

#[tokio::test]
async fn a_switch_by_a_link_changes_everything_at_once() {
    let place = Place::start(true);
    let next = place.dir.path().join("2");
    std::fs::create_dir(&next).unwrap();
    std::fs::write(next.join("htpasswd"), line("carol")).unwrap();
    std::fs::write(next.join("rules.json"), rules("carol")).unwrap();
    std::fs::write(next.join("settings.toml"), "# nothing\n").unwrap();
    symlink("2", place.dir.path().join("next")).unwrap();
    std::fs::rename(place.dir.path().join("next"), &place.conf).unwrap();
    place.soon("carol", 201, "link to a directory switched").await;
    assert_eq!(place.config().await["generation"], 1, "one generation");

    // As a ConfigMap is mounted: each file is a link through `..data`.
    let map = place.dir.path().join("map");
    std::fs::create_dir_all(map.join("..1")).unwrap();
    for name in ["htpasswd", "rules.json", "settings.toml"] {
        std::fs::copy(next.join(name), map.join("..1").join(name)).unwrap();
        symlink(format!("..data/{name}"), map.join(name)).unwrap();
    }
    symlink("..1", map.join("..data")).unwrap();
    symlink("map", place.dir.path().join("next")).unwrap();
    std::fs::rename(place.dir.path().join("next"), &place.conf).unwrap();
    std::fs::create_dir(map.join("..2")).unwrap();
    std::fs::write(map.join("..2/htpasswd"), line("dave")).unwrap();
    std::fs::write(map.join("..2/rules.json"), rules("dave")).unwrap();
    std::fs::write(map.join("..2/settings.toml"), "# nothing\n").unwrap();
    tokio::time::sleep(Duration::from_millis(700)).await;
    symlink("..2", map.join("..data_tmp")).unwrap();
    std::fs::rename(map.join("..data_tmp"), map.join("..data")).unwrap();
    std::fs::remove_dir_all(map.join("..1")).unwrap();
    place.soon("dave", 201, "ConfigMap switched").await;
    assert_eq!(place.push("carol").await, 401);
}

#[tokio::test]
async fn a_broken_file_is_reported_everywhere_and_changes_nothing() {
    let place = Place::start(false);
    assert_eq!(place.config().await, serde_json::json!({ "generation": 0, "current": true }));
    place.write("rules.json", "{\"rules\": [ {\"repository\": \"**\", \"usres\": [] } ]}");
    place.write("htpasswd", &line("alice"));
    place.soon("bob", 401, "the user who was removed is out although the rules are broken").await;
    assert_eq!(place.push("alice").await, 201, "and the rules stay");
    let config = place.config().await;
    assert_eq!(config["current"], false);
    let problem = config["problems"][0].as_str().unwrap();
    assert!(problem.contains("rules.json:1: ") && problem.contains("usres"), "{problem}");
    assert!(config["stale_seconds"].is_u64());
    place.daemon.logged("usres");
    let metrics = place.daemon.get("/metrics").await.is(200);
    let text = String::from_utf8_lossy(&metrics.body).into_owned();
    assert!(text.contains("wharfinger_config_last_reload_success 0"), "{text}");
    place.write("rules.json", &rules("alice"));
    place.daemon.until(SOON, "mended", async || place.config().await["current"] == true).await;
    let metrics = place.daemon.get("/metrics").await.is(200);
    assert!(String::from_utf8_lossy(&metrics.body).contains("wharfinger_config_last_reload_success 1"));
}

#[tokio::test]
async fn a_missing_file_grants_nothing_and_revokes_nothing() {
    let place = Place::start(false);
    for name in ["htpasswd", "rules.json", "settings.toml"] {
        std::fs::remove_file(place.conf.join(name)).unwrap();
    }
    place.daemon.until(SOON, "the problem is reported", async || place.config().await["current"] == false).await;
    assert_eq!((place.push("alice").await, place.push("bob").await), (201, 403));
    place.daemon.get("/v2/").await.refused(401, "UNAUTHORIZED");
    assert_eq!(place.config().await["problems"].as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn sighup_reloads_changes_that_are_not_visible() {
    let place = Place::start(false);
    let path = place.conf.join("settings.toml");
    place.write("settings.toml", "[reload]\npoll_seconds = 3600\n");
    place.daemon.until(SOON, "the first", async || place.config().await["generation"] == 1).await;
    place.daemon.signal("HUP");
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(place.config().await["generation"], 1, "nothing new is no generation");
    std::fs::write(&path, "[operator]\nread_only = true\n").unwrap();
    place.daemon.signal("HUP");
    place
        .daemon
        .until(Duration::from_millis(1500), "the change is seen", async || place.push("alice").await == 405)
        .await;
}

#[tokio::test]
async fn the_operators_switches_apply_to_every_route() {
    let place = Place::start(false);
    assert_eq!(place.push("alice").await, 201);
    place.write("settings.toml", "[operator]\ndelete = false\nmessage = \"ask ops@example.com\"\n");
    let delete = async || place.ask("alice", Method::DELETE, "/v2/app/manifests/v1", "").await;
    place.daemon.until(SOON, "deleting off", async || delete().await.status == 405).await;
    let refused = delete().await;
    refused.refused(405, "UNSUPPORTED");
    assert!(refused.json()["errors"][0]["message"].as_str().unwrap().ends_with(": ask ops@example.com"));
    assert_eq!(refused.header("allow"), "GET, HEAD, PUT");
    assert_eq!(refused.header("warning"), "299 - \"ask ops@example.com\"");
    let begun = place.ask("alice", Method::POST, "/v2/app/blobs/uploads/", "").await.is(202);
    let session = begun.header("location").to_owned();
    assert_eq!(place.push("alice").await, 201);
    place.ask("bob", Method::DELETE, "/v2/app/manifests/v1", "").await.refused(403, "DENIED");

    place.write("settings.toml", "[operator]\nread_only = true\n");
    place.daemon.until(SOON, "read-only", async || place.push("alice").await == 405).await;
    let digest = sha256(b"x");
    for (method, target) in [
        (Method::PUT, "/v2/app/manifests/v2".to_owned()),
        (Method::DELETE, "/v2/app/manifests/v1".to_owned()),
        (Method::DELETE, format!("/v2/app/blobs/{digest}")),
        (Method::POST, "/v2/app/blobs/uploads/".to_owned()),
        (Method::POST, format!("/v2/app/blobs/uploads/?digest={digest}")),
        (Method::POST, format!("/v2/app/blobs/uploads/?mount={digest}&from=b")),
        (Method::PATCH, session.clone()),
        (Method::PUT, format!("{session}?digest={digest}")),
        (Method::DELETE, session.clone()),
    ] {
        let reply = place.ask("alice", method.clone(), &target, "x").await;
        assert_eq!(reply.status, 405, "{method} {target}");
        reply.refused(405, "UNSUPPORTED");
        assert!(!reply.has("warning"));
    }
    place.ask("alice", Method::GET, "/v2/app/manifests/v1", "").await.is(200);
    place.ask("alice", Method::GET, &session, "").await.is(204);
    place.write("settings.toml", "# as before\n");
    place.daemon.until(SOON, "all on", async || delete().await.status == 202).await;
}

#[tokio::test]
async fn the_log_level_is_reloaded_and_changes_that_need_a_restart_are_reported() {
    let place = Place::start(false);
    place.push("bob").await;
    assert!(!place.daemon.log().contains("request refused"));
    place.write("settings.toml", "[logging]\nlevel = \"debug\"\n[server]\nmax_connections = 100\n");
    place
        .daemon
        .until(SOON, "debug", async || {
            place.push("bob").await;
            place.daemon.log().contains("request refused")
        })
        .await;
    let log = place.daemon.logged("settings under [server] have changed; restart to apply them");
    assert!(log.contains("rule") || log.contains("default"), "the reason is logged: {log}");
}

#[tokio::test]
async fn certificates_are_renewed_while_serving() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("data")).unwrap();
    let (cert, key) = (dir.path().join("cert.pem"), dir.path().join("key.pem"));
    let (first, second) = (Authority::new(), Authority::new());
    let put = |authority: &Authority| {
        let pair = authority.sign("localhost");
        std::fs::write(&cert, pair.cert_pem).unwrap();
        std::fs::write(&key, pair.key_pem).unwrap();
    };
    put(&first);
    let (cert_path, key_path) = (cert.display().to_string(), key.display().to_string());
    let vars = [("REGISTRY_TLS_CERT", cert_path.as_str()), ("REGISTRY_TLS_KEY", key_path.as_str())];
    let daemon = Daemon::start(PROGRAM, &dir.path().join("data"), &vars);
    let shown =
        async |authority: &Authority| connect(daemon.address(), &authority.client(&["http/1.1"], None)).await.is_ok();
    assert!(shown(&first).await);
    put(&second);
    daemon.until(SOON, "renewed", async || shown(&second).await).await;
    std::fs::write(&cert, "garbage").unwrap();
    tokio::time::sleep(SOON).await;
    assert!(shown(&second).await, "the last good one stays");
}

#[tokio::test]
async fn an_unconfigured_proxy_is_warned_about_once() {
    let place = Place::start(false);
    for _ in 0..3 {
        place.daemon.ask(Method::GET, "/v2/").header("x-forwarded-for", "203.0.113.9").send().await.is(401);
    }
    place.push("alice").await;
    let log = place.daemon.logged("REGISTRY_TRUSTED_PROXIES");
    assert_eq!(log.matches("REGISTRY_TRUSTED_PROXIES").count(), 1, "{log}");
}
