//! The paths below `/api` without a version: a registry whose namespaces are called groups.

use super::{replaced_by, send};
use crate::PROGRAM;
use http::Method;
use serde_json::json;
use testing::{managed::Managed, session::Client};

/// A registry where only groups that exist can be pushed to.
fn strict() -> Managed {
    Managed::start(PROGRAM, |files| {
        files.settings = "[repositories]\nauto_create = \"in_namespaces\"\n".to_owned();
        files.rules = json!({
            "defaultPolicy": "deny",
            "adminUsers": ["admin"],
            "rules": [{ "repository": "yourgroup/**", "users": ["alice"], "permissions": ["pull", "push"] }],
        })
        .to_string();
    })
}

/// Logs in as the page does; returns the client with its token.
async fn logged_in(registry: &Managed) -> Client {
    let anonymous = registry.nobody().client;
    let login = json!({ "username": "admin", "password": "admin!" });
    let reply = send(&anonymous, Method::POST, "/api/auth/login", &login).await.is(200);
    replaced_by(&reply, "/api/v1/auth/login");
    let answer = reply.json();
    assert_eq!((&answer["success"], &answer["message"]), (&json!(true), &json!("done")));
    assert_eq!((&answer["user"]["username"], &answer["user"]["role"]), (&json!("admin"), &json!("admin")));
    anonymous.authorized(format!("Bearer {}", answer["token"].as_str().unwrap()))
}

#[tokio::test]
async fn a_page_logs_in_asks_who_it_is_and_logs_out() {
    let registry = strict();
    let page = logged_in(&registry).await;
    let me = page.get("/api/auth/me").await.is(200);
    replaced_by(&me, "/api/v1/auth/me");
    let me = me.json();
    assert_eq!((&me["id"], &me["username"], &me["role"]), (&json!("admin"), &json!("admin"), &json!("admin")));
    let out = send(&page, Method::POST, "/api/auth/logout", &json!({})).await.is(200);
    assert_eq!(out.json(), json!({ "success": true, "message": "done" }));
    page.get("/api/auth/me").await.refused(401, "UNAUTHORIZED");

    let wrong = json!({ "username": "admin", "password": "guessed" });
    let refused = send(&registry.nobody().client, Method::POST, "/api/auth/login", &wrong).await;
    let answer = refused.json();
    assert_eq!((&answer["success"], answer["message"].is_string()), (&json!(false), true), "{answer}");
    refused.refused(401, "UNAUTHORIZED");
}

#[tokio::test]
async fn a_group_is_created_filled_looked_at_and_emptied() {
    let registry = strict();
    let (page, alice) = (logged_in(&registry).await, registry.user("alice").client);
    alice.post("/v2/yourgroup/nginx/blobs/uploads/", "").await.refused(403, "DENIED");
    let created = send(&page, Method::POST, "/api/groups", &json!({ "name": "yourgroup" })).await.is(201);
    replaced_by(&created, "/api/v1/namespaces");
    assert_eq!((&created.json()["success"], &created.json()["name"]), (&json!(true), &json!("yourgroup")));
    send(&page, Method::POST, "/api/groups", &json!({ "name": "yourgroup" })).await.refused(409, "NAME_TAKEN");
    alice.push_image("yourgroup/nginx", "latest", "x").await;

    let groups = page.get("/api/groups").await.is(200).json();
    assert_eq!((&groups["groups"][0]["name"], &groups["groups"][0]["repositories"]), (&json!("yourgroup"), &json!(1)));
    let reply = page.get("/api/groups/yourgroup/repositories").await.is(200);
    replaced_by(&reply, "/api/v1/repositories");
    let repositories = reply.json();
    let nginx = &repositories["repositories"][0];
    assert_eq!((&nginx["name"], &nginx["tags"]), (&json!("yourgroup/nginx"), &json!(["latest"])));
    assert_eq!(page.get("/api/groups/other/repositories").await.is(200).json()["repositories"], json!([]));
    let tags = page.get("/api/groups/yourgroup/repositories/nginx/tags").await.is(200);
    replaced_by(&tags, "/api/v1/repositories/yourgroup/nginx/-/tags");
    assert_eq!(tags.json()["tags"][0]["name"], "latest");

    let dashboard = page.get("/api/dashboard").await.is(200).json();
    let counted = (&dashboard["total_images"], &dashboard["total_groups"], dashboard["total_size"].as_u64() > Some(0));
    assert_eq!(counted, (&json!(1), &json!(1), true), "{dashboard}");
    assert_eq!(dashboard["groups"][0]["name"], "yourgroup");
    let usage = page.get("/api/ftp/usage").await.is(200).json();
    assert!(usage["used_size"].as_u64() <= usage["total_size"].as_u64() && usage["usage_percent"].is_u64(), "{usage}");

    page.delete("/api/groups/yourgroup").await.refused(409, "IN_USE");
    let deleted = page.delete("/api/groups/yourgroup/repositories/nginx/tags/latest").await.is(202).json();
    assert_eq!((&deleted["success"], &deleted["deleted"]), (&json!(true), &json!(["latest"])));
    page.delete("/api/groups/yourgroup/repositories/nginx").await.is(202);
    assert_eq!(page.delete("/api/groups/yourgroup").await.is(200).json()["success"], true);
}

#[tokio::test]
async fn repositories_are_listed_created_and_deleted_and_so_are_their_tags() {
    let registry = strict();
    let (page, alice) = (logged_in(&registry).await, registry.user("alice").client);
    send(&page, Method::POST, "/api/groups", &json!({ "name": "yourgroup" })).await.is(201);
    let created = send(&page, Method::POST, "/api/repositories", &json!({ "name": "yourgroup/nginx" })).await.is(201);
    replaced_by(&created, "/api/v1/repositories");
    assert_eq!((&created.json()["success"], &created.json()["name"]), (&json!(true), &json!("yourgroup/nginx")));
    alice.push_image("yourgroup/nginx", "1.0", "x").await;
    alice.push_image("yourgroup/nginx", "2.0", "y").await;
    let listed = page.get("/api/repositories").await.is(200).json();
    assert_eq!(listed["repositories"][0]["tags"], json!(["1.0", "2.0"]));
    let deleted = page.delete("/api/repositories/yourgroup/nginx/tags/1.0").await.is(202);
    replaced_by(&deleted, "/api/v1/repositories/yourgroup/nginx/-/tags/1.0");
    assert_eq!(alice.tags("yourgroup/nginx").await, ["2.0"]);
    // An empty variable deletes nothing.
    page.delete("/api/repositories/yourgroup/nginx/tags/").await.refused(404, "NOT_FOUND");
    // The same rights as by the other path.
    alice.delete("/api/repositories/yourgroup/nginx").await.refused(403, "DENIED");
    registry.user("bob").client.delete("/api/repositories/yourgroup/nginx").await.refused(404, "NOT_FOUND");
    let deleted = page.delete("/api/repositories/yourgroup/nginx").await.is(202).json();
    assert_eq!((&deleted["success"], &deleted["tags"]), (&json!(true), &json!(1)));
    alice.get("/v2/yourgroup/nginx/tags/list").await.refused(404, "NAME_UNKNOWN");
}
