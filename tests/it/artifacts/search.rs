//! Clients that search artifacts and download what they find.

use super::super::PROGRAM;
use http::{Method, StatusCode};
use serde_json::{Value, json};
use std::process::Command;
use testing::{
    managed::{ApiSession, Managed},
    session::Reply,
};

/// Creates a repository that only its owner sees.
async fn create(session: &ApiSession, name: &str, private: bool) {
    let reply = session.post("/artifacts/repos", &json!({ "name": name, "private": private })).await;
    assert_eq!(reply.status, StatusCode::CREATED, "{reply:?}");
}

/// Uploads a file in one request.
async fn upload(session: &ApiSession, path: &str, content: impl Into<bytes::Bytes>) -> Reply {
    let reply = session.ask(Method::PUT, &format!("/artifacts/{path}")).body(content).send().await;
    assert_eq!(reply.status, StatusCode::CREATED, "{reply:?}");
    reply
}

fn start() -> Managed {
    let rules = json!({
        "defaultPolicy": "deny",
        "adminUsers": ["admin"],
        "groups": { "ci": { "members": ["alice"], "roles": ["uploader"] } },
        "roles": { "uploader": { "permissions": ["CREATE:REPO"], "artifacts": ["**"] } },
    });
    Managed::start(PROGRAM, |files| files.rules = format!("{rules}\n"))
}

/// `version/path` of each result.
fn results(reply: &Reply) -> Vec<String> {
    assert_eq!(reply.status, StatusCode::OK, "{reply:?}");
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let results = reply.json()["results"].as_array().unwrap().clone();
    results.iter().map(|one| format!("{}/{}", text(&one["version"]), text(&one["path"]))).collect()
}

async fn some_builds(alice: &ApiSession) {
    create(alice, "builds", true).await;
    for (path, branch, build) in [
        ("1.9/app.zip", "main", "1"),
        ("1.10/app.zip", "main", "2"),
        ("1.10/docs/manual.pdf", "main", "2"),
        ("2.0-rc1/app.zip", "next", "3"),
    ] {
        let target = format!("builds/-/{path}?property.branch={branch}&property.build={build}");
        upload(alice, &target, format!("{path} of {branch}")).await;
    }
}

#[tokio::test]
async fn a_search_finds_artifacts_by_what_is_said_about_them() {
    let (registry, order) = (start(), "sort=version&order=asc");
    let alice = registry.user("alice");
    some_builds(&alice).await;
    for (query, expected) in [
        ("branch=main", &["1.9/app.zip", "1.10/app.zip", "1.10/docs/manual.pdf"][..]),
        ("property.branch=next&repo=builds", &["2.0-rc1/app.zip"]),
        ("branch=main&branch=next&path=app.zip", &["1.9/app.zip", "1.10/app.zip", "2.0-rc1/app.zip"]),
        ("build=2&name=*.PDF", &["1.10/docs/manual.pdf"]),
        ("path=docs/%25", &["1.10/docs/manual.pdf"]),
        ("version=latest&branch=main&path=app.zip", &["1.10/app.zip"]),
        ("q=manual", &["1.10/docs/manual.pdf"]),
        ("q=NEXT", &["2.0-rc1/app.zip"]),
        ("branch=MAIN", &[]),
        ("repo=other", &[]),
    ] {
        let mut found = results(&alice.get(&format!("/artifacts/search?{query}&{order}")).await);
        found.sort_by_key(|one| expected.iter().position(|expected| one == expected));
        assert_eq!(found, expected, "{query}");
    }
    let reply = alice.get("/artifacts/search?path=app.zip&sort=version&order=desc&limit=1&offset=1").await;
    assert_eq!(results(&reply), ["1.10/app.zip"]);
    let page = reply.json();
    assert_eq!((&page["total"], &page["limit"], &page["offset"]), (&json!(3), &json!(1), &json!(1)));
    assert_eq!((&page["sort"], &page["order"]), (&json!("version"), &json!("desc")));
    let newest = results(&alice.get("/artifacts/search?num=1").await);
    assert_eq!(newest, ["2.0-rc1/app.zip"], "the newest first");
    let more = alice.get("/artifacts/search?num=1000000").await;
    assert_eq!(more.json()["limit"], json!(100), "no more than artifact_search.max_results");
    for (query, field) in [("sort=color", "sort"), ("order=up", "order"), ("version=", "version"), ("num=0", "num")] {
        let reply = alice.get(&format!("/artifacts/search?{query}")).await;
        assert_eq!(reply.json()["errors"][0]["detail"][0]["at"], json!(field), "{reply:?}");
        reply.refused(400, "INVALID_REQUEST");
    }
}

