//! What a client of a registry does: requests with the status they must have, pushes and pulls of blobs and images.

use serde_json::json;
use sha2::{Digest as _, Sha256};

use crate::Result;
use crate::content::{Blob, Random, digest, named, unique};
use crate::http::{Body, Conn, Dial, Head, Sink};

/// The media type of every manifest here.
pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// How a blob is pushed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Upload {
    /// POST, then all of it in the PUT.
    Put,
    /// POST, so many PATCHes of equal parts, then an empty PUT.
    Patches(u64),
}

/// A connection that counts.
pub struct Client {
    pub conn: Conn,
    /// Which of the clients of this load it is.
    pub index: usize,
    /// Numbers of its own.
    pub random: Random,
    /// Content that went either way.
    pub bytes: u64,
    /// Requests that were answered.
    pub requests: u64,
}

impl Client {
    /// A client that has not connected yet.
    pub fn new(dial: &Dial, index: usize) -> Self {
        Self { conn: Conn::new(dial), index, random: Random::new(unique()), bytes: 0, requests: 0 }
    }

    /// One request; any status but `wanted` is an error.
    pub fn ask(
        &mut self,
        wanted: u16,
        (method, path): (&str, &str),
        headers: &[(&str, &str)],
        body: Body<'_>,
        sink: Sink<'_>,
    ) -> Result<(Head, u64)> {
        let (head, length) = self.conn.send(method, path, headers, body, sink)?;
        self.requests += 1;
        if head.status != wanted {
            return Err(format!("{method} {path}: {} instead of {wanted}", head.status).into());
        }
        Ok((head, length))
    }

    /// Reads a blob and throws it away; another length is an error.
    pub fn pull_blob(&mut self, repository: &str, digest: &str, size: u64) -> Result<()> {
        let (_, length) = self.get(&format!("/v2/{repository}/blobs/{digest}"), Sink::Discard)?;
        if length != size {
            return Err(format!("{digest}: {length} bytes instead of {size}").into());
        }
        self.bytes += length;
        Ok(())
    }

    /// A GET that must succeed.
    pub fn get(&mut self, path: &str, sink: Sink<'_>) -> Result<(Head, u64)> {
        self.ask(200, ("GET", path), &[("Accept", MANIFEST)], Body::None, sink)
    }

    /// A HEAD that must succeed.
    pub fn head(&mut self, path: &str) -> Result<Head> {
        Ok(self.ask(200, ("HEAD", path), &[("Accept", MANIFEST)], Body::None, Sink::Discard)?.0)
    }

    /// What a GET returned, whole.
    pub fn read(&mut self, path: &str) -> Result<Vec<u8>> {
        let mut kept = Vec::new();
        self.get(path, Sink::Keep(&mut kept))?;
        Ok(kept)
    }

    /// Reads a blob and holds it against its digest.
    pub fn verify(&mut self, repository: &str, digest: &str) -> Result<()> {
        let mut hash = Sha256::new();
        self.get(&format!("/v2/{repository}/blobs/{digest}"), Sink::Hash(&mut hash))?;
        let found = named(hash);
        if found == digest { Ok(()) } else { Err(format!("{digest} was served as {found}").into()) }
    }

    /// Pushes a blob.
    pub fn push_blob(&mut self, repository: &str, blob: &Blob, upload: Upload) -> Result<()> {
        let mut location = self.begin(repository)?;
        let mut from = 0;
        if let Upload::Patches(parts) = upload {
            let part = blob.size.div_ceil(parts);
            while from < blob.size {
                let to = (from + part).min(blob.size);
                location = self.patch(&location, (parts > 1).then_some(from), Body::Part(blob, from, to))?;
                from = to;
            }
        }
        self.finish(&location, &blob.digest, Body::Part(blob, from, blob.size))?;
        self.bytes += blob.size;
        Ok(())
    }

    /// Begins an upload; returns its location.
    pub fn begin(&mut self, repository: &str) -> Result<String> {
        let path = format!("/v2/{repository}/blobs/uploads/");
        let (head, _) = self.ask(202, ("POST", &path), &[], Body::None, Sink::Discard)?;
        head.location.ok_or_else(|| "an upload without a Location".into())
    }

