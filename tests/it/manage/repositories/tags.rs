//! Tags by the API: lists in several orders, setting, deleting, copying.

use super::{field, items, push_platform, registry};
use http::Method;
use serde_json::{Value, json};
use testing::{managed::Managed, session::*};

const TAGS: &str = "/repositories/team/app/-/tags";

/// Alice's repository `team/app` with these tags, each of an image of its own.
async fn with_tags(tags: &[&str]) -> Managed {
    let registry = registry();
    for tag in tags {
        registry.user("alice").client.push_image("team/app", tag, tag).await;
    }
    registry
}

#[tokio::test]
async fn tags_are_listed_in_natural_order_by_version_time_and_size() {
    let registry = with_tags(&["v10", "v9", "latest", "v10-rc.1"]).await;
    let alice = registry.user("alice");
    let large = "x".repeat(5000);
    alice.client.push_image("team/app", "a-large-one", &large).await;
    for (query, expected) in [
        ("", "a-large-one latest v9 v10 v10-rc.1"),
        ("?order=desc", "v10-rc.1 v10 v9 latest a-large-one"),
        ("?sort=version", "v10 v10-rc.1 v9 latest a-large-one"),
        ("?sort=version&order=asc", "a-large-one latest v9 v10-rc.1 v10"),
        ("?sort=pushed", "a-large-one v10-rc.1 latest v9 v10"),
        ("?q=v10", "v10 v10-rc.1"),
    ] {
        assert_eq!(field(&alice, &format!("{TAGS}{query}"), "name").await.join(" "), expected, "{query}");
        // The same in pages, of which each continues the one before.
        let (mut paged, mut next) =
            (Vec::new(), Some(format!("/api/v1{TAGS}{query}{}n=2", if query.is_empty() { "?" } else { "&" })));
        while let Some(target) = next {
            let page = alice.client.get(&target).await.is(200);
            paged.extend(
                page.json()["items"].as_array().unwrap().iter().map(|item| item["name"].as_str().unwrap().to_owned()),
            );
            next = page.next().map(str::to_owned);
        }
        assert_eq!(paged.join(" "), expected, "{query} in pages");
    }
    assert_eq!(field(&alice, &format!("{TAGS}?sort=size"), "name").await[0], "a-large-one");
    for query in ["?sort=colour", "?order=up", "?sort=size&last=7", "?n=x"] {
        assert_eq!(alice.get(&format!("{TAGS}{query}")).await.status, 400, "{query}");
    }
    alice.get("/repositories/team/none/-/tags").await.refused(404, "NOT_FOUND");
    registry.user("bob").get(TAGS).await.refused(404, "NOT_FOUND");
}

#[tokio::test]
async fn a_tag_is_shown_with_all_that_is_known_of_it() {
    let registry = registry();
    let alice = registry.user("alice");
    let (amd, amd_len) = push_platform(&alice.client, "team/app", "", "amd64", "shared layer").await;
    let (arm, arm_len) = push_platform(&alice.client, "team/app", "", "arm64", "shared layer").await;
    let child = |digest: &str, len: usize, architecture: &str| {
        json!({ "mediaType": OCI_MANIFEST, "digest": digest, "size": len,
                "platform": { "os": "linux", "architecture": architecture } })
    };
    let list = index(&[child(&amd, amd_len, "amd64"), child(&arm, arm_len, "arm64")]);
    alice.client.put_manifest("team/app", "v1", &list).await.is(201);
    alice.client.put_manifest("team/app", "latest", &list).await.is(201);
    alice.client.read("/v2/team/app/manifests/v1").await;
    let item = alice.get(&format!("{TAGS}/v1")).await.is(200).json();
    assert_eq!((&item["kind"], &item["media_type"]), (&json!("index"), &json!(OCI_INDEX)));
    assert_eq!((&item["platforms"], &item["aliases"]), (&json!(["linux/amd64", "linux/arm64"]), &json!(["latest"])));
    assert_eq!((&item["pushed_by"], &item["immutable"]), (&json!("alice"), &json!(false)));
    assert_eq!((&item["has_signature"], &item["last_pulled_at"].is_string()), (&json!(false), &true));
    let configs = ["amd64", "arm64"].map(|name| {
        let config = json!({
            "os": "linux", "architecture": name, "config": { "Env": [format!("ARCH={name}")] },
            "history": [{ "created_by": "COPY layer" }, { "created_by": "ENV ARCH", "empty_layer": true }],
        });
        config.to_string().len()
    });
    let size = list.to_string().len() + amd_len + arm_len + configs[0] + configs[1] + "shared layer".len();
    assert_eq!(item["size"], size, "the layer that both have counts once");

    let note = json!({
        "schemaVersion": 2, "mediaType": OCI_MANIFEST, "artifactType": "application/vnd.dev.sigstore.bundle.v0.3+json",
        "config": descriptor("application/vnd.oci.empty.v1+json", b"{}"), "layers": [],
        "subject": { "mediaType": OCI_MANIFEST, "digest": amd, "size": amd_len },
    });
    alice.client.push_blob("team/app", "{}").await;
    alice.client.put_manifest("team/app", "signature", &note).await.is(201);
    push_platform(&alice.client, "team/app", "single", "amd64", "shared layer").await;
    let single = alice.get(&format!("{TAGS}/single")).await.is(200).json();
    assert_eq!((&single["has_signature"], &single["platforms"]), (&json!(true), &json!(["linux/amd64"])));
    let signature = alice.get(&format!("{TAGS}/signature")).await.is(200).json();
    assert_eq!(
        (&signature["kind"], &signature["artifact_type"]),
        (&json!("artifact"), &json!("application/vnd.dev.sigstore.bundle.v0.3+json"))
    );
    alice.get(&format!("{TAGS}/none")).await.refused(404, "NOT_FOUND");
    alice.get(&format!("{TAGS}/-x")).await.refused(400, "TAG_INVALID");
}

