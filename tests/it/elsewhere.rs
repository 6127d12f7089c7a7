//! Tokens of external services, in the forms in which real services issue them.

use crate::PROGRAM;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use http::Method;
use serde_json::{Value, json};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use testing::{daemon::Daemon, session::*};

/// A registry that trusts an external token service, and the key of that service.
struct Place {
    daemon: Daemon,
    dir: tempfile::TempDir,
    pair: Ed25519KeyPair,
}

fn set(pairs: &[(&str, &Ed25519KeyPair)]) -> String {
    let key = |(id, pair): &(&str, &Ed25519KeyPair)| {
        let x = URL_SAFE_NO_PAD.encode(pair.public_key().as_ref());
        json!({ "kty": "OKP", "crv": "Ed25519", "kid": id, "x": x })
    };
    json!({ "keys": pairs.iter().map(key).collect::<Vec<_>>() }).to_string()
}

fn sign(pair: &Ed25519KeyPair, header: &Value, claims: &Value) -> String {
    let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let message = format!("{}.{}", encode(header), encode(claims));
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(pair.sign(message.as_bytes())))
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

impl Place {
    fn start(rules: Option<&str>) -> Self {
        let (dir, pair) = (tempfile::tempdir().unwrap(), Ed25519KeyPair::generate().unwrap());
        std::fs::create_dir(dir.path().join("data")).unwrap();
        std::fs::write(dir.path().join("keys.json"), set(&[("one", &pair)])).unwrap();
        let file = |name: &str| dir.path().join(name).display().to_string();
        let (keys, path) = (file("keys.json"), file("rules.json"));
        let mut vars = vec![
            ("REGISTRY_AUTH_TYPE", "token"),
            ("REGISTRY_AUTH_TOKEN_REALM", "https://auth.example/token"),
            ("REGISTRY_AUTH_TOKEN_SERVICE", "registry"),
            ("REGISTRY_AUTH_TOKEN_ISSUER", "issuer"),
            ("REGISTRY_AUTH_TOKEN_PUBLICKEY", keys.as_str()),
        ];
        if let Some(rules) = rules {
            std::fs::write(dir.path().join("rules.json"), rules).unwrap();
            vars.push(("REGISTRY_ACCESS_CONTROL_ENABLED", "true"));
            vars.push(("REGISTRY_ACCESS_CONTROL_CONFIG", path.as_str()));
        }
        let daemon = Daemon::start(PROGRAM, &dir.path().join("data"), &vars);
        Self { daemon, dir, pair }
    }

    /// A token of this user for these repositories and actions.
    fn token(&self, user: &str, access: &[(&str, &[&str])]) -> String {
        let entry = |(name, actions): &(&str, &[&str])| {
            let kind = if *name == "catalog" { "registry" } else { "repository" };
            json!({ "type": kind, "name": name, "actions": actions })
        };
        let claims = json!({
            "iss": "issuer", "sub": user, "aud": "registry", "iat": now(), "exp": now() + 300,
            "access": access.iter().map(entry).collect::<Vec<_>>(),
        });
        sign(&self.pair, &json!({ "typ": "JWT", "alg": "EdDSA", "kid": "one" }), &claims)
    }

    async fn with(&self, token: &str, method: Method, target: &str, body: &str) -> Reply {
        let ask = self.daemon.ask(method, target).body(body.to_owned());
        ask.header("authorization", format!("Bearer {token}")).send().await
    }

    async fn push(&self, token: &str, name: &str) -> u16 {
        let target = format!("/v2/{name}/manifests/v1");
        self.with(token, Method::PUT, &target, &index(&[]).to_string()).await.status.as_u16()
    }
}

const REALM: &str = r#"Bearer realm="https://auth.example/token",service="registry""#;

#[tokio::test]
async fn a_token_grants_exactly_its_access() {
    let place = Place::start(None);
    let reply = place.daemon.get("/v2/").await;
    reply.refused(401, "UNAUTHORIZED");
    assert_eq!(reply.header("www-authenticate"), REALM);
    let token = place.token("alice", &[("a/b", &["pull", "push"]), ("c", &["pull"]), ("d", &["*"])]);
    place.with(&token, Method::GET, "/v2/", "").await.is(200);
    assert_eq!(place.push(&token, "a/b").await, 201);
    assert_eq!((place.push(&token, "c").await, place.push(&token, "x").await), (401, 401));
    assert_eq!(place.push(&token, "d").await, 201);
    place.with(&token, Method::DELETE, "/v2/d/manifests/v1", "").await.is(202);
    let denied = place.with(&token, Method::DELETE, "/v2/a/b/manifests/v1", "").await;
    let challenge = format!("{REALM},scope=\"repository:a/b:delete\",error=\"insufficient_scope\"");
    assert_eq!(denied.header("www-authenticate"), challenge);
    let catalog = place.with(&token, Method::GET, "/v2/_catalog", "").await;
    assert!(catalog.header("www-authenticate").contains("scope=\"registry:catalog:*\""));
    let lists = place.token("alice", &[("catalog", &["*"])]);
    assert_eq!(place.with(&lists, Method::GET, "/v2/_catalog", "").await.is(200).strings("repositories"), ["a/b", "d"]);
    place.daemon.get("/v2/a/b/manifests/v1").await.refused(401, "UNAUTHORIZED");
    place.daemon.get("/auth/token").await.refused(404, "UNSUPPORTED");
    for password in ["Basic YWxpY2U6cHc=", "Basic Og=="] {
        let ask = place.daemon.ask(Method::GET, "/v2/a/b/manifests/v1").header("authorization", password);
        ask.send().await.refused(401, "UNAUTHORIZED");
    }
}

