//! The list of repositories.

use super::{field, items, registry};
use serde_json::json;
use testing::{managed::Managed, session::*};

/// Repositories of alice and the administrator, one of them public, one empty.
async fn populated() -> Managed {
    let registry = registry();
    let (admin, alice) = (registry.admin(), registry.user("alice"));
    admin.client.push_image("base", "v1", "x").await;
    admin.client.push_image("secret/app", "v1", &"x".repeat(3000)).await;
    alice.client.push_image("team/app", "v1", "x").await;
    alice.client.push_image("team/app", "v2", "y").await;
    alice.client.push_image("team/app-two", "v10", "x").await;
    alice.client.push_image("team/app-two", "v9", "x").await;
    alice.post("/repositories", &json!({ "name": "alice/empty", "visibility": "public" })).await.is(201);
    let list = index(&[]);
    alice.client.put_manifest("team/list", "v1", &list).await.is(201);
    registry
}

#[tokio::test]
async fn everybody_lists_what_they_may_see() {
    let registry = populated().await;
    let all = ["alice/empty", "base", "secret/app", "team/app", "team/app-two", "team/list"];
    assert_eq!(field(&registry.admin(), "/repositories", "name").await, all);
    let of_alice = ["alice/empty", "team/app", "team/app-two", "team/list"];
    assert_eq!(field(&registry.user("alice"), "/repositories", "name").await, of_alice);
    for stranger in [registry.user("bob"), registry.nobody()] {
        assert_eq!(field(&stranger, "/repositories", "name").await, ["alice/empty"], "and nothing of others");
        assert_eq!(field(&stranger, "/repositories?q=secret", "name").await, [""; 0]);
        assert_eq!(field(&stranger, "/repositories?sort=size", "name").await, ["alice/empty"]);
    }
    assert_eq!(field(&registry.nobody(), "/repositories?owner=alice", "name").await, [""; 0], "no names for strangers");
    registry
        .user("alice")
        .put("/repositories/alice/empty/-/visibility", &json!({ "visibility": "private" }))
        .await
        .is(200);
    assert_eq!(field(&registry.nobody(), "/repositories", "name").await, [""; 0], "at once");
}

#[tokio::test]
async fn the_list_is_filtered_sorted_and_paged() {
    let registry = populated().await;
    let admin = registry.admin();
    for (query, expected) in [
        ("q=APP", "secret/app team/app team/app-two"),
        ("namespace=team", "team/app team/app-two team/list"),
        ("namespace=te", ""),
        ("visibility=public", "alice/empty"),
        ("visibility=private&namespace=team&q=two", "team/app-two"),
        ("owner=alice", "alice/empty"),
        ("owner=me", ""),
        ("kind=index", "team/list"),
        ("kind=image&namespace=team", "team/app team/app-two"),
        ("order=desc", "team/list team/app-two team/app secret/app base alice/empty"),
        ("sort=size&q=app", "secret/app team/app team/app-two"),
        ("sort=tags&order=desc&namespace=team", "team/app-two team/app team/list"),
        ("sort=pushed&namespace=team", "team/list team/app-two team/app"),
    ] {
        assert_eq!(field(&admin, &format!("/repositories?{query}"), "name").await.join(" "), expected, "{query}");
        let (mut paged, mut next) = (Vec::new(), Some(format!("/api/v1/repositories?{query}&n=1")));
        while let Some(target) = next {
            let page = admin.client.get(&target).await.is(200);
            let json = page.json();
            assert!(json["items"].as_array().unwrap().len() <= 1);
            paged.extend(json["items"][0]["name"].as_str().map(str::to_owned));
            next = page.next().map(str::to_owned);
        }
        assert_eq!(paged.join(" "), expected, "{query} in pages");
    }
    for query in
        ["sort=colour", "visibility=secret", "kind=song", "namespace=A", "namespace=a/b", "sort=size&last=x", "n=-1"]
    {
        assert_eq!(admin.get(&format!("/repositories?{query}")).await.status, 400, "{query}");
    }
}

#[tokio::test]
async fn an_item_counts_what_the_repository_holds() {
    let registry = populated().await;
    let alice = registry.user("alice");
    alice.client.read("/v2/team/app/manifests/v1").await;
    let item = &items(&alice, "/repositories?q=app&include=tags,pulls").await[0];
    assert_eq!((&item["tag_count"], &item["manifest_count"], &item["blob_count"]), (&json!(2), &json!(2), &json!(4)));
    assert_eq!((&item["tags"], &item["owner"]), (&json!(["v1", "v2"]), &json!(null)));
    assert!(item["size"].as_u64().unwrap() > 100 && item["last_pushed_at"].is_string(), "{item}");
    assert!(item["last_pulled_at"].is_string() && item["updated_at"].is_string(), "{item}");
    let two = &items(&alice, "/repositories?q=two&include=tags").await[0];
    assert_eq!((&two["tags"], &two["last_pulled_at"]), (&json!(["v9", "v10"]), &json!(null)), "in natural order");
    assert!(two.get("path").is_none());
    let shown = registry.admin().get("/repositories/team/app").await.is(200).json();
    assert_eq!(shown["path"], "repositories/team/app");
}