#[tokio::test]
async fn a_tag_is_pointed_to_another_manifest_as_by_a_push() {
    let registry = registry();
    let (admin, alice) = (registry.admin(), registry.user("alice"));
    let (one, _) = alice.client.push_image("team/app", "v1", "one").await;
    let (two, _) = alice.client.push_image("team/app", "v2", "two").await;
    let path = format!("{TAGS}/stable");
    let set = async |digest: &str| admin.put(&path, &json!({ "digest": digest })).await;
    let item = set(&one).await.is(200).json();
    assert_eq!((&item["digest"], &item["pushed_by"]), (&json!(one), &json!("admin")));
    assert_eq!(alice.client.head("/v2/team/app/manifests/stable").await.header("docker-content-digest"), one);
    let to = |digest: &str| json!({ "digest": digest });
    alice.write_if(Method::PUT, &path, &format!("\"{two}\""), &to(&two)).await.refused(412, "DENIED");
    alice.write_if(Method::PUT, &path, &format!("\"{one}\""), &to(&two)).await.is(200);

    set(&sha256(b"nothing")).await.refused(404, "MANIFEST_UNKNOWN");
    set("v1").await.refused(400, "INVALID_REQUEST");
    registry.user("bob").put(&path, &to(&one)).await.refused(404, "NOT_FOUND");
    admin.patch("/repositories/team/app", &json!({ "immutable_tags": "stable" })).await.is(200);
    set(&one).await.refused(409, "DENIED");
    set(&two).await.is(200);
}

#[tokio::test]
async fn tags_are_deleted_one_by_one_or_many_at_once_after_a_look_at_what_that_does() {
    let registry = with_tags(&["v1", "v2", "v3", "keep"]).await;
    let (admin, alice) = (registry.admin(), registry.user("alice"));
    let digest = alice.get(&format!("{TAGS}/v1")).await.json()["digest"].as_str().unwrap().to_owned();
    alice.put(&format!("{TAGS}/alias"), &json!({ "digest": digest })).await.is(200);
    admin.patch("/repositories/team/app", &json!({ "immutable_tags": "keep" })).await.is(200);

    let deleted = alice.delete(&format!("{TAGS}/v1")).await.is(202).json();
    assert_eq!((&deleted["deleted"], &deleted["untagged"]), (&json!(["v1"]), &json!([])), "it has another tag");
    alice.delete(&format!("{TAGS}/v1")).await.refused(404, "NOT_FOUND");
    alice.delete(&format!("{TAGS}/keep")).await.refused(409, "DENIED");

    let path = format!("{TAGS}/delete");
    let body = |dry_run: bool| json!({ "tags": ["alias", "v2", "keep", "none"], "dry_run": dry_run });
    let planned = alice.post(&path, &body(true)).await.is(200).json();
    assert_eq!(alice.client.tags("team/app").await, ["alias", "keep", "v2", "v3"], "nothing was deleted");
    let mut done = alice.post(&path, &body(false)).await.is(200).json();
    assert_eq!((&done["deleted"], &done["immutable"]), (&json!(["alias", "v2"]), &json!(["keep"])));
    assert_eq!((&done["missing"], done["untagged"].as_array().unwrap().len()), (&json!(["none"]), 2));
    done["dry_run"] = Value::Bool(true);
    assert_eq!(planned, done, "it did what it said");
    assert_eq!(alice.client.tags("team/app").await, ["keep", "v3"]);
    // What lost its last tag can still be pulled.
    alice.client.read(format!("/v2/team/app/manifests/{digest}")).await;

    let many: Vec<String> = (0..1001).map(|i| format!("t{i}")).collect();
    alice.post(&path, &json!({ "tags": many })).await.refused(400, "INVALID_REQUEST");
    alice.post(&path, &json!({ "tags": many[..1000] })).await.is(200);
    alice.post(&path, &json!({ "tags": [] })).await.refused(400, "INVALID_REQUEST");
    registry.user("bob").post(&path, &body(true)).await.refused(404, "NOT_FOUND");
}

