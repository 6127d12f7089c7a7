//! A place that images are copied from and to: a repository, or a directory.

use crate::{
    commands::content::BOUNDS,
    failure::Failure,
    layout::{LayoutBlob, OciLayout},
    place::ImagePlace,
    session::CommandSession,
};
use bytes::Bytes;
use client::{Client, PageRequest, ProgressCallback, PushOptions, PushOutcome, RemoteBlob};
use oci::{Digest, Manifest, Reference, RepositoryName, Tag};

/// A repository, or a directory in the OCI image layout.
pub enum ImageStore {
    /// A repository.
    Registry(Client, RepositoryName),
    /// A directory.
    Layout(OciLayout),
}

impl ImageStore {
    /// The store of a place.
    pub fn open(place: &ImagePlace, session: &CommandSession) -> Result<Self, Failure> {
        match place {
            ImagePlace::Registry(name) => {
                let (client, repository) = session.registry_of(name)?;
                Ok(Self::Registry(client, repository))
            }
            ImagePlace::Layout(directory, _) => Ok(Self::Layout(OciLayout::at(directory))),
        }
    }

    /// What a name refers to.
    pub fn reference(&self, name: &str) -> Result<Reference, Failure> {
        match self {
            Self::Registry(..) => {
                let tag: Tag =
                    name.parse().map_err(|error| Failure::usage(format!("{name:?} is not a tag: {error}")))?;
                Ok(Reference::Tag(tag))
            }
            Self::Layout(layout) => layout.find(Some(name).filter(|name| !name.is_empty())).map(Reference::Digest),
        }
    }

    /// The digest that a name has here, if it is taken.
    pub async fn resolve(&self, name: &str) -> Result<Option<Digest>, Failure> {
        match self {
            Self::Registry(client, repository) => {
                let head = client.head_manifest(repository, &self.reference(name)?).await?;
                Ok(head.and_then(|head| head.digest))
            }
            Self::Layout(layout) => {
                Ok(layout.names()?.iter().any(|known| known == name).then(|| layout.find(Some(name))).transpose()?)
            }
        }
    }

    /// The names of all images.
    pub async fn tags(&self) -> Result<Vec<String>, Failure> {
        match self {
            Self::Registry(client, repository) => {
                let mut pages = client.tags(repository, &PageRequest { size: None, after: None });
                let mut all = Vec::new();
                while let Some(page) = pages.next_page().await? {
                    all.extend(page.iter().map(|tag| tag.as_str().to_owned()));
                }
                Ok(all)
            }
            Self::Layout(layout) => layout.names(),
        }
    }

    /// A manifest with its media type and digest.
    pub async fn manifest(&self, reference: &Reference) -> Result<(String, Digest, Bytes), Failure> {
        match (self, reference) {
            (Self::Registry(client, repository), reference) => {
                let pulled = client.pull_manifest(repository, reference).await?;
                Ok((pulled.media_type, pulled.digest, pulled.bytes))
            }
            (Self::Layout(layout), reference) => {
                let digest = match reference {
                    Reference::Digest(digest) => digest.clone(),
                    Reference::Tag(tag) => layout.find(Some(tag.as_str()))?,
                };
                let bytes = layout.manifest(&digest)?;
                let parsed = Manifest::parse(&bytes, None, BOUNDS)
                    .map_err(|error| Failure::failed(format!("{digest}: {error}")))?;
                Ok((parsed.media_type.as_str().to_owned(), digest, bytes))
            }
        }
    }

    /// What refers to a manifest.
    pub async fn referrers(&self, subject: &Digest) -> Result<Vec<Digest>, Failure> {
        match self {
            Self::Registry(client, repository) => {
                let found = client.referrers(repository, subject, None).await?;
                Ok(found.into_iter().map(|referrer| referrer.digest).collect())
            }
            Self::Layout(layout) => {
                let mut found = Vec::new();
                let index = layout.read_index()?;
                for entry in index["manifests"].as_array().into_iter().flatten() {
                    let Ok(digest) = entry["digest"].as_str().unwrap_or_default().parse::<Digest>() else { continue };
                    let bytes = layout.manifest(&digest)?;
                    let is_about = Manifest::parse(&bytes, None, BOUNDS)
                        .is_ok_and(|manifest| manifest.subject.as_ref() == Some(subject));
                    if is_about {
                        found.push(digest);
                    }
                }
                Ok(found)
            }
        }
    }

