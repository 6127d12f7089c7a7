//! Manifests: what one consists of, how two differ, what has no tag and what the rules would delete.

use super::{items, push_platform, registry, registry_where};
use serde_json::json;
use std::time::Duration;
use testing::session::*;

#[tokio::test]
async fn a_manifest_is_shown_with_its_steps_layers_and_referrers() {
    let registry = registry();
    let alice = registry.user("alice");
    let (digest, len) = push_platform(&alice.client, "team/app", "v1", "amd64", "shared layer").await;
    push_platform(&alice.client, "team/app", "v2", "arm64", "shared layer").await;
    push_platform(&alice.client, "team/other", "v1", "riscv64", "shared layer").await;
    alice.client.push_blob("team/app", "{}").await;
    let note = json!({
        "schemaVersion": 2, "mediaType": OCI_MANIFEST, "artifactType": "text/plain",
        "config": descriptor("application/vnd.oci.empty.v1+json", b"{}"), "layers": [],
        "subject": { "mediaType": OCI_MANIFEST, "digest": digest, "size": len },
    });
    alice.client.put_manifest("team/app", "note", &note).await.is(201);

    let view = alice.get("/repositories/team/app/-/manifests/v1").await.is(200).json();
    assert_eq!((&view["digest"], &view["kind"], &view["tags"]), (&json!(digest), &json!("image"), &json!(["v1"])));
    assert_eq!((&view["platforms"], &view["pushed_by"]), (&json!(["linux/amd64"]), &json!("alice")));
    assert_eq!(view["config_content"]["config"]["Env"], json!(["ARCH=amd64"]));
    let layer = sha256(b"shared layer");
    assert_eq!((&view["layers"][0]["digest"], &view["layers"][0]["shared_by"]), (&json!(layer), &json!(1)));
    let steps: Vec<_> = view["history"].as_array().unwrap().iter().map(|step| &step["layer"]).collect();
    assert_eq!(steps, [&json!(layer), &json!(null)], "the second one made none");
    assert_eq!(view["referrers"][0]["artifactType"], "text/plain");
    assert_eq!(sha256(view["raw"].as_str().unwrap().as_bytes()), digest, "byte by byte");
    let by_digest = alice.get(&format!("/repositories/team/app/-/manifests/{digest}")).await.is(200).json();
    assert_eq!(by_digest["layers"], view["layers"]);

    let missing = sha256(b"missing");
    let list = index(&[
        json!({ "mediaType": OCI_MANIFEST, "digest": digest, "size": len, "platform": { "os": "linux", "architecture": "amd64" } }),
        json!({ "mediaType": OCI_MANIFEST, "digest": missing, "size": 7 }),
    ]);
    alice.client.put_manifest("team/app", "list", &list).await.is(201);
    let view = alice.get("/repositories/team/app/-/manifests/list").await.is(200).json();
    let children: Vec<_> =
        view["children"].as_array().unwrap().iter().map(|c| (&c["present"], &c["platform"])).collect();
    assert_eq!(children, [(&json!(true), &json!("linux/amd64")), (&json!(false), &json!(null))]);
    alice.get("/repositories/team/app/-/manifests/none").await.refused(404, "NOT_FOUND");
    registry.user("bob").get("/repositories/team/app/-/manifests/v1").await.refused(404, "NOT_FOUND");
}

#[tokio::test]
async fn two_manifests_are_compared() {
    let registry = registry();
    let alice = registry.user("alice");
    push_platform(&alice.client, "team/app", "v1", "amd64", "shared layer").await;
    push_platform(&alice.client, "team/app", "v2", "arm64", "shared layer").await;
    push_platform(&alice.client, "team/app", "v3", "amd64", "another, longer layer").await;
    let compare = async |query: &str| alice.get(&format!("/repositories/team/app/-/compare?{query}")).await;
    let same = compare("from=v1&to=v1").await.is(200).json();
    assert_eq!((&same["size_difference"], &same["config"], &same["added"]), (&json!(0), &json!([]), &json!([])));
    let config = compare("from=v1&to=v2").await.is(200).json();
    assert_eq!((config["common"].as_array().unwrap().len(), &config["removed"]), (1, &json!([])));
    assert_eq!(
        config["config"],
        json!([
            { "key": "architecture", "from": "amd64", "to": "arm64" },
            { "key": "config.Env", "from": ["ARCH=amd64"], "to": ["ARCH=arm64"] },
        ])
    );
    let layers = compare("from=v1&to=v3").await.is(200).json();
    assert_eq!(layers["removed"][0]["digest"], sha256(b"shared layer"));
    assert_eq!(layers["added"][0]["digest"], sha256(b"another, longer layer"));
    assert_eq!(layers["size_difference"], "another, longer layer".len() - "shared layer".len());
    compare("from=v1").await.refused(400, "INVALID_REQUEST");
    compare("from=v1&to=none").await.refused(404, "NOT_FOUND");
}

