//! How blobs come in: every way of a push, and every way it goes wrong.

mod chunks;
mod interrupted;
mod mounts;
mod sessions;
mod whole;
mod writers;

use crate::{registry::Registry, session::*};

/// The bytes a session has on disk.
fn held(registry: &Registry, location: &str) -> Vec<u8> {
    let id = location.rsplit('/').next().unwrap();
    std::fs::read(registry.root().join("uploads").join(id).join("data")).unwrap()
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
