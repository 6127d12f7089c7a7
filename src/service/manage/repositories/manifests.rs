//! Manifests with everything that is known about them, and how two of them differ.

use super::super::super::{
    error::{ApiError, ServiceError},
    gate::Granted,
};
use super::{super::reply::rfc3339, invalid, tags::absent};
use crate::{
    registry::view::{AttachedDetail, AttachedPlace, HistoryStep, ImageView, ManifestDetail, ManifestReader},
    wire::ResponseBody,
};
use api::{
    Page,
    manifests::{
        AttachedManifest, BuildStep, ComparedManifest, ConfigDifference, ManifestComparison, ManifestPart, ManifestView,
    },
};
use http::Response;
use oci::{Descriptor, Reference, RepositoryName};
use serde_json::{Value, json};

/// Tags that are listed with a manifest.
const MOST_TAGS: usize = 100;

/// `GET …/-/manifests/{reference}`.
pub(super) async fn show(
    granted: &Granted,
    name: &RepositoryName,
    reference: &Reference,
) -> Result<Response<ResponseBody>, ServiceError> {
    let repository = granted.repository(name);
    let digest = repository.manifest(reference).await.map_err(absent)?.digest;
    let mut reader = ManifestReader::of(&repository);
    let parts = reader.parts(&digest).await?;
    let manifest = parts.first().ok_or(ApiError::NotFound)?;
    let platforms = reader.platforms(manifest).await?;
    let config = reader.config(manifest).await?;
    let layers = manifest.content.as_ref().map_or(0, |content| content.layers.len());
    let image = config.and_then(|config| ImageView::parse(&config, layers));
    let links = repository.manifest_links().await?;
    let mut children = Vec::new();
    for child in manifest.content.iter().flat_map(|content| &content.children) {
        let known = child.digest.clone().known();
        let present = match &known {
            Some(digest) => reader.get(digest).await?.is_some(),
            None => false,
        };
        let platform = known.and_then(|digest| manifest.children_platforms.get(&digest).map(ToString::to_string));
        children.push(ManifestPart { platform, present: Some(present), ..part(child) });
    }
    let content = manifest.content.as_ref();
    let layer =
        |layer: &Descriptor| ManifestPart { shared_by: Some(links.others_with(layer.digest.as_str())), ..part(layer) };
    let referrers = repository.referrers(&digest, &[], None).await?.descriptors;
    let view = ManifestView {
        digest: digest.to_string(),
        kind: manifest.kind().as_str().to_owned(),
        media_type: manifest.media_type.clone(),
        artifact_type: manifest.artifact_type().map(str::to_owned),
        size: ManifestDetail::size_of(&parts),
        platforms: platforms.iter().map(ToString::to_string).collect(),
        tags: repository.tags_of(&digest, MOST_TAGS).await?.iter().map(ToString::to_string).collect(),
        pushed_at: rfc3339(manifest.pushed),
        pushed_by: granted.user_name(manifest.pushed_by.clone()),
        last_pulled_at: repository.last_pulled_of(&digest).await?.map(rfc3339),
        has_signature: repository.has_signature(&digest).await?,
        annotations: content.map_or(Value::Null, |content| json!(content.annotations)),
        subject: content.and_then(|content| content.subject.as_ref()).map(ToString::to_string),
        config: content.and_then(|content| content.config.as_ref()).map(part),
        history: image.as_ref().map_or_else(Vec::new, |image| history(image, manifest)),
        config_content: image.map(|image| image.config),
        layers: content.iter().flat_map(|content| &content.layers).map(layer).collect(),
        children,
        referrers: referrers.iter().filter_map(|descriptor| serde_json::to_value(descriptor).ok()).collect(),
        raw: granted.registry().manifest_bytes(&digest).await.ok().and_then(|raw| String::from_utf8(raw.into()).ok()),
    };
    granted.resource(&view)
}

fn history(image: &ImageView, manifest: &ManifestDetail) -> Vec<BuildStep> {
    let layers = manifest.content.as_ref().map_or(&[][..], |content| &content.layers);
    let step = |step: &HistoryStep| BuildStep {
        created: step.created.clone(),
        created_by: step.created_by.clone(),
        comment: step.comment.clone(),
        layer: step.layer.and_then(|i| layers.get(i)).map(|layer| layer.digest.as_str().to_owned()),
    };
    image.history.iter().map(step).collect()
}

fn part(descriptor: &Descriptor) -> ManifestPart {
    ManifestPart {
        digest: descriptor.digest.as_str().to_owned(),
        media_type: descriptor.media_type.clone(),
        size: descriptor.size,
        annotations: if descriptor.annotations.is_empty() { Value::Null } else { json!(descriptor.annotations) },
        shared_by: None,
        platform: None,
        present: None,
    }
}

/// `GET …/-/referrers`.
pub(super) async fn attached(granted: &Granted, name: &RepositoryName) -> Result<Response<ResponseBody>, ServiceError> {
    let page = granted.page_query()?;
    let place = |last: &str| {
        let (subject, referrer) = last.split_once('~')?;
        Some(AttachedPlace { subject: subject.parse().ok()?, referrer: referrer.parse().ok()? })
    };
    let unreadable = || invalid("last", "must be next of the page before");
    let after = page.last.as_deref().map(|last| place(last).ok_or_else(unreadable)).transpose()?;
    let (found, more) = granted.repository(name).attached(after.as_ref(), page.n).await?;
    let next = found.last().filter(|_| more).map(|last| format!("{}~{}", last.place.subject, last.place.referrer));
    let item = |detail: &AttachedDetail| AttachedManifest {
        digest: detail.manifest.digest.to_string(),
        subject: detail.place.subject.to_string(),
        has_subject: detail.has_subject,
        subject_tags: detail.subject_tags.iter().map(ToString::to_string).collect(),
        media_type: detail.manifest.media_type.clone(),
        artifact_type: detail.manifest.artifact_type().map(str::to_owned),
        size: detail.size,
        pushed_at: rfc3339(detail.manifest.pushed),
        pushed_by: granted.user_name(detail.manifest.pushed_by.clone()),
    };
    granted.list(&Page::new(found.iter().map(item).collect(), next))
}

/// `GET …/-/compare?from=…&to=…`.
pub(super) async fn compare(granted: &Granted, name: &RepositoryName) -> Result<Response<ResponseBody>, ServiceError> {
    let asked = granted.parameters();
    let reference = |parameter: &'static str| -> Result<Reference, ServiceError> {
        let text = asked.one(parameter)?.ok_or_else(|| invalid(parameter, "must be a tag or digest"))?;
        text.parse().map_err(|error| invalid(parameter, error))
    };
    let (from, to) = (reference("from")?, reference("to")?);
    let compared = granted.repository(name).compare(&from, &to).await.map_err(absent)?;
    let side = |manifest: &ManifestDetail, size| ComparedManifest {
        digest: manifest.digest.to_string(),
        media_type: manifest.media_type.clone(),
        size,
    };
    let size = |size: u64| i64::try_from(size).unwrap_or(i64::MAX);
    let parts = |descriptors: &[Descriptor]| descriptors.iter().map(part).collect();
    granted.resource(&ManifestComparison {
        from: side(&compared.from, compared.from_size),
        to: side(&compared.to, compared.to_size),
        size_difference: size(compared.to_size) - size(compared.from_size),
        common: parts(&compared.common),
        removed: parts(&compared.removed),
        added: parts(&compared.added),
        config: compared
            .config
            .into_iter()
            .map(|change| ConfigDifference { key: change.key, from: change.from, to: change.to })
            .collect(),
    })
}
