//! The catalog: not of the OCI specification, and expected by every tool.

use super::super::{
    answer::{json, next_page},
    body::Body,
    error::Error,
    gate::Granted,
    query::{self, Pagination},
};
use http::Response;

pub(super) async fn list(granted: Granted, page: Pagination) -> Result<Response<Body>, Error> {
    let visible = granted.visible();
    let registry = granted.registry();
    let names = registry.catalog(page.last.as_deref(), page.n, &visible).await?;
    let mut response = json(serde_json::json!({ "repositories": names.entries }).to_string(), "application/json");
    if let Some(last) = names.entries.last().filter(|_| names.more) {
        let n = page.n.map_or(registry.settings().page_default, |n| n.min(registry.settings().page_max));
        next_page(&mut response, format!("/v2/_catalog?n={n}&last={}", query::encode(last)));
    }
    Ok(response)
}
