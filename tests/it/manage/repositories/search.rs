//! Search over what the caller may see.

use super::{items, registry};
use serde_json::{Value, json};

#[tokio::test]
async fn repositories_tags_and_digests_are_found_among_what_is_visible() {
    let registry = registry();
    let (admin, alice) = (registry.admin(), registry.user("alice"));
    admin.client.push_image("secret/app", "stable", "x").await;
    let (digest, _) = alice.client.push_image("team/app", "stable", "x").await;
    alice.client.push_image("team/other", "v1", "y").await;
    let found = async |query: &str| -> Vec<(String, String, Value)> {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let items = items(&alice, &format!("/search?{query}")).await;
        items.iter().map(|item| (text(&item["kind"]), text(&item["repository"]), item["tag"].clone())).collect()
    };
    let result = |kind: &str, repository: &str, tag: Value| (kind.to_owned(), repository.to_owned(), tag);
    assert_eq!(found("q=app").await, [result("repository", "team/app", Value::Null)]);
    assert_eq!(found("q=STABLE").await, []);
    assert_eq!(found("q=stable").await, [result("tag", "team/app", json!("stable"))]);
    assert_eq!(found(&format!("q={digest}")).await, [result("digest", "team/app", Value::Null)]);
    assert_eq!(found(&format!("q={}", &digest[7..13])).await, [result("digest", "team/app", Value::Null)]);
    assert_eq!(found(&format!("q={}&kind=tag", &digest[7..13])).await, []);
    assert_eq!(found(&format!("q={}", &digest[7..12])).await, [], "too short to be a digest");
    assert_eq!(found("q=secret").await, []);
    let admins = items(&admin, "/search?q=stable&n=1").await;
    assert_eq!(admins[0]["repository"], "secret/app");
    let page = admin.get("/search?q=stable&n=1").await.is(200);
    let next = admin.client.get(page.next().unwrap()).await.is(200).json();
    assert_eq!(next["items"][0]["repository"], "team/app");
    assert_eq!(items(&registry.nobody(), "/search?q=app").await, [] as [Value; 0]);
    alice.get("/search").await.refused(400, "INVALID_REQUEST");
    alice.get("/search?q=a&kind=song").await.refused(400, "INVALID_REQUEST");
}
