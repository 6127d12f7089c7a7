//! The example token service, used as registry clients do. It runs as its own program, with the policy from the same
//! directory.
//!
//! `cargo test` builds it. Before `cargo test --test token_service` run `cargo build --example token-service`.

#![allow(clippy::unwrap_used, reason = "a helper fails the test it is called by")]

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header, jwk::JwkSet};
use serde_json::{Value, json};
use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::Duration,
};

/// A running service; killed when dropped.
struct Running {
    child: Child,
    address: String,
    dir: tempfile::TempDir,
    alg: Algorithm,
    public: DecodingKey,
}

struct Reply {
    status: u16,
    head: String,
    body: Value,
}

fn program() -> PathBuf {
    let tests = std::env::current_exe().unwrap();
    let path = tests.parent().unwrap().with_file_name("examples").join("token-service");
    assert!(path.exists(), "{} does not exist: run cargo build --example token-service", path.display());
    path
}

fn policy() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/token-service/policy.json")
}

/// A directory with a key and with users whose password is their name and `!`.
fn prepare(alg: Algorithm) -> (tempfile::TempDir, DecodingKey) {
    let dir = tempfile::tempdir().unwrap();
    let (der, public) = if alg == Algorithm::EdDSA {
        let pair = Ed25519KeyPair::generate().unwrap();
        (pair.to_pkcs8v1().unwrap().as_ref().to_vec(), DecodingKey::from_ed_der(pair.public_key().as_ref()))
    } else {
        let random = aws_lc_rs::rand::SystemRandom::new();
        let der = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der.as_ref()).unwrap();
        (der.as_ref().to_vec(), DecodingKey::from_ec_der(pair.public_key().as_ref()))
    };
    let pem = format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", STANDARD.encode(der));
    std::fs::write(dir.path().join("token-key.pem"), pem).unwrap();
    let line = |name: &str| format!("{name}:{}\n", bcrypt::hash(format!("{name}!"), 4).unwrap());
    std::fs::write(dir.path().join("htpasswd"), ["alice", "bob", "admin"].map(line).concat()).unwrap();
    (dir, public)
}

fn command(dir: &Path) -> Command {
    let mut command = Command::new(program());
    command
        .current_dir(dir)
        .args(["--listen", "127.0.0.1:0", "--service", "registry.test"])
        .arg("--policy")
        .arg(policy());
    command
}

fn start(alg: Algorithm) -> Running {
    let (dir, public) = prepare(alg);
    let log = std::fs::File::create(dir.path().join("log")).unwrap();
    let mut child = command(dir.path()).stdout(Stdio::piped()).stderr(log).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let address = line.trim().strip_prefix("listening on http://").unwrap_or_else(|| panic!("{line:?}")).to_owned();
    Running { child, address, dir, alg, public }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Running {
    /// Sends a request unchanged, over its own connection.
    fn send(&self, request: &str) -> Reply {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Reply { status, head: head.to_ascii_lowercase(), body: serde_json::from_str(body).unwrap_or_default() }
    }

    /// `GET /token` with this query, and with the credentials `name:password` if given.
    fn get(&self, query: &str, credentials: Option<&str>) -> Reply {
        let basic = |given: &str| format!("Authorization: Basic {}\r\n", STANDARD.encode(given));
        let header = credentials.map(basic).unwrap_or_default();
        self.send(&format!("GET /token?service=registry.test&{query} HTTP/1.1\r\nHost: token.test\r\n{header}\r\n"))
    }

    fn post(&self, form: &str) -> Reply {
        let kind = "application/x-www-form-urlencoded";
        let length = form.len();
        self.send(&format!(
            "POST /token HTTP/1.1\r\nHost: token.test\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\r\n{form}"
        ))
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("log")).unwrap()
    }

    /// The claims of a reply's token, verified as the registry does.
    fn claims(&self, reply: &Reply) -> Value {
        assert_eq!(reply.status, 200, "{}", reply.body);
        let mut validation = Validation::new(self.alg);
        validation.set_issuer(&["token-service"]);
        validation.set_audience(&["registry.test"]);
        validation.set_required_spec_claims(&["iss", "aud", "exp", "sub"]);
        validation.validate_nbf = true;
        decode(reply.body["token"].as_str().unwrap(), &self.public, &validation).unwrap().claims
    }

    /// The `access` claim, as `type:name:action,action` joined by a space.
    fn access(&self, query: &str, credentials: Option<&str>) -> String {
        let reply = self.get(query, credentials);
        let claims = self.claims(&reply);
        let scope = |entry: &Value| {
            let word = |value: &Value| value.as_str().unwrap().to_owned();
            let actions: Vec<String> = entry["actions"].as_array().unwrap().iter().map(word).collect();
            format!("{}:{}:{}", word(&entry["type"]), word(&entry["name"]), actions.join(","))
        };
        let scopes: Vec<String> = claims["access"].as_array().unwrap().iter().map(scope).collect();
        assert_eq!(reply.body["scope"], scopes.join(" "));
        scopes.join(" ")
    }
}

