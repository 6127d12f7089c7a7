//! The paths below `/api/v1` of two other registries, and the login of a third.

use super::{replaced_by, send};
use crate::PROGRAM;
use http::Method;
use serde_json::{Value, json};
use std::time::Duration;
use testing::{managed::Managed, people::basic};

/// A registry with its own token service, whose users own what is below their names.
fn registry() -> Managed {
    Managed::start(PROGRAM, |files| {
        files.vars.push(("REGISTRY_AUTH_TOKEN_SIGNINGKEY", "auto".into()));
        files.rules = json!({
            "defaultPolicy": "deny",
            "adminUsers": ["admin"],
            "rules": [],
            "groups": { "developers": { "members": ["alice"], "roles": ["web"] }, "readers": { "members": [], "roles": [] } },
            "roles": { "web": { "permissions": ["LOGIN:WEBUI", "CREATE:REPO"], "repositories": ["alice/**"] } },
        })
        .to_string();
    })
}

/// A token as `docker login` asks for it: for nothing in particular.
async fn token(registry: &Managed, user: &str) -> Value {
    registry
        .nobody()
        .client
        .ask(Method::GET, "/auth/token")
        .header("authorization", basic(user))
        .send()
        .await
        .is(200)
        .json()
}

#[tokio::test]
async fn a_token_without_a_scope_changes_the_visibility_of_ones_own_repository() {
    let registry = registry();
    let admin = registry.admin();
    // POST /api/v1/users {username, password} → 201.
    let user = json!({ "username": "myuser", "password": "my-long-password" });
    admin.post("/users", &user).await.is(201);
    let curl = testing::people::password("myuser", "my-long-password");
    let client = registry.nobody().client;
    let answer = client.ask(Method::GET, "/auth/token").header("authorization", curl).send().await.is(200).json();
    assert_eq!(answer["token"], answer["access_token"]);
    assert!(answer["expires_in"].is_u64() && answer["issued_at"].is_string(), "{answer}");

    let answer = token(&registry, "alice").await;
    let alice = client.authorized(format!("Bearer {}", answer["token"].as_str().unwrap()));
    send(&alice, Method::POST, "/api/v1/repositories", &json!({ "name": "alice/repo" })).await.is(201);
    let path = "/api/v1/alice/repo/visibility";
    for visibility in ["public", "private"] {
        let reply = send(&alice, Method::PUT, path, &json!({ "visibility": visibility })).await.is(200);
        replaced_by(&reply, "/api/v1/repositories/alice/repo/-/visibility");
        assert_eq!(reply.json()["visibility"], visibility);
    }
    send(&alice, Method::PUT, path, &json!({ "visibility": "secret" })).await.refused(400, "INVALID_REQUEST");
    let bob = registry.user("bob").client;
    send(&bob, Method::PUT, path, &json!({ "visibility": "public" })).await.refused(404, "NOT_FOUND");
    send(&client, Method::PUT, path, &json!({ "visibility": "public" })).await.refused(401, "UNAUTHORIZED");

    let listed = alice.get("/api/v1/repo").await.is(200);
    replaced_by(&listed, "/api/v1/repositories");
    let item = &listed.json()["data"][0];
    assert_eq!((&item["namespace"], &item["name"]), (&json!("alice"), &json!("alice/repo")));
    assert_eq!((&item["is_public"], &item["tags"]), (&json!(false), &json!([])));
    assert_eq!(bob.get("/api/v1/repo").await.is(200).json()["data"], json!([]));
}

