//! Repositories of artifacts: create, list, show, change, delete.

use super::{create, put, registry, stored};
use serde_json::json;

#[tokio::test]
async fn a_repository_is_created_listed_shown_and_changed() {
    let registry = registry();
    let (alice, admin) = (registry.user("alice"), registry.admin());
    let asked = json!({ "name": "ci-nightly", "description": "every night" });
    let made = alice.post("/artifacts/repos", &asked).await.is(201);
    assert_eq!(made.header("location"), "/api/v1/artifacts/repos/ci-nightly");
    let made = made.json();
    for (field, value) in [
        ("name", json!("ci-nightly")),
        ("description", json!("every night")),
        ("owner", json!("alice")),
        ("private", json!(true)),
        ("artifact_count", json!(0)),
        ("size", json!(0)),
    ] {
        assert_eq!(made[field], value, "{field}");
    }
    alice.post("/artifacts/repos", &asked).await.refused(409, "NAME_TAKEN");
    stored(&alice, "ci-nightly/-/1.0/a", "one").await;
    stored(&alice, "ci-nightly/-/1.1/a", "four").await;
    let shown = alice.get("/artifacts/repos/ci-nightly").await.is(200);
    let (etag, shown) = (shown.header("etag").trim_matches('"').to_owned(), shown.json());
    assert_eq!((&shown["artifact_count"], &shown["version_count"], &shown["size"]), (&json!(2), &json!(2), &json!(7)));
    let listed = alice.get("/artifacts/repos?q=night").await.is(200).json();
    assert_eq!(listed["items"], json!([shown]));
    let change = json!({ "private": false, "description": null });
    let changed =
        alice.write_if(http::Method::PATCH, "/artifacts/repos/ci-nightly", &etag, &change).await.is(200).json();
    assert_eq!((&changed["private"], &changed["description"]), (&json!(false), &json!(null)));
    alice
        .write_if(http::Method::PATCH, "/artifacts/repos/ci-nightly", &etag, &change)
        .await
        .refused(412, "PRECONDITION_FAILED");
    admin.patch("/artifacts/repos/ci-nightly", &json!({ "owner": "bob" })).await.is(200);
    // The role of alice has no UPDATE:REPO, and she owns it no longer.
    alice.patch("/artifacts/repos/ci-nightly", &change).await.refused(403, "DENIED");
    registry.user("bob").patch("/artifacts/repos/ci-nightly", &change).await.is(200);
    admin.patch("/artifacts/repos/absent", &change).await.refused(404, "NOT_FOUND");
    admin.patch("/artifacts/repos/ci-nightly", &json!({ "colour": 1 })).await.refused(400, "INVALID_REQUEST");
}

#[tokio::test]
async fn pages_of_the_list_continue_after_a_name() {
    let registry = registry();
    let admin = registry.admin();
    for name in ["a", "b", "c"] {
        create(&admin, name).await;
    }
    let names = |reply: testing::session::Reply| -> Vec<String> {
        let items = reply.json()["items"].clone();
        items.as_array().unwrap().iter().map(|item| item["name"].as_str().unwrap().to_owned()).collect()
    };
    let first = admin.get("/artifacts/repos?n=2").await.is(200);
    assert_eq!(first.next(), Some("/api/v1/artifacts/repos?n=2&last=b"));
    assert_eq!(names(first), ["a", "b"]);
    assert_eq!(names(admin.get("/artifacts/repos?n=2&last=b").await.is(200)), ["c"]);
}

#[tokio::test]
async fn a_deleted_repository_is_gone_and_its_name_is_not_free_before_it_is_removed_for_good() {
    let registry = registry();
    let admin = registry.admin();
    create(&admin, "builds").await;
    stored(&admin, "builds/-/1.0/a", "one").await;
    admin.delete("/artifacts/repos/builds?confirm=other").await.refused(400, "INVALID_REQUEST");
    admin.delete("/artifacts/repos/builds?confirm=builds").await.is(204);
    for path in ["/artifacts/repos/builds", "/artifacts/builds/1.0/a", "/artifacts/builds/versions"] {
        admin.get(path).await.refused(404, "NOT_FOUND");
    }
    put(&admin, "builds/-/1.0/a", "one").await.refused(404, "NOT_FOUND");
    admin.post("/artifacts/repos", &json!({ "name": "builds" })).await.refused(409, "NAME_TAKEN");
    admin.delete("/artifacts/repos/builds").await.refused(404, "NOT_FOUND");
    create(&admin, "other").await;
    stored(&admin, "other/-/1.0/a", "one").await;
    admin.delete("/artifacts/repos/other?purge").await.is(204);
    create(&admin, "other").await;
    assert_eq!(admin.get("/artifacts/other/versions").await.is(200).json(), json!({}));
}

#[tokio::test]
async fn names_are_one_segment_that_the_api_does_not_use() {
    let registry = registry();
    let long = "a".repeat(129);
    for name in ["", "a/b", "A", "..", "repos", "search", "-", "_facts", "a\u{0}", long.as_str()] {
        let refused = registry.admin().post("/artifacts/repos", &json!({ "name": name })).await;
        assert_eq!(refused.status, 400, "{name:?}");
    }
    create(&registry.admin(), &long[1..]).await;
}
