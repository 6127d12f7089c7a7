//! Who can see the daemon's internals, and what readiness and metrics report.

use crate::PROGRAM;
use http::Method;
use std::{net::SocketAddr, path::Path, time::Duration};
use testing::{certs::Authority, daemon::Daemon, people::htpasswd, session::*};

const SOON: Duration = Duration::from_secs(5);

fn write(dir: &Path, name: &str, text: &str) -> String {
    std::fs::write(dir.join(name), text).unwrap();
    dir.join(name).display().to_string()
}

async fn metrics(client: &Client) -> String {
    String::from_utf8(client.get("/metrics").await.is(200).body.to_vec()).unwrap()
}

/// A metric's value.
async fn metric(client: &Client, name: &str) -> f64 {
    let metrics = metrics(client).await;
    let value = metrics.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
    value.unwrap_or_else(|| panic!("no {name}: {metrics}"))
}

#[tokio::test]
async fn requests_through_a_proxy_are_never_local() {
    let dir = tempfile::tempdir().unwrap();
    let users = write(dir.path(), "htpasswd", &htpasswd(&["alice"]));
    for (name, proxies) in [("unnamed", "10.0.0.0/8"), ("named", "127.0.0.0/8")] {
        let root = dir.path().join(name);
        std::fs::create_dir(&root).unwrap();
        let vars = [
            ("REGISTRY_AUTH_TYPE", "basic"),
            ("REGISTRY_AUTH_HTPASSWD", users.as_str()),
            ("REGISTRY_TRUSTED_PROXIES", proxies),
        ];
        let daemon = Daemon::start(PROGRAM, &root, &vars);
        daemon.get("/metrics").await.is(200);
        assert_eq!(daemon.get("/health/ready").await.json()["push"], true);
        for (header, value) in [
            ("x-forwarded-for", "203.0.113.9"),
            ("x-forwarded-for", "127.0.0.1"),
            ("x-forwarded-proto", "https"),
            ("forwarded", "for=127.0.0.1"),
            ("forwarded", "for=_secret"),
            ("x-real-ip", "127.0.0.1"),
            ("via", "1.1 Caddy"),
        ] {
            let ask = async |target| daemon.ask(Method::GET, target).header(header, value).send().await;
            ask("/metrics").await.refused(401, "UNAUTHORIZED");
            assert_eq!(ask("/health/ready").await.body, "{\"status\":\"ready\"}\n", "{name}: {header}: {value}");
        }
    }
}

#[tokio::test]
async fn only_the_selected_forwarding_header_of_a_proxy_is_believed() {
    let dir = tempfile::tempdir().unwrap();
    for (selected, client) in [("x-forwarded", "203.0.113.1"), ("forwarded", "203.0.113.2")] {
        let root = dir.path().join(selected);
        std::fs::create_dir(&root).unwrap();
        let text = format!("[server]\nforwarded_headers = \"{selected}\"\n");
        let settings = write(dir.path(), "settings.toml", &text);
        let vars = [("REGISTRY_TRUSTED_PROXIES", "127.0.0.0/8"), ("REGISTRY_SETTINGS", settings.as_str())];
        let daemon = Daemon::start(PROGRAM, &root, &vars);
        let ask = daemon.ask(Method::GET, "/v2/").header("x-forwarded-for", "203.0.113.1");
        ask.header("forwarded", "for=203.0.113.2").send().await.is(200);
        let log = daemon.logged("endpoint=\"ping\"");
        assert!(log.contains(&format!("client={client} ")), "{log}");
    }
}

