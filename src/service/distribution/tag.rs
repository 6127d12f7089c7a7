//! Tag lists (end-8).

use super::super::{
    answer::{large_json, next_page},
    error::ServiceError,
    gate::Granted,
    query::{self, Pagination},
};
use super::mirrored;
use crate::{registry::Repository, wire::ResponseBody};
use http::Response;
use oci::{RepositoryName, Tag};
use serde::Serialize;

#[derive(Serialize)]
struct TagsResponse {
    name: RepositoryName,
    tags: Vec<Tag>,
}

pub(super) async fn list(
    repository: Repository,
    granted: &Granted,
    page: Pagination,
) -> Result<Response<ResponseBody>, ServiceError> {
    let tags = mirrored::tags(&repository, granted, &page).await?;
    let last = tags.entries.last().filter(|_| tags.more).map(|last| query::encode(last.as_str()));
    let bytes = tags.entries.iter().map(|tag| tag.as_str().len()).sum();
    let name = repository.name();
    let list = TagsResponse { name: name.clone(), tags: tags.entries };
    let mut response = large_json(bytes, list, "application/json").await?;
    if let Some(last) = last {
        let n = page.n.map_or(String::new(), |n| format!("n={n}&"));
        next_page(&mut response, format!("/v2/{name}/tags/list?{n}last={last}"));
    }
    Ok(response)
}
