//! Manifests: pulled, pushed and deleted by tag or digest.

use crate::{
    Client, Error,
    client::lists,
    error::{ErrorCause, ErrorKind},
    headers,
    login::Scopes,
    transport::Whole,
    url,
};
use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode, header};
use oci::{Digest, Hasher, Manifest, ManifestType, Reference, RepositoryName, Tag, media_type};

/// A manifest as it was pulled. Its bytes have its digest.
#[derive(Clone, Debug)]
pub struct PulledManifest {
    /// What the registry says it is, or the manifest itself if the registry does not say.
    pub media_type: String,
    /// Its digest: the one asked for, or the one that the tag points to.
    pub digest: Digest,
    /// The manifest, as it was pushed.
    pub bytes: Bytes,
}

/// What a registry says about a manifest without sending it. Nothing of it is verified.
#[derive(Clone, Debug)]
pub struct ManifestHead {
    /// Its media type.
    pub media_type: String,
    /// Its digest. Some registries do not say.
    pub digest: Option<Digest>,
    /// Its length in bytes. Some registries do not say.
    pub size: Option<u64>,
}

/// What may come back, most wanted first.
const ACCEPT: &str = "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, \
     application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.docker.distribution.manifest.v2+json";

/// How much of a manifest is looked into: more than a registry accepts.
pub(crate) const BOUNDS: oci::Bounds = oci::Bounds { depth: 64, descriptors: 100_000 };

/// Tags that are named in one request; the specification asks registries to take ten.
const TAGS_AT_ONCE: usize = 10;

impl Client {
    /// Pulls a manifest and verifies it.
    ///
    /// # Errors
    /// Of the kind [`ErrorKind::NotFound`] if there is none, [`ErrorKind::Digest`] if the bytes are not
    /// those of the digest.
    pub async fn pull_manifest(
        &self,
        repository: &RepositoryName,
        reference: &Reference,
    ) -> Result<PulledManifest, Error> {
        let pulled = self.manifest_once(repository, reference).await;
        pulled.map_err(|fault| fault.during(self.about("pull manifest", repository, reference)))
    }

    pub(crate) async fn manifest_once(
        &self,
        repository: &RepositoryName,
        reference: &Reference,
    ) -> Result<PulledManifest, ErrorCause> {
        self.manifest_with_headers(repository, reference).await.map(|(manifest, _)| manifest)
    }

    pub(crate) async fn manifest_with_headers(
        &self,
        repository: &RepositoryName,
        reference: &Reference,
    ) -> Result<(PulledManifest, HeaderMap), ErrorCause> {
        let call = self.get(&path(repository, reference))?.header(header::ACCEPT, ACCEPT)?;
        let answer = self.read(&call, &pull(repository)).await?;
        if answer.status != StatusCode::OK {
            return Err(answer.fault());
        }
        let digest = verified(&answer, reference)?;
        let media_type = type_of(&answer.headers, &answer.bytes);
        Ok((PulledManifest { media_type, digest, bytes: answer.bytes }, answer.headers))
    }

    /// Asks about a manifest; `None` if there is none.
    ///
    /// # Errors
    /// If the registry does not answer the question.
    pub async fn head_manifest(
        &self,
        repository: &RepositoryName,
        reference: &Reference,
    ) -> Result<Option<ManifestHead>, Error> {
        let head = async {
            let call = self.request(Method::HEAD, &path(repository, reference))?.header(header::ACCEPT, ACCEPT)?;
            let answer = self.read(&call, &pull(repository)).await?;
            match answer.status {
                StatusCode::NOT_FOUND => Ok(None),
                StatusCode::OK => Ok(Some(ManifestHead {
                    media_type: type_of(&answer.headers, &[]),
                    digest: said_digest(&answer.headers)?,
                    size: headers::text(&answer.headers, header::CONTENT_LENGTH).and_then(|size| size.parse().ok()),
                })),
                _ => Err(answer.fault()),
            }
        };
        head.await.map_err(|fault: ErrorCause| fault.during(self.about("look up manifest", repository, reference)))
    }

