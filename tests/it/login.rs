//! Passwords and access rules over HTTP.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{Method, StatusCode};
use testing::{
    people::{basic, htpasswd, password},
    registry::Registry,
    session::*,
};

const RULES: &str = r#"{
  "defaultPolicy": "deny",
  "adminUsers": ["root"],
  "rules": [
    {"repository": "open/**", "users": ["anonymous", "*"], "permissions": ["pull"]},
    {"repository": "home/${user}/**", "users": ["*"], "permissions": ["pull", "push", "delete"]},
    {"repository": "team/**", "users": ["alice"], "permissions": ["pull", "push"]},
    {"repository": "team/**", "users": ["bob"], "permissions": ["pull"]}
  ]
}"#;

async fn registry(rules: bool) -> Registry {
    Registry::with(|setup| {
        setup.htpasswd = Some(htpasswd(&["alice", "bob", "carol", "root"]));
        setup.rules = rules.then(|| RULES.to_owned());
    })
    .await
}

/// A request by a user, or anonymous.
async fn ask(registry: &Registry, user: &str, method: Method, target: &str, body: &str) -> Reply {
    let ask = registry.ask(method, target).body(body.to_owned());
    match user {
        "-" => ask.send().await,
        user => ask.header("authorization", basic(user)).send().await,
    }
}

async fn push(registry: &Registry, user: &str, name: &str) -> u16 {
    let target = format!("/v2/{name}/manifests/v1");
    ask(registry, user, Method::PUT, &target, &index(&[]).to_string()).await.status.as_u16()
}

async fn pull(registry: &Registry, user: &str, name: &str) -> u16 {
    ask(registry, user, Method::GET, &format!("/v2/{name}/manifests/v1"), "").await.status.as_u16()
}

