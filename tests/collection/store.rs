//! A large store, written directly to the disk in the format of `docs/layout.md`: pushing that much would take hours.

use oci::{Algorithm, Hasher};
use serde_json::json;
use std::{
    fs::{self, File},
    path::Path,
    time::{Duration, SystemTime},
};

/// How large a store is.
#[derive(Clone, Copy)]
pub struct Shape {
    pub repositories: usize,
    /// Manifests in each repository, with the tags `v0`, `v1`, ….
    pub manifests: usize,
    /// Layers of each manifest; none is shared.
    pub layers: usize,
    /// Unreferenced blobs in the whole store, last pushed ten days ago.
    pub orphans: usize,
}

impl Shape {
    /// The number of all blobs: layers, configs, manifests and orphans.
    pub fn blobs(self) -> usize {
        self.repositories * self.manifests * (self.layers + 2) + self.orphans
    }
}

/// Number of threads that write.
const THREADS: usize = 4;

/// Fills a new store.
pub fn fill(root: &Path, shape: Shape) {
    std::thread::scope(|scope| {
        for first in 0..THREADS {
            scope.spawn(move || {
                (first..shape.repositories).step_by(THREADS).for_each(|number| repository(root, number, shape));
            });
        }
    });
    let ten_days_ago = SystemTime::now() - Duration::from_secs(10 * 86_400);
    for number in 0..shape.orphans {
        let digest = blob(root, format!("orphan {number}").as_bytes());
        let file = File::options().write(true).open(root.join("blobs/sha256").join(&digest[..2]).join(&digest));
        file.unwrap().set_modified(ten_days_ago).unwrap();
    }
}

/// The name of a repository.
pub fn name(number: usize) -> String {
    format!("org{}/app{number}", number % 10)
}

/// The content of a layer.
pub fn layer(repository: usize, manifest: usize, layer: usize) -> String {
    format!("layer {repository} {manifest} {layer}")
}

pub fn hex(bytes: &[u8]) -> String {
    Hasher::digest(Algorithm::Sha256, bytes).hex().to_owned()
}

/// Writes bytes into the pool; returns the hexadecimal digits of their digest.
fn blob(root: &Path, bytes: &[u8]) -> String {
    let hex = hex(bytes);
    fs::write(root.join("blobs/sha256").join(&hex[..2]).join(&hex), bytes).unwrap();
    hex
}

fn repository(root: &Path, number: usize, shape: Shape) {
    let dir = root.join("repositories").join(name(number));
    let (links, facts) = (dir.join("_layers/sha256"), dir.join("_manifests"));
    for dir in [&links, &facts.join("revisions/sha256"), &facts.join("tags"), &facts.join("tagged/sha256")] {
        fs::create_dir_all(dir).unwrap();
    }
    let descriptor = |media_type: &str, content: &str| {
        let hex = blob(root, content.as_bytes());
        fs::write(links.join(&hex), "").unwrap();
        json!({"mediaType": media_type, "digest": format!("sha256:{hex}"), "size": content.len()})
    };
    for manifest in 0..shape.manifests {
        let config =
            descriptor("application/vnd.oci.image.config.v1+json", &format!("{{\"of\":\"{number} {manifest}\"}}"));
        let layers: Vec<_> = (0..shape.layers)
            .map(|i| descriptor("application/vnd.oci.image.layer.v1.tar+gzip", &layer(number, manifest, i)))
            .collect();
        let media_type = "application/vnd.oci.image.manifest.v1+json";
        let bytes =
            json!({"schemaVersion": 2, "mediaType": media_type, "config": config, "layers": layers}).to_string();
        let hex = blob(root, bytes.as_bytes());
        let revision = json!({"mediaType": media_type, "size": bytes.len(), "pushed": "2026-11-21T05:09:03Z"});
        fs::write(facts.join("revisions/sha256").join(&hex), format!("{revision}\n")).unwrap();
        let tagged = facts.join("tagged/sha256").join(&hex);
        fs::create_dir(&tagged).unwrap();
        fs::write(tagged.join(format!("v{manifest}")), "").unwrap();
        fs::write(facts.join("tags").join(format!("v{manifest}")), format!("sha256:{hex}\n")).unwrap();
    }
}
