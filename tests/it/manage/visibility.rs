//! Public and private repositories, as clients without a login and strangers with one meet them.

use crate::PROGRAM;
use http::Method;
use serde_json::{Value, json};
use testing::{
    managed::{ApiSession, Files, Managed},
    people::basic,
    session::*,
};

/// Alice has the repositories below her name, and bob those below his.
fn registry(change: impl FnOnce(&mut Files)) -> Managed {
    Managed::start(PROGRAM, |files| {
        files.rules = json!({
            "defaultPolicy": "deny",
            "adminUsers": ["admin"],
            "rules": [{ "repository": "bob/**", "users": ["bob"], "permissions": ["pull", "push"] }],
            "groups": { "makers": { "members": ["alice"], "roles": ["maker"] } },
            "roles": { "maker": { "permissions": ["CREATE:REPO"], "repositories": ["alice/**"] } },
        })
        .to_string();
        change(files);
    })
}

/// Alice's repository `alice/app` with a tag, an index of it and a referrer; returns the digest of the image.
async fn filled(registry: &Managed) -> String {
    let alice = registry.user("alice");
    alice.post("/repositories", &json!({ "name": "alice/app" })).await.is(201);
    let (digest, manifest) = alice.client.push_image("alice/app", "v1", "x").await;
    alice.client.push_blob("alice/app", "{}").await;
    let note = json!({
        "schemaVersion": 2, "mediaType": OCI_MANIFEST, "artifactType": "text/plain",
        "config": descriptor("application/vnd.oci.empty.v1+json", b"{}"), "layers": [],
        "subject": { "mediaType": OCI_MANIFEST, "digest": digest, "size": manifest.to_string().len() },
    });
    alice.client.put_manifest("alice/app", "note", &note).await.is(201);
    digest
}

async fn make(registry: &Managed, visibility: &str) {
    let change = json!({ "visibility": visibility });
    registry.user("alice").put("/repositories/alice/app/-/visibility", &change).await.is(200);
}

/// Every way to read from a repository, with its name left out.
fn reads(digest: &str) -> Vec<(Method, String)> {
    let get = |path: &str| (Method::GET, path.replace("DIGEST", digest));
    let mut reads: Vec<_> = [
        "/v2/NAME/manifests/v1",
        "/v2/NAME/manifests/DIGEST",
        "/v2/NAME/blobs/DIGEST",
        "/v2/NAME/tags/list",
        "/v2/NAME/referrers/DIGEST",
        "/api/v1/repositories/NAME",
        "/api/v1/repositories/NAME/-/visibility",
        "/api/v1/repositories/NAME/-/tags",
        "/api/v1/repositories/NAME/-/tags/v1",
        "/api/v1/repositories/NAME/-/manifests/DIGEST",
        "/api/v1/repositories/NAME/-/untagged",
        "/api/v1/repositories/NAME/-/compare?from=v1&to=note",
        "/api/v1/repositories/NAME/-/retention/plan",
        "/api/repositories/NAME/tags",
    ]
    .into_iter()
    .map(get)
    .collect();
    reads.push((Method::HEAD, "/v2/NAME/manifests/v1".to_owned()));
    reads
}

/// What a caller is told, with the name and what differs between any two requests left out.
async fn told(caller: &ApiSession, (method, path): &(Method, String), name: &str) -> (u16, String, String) {
    let body = if matches!(*method, Method::GET | Method::HEAD) { "" } else { "{}" };
    let ask = caller.client.ask(method.clone(), path.replace("NAME", name)).header("content-type", "application/json");
    let reply = ask.body(body).send().await;
    let text = String::from_utf8_lossy(&reply.body).replace(name, "NAME").replace(reply.header("x-request-id"), "ID");
    let headers =
        reply.headers.iter().filter(|(name, _)| !["date", "x-request-id", "content-length"].contains(&name.as_str()));
    let headers: Vec<_> =
        headers.map(|(key, value)| format!("{key}: {}", value.to_str().unwrap().replace(name, "NAME"))).collect();
    (reply.status.as_u16(), text, headers.join("\n"))
}