#[test]
fn a_login_without_scope_gets_a_token_that_names_the_user() {
    for alg in [Algorithm::EdDSA, Algorithm::ES256] {
        let service = start(alg);
        let query = "account=alice&client_id=docker&offline_token=true";
        let reply = service.get(query, Some("alice:alice!"));
        let claims = service.claims(&reply);
        assert_eq!((&claims["sub"], &claims["iss"]), (&json!("alice"), &json!("token-service")));
        assert_eq!((&claims["aud"], &claims["access"]), (&json!("registry.test"), &json!([])));
        let (issued, expires) = (claims["iat"].as_i64().unwrap(), claims["exp"].as_i64().unwrap());
        assert_eq!((claims["nbf"].as_i64(), expires - issued), (Some(issued), 300));
        assert!((jiff::Timestamp::now().as_second() - issued).abs() < 30);

        assert_eq!(reply.body["token"], reply.body["access_token"]);
        assert_eq!(reply.body["expires_in"], 300);
        assert_eq!(reply.body.get("refresh_token"), None);
        let issued_at = reply.body["issued_at"].as_str().unwrap();
        assert_eq!(issued_at.len(), "2026-11-21T08:00:00Z".len(), "{issued_at}");
        assert_eq!(issued_at.parse::<jiff::Timestamp>().unwrap().as_second(), issued);
        assert!(reply.head.contains("cache-control: no-store"), "{}", reply.head);

        let again = service.claims(&service.get(query, Some("alice:alice!")));
        assert_ne!(again["jti"], claims["jti"]);
    }
}

#[test]
fn the_published_key_is_the_one_that_signs() {
    for alg in [Algorithm::EdDSA, Algorithm::ES256] {
        let service = start(alg);
        let published = service.send("GET /jwks.json HTTP/1.1\r\nHost: token.test\r\n\r\n").body;
        let token = service.get("", None).body["token"].as_str().unwrap().to_owned();
        let header = decode_header(&token).unwrap();
        assert_eq!((header.alg, header.typ.as_deref()), (alg, Some("JWT")));
        let keys: JwkSet = serde_json::from_value(published.clone()).unwrap();
        let jwk = keys.find(&header.kid.unwrap()).unwrap();
        let mut validation = Validation::new(alg);
        validation.set_audience(&["registry.test"]);
        decode::<Value>(&token, &DecodingKey::from_jwk(jwk).unwrap(), &validation).unwrap();

        let key = &published["keys"][0];
        assert_eq!(key["use"], "sig");
        assert!(key.get("d").is_none(), "the private half");
        let printed = command(service.dir.path()).arg("--print-jwks").output().unwrap();
        assert_eq!(serde_json::from_slice::<Value>(&printed.stdout).unwrap(), published);
    }
}

