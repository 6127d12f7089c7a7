//! Deletions of whole repositories.

use super::{fact, inner};
use serde_json::json;
use std::{
    fs,
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};
use testing::{registry::Registry, session::*};
use wharfinger::{
    access::Visibility,
    registry::{RegistryError, RemovedRepository, Settings, settings::ImmutableTags},
    upkeep::CollectionOptions,
};

/// Files below a directory, with `part` in their path.
fn files(dir: &Path, part: &str) -> usize {
    let Ok(entries) = fs::read_dir(dir) else { return 0 };
    let entries = entries.map(|entry| entry.unwrap().path());
    entries
        .map(|path| if path.is_dir() { files(&path, part) } else { usize::from(path.to_str().unwrap().contains(part)) })
        .sum()
}

#[tokio::test]
async fn everything_of_a_repository_is_deleted_and_nothing_of_another() {
    let registry = Registry::start().await;
    let (digest, manifest) = registry.push_image("team/app", "v1", "one").await;
    registry.push_image("team/app", "v2", "two").await;
    let note = json!({
        "schemaVersion": 2, "mediaType": OCI_MANIFEST, "artifactType": "text/plain", "config": manifest["config"],
        "layers": [], "subject": { "mediaType": OCI_MANIFEST, "digest": digest, "size": manifest.to_string().len() },
    });
    let noted =
        registry.put_manifest("team/app", "note", &note).await.is(201).header("docker-content-digest").to_owned();
    for other in ["team", "team/app/inner", "team/app-b"] {
        registry.push_image(other, "v1", "one").await;
    }
    let app = inner(&registry, "alice", "team/app");
    app.set_visibility(Visibility::Public).await.unwrap();
    app.set_owner(Some(&"alice".parse().unwrap())).await.unwrap();
    app.set_description(Some(&"The app".parse().unwrap())).await.unwrap();
    registry.read("/v2/team/app/manifests/v1").await;
    registry.inner().flush_pulls().await.unwrap();
    let pulls = registry.root().join("state/pulls");
    assert_eq!(files(&pulls, "team+app"), 1);

    let removed = app.delete().await.unwrap();
    assert_eq!(removed, RemovedRepository { tags: 3, manifests: 3, blobs: 4 });
    registry.get("/v2/team/app/tags/list").await.refused(404, "NAME_UNKNOWN");
    for reference in ["v1", "v2", &digest, &noted] {
        registry.get(format!("/v2/team/app/manifests/{reference}")).await.refused(404, "MANIFEST_UNKNOWN");
    }
    let layer = sha256(b"layer of one");
    registry.get(format!("/v2/team/app/blobs/{layer}")).await.refused(404, "BLOB_UNKNOWN");
    let referrers = registry.read(format!("/v2/team/app/referrers/{digest}")).await.json();
    assert_eq!(referrers["manifests"], json!([]));
    assert_eq!(
        ["visibility", "owner", "description", "created"].map(|name| fact(&registry, "team/app", name)),
        [const { None }; 4]
    );
    assert!(!registry.root().join("repositories/_facts/team+app").exists());
    assert_eq!(files(&pulls, "team+app"), 0);
    let graveyard = registry.root().join("graveyard");
    assert_eq!(files(&graveyard, "revisions/team/app/_/sha256"), 3);
    assert_eq!(files(&graveyard, "links/team/app/_/sha256"), 4);
    let mut left: Vec<_> =
        fs::read_dir(registry.root().join("repositories/team/app")).unwrap().map(|e| e.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, ["_intents", "inner"], "notes of pushes that ended disappear by themselves");

    assert_eq!(registry.get("/v2/_catalog").await.strings("repositories"), ["team", "team/app-b", "team/app/inner"]);
    for other in ["team", "team/app/inner", "team/app-b"] {
        registry.read(format!("/v2/{other}/manifests/v1")).await;
        registry.read(format!("/v2/{other}/blobs/{layer}")).await;
    }
    assert!(matches!(app.delete().await, Err(RegistryError::NameUnknown(_))));
    // It can be pushed again, and belongs to nobody.
    registry.push_image("team/app", "v1", "one").await;
    assert_eq!((fact(&registry, "team/app", "owner"), fact(&registry, "team/app", "visibility")), (None, None));
}

#[tokio::test]
async fn what_a_collection_has_condemned_cannot_be_read_after_the_deletion() {
    let registry = Registry::with(|setup| setup.settings.collection.lease = Duration::ZERO).await;
    registry.push_empty_index("team/app", "v1").await;
    let loose = registry.push_blob("team/app", "loose").await;
    registry.inner().collect(CollectionOptions::default(), &()).await.unwrap().unwrap();
    assert_eq!(files(&registry.root().join("graveyard"), "links/team/app/_/sha256"), 1);
    registry.read(format!("/v2/team/app/blobs/{loose}")).await;

    inner(&registry, "alice", "team/app").delete().await.unwrap();
    registry.get(format!("/v2/team/app/blobs/{loose}")).await.refused(404, "BLOB_UNKNOWN");
    registry.push_empty_index("team/app", "v1").await;
    registry.get(format!("/v2/team/app/blobs/{loose}")).await.refused(404, "BLOB_UNKNOWN");
}

