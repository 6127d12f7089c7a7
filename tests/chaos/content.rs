//! Content to push: blobs that are generated from a seed, and manifests of them.

use crate::dice::Dice;
use bytes::Bytes;
use serde_json::{Value, json};
use std::sync::Arc;
use testing::session::{CONFIG, LAYER, OCI_INDEX, OCI_MANIFEST, image, index, noise, sha256, sha512};

/// The repositories; some are nested.
pub const REPOSITORIES: [&str; 5] = ["a", "a/b", "a/b/c", "team/app", "x"];

/// Number of blobs that all clients use.
const SHARED: u64 = 48;

/// Number of images that all clients push.
const COMMON: u64 = 12;

/// Length of the longest blob.
const LONGEST: usize = 200 << 10;

/// A blob.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content {
    pub digest: String,
    pub len: usize,
    seed: u64,
}

impl Content {
    pub fn new(len: usize, seed: u64) -> Self {
        let bytes = noise(len, seed);
        // One in eight has a sha512 digest.
        let digest = if seed % 8 == 7 { sha512(&bytes) } else { sha256(&bytes) };
        Self { digest, len, seed }
    }

    pub fn bytes(&self) -> Bytes {
        noise(self.len, self.seed)
    }

    fn descriptor(&self, media_type: &str) -> Value {
        json!({ "mediaType": media_type, "digest": self.digest, "size": self.len })
    }
}

/// A manifest to push, and its repository.
#[derive(Debug)]
pub struct Spec {
    pub repository: &'static str,
    pub digest: String,
    pub media_type: &'static str,
    pub bytes: Bytes,
    /// Config and layers.
    pub blobs: Vec<Content>,
    /// Digests of the manifests that an index lists.
    pub children: Vec<String>,
    pub subject: Option<String>,
}

impl Spec {
    fn new(repository: &'static str, manifest: &Value, blobs: Vec<Content>) -> Self {
        let bytes = Bytes::from(manifest.to_string());
        let media_type = if manifest["manifests"].is_array() { OCI_INDEX } else { OCI_MANIFEST };
        let digest = sha256(&bytes);
        Self { repository, digest, media_type, bytes, blobs, children: Vec::new(), subject: None }
    }

    fn descriptor(&self) -> Value {
        json!({ "mediaType": self.media_type, "digest": self.digest, "size": self.bytes.len() })
    }

    /// An image of these blobs; the first one is the config.
    fn image(repository: &'static str, blobs: Vec<Content>) -> Self {
        let layers: Vec<_> = blobs[1..].iter().map(|layer| layer.descriptor(LAYER)).collect();
        Self::new(repository, &image(&blobs[0].descriptor(CONFIG), &layers), blobs)
    }

    /// An index of manifests of the same repository.
    pub fn index(repository: &'static str, children: &[Arc<Self>]) -> Self {
        let descriptors: Vec<_> = children.iter().map(|child| child.descriptor()).collect();
        let children = children.iter().map(|child| child.digest.clone()).collect();
        Self { children, ..Self::new(repository, &index(&descriptors), Vec::new()) }
    }

    /// A referrer of a manifest of the same repository.
    pub fn referrer(subject: &Self, own: Content) -> Self {
        let empty = Content { digest: sha256(b""), len: 0, seed: 0 };
        let mut manifest = image(&empty.descriptor("application/vnd.oci.empty.v1+json"), &[own.descriptor(LAYER)]);
        manifest["artifactType"] = "application/vnd.example.note".into();
        manifest["subject"] = subject.descriptor();
        let spec = Self::new(subject.repository, &manifest, vec![empty, own]);
        Self { subject: Some(subject.digest.clone()), ..spec }
    }
}

/// Content that all clients share.
pub struct Pool {
    shared: Vec<Content>,
}

impl Pool {
    pub fn new() -> Self {
        // The first is empty, the last has the maximum length.
        let len = |i: u64| LONGEST * i as usize / (SHARED as usize - 1);
        Self { shared: (0..SHARED).map(|i| Content::new(len(i), i)).collect() }
    }

    /// A unique blob of at least two bytes, usually small.
    pub fn own(&self, dice: &mut Dice) -> Content {
        let len = match dice.below(10) {
            0 => LONGEST - dice.below(1000),
            _ => 2 + dice.below(4000),
        };
        Content::new(len, SHARED + (dice.roll() >> 1))
    }

    /// A blob that all clients use.
    pub fn shared(&self, dice: &mut Dice) -> Content {
        dice.pick(&self.shared).clone()
    }

    /// A unique image; some of its blobs are shared.
    pub fn image(&self, dice: &mut Dice, repository: &'static str) -> Spec {
        let mut blobs = vec![Content::new(100 + dice.below(400), SHARED + (dice.roll() >> 1))];
        for _ in 0..2 + dice.below(3) {
            let shared = dice.chance(60);
            blobs.push(if shared { self.shared(dice) } else { self.own(dice) });
        }
        Spec::image(repository, blobs)
    }

    /// An image that other clients push as well.
    pub fn common_image(&self, dice: &mut Dice, repository: &'static str) -> Spec {
        let which = dice.below(COMMON as usize) as u64;
        self.image(&mut Dice::new(which, 0), repository)
    }
}
