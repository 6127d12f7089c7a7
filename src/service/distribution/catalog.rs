//! The catalog: not part of the OCI specification, but tools expect it.

use super::super::{
    answer::{large_json, next_page},
    error::ServiceError,
    gate::Granted,
    query::{self, Pagination},
};
use crate::wire::ResponseBody;
use http::Response;
use oci::RepositoryName;
use serde::Serialize;

#[derive(Serialize)]
struct CatalogResponse {
    repositories: Vec<RepositoryName>,
}

pub(super) async fn list(granted: Granted, page: Pagination) -> Result<Response<ResponseBody>, ServiceError> {
    let visible = granted.visible();
    let registry = granted.registry();
    let names = registry.catalog(page.last.as_deref(), page.n, &visible).await?;
    let last = names.entries.last().filter(|_| names.more).map(|last| query::encode(last.as_str()));
    let bytes = names.entries.iter().map(|name| name.as_str().len()).sum();
    let mut response = large_json(bytes, CatalogResponse { repositories: names.entries }, "application/json").await?;
    if let Some(last) = last {
        let n = page.n.map_or(registry.settings().page_default, |n| n.min(registry.settings().page_max));
        next_page(&mut response, format!("/v2/_catalog?n={n}&last={last}"));
    }
    Ok(response)
}
