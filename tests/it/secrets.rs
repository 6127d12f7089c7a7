//! Canaries: secrets that are entered everywhere and must not be output anywhere.

use crate::PROGRAM;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::Method;
use std::process::Command;
use testing::daemon::Daemon;

const PASSWORD: &str = "canary-right-7f3a";
const WRONG: &str = "canary-wrong-9c1e";

#[tokio::test]
async fn no_secret_is_in_a_log_a_response_a_metric_or_an_explanation() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("data")).unwrap();
    let file = |name: &str, text: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let hash = bcrypt::hash(PASSWORD, 4).unwrap();
    let key = wharfinger::identity::new_signing_key().unwrap();
    let htpasswd = file("htpasswd", &format!("alice:{hash}\n"));
    let rules = file("rules.json", r#"{"rules":[{"repository":"a/**","users":["alice"],"permissions":["pull"]}]}"#);
    let key_file = file("token.pem", &key);
    let settings = file("settings.toml", "[tokens]\nrefresh_days = 1\n");
    let vars = [
        ("REGISTRY_AUTH_TYPE", "basic"),
        ("REGISTRY_AUTH_HTPASSWD", htpasswd.as_str()),
        ("REGISTRY_AUTH_TOKEN_SIGNINGKEY", key_file.as_str()),
        ("REGISTRY_ACCESS_CONTROL_ENABLED", "true"),
        ("REGISTRY_ACCESS_CONTROL_CONFIG", rules.as_str()),
        ("REGISTRY_SETTINGS", settings.as_str()),
        ("REGISTRY_LOG_LEVEL", "debug"),
    ];
    let daemon = Daemon::start(PROGRAM, &dir.path().join("data"), &vars);
    let basic = |password: &str| format!("Basic {}", STANDARD.encode(format!("alice:{password}")));
    let mut secrets = vec![PASSWORD.to_owned(), WRONG.to_owned(), hash.clone(), basic(PASSWORD), basic(WRONG)];
    secrets.extend(key.lines().filter(|line| !line.starts_with('-')).map(str::to_owned));
    let (mut printed, mut tokens) = (String::new(), Vec::new());

    // The right password in both forms, for tokens, which are secrets themselves.
    let form = format!("grant_type=password&username=alice&password={PASSWORD}&access_type=offline");
    let asked = daemon.ask(Method::GET, "/auth/token?offline_token=true").header("authorization", basic(PASSWORD));
    for reply in [asked.send().await.is(200), daemon.post("/auth/token", form).await.is(200)] {
        for name in ["token", "refresh_token"] {
            tokens.push(reply.json()[name].as_str().unwrap().to_owned());
        }
    }
    // Every kind of refusal and failure.
    let bad_form = format!("grant_type=password&username=alice&password={WRONG}");
    let mut replies = vec![
        daemon.post("/auth/token", bad_form).await,
        daemon.post("/auth/token", format!("grant_type=refresh_token&refresh_token={WRONG}")).await,
        daemon.post("/auth/token", format!("grant_type={WRONG}")).await,
        daemon.get(format!("/auth/token?password={WRONG}&scope={WRONG}")).await,
        daemon.get(format!("/v2/{WRONG}?token={PASSWORD}")).await,
    ];
    let credentials = [
        basic(PASSWORD),
        basic(WRONG),
        format!("Bearer {WRONG}"),
        format!("Bearer {}", tokens[0]),
        format!("Bearer {}", tokens[1]),
        format!("{WRONG} {WRONG}"),
        format!("Basic {WRONG}"),
    ];
    for credentials in &credentials {
        for (method, target) in [
            (Method::GET, "/v2/"),
            (Method::GET, "/v2/_catalog"),
            (Method::GET, "/v2/a/b/manifests/v1"),
            (Method::PUT, "/v2/a/b/manifests/v1"),
            (Method::GET, "/v2/other/manifests/v1"),
            (Method::GET, "/metrics"),
            (Method::GET, "/health/ready"),
        ] {
            replies.push(daemon.ask(method, target).header("authorization", credentials).send().await);
        }
    }
    // Files that are broken where the secret is.
    std::fs::write(&htpasswd, format!("alice:{WRONG}\n{hash}\n")).unwrap();
    std::fs::write(&key_file, key.replace("-----END", "-----UND")).unwrap();
    daemon.signal("HUP");
    let is_told = async || daemon.get("/health/ready").await.json()["config"]["current"] == false;
    daemon.until(std::time::Duration::from_secs(3), "the broken files are reported", is_told).await;
    replies.push(daemon.get("/health/ready").await);
    replies.push(daemon.get("/metrics").await);

    for reply in &replies {
        printed.push_str(&format!("{:?}\n{}\n", reply.headers, String::from_utf8_lossy(&reply.body)));
    }
    for args in [&["explain", "alice", "pull", "a/b"][..], &["explain", "alice", "push", "a/b", "--json"], &["check"]] {
        let out = Command::new(PROGRAM).args(args).envs(vars).output().unwrap();
        printed.push_str(&String::from_utf8_lossy(&[out.stdout, out.stderr].concat()));
    }
    daemon.logged("wrong user name or password");
    printed.push_str(&daemon.logged("htpasswd line=1"));
    secrets.extend(tokens.iter().flat_map(|token| token.split('.').skip(1).map(str::to_owned).collect::<Vec<_>>()));
    for secret in &secrets {
        assert!(!printed.contains(secret.as_str()), "{secret} is in:\n{printed}");
    }
}