#[tokio::test]
async fn the_table_of_a_guide_is_answered_row_by_row() {
    let registry = registry();
    let (admin, nobody) = (registry.admin(), registry.nobody());
    // Authentication.
    let ask =
        nobody.client.ask(Method::GET, "/auth/token?service=registry.test").header("authorization", basic("admin"));
    assert!(ask.send().await.is(200).json()["access_token"].is_string());
    let form = "grant_type=password&username=admin&password=admin!&service=registry.test";
    let ask =
        nobody.client.ask(Method::POST, "/auth/token").header("content-type", "application/x-www-form-urlencoded");
    assert!(ask.body(form).send().await.is(200).json()["access_token"].is_string());
    let login = json!({ "username": "admin", "password": "admin!" });
    let session = nobody.post("/auth/login", &login).await.is(200).json();
    for field in ["token", "expires_in", "issued_at", "username", "groups"] {
        assert!(!session[field].is_null(), "{field}: {session}");
    }
    let refresh = json!({ "refresh_token": session["refresh_token"] });
    assert!(nobody.post("/auth/refresh", &refresh).await.is(200).json()["token"].is_string());
    // Groups and roles.
    admin.get("/groups").await.is(200);
    admin.put("/groups/readers", &json!({ "description": "Read", "roles": ["web"] })).await.is(200);
    admin.delete("/groups/readers").await.is(204);
    admin.get("/roles").await.is(200);
    let role = json!({ "permissions": [{ "action": "VIEW", "resource": "USER" }], "repositories": [] });
    admin.put("/roles/viewer", &role).await.is(200);
    admin.delete("/roles/viewer").await.is(204);
    // Settings.
    admin.get("/settings/operator").await.is(200);
    // Users.
    admin.get("/users").await.is(200);
    admin.post("/users", &json!({ "username": "carol", "password": "a-long-password", "groups": [] })).await.is(201);
    let groups = json!({ "username": "carol", "groups": ["developers"] });
    assert_eq!(admin.put("/users/groups", &groups).await.is(200).json()["groups"], json!(["developers"]));
    let me = registry.user("alice").get("/users/me").await.is(200);
    replaced_by(&me, "/api/v1/auth/me");
    assert_eq!((&me.json()["username"], &me.json()["groups"]), (&json!("alice"), &json!(["developers"])));
    // Tasks, by the id in the query.
    let task = admin.post("/gc", &json!({ "dry_run": true })).await.is(202).json()["task_id"].clone();
    let path = format!("/registry/migrate/status?task_id={}", task.as_str().unwrap());
    let status = admin.get(&path).await.is(200);
    assert_eq!(status.json()["id"], task);
    admin.get("/registry/migrate/status").await.refused(400, "INVALID_REQUEST");
}

#[tokio::test]
async fn images_are_shown_to_the_public_hidden_and_deleted_tag_by_tag() {
    let registry = registry();
    let (alice, bob) = (registry.user("alice"), registry.user("bob"));
    alice.post("/repositories", &json!({ "name": "alice/app" })).await.is(201);
    alice.client.push_image("alice/app", "1.0", "x").await;
    alice.client.push_image("alice/app", "2.0", "y").await;
    let images = async || bob.get("/repositories/public").await.is(200).json()["images"].clone();
    assert_eq!(images().await, json!([]));
    let set = async |private: bool| {
        alice.post("/repositories/visibility", &json!({ "name": "alice/app", "private": private })).await
    };
    assert_eq!(set(false).await.is(200).json()["effective"], "public");
    assert_eq!((&images().await[0]["name"], &images().await[0]["tags"]), (&json!("alice/app"), &json!(["1.0", "2.0"])));
    let by_bob = json!({ "name": "alice/app", "private": true });
    bob.post("/repositories/visibility", &by_bob).await.refused(403, "DENIED");
    registry.nobody().post("/repositories/visibility", &by_bob).await.refused(401, "UNAUTHORIZED");
    assert_eq!(set(true).await.is(200).json()["effective"], "private");
    // Now they are not told that it exists.
    for name in ["alice/app", "alice/none"] {
        let change = json!({ "name": name, "private": false });
        bob.post("/repositories/visibility", &change).await.refused(404, "NOT_FOUND");
    }
    alice.post("/repositories/visibility", &json!({ "name": "alice/app" })).await.refused(400, "INVALID_REQUEST");
    let deleted = alice.delete("/repositories/alice/app/tags/1.0").await.is(202);
    replaced_by(&deleted, "/api/v1/repositories/alice/app/-/tags/1.0");
    assert_eq!(alice.client.tags("alice/app").await, ["2.0"]);
    alice.delete("/repositories/alice/app/tags/1.0").await.refused(404, "NOT_FOUND");
}