#[track_caller]
fn challenged(reply: &Reply) {
    reply.refused(401, "UNAUTHORIZED");
    let challenges: Vec<_> = reply.headers.get_all("www-authenticate").iter().collect();
    assert_eq!(challenges, [r#"Basic realm="Registry", charset="UTF-8""#], "exactly one");
}

#[tokio::test]
async fn without_rules_users_may_do_everything_and_strangers_nothing() {
    let registry = registry(false).await;
    for (method, target) in [
        (Method::GET, "/v2/"),
        (Method::GET, "/v2/_catalog"),
        (Method::GET, "/v2/app/tags/list"),
        (Method::GET, "/v2/app/manifests/v1"),
        (Method::PUT, "/v2/app/manifests/v1"),
        (Method::DELETE, "/v2/app/manifests/v1"),
        (Method::POST, "/v2/app/blobs/uploads/"),
    ] {
        challenged(&ask(&registry, "-", method, target, "{}").await);
    }
    assert_eq!(ask(&registry, "alice", Method::GET, "/v2/", "").await.status, StatusCode::OK);
    assert_eq!(push(&registry, "alice", "app").await, 201);
    assert_eq!(pull(&registry, "bob", "app").await, 200);
    assert_eq!(registry.get("/health").await.status, StatusCode::OK, "probes need no password");
}

#[tokio::test]
async fn a_wrong_password_is_never_treated_as_anonymous() {
    let registry = registry(true).await;
    assert_eq!(push(&registry, "root", "open/app").await, 201);
    assert_eq!(pull(&registry, "-", "open/app").await, 200);
    let with =
        |header: String| registry.ask(Method::GET, "/v2/open/app/manifests/v1").header("authorization", header).send();
    challenged(&with(format!("Basic {}", STANDARD.encode("alice:wrong"))).await);
    challenged(&with(format!("Basic {}", STANDARD.encode("nobody:nobody!"))).await);
    challenged(&with("Bearer abc".to_owned()).await);
    assert_eq!(with("Basic Og==".to_owned()).await.status, StatusCode::OK, "empty name and password are nobody's");
    let twice =
        registry.ask(Method::GET, "/v2/").header("authorization", basic("alice")).header("authorization", basic("bob"));
    twice.send().await.refused(400, "UNAUTHORIZED");
}

#[tokio::test]
async fn malformed_credentials_are_challenged_with_the_reason() {
    let registry = registry(true).await;
    assert_eq!(push(&registry, "root", "open/app").await, 201);
    let latin1 = STANDARD.encode(b"alice:p\xe4ssword");
    for (header, reason) in [
        ("Basic", "no credentials after its scheme"),
        ("Bearer", "no credentials after its scheme"),
        ("bearer ", "no credentials after its scheme"),
        ("Basic ***", "not base64"),
        (&format!("Basic {}", STANDARD.encode("alice")), "no colon"),
        (&format!("Basic {latin1}"), "not UTF-8"),
        (&format!("Basic {}", STANDARD.encode("alice:a\nb")), "a line break"),
    ] {
        // Even without required login, invalid credentials are refused.
        let ask = registry.ask(Method::GET, "/v2/open/app/manifests/v1").header("authorization", header);
        let reply = ask.send().await;
        challenged(&reply);
        assert!(reply.message().contains(reason), "{header}: {}", reply.message());
    }
}

#[tokio::test]
async fn a_refusal_names_an_authorization_header_that_is_too_long() {
    let registry = registry(true).await;
    let with = |len: usize| {
        let token = "x".repeat(len - "Bearer ".len());
        registry.ask(Method::GET, "/v2/").header("authorization", format!("Bearer {token}")).send()
    };
    challenged(&with(16 << 10).await);
    let reply = with((16 << 10) + 1).await;
    reply.refused(431, "UNAUTHORIZED");
    assert_eq!(reply.message(), "the Authorization header is longer than 16384 bytes");
    // Longer than a head may be.
    let reply = with(40 << 10).await;
    reply.refused(431, "SIZE_INVALID");
    let answer =
        "the request line and headers are longer than 32768 bytes; the longest part is the header authorization";
    assert!(reply.message().starts_with(answer), "{}", reply.message());
    let reply = registry.get(format!("/v2/?{}", "x".repeat(33 << 10))).await;
    reply.refused(431, "SIZE_INVALID");
    assert!(reply.message().contains("the URL"), "{}", reply.message());
}

#[tokio::test]
async fn without_a_token_service_its_path_is_not_found() {
    for registry in [Registry::start().await, registry(true).await] {
        for method in [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::DELETE] {
            let reply = registry.ask(method.clone(), "/auth/token").send().await;
            assert_eq!((reply.status, reply.has("allow")), (StatusCode::NOT_FOUND, false), "{method}");
        }
    }
}

/// Wrong passwords take long here, as with real hashes.
#[tokio::test]
async fn guesses_from_many_addresses_block_neither_new_nor_known_users() {
    let costly = format!("root:{}\n", bcrypt::hash("root!", 10).unwrap());
    let registry = Registry::with(|setup| {
        setup.htpasswd = Some(htpasswd(&["alice", "bob"]) + &costly);
        setup.trusted_proxies = vec!["127.0.0.1/32".parse().unwrap()];
        setup.logins.waiting = 8;
    })
    .await;
    let ask = |from: String, header: String| {
        registry.ask(Method::GET, "/v2/").header("x-forwarded-for", from).header("authorization", header).send()
    };
    ask("192.0.2.1".into(), basic("bob")).await.is(200);
    // Each address has guessed before, and guesses again.
    for _ in 0..2 {
        let guess = |i: u32| ask(format!("10.0.{i}.1"), password("alice", &format!("guess {i}")));
        let guesses = futures_util::future::join_all((0..60).map(guess));
        let users = async {
            tokio::task::yield_now().await;
            ask("192.0.2.1".into(), basic("bob")).await.is(200);
            ask("198.51.100.1".into(), basic("alice")).await
        };
        let (guesses, login) = tokio::join!(guesses, users);
        login.is(200);
        let refused = guesses.iter().filter(|guess| guess.status == StatusCode::TOO_MANY_REQUESTS);
        for reply in refused.clone() {
            reply.refused(429, "TOOMANYREQUESTS");
            assert_eq!(reply.header("retry-after"), "5");
        }
        assert!(refused.count() >= 40, "too few guesses at once");
        assert!(guesses.iter().all(|guess| matches!(guess.status.as_u16(), 401 | 429)));
    }
}

#[tokio::test]
async fn rules_decide_each_action() {
    let registry = registry(true).await;
    for (user, name, pushed, pulled, deleted) in [
        ("alice", "team/app", 201, 200, 403),
        ("bob", "team/app", 403, 200, 403),
        ("carol", "team/app", 403, 403, 403),
        ("-", "team/app", 401, 401, 401),
        ("carol", "home/carol/x", 201, 200, 202),
        ("carol", "home/alice/x", 403, 403, 403),
        ("root", "anything/else", 201, 200, 202),
        ("-", "open/none", 401, 404, 401),
    ] {
        assert_eq!(push(&registry, user, name).await, pushed, "{user} push {name}");
        assert_eq!(pull(&registry, user, name).await, pulled, "{user} pull {name}");
        let delete = ask(&registry, user, Method::DELETE, &format!("/v2/{name}/manifests/v1"), "").await;
        assert_eq!(delete.status.as_u16(), deleted, "{user} delete {name}");
    }
}

#[tokio::test]
async fn missing_and_forbidden_repositories_get_the_same_response() {
    let registry = registry(true).await;
    push(&registry, "alice", "team/app").await;
    for (there, absent) in [
        ("/v2/team/app/manifests/v1", "/v2/team/none/manifests/v1"),
        ("/v2/team/app/tags/list", "/v2/team/none/tags/list"),
    ] {
        for user in ["carol", "-"] {
            let (there, absent) = (
                ask(&registry, user, Method::GET, there, "").await,
                ask(&registry, user, Method::GET, absent, "").await,
            );
            // The message names the requested repository and nothing else.
            let said = |reply: &Reply| String::from_utf8(reply.body.to_vec()).unwrap().replace("team/none", "team/app");
            assert_eq!((there.status, said(&there)), (absent.status, said(&absent)), "{user}");
        }
    }
}

#[tokio::test]
async fn every_user_sees_their_own_catalog() {
    let registry = registry(true).await;
    for name in ["open/a", "team/b", "home/carol/c", "other/d"] {
        assert_eq!(push(&registry, "root", name).await, 201);
    }
    for (user, names) in [
        ("root", vec!["home/carol/c", "open/a", "other/d", "team/b"]),
        ("alice", vec!["open/a", "team/b"]),
        ("carol", vec!["home/carol/c", "open/a"]),
        ("-", vec!["open/a"]),
    ] {
        let catalog = ask(&registry, user, Method::GET, "/v2/_catalog", "").await;
        assert_eq!(catalog.strings("repositories"), names, "{user}");
        let page = ask(&registry, user, Method::GET, "/v2/_catalog?n=1", "").await;
        assert_eq!(page.strings("repositories"), names[..1], "{user}");
        assert_eq!(page.has("link"), names.len() > 1, "{user}");
        assert!(
            page.header("link").is_empty() || page.header("link").contains(&query(names[0])),
            "no hidden name shows"
        );
    }
}

fn query(name: &str) -> String {
    format!("last={}", name.replace('/', "%2F"))
}

#[tokio::test]
async fn knowing_a_digest_grants_nothing() {
    let registry = registry(true).await;
    let secret = "layer nobody else may have";
    let digest = sha256(secret.as_bytes());
    let target = format!("/v2/home/alice/app/blobs/uploads/?digest={digest}");
    assert_eq!(ask(&registry, "alice", Method::POST, &target, secret).await.status, StatusCode::CREATED);
    ask(&registry, "carol", Method::GET, &format!("/v2/home/carol/x/blobs/{digest}"), "")
        .await
        .refused(404, "BLOB_UNKNOWN");
    // A mount from a source without permission is an ordinary upload, whether or not the blob exists.
    for (digest, from) in
        [(&digest, "&from=home/alice/app"), (&digest, ""), (&sha256(b"nowhere"), "&from=home/alice/app")]
    {
        let target = format!("/v2/home/carol/x/blobs/uploads/?mount={digest}{from}");
        assert_eq!(ask(&registry, "carol", Method::POST, &target, "").await.status, StatusCode::ACCEPTED);
    }
    let manifest = image(&descriptor(CONFIG, secret.as_bytes()), &[]).to_string();
    let refused = ask(&registry, "carol", Method::PUT, "/v2/home/carol/x/manifests/v1", &manifest).await;
    refused.refused(400, "MANIFEST_BLOB_UNKNOWN");
    let own = format!("/v2/home/alice/y/blobs/uploads/?mount={digest}&from=home/alice/app");
    assert_eq!(ask(&registry, "alice", Method::POST, &own, "").await.status, StatusCode::CREATED);
}

#[tokio::test]
async fn an_upload_session_belongs_to_its_owner() {
    let registry = registry(true).await;
    let begun = ask(&registry, "alice", Method::POST, "/v2/team/app/blobs/uploads/", "").await;
    let location = begun.header("location").to_owned();
    for method in [Method::GET, Method::PATCH, Method::DELETE] {
        ask(&registry, "root", method, &location, "x").await.refused(404, "BLOB_UPLOAD_UNKNOWN");
    }
    assert_eq!(ask(&registry, "bob", Method::PATCH, &location, "x").await.status, StatusCode::FORBIDDEN);
    assert_eq!(ask(&registry, "alice", Method::PATCH, &location, "x").await.status, StatusCode::ACCEPTED);
    let gone = ask(&registry, "alice", Method::DELETE, &location, "").await;
    assert_eq!(gone.status, StatusCode::NO_CONTENT, "cancelling belongs to pushing");
}

/// A mount without a source is a guess; other users' pushes of the same bytes must not change the result.
#[tokio::test]
async fn a_mount_reveals_nothing_about_blobs_of_others() {
    let registry = registry(true).await;
    let digest = sha256(b"shared");
    let push_blob = async |user: &str, name: &str| {
        let target = format!("/v2/{name}/blobs/uploads/?digest={digest}");
        ask(&registry, user, Method::POST, &target, "shared").await.is(201);
    };
    push_blob("carol", "home/carol/one").await;
    for i in 0..8 {
        push_blob("alice", &format!("team/{i}")).await;
    }
    let mount = format!("/v2/home/carol/two/blobs/uploads/?mount={digest}");
    ask(&registry, "carol", Method::POST, &mount, "").await.is(201);
    let mount = format!("/v2/home/bob/one/blobs/uploads/?mount={digest}");
    ask(&registry, "bob", Method::POST, &mount, "").await.is(202);
}