#[test]
fn repeated_and_joined_scopes_are_granted_as_far_as_allowed() {
    let service = start(Algorithm::EdDSA);
    let alice = Some("alice:alice!");
    let granted = "repository:public/base:pull repository:team-a/app:pull,push";
    let repeated = "scope=repository:team-a/app:push,pull&scope=repository:public/base:pull,push";
    assert_eq!(service.access(repeated, alice), granted);
    let joined = "scope=repository:team-a/app:push,pull+repository:public/base:pull,push%20repository:private/x:pull";
    assert_eq!(service.access(joined, alice), granted);
    assert_eq!(service.access(joined, Some("bob:bob!")), "repository:public/base:pull repository:team-a/app:pull");
    // Two scopes of one repository become one entry with the actions of both.
    let twice = "scope=repository:team-a/app:pull&scope=repository:team-a/app:push";
    assert_eq!(service.access(twice, alice), "repository:team-a/app:pull,push");
    assert_eq!(service.access("scope=repository:private/x:pull", alice), "", "no error, and nothing granted");

    let form = "grant_type=password&username=alice&password=alice!&service=registry.test&client_id=test\
                &scope=repository:team-a/app:push,pull&scope=repository:public/base:pull";
    let reply = service.post(form);
    assert_eq!(reply.body["scope"], granted);
    assert_eq!(service.claims(&reply)["sub"], "alice");
}

#[test]
fn scopes_are_split_at_their_first_and_last_colon() {
    let service = start(Algorithm::EdDSA);
    let admin = |scope: &str| service.access(&format!("scope={scope}"), Some("admin:admin!"));
    assert_eq!(admin("repository:host.test:5000/app:pull"), "repository:host.test:5000/app:pull");
    assert_eq!(admin("repository(plugin):app:pull"), "repository:app:pull");
    assert_eq!(admin("repository:app:*"), "repository:app:delete,pull,push");
    assert_eq!(admin("registry:catalog:*"), "registry:catalog:*");
    for nothing in ["", "repository", "repository:app", "repository::pull", "repository:app:", "other:app:pull"] {
        assert_eq!(admin(nothing), "", "{nothing:?}");
    }
    let alice = |scope: &str| service.access(&format!("scope={scope}"), Some("alice:alice!"));
    assert_eq!(alice("repository:team-a:push"), "repository:team-a:push");
    // Names that only resemble the prefix that she may use.
    for denied in ["team-ab/app", "team", "Team-a/app", "team-a/../private", "team-a//app", "team-a/", "/team-a"] {
        assert_eq!(alice(&format!("repository:{denied}:pull,push")), "", "{denied}");
    }
    assert_eq!(alice("registry:catalog:*"), "");
    assert_eq!(alice("repository:team-a/app:*,delete"), "repository:team-a/app:pull,push");
}

#[test]
fn anonymous_callers_get_what_the_policy_grants_them() {
    let service = start(Algorithm::EdDSA);
    let query = "scope=repository:public/base:pull,push&scope=repository:team-a/app:pull";
    assert_eq!(service.access(query, None), "repository:public/base:pull");
    // As podman sends it. An account without a password is anonymous.
    assert_eq!(service.access(query, Some(":")), "repository:public/base:pull");
    assert_eq!(service.access(&format!("account=alice&{query}"), None), "repository:public/base:pull");
    assert_eq!(service.claims(&service.get(query, None))["sub"], "");
}

