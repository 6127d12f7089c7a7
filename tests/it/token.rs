//! The token service as clients use it: the challenge, both forms of requests, and what a token grants.

mod limits;

use crate::PROGRAM;
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use http::Method;
use serde_json::Value;
use std::{path::PathBuf, time::Duration};
use testing::{daemon::Daemon, session::*};

const RULES: &str = r#"{
  "defaultPolicy": "deny",
  "adminUsers": ["root"],
  "rules": [
    {"repository": "open/**", "users": ["anonymous", "*"], "permissions": ["pull"]},
    {"repository": "team/**", "users": ["alice"], "permissions": ["pull", "push"]},
    {"repository": "base/**", "users": ["alice"], "permissions": ["pull"]}
  ]
}"#;

/// A registry with a token service, and its files.
struct Service {
    daemon: Daemon,
    dir: tempfile::TempDir,
}

fn line(user: &str, password: &str) -> String {
    format!("{user}:{}\n", bcrypt::hash(password, 4).unwrap())
}

fn basic(user: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{user}:{user}!")))
}

fn claims(token: &str) -> Value {
    let claims = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap()
}

impl Service {
    fn start(vars: &[(&str, &str)]) -> Self {
        Self::under("", vars)
    }

    /// The same with more settings.
    fn under(settings: &str, vars: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("data")).unwrap();
        let users: String = ["alice", "bob", "root"].map(|name| line(name, &format!("{name}!"))).concat();
        std::fs::write(dir.path().join("htpasswd"), users).unwrap();
        std::fs::write(dir.path().join("rules.json"), RULES).unwrap();
        std::fs::write(dir.path().join("settings.toml"), format!("[tokens]\nrefresh_days = 30\n{settings}")).unwrap();
        let file = |name: &str| dir.path().join(name).display().to_string();
        let (htpasswd, rules, settings) = (file("htpasswd"), file("rules.json"), file("settings.toml"));
        let ours = [
            ("REGISTRY_AUTH_TYPE", "basic"),
            ("REGISTRY_AUTH_HTPASSWD", htpasswd.as_str()),
            ("REGISTRY_AUTH_TOKEN_SIGNINGKEY", "auto"),
            ("REGISTRY_ACCESS_CONTROL_ENABLED", "true"),
            ("REGISTRY_ACCESS_CONTROL_CONFIG", rules.as_str()),
            ("REGISTRY_SETTINGS", settings.as_str()),
        ];
        let daemon = Daemon::start(PROGRAM, &dir.path().join("data"), &[&ours, vars].concat());
        Self { daemon, dir }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// `GET /auth/token` by a user, or anonymously (`-`).
    async fn ask(&self, user: &str, query: &str) -> Reply {
        let ask = self.daemon.ask(Method::GET, format!("/auth/token?{query}"));
        match user {
            "-" => ask.send().await,
            user => ask.header("authorization", basic(user)).send().await,
        }
    }

    async fn token(&self, user: &str, query: &str) -> String {
        self.ask(user, query).await.is(200).json()["token"].as_str().unwrap().to_owned()
    }

    /// A request with a token.
    async fn with(&self, token: &str, method: Method, target: &str, body: &str) -> Reply {
        let ask = self.daemon.ask(method, target).body(body.to_owned());
        ask.header("authorization", format!("Bearer {token}")).send().await
    }

    async fn push(&self, token: &str, name: &str) -> Reply {
        self.with(token, Method::PUT, &format!("/v2/{name}/manifests/v1"), &index(&[]).to_string()).await
    }

    async fn form(&self, pairs: &[(&str, &str)]) -> Reply {
        let mut body = form_urlencoded::Serializer::new(String::new());
        self.daemon.post("/auth/token", body.extend_pairs(pairs).finish()).await
    }
}

#[track_caller]
fn challenged(reply: &Reply, challenge: &str) {
    reply.refused(401, "UNAUTHORIZED");
    let challenges: Vec<_> = reply.headers.get_all("www-authenticate").iter().collect();
    assert_eq!(challenges, [challenge], "exactly one");
}