#[tokio::test]
async fn strangers_read_no_paths_and_no_user_names_in_readiness() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("data")).unwrap();
    let settings = write(dir.path(), "settings.toml", "# none\n");
    let daemon = Daemon::start(PROGRAM, &dir.path().join("data"), &[("REGISTRY_SETTINGS", settings.as_str())]);
    write(dir.path(), "settings.toml", "[nonsense]\n[rubbish]\n");
    std::fs::rename(dir.path().join("data/ROOT.json"), dir.path().join("data/state/away")).unwrap();
    let stranger = async || {
        let ask = daemon.ask(Method::GET, "/health/ready").header("x-forwarded-for", "203.0.113.9");
        ask.send().await
    };
    daemon
        .until(SOON, "both are seen", async || {
            let json = stranger().await.json();
            json["push"] == false && json["config"]["current"] == false
        })
        .await;
    let (answer, inside) = (stranger().await, daemon.get("/health/ready").await);
    assert_eq!(answer.json()["config"]["problems"], 2);
    assert!(answer.json()["reason"].as_str().is_some_and(|reason| reason.starts_with("the storage ")), "{answer:?}");
    let text = String::from_utf8_lossy(&answer.body).into_owned();
    assert!(!text.contains("ROOT.json") && !text.contains("settings.toml") && !text.contains('/'), "{text}");
    let text = String::from_utf8_lossy(&inside.body).into_owned();
    assert!(text.contains("settings.toml:1"), "local callers see everything: {text}");
}

#[tokio::test]
async fn metrics_show_certificate_expiry_and_the_last_reload() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("data")).unwrap();
    let (server, clients) = (Authority::new().sign("localhost"), Authority::new());
    let cert = write(dir.path(), "cert.pem", &server.cert_pem);
    let key = write(dir.path(), "key.pem", &server.key_pem);
    let client_ca = write(dir.path(), "ca.pem", &clients.pem);
    let settings = write(dir.path(), "settings.toml", "# none\n");
    let admin = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let admin_addr = admin.to_string();
    let vars = [
        ("REGISTRY_TLS_CERT", cert.as_str()),
        ("REGISTRY_TLS_KEY", key.as_str()),
        ("REGISTRY_TLS_CLIENT_CA", client_ca.as_str()),
        ("REGISTRY_SETTINGS", settings.as_str()),
        ("REGISTRY_ADMIN_ADDR", admin_addr.as_str()),
    ];
    let daemon = Daemon::start(PROGRAM, &dir.path().join("data"), &vars);
    let inside = Client::new(admin as SocketAddr);
    for name in ["server", "client_ca"] {
        // As rcgen writes them.
        let expiry = format!("wharfinger_certificate_expiry_timestamp_seconds{{certificate=\"{name}\"}}");
        assert_eq!(metric(&inside, &expiry).await, 67_090_118_400.0, "4096-01-01");
    }
    assert!(!metrics(&inside).await.contains("certificate=\"token\""));
    assert!(metric(&inside, "wharfinger_storage_free_bytes ").await > 0.0);
    assert!(metric(&inside, "wharfinger_storage_reserve_bytes ").await > 0.0);
    assert_eq!(metric(&inside, "wharfinger_push_allowed ").await, 1.0);
    let config = async |name: &str| metric(&inside, &format!("wharfinger_config_{name} ")).await;
    assert_eq!(config("generation").await, 0.0);
    let first = config("last_reload_timestamp_seconds").await;

    write(dir.path(), "settings.toml", "[nonsense]\n[rubbish]\n");
    daemon.until(SOON, "rejected", async || config("last_reload_success").await == 0.0).await;
    assert_eq!(config("problems").await, 2.0);
    assert_eq!(config("generation").await, 0.0, "what is in force has not changed");
    assert_eq!(config("last_reload_success_timestamp_seconds").await, first);

    write(dir.path(), "settings.toml", "# none\n");
    daemon.until(SOON, "as before", async || config("last_reload_success").await == 1.0).await;
    assert_eq!(config("generation").await, 0.0, "the same as before is no change");

    write(dir.path(), "settings.toml", "[operator]\nread_only = true\n");
    daemon.until(SOON, "changed", async || config("generation").await == 1.0).await;
    assert_eq!(config("problems").await, 0.0);
    assert!(config("last_reload_timestamp_seconds").await >= first);
    assert_eq!(metric(&inside, "wharfinger_push_allowed ").await, 0.0, "read-only");
    let ready = inside.get("/health/ready").await.is(200).json();
    assert_eq!(ready["push"], false, "{ready}");
    assert!(ready["reason"].as_str().is_some_and(|reason| reason.contains("operator.read_only")), "{ready}");
}
