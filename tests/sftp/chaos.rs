//! With write-behind, daemon and server are killed again and again while images are pushed. What was acknowledged must
//! be there afterwards, for this daemon and on the server.

use super::{BEHIND, Site};
use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use testing::{
    content::{descriptor, image, noise, sha256},
    session::Client,
};

const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";

fn kills() -> u64 {
    std::env::var("WHARFINGER_TEST_SFTP_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(6)
}

/// Pushes an image; `None` if that was not acknowledged.
async fn push(client: &Client, tag: &str, seed: u64) -> Option<String> {
    let layer = noise(200_000, seed);
    let config = format!("{{\"seed\":{seed}}}");
    let manifest = image(&descriptor(CONFIG, config.as_bytes()), &[descriptor(LAYER, &layer)]);
    for blob in [layer, config.into()] {
        let begun = client.ask(http::Method::POST, "/v2/chaos/blobs/uploads/").try_send().await.ok()?;
        let location = (begun.status == 202).then(|| begun.header("location").to_owned())?;
        let mark = if location.contains('?') { '&' } else { '?' };
        let target = format!("{location}{mark}digest={}", sha256(&blob));
        let put = client.ask(http::Method::PUT, target).body(blob).try_send().await.ok()?;
        (put.status == 201).then_some(())?;
    }
    let text = manifest.to_string();
    let put = client.ask(http::Method::PUT, format!("/v2/chaos/manifests/{tag}"));
    let put = put.header("content-type", "application/vnd.oci.image.manifest.v1+json").body(text.clone());
    (put.try_send().await.ok()?.status == 201).then(|| sha256(text.as_bytes()))
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_acknowledged_is_lost_when_daemon_and_server_are_killed() {
    let Some(mut site) = Site::new("kills") else { return };
    let mut daemon = site.daemon("one", BEHIND);
    let client = Arc::new(Mutex::new(daemon.address()));
    let acknowledged: Arc<Mutex<Vec<(String, String)>>> = Arc::default();
    let is_over = Arc::new(AtomicBool::new(false));
    let pushers: Vec<_> = (0..3_u64)
        .map(|pusher| {
            let (client, acknowledged, is_over) = (client.clone(), acknowledged.clone(), is_over.clone());
            tokio::spawn(async move {
                let mut number = 0;
                while !is_over.load(Ordering::Relaxed) {
                    number += 1;
                    let client = Client::new(*client.lock().unwrap());
                    let tag = format!("t-{pusher}-{number}");
                    match push(&client, &tag, pusher * 100_000 + number).await {
                        Some(digest) => acknowledged.lock().unwrap().push((tag, digest)),
                        None => tokio::time::sleep(Duration::from_millis(50)).await,
                    }
                }
            })
        })
        .collect();
    for kill in 0..kills() {
        tokio::time::sleep(Duration::from_millis(400 + kill * 37 % 700)).await;
        if kill % 2 == 0 {
            daemon.kill();
            daemon = site.daemon("one", BEHIND);
            *client.lock().unwrap() = daemon.address();
        } else {
            site.server.kill();
            tokio::time::sleep(Duration::from_millis(kill * 53 % 300)).await;
            site.server.resume();
        }
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    is_over.store(true, Ordering::Relaxed);
    for pusher in pushers {
        pusher.await.unwrap();
    }
    let acknowledged = acknowledged.lock().unwrap().clone();
    for (tag, digest) in &acknowledged {
        assert_eq!(&super::pull(&daemon, "chaos", tag).await, digest, "{tag}");
    }
    site.uploaded(&daemon).await;
    drop(daemon);
    // Without the journal: what is on the server alone.
    let daemon = site.daemon("one", &[]);
    for (tag, digest) in &acknowledged {
        assert_eq!(&super::pull(&daemon, "chaos", tag).await, digest, "{tag} on the server");
    }
    // Whatever else is there is whole.
    for tag in daemon.tags("chaos").await {
        super::pull(&daemon, "chaos", &tag).await;
    }
    println!("{} pushes acknowledged and found again, {} kills", acknowledged.len(), kills());
    assert!(!acknowledged.is_empty());
}
