//! Replicas are killed while images are pushed through them, and garbage is collected all the time. What a replica has
//! acknowledged must be there afterwards, on every replica.

use super::bucket::Bucket;
use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};
use testing::{
    content::{descriptor, image, noise, sha256},
    daemon::Daemon,
    session::Client,
};

/// How long to push.
const LENGTH: Duration = Duration::from_secs(20);

const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";

/// Pushes an image; `None` if a replica died meanwhile.
async fn push(client: &Client, name: &str, tag: &str, seed: u64) -> Option<String> {
    let layer = noise(200_000, seed % 7);
    let config = format!("{{\"seed\":{seed}}}");
    let manifest = image(&descriptor(CONFIG, config.as_bytes()), &[descriptor(LAYER, &layer)]);
    for blob in [layer, config.into()] {
        let begun = client.ask(http::Method::POST, format!("/v2/{name}/blobs/uploads/")).try_send().await.ok()?;
        let location = (begun.status == 202).then(|| begun.header("location").to_owned())?;
        let mark = if location.contains('?') { '&' } else { '?' };
        let target = format!("{location}{mark}digest={}", sha256(&blob));
        let put = client.ask(http::Method::PUT, target).body(blob).try_send().await.ok()?;
        (put.status == 201).then_some(())?;
    }
    let text = manifest.to_string();
    let put = client.ask(http::Method::PUT, format!("/v2/{name}/manifests/{tag}"));
    let put = put.header("content-type", "application/vnd.oci.image.manifest.v1+json").body(text.clone());
    (put.try_send().await.ok()?.status == 201).then(|| sha256(text.as_bytes()))
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs SeaweedFS: .ci/run objects"]
async fn nothing_acknowledged_is_lost_when_replicas_are_killed() {
    let bucket = Arc::new(Bucket::new());
    let replicas: Arc<Mutex<Vec<Client>>> = Arc::default();
    let start = || bucket.replica(&[]);
    let mut daemons: Vec<Daemon> = (0..3).map(|_| start()).collect();
    let publish = |daemons: &[Daemon]| {
        *replicas.lock().unwrap() = daemons.iter().map(|daemon| Client::new(daemon.address())).collect();
    };
    publish(&daemons);
    let acknowledged: Arc<Mutex<Vec<(String, String, String)>>> = Arc::default();
    let is_over = Arc::new(AtomicBool::new(false));
    let mut pushers = Vec::new();
    for pusher in 0..4_u64 {
        let (replicas, acknowledged, is_over) = (replicas.clone(), acknowledged.clone(), is_over.clone());
        pushers.push(tokio::spawn(async move {
            let mut number = 0_u64;
            while !is_over.load(Ordering::Relaxed) {
                number += 1;
                let client = {
                    let replicas = replicas.lock().unwrap();
                    Client::new(replicas[(pusher + number) as usize % replicas.len()].address())
                };
                let (name, tag) = (format!("chaos/p{}", pusher % 2), format!("t-{pusher}-{number}"));
                match push(&client, &name, &tag, pusher * 1000 + number).await {
                    Some(digest) => acknowledged.lock().unwrap().push((name, tag, digest)),
                    None => tokio::time::sleep(Duration::from_millis(50)).await,
                }
            }
        }));
    }
    let collecting = {
        let (bucket, is_over) = (bucket.clone(), is_over.clone());
        std::thread::spawn(move || {
            while !is_over.load(Ordering::Relaxed) {
                bucket.command(&["gc", "--now", "--force"]);
            }
        })
    };
    let begun = Instant::now();
    let mut kills = 0;
    while begun.elapsed() < LENGTH {
        tokio::time::sleep(Duration::from_millis(1500)).await;
        daemons.remove(kills % daemons.len()).kill();
        kills += 1;
        daemons.push(start());
        publish(&daemons);
    }
    is_over.store(true, Ordering::Relaxed);
    for pusher in pushers {
        pusher.await.unwrap();
    }
    collecting.join().unwrap();
    let acknowledged = acknowledged.lock().unwrap().clone();
    assert!(acknowledged.len() > 10 && kills > 2, "{} pushes, {kills} kills", acknowledged.len());
    for (name, tag, digest) in &acknowledged {
        let replica = &daemons[tag.len() % daemons.len()];
        let pulled = replica.get(format!("/v2/{name}/manifests/{tag}")).await.is(200);
        assert_eq!(pulled.header("docker-content-digest"), digest, "{name}:{tag}");
        for part in pulled.json()["layers"].as_array().unwrap().iter().chain([&pulled.json()["config"]]) {
            let blob = part["digest"].as_str().unwrap();
            let pulled = replica.get(format!("/v2/{name}/blobs/{blob}")).await.is(200);
            assert_eq!(sha256(&pulled.body), blob, "{name}:{tag}");
        }
    }
    println!("{} pushes acknowledged and found again, {kills} kills", acknowledged.len());
}
