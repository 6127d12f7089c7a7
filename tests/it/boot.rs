//! Startup settings: what startup logs about them, and the effect of a changed `.env`.

use crate::PROGRAM;
use std::time::Duration;
use testing::daemon::Daemon;

#[tokio::test]
async fn sighup_after_a_changed_dotenv_logs_what_a_restart_would_change() {
    let dir = tempfile::tempdir().unwrap();
    let (root, dotenv) = (dir.path().join("data"), dir.path().join(".env"));
    std::fs::create_dir(&root).unwrap();
    // The environment of the daemon overrides the port.
    std::fs::write(&dotenv, "REGISTRY_UPLOAD_TIMEOUT=100\nREGISTRY_PORT=1\nREGISTRY_AUTH_REALM=one\n").unwrap();
    let daemon = Daemon::start(PROGRAM, &root, &[]);
    let says = async |what: &str| {
        daemon.until(Duration::from_secs(20), what, async || daemon.log().contains(what)).await;
    };
    std::fs::write(&dotenv, "REGISTRY_UPLOAD_TIMEOUT=200\nREGISTRY_PORT=2\nREGISTRY_AUTH_REALM=canary\n").unwrap();
    daemon.signal("HUP");
    says("boot settings have changed; restart to apply them").await;
    says("changed=\"REGISTRY_UPLOAD_TIMEOUT (100 -> 200), REGISTRY_AUTH_REALM\"").await;
    assert!(!daemon.log().contains("canary") && !daemon.log().contains("REGISTRY_PORT (1"), "{}", daemon.log());

    std::fs::write(&dotenv, "REGISTRY_UPLOAD_TIMEOUT=soon\n").unwrap();
    daemon.signal("HUP");
    says("boot settings cannot be used; the next start would fail: .env:1: REGISTRY_UPLOAD_TIMEOUT: ").await;
    assert_eq!(daemon.get("/v2/").await.status, 200, "it serves as before");
}

#[tokio::test]
async fn a_start_says_whether_anyone_may_push_or_the_rules_decide() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("data");
    std::fs::create_dir(&root).unwrap();
    let log = |vars: &[(&str, &str)]| {
        let daemon = Daemon::start(PROGRAM, &root, vars);
        daemon.log()
    };
    let local = log(&[]);
    assert!(local.contains("permissions: anyone who can reach 127.0.0.1:0 may pull, push and delete"), "{local}");
    assert!(!local.contains(" WARN REGISTRY_AUTH_TYPE"), "{local}");
    std::fs::write(dir.path().join("rules.json"), r#"{"rules": []}"#).unwrap();
    let rules = [("REGISTRY_ACCESS_CONTROL_ENABLED", "true"), ("REGISTRY_ACCESS_CONTROL_CONFIG", "rules.json")];
    let refused = log(&rules);
    assert!(
        refused.contains(" WARN REGISTRY_ACCESS_CONTROL_ENABLED: access rules without authentication"),
        "{refused}"
    );
    assert!(!refused.contains("anyone"), "the rules refuse everyone: {refused}");
}
