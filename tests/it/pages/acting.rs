//! What forms do.

use super::{Browser, html, shows};
use crate::PROGRAM;
use testing::managed::Managed;

#[tokio::test]
async fn many_tags_are_deleted_after_a_look_at_what_goes_with_them() {
    let registry = Managed::start(PROGRAM, |_| {});
    let client = registry.admin().client;
    for tag in ["1.5.0", "1.5.1", "1.6.0"] {
        client.push_image("team/app", tag, tag).await;
    }
    let (_, same) = client.push_image("team/app", "1.6.1", "1.6.0").await;
    client.put_manifest("team/app", "keep", &same).await.is(201);
    let browser = Browser::of(&registry, "admin").await;
    let chosen = [("tag", "1.5.0"), ("tag", "1.5.1"), ("tag", "1.6.0"), ("tag", "gone")];
    let page = html(&browser.post("/repositories/team/app/-/tags/delete", &chosen).await.is(200));
    shows(&page, &["Delete 3 tags", "2 manifests lose their last tag", "do not exist any more", "Keep them"]);
    assert_eq!(client.tags("team/app").await.len(), 5, "nothing is deleted yet");
    let confirmed = [("tag", "1.5.0"), ("tag", "1.5.1"), ("tag", "1.6.0"), ("confirm", "yes")];
    let done = browser.post("/repositories/team/app/-/tags/delete", &confirmed).await.is(303);
    shows(&html(&browser.get(done.header("location")).await.is(200)), &["3 tags were deleted."]);
    assert_eq!(client.tags("team/app").await, ["1.6.1", "keep"]);
    // A form without tags is refused, and so is one of somebody who may not delete.
    browser.post("/repositories/team/app/-/tags/delete", &[]).await.is(400);
    Browser::new(&registry).post("/repositories/team/app/-/tags/delete", &confirmed).await.is(401);
}

#[tokio::test]
async fn a_repository_is_created_described_and_deleted() {
    let registry = Managed::start(PROGRAM, |_| {});
    let browser = Browser::of(&registry, "admin").await;
    let form = [("name", "team/app"), ("description", "Ours"), ("visibility", "private")];
    let created = browser.post("/repositories/-/new", &form).await.is(303);
    shows(&html(&browser.get(created.header("location")).await.is(200)), &["was created", "Ours", "No tags yet"]);
    let again = browser.post("/repositories/-/new", &form).await.is(409);
    shows(&html(&again), &["exists", "value=\"team/app\"", "value=\"Ours\""]);
    let bad = browser.post("/repositories/-/new", &[("name", "UPPER")]).await.is(400);
    shows(&html(&bad), &["aria-invalid", "value=\"UPPER\""]);
    // The settings are saved only if nobody else has changed them meanwhile.
    let settings = html(&browser.get("/repositories/team/app/-/settings").await.is(200));
    let etag = settings.split("name=\"etag\" value=\"").nth(1).unwrap().split('"').next().unwrap();
    let etag = etag.replace("&#34;", "\"").replace("&quot;", "\"");
    let change = [
        ("etag", etag.as_str()),
        ("was", "private"),
        ("visibility", "public"),
        ("description", "Everybody’s"),
        ("owner", "alice"),
        ("immutable_tags", "v.*"),
    ];
    let saved = browser.post("/repositories/team/app/-/settings", &change).await.is(303);
    shows(&html(&browser.get(saved.header("location")).await.is(200)), &["Saved.", "Everybody’s", "value=\"alice\""]);
    let item = registry.admin().get("/repositories/team/app").await.is(200).json();
    assert_eq!((&item["visibility"], &item["owner"]), (&"public".into(), &"alice".into()), "{item}");
    assert_eq!(item["immutable_tags"], "v.*");
    let late = browser.post("/repositories/team/app/-/settings", &change).await.is(412);
    shows(&html(&late), &["Somebody else has saved a change"]);
    for wrong in ["", "team", "team/app2"] {
        browser.post("/repositories/team/app/-/delete", &[("confirm", wrong)]).await.is(400);
    }
    browser.post("/repositories/team/app/-/delete", &[("confirm", "team/app")]).await.is(303);
    browser.get("/repositories/team/app").await.is(404);
}

