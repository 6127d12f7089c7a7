//! Immutable tags, as clients see them.

use http::Method;
use serde_json::Value;
use std::time::Duration;
use testing::{
    registry::{Registry, Setup},
    session::{Client, OCI_MANIFEST, Reply, descriptor, image, index, sha256},
};
use wharfinger::registry::settings::ImmutableTags;

/// Tags that look like versions never change in repositories of the team.
fn versions(setup: &mut Setup) {
    let repositories = vec!["team/**".parse().unwrap()].into();
    setup.settings.immutable = vec![ImmutableTags { repositories, tags: "v[0-9.]+".parse().unwrap() }];
}

/// The digest that a tag points to.
async fn behind(registry: &Registry, tag: &str) -> String {
    registry.read(format!("/v2/team/app/manifests/{tag}")).await.header("docker-content-digest").to_owned()
}

#[tokio::test]
async fn an_immutable_tag_may_be_pushed_again_with_the_same_content() {
    let registry = Registry::with(versions).await;
    let (digest, release) = registry.push_image("team/app", "v1.0", "release").await;
    registry.put_manifest("team/app", "v1.0", &release).await.is(201);
    let (other, fix) = registry.push_image("team/app", "fix", "quick fix").await;
    let refused = registry.put_manifest("team/app", "v1.0", &fix).await;
    refused.refused(409, "DENIED");
    let said = refused.json()["errors"][0]["message"].to_string();
    assert!(said.contains("tag v1.0 is immutable"), "{said}");
    assert_eq!(behind(&registry, "v1.0").await, digest);
    assert_ne!(digest, other);
    // In other repositories, and with other names, tags move as before.
    registry.push_image("others/app", "v1.0", "a").await;
    registry.push_image("others/app", "v1.0", "b").await;
    registry.push_image("team/app", "latest", "a").await;
    registry.push_image("team/app", "latest", "b").await;
}

#[tokio::test]
async fn a_release_cannot_be_deleted() {
    let registry = Registry::with(versions).await;
    let (digest, _) = registry.push_image("team/app", "v1.0", "release").await;
    for reference in ["v1.0", &digest] {
        registry.delete(format!("/v2/team/app/manifests/{reference}")).await.refused(409, "DENIED");
    }
    assert_eq!(behind(&registry, "v1.0").await, digest);
    let (other, _) = registry.push_image("team/app", "dev", "other").await;
    registry.delete(format!("/v2/team/app/manifests/{other}")).await.is(202);
}

