//! The registry at work: tasks, uploads, changes.

use super::{Browser, html, shows};
use crate::PROGRAM;
use std::time::Duration;
use testing::managed::Managed;

/// The page of a task after it has ended.
async fn ended(registry: &Managed, browser: &Browser, path: &str) -> String {
    let page = async || html(&browser.get(path).await.is(200));
    let has_ended = async || !page().await.contains("data-reload");
    registry.until(Duration::from_secs(30), "the task does not end", has_ended).await;
    page().await
}

#[tokio::test]
async fn a_task_is_followed_to_its_result() {
    let registry = Managed::start(PROGRAM, |_| {});
    let admin = Browser::of(&registry, "admin").await;
    let client = registry.admin().client;
    client.push_image("app", "v1", "x").await;
    client.push_blob("app", "nobody refers to this").await;
    shows(&html(&admin.get("/system").await.is(200)), &["name=\"now\"", "name=\"read_data\"", "name=\"repair\""]);
    let plan = admin.post("/system/gc", &[("dry_run", "yes")]).await.is(303);
    let path = plan.header("location").split('?').next().unwrap().to_owned();
    let page = ended(&registry, &admin, &path).await;
    shows(&page, &["collection", "completed", "dry run", "Result"]);
    let collected = admin.post("/system/gc", &[("now", "yes")]).await.is(303);
    let done = ended(&registry, &admin, collected.header("location").split('?').next().unwrap()).await;
    shows(&done, &["purged, blobs"]);
    shows(&html(&admin.get("/system").await.is(200)), &["The last collection", "purged, blobs", &path]);
    std::fs::write(registry.root().join("repositories/app/_manifests/tags/v2"), "garbled").unwrap();
    let check = admin.post("/system/fsck", &[("read_data", "yes")]).await.is(303);
    let checked = ended(&registry, &admin, check.header("location").split('?').next().unwrap()).await;
    shows(&checked, &["check", "tag-garbled"]);
    html(&admin.post(&format!("{path}/cancel"), &[]).await.is(409));
    html(&admin.get("/system/tasks/01J0000000000000000000000A").await.is(404));
    html(&admin.get("/system/tasks/x").await.is(404));
    let nobody = Browser::new(&registry);
    nobody.get(&path).await.is(401);
    nobody.post(&format!("{path}/cancel"), &[]).await.is(401);
}

#[tokio::test]
async fn an_upload_is_seen_and_ended() {
    let registry = Managed::start(PROGRAM, |_| {});
    let (admin, client) = (Browser::of(&registry, "admin").await, registry.admin().client);
    shows(&html(&admin.get("/system/uploads").await.is(200)), &["No upload is running"]);
    let place = client.begin("app").await;
    client.patch(&place, "four").await.is(202);
    let id = place.rsplit('/').next().unwrap().split('?').next().unwrap();
    shows(&html(&admin.get("/system/uploads").await.is(200)), &[id, "4 <span class=\"unit\">B</span>"]);
    Browser::new(&registry).post(&format!("/system/uploads/{id}/cancel"), &[]).await.is(401);
    let ended = admin.post(&format!("/system/uploads/{id}/cancel"), &[]).await.is(303);
    shows(&html(&admin.get(ended.header("location")).await.is(200)), &["Cancelled.", "No upload is running"]);
    html(&admin.post(&format!("/system/uploads/{id}/cancel"), &[]).await.is(404));
    html(&admin.post("/system/uploads/x/cancel", &[]).await.is(404));
    Browser::new(&registry).get("/system/uploads").await.is(401);
}

#[tokio::test]
async fn changes_are_listed_newest_first() {
    let registry = Managed::start(PROGRAM, |_| {});
    let admin = Browser::of(&registry, "admin").await;
    admin.save("/groups", &[("name", "ops")]).await.is(303);
    admin.save("/groups", &[("name", "dev")]).await.is(303);
    let page = html(&admin.get("/system/audit").await.is(200));
    let place = |text: &str| page.find(text).unwrap_or_else(|| panic!("no {text} in {page}"));
    assert!(place("<bdi>dev</bdi>") < place("<bdi>ops</bdi>"), "{page}");
    shows(&page, &["create group", "access-control", "127.0.0.1", "login"]);
    for n in 0..101 {
        registry.admin().post("/namespaces", &serde_json::json!({ "name": format!("n{n}") })).await.is(201);
    }
    let page = html(&admin.get("/system/audit").await.is(200));
    let older = page.split("/system/audit?last=").nth(1).expect("a second page").split('"').next().unwrap();
    shows(&html(&admin.get(&format!("/system/audit?last={older}")).await.is(200)), &["<bdi>ops</bdi>"]);
    Browser::new(&registry).get("/system/audit").await.is(401);
    let reloaded = admin.post("/system/reload", &[]).await.is(303);
    shows(&html(&admin.get(reloaded.header("location")).await.is(200)), &["The configuration files were read."]);
}