#[tokio::test]
async fn a_search_follows_every_change() {
    let registry = start();
    let alice = registry.user("alice");
    some_builds(&alice).await;
    let search = async |query: &str| results(&alice.get(&format!("/artifacts/search?{query}")).await);
    assert_eq!(search("path=new").await, [""; 0]);
    let id = upload(&alice, "builds/-/3.0/new?property.branch=main", "new").await.json()["id"].clone();
    assert_eq!(search("path=new").await, ["3.0/new"]);
    let id = id.as_str().unwrap();
    let renamed =
        alice.put(&format!("/artifacts/builds/{id}/rename"), &json!({ "version": "3.1", "path": "newer" })).await;
    assert_eq!(renamed.status, StatusCode::OK, "{renamed:?}");
    assert_eq!((search("path=new").await, search("path=newer").await), (vec![], vec!["3.1/newer".to_owned()]));
    let id = renamed.json()["id"].as_str().unwrap().to_owned();
    let changed = alice.put(&format!("/artifacts/builds/{id}/properties"), &json!({ "branch": "other" })).await;
    assert_eq!(changed.status, StatusCode::OK, "{changed:?}");
    assert_eq!((search("branch=main&path=newer").await.len(), search("branch=other").await.len()), (0, 1));
    alice.delete("/artifacts/builds/3.1/newer").await.is(204);
    assert_eq!(search("path=newer").await, [""; 0]);
    let id = changed.json()["id"].as_str().unwrap().to_owned();
    alice.post(&format!("/artifacts/builds/{id}/restore"), &json!({})).await.is(200);
    assert_eq!(search("branch=other").await, ["3.1/newer"]);
    alice.delete("/artifacts/repos/builds").await.is(204);
    assert_eq!(search("").await, [""; 0]);
}

#[tokio::test]
async fn a_search_shows_and_counts_only_what_the_caller_may_see() {
    let registry = start();
    let (alice, bob, nobody) = (registry.user("alice"), registry.user("bob"), registry.nobody());
    some_builds(&alice).await;
    create(&alice, "public", false).await;
    upload(&alice, "public/-/1/tool", "tool").await;
    let total = async |session: &ApiSession| session.get("/artifacts/search").await.json()["total"].clone();
    assert_eq!((total(&alice).await, total(&registry.admin()).await), (json!(5), json!(5)));
    assert_eq!((total(&bob).await, total(&nobody).await), (json!(1), json!(1)));
    assert_eq!(results(&bob.get("/artifacts/search?repo=builds").await), [""; 0]);
    let hidden = bob.get("/artifacts/builds/query").await;
    assert!(matches!(hidden.status.as_u16(), 403 | 404), "{hidden:?}");
    assert_eq!(&bob.get("/artifacts/public/query").await.is(200).body[..], b"tool");
}

#[tokio::test]
async fn one_match_is_downloaded_as_the_file_itself() {
    let registry = start();
    let alice = registry.user("alice");
    some_builds(&alice).await;
    let reply = alice.get("/artifacts/builds/query?version=latest&branch=main&name=app.zip").await.is(200);
    assert_eq!(&reply.body[..], b"1.10/app.zip of main");
    assert_eq!(reply.header("content-disposition"), "attachment; filename=\"app.zip\"");
    assert!(reply.header("etag").starts_with("\"sha256:"));
    let part = alice.ask(Method::GET, "/artifacts/builds/query?build=3").header("range", "bytes=0-2").send().await;
    assert_eq!((part.status, &part.body[..]), (StatusCode::PARTIAL_CONTENT, &b"2.0"[..]));
    let newest = alice.get("/artifacts/builds/query?path=app.zip&num=1").await.is(200);
    assert_eq!(&newest.body[..], b"2.0-rc1/app.zip of next");
    alice.get("/artifacts/builds/query?branch=none").await.refused(404, "NOT_FOUND");
    let missing = alice.get("/artifacts/nothing/query").await;
    assert!(matches!(missing.status.as_u16(), 403 | 404), "{missing:?}");
}