#[tokio::test]
async fn a_login_by_email_is_one_by_user_name() {
    let registry = registry();
    let client = registry.nobody().client;
    let login = |password: &str| json!({ "email": "alice", "password": password });
    let reply = send(&client, Method::POST, "/auth/login", &login("alice!")).await.is(200);
    replaced_by(&reply, "/api/v1/auth/login");
    let alice = client.authorized(format!("Bearer {}", reply.json()["token"].as_str().unwrap()));
    assert_eq!(alice.get("/api/v1/auth/me").await.is(200).json()["username"], "alice");
    send(&client, Method::POST, "/auth/login", &login("guessed")).await.refused(401, "UNAUTHORIZED");
    send(&client, Method::POST, "/api/v1/auth/login", &login("alice!")).await.is(200);
}

#[tokio::test]
async fn metrics_have_the_names_that_their_programs_read() {
    let registry = registry();
    let (admin, alice) = (registry.admin(), registry.user("alice"));
    let digest = admin.client.push_blob("alice/app", "four").await;
    admin.client.get(&format!("/v2/alice/app/blobs/{digest}")).await.is(200);
    let pulled = async || admin.get("/settings/metrics").await.is(200).json()["blobDownloads"]["total"] == 1;
    registry.until(Duration::from_secs(10), "the pull is not counted", pulled).await;
    let reply = admin.get("/settings/metrics").await.is(200);
    replaced_by(&reply, "/api/v1/metrics");
    let metrics = reply.json();
    for name in ["blobUploads", "blobDownloads"] {
        assert_eq!((&metrics[name]["total"], &metrics[name]["bytesProcessed"]), (&json!(1), &json!(4)), "{name}");
        assert!(metrics[name]["avgDuration"].is_number() && metrics[name]["inProgress"] == 0, "{name}");
    }
    assert!(metrics["timeseriesData"].is_array() && metrics["performance"]["avgUploadSpeed"].is_number());
    let requests = metrics["access_logs"].as_array().unwrap();
    let request = requests.iter().find(|request| request["action"] == "blob_read").unwrap();
    assert_eq!((&request["username"], &request["method"]), (&json!("admin"), &json!("GET")));
    assert_eq!((&request["resource"], &request["status"]), (&json!(format!("alice/app@{digest}")), &json!(200)));
    alice.get("/settings/metrics").await.refused(403, "DENIED");
}

#[tokio::test]
async fn what_has_no_equal_here_is_answered_with_what_replaces_it() {
    let registry = registry();
    let admin = registry.admin();
    let message = |reply: testing::session::Reply| reply.json()["errors"][0]["message"].as_str().unwrap().to_owned();
    for (method, path, instead) in [
        (Method::GET, "/settings/registry", "manifests, uploads, collection and pagination"),
        (Method::PUT, "/settings/registry", "manifests, uploads, collection and pagination"),
        (Method::POST, "/settings/registry/reset", "manifests, uploads, collection and pagination"),
        (Method::PUT, "/settings/metrics", "/api/v1/metrics"),
        (Method::GET, "/registry/proxy/catalog?registry=quay.io", "crane catalog"),
        (Method::GET, "/registry/proxy/tags?registry=quay.io&repository=a", "crane ls"),
    ] {
        let reply = admin.json(method.clone(), path, &json!({})).send().await;
        reply.refused(404, "NOT_FOUND");
        let said = message(reply);
        assert!(said.contains(instead), "{method} {path}: {said}");
    }
    // Every section that a message names is there, and so is a section that both have.
    for section in ["manifests", "uploads", "collection", "pagination", "auth"] {
        admin.get(&format!("/settings/{section}")).await.is(200);
    }
    let change = json!({ "passwordMinLength": 12 });
    let changed = admin.patch("/settings/auth", &change).await.is(200).json();
    assert_eq!(changed["values"]["password_min_length"], 12);
    let unknown = message(admin.get("/settings/nothing").await);
    assert!(unknown.contains("nothing at this path"), "{unknown}");

    let query = "/registry/proxy/catalog?registry=quay.io&username=alice&password=hunter2";
    let refused = admin.get(query).await;
    refused.refused(400, "INVALID_REQUEST");
    assert!(!message(refused).contains("hunter2") && !registry.log().contains("hunter2"));
}

