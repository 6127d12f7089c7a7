//! One client of a load: requests that check the status, and pushes and pulls of blobs and images.
//!
//! It does only what a load measures, with one connection and without a runtime: the comforts of [`crate::placer`]
//! (tasks, retries, digests that are verified) would take a good part of the machine that it shares with the server.

use serde_json::json;

use crate::Result;
use crate::content::{BenchBlob, Random, digest, unique};
use crate::http::{Body, Dial, HttpConnection, ResponseHead, Sink};

/// The media type of every manifest here.
pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// How a blob is pushed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Upload {
    /// POST, then one PUT with the whole blob.
    Put,
    /// POST, then this many PATCHes of equal length, then an empty PUT.
    Patches(u64),
}

/// A connection with counters.
pub struct Loader {
    pub conn: HttpConnection,
    /// The number of this client within the load.
    pub index: usize,
    /// Its own random numbers.
    pub random: Random,
    /// Content bytes in both directions.
    pub bytes: u64,
    /// Requests that were answered.
    pub requests: u64,
}

impl Loader {
    /// A client that has not connected yet.
    pub fn new(dial: &Dial, index: usize) -> Self {
        Self { conn: HttpConnection::new(dial), index, random: Random::new(unique()), bytes: 0, requests: 0 }
    }

    /// One request; any status but `wanted` is an error.
    pub fn ask(
        &mut self,
        wanted: u16,
        (method, path): (&str, &str),
        headers: &[(&str, &str)],
        body: Body<'_>,
        sink: Sink<'_>,
    ) -> Result<(ResponseHead, u64)> {
        let (head, length) = self.conn.send(method, path, headers, body, sink)?;
        self.requests += 1;
        if head.status != wanted {
            return Err(format!("{method} {path}: {} instead of {wanted}", head.status).into());
        }
        Ok((head, length))
    }

    /// Reads a blob and discards it; another length is an error.
    pub fn pull_blob(&mut self, repository: &str, digest: &str, size: u64) -> Result<()> {
        let (_, length) = self.get(&format!("/v2/{repository}/blobs/{digest}"), Sink::Discard)?;
        if length != size {
            return Err(format!("{digest}: {length} bytes instead of {size}").into());
        }
        self.bytes += length;
        Ok(())
    }

    /// A GET that must succeed.
    pub fn get(&mut self, path: &str, sink: Sink<'_>) -> Result<(ResponseHead, u64)> {
        self.ask(200, ("GET", path), &[("Accept", MANIFEST)], Body::None, sink)
    }

    /// A HEAD that must succeed.
    pub fn head(&mut self, path: &str) -> Result<ResponseHead> {
        Ok(self.ask(200, ("HEAD", path), &[("Accept", MANIFEST)], Body::None, Sink::Discard)?.0)
    }

    /// The whole body of a GET.
    pub fn read(&mut self, path: &str) -> Result<Vec<u8>> {
        let mut kept = Vec::new();
        self.get(path, Sink::Keep(&mut kept))?;
        Ok(kept)
    }

    /// Pushes a blob.
    pub fn push_blob(&mut self, repository: &str, blob: &BenchBlob, upload: Upload) -> Result<()> {
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

    /// Sends a part of an upload, with its range if `from` is given; returns the next location.
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

    /// Closes an upload with the rest of its bytes.
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

    /// Pushes config, layers and manifest, as clients do; with `look`, checks first whether each layer exists.
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
    pub config: BenchBlob,
    pub layers: Vec<BenchBlob>,
    pub manifest: Vec<u8>,
    /// The manifest's digest.
    pub digest: String,
}

impl Image {
    /// An image of these layers, with a unique config.
    pub fn new(layers: Vec<BenchBlob>) -> Self {
        let config = json!({"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": []},
            "author": format!("{:016x}", unique())});
        Self::with_config(BenchBlob::of(config.to_string().into_bytes()), layers)
    }

    /// An image of this config and these layers.
    pub fn with_config(config: BenchBlob, layers: Vec<BenchBlob>) -> Self {
        let descriptor = |media_type: &str, blob: &BenchBlob| json!({"mediaType": media_type, "digest": blob.digest, "size": blob.size});
        let layer = |blob: &BenchBlob| descriptor("application/vnd.oci.image.layer.v1.tar", blob);
        let manifest = json!({"schemaVersion": 2, "mediaType": MANIFEST,
            "config": descriptor("application/vnd.oci.image.config.v1+json", &config),
            "layers": layers.iter().map(layer).collect::<Vec<_>>()});
        let manifest = manifest.to_string().into_bytes();
        let digest = digest(&manifest);
        Self { config, layers, manifest, digest }
    }

    /// The config and the layers.
    pub fn blobs(&self) -> impl Iterator<Item = &BenchBlob> {
        std::iter::once(&self.config).chain(&self.layers)
    }
}
