//! Saves of the operator's files: what changes is shown first.

use super::{
    Browser,
    admin::{etag, with_groups},
    html, shows,
};
use crate::PROGRAM;
use testing::managed::Managed;

const GROUP: [(&str, &str); 3] = [("name", "ops"), ("members", "bob"), ("roles", "dev")];

#[tokio::test]
async fn a_change_is_shown_before_it_is_saved() {
    let registry = Managed::start(PROGRAM, |files| {
        with_groups(files);
        files.rules =
            serde_json::to_string_pretty(&serde_json::from_str::<serde_json::Value>(&files.rules).unwrap()).unwrap();
    });
    let (browser, before) = (Browser::of(&registry, "admin").await, registry.text("access-control.json"));
    let review = browser.post("/groups", &GROUP).await.is(200);
    assert_eq!(review.header("cache-control"), "no-store");
    let page = html(&review);
    shows(&page, &["New group “ops”", "access-control.json", "Nothing is saved yet", "Copy the diff", "Discard"]);
    shows(&page, &["<ins>    &#34;ops&#34;: {</ins>", "+++ ", "<span class=\"ln\">"]);
    assert!(!page.contains("<del>    &#34;dev&#34;"), "{page}");
    assert_eq!(registry.text("access-control.json"), before, "nothing was written");
    assert_eq!(registry.admin().get("/audit").await.json()["items"].as_array().unwrap().len(), 1, "only the login");
    let saved = browser.confirm("/groups", &page).await.is(303);
    assert_eq!(saved.header("location"), "/groups/ops?done=saved");
    assert!(registry.text("access-control.json").contains("\"ops\""));
    // A form that changes nothing in a file is saved at once.
    let user = html(&browser.get("/users/bob").await.is(200));
    let email = [("etag", &*etag(&user)), ("was_groups", "ops"), ("groups", "ops"), ("email", "bob@example.com")];
    browser.post("/users/bob", &email).await.is(303);
    shows(&html(&browser.get("/users/bob").await), &["bob@example.com"]);
}

#[tokio::test]
async fn whoever_is_overtaken_sees_the_change_again() {
    let registry = Managed::start(PROGRAM, with_groups);
    let browser = Browser::of(&registry, "admin").await;
    let first = html(&browser.post("/groups", &GROUP).await.is(200));
    browser.save("/groups", &[("name", "other")]).await.is(303);
    let overtaken = browser.confirm("/groups", &first).await.is(412);
    let page = html(&overtaken);
    shows(&page, &["Somebody else has saved in between", "class=\"diff\""]);
    assert!(!registry.text("access-control.json").contains("\"ops\""));
    browser.confirm("/groups", &page).await.is(303);
    assert!(registry.text("access-control.json").contains("\"ops\""));
    // What has been changed itself must be looked at again.
    let group = html(&browser.get("/groups/ops").await.is(200));
    let change = [("etag", &*etag(&group)), ("members", "alice"), ("roles", "dev")];
    let review = html(&browser.post("/groups/ops", &change).await.is(200));
    browser.save("/groups/ops", &[("members", ""), ("roles", "dev")]).await.is(303);
    shows(&html(&browser.confirm("/groups/ops", &review).await.is(412)), &["Somebody else has saved a change"]);
    browser.save("/groups/ops/delete", &[("confirm", "ops")]).await.is(303);
    browser.post("/groups/ops", &change).await.is(404);
}