#[tokio::test]
async fn a_file_of_text_is_sent_as_it_is_to_clients_that_accept_gzip() {
    let registry = start();
    let alice = registry.user("alice");
    create(&alice, "builds", true).await;
    for (name, len) in [("short.json", 3000), ("long.json", 300_000)] {
        let content = format!("{{\"text\":\"{}\"}}", "x".repeat(len));
        let target = format!("/artifacts/builds/-/1/{name}");
        let put = alice.ask(Method::PUT, &target).header("content-type", "application/json").body(content.clone());
        put.send().await.is(201);
        for target in [format!("/artifacts/builds/1/{name}"), format!("/artifacts/builds/query?name={name}")] {
            let reply = alice.ask(Method::GET, &target).header("accept-encoding", "gzip").send().await.is(200);
            assert!(!reply.has("content-encoding") && reply.body == content.as_bytes(), "{target}");
        }
    }
}

/// What a program prints about an archive.
fn inspect(archive: &[u8], program: &[&str]) -> String {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("archive"), archive).unwrap();
    let output = Command::new(program[0]).args(&program[1..]).current_dir(dir.path()).output().unwrap();
    assert!(output.status.success(), "{program:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test]
async fn several_matches_are_downloaded_as_an_archive() {
    let registry = start();
    let alice = registry.user("alice");
    some_builds(&alice).await;
    let zip = alice.get("/artifacts/builds/query?branch=main").await.is(200);
    assert_eq!(zip.header("content-type"), "application/zip");
    assert_eq!(zip.header("content-disposition"), "attachment; filename=\"builds-artifacts.zip\"");
    assert_eq!(zip.header("content-length"), zip.body.len().to_string());
    let head = alice.ask(Method::HEAD, "/artifacts/builds/query?branch=main").send().await;
    assert_eq!(head.header("content-length"), zip.body.len().to_string());
    let names = inspect(
        &zip.body,
        &[
            "python3",
            "-c",
            "import zipfile\nz = zipfile.ZipFile('archive')\nassert z.testzip() is None\nprint(*z.namelist())",
        ],
    );
    assert_eq!(names.trim(), "1.9/app.zip 1.10/app.zip 1.10/docs/manual.pdf");
    let tar = alice.get("/artifacts/builds/query?format=tar.gz").await.is(200);
    assert_eq!((tar.header("content-type"), tar.has("content-length")), ("application/gzip", false));
    assert_eq!(inspect(&tar.body, &["tar", "-tzf", "archive"]).lines().count(), 4);
    assert_eq!(
        inspect(&tar.body, &["tar", "-xOzf", "archive", "1.10/docs/manual.pdf"]),
        "1.10/docs/manual.pdf of main"
    );
    let head = alice.ask(Method::HEAD, "/artifacts/builds/query?format=tar.gz").send().await.is(200);
    assert!(!head.has("content-length"), "{head:?}");
    let flat = alice.get("/artifacts/builds/query?name=app.zip&flat=1&format=tar.gz").await.is(200);
    let names = inspect(&flat.body, &["tar", "-tzf", "archive"]);
    assert!(names.lines().all(|name| name.starts_with("app~") && name.ends_with(".zip")), "{names}");
    let one = alice.get("/artifacts/builds/query?build=3&archive").await.is(200);
    assert_eq!(one.header("content-type"), "application/zip");
}

#[tokio::test]
async fn an_archive_of_too_many_files_is_refused_with_their_number() {
    let registry = Managed::start(PROGRAM, |files| files.settings = "[artifact_search]\nmax_files = 3\n".to_owned());
    let admin = registry.admin();
    some_builds(&admin).await;
    let reply = admin.get("/artifacts/builds/query").await;
    assert!(reply.message().contains("4 files match, and an archive has at most 3"), "{reply:?}");
    reply.refused(400, "INVALID_REQUEST");
    admin.get("/artifacts/builds/query?num=3").await.is(200);
    admin.get("/artifacts/builds/query?branch=main").await.is(200);
}

#[tokio::test]
async fn an_archive_breaks_off_when_a_file_cannot_be_read() {
    let registry = start();
    let alice = registry.user("alice");
    create(&alice, "builds", true).await;
    upload(&alice, "builds/-/1/a", vec![b'a'; 100_000]).await;
    let lost = upload(&alice, "builds/-/1/b", vec![b'b'; 100_000]).await.json()["digest"].as_str().unwrap().to_owned();
    let hex = lost.strip_prefix("sha256:").unwrap();
    let blob = registry.root().join(format!("blobs/sha256/{}/{hex}", &hex[..2]));
    let blob = if blob.is_dir() { blob.join("data") } else { blob };
    std::fs::remove_file(&blob).unwrap_or_else(|error| panic!("{}: {error}", blob.display()));
    for format in ["zip", "tar.gz"] {
        let ask = alice.ask(Method::GET, &format!("/artifacts/builds/query?format={format}"));
        assert!(ask.try_send().await.is_err(), "{format}: the client must notice");
    }
}

#[tokio::test]
async fn retention_follows_the_uploads_and_is_in_the_audit_log() {
    let settings = "[artifact_retention]\nenabled = true\nmax_versions = 1\nmax_age_days = 0\n";
    let registry = Managed::start(PROGRAM, |files| files.settings = settings.to_owned());
    let admin = registry.admin();
    create(&admin, "builds", true).await;
    for version in ["1.0", "1.1", "1.2"] {
        upload(&admin, &format!("builds/-/{version}/app"), version.to_owned()).await;
    }
    let versions = async || {
        let versions = admin.get("/artifacts/builds/versions").await.is(200).json();
        versions.as_object().unwrap().keys().cloned().collect::<Vec<_>>()
    };
    assert_eq!(versions().await.len(), 3, "a release may still be on its way");
    registry.logged("artifacts moved to the trash by retention");
    assert_eq!(versions().await, ["1.2"]);
    let trash = admin.get("/artifacts/builds/trash").await.is(200).json();
    assert_eq!(trash["items"].as_array().unwrap().len(), 2, "{trash}");
    // It is a task of the registry's own; where there was nothing to do, there is none.
    let tasks = admin.get("/tasks").await.is(200).json();
    let tasks: Vec<_> = tasks["items"].as_array().unwrap().iter().filter(|task| task["kind"] == "retention").collect();
    let [task] = tasks[..] else { panic!("{tasks:?}") };
    assert_eq!(
        (&task["owner"], &task["status"], &task["stats"]["artifacts"]),
        (&json!(null), &json!("completed"), &json!(2))
    );
    let audit = admin.get("/audit?n=10").await.is(200).json();
    let by_rule = |entry: &&Value| entry["from"] == "artifact retention";
    let entries: Vec<_> = audit["items"].as_array().unwrap().iter().filter(by_rule).cloned().collect();
    let said: Vec<_> = entries.iter().map(|entry| (&entry["actor"], &entry["action"], &entry["target"])).collect();
    let expected = |version: &str| json!(format!("builds/{version}/app (max_versions)"));
    let (actor, action) = (json!("wharfinger"), json!("delete_artifact"));
    // The newest first.
    assert_eq!(said, [(&actor, &action, &expected("1.0")), (&actor, &action, &expected("1.1"))]);
}

#[tokio::test]
async fn the_plan_of_retention_says_what_would_go_and_why() {
    let settings = "[artifact_retention]\nmax_versions = 1\nmax_age_days = 0\nkeep = [\"version=1.9\"]\n";
    let registry = Managed::start(PROGRAM, |files| files.settings = settings.to_owned());
    let admin = registry.admin();
    create(&admin, "builds", true).await;
    for version in ["1.9", "1.10", "1.11"] {
        upload(&admin, &format!("builds/-/{version}/app?property.build={version}"), version.to_owned()).await;
    }
    let plan = admin.get("/artifacts/repos/builds/retention/plan").await.is(200).json();
    let item = |item: &Value| (item["version"].clone(), item["keep"].clone(), item["rule"].clone());
    let items: Vec<_> = plan["items"].as_array().unwrap().iter().map(item).collect();
    assert_eq!(
        items,
        [
            (json!("1.11"), json!(true), json!("none")),
            (json!("1.10"), json!(false), json!("max_versions")),
            (json!("1.9"), json!(true), json!("keep")),
        ]
    );
    let page = admin.get("/artifacts/repos/builds/retention/plan?n=2").await.is(200);
    let next = admin.client.get(page.next().unwrap()).await.is(200).json();
    assert_eq!(next["items"].as_array().unwrap().len(), 1);
    // A repository with rules of its own.
    let own = json!({ "retention": { "max_versions": 2, "keep": [] } });
    admin.patch("/artifacts/repos/builds", &own).await.is(200);
    let plan = admin.get("/artifacts/repos/builds/retention/plan").await.is(200).json();
    assert_eq!(plan["items"][2]["rule"], json!("max_versions"));
    assert_eq!(plan["items"][1]["keep"], json!(true));
}