    /// Sends a part of an upload, with its range if it is told where it begins; returns the next location.
    pub fn patch(&mut self, location: &str, from: Option<u64>, body: Body<'_>) -> Result<String> {
        let mut headers = vec![("Content-Type", "application/octet-stream")];
        let range;
        if let (Some(from), Body::Part(_, first, end)) = (from, body) {
            range = format!("{from}-{}", from + (end - first) - 1);
            headers.push(("Content-Range", &range));
        }
        let (head, _) = self.ask(202, ("PATCH", location), &headers, body, Sink::Discard)?;
        Ok(head.location.unwrap_or_else(|| location.to_owned()))
    }

    /// Closes an upload with what is left of it.
    pub fn finish(&mut self, location: &str, digest: &str, body: Body<'_>) -> Result<()> {
        let sign = if location.contains('?') { '&' } else { '?' };
        let path = format!("{location}{sign}digest={}", digest.replace(':', "%3A"));
        self.ask(201, ("PUT", &path), &[("Content-Type", "application/octet-stream")], body, Sink::Discard)?;
        Ok(())
    }

    /// Pushes a manifest under a tag or its digest.
    pub fn push_manifest(&mut self, repository: &str, reference: &str, bytes: &[u8]) -> Result<()> {
        let path = format!("/v2/{repository}/manifests/{reference}");
        self.ask(201, ("PUT", &path), &[("Content-Type", MANIFEST)], Body::Bytes(bytes), Sink::Discard)?;
        Ok(())
    }

    /// Pushes config, layers and manifest, as clients do: each layer is asked for first if `look`.
    pub fn push_image(&mut self, repository: &str, tag: &str, image: &Image, look: bool) -> Result<()> {
        for blob in image.blobs() {
            if look && self.has(repository, &blob.digest)? {
                continue;
            }
            self.push_blob(repository, blob, Upload::Put)?;
        }
        self.push_manifest(repository, tag, &image.manifest)
    }

    /// Whether a repository has a blob.
    pub fn has(&mut self, repository: &str, digest: &str) -> Result<bool> {
        let path = format!("/v2/{repository}/blobs/{digest}");
        let (head, _) = self.conn.send("HEAD", &path, &[], Body::None, Sink::Discard)?;
        self.requests += 1;
        match head.status {
            200 => Ok(true),
            404 => Ok(false),
            status => Err(format!("HEAD {path}: {status}").into()),
        }
    }

    /// Pulls an image: its manifest by tag, then config and layers.
    pub fn pull_image(&mut self, repository: &str, tag: &str, image: &Image) -> Result<()> {
        self.get(&format!("/v2/{repository}/manifests/{tag}"), Sink::Discard)?;
        image.blobs().try_for_each(|blob| self.pull_blob(repository, &blob.digest, blob.size))
    }
}

/// Config, layers and the manifest that names them.
#[derive(Clone)]
pub struct Image {
    pub config: Blob,
    pub layers: Vec<Blob>,
    pub manifest: Vec<u8>,
    /// The manifest's digest.
    pub digest: String,
}

impl Image {
    /// An image of these layers, with a config that no other has.
    pub fn new(layers: Vec<Blob>) -> Self {
        let config = json!({"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": []},
            "author": format!("{:016x}", unique())});
        Self::with_config(Blob::of(config.to_string().into_bytes()), layers)
    }

    /// An image of this config and these layers.
    pub fn with_config(config: Blob, layers: Vec<Blob>) -> Self {
        let descriptor =
            |media_type: &str, blob: &Blob| json!({"mediaType": media_type, "digest": blob.digest, "size": blob.size});
        let layer = |blob: &Blob| descriptor("application/vnd.oci.image.layer.v1.tar", blob);
        let manifest = json!({"schemaVersion": 2, "mediaType": MANIFEST,
            "config": descriptor("application/vnd.oci.image.config.v1+json", &config),
            "layers": layers.iter().map(layer).collect::<Vec<_>>()});
        let manifest = manifest.to_string().into_bytes();
        let digest = digest(&manifest);
        Self { config, layers, manifest, digest }
    }

    /// The config and the layers.
    pub fn blobs(&self) -> impl Iterator<Item = &Blob> {
        std::iter::once(&self.config).chain(&self.layers)
    }
}