    /// Whether a manifest is here.
    pub async fn has_manifest(&self, digest: &Digest, size: usize) -> Result<bool, Failure> {
        match self {
            Self::Registry(client, repository) => {
                Ok(client.head_manifest(repository, &Reference::Digest(digest.clone())).await?.is_some())
            }
            Self::Layout(layout) => Ok(layout.has(digest, size as u64)),
        }
    }

    /// Whether a manifest is only here if everything that it refers to is. A directory is written by anybody.
    pub fn keeps_what_manifests_need(&self) -> bool {
        matches!(self, Self::Registry(..))
    }

    /// Copies a blob to here.
    pub async fn copy_blob(
        &self,
        from: &Self,
        digest: &Digest,
        size: u64,
        progress: ProgressCallback,
    ) -> Result<PushOutcome, Failure> {
        match (self, from) {
            (Self::Registry(to, target), Self::Registry(client, repository)) => {
                let is_same = client.registry().name() == to.registry().name();
                let mount_from = is_same.then(|| repository.clone()).filter(|repository| repository != target);
                let options = PushOptions { mount_from, progress: Some(progress), ..PushOptions::default() };
                let source = RemoteBlob {
                    client: client.clone(),
                    repository: repository.clone(),
                    digest: digest.clone(),
                    size: Some(size),
                };
                Ok(to.push_blob(target, digest, size, &source, &options).await?)
            }
            (Self::Registry(to, target), Self::Layout(layout)) => {
                let options = PushOptions { progress: Some(progress), ..PushOptions::default() };
                let source = LayoutBlob { path: layout.path(digest) };
                Ok(to.push_blob(target, digest, size, &source, &options).await?)
            }
            (Self::Layout(to), _) if to.has(digest, size) => Ok(PushOutcome::Existed),
            (Self::Layout(to), Self::Registry(client, repository)) => {
                // Verifies the digest itself, and resumes what breaks.
                let mut blob = client.pull_blob(repository, digest, Some(size)).progress(progress);
                let mut file = crate::layout::NewFile::beside(&to.path(digest))?;
                while let Some(bytes) = blob.chunk().await? {
                    file.write(&bytes)?;
                }
                file.finish()?;
                Ok(PushOutcome::Uploaded)
            }
            (Self::Layout(to), Self::Layout(layout)) => {
                to.write(digest, size, &LayoutBlob { path: layout.path(digest) }).await?;
                Ok(PushOutcome::Uploaded)
            }
        }
    }

    /// Writes a manifest under some names.
    pub async fn put_manifest(
        &self,
        media_type: &str,
        digest: &Digest,
        bytes: Bytes,
        tags: &[String],
    ) -> Result<(), Failure> {
        match self {
            Self::Registry(client, repository) => {
                let parse = |tag: &String| {
                    tag.parse::<Tag>().map_err(|error| Failure::usage(format!("{tag:?} is not a tag: {error}")))
                };
                let tags = tags.iter().map(parse).collect::<Result<Vec<_>, _>>()?;
                client.push_manifest(repository, media_type, bytes, &tags).await?;
                Ok(())
            }
            Self::Layout(layout) => {
                let size = bytes.len();
                let is_root = Manifest::parse(&bytes, Some(media_type), BOUNDS).is_ok_and(|m| m.subject.is_some());
                layout.write(digest, size as u64, &bytes).await?;
                for tag in tags {
                    layout.add(media_type, digest, size, Some(tag))?;
                }
                // Nothing else leads to what refers to an image.
                if tags.is_empty() && is_root {
                    layout.add(media_type, digest, size, None)?;
                }
                Ok(())
            }
        }
    }
}
