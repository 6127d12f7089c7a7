//! Copies images into another repository of this registry.

use super::{
    super::{
        error::{ApiError, ServiceError},
        gate::Granted,
        manage::{ManageEndpoint, RepositoryEndpoint},
    },
    ask::content,
    form::PageForm,
    markup,
    repository::RepositoryHead,
    shell::{Shell, go_to, page},
};
use crate::wire::ResponseBody;
use api::{
    FieldProblem, Page,
    manifests::{CopiedImages, CopyRequest},
    repositories::RepositoryItem,
};
use askama::Template;
use http::{Method, Response, StatusCode};
use oci::RepositoryName;

/// Repositories that are offered as targets.
const OFFERED: &str = "200";

/// What a form contained, and what was wrong with it.
pub(super) struct CopyForm {
    tags: Vec<String>,
    to: String,
    referrers: bool,
    error: String,
    status: StatusCode,
}

#[derive(Template)]
#[template(path = "copy.html")]
struct CopyTemplate {
    shell: Shell,
    head: RepositoryHead,
    form: CopyForm,
    offered: Vec<String>,
}

/// Asks where to copy the tags that the address names.
pub(super) async fn show(
    granted: &Granted,
    name: &RepositoryName,
    form: Option<CopyForm>,
) -> Result<Response<ResponseBody>, ServiceError> {
    let head = RepositoryHead::of(granted, name, "tags").await?;
    let parameters = granted.parameters();
    let form = form.unwrap_or_else(|| CopyForm {
        tags: parameters.all("tag").map(str::to_owned).collect(),
        to: String::new(),
        referrers: true,
        error: String::new(),
        status: StatusCode::OK,
    });
    let list = ManageEndpoint::Repository(RepositoryEndpoint::List);
    let found: Page<RepositoryItem> = granted.ask(list, &[("n", OFFERED), ("sort", "updated")]).await?;
    let offered = found.items.into_iter().map(|item| item.name).filter(|other| *other != head.item.name).collect();
    let shell = Shell::of(granted, "repositories").await;
    page(form.status, &CopyTemplate { shell, head, form, offered })
}

pub(super) async fn copy(
    granted: &Granted,
    name: &RepositoryName,
    fields: &PageForm,
) -> Result<Response<ResponseBody>, ServiceError> {
    let (tags, to, referrers) = (fields.all("tag"), fields.text("to").trim(), fields.checked("referrers"));
    let error = match try_copy(granted, name, &tags, to, referrers).await {
        Ok(copied) => {
            let number = copied.tags.len();
            return Ok(go_to(&format!("/repositories/{to}?done=tags-copied&n_done={number}")));
        }
        Err(error) => error,
    };
    let status = error.row().status;
    let is_about_the_form = matches!(
        status,
        StatusCode::BAD_REQUEST | StatusCode::FORBIDDEN | StatusCode::NOT_FOUND | StatusCode::CONFLICT
    );
    if !is_about_the_form {
        return Err(error);
    }
    let form = CopyForm { tags, to: to.to_owned(), referrers, error: error.message(), status };
    show(granted, name, Some(form)).await
}

async fn try_copy(
    granted: &Granted,
    name: &RepositoryName,
    tags: &[String],
    to: &str,
    referrers: bool,
) -> Result<CopiedImages, ServiceError> {
    if tags.is_empty() {
        return Err(ApiError::invalid(FieldProblem::new("tag", "select at least one tag")).into());
    }
    let asked = CopyRequest { from: name.to_string(), tags: tags.to_vec(), referrers };
    let copy = ManageEndpoint::Repository(RepositoryEndpoint::Copy(to.parse::<RepositoryName>()?));
    content(granted.act(copy, Method::POST, &[], None, Some(&asked)).await?).await
}
