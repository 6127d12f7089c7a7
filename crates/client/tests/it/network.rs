//! An unreliable network between the client and a registry.

use crate::{daemon::Daemon, words::*};
use client::{Client, PageRequest, ProgressCallback, PushOptions, PushOutcome, RegistryAddress, TransferPhase};
use futures_util::TryStreamExt as _;
use oci::{Algorithm, Hasher, Tag, media_type::OCI_MANIFEST};
use serde_json::json;
use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
};

/// Bytes that may pass before each break of a connection, last one first.
type Breaks = Arc<Mutex<Vec<usize>>>;

/// Forwards connections, and breaks one whenever the next number of bytes has passed in either direction.
async fn network(to: SocketAddr, breaks: Vec<usize>) -> (RegistryAddress, Breaks) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let registry = listener.local_addr().unwrap().to_string().parse().unwrap();
    let breaks: Breaks = Arc::new(Mutex::new(breaks));
    let left = breaks.clone();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let server = TcpStream::connect(to).await.unwrap();
            let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
            let (up, down) = (left.clone(), left.clone());
            tokio::spawn(async move {
                tokio::select! {
                    () = pass(from_client, to_server, &up) => {}
                    () = pass(from_server, to_client, &down) => {}
                }
            });
        }
    });
    (registry, breaks)
}

async fn pass(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, breaks: &Breaks) {
    let mut bytes = vec![0; 16 << 10];
    while let Ok(read @ 1..) = from.read(&mut bytes).await {
        let is_broken = {
            let mut breaks = breaks.lock().unwrap();
            match breaks.last_mut() {
                Some(left) if *left < read => breaks.pop().is_some(),
                Some(left) => {
                    *left -= read;
                    false
                }
                None => false,
            }
        };
        if is_broken || to.write_all(&bytes[..read]).await.is_err() {
            return;
        }
    }
}

/// Pushes and pulls a blob over a network with these breaks.
async fn survives(address: SocketAddr, breaks: Vec<usize>) {
    let (count, (registry, left)) = (breaks.len(), network(address, breaks).await);
    let client = Client::builder(registry).retries(quick()).build();
    let (app, blob) = (repository("broken"), content(8 << 20));
    let resumed = Arc::new(AtomicUsize::new(0));
    let counted = resumed.clone();
    let progress: ProgressCallback = Arc::new(move |phase, _| {
        counted.fetch_add(usize::from(phase == TransferPhase::Resuming), Ordering::SeqCst);
    });
    let options = PushOptions { progress: Some(progress.clone()), ..Default::default() };
    let pushed = client.push_blob(&app, &digest(&blob), 8 << 20, &blob, &options).await.unwrap();
    assert_eq!(pushed, PushOutcome::Uploaded);
    let pulled = client.pull_blob(&app, &digest(&blob), None).progress(progress).bytes(8 << 20).await.unwrap();
    assert_eq!(pulled, blob);
    assert!(left.lock().unwrap().is_empty(), "not all of the {count} breaks happened");
    assert!(resumed.load(Ordering::SeqCst) > 1);
}

#[tokio::test]
async fn blobs_get_through_a_network_that_breaks() {
    let daemon = Daemon::start().await;
    // From the last to the first: twice during the push, then twice during the pull.
    survives(daemon.address(), vec![2 << 20, 5 << 20, 3 << 20, 2 << 20]).await;
}

/// The session of `ours` with another registry, such as Distribution, which must be empty and open to all:
/// `CLIENT_REGISTRY=127.0.0.1:5000 cargo test -p client -- --ignored another`.
#[tokio::test]
#[ignore = "needs a registry in CLIENT_REGISTRY"]
async fn another_registry_passes_a_whole_session() {
    let address: SocketAddr = std::env::var("CLIENT_REGISTRY").unwrap().parse().unwrap();
    let client = Client::new(address.to_string().parse().unwrap());
    let (app, other, layer) = (repository("team/app"), repository("team/other"), content(3 << 20));
    client.ping().await.unwrap();
    let tags: Vec<Tag> = ["v1", "v2", "v3"].map(tag).to_vec();
    let image = push_image(&client, &app, &layer, &tags).await;
    for tag in &tags {
        let head = client.head_manifest(&app, &tagged(tag.as_str())).await.unwrap().unwrap();
        assert_eq!(head.digest, Some(image.clone()));
    }
    assert_eq!(client.pull_blob(&app, &digest(&layer), None).bytes(3 << 20).await.unwrap(), layer);
    let rest = client.pull_blob_from(&app, &digest(&layer), None, 1 << 20).bytes(3 << 20).await.unwrap();
    assert_eq!(rest, layer[1 << 20..]);

    for (length, chunk) in [(0, None), (1, Some(1)), (5, Some(2)), (1000, None), (3 << 20, Some(1 << 20))] {
        for algorithm in Algorithm::ALL {
            let blob = content(length);
            let digest = Hasher::digest(algorithm, &blob);
            let options = PushOptions { chunk, unchecked: true, ..Default::default() };
            client.push_blob(&app, &digest, length as u64, &blob, &options).await.unwrap();
            assert_eq!(client.pull_blob(&app, &digest, None).bytes(8 << 20).await.unwrap(), blob);
        }
    }
    let options = PushOptions { mount_from: Some(app.clone()), ..Default::default() };
    let size = layer.len() as u64;
    assert_eq!(client.push_blob(&other, &digest(&layer), size, &layer, &options).await.unwrap(), PushOutcome::Mounted);

    let listed: Vec<Tag> =
        client.tags(&app, &PageRequest { size: Some(2), after: None }).entries().try_collect().await.unwrap();
    assert_eq!(listed, tags);
    let all: Vec<_> =
        client.catalog(&PageRequest { size: Some(1), after: None }).entries().try_collect().await.unwrap();
    assert!(all.contains(&app) && all.contains(&other), "{all:?}");

    let subject = json!({ "mediaType": OCI_MANIFEST, "digest": image, "size": crate::words::image(&layer).len() });
    let signature = image_with(&layer, json!({ "subject": subject, "artifactType": "application/sig" }));
    let signature = client.push_manifest(&app, OCI_MANIFEST, signature, &[]).await.unwrap();
    let found = client.referrers(&app, &image, Some("application/sig")).await.unwrap();
    assert_eq!(found.into_iter().map(|found| found.digest).collect::<Vec<_>>(), std::slice::from_ref(&signature));
    client.delete_manifest(&app, &signature).await.unwrap();
    assert_eq!(client.referrers(&app, &image, None).await.unwrap(), []);
    survives(address, vec![2 << 20, 5 << 20, 3 << 20, 2 << 20]).await;
}
