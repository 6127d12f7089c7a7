//! The pages of artifacts: they show what their caller may see, keep what was typed, and change only what was meant.

use super::{Browser, html, shows, unescaped};
use crate::PROGRAM;
use http::Method;
use serde_json::{Value, json};
use testing::managed::{ApiSession, Managed};

/// A registry where alice has a role for `ci-*`, and bob may only log in.
fn registry() -> Managed {
    Managed::start(PROGRAM, |files| {
        files.rules = json!({
            "defaultPolicy": "deny",
            "adminUsers": ["admin"],
            "rules": [],
            "groups": {
                "people": { "members": ["alice", "bob"], "roles": ["web"] },
                "ci": { "members": ["alice"], "roles": ["ci"] },
            },
            "roles": {
                "web": { "permissions": ["LOGIN:WEBUI"] },
                "ci": {
                    "permissions": [
                        "CREATE:REPO", "VIEW:ARTIFACT", "DOWNLOAD:ARTIFACT", "UPLOAD:ARTIFACT", "UPDATE:ARTIFACT",
                        "DELETE:ARTIFACT",
                    ],
                    "artifacts": ["ci-*"],
                },
            },
        })
        .to_string();
    })
}

async fn create(session: &ApiSession, name: &str, private: bool) {
    session.post("/artifacts/repos", &json!({ "name": name, "private": private })).await.is(201);
}

/// Uploads a file; the artifact that it made.
async fn upload(session: &ApiSession, target: &str, content: &str) -> Value {
    let put = session.ask(Method::PUT, &format!("/artifacts/{target}")).body(content.to_owned());
    put.send().await.is(201).json()
}

fn text<'v>(value: &'v Value, key: &str) -> &'v str {
    value[key].as_str().unwrap()
}

/// A hidden field of the form that is sent to this path.
fn hidden(page: &str, path: &str, name: &str) -> String {
    let form = page.split(&format!("action=\"{path}\"")).nth(1).unwrap_or_else(|| panic!("no form {path} in {page}"));
    unescaped(form.split(&format!("name=\"{name}\" value=\"")).nth(1).unwrap().split('"').next().unwrap())
}

