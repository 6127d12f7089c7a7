//! Sessions with our own registry.

use crate::{
    daemon::{Daemon, DaemonExt as _, password, with_users},
    words::*,
};
use bytes::Bytes;
use client::*;
use oci::{Algorithm, Hasher, media_type::OCI_MANIFEST};
use serde_json::json;
use std::sync::{Arc, Mutex};

#[tokio::test]
async fn an_image_is_pushed_and_pulled() {
    let daemon = Daemon::start().await;
    let (client, app) = (daemon.client(), repository("team/app"));
    client.ping().await.unwrap();
    let layer = content(3 << 20);
    let pushed = push_image(&client, &app, &layer, &[tag("v1")]).await;

    let head = client.head_manifest(&app, &tagged("v1")).await.unwrap().unwrap();
    assert_eq!(
        (head.media_type.as_str(), head.digest, head.size),
        (OCI_MANIFEST, Some(pushed.clone()), Some(image(&layer).len() as u64))
    );
    for reference in [tagged("v1"), by(&pushed)] {
        let pulled = client.pull_manifest(&app, &reference).await.unwrap();
        assert_eq!((pulled.digest, pulled.media_type.as_str()), (pushed.clone(), OCI_MANIFEST));
        assert_eq!(pulled.bytes, image(&layer));
    }
    assert_eq!(client.head_blob(&app, &digest(&layer)).await.unwrap(), Some(3 << 20));
    assert_eq!(client.pull_blob(&app, &digest(&layer), None).bytes(3 << 20).await.unwrap(), layer);
    let rest = client.pull_blob_from(&app, &digest(&layer), Some(3 << 20), 1 << 20).bytes(3 << 20).await.unwrap();
    assert_eq!(rest, layer[1 << 20..]);

    let nothing = client.pull_manifest(&app, &tagged("v2")).await.unwrap_err();
    assert_eq!(nothing.kind(), ErrorKind::NotFound);
    assert_eq!(nothing.registry_errors()[0].code, "MANIFEST_UNKNOWN");
    let shown = nothing.to_string();
    assert!(
        shown.starts_with(&format!("cannot pull manifest {}/team/app:v2: 404 Not Found", daemon.address())),
        "{shown}"
    );
    assert!(client.head_manifest(&app, &tagged("v2")).await.unwrap().is_none());
    assert_eq!(client.head_blob(&app, &digest(b"nothing")).await.unwrap(), None);
    let error = client.pull_blob(&app, &digest(b"nothing"), None).bytes(10).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn blobs_of_every_length_are_pushed_in_every_way() {
    let daemon = Daemon::start().await;
    let (client, app) = (daemon.client(), repository("app"));
    for (length, chunk) in [
        (0, None),
        (1, None),
        (1, Some(1)),
        (5, Some(2)),
        (100, Some(1000)),
        (1 << 20, None),
        ((1 << 20) + 1, None),
        (3 << 20, Some(1 << 20)),
        ((3 << 20) + 1, Some(1 << 20)),
    ] {
        for algorithm in Algorithm::ALL {
            let blob: Bytes = [content(length), format!("{chunk:?}").into()].concat().into();
            let blob = if length < 2 { content(length) } else { blob };
            let digest = Hasher::digest(algorithm, &blob);
            let options = PushOptions { chunk, unchecked: true, ..Default::default() };
            let pushed = client.push_blob(&app, &digest, blob.len() as u64, &blob, &options).await.unwrap();
            assert_eq!(pushed, PushOutcome::Uploaded);
            assert_eq!(client.pull_blob(&app, &digest, None).bytes(8 << 20).await.unwrap(), blob, "{length} {chunk:?}");
            let again = client.push_blob(&app, &digest, blob.len() as u64, &blob, &PushOptions::default()).await;
            assert_eq!(again.unwrap(), PushOutcome::Existed);
        }
    }
}

#[tokio::test]
async fn a_manifest_is_pushed_by_another_algorithm() {
    let daemon = Daemon::start().await;
    let (client, app, layer) = (daemon.client(), repository("app"), content(10));
    push_image(&client, &app, &layer, &[]).await;
    let digest = Hasher::digest(Algorithm::Sha512, &image(&layer));
    client.push_manifest_as(&app, OCI_MANIFEST, image(&layer), &digest, &[tag("v1")]).await.unwrap();
    assert_eq!(client.pull_manifest(&app, &tagged("v1")).await.unwrap().digest, digest);
    let wrong = Hasher::digest(Algorithm::Sha512, b"other");
    let error = client.push_manifest_as(&app, OCI_MANIFEST, image(&layer), &wrong, &[]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Digest, "{error}");
}

#[tokio::test]
async fn a_blob_of_another_repository_is_mounted() {
    let daemon = Daemon::start().await;
    let client = daemon.client();
    let (from, to, blob) = (repository("from"), repository("to"), content(1000));
    client.push_blob(&from, &digest(&blob), 1000, &blob, &PushOptions::default()).await.unwrap();
    let options = PushOptions { mount_from: Some(from), ..Default::default() };
    // A source that is not needed is not read.
    let unread = |_| async { Err(std::io::Error::other("read")) };
    assert_eq!(client.push_blob(&to, &digest(&blob), 1000, &unread, &options).await.unwrap(), PushOutcome::Mounted);
    let other = content(2000);
    assert_eq!(client.push_blob(&to, &digest(&other), 2000, &other, &options).await.unwrap(), PushOutcome::Uploaded);
}

#[tokio::test]
async fn a_blob_is_copied_between_registries_without_a_file() {
    let (one, other) = (Daemon::start().await, Daemon::start().await);
    let (app, blob) = (repository("app"), content(5 << 20));
    one.client().push_blob(&app, &digest(&blob), 5 << 20, &blob, &PushOptions::default()).await.unwrap();
    let source =
        RemoteBlob { client: one.client(), repository: app.clone(), digest: digest(&blob), size: Some(5 << 20) };
    let seen: Arc<Mutex<Vec<(TransferPhase, u64)>>> = Arc::default();
    let log = seen.clone();
    let progress: ProgressCallback = Arc::new(move |phase, bytes| log.lock().unwrap().push((phase, bytes)));
    let options = PushOptions { progress: Some(progress), ..Default::default() };
    other.client().push_blob(&app, &digest(&blob), 5 << 20, &source, &options).await.unwrap();
    assert_eq!(other.client().pull_blob(&app, &digest(&blob), None).bytes(5 << 20).await.unwrap(), blob);
    let seen = seen.lock().unwrap();
    assert_eq!(seen.last(), Some(&(TransferPhase::Complete, 5 << 20)));
    assert!(seen.contains(&(TransferPhase::Sending, 5 << 20)));
    assert!(seen.windows(2).all(|pair| pair[0].1 <= pair[1].1), "{seen:?}");
}

#[tokio::test]
async fn a_source_that_fails_ends_the_push_and_its_session() {
    let daemon = Daemon::start().await;
    let (app, blob) = (repository("app"), content(3 << 20));
    let short = |_| async {
        let half = content(1 << 20);
        Ok(Box::pin(futures_util::stream::iter([Ok(half)])) as ByteStream)
    };
    let error =
        daemon.client().push_blob(&app, &digest(&blob), 3 << 20, &short, &PushOptions::default()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Source, "{error}");
    assert!(error.to_string().ends_with("the content cannot be read: it is shorter than announced"), "{error}");
    let broken = |_| async { Err(std::io::Error::other("disk on fire")) };
    let error =
        daemon.client().push_blob(&app, &digest(&blob), 3 << 20, &broken, &PushOptions::default()).await.unwrap_err();
    assert!(error.to_string().ends_with("the content cannot be read: disk on fire"), "{error}");
    let wrong = digest(b"other");
    let error = daemon.client().push_blob(&app, &wrong, 3 << 20, &blob, &PushOptions::default()).await.unwrap_err();
    assert_eq!((error.kind(), error.status().unwrap().as_u16()), (ErrorKind::Digest, 400), "{error}");
}

#[tokio::test]
async fn tags_and_repositories_are_listed_page_by_page() {
    let daemon = Daemon::start().await;
    let client = daemon.client();
    let names: Vec<_> = (0..5).map(|i| repository(&format!("team/app{i}"))).collect();
    for name in &names {
        push_image(&client, name, &content(10), &[]).await;
    }
    let tags: Vec<_> = (10..35).map(|i| tag(&format!("v{i}"))).collect();
    client.push_manifest(&names[0], OCI_MANIFEST, image(&content(10)), &tags).await.unwrap();

    let mut pages = client.tags(&names[0], &PageRequest { size: Some(10), after: Some("v10".into()) });
    assert_eq!(pages.next_page().await.unwrap().unwrap(), tags[1..11]);
    assert_eq!(pages.next_page().await.unwrap().unwrap(), tags[11..21]);
    assert_eq!(pages.next_page().await.unwrap().unwrap(), tags[21..]);
    assert!(pages.next_page().await.unwrap().is_none());

    use futures_util::TryStreamExt as _;
    let all: Vec<_> =
        client.catalog(&PageRequest { size: Some(2), after: None }).entries().try_collect().await.unwrap();
    assert_eq!(all, names);
    let error = client.tags(&repository("nothing"), &PageRequest::default()).next_page().await.unwrap_err();
    assert_eq!(error.registry_errors()[0].code, "NAME_UNKNOWN");
    assert!(
        error.to_string().starts_with(&format!("cannot list tags of {}/nothing: 404", daemon.address())),
        "{error}"
    );
}

#[tokio::test]
async fn referrers_are_listed_and_deleted_manifests_are_gone() {
    let daemon = Daemon::start().await;
    let (client, app, layer) = (daemon.client(), repository("app"), content(10));
    let image = push_image(&client, &app, &layer, &[tag("v1"), tag("latest")]).await;
    let subject = json!({ "mediaType": OCI_MANIFEST, "digest": image, "size": crate::words::image(&layer).len() });
    let artifact = |kind: &str| {
        image_with(&layer, json!({ "subject": subject, "artifactType": kind, "annotations": { "kind": kind } }))
    };
    let sbom = client.push_manifest(&app, OCI_MANIFEST, artifact("application/sbom"), &[]).await.unwrap();
    let signature = client.push_manifest(&app, OCI_MANIFEST, artifact("application/sig"), &[]).await.unwrap();

    let found = client.referrers(&app, &image, None).await.unwrap();
    assert_eq!(found.len(), 2);
    let found = client.referrers(&app, &image, Some("application/sig")).await.unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!((&found[0].digest, found[0].artifact_type.as_deref()), (&signature, Some("application/sig")));
    assert_eq!(found[0].annotations.as_ref().unwrap()["kind"], "application/sig");
    assert!(client.head_manifest(&app, &by(&sbom)).await.unwrap().is_some());

    client.delete_tag(&app, &tag("latest")).await.unwrap();
    assert!(client.head_manifest(&app, &tagged("latest")).await.unwrap().is_none());
    client.delete_manifest(&app, &signature).await.unwrap();
    assert_eq!(client.referrers(&app, &image, None).await.unwrap().len(), 1);
    client.delete_manifest(&app, &image).await.unwrap();
    assert!(client.head_manifest(&app, &tagged("v1")).await.unwrap().is_none());
    client.delete_blob(&app, &digest(&layer)).await.unwrap();
    assert_eq!(client.head_blob(&app, &digest(&layer)).await.unwrap(), None);
}

#[tokio::test]
async fn an_image_for_one_platform_is_chosen_from_an_index() {
    let daemon = Daemon::start().await;
    let (client, app) = (daemon.client(), repository("app"));
    let mut children = Vec::new();
    for (i, (architecture, variant)) in [("amd64", None), ("arm64", Some("v8"))].into_iter().enumerate() {
        let layer = content(10 + i);
        let digest = push_image(&client, &app, &layer, &[]).await;
        let platform = json!({ "os": "linux", "architecture": architecture, "variant": variant.unwrap_or_default() });
        children.push(
            json!({ "mediaType": OCI_MANIFEST, "digest": digest, "size": image(&layer).len(), "platform": platform }),
        );
    }
    let index = json!({ "schemaVersion": 2, "mediaType": oci::media_type::OCI_INDEX, "manifests": children });
    client.push_manifest(&app, oci::media_type::OCI_INDEX, index.to_string().into(), &[tag("v1")]).await.unwrap();
    let pulled = client.pull_manifest_for(&app, &tagged("v1"), &"linux/arm64".parse().unwrap()).await.unwrap();
    assert_eq!(pulled.bytes, image(&content(11)));
    let error = client.pull_manifest_for(&app, &tagged("v1"), &"linux/s390x".parse().unwrap()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.to_string().contains("app:v1 for linux/s390x: the image has none for this platform"), "{error}");
}

#[tokio::test]
async fn users_log_in_by_password_and_by_token() {
    for tokens in [false, true] {
        let daemon = with_users(&["alice"], tokens).await;
        let (app, layer) = (repository("app"), content(2 << 20));
        let alice = daemon.client_of("alice");
        assert!(alice.login().await.unwrap().checked);
        push_image(&alice, &app, &layer, &[tag("v1")]).await;
        assert_eq!(alice.pull_manifest(&app, &tagged("v1")).await.unwrap().bytes, image(&layer));
        alice.catalog(&PageRequest::default()).next_page().await.unwrap();
        alice.delete_tag(&app, &tag("v1")).await.unwrap();

        let mallory = Client::builder(daemon.registry()).credentials(password("alice", "guess")).build();
        let error = mallory.login().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unauthorized, "{error}");
        assert!(!format!("{error} {error:?}").contains("guess"));
        let nobody = daemon.client().pull_manifest(&app, &tagged("v1")).await.unwrap_err();
        assert_eq!(nobody.kind(), ErrorKind::Unauthorized, "{nobody}");
    }
}

#[tokio::test]
async fn a_mount_asks_for_the_right_to_pull_from_the_source() {
    let daemon = with_users(&["alice"], true).await;
    let (from, to, blob) = (repository("from"), repository("to"), content(100));
    let alice = daemon.client_of("alice");
    alice.push_blob(&from, &digest(&blob), 100, &blob, &PushOptions::default()).await.unwrap();
    let options = PushOptions { mount_from: Some(from), ..Default::default() };
    assert_eq!(alice.push_blob(&to, &digest(&blob), 100, &blob, &options).await.unwrap(), PushOutcome::Mounted);
}
