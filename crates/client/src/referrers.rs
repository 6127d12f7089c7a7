//! What refers to a manifest: by the API, or by the fallback tag of registries without it.

use crate::{
    Client, Error,
    client::lists,
    error::ErrorCause,
    headers,
    manifest::{BOUNDS, pull},
    pages,
    transport::Call,
    url,
};
use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode, header};
use oci::{Digest, Manifest, ManifestType, Reference, RepositoryName, media_type};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// A manifest that refers to another.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Referrer {
    /// Its media type.
    pub media_type: String,
    /// Its digest.
    pub digest: Digest,
    /// Its length in bytes.
    pub size: u64,
    /// What kind of artifact it is.
    #[serde(default)]
    pub artifact_type: Option<String>,
    /// Its annotations.
    #[serde(default)]
    pub annotations: Option<BTreeMap<String, String>>,
}

#[derive(Default, serde::Deserialize)]
struct ReferrersIndex {
    manifests: Option<Vec<Referrer>>,
}

/// Pages of referrers that are read; a registry answers all in one as far as that is possible.
const MOST_PAGES: usize = 1000;

/// Attempts to bring a fallback tag up to date while others do so too.
const MOST_CONFLICTS: usize = 10;

impl Client {
    /// The manifests whose subject is this digest; if a type is given, only the artifacts of that type.
    ///
    /// # Errors
    /// If the registry does not answer the question.
    pub async fn referrers(
        &self,
        repository: &RepositoryName,
        subject: &Digest,
        artifact_type: Option<&str>,
    ) -> Result<Vec<Referrer>, Error> {
        let found = async {
            if let Some(found) = self.referrers_by_api(repository, subject, artifact_type).await? {
                return Ok(found);
            }
            let found = self.fallback_index(repository, subject).await?.0.manifests.unwrap_or_default();
            Ok(of_type(found, artifact_type))
        };
        found.await.map_err(|fault: ErrorCause| fault.during(self.about_blob("list referrers of", repository, subject)))
    }

    /// `None` if the registry has no referrers API.
    async fn referrers_by_api(
        &self,
        repository: &RepositoryName,
        subject: &Digest,
        artifact_type: Option<&str>,
    ) -> Result<Option<Vec<Referrer>>, ErrorCause> {
        let mut call = self.get(&format!("/v2/{repository}/referrers/{subject}"))?;
        call = call.header(header::ACCEPT, media_type::OCI_INDEX)?;
        if let Some(wanted) = artifact_type {
            let filtered = url::with_query(&call.url, &[("artifactType", wanted)]);
            call.url = filtered.map_err(|error| ErrorCause::protocol(error.to_string()))?;
        }
        let mut found = Vec::new();
        for _ in 0..MOST_PAGES {
            let answer = self.read(&call, &pull(repository)).await?;
            let content_type = headers::text(&answer.headers, header::CONTENT_TYPE).unwrap_or_default();
            match answer.status {
                // Some registries answer paths they do not know by a page for people.
                StatusCode::OK if ManifestType::of(content_type) == Some(ManifestType::OciIndex) => {}
                StatusCode::OK | StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED if found.is_empty() => {
                    return Ok(None);
                }
                _ => return Err(answer.fault()),
            }
            let page = pages::json::<ReferrersIndex>(&answer.bytes)?.manifests.unwrap_or_default();
            // Registries need not filter; those that do say so.
            let is_filtered = lists(&answer.headers, "oci-filters-applied", "artifactType");
            found.extend(of_type(page, artifact_type.filter(|_| !is_filtered)));
            match self.page_after(&answer)? {
                Some(next) => call.url = next,
                None => return Ok(Some(found)),
            }
        }
        Err(ErrorCause::protocol(format!("the list has more than {MOST_PAGES} pages")))
    }

    /// The index under the fallback tag, and its headers; an empty one if there is none.
    async fn fallback_index(
        &self,
        repository: &RepositoryName,
        subject: &Digest,
    ) -> Result<(ReferrersIndex, Option<(Bytes, HeaderMap)>), ErrorCause> {
        match self.manifest_with_headers(repository, &Reference::Tag(subject.fallback_tag())).await {
            Ok((pulled, headers)) if pulled.media_type == media_type::OCI_INDEX => {
                Ok((pages::json(&pulled.bytes)?, Some((pulled.bytes, headers))))
            }
            Ok((pulled, _)) => Err(ErrorCause::protocol(format!(
                "the fallback tag {} is of type {}, not an index",
                subject.fallback_tag(),
                crate::text::shown(&pulled.media_type)
            ))),
            Err(fault) if fault.status == Some(StatusCode::NOT_FOUND) => Ok((ReferrersIndex::default(), None)),
            Err(fault) => Err(fault),
        }
    }

