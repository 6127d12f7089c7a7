//! How blobs come in: every way of a push, and every way it goes wrong.

mod chunks;
mod interrupted;
mod mounts;
mod repeated;
mod sessions;
mod whole;
mod writers;

use crate::{registry::Registry, session::*};

/// The bytes a session has on disk.
fn held(registry: &Registry, location: &str) -> Vec<u8> {
    let place = location.rsplit('/').next().unwrap();
    let id = place.split('.').next().unwrap();
    std::fs::read(registry.root().join("uploads").join(id).join("data")).unwrap()
}

/// Waits until a session has so many bytes on disk, without asking: then its client would know of them.
async fn until_arrived(registry: &Registry, location: &str, len: usize) {
    while held(registry, location).len() != len {
        tokio::task::yield_now().await;
    }
}

/// Asks where a session stands until it has at least `least` bytes; how many it has then.
async fn until_held(client: &Client, location: &str, least: usize) -> usize {
    loop {
        let status = client.get(location).await.is(204);
        let last: usize = status.header("range").strip_prefix("0-").unwrap().parse().unwrap();
        if last + 1 >= least {
            return last + 1;
        }
        tokio::task::yield_now().await;
    }
}