#[tokio::test]
async fn rules_restrict_a_token() {
    let place = Place::start(Some(
        r#"{"rules":[{"repository":"a/**","users":["alice"],"permissions":["pull"]},
                     {"repository":"open/**","users":["anonymous"],"permissions":["pull"]}]}"#,
    ));
    let token = place.token("alice", &[("a/b", &["pull", "push"]), ("other", &["pull"])]);
    assert_eq!(place.push(&token, "a/b").await, 401, "the rule allows only pulls");
    place.with(&token, Method::GET, "/v2/a/b/tags/list", "").await.refused(404, "NAME_UNKNOWN");
    place.with(&token, Method::GET, "/v2/other/tags/list", "").await.refused(401, "UNAUTHORIZED");
    place.with(&token, Method::GET, "/v2/a/c/tags/list", "").await.refused(401, "UNAUTHORIZED");
    place.daemon.get("/v2/open/x/tags/list").await.refused(404, "NAME_UNKNOWN");
}

#[tokio::test]
async fn tokens_of_docker_auth_and_gitlab_are_understood() {
    let place = Place::start(None);
    // docker_auth: a `kid` in libtrust's format would select nothing in a set; its keys come as PEM.
    let pem = place.dir.path().join("keys.json");
    let spki = {
        use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
        let der: PublicKeyX509Der<'_> = place.pair.public_key().as_der().unwrap();
        base64::engine::general_purpose::STANDARD.encode(der.as_ref())
    };
    std::fs::write(&pem, format!("-----BEGIN PUBLIC KEY-----\n{spki}\n-----END PUBLIC KEY-----\n")).unwrap();
    let header =
        json!({ "typ": "JWT", "alg": "EdDSA", "kid": "PYYO:TEWU:V7JH:26JV:AQTZ:LJC3:SXVJ:XGHA:34F2:2LAQ:ZRMK:Z7Q6" });
    let claims = json!({
        "access": [{ "actions": ["pull", "push"], "name": "team/app", "type": "repository" }],
        "aud": "registry", "exp": now() + 900, "iat": now(), "iss": "issuer", "jti": "5577006791947779410",
        "nbf": now() - 10, "sub": "alice",
    });
    let token = sign(&place.pair, &header, &claims);
    place
        .daemon
        .until(Duration::from_secs(3), "docker_auth", async || place.push(&token, "team/app").await == 201)
        .await;
    // GitLab: more fields in each entry, `*` to delete, and the user in a claim of its own.
    let claims = json!({
        "access": [{ "type": "repository", "name": "group/project", "actions": ["*"],
                     "meta": { "project_path": "group/project", "project_id": 7, "root_namespace_id": 3 } }],
        "jti": "2bd2-4c", "aud": "registry", "sub": "gitlab-user", "iss": "issuer",
        "iat": now(), "nbf": now() - 5, "exp": now() + 300, "auth_type": "build", "user": "ey…",
    });
    let token = sign(&place.pair, &json!({ "typ": "JWT", "alg": "EdDSA", "kid": "ABCD" }), &claims);
    assert_eq!(place.push(&token, "group/project").await, 201);
    place.with(&token, Method::DELETE, "/v2/group/project/manifests/v1", "").await.is(202);
}

#[tokio::test]
async fn a_mount_is_challenged_for_its_source_once_and_then_becomes_an_upload() {
    let place = Place::start(None);
    let source = place.token("alice", &[("source", &["pull", "push"])]);
    let begun = place.with(&source, Method::POST, "/v2/source/blobs/uploads/", "").await.is(202);
    let digest = sha256(b"blob");
    let target = format!("{}?digest={digest}", begun.header("location"));
    place.with(&source, Method::PUT, &target, "blob").await.is(201);
    let mount = format!("/v2/target/blobs/uploads/?mount={digest}&from=source");
    let narrow = place.token("alice", &[("target", &["pull", "push"])]);
    let answer = place.with(&narrow, Method::POST, &mount, "").await;
    answer.refused(401, "UNAUTHORIZED");
    let wanted = "scope=\"repository:target:pull,push repository:source:pull\",error=\"insufficient_scope\"";
    assert!(answer.header("www-authenticate").ends_with(wanted), "{}", answer.header("www-authenticate"));
    place.with(&narrow, Method::POST, &mount, "").await.is(202);
    let wide = place.token("alice", &[("target", &["pull", "push"]), ("source", &["pull"])]);
    place.with(&wide, Method::POST, &mount, "").await.is(201);
}

#[tokio::test]
async fn keys_are_rotated_while_serving() {
    let place = Place::start(None);
    let old = place.token("alice", &[("a", &["push"])]);
    let next = Ed25519KeyPair::generate().unwrap();
    let claims = json!({
        "iss": "issuer", "sub": "alice", "aud": ["other", "registry"], "iat": now(), "exp": now() + 300,
        "access": [{ "type": "repository", "name": "a", "actions": ["push"] }],
    });
    let new = sign(&next, &json!({ "alg": "EdDSA", "kid": "two" }), &claims);
    assert_eq!((place.push(&old, "a").await, place.push(&new, "a").await), (201, 401));
    let keys = place.dir.path().join("keys.json");
    let soon = Duration::from_secs(3);
    std::fs::write(&keys, set(&[("one", &place.pair), ("two", &next)])).unwrap();
    place.daemon.until(soon, "both", async || place.push(&new, "a").await == 201).await;
    assert_eq!(place.push(&old, "a").await, 201);
    std::fs::write(&keys, "{\"keys\": []}").unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(place.push(&old, "a").await, 201, "a broken key set revokes nothing");
    std::fs::write(&keys, set(&[("two", &next)])).unwrap();
    place.daemon.until(soon, "the new key set is used", async || place.push(&old, "a").await == 401).await;
    assert_eq!(place.push(&new, "a").await, 201);
}
