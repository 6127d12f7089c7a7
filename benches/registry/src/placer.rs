//! Puts content on a registry and checks it, before and after a measured load. It uses the client of this repository,
//! which logs in, retries and verifies digests.

use std::io;

use bytes::Bytes;
use client::{ByteStream, Client, Credential, PushOptions, RegistryAddress, Secret};
use futures_util::stream;
use oci::{Digest, RepositoryName, Tag};
use tokio::runtime::{Builder, Runtime};

use crate::Result;
use crate::content::BenchBlob;
use crate::http::Dial;
use crate::loader::{Image, MANIFEST};

/// A blob is sent in pieces of this length.
const PIECE: u64 = 256 << 10;

/// A client for code that waits for each call.
pub struct Placer {
    client: Client,
    runtime: Runtime,
}

impl Placer {
    /// Connects when it is used.
    pub fn new(dial: &Dial) -> Result<Self> {
        let mut registry: RegistryAddress = dial.url.to_string().parse()?;
        if let Some(trust) = &dial.trust {
            registry = registry.certificate_authorities(trust.pem());
        }
        let mut builder = Client::builder(registry);
        if let Some((user, password)) = &dial.credentials {
            builder = builder.credentials(Credential::Password { user: user.clone(), password: Secret::new(password) });
        }
        let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        Ok(Self { client: builder.build(), runtime })
    }

    /// Pushes a blob, even if it is there.
    pub fn push_blob(&self, repository: &str, blob: &BenchBlob) -> Result<()> {
        let (repository, digest): (RepositoryName, Digest) = (repository.parse()?, blob.digest.parse()?);
        let source = |offset| {
            let blob = blob.clone();
            async move {
                let pieces = (offset..blob.size).step_by(PIECE as usize);
                let bytes = move |from| Ok(Bytes::from(blob.range(from, (from + PIECE).min(blob.size))));
                Ok::<_, io::Error>(Box::pin(stream::iter(pieces.map(bytes))) as ByteStream)
            }
        };
        let options = PushOptions { unchecked: true, ..PushOptions::default() };
        self.runtime.block_on(self.client.push_blob(&repository, &digest, blob.size, &source, &options))?;
        Ok(())
    }

    /// Pushes a manifest under a tag.
    pub fn push_manifest(&self, repository: &str, tag: &str, manifest: &[u8]) -> Result<()> {
        let (repository, tag): (RepositoryName, Tag) = (repository.parse()?, tag.parse()?);
        let bytes = Bytes::copy_from_slice(manifest);
        self.runtime.block_on(self.client.push_manifest(&repository, MANIFEST, bytes, &[tag]))?;
        Ok(())
    }

    /// Pushes config, layers and manifest.
    pub fn push_image(&self, repository: &str, tag: &str, image: &Image) -> Result<()> {
        image.blobs().try_for_each(|blob| self.push_blob(repository, blob))?;
        self.push_manifest(repository, tag, &image.manifest)
    }

    /// Pulls a blob; bytes that do not have its digest are an error.
    pub fn check_blob(&self, repository: &str, digest: &str) -> Result<()> {
        let mut pull = self.client.pull_blob(&repository.parse()?, &digest.parse()?, None);
        while self.runtime.block_on(pull.chunk())?.is_some() {}
        Ok(())
    }

    /// Pulls a manifest by tag or digest; another one than this is an error.
    pub fn check_manifest(&self, repository: &str, reference: &str, digest: &str) -> Result<()> {
        let (repository, reference) = (repository.parse()?, reference.parse()?);
        let pulled = self.runtime.block_on(self.client.pull_manifest(&repository, &reference))?;
        if pulled.digest.to_string() == digest {
            Ok(())
        } else {
            Err(format!("{repository}:{reference} is another manifest, {}", pulled.digest).into())
        }
    }
}
