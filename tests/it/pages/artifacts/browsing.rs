//! What the pages of artifacts show, and to whom.

use super::{
    super::{Browser, html, shows, unescaped},
    create, registry, text, upload,
};

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
