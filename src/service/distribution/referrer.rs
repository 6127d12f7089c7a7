//! What refers to a manifest (end-12).

use super::super::{
    answer::{json, next_page},
    body::Body,
    error::Error,
    gate::Granted,
    headers, query,
};
use crate::oci::{Digest, RepositoryName, media_type};
use http::{HeaderValue, Response};
use serde::Serialize;
use serde_json::value::RawValue;

/// The image index a list of referrers is.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Index {
    schema_version: u32,
    media_type: &'static str,
    manifests: Vec<Box<RawValue>>,
}

pub(super) async fn list(
    granted: Granted,
    name: RepositoryName,
    subject: Digest,
    types: Vec<String>,
    last: Option<String>,
) -> Result<Response<Body>, Error> {
    let page = granted.registry().referrers(&name, &subject, &types, last.as_deref()).await?;
    let index = Index { schema_version: 2, media_type: media_type::OCI_INDEX, manifests: page.descriptors };
    // Clients compare the type for equality: no parameters.
    let mut response = json(serde_json::to_vec(&index).unwrap_or_default(), media_type::OCI_INDEX);
    if !types.is_empty() {
        response.headers_mut().insert(headers::OCI_FILTERS_APPLIED, HeaderValue::from_static("artifactType"));
    }
    if let Some(next) = page.next {
        let filters: String = types.iter().map(|t| format!("artifactType={}&", query::encode(t))).collect();
        next_page(&mut response, format!("/v2/{name}/referrers/{subject}?{filters}last={next}"));
    }
    Ok(response)
}