#[tokio::test]
async fn a_repository_with_an_immutable_tag_is_not_deleted() {
    let rule = ImmutableTags { repositories: vec!["team/**".parse().unwrap()].into(), tags: "v.*".parse().unwrap() };
    let registry =
        Registry::with(|setup| setup.settings = Settings { immutable: vec![rule], ..Settings::default() }).await;
    let (digest, _) = registry.push_image("team/app", "dev", "one").await;
    registry.push_image("team/app", "v1", "one").await;
    let app = inner(&registry, "alice", "team/app");
    assert!(matches!(app.delete().await, Err(RegistryError::TagImmutable(tag)) if tag.as_str() == "v1"));
    assert_eq!(registry.tags("team/app").await, ["dev", "v1"]);
    registry.read(format!("/v2/team/app/manifests/{digest}")).await;
    // It is not treated as one that is being deleted.
    registry.push_image("team/app", "dev", "two").await;
}

#[tokio::test]
async fn a_damaged_repository_can_be_deleted() {
    let registry = Registry::start().await;
    let digest = registry.push_empty_index("team/app", "v1").await;
    registry.push_empty_index("team/app", "v2").await;
    let repository = registry.root().join("repositories/team/app/_manifests");
    fs::write(repository.join("tags/v1"), "nonsense").unwrap();
    fs::write(repository.join("revisions").join(digest.replace(':', "/")), "{").unwrap();
    inner(&registry, "alice", "team/app").delete().await.unwrap();
    registry.get("/v2/team/app/tags/list").await.refused(404, "NAME_UNKNOWN");
}

#[tokio::test]
async fn pushes_and_collections_beside_deletions_lose_nothing_that_was_acknowledged_after_them() {
    let registry = Registry::with(|setup| {
        setup.settings.collection.lease = Duration::ZERO;
        setup.settings.collection.settle = Duration::ZERO;
        setup.settings.collection.retention = Duration::ZERO;
    })
    .await;
    let ended = AtomicBool::new(false);
    let pushing = async |pusher: usize| {
        let mut last = None;
        for round in 0.. {
            let seed = format!("{pusher} {round}");
            let (config, layer) = (format!("{{\"seed\":\"{seed}\"}}"), format!("layer of {seed}"));
            for blob in [&config, &layer] {
                let target = format!("/v2/team/app/blobs/uploads/?digest={}", sha256(blob.as_bytes()));
                registry.post(target, blob.clone()).await.is(201);
            }
            let manifest = image(&descriptor(CONFIG, config.as_bytes()), &[descriptor(LAYER, layer.as_bytes())]);
            let reply = registry.put_manifest("team/app", &format!("p{pusher}"), &manifest).await;
            match reply.status.as_u16() {
                201 => last = Some((reply.header("docker-content-digest").to_owned(), layer)),
                // The blobs were deleted meanwhile, or the repository is being deleted.
                400 | 503 => last = None,
                _ => panic!("{reply:?}"),
            }
            if ended.load(Ordering::Relaxed) && last.is_some() {
                break;
            }
        }
        last.unwrap()
    };
    let deleting = async {
        for _ in 0..6 {
            match inner(&registry, "alice", "team/app").delete().await {
                Ok(_) | Err(RegistryError::NameUnknown(_)) => {}
                Err(error) => panic!("{error}"),
            }
            registry.inner().collect(CollectionOptions::default(), &()).await.unwrap();
        }
        ended.store(true, Ordering::Relaxed);
    };
    let (pushed, ()) = tokio::join!(futures_util::future::join_all((0..3).map(&pushing)), deleting);
    for (i, (digest, layer)) in pushed.into_iter().enumerate() {
        let reply = registry.read(format!("/v2/team/app/manifests/p{i}")).await;
        assert_eq!(reply.header("docker-content-digest"), digest);
        assert_eq!(registry.read(format!("/v2/team/app/blobs/{}", sha256(layer.as_bytes()))).await.body, layer);
    }
}

#[tokio::test]
async fn of_two_deletions_at_once_one_deletes() {
    let registry = Registry::start().await;
    for i in 0..20 {
        registry.push_image("team/app", &format!("v{i}"), &i.to_string()).await;
    }
    let app = inner(&registry, "alice", "team/app");
    let (one, two) = tokio::join!(app.delete(), app.delete());
    let is_late =
        |error: &RegistryError| matches!(error, RegistryError::NameUnknown(_) | RegistryError::RepositoryLeaving(_));
    match (one, two) {
        (Ok(removed), Err(late)) | (Err(late), Ok(removed)) => assert!(removed.tags == 20 && is_late(&late)),
        other => panic!("{other:?}"),
    }
}