#[tokio::test]
async fn a_read_only_file_says_why_and_gives_the_diff() {
    let registry = Managed::start(PROGRAM, |files| {
        with_groups(files);
        files.settings = "[management]\naccess_control_file = \"external\"\nhtpasswd_file = \"external\"\n".to_owned();
    });
    let (browser, before) = (Browser::of(&registry, "admin").await, registry.text("access-control.json"));
    let page = html(&browser.post("/groups", &GROUP).await.is(409));
    shows(&page, &["Read-only.", "edited elsewhere", "Copy the diff", "ops", "cannot write the file"]);
    assert!(!page.contains(">Save</button>"), "{page}");
    browser.confirm("/groups", &page).await.is(409);
    assert_eq!(registry.text("access-control.json"), before);
    // The line of a new user has to be put into the file by hand, so the hash is shown. Those of others are not.
    let user = [("username", "carol"), ("password", "quay-side crane 9")];
    let page = html(&browser.post("/users", &user).await.is(409));
    let shown = page.split("data-copy=\"").nth(1).unwrap().split('"').next().unwrap();
    assert!(shown.contains("+carol:$2") && shown.contains(" bob:(hash)"), "{shown}");
    assert_eq!(shown.matches("$2").count(), 1, "{shown}");
    assert!(!registry.text("htpasswd").contains("carol"));
}

#[tokio::test]
async fn passwords_and_hashes_are_not_shown() {
    let registry = Managed::start(PROGRAM, with_groups);
    let browser = Browser::of(&registry, "admin").await;
    let user = [("username", "carol"), ("password", "quay-side crane 9")];
    let page = html(&browser.post("/users", &user).await.is(200));
    shows(&page, &["<ins>carol:(new hash)</ins>", "alice:(hash)", "type=\"password\" value=\"quay-side crane 9\""]);
    assert!(!page.contains("$2") && page.matches("quay-side crane 9").count() == 1, "{page}");
    browser.confirm("/users", &page).await.is(303);
    Browser::new(&registry).post("/login", &user).await.is(403);
    let page = html(&browser.post("/users/bob", &[("password", "quay-side crane 8")]).await.is(200));
    shows(&page, &["<del>bob:(hash)</del>", "<ins>bob:(new hash)</ins>"]);
    browser.confirm("/users/bob", &page).await.is(303);
    assert!(registry.text("htpasswd").contains("bob:$2"));
}

#[tokio::test]
async fn only_administrators_see_the_lines_of_a_file() {
    let registry = Managed::start(PROGRAM, |files| {
        with_groups(files);
        files.rules = files.rules.replace("\"VIEW:USER\"", "\"VIEW:USER\", \"CREATE:USER\", \"UPDATE:USER\"");
    });
    let alice = Browser::of(&registry, "alice").await;
    let page = html(&alice.post("/users", &[("username", "carol"), ("password", "quay-side crane 9")]).await.is(200));
    shows(&page, &["Only administrators see the lines", "1 line added"]);
    assert!(!page.contains("bob:") && !page.contains("/conf/"), "{page}");
    alice.confirm("/users", &page).await.is(303);
    assert!(registry.text("htpasswd").contains("carol:$2"));
}

#[tokio::test]
async fn a_rule_moves_to_another_place() {
    let registry = Managed::start(PROGRAM, |files| {
        with_groups(files);
        let more = "{ \"repository\": \"first/*\", \"users\": [\"bob\"], \"permissions\": [\"pull\"] }, ";
        files.rules = files.rules.replace("\"rules\":[{", &format!("\"rules\":[{more}{{"));
        assert!(files.rules.contains("first/*"), "{}", files.rules);
    });
    let browser = Browser::of(&registry, "admin").await;
    let page = html(&browser.get("/access").await.is(200));
    let tag = etag(&page);
    for (to, status) in [("3", 400), ("x", 400), ("", 400)] {
        html(&browser.post("/access/0/move", &[("etag", &tag), ("to", to)]).await.is(status));
    }
    browser.post("/access/0/move", &[("to", "2")]).await.is(428);
    browser.save("/access/0/move", &[("etag", &tag), ("to", "2")]).await.is(303);
    let rules = registry.admin().get("/rules").await.is(200).json();
    assert_eq!(
        (&rules["items"][0]["repository"], &rules["items"][1]["repository"]),
        (&"team/**".into(), &"first/*".into())
    );
    browser.post("/access/0/move", &[("etag", &tag), ("to", "2")]).await.is(412);
}