/// A form with files, as browsers send it: the fields, then each file by its name.
fn with_files(fields: &[(&str, &str)], files: &[(&str, &str)]) -> String {
    let field = |(name, value): &(&str, &str)| {
        format!("--XxX\r\ncontent-disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
    };
    let file = |(name, content): &(&str, &str)| {
        format!(
            "--XxX\r\ncontent-disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n\
             content-type: text/plain\r\n\r\n{content}\r\n"
        )
    };
    let parts: String = fields.iter().map(field).chain(files.iter().map(file)).collect();
    format!("{parts}--XxX--\r\n")
}

#[tokio::test]
async fn files_are_uploaded_by_a_form_without_scripts() {
    let registry = registry();
    let (browser, alice) = (Browser::of(&registry, "alice").await, registry.user("alice"));
    create(&alice, "ci-app", true).await;
    let send_from = async |site: &str, browser: &Browser, fields: &[(&str, &str)], files: &[(&str, &str)]| {
        let ask = browser.ask(Method::POST, "/artifacts/ci-app/-/upload").header("sec-fetch-site", site);
        ask.header("content-type", "multipart/form-data; boundary=XxX").body(with_files(fields, files)).send().await
    };
    let send = async |browser: &Browser, fields: &[(&str, &str)], files: &[(&str, &str)]| {
        send_from("same-origin", browser, fields, files).await
    };
    let page = html(&browser.get("/artifacts/ci-app/-/upload").await.is(200));
    shows(&page, &["multipart/form-data", "name=\"file\"", "name=\"version\""]);
    let fields = [("version", "1.0"), ("under", "bin"), ("properties", "os=linux\r\narch=arm64")];
    let large = "x".repeat(300_000);
    let sent = send(&browser, &fields, &[("app", "hello"), ("large.txt", &large)]).await.is(303);
    let place = sent.header("location").to_owned();
    shows(&html(&browser.get(&place).await.is(200)), &["2 files were uploaded.", "large.txt"]);
    assert_eq!(alice.get("/artifacts/ci-app/1.0/bin/app").await.is(200).body, "hello");
    let found = alice.get("/artifacts/ci-app/versions").await.is(200).json();
    assert_eq!(found["1.0"][0]["properties"], json!({ "arch": "arm64", "os": "linux" }));
    assert_eq!(found["1.0"][0]["media_type"], "text/plain");
    // What is wrong is said beside its field, and what was typed is kept.
    for (fields, files, said) in [
        (&[("version", "../x")][..], &[("app", "a")][..], "id=\"uv-why\""),
        (&[("version", "1.1"), ("properties", "os")], &[("app", "a")], "is not key=value"),
        (&[("version", "1.1")], &[], "Choose a file."),
        (&[("version", "1.1")], &[("", "")], "Choose a file."),
        (&[("version", "1.1"), ("under", "..")], &[("app", "a")], "id=\"ud-why\""),
    ] {
        shows(&html(&send(&browser, fields, files).await.is(400)), &[said, &format!("value=\"{}\"", fields[0].1)]);
    }
    let other = send(&browser, &fields, &[("new", "1"), ("app", "other")]).await.is(409);
    shows(&html(&other), &["exists"]);
    assert_eq!(alice.get("/artifacts/ci-app/1.0/bin/new").await.is(200).body, "1", "those before it stay");
    let replacing = [&fields[..], &[("overwrite", "true")]].concat();
    send(&browser, &replacing, &[("app", "other")]).await.is(303);
    assert_eq!(alice.get("/artifacts/ci-app/1.0/bin/app").await.is(200).body, "other");
    // Neither bob nor another site's form.
    let bob = Browser::of(&registry, "bob").await;
    send(&bob, &fields, &[("app", "evil")]).await.is(404);
    send_from("cross-site", &browser, &replacing, &[("app", "evil")]).await.is(403);
    assert_eq!(alice.get("/artifacts/ci-app/1.0/bin/app").await.is(200).body, "other");
}

#[tokio::test]
async fn a_repository_is_created_filled_and_browsed() {
    let registry = registry();
    let (browser, alice) = (Browser::of(&registry, "alice").await, registry.user("alice"));
    shows(&html(&browser.get("/artifacts").await.is(200)), &["No artifact repositories yet", "New repository"]);
    html(&browser.get("/artifacts/-/new").await.is(200));
    for (name, status, why) in [("UPPER", 400, "lowercase letters"), ("other", 403, "CREATE:REPO")] {
        let form = [("name", name), ("description", "What <CI> makes"), ("visibility", "public")];
        let page = html(&browser.post("/artifacts/-/new", &form).await.is(status));
        let typed = format!("value=\"{name}\"");
        shows(&page, &[why, &typed, "value=\"What &#60;CI&#62; makes\"", "value=\"public\" checked"]);
    }
    let form = [("name", "ci-app"), ("description", "What <CI> makes"), ("visibility", "private")];
    let created = browser.post("/artifacts/-/new", &form).await.is(303);
    assert_eq!(created.header("location"), "/artifacts/ci-app?done=repository-created");
    let page = html(&browser.get(created.header("location")).await.is(200));
    shows(
        &page,
        &["The repository was created.", "What &#60;CI&#62; makes", "No files yet", "curl -fSs -u alice -T FILE"],
    );
    html(&browser.post("/artifacts/-/new", &form).await.is(409));

    for version in ["1.9", "1.10"] {
        for path in ["app.tar.gz", "docs/manual.pdf", "docs/api/index.html"] {
            upload(&alice, &format!("ci-app/-/{version}/{path}?property.os=linux"), &format!("{version} {path}")).await;
        }
    }
    let page = html(&browser.get("/artifacts").await.is(200));
    shows(&page, &["href=\"/artifacts/ci-app\"", "data-label=\"versions\">2<", "data-label=\"files\">6<", "private"]);
    let page = html(&browser.get("/artifacts/ci-app").await.is(200));
    shows(&page, &["<span>latest</span>", "/artifacts/ci-app/-/versions/1.9\"", "2 of 2 versions"]);
    let place = |text: &str| page.find(text).unwrap();
    assert!(place("/-/versions/1.10\"") < place("/-/versions/1.9\""), "1.10 is newer than 1.9");
    shows(&html(&browser.get("/artifacts/ci-app?q=3").await.is(200)), &["No version matches"]);
    let page = html(&browser.get("/artifacts/ci-app/-/versions/1.10").await.is(200));
    shows(&page, &["/-/versions/1.10/docs\"", "2 files", "/-/files/1.10/app.tar.gz\"", "os=linux", "Upload here"]);
    assert!(!page.contains("manual.pdf"), "{page}");
    let page = html(&browser.get("/artifacts/ci-app/-/versions/1.10/docs").await.is(200));
    shows(&page, &["/-/versions/1.10/docs/api\"", "/-/files/1.10/docs/manual.pdf\"", "path=docs%2F*"]);
    for nothing in ["3.0", "1.10/nothing", "1.10/docs/manual.pdf", "..", "1.10/../1.9"] {
        browser.get(&format!("/artifacts/ci-app/-/versions/{nothing}")).await.is(404);
    }
    let page = html(&browser.get("/artifacts/ci-app/-/files/1.10/docs/manual.pdf").await.is(200));
    let digest = text(
        &alice.get("/artifacts/search?repo=ci-app&path=docs/manual.pdf&version=1.10").await.json()["results"][0],
        "digest",
    )
    .to_owned();
    shows(&page, &[&digest, "os</code>", "linux", "by <bdi>alice</bdi>", "curl -fSOJ -u alice http://"]);
    shows(&page, &["wharf artifact download ci-app --version 1.10 --path docs/manual.pdf"]);
    browser.get("/artifacts/ci-app/-/files/1.10/docs").await.is(404);
    browser.get("/artifacts/ci-app/-/files/1.10/docs/manual.pdf?id=nonsense").await.is(404);
}

#[tokio::test]
async fn nobody_sees_what_is_not_theirs() {
    let registry = registry();
    let (admin, alice) = (registry.admin(), registry.user("alice"));
    create(&admin, "secret", true).await;
    create(&admin, "open", false).await;
    create(&alice, "ci-app", true).await;
    for name in ["secret", "open", "ci-app"] {
        upload(&admin, &format!("{name}/-/1.0/app"), name).await;
    }
    let menu = "<a href=\"/artifacts\"";
    let strangers = Browser::new(&registry);
    shows(&html(&strangers.get("/artifacts").await.is(200)), &["/artifacts/open\"", menu]);
    let page = html(&strangers.get("/artifacts/-/search").await.is(200));
    assert!(page.contains("1 file<") && !page.contains("secret") && !page.contains("ci-app"), "{page}");
    for (browser, own, secret) in [
        (strangers, 401, 401),
        (Browser::of(&registry, "bob").await, 404, 404),
        (Browser::of(&registry, "alice").await, 200, 404),
        (Browser::of(&registry, "admin").await, 200, 200),
    ] {
        for (name, status) in [("open", 200), ("ci-app", own), ("secret", secret)] {
            for path in ["", "/-/versions/1.0", "/-/files/1.0/app", "/-/search", "/-/retention"] {
                browser.get(&format!("/artifacts/{name}{path}")).await.is(status);
            }
        }
    }
    let bob = Browser::of(&registry, "bob").await;
    let page = html(&bob.get("/artifacts/open/-/files/1.0/app").await.is(200));
    for word in ["Edit properties", "Rename or move", "Move to trash", "/-/upload", "/-/settings"] {
        assert!(!page.contains(word), "{word} in {page}");
    }
    for path in ["upload", "trash", "settings"] {
        bob.get(&format!("/artifacts/open/-/{path}")).await.is(403);
    }
    let id = text(&admin.get("/artifacts/search?repo=open").await.json()["results"][0], "id").to_owned();
    let form = [("id", id.as_str()), ("properties", "a=b"), ("version", "2"), ("path", "x"), ("metadata", "{}")];
    for edit in ["properties", "metadata", "rename", "remove"] {
        let path = format!("/artifacts/open/-/{edit}/1.0/app");
        bob.post(&path, &form).await.is(403);
        // A form of another site changes nothing, whoever is logged in here.
        let admin = Browser::of(&registry, "admin").await;
        admin.post_from("cross-site", &path, &form).await.is(403);
    }
    for path in ["settings", "delete", "retention"] {
        let form = [("confirm", "open"), ("visibility", "private")];
        bob.post(&format!("/artifacts/open/-/{path}"), &form).await.is(403);
    }
    assert_eq!(admin.get("/artifacts/search?repo=open").await.json()["total"], 1);
    registry.admin().delete("/artifacts/repos/open").await.is(204);
    assert!(!html(&bob.get("/").await.is(200)).contains(menu), "nothing there concerns bob now");
}

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
async fn a_search_is_narrowed_and_its_results_are_downloaded() {
    let registry = registry();
    let (browser, alice) = (Browser::of(&registry, "alice").await, registry.user("alice"));
    create(&alice, "ci-app", true).await;
    create(&alice, "ci-docs", true).await;
    for version in 1..=60 {
        let branch = if version % 2 == 0 { "main" } else { "next" };
        upload(&alice, &format!("ci-app/-/1.{version}/app.zip?property.branch={branch}"), &version.to_string()).await;
    }
    let manual =
        upload(&alice, "ci-docs/-/1.0/manual.pdf?property.branch=main&property.note=a%26b%3Dc", "manual").await;
    let page = html(&browser.get("/artifacts/-/search").await.is(200));
    shows(&page, &["61 files", "1 to 50 of 61", "<option value=\"branch=main\">", "offset=50", "<bdi>ci-docs</bdi>"]);
    let page = html(&browser.get("/artifacts/-/search?offset=50").await.is(200));
    shows(&page, &["51 to 61 of 61", "href=\"/artifacts/-/search\" rel=\"prev\""]);
    let page = html(&browser.get("/artifacts/ci-app/-/search?p=branch%3Dmain&version=1.4*&sort=version").await.is(200));
    shows(&page, &["6 files", "name=\"p\" value=\"branch=main\"", "aria-label=\"Remove branch=main\""]);
    shows(
        &page,
        &["/api/v1/artifacts/ci-app/query?version=1.4*&#38;property.branch=main&#38;archive=1&#38;format=zip"],
    );
    let order: Vec<_> = ["1.48", "1.46", "1.40", "1.4"].map(|v| page.find(&format!("<bdi>{v}</bdi>")).unwrap()).into();
    assert!(order.is_sorted(), "newest first: {order:?}");
    // The links of the page are those of the API.
    let all = page.split("href=\"/api/v1").find(|link| link.contains("format=tar.gz")).unwrap();
    let all = alice.get(&unescaped(all.split('"').next().unwrap())).await.is(200);
    assert_eq!(all.header("content-type"), "application/gzip");
    let id = text(&manual, "id");
    let one = alice.get(&format!("/artifacts/ci-docs/query?id={id}")).await.is(200);
    assert_eq!(
        (&one.body[..], one.header("content-disposition")),
        (&b"manual"[..], "attachment; filename=\"manual.pdf\"")
    );
    let two = alice.get(&format!("/artifacts/ci-docs/query?id={id}&archive=1&format=zip")).await.is(200);
    assert_eq!(two.header("content-type"), "application/zip");
    let page = html(&browser.get("/artifacts/-/search?p=note%3Da%26b%3Dc").await.is(200));
    shows(&page, &["1 file<", "note=a&#38;b=c"]);
    shows(&html(&browser.get("/artifacts/-/search?q=zzz").await.is(200)), &["0 files", "Nothing was found"]);
    for (query, why) in
        [("p=nonsense", "is not written as key=value"), ("p=-x%3D1", "property"), ("offset=9999999", "offset")]
    {
        let page = html(&browser.get(&format!("/artifacts/-/search?{query}")).await.is(400));
        shows(&page, &[why, "role=\"alert\""]);
    }
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
async fn nothing_that_is_uploaded_becomes_markup() {
    const BAD: [&str; 5] = [
        "<script>alert(1)<%2Fscript>",
        "\"><img src=x onerror=alert(1)>",
        "'><object data=x>",
        "$(reboot)'; rm -rf ~;",
        "\u{202e}gpj.exe\u{2066}",
    ];
    let registry = registry();
    let (browser, alice) = (Browser::of(&registry, "alice").await, registry.user("alice"));
    let description = "</title></textarea><script>alert(1)</script>";
    alice.post("/artifacts/repos", &json!({ "name": "ci-app", "description": description })).await.is(201);
    let escape = |text: &str| text.bytes().map(|byte| format!("%{byte:02X}")).collect::<String>();
    for bad in BAD {
        let metadata = json!({ bad: [bad] });
        let (name, value) = (escape(&bad.replace("%2F", "")), escape(bad));
        let put = alice.ask(
            Method::PUT,
            &format!("/artifacts/ci-app/-/{name}/{name}/{name}?property.note={value}&media_type=text/html"),
        );
        let made = put.body("x").send().await;
        // Characters that turn the direction of text are not part of any name.
        if made.status == 400 {
            assert!(bad.contains('\u{202e}'), "{made:?}");
            continue;
        }
        let made = made.is(201).json();
        alice.put(&format!("/artifacts/ci-app/{}/metadata", text(&made, "id")), &metadata).await.is(200);
        for path in [
            "/artifacts".to_owned(),
            "/artifacts/ci-app".to_owned(),
            format!("/artifacts/ci-app/-/versions/{name}"),
            format!("/artifacts/ci-app/-/versions/{name}/{name}"),
            format!("/artifacts/ci-app/-/files/{name}/{name}/{name}"),
            format!("/artifacts/ci-app/-/search?q={value}&p=note%3D{value}&name={value}"),
            format!("/artifacts/ci-app/-/upload?version={value}&under={value}"),
            "/artifacts/ci-app/-/search".to_owned(),
            "/artifacts/-/search".to_owned(),
            "/artifacts/ci-app/-/retention".to_owned(),
            format!("/artifacts/ci-app/-/retention?preview=yes&keep={value}"),
            "/artifacts/ci-app/-/settings".to_owned(),
        ] {
            let page = browser.get(&path).await;
            assert!([200, 400].contains(&page.status.as_u16()), "{path}: {page:?}");
            let page = html(&page);
            for bad in ["<script>", "<img", "<object", "\" onmouseover", "</title></textarea>"] {
                assert!(!page.contains(bad), "{bad} in {path}: {page}");
            }
        }
        let page = html(&browser.get(&format!("/artifacts/ci-app/-/files/{name}/{name}/{name}")).await.is(200));
        for command in page.split("data-copy=\"").skip(1).map(|rest| unescaped(rest.split('"').next().unwrap())) {
            // What is pasted runs nothing: the name is within quotes, and a quote in it is escaped.
            if command.contains("reboot") && !command.starts_with("curl") {
                assert!(command.contains("'$(reboot)'\\''; rm -rf ~;'"), "{command}");
            }
        }
        alice.delete(&format!("/artifacts/ci-app/{}", text(&made, "id"))).await.is(204);
        let trash = html(&browser.get("/artifacts/ci-app/-/trash").await.is(200));
        assert!(!trash.contains("<script>") && !trash.contains("<img"), "{trash}");
    }
}
