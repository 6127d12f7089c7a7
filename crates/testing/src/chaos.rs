//! Clients that push images all the time while what they push to is killed, and remember what was acknowledged.

use crate::{
    content::{CONFIG, LAYER, OCI_MANIFEST, descriptor, image, noise, sha256},
    session::Client,
};
use http::Method;
use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::task::JoinHandle;

/// An image whose push was acknowledged.
#[derive(Clone, Debug)]
pub struct Acknowledged {
    pub name: String,
    pub tag: String,
    pub digest: String,
}

/// What the clients share.
#[derive(Default)]
struct PusherState {
    /// Where to push to; another one each time.
    targets: Mutex<Vec<SocketAddr>>,
    acknowledged: Mutex<Vec<Acknowledged>>,
    is_over: AtomicBool,
}

/// Clients that push.
pub struct Pushers {
    state: Arc<PusherState>,
    tasks: Vec<JoinHandle<()>>,
}

impl Pushers {
    /// Starts so many clients, which push to two repositories. With `layers`, that many different layers are pushed
    /// again and again; with zero, each image has one of its own.
    pub fn start(clients: u64, layers: u64, targets: Vec<SocketAddr>) -> Self {
        let state = Arc::new(PusherState::default());
        *state.targets.lock().unwrap() = targets;
        let tasks = (0..clients).map(|client| tokio::spawn(push_until_over(state.clone(), client, layers))).collect();
        Self { state, tasks }
    }

    /// From now on, they push there.
    pub fn aim(&self, targets: Vec<SocketAddr>) {
        *self.state.targets.lock().unwrap() = targets;
    }

    /// Ends the clients. Returns what was acknowledged.
    pub async fn end(self) -> Vec<Acknowledged> {
        self.state.is_over.store(true, Ordering::Relaxed);
        for task in self.tasks {
            task.await.unwrap();
        }
        self.state.acknowledged.lock().unwrap().clone()
    }
}

async fn push_until_over(state: Arc<PusherState>, client: u64, layers: u64) {
    let mut number = 0_u64;
    while !state.is_over.load(Ordering::Relaxed) {
        number += 1;
        let target = {
            let targets = state.targets.lock().unwrap();
            targets[(client + number) as usize % targets.len()]
        };
        let (name, tag) = (format!("chaos/p{}", client % 2), format!("t-{client}-{number}"));
        let seed = client * 100_000 + number;
        let layer = if layers == 0 { seed } else { seed % layers };
        match push(&Client::new(target), &name, &tag, seed, layer).await {
            Some(digest) => state.acknowledged.lock().unwrap().push(Acknowledged { name, tag, digest }),
            None => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

/// Pushes an image; `None` if that was not acknowledged.
async fn push(client: &Client, name: &str, tag: &str, seed: u64, layer: u64) -> Option<String> {
    let layer = noise(200_000, layer);
    let config = format!("{{\"seed\":{seed}}}");
    let manifest = image(&descriptor(CONFIG, config.as_bytes()), &[descriptor(LAYER, &layer)]);
    for blob in [layer, config.into()] {
        let begun = client.ask(Method::POST, format!("/v2/{name}/blobs/uploads/")).try_send().await.ok()?;
        let location = (begun.status == 202).then(|| begun.header("location").to_owned())?;
        let mark = if location.contains('?') { '&' } else { '?' };
        let target = format!("{location}{mark}digest={}", sha256(&blob));
        let put = client.ask(Method::PUT, target).body(blob).try_send().await.ok()?;
        (put.status == 201).then_some(())?;
    }
    let text = manifest.to_string();
    let put = client.ask(Method::PUT, format!("/v2/{name}/manifests/{tag}"));
    let put = put.header("content-type", OCI_MANIFEST).body(text.clone());
    (put.try_send().await.ok()?.status == 201).then(|| sha256(text.as_bytes()))
}

/// Pulls an image by its tag with everything in it, and compares all digests. Returns its own.
pub async fn pull(client: &Client, name: &str, tag: &str) -> String {
    let pulled = client.get(format!("/v2/{name}/manifests/{tag}")).await.is(200);
    let manifest = pulled.json();
    for part in manifest["layers"].as_array().unwrap().iter().chain([&manifest["config"]]) {
        let blob = part["digest"].as_str().unwrap();
        let body = client.get(format!("/v2/{name}/blobs/{blob}")).await.is(200).body;
        assert_eq!(sha256(&body), blob, "{name}:{tag}");
    }
    pulled.header("docker-content-digest").to_owned()
}