#[tokio::test]
async fn the_challenge_names_the_token_service_and_the_scope() {
    let service = Service::start(&[]);
    let realm = format!(r#"Bearer realm="http://{}/auth/token",service="wharfinger""#, service.daemon.address());
    let client = &service.daemon;
    challenged(&client.get("/v2/").await, &realm);
    let scope = |scope: &str| format!("{realm},scope=\"{scope}\"");
    challenged(&client.get("/v2/team/a/manifests/v1").await, &scope("repository:team/a:pull"));
    challenged(&client.post("/v2/team/a/blobs/uploads/", "").await, &scope("repository:team/a:pull,push"));
    challenged(&client.delete("/v2/team/a/manifests/v1").await, &scope("repository:team/a:delete"));
    let digest = sha256(b"x");
    let mount = client.post(format!("/v2/team/a/blobs/uploads/?mount={digest}&from=base/b"), "").await;
    challenged(&mount, &scope("repository:team/a:pull,push repository:base/b:pull"));
    let bad = service.with("abc", Method::GET, "/v2/", "").await;
    challenged(&bad, &format!("{realm},error=\"invalid_token\""));
    let token = service.token("bob", "scope=repository:team/a:pull").await;
    let pull = service.with(&token, Method::GET, "/v2/team/a/manifests/v1", "").await;
    challenged(&pull, &(scope("repository:team/a:pull") + ",error=\"insufficient_scope\""));
    let named = Service::start(&[("REGISTRY_PUBLIC_URL", "https://r.example:444")]);
    let realm = r#"Bearer realm="https://r.example:444/auth/token",service="r.example:444""#;
    challenged(&named.daemon.get("/v2/").await, realm);
    let host = client.ask(Method::GET, "/v2/").header("host", "evil\", x").send().await;
    host.refused(403, "DENIED");
    assert!(!host.has("www-authenticate"), "{}", host.header("www-authenticate"));
}

#[tokio::test]
async fn a_token_without_scope_allows_whatever_the_user_may_do() {
    let service = Service::start(&[]);
    let reply =
        service.ask("alice", "account=alice&client_id=docker&offline_token=true&service=wharfinger").await.is(200);
    let answer = reply.json();
    assert_eq!(answer["token"], answer["access_token"]);
    assert_eq!(answer["expires_in"], 300);
    assert!(answer["issued_at"].as_str().unwrap().ends_with('Z'));
    assert_eq!(reply.header("cache-control"), "no-store");
    let token = answer["token"].as_str().unwrap();
    assert!(claims(token).get("access").is_none());
    service.with(token, Method::GET, "/v2/", "").await.is(200);
    service.push(token, "team/app").await.is(201);
    service.push(token, "other/app").await.refused(401, "UNAUTHORIZED");
    assert_eq!(
        service.with(token, Method::GET, "/v2/_catalog", "").await.is(200).strings("repositories"),
        ["team/app"]
    );
}

#[tokio::test]
async fn a_token_grants_what_was_requested_and_is_allowed() {
    let service = Service::start(&[]);
    let access = |token: &str| {
        let claims = claims(token);
        let access = claims["access"].as_array().unwrap().iter();
        let shown = access.map(|entry| format!("{}:{}", entry["name"].as_str().unwrap(), entry["actions"]));
        shown.collect::<Vec<_>>()
    };
    let several = "scope=repository:team/a:pull,push,delete&scope=repository:open/b:pull%20repository:other/c:pull";
    let token = service.token("alice", several).await;
    assert_eq!(access(&token), ["team/a:[\"pull\",\"push\"]", "open/b:[\"pull\"]"]);
    service.push(&token, "team/a").await.is(201);
    service.push(&token, "team/b").await.refused(401, "UNAUTHORIZED");
    assert_eq!(access(&service.token("bob", several).await), ["open/b:[\"pull\"]"]);
    assert_eq!(access(&service.token("-", several).await), ["open/b:[\"pull\"]"]);
    assert_eq!(
        access(&service.token("root", "scope=repository:any/x:*").await),
        ["any/x:[\"pull\",\"push\",\"delete\"]"]
    );
    assert_eq!(access(&service.token("alice", "scope=registry:catalog:*").await), ["catalog:[\"*\"]"]);
    for odd in
        ["scope=", "scope=x", "scope=repository:%00:pull", "scope=repository:../a:pull", "scope=repository:A:pull"]
    {
        let token = service.token("alice", odd).await;
        let said = claims(&token);
        assert!(said.get("access").is_none_or(|access| access.as_array().unwrap().is_empty()), "{odd}: {said}");
    }
}

#[tokio::test]
async fn a_token_mounts_only_from_repositories_that_it_lists() {
    let service = Service::start(&[]);
    let root = service.token("root", "").await;
    let digest = sha256(b"secret");
    for name in ["base/app", "team/source"] {
        let upload = format!("/v2/{name}/blobs/uploads/?digest={digest}");
        service.with(&root, Method::POST, &upload, "secret").await.is(201);
    }
    let ci = service.token("alice", "scope=repository:team/ci:pull,push").await;
    let mount = format!("/v2/team/ci/blobs/uploads/?mount={digest}");
    let from = |source: &str| format!("{mount}&from={source}");
    // A client that could get a token for the source is challenged once.
    let answer = service.with(&ci, Method::POST, &from("base/app"), "").await;
    answer.refused(401, "UNAUTHORIZED");
    let wanted = "scope=\"repository:team/ci:pull,push repository:base/app:pull\",error=\"insufficient_scope\"";
    assert!(answer.header("www-authenticate").ends_with(wanted), "{}", answer.header("www-authenticate"));
    for target in [from("base/app"), from("hidden/app"), mount.clone()] {
        service.with(&ci, Method::POST, &target, "").await.is(202);
    }
    let blob = format!("/v2/team/ci/blobs/{digest}");
    service.with(&ci, Method::GET, &blob, "").await.refused(404, "BLOB_UNKNOWN");
    let both = "scope=repository:team/ci:pull,push&scope=repository:base/app:pull";
    let wide = service.token("alice", both).await;
    service.with(&wide, Method::POST, &from("base/app"), "").await.is(201);
    assert_eq!(service.with(&ci, Method::GET, &blob, "").await.is(200).body, "secret");
}

#[tokio::test]
async fn anonymous_tokens_allow_only_public_pulls() {
    let service = Service::start(&[]);
    service.push(&service.token("root", "").await, "open/app").await.is(201);
    service.push(&service.token("root", "").await, "team/app").await.is(201);
    let token = service.token("-", "scope=repository:open/app:pull&service=wharfinger").await;
    assert_eq!(claims(&token)["sub"], "");
    service.with(&token, Method::GET, "/v2/", "").await.is(200);
    service.with(&token, Method::GET, "/v2/open/app/manifests/v1", "").await.is(200);
    service.with(&token, Method::GET, "/v2/team/app/manifests/v1", "").await.refused(401, "UNAUTHORIZED");
    service.push(&token, "open/app").await.refused(401, "UNAUTHORIZED");
    let logged_out = service.daemon.ask(Method::GET, "/auth/token?scope=repository:open/app:pull");
    logged_out.header("authorization", "Basic Og==").send().await.is(200);
    let wrong = service
        .daemon
        .ask(Method::GET, "/auth/token")
        .header("authorization", format!("Basic {}", STANDARD.encode("alice:no")));
    challenged(&wrong.send().await, r#"Basic realm="wharfinger", charset="UTF-8""#);
    let direct = service.daemon.ask(Method::GET, "/v2/team/app/manifests/v1").header("authorization", basic("alice"));
    direct.send().await.is(200);
}

#[tokio::test]
async fn form_requests_and_refresh_tokens_work() {
    let service = Service::start(&[]);
    let form = [
        ("grant_type", "password"),
        ("username", "alice"),
        ("password", "alice!"),
        ("client_id", "x"),
        ("service", "wharfinger"),
    ];
    let scoped =
        [&form[..], &[("scope", "repository:team/a:pull,push repository:other/b:pull"), ("access_type", "offline")]]
            .concat();
    let answer = service.form(&scoped).await.is(200).json();
    assert_eq!(answer["scope"], "repository:team/a:pull,push");
    service.push(answer["access_token"].as_str().unwrap(), "team/a").await.is(201);
    let refresh = answer["refresh_token"].as_str().unwrap();
    let again = [
        ("grant_type", "refresh_token"),
        ("refresh_token", refresh),
        ("client_id", "x"),
        ("scope", "repository:team/b:push"),
    ];
    let next = service.form(&again).await.is(200).json();
    assert_eq!(next["scope"], "repository:team/b:push");
    service.with(refresh, Method::GET, "/v2/", "").await.refused(401, "UNAUTHORIZED");
    let wrong = [("grant_type", "password"), ("username", "alice"), ("password", "no")];
    service.form(&wrong).await.refused(401, "UNAUTHORIZED");
    let access = next["access_token"].as_str().unwrap();
    service.form(&[("grant_type", "refresh_token"), ("refresh_token", access)]).await.refused(401, "UNAUTHORIZED");
    for bad in [&[("grant_type", "client_credentials")][..], &[], &[("grant_type", "password"), ("username", "alice")]]
    {
        service.form(bad).await.refused(400, "UNSUPPORTED");
    }
    let long = "x".repeat(70_000);
    service.form(&[("grant_type", "password"), ("username", &long)]).await.refused(400, "UNSUPPORTED");
    assert_eq!(service.daemon.put("/auth/token", "").await.is(405).header("allow"), "GET, HEAD, POST");
}

#[tokio::test]
async fn the_log_says_why_a_token_was_not_accepted() {
    let service = Service::start(&[]);
    let answer = service.ask("alice", "offline_token=true").await.is(200).json();
    let (token, refresh) = (answer["token"].as_str().unwrap(), answer["refresh_token"].as_str().unwrap());
    let forged = format!("{}AAAA", &token[..token.len() - 4]);
    service.with(&forged, Method::GET, "/v2/", "").await.refused(401, "UNAUTHORIZED");
    service.with(refresh, Method::GET, "/v2/", "").await.refused(401, "UNAUTHORIZED");
    service.with("a.b.c", Method::GET, "/v2/", "").await.refused(401, "UNAUTHORIZED");
    let again = [("grant_type", "refresh_token"), ("refresh_token", token)];
    service.form(&again).await.refused(401, "UNAUTHORIZED");
    for reason in [
        "token rejected: no configured key verifies its signature",
        "token rejected: it is for another audience (aud)",
        "token rejected: not a signed token",
        "refresh token rejected: it is for another audience (aud)",
    ] {
        service.daemon.logged(reason);
    }
    let log = service.daemon.log();
    for secret in [token, &forged, refresh] {
        assert!(!log.contains(secret) && !log.contains(secret.rsplit('.').next().unwrap()), "a token is in the log");
    }
}

#[tokio::test]
async fn changed_rules_and_passwords_apply_to_issued_tokens() {
    let service = Service::start(&[]);
    let answer = service.ask("alice", "offline_token=true").await.is(200).json();
    let (token, refresh) = (answer["token"].as_str().unwrap(), answer["refresh_token"].as_str().unwrap());
    let bobs = service.token("bob", "").await;
    service.push(token, "team/app").await.is(201);
    std::fs::write(service.file("rules.json"), RULES.replace("\"alice\"", "\"bob\"")).unwrap();
    service
        .daemon
        .until(Duration::from_secs(5), "the rule", async || {
            service.push(token, "team/app").await.status == 401 && service.push(&bobs, "team/app").await.status == 201
        })
        .await;
    service.with(token, Method::GET, "/v2/", "").await.is(200);
    let users: String = [line("bob", "bob!"), line("alice", "new")].concat();
    std::fs::write(service.file("htpasswd"), users).unwrap();
    service
        .daemon
        .until(Duration::from_secs(5), "the password", async || {
            service.with(token, Method::GET, "/v2/", "").await.status == 401
        })
        .await;
    service.form(&[("grant_type", "refresh_token"), ("refresh_token", refresh)]).await.refused(401, "UNAUTHORIZED");
    service.ask("alice", "").await.refused(401, "UNAUTHORIZED");
}

#[tokio::test]
async fn a_generated_signing_key_survives_a_restart_and_only_its_owner_can_read_it() {
    use std::os::unix::fs::PermissionsExt;
    let service = Service::start(&[]);
    let token = service.token("alice", "").await;
    let key = service.file("data/identity/keys/token.pem");
    assert_eq!(std::fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
    let Service { daemon, dir } = service;
    daemon.kill();
    let file = |name: &str| dir.path().join(name).display().to_string();
    let (htpasswd, rules, key) = (file("htpasswd"), file("rules.json"), key.display().to_string());
    let other = tempfile::tempdir().unwrap();
    std::fs::create_dir(other.path().join("data")).unwrap();
    let vars = [
        ("REGISTRY_AUTH_TYPE", "basic"),
        ("REGISTRY_AUTH_HTPASSWD", htpasswd.as_str()),
        ("REGISTRY_AUTH_TOKEN_SIGNINGKEY", key.as_str()),
        ("REGISTRY_ACCESS_CONTROL_ENABLED", "true"),
        ("REGISTRY_ACCESS_CONTROL_CONFIG", rules.as_str()),
    ];
    let second = Service { daemon: Daemon::start(PROGRAM, &other.path().join("data"), &vars), dir };
    second.push(&token, "team/app").await.is(201);
}