    /// Adds a manifest to the fallback tag of its subject (distribution-spec, "Pushing Manifests with Subject").
    pub(crate) async fn refer(
        &self,
        repository: &RepositoryName,
        media_type: &str,
        bytes: &[u8],
        digest: &Digest,
        subject: &Digest,
    ) -> Result<(), ErrorCause> {
        let manifest = Manifest::parse(bytes, Some(media_type), BOUNDS)
            .map_err(|error| ErrorCause::protocol(error.to_string()))?;
        let mut descriptor = json!({ "mediaType": media_type, "digest": digest, "size": bytes.len() });
        if let Some(artifact_type) = manifest.artifact_type() {
            descriptor["artifactType"] = artifact_type.into();
        }
        if !manifest.annotations.is_empty() {
            descriptor["annotations"] = json!(manifest.annotations);
        }
        self.edit_fallback(repository, subject, |manifests| {
            let is_listed = manifests.iter().any(|entry| entry["digest"] == descriptor["digest"]);
            if !is_listed {
                manifests.push(descriptor.clone());
            }
            !is_listed
        })
        .await
    }

    /// Takes a manifest off the fallback tag of its subject, if the registry has no referrers API.
    pub(crate) async fn forget_referrer(
        &self,
        repository: &RepositoryName,
        subject: &Digest,
        digest: &Digest,
    ) -> Result<(), ErrorCause> {
        if self.referrers_by_api(repository, subject, None).await?.is_some() {
            return Ok(());
        }
        self.edit_fallback(repository, subject, |manifests| {
            let before = manifests.len();
            manifests.retain(|entry| entry["digest"] != digest.as_str());
            manifests.len() != before
        })
        .await
    }

    /// Changes the list under a fallback tag. `edit` answers whether it changed anything.
    async fn edit_fallback(
        &self,
        repository: &RepositoryName,
        subject: &Digest,
        edit: impl Fn(&mut Vec<Value>) -> bool,
    ) -> Result<(), ErrorCause> {
        let tag = subject.fallback_tag();
        let mut conflict = None;
        for _ in 0..MOST_CONFLICTS {
            let (_, found) = self.fallback_index(repository, subject).await?;
            let mut index = match &found {
                Some((bytes, _)) => pages::json::<Value>(bytes)?,
                None => json!({ "schemaVersion": 2, "mediaType": media_type::OCI_INDEX, "manifests": [] }),
            };
            let mut manifests = index["manifests"].as_array().cloned().unwrap_or_default();
            if !edit(&mut manifests) {
                return Ok(());
            }
            index["manifests"] = manifests.into();
            let path = format!("/v2/{repository}/manifests/{tag}");
            let call = Call::new(Method::PUT, self.url(&path)?).body(Bytes::from(index.to_string()));
            let mut call = call.header(header::CONTENT_TYPE, media_type::OCI_INDEX)?;
            // Whoever edits the list at the same time must not be overwritten, where the registry can tell.
            match found {
                None => call = call.header(header::IF_NONE_MATCH, "*")?,
                Some((_, headers)) => {
                    if let Some(etag) = headers.get(header::ETAG) {
                        call.headers.insert(header::IF_MATCH, etag.clone());
                    }
                }
            }
            match self.put_manifest_call(repository, call).await {
                Err(fault) if fault.status == Some(StatusCode::PRECONDITION_FAILED) => conflict = Some(fault),
                put => return put.map(|_| ()).map_err(|fault| fault.before(&format!("fallback tag {tag}: "))),
            }
        }
        Err(conflict.unwrap_or_else(|| ErrorCause::protocol("the fallback tag cannot be changed")))
    }
}

/// Those of this type, if one is wanted.
fn of_type(mut referrers: Vec<Referrer>, wanted: Option<&str>) -> Vec<Referrer> {
    referrers.retain(|referrer| wanted.is_none_or(|wanted| referrer.artifact_type.as_deref() == Some(wanted)));
    referrers
}