    /// Pushes a manifest, under all these tags; without any, under its digest alone.
    ///
    /// If it has a subject and the registry has no referrers API, the subject's fallback tag is
    /// brought up to date.
    ///
    /// # Errors
    /// If the registry does not accept it, or some of the tags.
    pub async fn push_manifest(
        &self,
        repository: &RepositoryName,
        media_type: &str,
        bytes: Bytes,
        tags: &[Tag],
    ) -> Result<Digest, Error> {
        let digest = Hasher::digest(oci::Algorithm::Sha256, &bytes);
        self.push_manifest_as(repository, media_type, bytes, &digest, tags).await?;
        Ok(digest)
    }

    /// Pushes a manifest whose digest is known: of another algorithm, or of another registry.
    ///
    /// # Errors
    /// As [`Client::push_manifest`], and if the bytes do not have the digest.
    pub async fn push_manifest_as(
        &self,
        repository: &RepositoryName,
        media_type: &str,
        bytes: Bytes,
        digest: &Digest,
        tags: &[Tag],
    ) -> Result<(), Error> {
        let push = async {
            if Hasher::digest(digest.algorithm(), &bytes) != *digest {
                return Err(mismatch(digest));
            }
            let subject = self.put_manifest(repository, media_type, &bytes, digest, tags).await?;
            if let Some(subject) = subject.filter(|subject| !subject.known) {
                self.refer(repository, media_type, &bytes, digest, &subject.digest).await?;
            }
            Ok(())
        };
        let name = tags.first().cloned().map_or_else(|| Reference::Digest(digest.clone()), Reference::Tag);
        push.await.map_err(|fault: ErrorCause| fault.during(self.about("push manifest", repository, &name)))
    }

    /// Stores a manifest, and says whether the registry took note of its subject.
    async fn put_manifest(
        &self,
        repository: &RepositoryName,
        media_type: &str,
        bytes: &Bytes,
        digest: &Digest,
        tags: &[Tag],
    ) -> Result<Option<PushedSubject>, ErrorCause> {
        let mut headers = HeaderMap::new();
        let mut left: Vec<&Tag> = tags.iter().collect();
        if tags.len() != 1 || digest.algorithm() != oci::Algorithm::default() {
            // Several tags become visible at once where the registry can do that; and only so can
            // a tag point to a digest of another algorithm.
            for some in tags.chunks(TAGS_AT_ONCE).chain(tags.is_empty().then_some(tags)) {
                let pairs: Vec<(&str, &str)> = some.iter().map(|tag| ("tag", tag.as_str())).collect();
                let by_digest = Reference::Digest(digest.clone());
                let answer = match self.put_one(repository, media_type, bytes, &by_digest, &pairs).await {
                    // Perhaps only the query is too much for it; if not, the next request fails as well.
                    Err(fault) if !pairs.is_empty() && fault.status.is_some_and(|status| status.is_client_error()) => {
                        break;
                    }
                    answer => answer?,
                };
                left.retain(|tag| !(some.contains(tag) && lists(&answer.headers, "oci-tag", tag.as_str())));
                headers = answer.headers;
                if !left.is_empty() && left.len() == tags.len() {
                    break;
                }
            }
        }
        for tag in left {
            headers = self.put_one(repository, media_type, bytes, &Reference::Tag(tag.clone()), &[]).await?.headers;
        }
        let manifest = Manifest::parse(bytes, Some(media_type), BOUNDS).ok();
        let known = headers.contains_key("oci-subject");
        Ok(manifest.and_then(|manifest| manifest.subject).map(|digest| PushedSubject { digest, known }))
    }

    pub(crate) async fn put_one(
        &self,
        repository: &RepositoryName,
        media_type: &str,
        bytes: &Bytes,
        reference: &Reference,
        query: &[(&str, &str)],
    ) -> Result<Whole, ErrorCause> {
        let mut call = self.request(Method::PUT, &path(repository, reference))?.body(bytes.clone());
        call.url = url::with_query(&call.url, query).map_err(|error| ErrorCause::protocol(error.to_string()))?;
        self.put_manifest_call(repository, call.header(header::CONTENT_TYPE, media_type)?).await
    }

    pub(crate) async fn put_manifest_call(
        &self,
        repository: &RepositoryName,
        call: crate::transport::Call,
    ) -> Result<Whole, ErrorCause> {
        let answer = self.read(&call, &Scopes::repository(repository, &["pull", "push"])).await?;
        if !answer.status.is_success() {
            return Err(answer.fault());
        }
        let bytes = call.body.as_deref().unwrap_or_default();
        match said_digest(&answer.headers)? {
            Some(said) if Hasher::digest(said.algorithm(), bytes) != said => Err(mismatch(&said)),
            _ => Ok(answer),
        }
    }