#[tokio::test]
async fn the_latest_requests_are_shown_as_text() {
    let registry = Managed::start(PROGRAM, |_| {});
    let (admin, client) = (Browser::of(&registry, "admin").await, registry.admin().client);
    let digest = client.push_blob("team/app", "four").await;
    client.get(&format!("/v2/team/app/blobs/{digest}")).await.is(200);
    let hostile = "<script>alert(1)</script>\"'&";
    let ask = client.ask(http::Method::GET, "/v2/team/app/manifests/none").header("user-agent", hostile);
    ask.send().await.is(404);
    let page = async || html(&admin.get("/system/requests").await.is(200));
    let is_there = async || page().await.contains("alert(1)");
    registry.until(Duration::from_secs(10), "the request is not shown", is_there).await;
    let shown = page().await;
    shows(&shown, &["Pushed", "Pulled", "blob read", "blob push", "127.0.0.1", ">404<", "4 <span class=\"unit\">B"]);
    shows(&shown, &["/repositories/team/app", "class=\"spark\"", "manifest", "&lt;script&gt;"]);
    assert!(!shown.contains("<script>alert"), "{shown}");
    let failed = html(&admin.get("/system/requests?failed=true&q=team/app").await.is(200));
    shows(&failed, &[">404<", "value=\"team/app\"", " checked"]);
    assert!(!failed.contains("blob read"), "{failed}");
    let nothing = html(&admin.get("/system/requests?q=%22%3E%3Cscript%3E").await.is(200));
    shows(&nothing, &["No request matches"]);
    shows(&html(&admin.get("/system").await.is(200)), &["href=\"/system/requests\""]);
    // A page is about a repository as well.
    client.push_empty_index("team/app", "1.0").await;
    html(&admin.get("/repositories/team/app").await.is(200));
    let pages =
        async || html(&admin.get("/system/requests?q=page_tags").await.is(200)).contains("/repositories/team/app");
    registry.until(Duration::from_secs(10), "the page is not shown", pages).await;
    for _ in 0..101 {
        client.get("/v2/").await.is(200);
    }
    let pages = async || page().await.contains("/system/requests?q=&#38;last=");
    registry.until(Duration::from_secs(10), "there is no second page", pages).await;
    let shown = page().await;
    let older = super::unescaped(shown.split("href=\"/system/requests?").nth(1).unwrap().split('"').next().unwrap());
    shows(&html(&admin.get(&format!("/system/requests?{older}")).await.is(200)), &["blob read", "Newest"]);
    html(&admin.get("/system/requests?last=x").await.is(400));
    Browser::new(&registry).get("/system/requests").await.is(401);
}

#[tokio::test]
async fn an_index_shows_one_of_its_images() {
    let registry = Managed::start(PROGRAM, |_| {});
    let client = registry.admin().client;
    let mut children = Vec::new();
    for (machine, layer) in [("amd64", "first layer"), ("arm64", "second layer")] {
        let (digest, _) = push_for(&client, machine, layer).await;
        children.push(digest);
    }
    // What a builder attests is in the index as an image of an unknown platform.
    children.push(push_for(&client, "unknown", "attestation").await.0);
    let index = testing::content::index(&children);
    client.put_manifest("app", "1.0", &index).await.is(201);
    let browser = Browser::of(&registry, "admin").await;
    let first = html(&browser.get("/repositories/app/-/manifests/1.0").await.is(200));
    shows(&first, &["aria-label=\"Platform\"", "platform=linux%2Farm64", "one of 2 images", "amd64 was here"]);
    assert!(!first.contains("arm64 was here") && !first.contains("platform=unknown"), "{first}");
    let second = html(&browser.get("/repositories/app/-/manifests/1.0?platform=linux%2Farm64").await.is(200));
    shows(&second, &["arm64 was here", "Layers<span class=\"count\">1"]);
    // One that it does not have shows the first.
    let other = html(&browser.get("/repositories/app/-/manifests/1.0?platform=%22%3E%3Cscript%3E").await.is(200));
    shows(&other, &["amd64 was here"]);
}

/// Pushes an image for a machine; its descriptor in an index.
async fn push_for(client: &testing::session::Client, machine: &str, layer: &str) -> (serde_json::Value, String) {
    let config = serde_json::json!({
        "os": if machine == "unknown" { machine } else { "linux" }, "architecture": machine,
        "config": { "Env": [format!("NOTE={machine} was here")] },
        "rootfs": { "type": "layers", "diff_ids": [] },
    });
    let config = config.to_string();
    let config_digest = client.push_blob("app", config.clone()).await;
    let layer_digest = client.push_blob("app", layer.to_owned()).await;
    let manifest = serde_json::json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {
            "mediaType": "application/vnd.oci.image.config.v1+json", "digest": config_digest, "size": config.len(),
        },
        "layers": [{
            "mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": layer_digest, "size": layer.len(),
        }],
    });
    let pushed = client.put_manifest("app", machine, &manifest).await.is(201);
    let digest = pushed.header("docker-content-digest").to_owned();
    let descriptor = serde_json::json!({
        "mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": digest,
        "size": manifest.to_string().len(), "platform": { "os": if machine == "unknown" { machine } else { "linux" }, "architecture": machine },
    });
    (descriptor, digest)
}
