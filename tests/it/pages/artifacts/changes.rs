//! What the pages of artifacts change.

use super::{
    super::{Browser, html, shows},
    create, hidden, registry, text, upload,
};
use serde_json::json;

#[tokio::test]
async fn an_artifact_is_edited_moved_deleted_and_restored() {
    let registry = registry();
    let (browser, alice) = (Browser::of(&registry, "alice").await, registry.user("alice"));
    create(&alice, "ci-app", true).await;
    upload(&alice, "ci-app/-/1.0/bin/app?property.os=linux", "linux").await;
    let other = upload(&alice, "ci-app/-/1.0/bin/app?property.os=windows", "windows").await;
    let at = format!("/artifacts/ci-app/-/files/1.0/bin/app?id={}", text(&other, "id"));
    let page = html(&browser.get(&at).await.is(200));
    shows(
        &page,
        &["2 files have this version and path", "os=windows", "os=linux", &format!("query?id={}", text(&other, "id"))],
    );
    let form = |what: &str| format!("/artifacts/ci-app/-/{what}/1.0/bin/app");
    let (id, etag) = (hidden(&page, &form("properties"), "id"), hidden(&page, &form("properties"), "etag"));
    assert_eq!(id, text(&other, "id"));

    let send = async |what: &str, etag: &str, field: (&str, &str)| {
        browser
            .post(
                &form(what),
                &[
                    ("id", id.as_str()),
                    ("etag", etag),
                    field,
                    ("version", "2.0"),
                    ("path", "app.exe"),
                    ("name", "a.exe"),
                ],
            )
            .await
    };
    for (what, field, typed, why) in [
        ("properties", ("properties", "os=windows\nnonsense<"), "nonsense&#60;", "Line 2 is not written as key=value"),
        ("properties", ("properties", "-bad=1"), "-bad=1", "-bad"),
        ("metadata", ("metadata", "[1]"), "[1]", "Is not a JSON object"),
    ] {
        let page = html(&send(what, &etag, field).await.is(400));
        shows(&page, &[typed, why, "role=\"alert\"", "<details class=\"fold\" open>"]);
    }
    let taken = html(&send("properties", &etag, ("properties", "os=linux")).await.is(409));
    shows(&taken, &["role=\"alert\"", "os=linux"]);
    let stale = html(&send("metadata", "0000", ("metadata", "{}")).await.is(412));
    shows(&stale, &["Somebody else has saved a change"]);

    let saved = send("metadata", &etag, ("metadata", "{\"compiler\": \"rustc <1.91>\"}")).await.is(303);
    let page = html(&browser.get(saved.header("location")).await.is(200));
    shows(&page, &["Saved.", "rustc &#60;1.91&#62;"]);
    let etag = hidden(&page, &form("rename"), "etag");
    let saved = send("rename", &etag, ("x", "")).await.is(303);
    let moved = saved.header("location");
    assert!(moved.starts_with("/artifacts/ci-app/-/files/2.0/app.exe?id=art-"), "{moved}");
    let page = html(&browser.get(moved).await.is(200));
    shows(&page, &["<h1><bdi>a.exe</bdi></h1>", "version <bdi>2.0</bdi>"]);
    // The old address is that of the other one.
    browser.get(&at).await.is(404);

    let delete = "/artifacts/ci-app/-/remove/2.0/app.exe";
    let fields = [("id", hidden(&page, delete, "id")), ("etag", hidden(&page, delete, "etag"))];
    let fields = fields.each_ref().map(|(name, value)| (*name, value.as_str()));
    let deleted = browser.post(delete, &fields).await.is(303);
    shows(&html(&browser.get(deleted.header("location")).await.is(200)), &["The file was moved to the trash."]);
    browser.get(moved).await.is(404);
    let page = html(&browser.get("/artifacts/ci-app/-/trash").await.is(200));
    shows(&page, &["app.exe", "by <bdi>alice</bdi>", "in 2 days"]);
    let restore = format!("/artifacts/ci-app/-/restore/{}", fields[0].1);
    let restored = browser.post(&restore, &[]).await.is(303);
    shows(&html(&browser.get(restored.header("location")).await.is(200)), &["The file was restored."]);
    shows(&html(&browser.get("/artifacts/ci-app/-/trash").await.is(200)), &["The trash is empty"]);
    browser.post(&restore, &[]).await.is(404);
}

