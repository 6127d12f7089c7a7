//! Immutable tags, as clients meet them.

use crate::{
    registry::{Registry, Setup},
    session::{image, index},
};
use wharfinger::registry::settings::ImmutableTags;

/// Tags that look like versions never change in repositories of the team.
fn versions(setup: &mut Setup) {
    let repositories = vec!["team/**".parse().unwrap()].into();
    setup.settings.immutable = vec![ImmutableTags { repositories, tags: "v[0-9.]+".parse().unwrap() }];
}

/// The digest behind a tag.
async fn behind(registry: &Registry, tag: &str) -> String {
    registry.read(format!("/v2/team/app/manifests/{tag}")).await.header("docker-content-digest").to_owned()
}

#[tokio::test]
async fn a_release_is_pushed_once_and_the_same_again() {
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
    // Elsewhere, and by other names, tags move as ever.
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
async fn of_sixteen_who_release_at_once_one_does() {
    let registry = Registry::with(versions).await;
    let config = registry.push_blob("team/app", "{}").await;
    assert!(!config.is_empty());
    for round in 0..10 {
        let tag = format!("v{round}");
        let racers: Vec<_> = (0..16)
            .map(|i| {
                let (client, tag) = (crate::session::Client::new(registry.address()), tag.clone());
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