#[tokio::test]
async fn a_push_of_many_tags_sets_all_or_none() {
    let registry = Registry::with(versions).await;
    registry.push_image("team/app", "v1.0", "release").await;
    let (digest, next) = registry.push_image("team/app", "next", "next").await;
    let put = async |query: &str| {
        let target = format!("/v2/team/app/manifests/{digest}?{query}");
        let media_type = next["mediaType"].as_str().unwrap();
        registry.ask(http::Method::PUT, target).header("content-type", media_type).body(next.to_string()).send().await
    };
    put("tag=v1.1&tag=latest&tag=v1.0").await.refused(409, "DENIED");
    assert_eq!(registry.tags("team/app").await, ["next", "v1.0"]);
    put("tag=v1.1&tag=latest").await.is(201);
    assert_eq!(registry.tags("team/app").await, ["latest", "next", "v1.0", "v1.1"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn exactly_one_of_sixteen_concurrent_releases_wins() {
    let registry = Registry::with(versions).await;
    let config = registry.push_blob("team/app", "{}").await;
    assert!(!config.is_empty());
    for round in 0..10 {
        let tag = format!("v{round}");
        let racers: Vec<_> = (0..16)
            .map(|i| {
                let (client, tag) = (testing::session::Client::new(registry.address()), tag.clone());
                let mut manifest = index(&[]);
                manifest["annotations"] = serde_json::json!({ "racer": format!("{round} {i}") });
                tokio::spawn(async move { client.put_manifest("team/app", &tag, &manifest).await })
            })
            .collect();
        let mut won = Vec::new();
        for racer in racers {
            let reply = racer.await.unwrap();
            match reply.status.as_u16() {
                201 => won.push(reply.header("docker-content-digest").to_owned()),
                _ => reply.refused(409, "DENIED"),
            }
        }
        assert_eq!(won.len(), 1);
        assert_eq!(behind(&registry, &tag).await, won[0]);
    }
}

#[tokio::test]
async fn signatures_are_added_to_a_release() {
    let all = |setup: &mut Setup| {
        let repositories = vec!["**".parse().unwrap()].into();
        setup.settings.immutable = vec![ImmutableTags { repositories, tags: ".*".parse().unwrap() }];
    };
    let registry = Registry::with(all).await;
    let (digest, release) = registry.push_image("team/app", "v1.0", "release").await;
    let fallback = digest.replace(':', "-");
    let mut signed = image(&release["config"], &[]);
    for signature in ["one", "two"] {
        signed["annotations"] = serde_json::json!({ "signature": signature });
        registry.put_manifest("team/app", &format!("{fallback}.sig"), &signed).await.is(201);
        let mut listed = index(&[]);
        listed["annotations"] = serde_json::json!({ "with": signature });
        registry.put_manifest("team/app", &fallback, &listed).await.is(201);
    }
    registry.put_manifest("team/app", "v1.0", &signed).await.refused(409, "DENIED");
}

/// The entry of an index for a manifest.
fn entry(manifest: &Value) -> Value {
    descriptor(manifest["mediaType"].as_str().unwrap(), manifest.to_string().as_bytes())
}

/// Refused, because the image of this tag needs it.
#[track_caller]
fn needed_by(tag: &str, reply: &Reply) {
    reply.refused(403, "DENIED");
    let said = reply.json()["errors"][0]["message"].to_string();
    assert!(said.contains(&format!("the image of tag {tag} needs this")), "{said}");
}

#[tokio::test]
async fn no_part_of_a_release_can_be_deleted() {
    let registry = Registry::with(versions).await;
    let (amd64, first) = registry.push_image("team/app", "amd64", "for amd64").await;
    let (_, second) = registry.push_image("team/app", "arm64", "for arm64").await;
    let inner = index(&[entry(&second)]);
    registry.put_manifest("team/app", "inner", &inner).await.is(201);
    let cache = registry.push_blob("team/app", "a blob that an index lists").await;
    let whole =
        index(&[entry(&first), entry(&inner), descriptor("application/x-cache", b"a blob that an index lists")]);
    registry.put_manifest("team/app", "v1.0", &whole).await.is(201);
    registry.push_image("team/app", "v2.0", "another release").await;

    let blob = |digest: &str| format!("/v2/team/app/blobs/{digest}");
    let manifest = |reference: &str| format!("/v2/team/app/manifests/{reference}");
    let (layer, config) = (sha256(b"layer of for arm64"), second["config"]["digest"].as_str().unwrap());
    for target in
        [blob(&layer), blob(config), blob(&cache), manifest(&amd64), manifest(&sha256(inner.to_string().as_bytes()))]
    {
        needed_by("v1.0", &registry.delete(&target).await);
        registry.read(&target).await;
    }
    needed_by("v2.0", &registry.delete(blob(&sha256(b"layer of another release"))).await);
    // Other tags of the same manifests can be deleted, and so can what no release needs.
    for tag in ["amd64", "inner"] {
        registry.delete(manifest(tag)).await.is(202);
    }
    let (dev, _) = registry.push_image("team/app", "dev", "not released").await;
    registry.delete(blob(&sha256(b"layer of not released"))).await.is(202);
    registry.delete(manifest(&dev)).await.is(202);
    registry.delete(blob(&sha256(b"unknown"))).await.refused(404, "BLOB_UNKNOWN");
    // In other repositories no tag is immutable.
    registry.push_image("others/app", "v1.0", "for arm64").await;
    registry.delete(format!("/v2/others/app/blobs/{layer}")).await.is(202);
}

#[tokio::test]
async fn content_of_no_release_can_be_deleted() {
    let registry = Registry::with(|setup| {
        versions(setup);
        setup.settings.protect_children = true;
    })
    .await;
    let (digest, manifest) = registry.push_image("team/app", "one", "one").await;
    registry.put_manifest("team/app", "all", &index(&[entry(&manifest)])).await.is(201);
    // The index has no immutable tag, so the other protection applies.
    let refused = registry.delete(format!("/v2/team/app/manifests/{digest}")).await;
    refused.refused(403, "DENIED");
    assert!(refused.json()["errors"][0]["message"].to_string().contains("protect_children"));
    registry.delete(format!("/v2/team/app/blobs/{}", sha256(b"layer of one"))).await.is(202);
}

#[tokio::test]
async fn a_release_is_not_served_as_another_type() {
    let registry = Registry::with(versions).await;
    let (_, mut manifest) = registry.push_image("team/app", "dev", "one").await;
    // Only the Content-Type names its type.
    manifest.as_object_mut().unwrap().remove("mediaType");
    let digest = sha256(manifest.to_string().as_bytes());
    let put = async |reference: &str, media_type: &str| {
        let target = format!("/v2/team/app/manifests/{reference}");
        let ask = registry.ask(Method::PUT, target).header("content-type", media_type);
        ask.body(manifest.to_string()).send().await
    };
    let docker = "application/vnd.docker.distribution.manifest.v2+json";
    put(&digest, docker).await.is(201);
    put("v1.0", OCI_MANIFEST).await.is(201);
    for reference in [digest.as_str(), "v1.0", "latest"] {
        needed_by("v1.0", &put(reference, docker).await);
    }
    put(&digest, OCI_MANIFEST).await.is(201);
    assert_eq!(registry.read("/v2/team/app/manifests/v1.0").await.header("content-type"), OCI_MANIFEST);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_layer_that_is_deleted_while_its_image_is_released_is_not_in_the_release() {
    let registry = Registry::with(versions).await;
    let (mut released, mut deleted) = (0, 0);
    for round in 0..60 {
        let name = format!("team/app{round}");
        let (_, manifest) = registry.push_image(&name, "dev", "x").await;
        let (pusher, into) = (Client::new(registry.address()), name.clone());
        let push = tokio::spawn(async move { pusher.put_manifest(&into, "v1", &manifest).await.status });
        // Sometimes before, sometimes after.
        tokio::time::sleep(Duration::from_micros(150 * (round % 12))).await;
        let delete = registry.delete(format!("/v2/{name}/blobs/{}", sha256(b"layer of x"))).await;
        match (push.await.unwrap().as_u16(), delete.status.as_u16()) {
            (201, 403) => released += 1,
            (400, 202) => deleted += 1,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(released + deleted, 60);
}
