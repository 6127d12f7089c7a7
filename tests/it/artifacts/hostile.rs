//! What strangers could send.

use super::{create, put, registry};
use http::Method;
use serde_json::{Map, Value, json};

#[tokio::test]
async fn paths_and_versions_never_leave_their_place() {
    let registry = registry();
    let admin = registry.admin();
    create(&admin, "builds").await;
    let (long, id) = ("v".repeat(4096), format!("art-{}", "a".repeat(26)));
    for target in [
        "1.0/../../secret",
        "1.0/%2e%2e/secret",
        "1.0/a%2f..%2f..%2fsecret",
        "1.0/a%00b",
        "1.0/a%5c..%5cb",
        "1.0/%2fetc%2fpasswd",
        "1.0/a/./b",
        "1.0/e%cc%81",
        "../1.0",
        "%2e%2e/a",
        "a%2fb/a",
        ".hidden/a",
        "_facts/a",
        "latest/a",
        "-/a",
        "upload/a",
        "versions/a",
        "query/a",
        "trash/a",
        &format!("{id}/a"),
        &format!("{long}/a"),
        &format!("1.0/{long}"),
    ] {
        let refused = put(&admin, &format!("builds/-/{target}"), "x").await;
        assert!(matches!(refused.status.as_u16(), 400 | 404), "{target}: {}", refused.status);
    }
    assert_eq!(admin.get("/artifacts/builds/versions").await.is(200).json(), json!({}));
    let top: Vec<_> = std::fs::read_dir(registry.root().join("artifacts")).unwrap().collect();
    assert_eq!(top.len(), 1, "nothing was written beside the repository");
    // An empty variable of a script.
    put(&admin, "builds/-/1.0/", "x").await.refused(404, "NOT_FOUND");
    put(&admin, "builds/-//app", "x").await.refused(404, "NOT_FOUND");
}

#[tokio::test]
async fn unusual_names_are_kept_as_they_are() {
    let registry = registry();
    let admin = registry.admin();
    create(&admin, "builds").await;
    for name in ["%3cscript%3ealert(1)%3c-script%3e", "a%20b", "%c3%a4", "100%25", "...", "-rf", "a%22b;x=%27"] {
        let target = format!("/artifacts/builds/v%20{name}/{name}");
        let put = target.replace("/builds/", "/builds/-/");
        let made = admin.ask(Method::PUT, &put).body("x").send().await.is(201);
        let (location, made) = (made.header("location").to_owned(), made.json());
        let sent = admin.client.get(&location).await.is(200);
        assert!(sent.header("content-disposition").starts_with("attachment; filename=\""), "{made}");
        assert_eq!(admin.get(&target).await.is(200).body, "x");
    }
}

#[tokio::test]
async fn properties_and_metadata_are_limited() {
    let registry = registry();
    let admin = registry.admin();
    create(&admin, "builds").await;
    let made = put(&admin, "builds/-/1.0/app", "x").await.is(201).json();
    let (id, edit) =
        (made["id"].as_str().unwrap().to_owned(), |what: &str, id: &str| format!("/artifacts/builds/{id}/{what}"));
    let many = |n: usize| -> Value { (0..n).map(|i| (format!("k{i}"), json!("v"))).collect::<Map<_, _>>().into() };
    for bad in [
        many(65),
        many(10_000),
        json!({ "a": "v".repeat(1025) }),
        json!({ "a": "v".repeat(64 << 10) }),
        json!({ "a": "b\u{0}" }),
        json!({ "a": 1 }),
        json!({ "": "b" }),
        json!({ "a b": "c" }),
        json!({ "k".repeat(129): "v" }),
        json!({ "a": "e\u{301}" }),
    ] {
        admin.put(&edit("properties", &id), &bad).await.refused(400, "INVALID_REQUEST");
    }
    let edited = admin.put(&edit("properties", &id), &many(64)).await.is(200).json();
    let id = edited["id"].as_str().unwrap();
    let nested = |levels: usize| (1..levels).fold(json!({}), |inner, _| json!({ "a": inner }));
    admin.put(&edit("metadata", id), &nested(16)).await.is(200);
    admin.put(&edit("metadata", id), &nested(17)).await.refused(400, "INVALID_REQUEST");
    admin.put(&edit("metadata", id), &json!({ "a": "x".repeat(16 << 10) })).await.refused(400, "INVALID_REQUEST");
    let deep = format!("{{\"a\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
    let ask = admin.ask(Method::PUT, &edit("metadata", id)).header("content-type", "application/json").body(deep);
    ask.send().await.refused(400, "INVALID_REQUEST");
    let queries = (0..65).map(|i| format!("property.k{i}=v&")).collect::<String>();
    put(&admin, &format!("builds/-/1.0/b?{queries}"), "x").await.refused(400, "INVALID_REQUEST");
    put(&admin, "builds/-/1.0/b?property.a=1&property.a=2", "x").await.refused(400, "INVALID_REQUEST");
}
