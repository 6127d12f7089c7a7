//! Tag lists (end-8).

use super::super::{
    answer::{json, next_page},
    body::Body,
    error::Error,
    gate::Granted,
    query::{self, Pagination},
};
use crate::oci::RepositoryName;
use http::Response;

pub(super) async fn list(granted: Granted, name: RepositoryName, page: Pagination) -> Result<Response<Body>, Error> {
    let tags = granted.registry().tags(&name, page.last.as_deref(), page.n).await?;
    let body = serde_json::json!({ "name": name.as_str(), "tags": tags.entries }).to_string();
    let mut response = json(body, "application/json");
    if let Some(last) = tags.entries.last().filter(|_| tags.more) {
        let n = page.n.map_or(String::new(), |n| format!("n={n}&"));
        next_page(&mut response, format!("/v2/{name}/tags/list?{n}last={}", query::encode(last)));
    }
    Ok(response)
}
