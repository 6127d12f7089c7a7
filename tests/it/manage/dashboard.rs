//! The registry at a glance, and what repositories hold.

use crate::PROGRAM;
use serde_json::{Value, json};
use testing::{managed::Managed, registry::Registry};
use wharfinger::registry::Everything;

async fn dashboard(registry: &Managed, user: &str) -> Value {
    registry.user(user).get("/dashboard").await.is(200).json()
}

fn totals(dashboard: &Value) -> (u64, u64, u64) {
    let number = |key: &str| dashboard[key].as_u64().unwrap();
    (number("total_repositories"), number("total_images"), number("total_groups"))
}

#[tokio::test]
async fn everybody_sees_totals_of_what_they_may_see() {
    let registry = Managed::start(PROGRAM, |files| {
        files.rules = json!({
            "adminUsers": ["admin"],
            "rules": [{ "repository": "${user}/**", "users": ["*"], "permissions": ["pull", "push", "delete"] }],
        })
        .to_string();
    });
    let (admin, alice) = (registry.admin(), registry.user("alice"));
    assert_eq!(totals(&dashboard(&registry, "admin").await), (0, 0, 0));
    alice.client.push_image("alice/app", "v1", "x").await;
    alice.client.push_image("alice/app", "v2", "y").await;
    admin.client.push_image("secret/app", "v1", "z").await;
    assert_eq!(totals(&dashboard(&registry, "alice").await), (1, 2, 1));
    assert_eq!(totals(&dashboard(&registry, "bob").await), (0, 0, 0));
    let all = dashboard(&registry, "admin").await;
    assert_eq!(totals(&all), (2, 3, 2));
    assert_eq!(all["groups"][0]["name"], "alice");
    assert_eq!((&all["groups"][0]["repositories"], &all["groups"][0]["tags"]), (&json!(1), &json!(2)));
    assert_eq!(all["recent"][0]["repository"], "secret/app", "the newest first: {all}");
    assert_eq!((&all["mine"]["access_level"], &all["mine"]["images"]), (&json!("administrator"), &json!(0)));
    assert!(all["storage"]["total"].as_u64().unwrap() > 0);
    // A deletion counts at once.
    alice.client.delete("/v2/alice/app/manifests/v2").await.is(202);
    assert_eq!(totals(&dashboard(&registry, "alice").await), (1, 1, 1));
    // What is public is seen by those who are not logged in, and an owner has repositories.
    admin.put("/repositories/secret/app/-/visibility", &json!({ "visibility": "public" })).await.is(200);
    admin.patch("/repositories/secret/app", &json!({ "owner": "bob" })).await.is(200);
    let nobody = registry.nobody().get("/dashboard").await.is(200).json();
    assert_eq!((totals(&nobody), &nobody["mine"]), ((1, 1, 1), &Value::Null));
    let bob = registry.user("bob");
    bob.client.push_image("bob/app", "v1", "x").await;
    let mine = dashboard(&registry, "bob").await["mine"].clone();
    assert_eq!((&mine["repositories"], &mine["images"]), (&json!(1), &json!(1)), "{mine}");
}

#[tokio::test]
async fn bytes_are_those_of_manifests_and_blobs() {
    let registry = Registry::start().await;
    let (_, manifest) = registry.push_image("app", "v1", "x").await;
    let size = |descriptor: &Value| descriptor["size"].as_u64().unwrap();
    let image = size(&manifest["config"]) + size(&manifest["layers"][0]) + manifest.to_string().len() as u64;
    let inner = registry.inner();
    let held = inner.totals(&Everything).await.unwrap();
    assert_eq!((held.repositories, held.tags, held.manifests, held.bytes), (1, 1, 1, image));
    // The same image elsewhere counts there too; a second tag costs nothing.
    registry.push_image("other/app", "v1", "x").await;
    registry.put_manifest("app", "v2", &manifest).await.is(201);
    let held = inner.totals(&Everything).await.unwrap();
    assert_eq!((held.repositories, held.tags, held.manifests, held.bytes), (2, 3, 2, 2 * image));
    let names = ["app".parse().unwrap(), "absent".parse().unwrap()];
    let outlines = inner.outlines(&names).await.unwrap();
    assert_eq!((outlines[0].tags, outlines[0].blobs, outlines[0].bytes), (2, 2, image));
    assert!(outlines[0].pushed.is_some() && outlines[0].stamp.is_none(), "it has just changed");
    assert_eq!((outlines[1].tags, outlines[1].changed), (0, None));
}

#[tokio::test]
async fn a_key_counts_what_it_is_for_also_after_its_owner_has_looked() {
    let registry = Managed::start(PROGRAM, |_| {});
    let admin = registry.admin();
    admin.client.push_image("base", "v1", "x").await;
    admin.client.push_image("team/app", "v1", "x").await;
    let key = json!({ "name": "ci", "scopes": ["repository:team/**:pull"] });
    let secret = admin.post("/keys", &key).await.is(201).json()["secret"].as_str().unwrap().to_owned();
    let limited = registry.caller(Some(testing::people::password("admin", &secret)));
    for _ in 0..2 {
        assert_eq!(admin.get("/dashboard").await.is(200).json()["total_images"], 2);
        assert_eq!(limited.get("/dashboard").await.is(200).json()["total_images"], 1);
        assert_eq!(limited.get("/namespaces").await.is(200).json()["items"][0]["name"], "team");
    }
}