    /// Deletes a manifest, and with it all tags that point to it.
    ///
    /// If it has a subject and the registry has no referrers API, it is taken off the subject's
    /// fallback tag.
    ///
    /// # Errors
    /// If the registry does not do it.
    pub async fn delete_manifest(&self, repository: &RepositoryName, digest: &Digest) -> Result<(), Error> {
        let reference = Reference::Digest(digest.clone());
        let delete = async {
            // Who may delete but not pull leaves the fallback tag as it is.
            let subject = self
                .manifest_once(repository, &reference)
                .await
                .ok()
                .and_then(|pulled| Manifest::parse(&pulled.bytes, Some(&pulled.media_type), BOUNDS).ok()?.subject);
            self.delete(repository, &path(repository, &reference)).await?;
            match subject {
                Some(subject) => self.forget_referrer(repository, &subject, digest).await,
                None => Ok(()),
            }
        };
        let deleted = delete.await;
        deleted.map_err(|fault| fault.during(self.about("delete manifest", repository, &reference)))
    }

    pub(crate) async fn delete(&self, repository: &RepositoryName, path: &str) -> Result<(), ErrorCause> {
        let call = self.request(Method::DELETE, path)?;
        let answer = self.read(&call, &Scopes::repository(repository, &["delete"])).await?;
        if answer.status.is_success() { Ok(()) } else { Err(answer.fault()) }
    }

    /// What an error says was attempted.
    pub(crate) fn about(&self, verb: &str, repository: &RepositoryName, reference: &Reference) -> String {
        let separator = if matches!(reference, Reference::Tag(_)) { ':' } else { '@' };
        format!("{verb} {}/{repository}{separator}{reference}", self.registry())
    }
}

/// What a pushed manifest refers to, and whether the registry knows.
struct PushedSubject {
    digest: Digest,
    known: bool,
}

pub(crate) fn path(repository: &RepositoryName, reference: &Reference) -> String {
    format!("/v2/{repository}/manifests/{reference}")
}

pub(crate) fn pull(repository: &RepositoryName) -> Scopes {
    Scopes::repository(repository, &["pull"])
}

/// The digest of an answer's bytes. The digest that was asked for decides; a tag has none, so what
/// the registry says about it must at least be true.
fn verified(answer: &Whole, reference: &Reference) -> Result<Digest, ErrorCause> {
    let check = |digest: &Digest| match Hasher::digest(digest.algorithm(), &answer.bytes) == *digest {
        true => Ok(()),
        false => Err(mismatch(digest)),
    };
    let said = said_digest(&answer.headers)?;
    if let Some(said) = &said {
        check(said)?;
    }
    match (reference, said) {
        (Reference::Digest(asked), _) => check(asked).map(|()| asked.clone()),
        (Reference::Tag(_), Some(said)) => Ok(said),
        (Reference::Tag(_), None) => Ok(Hasher::digest(oci::Algorithm::Sha256, &answer.bytes)),
    }
}

/// `Docker-Content-Digest`, if the registry sends it and its algorithm is known here.
pub(crate) fn said_digest(headers: &HeaderMap) -> Result<Option<Digest>, ErrorCause> {
    let Some(value) = headers.get("docker-content-digest") else { return Ok(None) };
    match value.to_str().unwrap_or_default().trim().parse() {
        Ok(digest) => Ok(Some(digest)),
        Err(oci::InvalidDigest::Unsupported) => Ok(None),
        Err(oci::InvalidDigest::Grammar) => Err(ErrorCause::protocol("Docker-Content-Digest is not a digest")),
    }
}

pub(crate) fn mismatch(digest: &Digest) -> ErrorCause {
    ErrorCause::new(ErrorKind::Digest, format!("the bytes do not have the digest {digest}"))
}

/// The media type of a manifest: by the header, or by the manifest if that says nothing.
fn type_of(headers: &HeaderMap, bytes: &[u8]) -> String {
    let header = headers::text(headers, header::CONTENT_TYPE).unwrap_or_default();
    if let Some(known) = ManifestType::of(header) {
        return known.as_str().to_owned();
    }
    if media_type::is_generic(header)
        && let Ok(manifest) = Manifest::parse(bytes, None, BOUNDS)
    {
        return manifest.media_type.as_str().to_owned();
    }
    media_type::essence(header).to_owned()
}
