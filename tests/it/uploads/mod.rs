//! Pushes of blobs: every way to push one, and every way it fails.

mod chunks;
mod interrupted;
mod mounts;
mod repeated;
mod sessions;
mod whole;
mod writers;

use testing::{registry::Registry, session::*};

/// The bytes of a session on disk.
fn held(registry: &Registry, location: &str) -> Vec<u8> {
    let place = location.rsplit('/').next().unwrap();
    let id = place.split('.').next().unwrap();
    std::fs::read(registry.root().join("uploads").join(id).join("data")).unwrap()
}

/// Waits until a session has this many bytes on disk, without a request, by which its client would learn of them.
async fn until_arrived(registry: &Registry, location: &str, len: usize) {
    while held(registry, location).len() != len {
        tokio::task::yield_now().await;
    }
}

/// Requests a session's state until it has at least `least` bytes; returns how many it has.
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