#[tokio::test]
async fn retention_is_tried_before_it_is_saved() {
    let registry = registry();
    let (browser, alice) = (Browser::of(&registry, "alice").await, registry.user("alice"));
    create(&alice, "ci-app", true).await;
    for version in ["1.0", "1.1", "1.2"] {
        upload(&alice, &format!("ci-app/-/{version}/app"), version).await;
    }
    let at = "/artifacts/ci-app/-/retention";
    let page = html(&browser.get(at).await.is(200));
    shows(&page, &["would move nothing on this page", "Retention is off", "within every limit"]);
    let etag = hidden(&page, at, "etag");
    let preview = html(&browser.get(&format!("{at}?preview=yes&max_versions=1&keep=version%3D1.0")).await.is(200));
    shows(&preview, &["Nothing is saved yet.", "would move 1 of these", "value=\"1\"", ">\nversion=1.0</textarea>"]);
    assert_eq!(alice.get("/artifacts/repos/ci-app").await.json().get("retention"), None);
    for (key, value, why) in
        [("max_versions", "many", "Is not a number"), ("keep", "=", "keep"), ("group_by", "colour", "colour")]
    {
        let _ = why;
        let page = html(&browser.post(at, &[("etag", etag.as_str()), (key, value)]).await.is(400));
        shows(&page, &[value, "role=\"alert\""]);
        browser.get(&format!("{at}?preview=yes&{key}={value}")).await.is(400);
    }
    browser.post(at, &[("etag", "0000"), ("max_versions", "2")]).await.is(412);
    let rules = [("etag", etag.as_str()), ("enabled", "yes"), ("max_versions", "2"), ("max_total_size", "1 GiB")];
    browser.post(at, &rules).await.is(303);
    let item = alice.get("/artifacts/repos/ci-app").await.json();
    assert_eq!(item["retention"], json!({ "enabled": true, "max_versions": 2, "max_total_size": 1 << 30 }));
    let page = html(&browser.get(at).await.is(200));
    shows(
        &page,
        &["yes, after uploads and once an hour", "1.0 GiB", "value=\"yes\" selected", "would move 1 of these"],
    );
    let etag = hidden(&page, at, "etag");
    browser.post(at, &[("etag", etag.as_str()), ("enabled", "")]).await.is(303);
    assert_eq!(alice.get("/artifacts/repos/ci-app").await.json().get("retention"), None);
}

#[tokio::test]
async fn a_repository_is_changed_and_deleted_by_those_who_own_it() {
    let registry = registry();
    let (browser, alice) = (Browser::of(&registry, "alice").await, registry.user("alice"));
    create(&alice, "ci-app", true).await;
    let at = "/artifacts/ci-app/-/settings";
    let etag = hidden(&html(&browser.get(at).await.is(200)), at, "etag");
    let long = "x".repeat(5000);
    let form = [("etag", etag.as_str()), ("description", long.as_str()), ("owner", "alice"), ("visibility", "public")];
    let page = html(&browser.post(at, &form).await.is(400));
    shows(&page, &[&long, "id=\"ds-why\"", "value=\"public\" checked"]);
    let form = [("etag", etag.as_str()), ("description", "Ours"), ("owner", "alice"), ("visibility", "public")];
    browser.post(at, &form).await.is(303);
    let item = alice.get("/artifacts/repos/ci-app").await.json();
    assert_eq!(
        (&item["description"], &item["private"], &item["owner"]),
        (&json!("Ours"), &json!(false), &json!("alice"))
    );
    let page = html(&browser.post(at, &form).await.is(412));
    shows(&page, &["Somebody else has saved a change"]);
    let delete = "/artifacts/ci-app/-/delete";
    let page = html(&browser.post(delete, &[("confirm", "ci-ap")]).await.is(400));
    shows(&page, &["value=\"ci-ap\"", "This is not the repository"]);
    let gone = browser.post(delete, &[("confirm", "ci-app")]).await.is(303);
    assert_eq!(gone.header("location"), "/artifacts?done=repository-deleted");
    browser.get(at).await.is(404);
}

#[tokio::test]
async fn several_files_are_deleted_after_one_question() {
    let registry = registry();
    let (browser, alice) = (Browser::of(&registry, "alice").await, registry.user("alice"));
    create(&alice, "ci-app", true).await;
    let mut ids = Vec::new();
    for path in ["a", "b", "c"] {
        let made = upload(&alice, &format!("ci-app/-/1.0/{path}?property.os=linux"), path).await;
        ids.push(text(&made, "id").to_owned());
    }
    // Both the directory and the search offer it to those who may.
    for at in ["/artifacts/ci-app/-/versions/1.0", "/artifacts/ci-app/-/search"] {
        shows(&html(&browser.get(at).await.is(200)), &["formaction=\"/artifacts/ci-app/-/delete-files\""]);
    }
    let at = "/artifacts/ci-app/-/delete-files";
    let question = html(&browser.get(&format!("{at}?id={}&id={}", ids[0], ids[1])).await.is(200));
    shows(&question, &["Delete 2 files", "1.0/a", "1.0/b", "os=linux", "They go to the trash, 2 B in all"]);
    assert!(!question.contains("1.0/c"), "{question}");
    assert_eq!(alice.get("/artifacts/ci-app/versions").await.json()["1.0"].as_array().unwrap().len(), 3);
    browser.get(at).await.is(400);
    browser.get(&format!("{at}?id=nothing")).await.is(404);
    // One was deleted by somebody else before.
    assert!(alice.delete(&format!("/artifacts/ci-app/{}", ids[0])).await.status.is_success());
    let question = html(&browser.get(&format!("{at}?id={}&id={}", ids[0], ids[1])).await.is(200));
    shows(&question, &["Delete 1 file", "1 file does not exist any more"]);
    let done = browser.post(at, &[("id", ids[0].as_str()), ("id", &ids[1])]).await.is(303);
    shows(&html(&browser.get(done.header("location")).await.is(200)), &["1 file was moved to the trash."]);
    let left = alice.get("/artifacts/ci-app/versions").await.json();
    assert_eq!(left["1.0"][0]["path"], "c");
    assert_eq!(alice.get("/artifacts/ci-app/trash").await.json()["items"].as_array().unwrap().len(), 2);
    // Bob does not see it, and another site's form does nothing.
    let bob = Browser::of(&registry, "bob").await;
    bob.get(&format!("{at}?id={}", ids[2])).await.is(404);
    browser.post_from("cross-site", at, &[("id", ids[2].as_str())]).await.is(403);
    assert_eq!(alice.get("/artifacts/ci-app/versions").await.json()["1.0"].as_array().unwrap().len(), 1);
}