#[tokio::test]
async fn images_are_copied_within_the_registry_with_all_that_refers_to_them() {
    let registry = registry();
    let (admin, alice) = (registry.admin(), registry.user("alice"));
    let (amd, amd_len) = push_platform(&admin.client, "secret/app", "", "amd64", "layer").await;
    let list = index(&[json!({ "mediaType": OCI_MANIFEST, "digest": amd, "size": amd_len })]);
    let reply = admin.client.put_manifest("secret/app", "v1", &list).await.is(201);
    let digest = reply.header("docker-content-digest").to_owned();
    admin.client.push_blob("secret/app", "{}").await;
    let note = json!({
        "schemaVersion": 2, "mediaType": OCI_MANIFEST, "artifactType": "text/plain",
        "config": descriptor("application/vnd.oci.empty.v1+json", b"{}"), "layers": [],
        "subject": { "mediaType": OCI_MANIFEST, "digest": amd, "size": amd_len },
    });
    let noted = admin.client.put_manifest("secret/app", &sha256(note.to_string().as_bytes()), &note).await.is(201);
    let noted = noted.header("docker-content-digest").to_owned();
    let signature = format!("{}.sig", digest.replace(':', "-"));
    admin.client.push_image("secret/app", &signature, "a signature").await;

    let copy = |referrers: bool| json!({ "from": "secret/app", "tags": ["v1"], "referrers": referrers });
    alice.post("/repositories/team/copy/-/copy", &copy(false)).await.refused(404, "NOT_FOUND");
    registry.user("bob").post("/repositories/team/copy/-/copy", &copy(false)).await.refused(404, "NOT_FOUND");
    let copied = admin.post("/repositories/team/copy/-/copy", &copy(false)).await.is(200).json();
    assert_eq!(copied, json!({ "tags": [{ "name": "v1", "digest": digest }], "manifests": 2 }));
    assert_eq!(alice.client.tags("team/copy").await, ["v1"]);
    alice.client.read(format!("/v2/team/copy/manifests/{amd}")).await;
    alice.client.read(format!("/v2/team/copy/blobs/{}", sha256(b"layer"))).await;
    let referrers = alice.client.read(format!("/v2/team/copy/referrers/{amd}")).await.json();
    assert_eq!(referrers["manifests"], json!([]));

    let copied = admin.post("/repositories/team/copy/-/copy", &copy(true)).await.is(200).json();
    assert_eq!(copied["manifests"], 4);
    let referrers = alice.client.read(format!("/v2/team/copy/referrers/{amd}")).await.json();
    assert_eq!(referrers["manifests"][0]["digest"], noted);
    assert_eq!(alice.client.tags("team/copy").await, [signature.as_str(), "v1"]);
    let missing = json!({ "from": "secret/app", "tags": ["v2"] });
    admin.post("/repositories/team/copy/-/copy", &missing).await.refused(404, "MANIFEST_UNKNOWN");
}

#[tokio::test]
async fn roles_that_see_set_and_delete_tags_do_so_where_no_rule_decides() {
    let registry = Managed::start(crate::PROGRAM, |files| {
        files.rules = json!({
            "defaultPolicy": "deny",
            "adminUsers": ["admin"],
            "rules": [{ "repository": "app/ruled", "users": ["alice"], "permissions": ["pull"] }],
            "groups": { "keepers": { "members": ["alice"], "roles": ["keeper"] } },
            "roles": { "keeper": {
                "permissions": ["VIEW:TAG", "VIEW:IMAGE", "CREATE:TAG", "DELETE:TAG"], "repositories": ["app/**"],
            } },
        })
        .to_string();
    });
    let (admin, alice) = (registry.admin(), registry.user("alice"));
    for name in ["app/free", "app/ruled", "other"] {
        admin.client.push_image(name, "v1", "x").await;
    }
    let digest = admin.get("/repositories/other/-/tags/v1").await.json()["digest"].clone();
    assert_eq!(items(&alice, "/repositories/app/free/-/tags").await.len(), 1);
    alice.get("/repositories/app/free").await.is(200);
    alice.put("/repositories/app/free/-/tags/v2", &json!({ "digest": digest })).await.is(200);
    alice.delete("/repositories/app/free/-/tags/v1").await.is(202);
    alice.client.get("/v2/app/free/manifests/v2").await.refused(403, "DENIED");
    alice.put("/repositories/app/ruled/-/tags/v2", &json!({ "digest": digest })).await.refused(403, "DENIED");
    alice.delete("/repositories/app/ruled/-/tags/v1").await.refused(403, "DENIED");
    alice.get("/repositories/other/-/tags").await.refused(404, "NOT_FOUND");
}