#[tokio::test]
async fn untagged_manifests_and_the_plan_of_the_retention_rules_are_shown() {
    let registry = registry_where(|files| {
        // What a push referred to stays for a while after it; here that ends with the next sweep.
        files.vars.push(("REGISTRY_UPLOAD_CLEANUP_INTERVAL", "1".into()));
        files.settings = "[collection]\nsettle_seconds = 0\n\n[[retention]]\nrepositories = [\"team/**\"]\n\
                          keep_last = 1\ndelete_untagged_after_days = 0\n"
            .into();
    });
    let alice = registry.user("alice");
    let (lost, _) = alice.client.push_image("team/app", "v1", "one").await;
    alice.client.push_image("team/app", "v1", "two").await;
    alice.client.push_image("team/app", "v2", "three").await;
    let is_over = async || items(&alice, "/repositories/team/app/-/untagged").await[0]["keep"] == false;
    registry.until(Duration::from_secs(10), "it stays", is_over).await;
    let untagged = items(&alice, "/repositories/team/app/-/untagged").await;
    assert_eq!(untagged.len(), 1);
    assert_eq!(
        (&untagged[0]["digest"], &untagged[0]["kind"], &untagged[0]["keep"]),
        (&json!(lost), &json!("image"), &json!(false))
    );
    let plan = items(&alice, "/repositories/team/app/-/retention/plan").await;
    let verdicts: Vec<_> = plan.iter().map(|item| (item["tag"].as_str(), item["keep"] == true)).collect();
    assert_eq!(verdicts, [(Some("v1"), false), (Some("v2"), true), (None, false)]);
    assert_eq!((&plan[0]["rule"], &plan[2]["digest"]), (&json!(1), &json!(lost)));
    let first = alice.get("/repositories/team/app/-/retention/plan?n=2").await.is(200);
    let second = alice.client.get(first.next().unwrap()).await.is(200).json();
    assert_eq!(second["items"].as_array().unwrap().len(), 1);
    assert_eq!(alice.client.tags("team/app").await, ["v1", "v2"], "only a plan");
}

#[tokio::test]
async fn its_owner_sees_who_may_do_what_in_a_repository_and_why() {
    let registry = registry();
    let (admin, alice) = (registry.admin(), registry.user("alice"));
    alice.post("/repositories", &json!({ "name": "alice/app", "visibility": "public" })).await.is(201);
    let access = items(&alice, "/repositories/alice/app/-/access").await;
    let who: Vec<_> =
        access.iter().map(|item| (item["who"].as_str().unwrap(), item["actions"].as_array().unwrap().len())).collect();
    assert_eq!(who, [("admin", 3), ("alice", 3), ("anonymous", 1), ("bob", 1)]);
    assert_eq!(
        (&access[1]["reasons"][1]["step"], &access[1]["reasons"][1]["reason"]),
        (&json!("facts"), &json!("this user owns the repository"))
    );
    registry.user("bob").get("/repositories/alice/app/-/access").await.refused(403, "DENIED");
    registry.nobody().get("/repositories/alice/app/-/access").await.refused(401, "UNAUTHORIZED");
    let page = admin.get("/repositories/alice/app/-/access?n=1&last=admin").await.is(200).json();
    assert_eq!((&page["items"][0]["who"], &page["next"]), (&json!("alice"), &json!("alice")));
}
