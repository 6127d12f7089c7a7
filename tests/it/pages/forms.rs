//! A form that is refused is shown again, with what was typed and the reason beside the field.

use super::{Browser, html, shows};
use crate::PROGRAM;
use testing::managed::Managed;

fn registry() -> Managed {
    Managed::start(PROGRAM, |files| {
        files.rules = serde_json::json!({
            "defaultPolicy": "deny",
            "adminUsers": ["admin"],
            "rules": [{ "repository": "team/**", "users": ["@dev"], "permissions": ["pull"] }],
            "groups": { "dev": { "description": "Developers", "members": ["alice"], "roles": ["ops"] } },
            "roles": { "ops": { "permissions": ["VIEW:USER"], "repositories": ["team/**"] } },
        })
        .to_string();
    })
}

/// The form of a page that sends to this path.
fn form<'p>(page: &'p str, path: &str) -> &'p str {
    let form = page
        .split(&format!("method=\"post\" action=\"{path}\""))
        .nth(1)
        .unwrap_or_else(|| panic!("no form {path} in {page}"));
    form.split("</form>").next().unwrap()
}

/// Checks that a refused form has what was typed, and says what is wrong beside the field with this ID.
#[track_caller]
fn refuses(form: &str, typed: &[&str], field: &str, reason: &str) {
    shows(form, typed);
    shows(form, &[&format!("aria-invalid=\"true\" aria-describedby=\"{field}-why\""), "role=\"alert\"", reason]);
    let (_, after) = form.split_once(&format!("id=\"{field}-why\"")).unwrap();
    let why = after.split("</span>").next().unwrap();
    assert!(why.contains(reason), "{why} has not {reason}");
}

#[tokio::test]
async fn groups_and_roles_keep_what_was_typed() {
    let registry = registry();
    let browser = Browser::of(&registry, "admin").await;
    let before = registry.text("access-control.json");
    let new = [("name", "qa"), ("description", "Test<ers>"), ("members", "alice bob"), ("roles", "opz")];
    let page = html(&browser.post("/groups", &new).await.is(400));
    let typed = ["value=\"qa\"", "value=\"Test&#60;ers&#62;\"", "value=\"alice bob\"", "value=\"opz\""];
    refuses(form(&page, "/groups"), &typed, "gr", "opz");
    shows(form(&page, "/groups"), &["Did you mean “ops”?"]);
    let taken = [("name", "dev"), ("description", "again")];
    let page = html(&browser.post("/groups", &taken).await.is(409));
    shows(form(&page, "/groups"), &["exists already", "value=\"again\"", "role=\"alert\""]);
    let change = [("description", "new words"), ("members", "alice\nbob"), ("roles", "ops opz")];
    let page = html(&browser.post("/groups/dev", &change).await.is(400));
    refuses(form(&page, "/groups/dev"), &["value=\"new words\"", "alice\nbob", "value=\"ops opz\""], "gr", "opz");
    let page = html(&browser.post("/groups/dev/delete", &[("confirm", "dve")]).await.is(400));
    refuses(form(&page, "/groups/dev/delete"), &["value=\"dve\""], "cf", "This is not");
    shows(form(&page, "/groups/dev"), &["value=\"Developers\""]);

    let page = html(&browser.post("/roles", &[("name", "ops"), ("description", "mine")]).await.is(409));
    shows(form(&page, "/roles"), &["value=\"ops\"", "value=\"mine\"", "role=\"alert\"", "exists already"]);
    let role = [("permission", "PULL:IMAGE"), ("repositories", "team/**\n[bad"), ("description", "new")];
    let page = html(&browser.post("/roles/ops", &role).await.is(400));
    let shown = form(&page, "/roles/ops");
    refuses(shown, &["[bad", "value=\"new\""], "rr", "[bad");
    let checked = |permission: &str| {
        shown.split(&format!("value=\"{permission}\"")).nth(1).unwrap().split('>').next().unwrap().contains("checked")
    };
    assert!(checked("PULL:IMAGE") && !checked("VIEW:USER"), "{shown}");
    assert_eq!(registry.text("access-control.json"), before);
}