#[tokio::test]
async fn a_tag_is_added_to_what_is_there() {
    let registry = Managed::start(PROGRAM, |_| {});
    let client = registry.admin().client;
    let (digest, _) = client.push_image("app", "1.0", "a").await;
    let browser = Browser::of(&registry, "admin").await;
    let set = browser.post("/repositories/app/-/tags/set", &[("tag", "stable"), ("digest", &digest)]).await.is(303);
    shows(&html(&browser.get(set.header("location")).await.is(200)), &["The tag was set.", "same as", "1.0"]);
    browser.post("/repositories/app/-/tags/set", &[("tag", "-bad-"), ("digest", &digest)]).await.is(400);
}

#[tokio::test]
async fn a_key_is_shown_once_and_revoked() {
    let registry = Managed::start(PROGRAM, |_| {});
    let browser = Browser::of(&registry, "admin").await;
    let refused = browser.post("/profile/keys", &[("name", "ci"), ("scopes", "nonsense"), ("days", "30")]).await;
    shows(&html(&refused.is(400)), &["role=\"alert\"", "value=\"ci\"", "nonsense"]);
    let form = [("name", "ci"), ("scopes", "repository:team/**:pull\r\nrepository:x:push"), ("days", "30")];
    let made = browser.post("/profile/keys", &form).await.is(201);
    assert_eq!(made.header("cache-control"), "no-store");
    let page = html(&made);
    let secret = page.split("data-copy=\"whf_").nth(1).expect("the key").split('"').next().unwrap();
    let secret = format!("whf_{secret}");
    registry.caller(Some(format!("Bearer {secret}"))).client.get("/v2/").await.is(200);
    let listed = html(&browser.get("/profile").await.is(200));
    assert!(!listed.contains(&secret));
    shows(&listed, &["repository:team/**:pull", "repository:x:push", "in 29 days"]);
    let id = listed.split("/profile/keys/").nth(1).unwrap().split('/').next().unwrap();
    let id = if id.starts_with(|c: char| c.is_ascii_hexdigit()) { id } else { panic!("{listed}") };
    browser.post(&format!("/profile/keys/{id}/delete"), &[]).await.is(303);
    registry.caller(Some(format!("Bearer {secret}"))).client.get("/v2/").await.is(401);
}

#[tokio::test]
async fn other_sessions_end_one_by_one_or_all_at_once() {
    let registry = Managed::start(PROGRAM, |_| {});
    let (one, two) = (Browser::of(&registry, "admin").await, Browser::of(&registry, "admin").await);
    let page = html(&one.get("/profile").await.is(200));
    let other = page.split("/profile/sessions/").nth(1).unwrap().split('/').next().unwrap();
    one.post(&format!("/profile/sessions/{other}/end"), &[]).await.is(303);
    two.get("/profile").await.is(401);
    let three = Browser::of(&registry, "admin").await;
    assert_eq!(one.post("/profile/everywhere", &[]).await.is(303).header("location"), "/login");
    for browser in [&one, &three] {
        browser.get("/profile").await.is(401);
    }
}

#[tokio::test]
async fn a_read_only_registry_says_why_a_form_is_refused() {
    let registry = Managed::start(PROGRAM, |files| {
        files.settings = "[operator]\nread_only = true\nmessage = \"Moving house\"\n".to_owned();
    });
    let browser = Browser::of(&registry, "admin").await;
    shows(&html(&browser.get("/").await.is(200)), &["This registry is read-only", "Moving house"]);
    let refused = browser.post("/repositories/-/new", &[("name", "team/app")]).await.is(405);
    shows(&html(&refused), &["this registry is read-only: Moving house"]);
}

#[tokio::test]
async fn an_administrator_starts_a_check_and_a_collection() {
    let registry = Managed::start(PROGRAM, |_| {});
    let browser = Browser::of(&registry, "admin").await;
    let started = browser.post("/system/gc", &[("dry_run", "yes")]).await.is(303);
    shows(&html(&browser.get("/system?done=started").await.is(200)), &["The task was started."]);
    assert!(started.header("location").starts_with("/system"));
    let alice = Browser::new(&registry);
    alice.post("/system/gc", &[]).await.is(401);
    alice.post("/system/fsck", &[]).await.is(401);
}