#[tokio::test]
async fn what_is_private_looks_like_what_does_not_exist() {
    let registry = registry(|_| {});
    let digest = filled(&registry).await;
    let layer = sha256(b"layer of x");
    let mut requests = reads(&digest);
    let write = |method: Method, path: &str| (method, path.replace("DIGEST", &digest));
    requests.extend([
        write(Method::PATCH, "/api/v1/repositories/NAME"),
        write(Method::DELETE, "/api/v1/repositories/NAME"),
        write(Method::PUT, "/api/v1/repositories/NAME/-/visibility"),
        write(Method::PUT, "/api/v1/NAME/visibility"),
        write(Method::PUT, "/api/v1/repositories/NAME/-/tags/v2"),
        write(Method::DELETE, "/api/v1/repositories/NAME/-/tags/v1"),
        write(Method::POST, "/api/v1/repositories/NAME/-/tags/delete"),
        write(Method::POST, "/api/v1/repositories/NAME/-/copy"),
        write(Method::GET, "/api/v1/repositories/NAME/-/access"),
        write(Method::DELETE, "/v2/NAME/manifests/DIGEST"),
        write(Method::POST, "/v2/NAME/blobs/uploads/"),
    ]);
    for (who, caller) in [("nobody", registry.nobody()), ("bob", registry.user("bob"))] {
        for request in &requests {
            let (private, absent) =
                (told(&caller, request, "alice/app").await, told(&caller, request, "alice/xyz").await);
            assert_eq!(private, absent, "{request:?} by {who}");
            assert!((401..=404).contains(&private.0), "{request:?} by {who}: {private:?}");
        }
    }
    // Nor do lists, counts and the content of other repositories tell.
    for caller in [registry.nobody(), registry.user("bob")] {
        for list in ["/repositories", "/repositories?q=app", "/repositories?sort=size", "/search?q=app", "/namespaces"]
        {
            assert_eq!(caller.get(list).await.is(200).json()["items"], json!([]), "{list}");
        }
        let search = format!("/search?q={}", &digest[7..20]);
        assert_eq!(caller.get(&search).await.is(200).json()["items"], json!([]));
        caller.get("/namespaces/alice").await.refused(404, "NOT_FOUND");
        let seen = caller.get("/dashboard").await.is(200).json();
        assert_eq!((&seen["total_repositories"], &seen["total_size"]), (&json!(0), &json!(0)));
    }
    let bob = registry.user("bob");
    let mount = |from: &str| bob.client.post(format!("/v2/bob/app/blobs/uploads/?mount={layer}&from={from}"), "");
    assert_eq!(
        (mount("alice/app").await.status, mount("alice/xyz").await.status),
        (202.try_into().unwrap(), 202.try_into().unwrap())
    );
    for from in ["alice/app", "alice/xyz"] {
        let copy = json!({ "from": from, "tags": ["v1"] });
        bob.post("/repositories/bob/app/-/copy", &copy).await.refused(404, "NOT_FOUND");
    }
}