#[tokio::test]
async fn a_write_by_an_alias_is_recorded_as_what_it_is() {
    let registry = registry();
    let (admin, alice) = (registry.admin(), registry.user("alice"));
    let newest = async || -> [String; 3] {
        let entry = admin.get("/audit?n=1").await.is(200).json()["items"][0].clone();
        ["actor", "action", "target"].map(|key| entry[key].as_str().unwrap().to_owned())
    };
    alice.post("/repositories", &json!({ "name": "alice/app" })).await.is(201);
    let public = json!({ "visibility": "public" });
    send(&alice.client, Method::PUT, "/api/v1/alice/app/visibility", &public).await.is(200);
    assert_eq!(newest().await, ["alice", "set_visibility", "alice/app"]);
    alice.post("/repositories/visibility", &json!({ "name": "alice/app", "private": true })).await.is(200);
    assert_eq!(newest().await, ["alice", "set_visibility_of_repository", "alice/app"]);
    alice.client.push_image("alice/app", "1.0", "x").await;
    alice.delete("/repositories/alice/app/tags/1.0").await.is(202);
    assert_eq!(newest().await, ["alice", "delete_tag", "alice/app:1.0"]);
    let groups = json!({ "username": "bob", "groups": ["developers"] });
    admin.put("/users/groups", &groups).await.is(200);
    assert_eq!(newest().await, ["admin", "set_groups_of_user", "bob"]);

    // Without a version, too.
    let of = &admin.client;
    send(of, Method::POST, "/api/groups", &json!({ "name": "tools" })).await.is(201);
    assert_eq!(newest().await, ["admin", "create_namespace", "tools"]);
    of.ask(Method::DELETE, "/api/groups/tools").send().await.is(200);
    assert_eq!(newest().await, ["admin", "delete_namespace", "tools"]);
    send(of, Method::POST, "/api/repositories", &json!({ "name": "a/b" })).await.is(201);
    assert_eq!(newest().await, ["admin", "create_repository", "a/b"]);
    of.ask(Method::DELETE, "/api/groups/a/repositories/b").send().await;
    assert_eq!(newest().await, ["admin", "delete_repository", "a/b"]);
    let login = json!({ "username": "alice", "password": "alice!" });
    let session = send(&registry.nobody().client, Method::POST, "/api/auth/login", &login).await.is(200).json();
    assert_eq!(newest().await, ["alice", "login", "alice"]);
    let bearer = registry.caller(Some(format!("Bearer {}", session["token"].as_str().unwrap())));
    send(&bearer.client, Method::POST, "/api/auth/logout", &json!({})).await.is(200);
    assert_eq!(newest().await, ["alice", "logout", "alice"]);
    // A read is no change.
    let count = async || admin.get("/audit?n=100").await.is(200).json()["items"].as_array().unwrap().len();
    let before = count().await;
    alice.get("/users/me").await.is(200);
    alice.client.get("/api/dashboard").await.is(200);
    assert_eq!(count().await, before);
}