#[tokio::test]
async fn users_keep_everything_but_passwords() {
    let registry = registry();
    let browser = Browser::of(&registry, "admin").await;
    let new = [("username", "carol"), ("password", "short-7d1"), ("groups", "dev"), ("email", "carol@example.com")];
    let page = html(&browser.post("/users", &new).await.is(400));
    let typed = ["value=\"carol\"", "value=\"dev\"", "value=\"carol@example.com\""];
    refuses(form(&page, "/users"), &typed, "up", "at least 10 bytes");
    assert!(!page.contains("short-7d1"), "{page}");
    let robot = [("username", "admin"), ("robot", "yes")];
    let page = html(&browser.post("/users", &robot).await.is(409));
    shows(form(&page, "/users"), &["exists already", "value=\"admin\"", "value=\"yes\" checked"]);
    let change = [("groups", "nobody-has-this"), ("was_groups", "dev"), ("email", ""), ("locked", "yes")];
    let page = html(&browser.post("/users/alice", &change).await.is(400));
    refuses(
        form(&page, "/users/alice"),
        &["value=\"nobody-has-this\"", "name=\"locked\" value=\"yes\" checked"],
        "ug",
        "nobody-has-this",
    );
    let page = html(&browser.post("/users/alice/delete", &[("confirm", "bob")]).await.is(400));
    refuses(form(&page, "/users/alice/delete"), &["value=\"bob\""], "cf", "This is not");
    let key = [("name", "ci"), ("scopes", "nonsense"), ("days", "365")];
    let page = html(&browser.post("/users/alice/keys", &key).await.is(400));
    let shown = form(&page, "/users/alice/keys");
    refuses(shown, &["value=\"ci\"", ">nonsense</textarea>", "value=\"365\" selected"], "ko", "scope");
}

#[tokio::test]
async fn a_rule_keeps_what_was_typed_where_it_was_typed() {
    let registry = registry();
    let browser = Browser::of(&registry, "admin").await;
    let page = html(&browser.get("/access").await.is(200));
    let tag = page.split("name=\"etag\" value=\"").nth(1).unwrap().split('"').next().unwrap();
    let etag = super::unescaped(tag);
    let rule =
        [("etag", etag.as_str()), ("repository", "team/[x"), ("users", "@dev"), ("permission", "push"), ("at", "1")];
    let page = html(&browser.post("/access", &rule).await.is(400));
    let typed = ["value=\"team/[x\"", "value=\"@dev\"", "value=\"push\" checked", "value=\"1\" placeholder"];
    refuses(form(&page, "/access"), &typed, "np", "team/[x");
    let page = html(&browser.post("/access/0", &rule).await.is(400));
    refuses(form(&page, "/access/0"), &["value=\"team/[x\"", "value=\"push\" checked"], "r0", "team/[x");
    shows(&page, &["<details class=\"pick\" open>"]);
    assert!(!form(&page, "/access").contains("[x"), "another form has it");
    let nobody = [("etag", etag.as_str()), ("repository", "team/**"), ("users", ""), ("permission", "pull")];
    let page = html(&browser.post("/access/0", &nobody).await.is(400));
    shows(&page, &["role=\"alert\"", "<details class=\"pick\" open>"]);
}

#[tokio::test]
async fn settings_say_which_of_them_is_wrong() {
    let registry = registry();
    let browser = Browser::of(&registry, "admin").await;
    let before = registry.text("settings.toml");
    let wrong = [
        ("was.default_limit", "100"),
        ("set.default_limit", "many"),
        ("was.max_limit", "1000"),
        ("set.max_limit", "500"),
    ];
    let page = html(&browser.post("/settings/pagination", &wrong).await.is(400));
    let shown = form(&page, "/settings/pagination");
    shows(shown, &["value=\"many\"", "value=\"500\"", "aria-invalid=\"true\""]);
    let (_, after) = shown.split_once("value=\"many\"").unwrap();
    shows(after.split("class=\"hint\"").next().unwrap(), &["role=\"alert\""]);
    let list = [("was.retention", "[]"), ("list.retention", "[{")];
    let page = html(&browser.post("/settings/retention", &list).await);
    if page.contains("action=\"/settings/retention\"") {
        shows(form(&page, "/settings/retention"), &[">[{</textarea>", "Is not JSON"]);
    }
    assert_eq!(registry.text("settings.toml"), before);
}

#[tokio::test]
async fn a_repository_keeps_what_was_typed() {
    let registry = registry();
    let (browser, client) = (Browser::of(&registry, "admin").await, registry.admin().client);
    let (digest, _) = client.push_image("team/app", "1.0", "x").await;
    let change = [
        ("description", "Our app"),
        ("owner", "alice"),
        ("immutable_tags", "v[0-9"),
        ("visibility", "private"),
        ("was", "private"),
    ];
    let path = "/repositories/team/app/-/settings";
    let page = html(&browser.post(path, &change).await.is(400));
    refuses(
        form(&page, path),
        &["value=\"Our app\"", "value=\"alice\"", "value=\"v[0-9\""],
        "im",
        "Not a regular expression",
    );
    let path = "/repositories/team/app/-/delete";
    let page = html(&browser.post(path, &[("confirm", "team/ap")]).await.is(400));
    refuses(form(&page, path), &["value=\"team/ap\""], "cf", "This is not the repository");
    let path = "/repositories/team/app/-/tags/set";
    let page = html(&browser.post(path, &[("tag", "not a tag"), ("digest", &digest), ("shown", "1.0")]).await.is(400));
    shows(form(&page, path), &["value=\"not a tag\"", "role=\"alert\"", "name=\"shown\" value=\"1.0\""]);
    shows(&page, &["<details class=\"pick\" open>"]);
}
