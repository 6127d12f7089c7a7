//! Directories as other registries write them.

use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    time::SystemTime,
};
use testing::content::{CONFIG, LAYER, OCI_INDEX, OCI_MANIFEST, descriptor, image, index, noise, sha256};

/// Whose layout a directory has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Writer {
    Distribution,
    Deno,
    Zot,
}

pub const WRITERS: [Writer; 3] = [Writer::Distribution, Writer::Deno, Writer::Zot];

/// A directory that is filled as a registry fills it.
pub struct Tree {
    pub dir: tempfile::TempDir,
    writer: Writer,
    /// The entries of each `index.json`.
    layouts: BTreeMap<String, Vec<Value>>,
}

impl Tree {
    pub fn of(writer: Writer) -> Self {
        Self { dir: tempfile::tempdir().unwrap(), writer, layouts: BTreeMap::new() }
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    fn base(&self) -> PathBuf {
        match self.writer {
            Writer::Distribution => self.path().join("docker/registry/v2"),
            Writer::Deno | Writer::Zot => self.path().to_owned(),
        }
    }

    /// The directory of a repository.
    pub fn repository(&self, name: &str) -> PathBuf {
        match self.writer {
            Writer::Zot => self.path().join(name),
            _ => self.base().join("repositories").join(name),
        }
    }

    /// The file of a blob.
    pub fn blob(&self, name: &str, digest: &str) -> PathBuf {
        let (algorithm, hex) = digest.split_once(':').unwrap();
        match self.writer {
            Writer::Zot => self.path().join(name).join("blobs").join(algorithm).join(hex),
            _ => {
                let path = self.base().join("blobs").join(algorithm).join(&hex[..2]).join(hex);
                if self.writer == Writer::Distribution { path.join("data") } else { path }
            }
        }
    }

    fn link(&self, path: PathBuf, digest: &str) {
        if self.writer != Writer::Zot {
            write(&path.join("link"), digest);
        }
    }

    fn linked(&self, name: &str, below: &str, digest: &str) {
        let (algorithm, hex) = digest.split_once(':').unwrap();
        self.link(self.repository(name).join(below).join(algorithm).join(hex), digest);
    }

    pub fn push_blob(&self, name: &str, content: &[u8]) -> String {
        let digest = sha256(content);
        write(&self.blob(name, &digest), content);
        self.linked(name, "_layers", &digest);
        digest
    }

    pub fn push_manifest(&mut self, name: &str, tag: Option<&str>, manifest: &Value) -> String {
        let bytes = serde_json::to_vec_pretty(manifest).unwrap();
        let digest = sha256(&bytes);
        write(&self.blob(name, &digest), &bytes);
        self.linked(name, "_manifests/revisions", &digest);
        match self.writer {
            Writer::Zot => self.add_entry(name, tag, manifest, &digest, bytes.len()),
            _ => {
                if let Some(tag) = tag {
                    self.tag(name, tag, &digest);
                }
            }
        }
        digest
    }

    /// Points a tag to a manifest.
    pub fn tag(&self, name: &str, tag: &str, digest: &str) {
        self.link(self.repository(name).join("_manifests/tags").join(tag).join("current"), digest);
        if self.writer == Writer::Distribution {
            self.linked(name, &format!("_manifests/tags/{tag}/index"), digest);
        }
    }

    fn add_entry(&mut self, name: &str, tag: Option<&str>, manifest: &Value, digest: &str, size: usize) {
        let annotations = tag.map(|tag| json!({ "org.opencontainers.image.ref.name": tag }));
        let entries = self.layouts.entry(name.to_owned()).or_default();
        let media_type = &manifest["mediaType"];
        entries.push(json!({ "mediaType": media_type, "digest": digest, "size": size, "annotations": annotations }));
        let index = json!({ "schemaVersion": 2, "manifests": entries });
        let dir = self.repository(name);
        write(&dir.join("index.json"), serde_json::to_vec(&index).unwrap());
        write(&dir.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#);
        fs::create_dir_all(dir.join(".uploads")).unwrap();
    }

    /// An image with two layers.
    pub fn push_image(&mut self, name: &str, tag: Option<&str>, seed: u64) -> String {
        let config = format!(r#"{{"architecture":"amd64","os":"linux","seed":{seed}}}"#);
        let layers = [noise(100_000, seed), noise(10, seed + 1000)];
        self.push_blob(name, config.as_bytes());
        layers.iter().for_each(|layer| drop(self.push_blob(name, layer)));
        let layers: Vec<_> = layers.iter().map(|layer| descriptor(LAYER, layer)).collect();
        self.push_manifest(name, tag, &image(&descriptor(CONFIG, config.as_bytes()), &layers))
    }
}

/// Repositories of all kinds: several tags, an index, a signature as a tag, a referrer, an untagged image.
pub fn fill(tree: &mut Tree) {
    let app = tree.push_image("app", Some("v1"), 1);
    let second = tree.push_image("app", Some("v2"), 2);
    tree.push_image("team/sub/app", Some("latest"), 1);
    tree.push_image("team", Some("1.0"), 3);
    tree.push_image("team", None, 4);
    let child = |digest: &str| json!({ "mediaType": OCI_MANIFEST, "digest": digest, "size": 1 });
    tree.push_manifest("app", Some("multi"), &index(&[child(&app), child(&second)]));
    let nothing = tree.push_blob("app", b"{}");
    assert_eq!(nothing, sha256(b"{}"));
    let note = |subject: Option<&str>, name: &str| {
        let mut note = image(&descriptor("application/vnd.example.note", b"{}"), &[]);
        note["annotations"] = json!({ "name": name });
        if let Some(subject) = subject {
            note["subject"] = child(subject);
        }
        note
    };
    tree.push_manifest("app", Some(&format!("{}.sig", app.replace(':', "-"))), &note(None, "signature"));
    tree.push_manifest("app", None, &note(Some(&app), "referrer"));
    // Its platform was never copied.
    let sparse = json!([{ "mediaType": OCI_INDEX, "digest": sha256(b"elsewhere"), "size": 1 }]);
    tree.push_manifest("team", Some("sparse"), &index(sparse.as_array().unwrap()));
}

pub fn write(path: &Path, content: impl AsRef<[u8]>) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

/// Everything below a directory: contents and times.
pub fn snapshot(dir: &Path) -> BTreeMap<PathBuf, (SystemTime, Vec<u8>)> {
    let mut found = BTreeMap::new();
    let mut dirs = vec![dir.to_owned()];
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(&dir).unwrap() {
            let path = entry.unwrap().path();
            let meta = fs::symlink_metadata(&path).unwrap();
            let content = if meta.is_file() { fs::read(&path).unwrap_or_default() } else { Vec::new() };
            found.insert(path.clone(), (meta.modified().unwrap(), content));
            if meta.is_dir() {
                dirs.push(path);
            }
        }
    }
    found
}
