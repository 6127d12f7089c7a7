//! Bit rot: one bit of every kind of file, a hundred times over.

use super::fsck;
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};
use testing::{
    registry::Registry,
    session::{image, noise, sha256},
};

/// Every file below a directory.
fn files(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).expect("a listing") {
        let path = entry.expect("an entry").path();
        match path.is_dir() {
            true => files(&path, found),
            false => found.push(path),
        }
    }
}

/// Flips a bit, but never one of the time in a revision, which nothing else records.
fn spoil(path: &Path, random: u64) {
    let mut bytes = fs::read(path).expect("a file");
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let time = text.find("\"pushed\":\"").map(|at| at + 10..at + 10 + text[at + 10..].find('"').expect("its end"));
    let mut at = random as usize % bytes.len();
    while path.to_string_lossy().contains("/revisions/") && time.as_ref().is_some_and(|time| time.contains(&at)) {
        at = (at + 1) % bytes.len();
    }
    bytes[at] ^= 1 << (random >> 32 & 7);
    fs::write(path, bytes).expect("a write");
}

struct Images(BTreeMap<String, (Value, Value)>);

impl Images {
    async fn push(&self, registry: &Registry) {
        for (seed, (manifest, note)) in &self.0 {
            let (config, layer) = (format!("{{\"seed\":\"{seed}\"}}"), layer(seed));
            for content in [config.into_bytes(), layer] {
                let digest = sha256(&content);
                // As clients do: existing blobs are not pushed again.
                if registry.head(format!("/v2/rot/blobs/{digest}")).await.status == 404 {
                    registry.push_blob("rot", content).await;
                }
            }
            registry.put_manifest("rot", seed, manifest).await.is(201);
            let digest = sha256(note.to_string().as_bytes());
            registry.put_manifest("rot", &digest, note).await.is(201);
        }
    }
}

fn layer(seed: &str) -> Vec<u8> {
    noise(5_000, seed[1..].parse::<u64>().expect("a number") + 1).to_vec()
}

#[tokio::test]
async fn one_flipped_bit_in_any_of_a_hundred_files_is_found_and_healed() {
    let registry = Registry::start().await;
    let mut images = Images(BTreeMap::new());
    for n in 0..30 {
        let seed = format!("v{n}");
        let config = format!("{{\"seed\":\"{seed}\"}}");
        let part =
            |kind: &str, content: &[u8]| json!({ "mediaType": kind, "digest": sha256(content), "size": content.len() });
        let config = part("application/vnd.oci.image.config.v1+json", config.as_bytes());
        let manifest = image(&config, &[part("application/vnd.oci.image.layer.v1.tar", &layer(&seed))]);
        let mut note = image(&config, &[]);
        let text = manifest.to_string();
        note["subject"] = part("application/vnd.oci.image.manifest.v1+json", text.as_bytes());
        images.0.insert(seed, (manifest, note));
    }
    images.push(&registry).await;
    fsck(registry.root(), &["--read-data"]).clean();

    let mut all = Vec::new();
    files(&registry.root().join("blobs"), &mut all);
    files(&registry.root().join("repositories/rot/_manifests"), &mut all);
    all.retain(|path| fs::metadata(path).expect("a file").len() > 0);
    all.sort();
    assert!(all.len() > 200, "{}", all.len());
    let mut random = 0x2545_f491_4f6c_dd1d_u64;
    for round in 0..3 {
        let mut spoilt = BTreeSet::new();
        while spoilt.len() < 100 {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            let path = &all[(random >> 16) as usize % all.len()];
            if spoilt.insert(path.clone()) {
                spoil(path, random);
            }
        }
        let found = fsck(registry.root(), &["--read-data"]);
        assert_eq!(found.code, 2);
        let blobs: BTreeSet<_> = found.wrong().iter().map(|finding| finding["path"].as_str().expect("text")).collect();
        for path in &spoilt {
            let path = path.strip_prefix(registry.root()).expect("below").to_str().expect("text");
            let name = path.rsplit('/').next().expect("a name");
            // Damage to a record of a manifest that is damaged too is reported with that manifest only.
            let by_other = path.contains("/_manifests/re")
                && spoilt.iter().any(|other| {
                    let other = other.to_string_lossy();
                    other.contains("/blobs/") && other.ends_with(name.trim_start_matches("sha256-"))
                });
            assert!(blobs.contains(path) || by_other, "round {round}: {path} was not found");
        }
        fsck(registry.root(), &["--read-data", "--repair"]);
        // After a repair the store is consistent; what was lost is pushed again.
        images.push(&registry).await;
        let clean = fsck(registry.root(), &["--read-data"]).clean();
        assert!(clean.summary["blobsRead"].as_u64() >= Some(120));
        for (seed, (manifest, _)) in &images.0 {
            assert_eq!(registry.read(format!("/v2/rot/manifests/{seed}")).await.json(), *manifest);
            let digest = sha256(&layer(seed));
            assert_eq!(registry.read(format!("/v2/rot/blobs/{digest}")).await.body, layer(seed));
        }
    }
}
