//! Copies into other repositories, and namespaces.

use super::{Browser, html, shows};
use crate::PROGRAM;
use serde_json::json;
use testing::managed::Managed;

fn registry(settings: &str) -> Managed {
    Managed::start(PROGRAM, |files| {
        files.settings = settings.to_owned();
        files.rules = json!({
            "adminUsers": ["admin"],
            "rules": [{ "repository": "team/**", "users": ["alice"], "permissions": ["pull", "push", "delete"] }],
            "groups": { "people": { "members": ["alice"], "roles": ["people"] } },
            "roles": { "people": { "permissions": ["LOGIN:WEBUI"] } },
        })
        .to_string();
    })
}

#[tokio::test]
async fn tags_are_copied_into_another_repository() {
    let registry = registry("# Ours.\n");
    let client = registry.admin().client;
    for tag in ["1.0", "1.1"] {
        client.push_image("team/app", tag, tag).await;
    }
    let alice = Browser::of(&registry, "alice").await;
    shows(
        &html(&alice.get("/repositories/team/app").await),
        &["formaction=\"/repositories/team/app/-/copy\"", "Copy…"],
    );
    shows(&html(&alice.get("/repositories/team/app/-/manifests/1.0").await), &["/-/copy?tag=1.0"]);
    let form = html(&alice.get("/repositories/team/app/-/copy?tag=1.0&tag=1.1").await.is(200));
    shows(&form, &["Copy 2 tags", "name=\"tag\" value=\"1.0\"", "name=\"tag\" value=\"1.1\"", "name=\"to\""]);
    shows(&html(&alice.get("/repositories/team/app/-/copy").await.is(200)), &["No tag is selected"]);
    let asked = |to: &'static str| [("tag", "1.0"), ("tag", "1.1"), ("to", to), ("referrers", "yes")];
    let done = alice.post("/repositories/team/app/-/copy", &asked("team/mirror")).await.is(303);
    shows(&html(&alice.get(done.header("location")).await.is(200)), &["2 tags were copied.", "1.1"]);
    assert_eq!(client.tags("team/mirror").await, ["1.0", "1.1"]);
    // What is refused shows the form again, with what was typed.
    for (to, status) in [("other/app", 404), ("UPPER", 400), ("", 400)] {
        let refused = html(&alice.post("/repositories/team/app/-/copy", &asked(to)).await.is(status));
        shows(&refused, &["role=\"alert\"", "name=\"tag\" value=\"1.1\"", &format!("name=\"to\" value=\"{to}\"")]);
    }
    let gone = [("tag", "9.9"), ("to", "team/mirror")];
    html(&alice.post("/repositories/team/app/-/copy", &gone).await.is(404));
    alice.post("/repositories/team/app/-/copy", &[("to", "team/mirror")]).await.is(400);
    client.push_image("secret/app", "1.0", "x").await;
    html(&alice.post("/repositories/secret/app/-/copy", &asked("team/mirror")).await.is(404));
    Browser::new(&registry).post("/repositories/team/app/-/copy", &asked("team/mirror")).await.is(401);
}

#[tokio::test]
async fn a_namespace_is_created_where_pushes_create_none_and_deleted_when_it_is_empty() {
    let registry = registry("[repositories]\nauto_create = \"in_namespaces\"\n");
    let (admin, alice) = (Browser::of(&registry, "admin").await, Browser::of(&registry, "alice").await);
    shows(&html(&admin.get("/namespaces").await.is(200)), &["must exist before", "New namespace"]);
    let refused = html(&alice.post("/namespaces", &[("name", "team")]).await.is(403));
    shows(&refused, &["role=\"alert\"", "value=\"team\""]);
    shows(
        &html(&admin.post("/namespaces", &[("name", "UPPER")]).await.is(400)),
        &["role=\"alert\"", "value=\"UPPER\""],
    );
    let made = admin.post("/namespaces", &[("name", "team")]).await.is(303);
    let page = html(&admin.get(made.header("location")).await.is(200));
    shows(&page, &["The namespace was created.", "Nothing is in it yet", "Delete namespace", "/team/NAME:TAG"]);
    shows(&html(&admin.post("/namespaces", &[("name", "team")]).await.is(409)), &["exists already"]);
    registry.user("alice").client.push_image("team/app", "1.0", "a").await;
    let page = html(&admin.get("/namespaces/team").await.is(200));
    shows(&page, &["/repositories/team/app", "Delete its repositories first"]);
    html(&admin.post("/namespaces/team/delete", &[]).await.is(409));
    shows(&html(&admin.get("/namespaces").await.is(200)), &["href=\"/namespaces/team\""]);
    admin.post("/repositories/team/app/-/delete", &[("confirm", "team/app")]).await.is(303);
    html(&alice.post("/namespaces/team/delete", &[]).await.is(403));
    let gone = admin.post("/namespaces/team/delete", &[]).await.is(303);
    shows(&html(&admin.get(gone.header("location")).await.is(200)), &["The namespace was deleted."]);
    html(&admin.get("/namespaces/team").await.is(404));
    Browser::new(&registry).post("/namespaces", &[("name", "team")]).await.is(401);
}
