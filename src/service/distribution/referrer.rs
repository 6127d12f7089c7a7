//! Referrers of a manifest (end-12).

use super::super::{
    answer::{large_json, next_page},
    error::ServiceError,
    headers, query,
};
use crate::{registry::Repository, wire::ResponseBody};
use http::{HeaderValue, Response};
use oci::{Digest, media_type};
use serde::Serialize;
use serde_json::value::RawValue;

/// The image index that lists referrers.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ReferrersResponse {
    schema_version: u32,
    media_type: &'static str,
    manifests: Vec<Box<RawValue>>,
}

pub(super) async fn list(
    repository: Repository,
    subject: Digest,
    types: Vec<String>,
    last: Option<String>,
) -> Result<Response<ResponseBody>, ServiceError> {
    let page = repository.referrers(&subject, &types, last.as_deref()).await?;
    let bytes = page.descriptors.iter().map(|descriptor| descriptor.get().len()).sum();
    let index = ReferrersResponse { schema_version: 2, media_type: media_type::OCI_INDEX, manifests: page.descriptors };
    // No parameters: clients compare the media type for equality.
    let mut response = large_json(bytes, index, media_type::OCI_INDEX).await?;
    if !types.is_empty() {
        response.headers_mut().insert(headers::OCI_FILTERS_APPLIED, HeaderValue::from_static("artifactType"));
    }
    if let Some(next) = page.next {
        let filters: String = types.iter().map(|t| format!("artifactType={}&", query::encode(t))).collect();
        next_page(&mut response, format!("/v2/{}/referrers/{subject}?{filters}last={next}", repository.name()));
    }
    Ok(response)
}