#[test]
fn a_wrong_password_is_challenged_and_nothing_secret_is_logged() {
    let service = start(Algorithm::EdDSA);
    let refused = |reply: Reply| {
        assert_eq!(reply.status, 401);
        assert!(reply.head.contains("www-authenticate: basic realm="), "{}", reply.head);
        assert_eq!(reply.body["errors"][0]["code"], "UNAUTHORIZED");
        assert!(reply.body.get("token").is_none());
    };
    let long = format!("alice:alice!{}", "x".repeat(100));
    for credentials in ["alice:canary", "canary:canary", "alice:", ":alice!", "Alice:alice!", "canary", &long] {
        refused(service.get("scope=repository:public/base:pull", Some(credentials)));
    }
    refused(service.send("GET /token HTTP/1.1\r\nHost: token.test\r\nAuthorization: Bearer canary\r\n\r\n"));
    refused(service.post("grant_type=password&username=alice&password=canary&service=registry.test"));
    let reply = service.get("", Some("alice:alice!"));
    let log = service.log();
    assert!(log.contains("wrong password for alice\n") && log.contains("token for alice: []\n"), "{log}");
    let token = reply.body["token"].as_str().unwrap();
    for secret in ["canary", "alice!", token.rsplit('.').next().unwrap()] {
        assert!(!log.contains(secret), "{secret} in {log}");
    }
}

#[test]
fn unsupported_and_oversized_requests_are_refused() {
    let service = start(Algorithm::EdDSA);
    let status = |line: &str| service.send(&format!("{line} HTTP/1.1\r\nHost: token.test\r\n\r\n")).status;
    assert_eq!(status("GET /token?service=elsewhere"), 400);
    assert_eq!(status("PUT /token"), 404);
    assert_eq!(status("GET /"), 404);
    assert_eq!(service.post("grant_type=refresh_token&refresh_token=x&service=registry.test").status, 400);
    assert_eq!(service.post("").status, 400);

    let form = "grant_type=password&username=alice&password=alice!&fill=";
    let fill = "x".repeat((16 << 10) - form.len());
    assert_eq!(service.post(&format!("{form}{fill}")).status, 200);
    assert_eq!(service.post(&format!("{form}{fill}x")).status, 413);
    // A complete head below the limit, and one that exceeds it.
    let (start, end) = ("GET /token?fill=", " HTTP/1.1\r\nHost: token.test\r\n\r\n");
    let fill = "x".repeat((16 << 10) - start.len() - end.len() - 1);
    assert_eq!(service.send(&format!("{start}{fill}{end}")).status, 200);
    assert_eq!(service.send(&format!("{start}{}", "x".repeat((16 << 10) - start.len()))).status, 431);
}

#[test]
fn invalid_files_prevent_the_start_and_are_not_quoted() {
    let (dir, _) = prepare(Algorithm::EdDSA);
    let refused = |command: &mut Command, why: &str| {
        let Output { status, stderr, .. } = command.output().unwrap();
        let reported = String::from_utf8(stderr).unwrap();
        assert!(!status.success() && reported.contains(why), "{reported}");
        assert!(!reported.contains("canary"), "{reported}");
    };
    let rules = |prefix: &str, action: &str| {
        let rule = json!({"prefix": prefix, "who": ["alice"], "actions": [action]});
        std::fs::write(dir.path().join("rules.json"), json!({"rules": [rule], "catalog": []}).to_string()).unwrap();
        let mut changed = Command::new(program());
        changed.current_dir(dir.path()).args(["--listen", "127.0.0.1:0", "--policy", "rules.json"]);
        changed
    };
    refused(&mut rules("team-a/", "pull"), "no repository's name begins with");
    refused(&mut rules("team-a", "pul"), "is not pull, push or delete");
    refused(command(dir.path()).args(["--lifetime", "59"]), "59 is not in 60..=86400");
    for line in ["alice:canary", "canary", "anonymous:$2y$05$canary", &format!("a:$2y$20${}", ".".repeat(53))] {
        std::fs::write(dir.path().join("htpasswd"), format!("# users\n{line}\n")).unwrap();
        refused(&mut command(dir.path()), "htpasswd:2: ");
    }
    std::fs::write(dir.path().join("token-key.pem"), "canary").unwrap();
    refused(&mut command(dir.path()), "token-key.pem: is not an Ed25519 or P-256 key");
}