#[tokio::test]
async fn a_public_repository_is_pulled_without_a_login_and_all_lists_follow_at_once() {
    let registry = registry(|_| {});
    let digest = filled(&registry).await;
    let (nobody, bob) = (registry.nobody(), registry.user("bob"));
    let names = async |caller: &ApiSession, path: &str| -> Vec<Value> {
        caller.get(path).await.is(200).json()["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|item| item["name"].clone())
            .collect()
    };
    for _ in 0..2 {
        make(&registry, "public").await;
        let layer = sha256(b"layer of x");
        nobody.client.read(format!("/v2/alice/app/blobs/{layer}")).await;
        for (method, path) in reads(&digest) {
            let path = path.replace("NAME", "alice/app");
            // A manifest is no blob of the repository.
            if !path.contains("/blobs/") {
                nobody.client.ask(method, path).send().await.is(200);
            }
        }
        let referrers = nobody.client.read(format!("/v2/alice/app/referrers/{digest}")).await.json();
        assert_eq!(referrers["manifests"][0]["artifactType"], "text/plain");
        assert_eq!(bob.client.get("/v2/_catalog").await.is(200).strings("repositories"), ["alice/app"]);
        // Clients send a password only when they are asked for it: a list for nobody would hide what they may see.
        let asked = nobody.client.get("/v2/_catalog").await;
        assert!(asked.header("www-authenticate").starts_with("Basic "), "{asked:?}");
        asked.refused(401, "UNAUTHORIZED");
        for caller in [&nobody, &bob] {
            assert_eq!(names(caller, "/repositories").await, ["alice/app"]);
            assert_eq!(names(caller, "/namespaces").await, ["alice"]);
            let found = caller.get("/search?q=app").await.is(200).json();
            assert_eq!(found["items"][0]["repository"], "alice/app");
            assert_eq!(caller.get("/dashboard").await.is(200).json()["total_images"], 2);
        }
        // It can be pulled, and nothing else.
        nobody.client.post("/v2/alice/app/blobs/uploads/", "").await.refused(401, "UNAUTHORIZED");
        bob.client.delete(format!("/v2/alice/app/manifests/{digest}")).await.refused(403, "DENIED");
        bob.delete("/repositories/alice/app").await.refused(403, "DENIED");
        let mount = bob.client.post(format!("/v2/bob/app/blobs/uploads/?mount={layer}&from=alice/app"), "").await;
        assert_eq!(mount.status, 201);

        make(&registry, "private").await;
        for (method, path) in reads(&digest) {
            nobody.client.ask(method.clone(), path.replace("NAME", "alice/app")).send().await.is(401);
        }
        assert_eq!(bob.client.get("/v2/_catalog").await.is(200).strings("repositories"), [""; 0]);
        for caller in [&nobody, &bob] {
            assert_eq!(names(caller, "/repositories").await, [""; 0]);
            assert_eq!(caller.get("/search?q=app").await.is(200).json()["items"], json!([]));
            assert_eq!(caller.get("/dashboard").await.is(200).json()["total_images"], 0);
        }
    }
}

#[tokio::test]
async fn with_the_token_service_a_client_without_a_login_gets_a_token_for_what_is_public() {
    let registry = registry(|files| files.vars.push(("REGISTRY_AUTH_TOKEN_SIGNINGKEY", "auto".into())));
    filled(&registry).await;
    make(&registry, "public").await;
    let nobody = registry.nobody();
    // As docker does: ask, follow the challenge, ask again.
    let challenged = nobody.client.get("/v2/alice/app/manifests/v1").await;
    let token = async |scope: &str| -> ApiSession {
        let answer = nobody.client.get(format!("/auth/token?scope={scope}")).await.is(200).json();
        registry.caller(Some(format!("Bearer {}", answer["token"].as_str().unwrap())))
    };
    assert!(
        challenged.status == 200 || challenged.header("www-authenticate").contains("alice/app:pull"),
        "{challenged:?}"
    );
    // The same for the list: a client with a password gets a token of its own, one without a token for what is public.
    let challenged = nobody.client.get("/v2/_catalog").await;
    assert!(challenged.header("www-authenticate").contains("scope=\"registry:catalog:*\""), "{challenged:?}");
    challenged.refused(401, "UNAUTHORIZED");
    let lists = token("registry:catalog:*").await;
    let listed = async || lists.client.get("/v2/_catalog").await.is(200).strings("repositories");
    assert_eq!(listed().await, ["alice/app"]);
    lists.client.get("/v2/alice/app/manifests/v1").await.refused(401, "UNAUTHORIZED");
    // A login is still asked for.
    nobody.client.get("/v2/").await.refused(401, "UNAUTHORIZED");
    let (of_app, of_none) = (token("repository:alice/app:pull").await, token("repository:alice/xyz:pull").await);
    of_app.client.read("/v2/alice/app/manifests/v1").await;
    assert_eq!(of_app.client.tags("alice/app").await, ["note", "v1"]);
    of_app.client.post("/v2/alice/app/blobs/uploads/", "").await.refused(401, "UNAUTHORIZED");
    of_none.client.get("/v2/alice/xyz/manifests/v1").await.refused(401, "UNAUTHORIZED");
    let catalog =
        registry.ask(Method::GET, "/auth/token?scope=registry:catalog:*").header("authorization", basic("bob"));
    let catalog = catalog.send().await.is(200).json();
    let bob = registry.caller(Some(format!("Bearer {}", catalog["token"].as_str().unwrap()))).client;
    assert_eq!(bob.get("/v2/_catalog").await.is(200).strings("repositories"), ["alice/app"]);

    make(&registry, "private").await;
    assert_eq!(listed().await, [""; 0]);
    // The token was good for it, and the repository is not public any more.
    let (private, absent) =
        (of_app.client.get("/v2/alice/app/manifests/v1").await, of_none.client.get("/v2/alice/xyz/manifests/v1").await);
    let plain = |reply: &Reply, name: &str| String::from_utf8_lossy(&reply.body).replace(name, "NAME");
    assert_eq!((private.status, plain(&private, "alice/app")), (absent.status, plain(&absent, "alice/xyz")));
    let (again, none) = (token("repository:alice/app:pull").await, token("repository:alice/xyz:pull").await);
    let (private, absent) =
        (again.client.get("/v2/alice/app/manifests/v1").await, none.client.get("/v2/alice/xyz/manifests/v1").await);
    assert_eq!((private.status, plain(&private, "alice/app")), (absent.status, plain(&absent, "alice/xyz")));
    private.refused(401, "UNAUTHORIZED");
    assert_eq!(bob.get("/v2/_catalog").await.is(200).strings("repositories"), [""; 0]);
}
