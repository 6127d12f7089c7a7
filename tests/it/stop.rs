//! Starts and stops the real program.

use crate::PROGRAM;
use bytes::Bytes;
use http::StatusCode;
use std::{
    path::Path,
    process::{Command, Output},
    time::{Duration, Instant},
};
use testing::{daemon::Daemon, session::*};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

fn store() -> (tempfile::TempDir, std::path::PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("data");
    std::fs::create_dir(&root).unwrap();
    (dir, root)
}

fn program(args: &[&str], dir: &Path, vars: &[(&str, &str)]) -> Output {
    let mut command = Command::new(PROGRAM);
    command.args(args).current_dir(dir).env("REGISTRY_HOST", "127.0.0.1").envs(vars.iter().copied());
    command.output().unwrap()
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

#[tokio::test]
async fn sigterm_makes_readiness_fail_and_lets_an_upload_finish() {
    let (dir, root) = store();
    let settings = dir.path().join("settings.toml");
    std::fs::write(&settings, "[server]\nshutdown_lag_seconds = 1\n").unwrap();
    let mut daemon = Daemon::start(PROGRAM, &root, &[("REGISTRY_SETTINGS", settings.to_str().unwrap())]);
    let content = noise(200_000, 1);
    let location = daemon.begin("app").await;
    let mut upload = TcpStream::connect(daemon.address()).await.unwrap();
    let head =
        format!("PUT {location}?digest={} HTTP/1.1\r\nHost: x\r\nContent-Length: 200000\r\n\r\n", sha256(&content));
    upload.write_all(head.as_bytes()).await.unwrap();
    upload.write_all(&content[..100_000]).await.unwrap();

    daemon.signal("TERM");
    let ready = loop {
        let ready = daemon.get("/health/ready").await;
        if ready.status != StatusCode::OK {
            break ready;
        }
    };
    assert_eq!(ready.json()["draining"], true, "it says so, and still accepts");
    assert_eq!(daemon.get("/v2/").await.status, StatusCode::OK);
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert!(TcpStream::connect(daemon.address()).await.is_err(), "after the lag nothing more is accepted");
    upload.write_all(&content[100_000..]).await.unwrap();
    let mut answer = String::new();
    upload.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 201 "), "{answer}");
    assert_eq!(daemon.wait(Duration::from_secs(5)).code(), Some(0), "{}", daemon.log());
    let daemon = Daemon::start(PROGRAM, &root, &[]);
    assert_eq!(daemon.get(format!("/v2/app/blobs/{}", sha256(&content))).await.body, content);
}

#[tokio::test]
async fn a_second_signal_ends_it_at_once() {
    let (_dir, root) = store();
    let mut daemon = Daemon::start(PROGRAM, &root, &[]);
    let location = daemon.begin("app").await;
    let mut upload = TcpStream::connect(daemon.address()).await.unwrap();
    let head = format!("PATCH {location} HTTP/1.1\r\nHost: x\r\nContent-Length: 200000\r\n\r\nbeginning");
    upload.write_all(head.as_bytes()).await.unwrap();
    assert_eq!(daemon.get("/v2/").await.status, StatusCode::OK);
    daemon.signal("INT");
    tokio::time::sleep(Duration::from_millis(200)).await;
    let asked = Instant::now();
    daemon.signal("TERM");
    assert_eq!(daemon.wait(Duration::from_secs(5)).code(), Some(0));
    assert!(asked.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn a_second_daemon_waits_for_the_first_and_takes_over() {
    let (_dir, root) = store();
    let first = Daemon::start(PROGRAM, &root, &[]);
    first.push_image("app", "v1", "x").await;
    let path = root.clone();
    let second = std::thread::spawn(move || Daemon::start(PROGRAM, &path, &[]));
    tokio::time::sleep(Duration::from_millis(300)).await;
    first.kill();
    let second = second.join().unwrap();
    second.logged("waiting for it to end");
    assert_eq!(second.tags("app").await, ["v1"]);
}

#[test]
fn a_failed_start_says_why_and_changes_nothing() {
    let (dir, root) = store();
    let storage = ("REGISTRY_STORAGE_PATH", root.to_str().unwrap());
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let refused = program(&[], dir.path(), &[storage, ("REGISTRY_PORT", &port)]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(text(&refused).contains("cannot listen on 127.0.0.1:"), "{}", text(&refused));
    assert_eq!(std::fs::read_dir(&root).unwrap().count(), 0, "the address comes first");

    let free = ("REGISTRY_PORT", "0");
    let missing = dir.path().join("missing");
    let never = ("REGISTRY_STORAGE_INIT", "never");
    let absent = program(&[], dir.path(), &[("REGISTRY_STORAGE_PATH", missing.to_str().unwrap()), free, never]);
    assert!(!absent.status.success() && text(&absent).contains("does not exist"), "{}", text(&absent));
    assert!(!missing.exists());
    let empty = program(&[], dir.path(), &[storage, free, never]);
    assert!(!empty.status.success() && text(&empty).contains("never"), "{}", text(&empty));
    std::fs::write(root.join("thesis.tex"), "").unwrap();
    let foreign = program(&[], dir.path(), &[storage, free]);
    assert!(!foreign.status.success() && text(&foreign).contains("thesis.tex"), "{}", text(&foreign));
}

#[test]
fn check_reports_problems_and_changes_nothing() {
    let (dir, root) = store();
    let vars = [("REGISTRY_STORAGE_PATH", root.to_str().unwrap()), ("REGISTRY_PORT", "0")];
    let good = program(&["check"], dir.path(), &vars);
    assert_eq!(good.status.code(), Some(0), "{}", text(&good));
    assert!(text(&good).contains("will be initialised"));
    let bad = program(&["check"], dir.path(), &[("REGISTRY_PORT", "high"), ("REGISTRY_TLS_CERT", "/none")]);
    assert_eq!(bad.status.code(), Some(1));
    assert!(text(&bad).contains("REGISTRY_PORT") && text(&bad).contains("REGISTRY_TLS_KEY"), "{}", text(&bad));
    assert_eq!(std::fs::read_dir(&root).unwrap().count(), 0);
    assert!(!dir.path().join("data/ROOT.json").exists());
}

#[tokio::test]
async fn startup_logs_the_configuration_and_how_to_push() {
    let (_dir, root) = store();
    let daemon = Daemon::start(PROGRAM, &root, &[]);
    let port = daemon.address().port();
    let log = daemon.logged("docker push");
    for line in [
        "address:",
        "storage directory:",
        "authentication: none",
        "TLS: off",
        "INITIALISED THE EMPTY STORAGE DIRECTORY",
    ] {
        assert!(log.contains(line), "{line}: {log}");
    }
    assert!(log.contains(&format!("docker push localhost:{port}/IMAGE")), "{log}");
}

#[tokio::test]
async fn with_an_admin_address_metrics_and_detail_are_served_only_there() {
    let (_dir, root) = store();
    let probe = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let admin = probe.local_addr().unwrap();
    drop(probe);
    let daemon = Daemon::start(PROGRAM, &root, &[("REGISTRY_ADMIN_ADDR", &admin.to_string())]);
    daemon.push_image("app", "v1", "x").await;
    daemon.get("/metrics").await.refused(404, "UNSUPPORTED");
    daemon.get("/m%65trics").await.refused(404, "UNSUPPORTED");
    assert_eq!(daemon.get("/health/ready").await.body, Bytes::from("{\"status\":\"ready\"}\n"));
    let inside = Client::new(admin);
    let metrics = String::from_utf8(inside.get("/metrics").await.body.to_vec()).unwrap();
    assert!(
        metrics.contains(
            r#"wharfinger_http_requests_total{endpoint="manifest_push",method="PUT",code="201",auth="none"} 1"#
        ),
        "{metrics}"
    );
    assert!(!metrics.contains("app"), "no label names a repository");
    assert_eq!(inside.get("/health/ready").await.json()["push"], true);
    inside.get("/v2/app/manifests/v1").await.refused(404, "UNSUPPORTED");
    inside.get("/%762/app/manifests/v1").await.refused(404, "UNSUPPORTED");
}

#[tokio::test]
async fn without_configuration_data_is_kept_in_its_own_directory() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("data");
    let mut command = Command::new("sh");
    command.args(["-c", "unset REGISTRY_STORAGE_PATH; exec \"$0\"", PROGRAM]);
    let daemon = Daemon::from_command(command, &root, &[]);
    daemon.push_image("app", "v1", "x").await;
    assert!(root.join("ROOT.json").exists());
    daemon.logged("storage directory: ./data (default); initialised if empty");
    daemon.logged("created the storage directory ./data");
}
