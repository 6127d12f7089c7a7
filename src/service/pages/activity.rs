//! What goes on: uploads that have not ended, and what was changed.

use super::{
    super::{
        error::ServiceError,
        gate::Granted,
        manage::{ConfigEndpoint, ManageEndpoint, StorageEndpoint},
        query::encode,
    },
    acts::NO_BODY,
    markup,
    shell::{Shell, go_to, page},
};
use crate::wire::ResponseBody;
use api::{Page, audit::AuditEntry, tasks::UploadSummary};
use askama::Template;
use http::{Method, Response, StatusCode};
use oci::UploadId;

/// Uploads or changes on a page.
const ON_A_PAGE: &str = "100";

#[derive(Template)]
#[template(path = "uploads.html")]
struct UploadsTemplate {
    shell: Shell,
    items: Vec<UploadSummary>,
    next: Option<String>,
}

pub(super) async fn uploads(granted: &Granted) -> Result<Response<ResponseBody>, ServiceError> {
    let (items, next) = listed(granted, ManageEndpoint::Storage(StorageEndpoint::Uploads), "uploads").await?;
    page(StatusCode::OK, &UploadsTemplate { shell: Shell::of(granted, "system").await, items, next })
}

pub(super) async fn cancel_upload(granted: &Granted, id: UploadId) -> Result<Response<ResponseBody>, ServiceError> {
    let cancel = ManageEndpoint::Storage(StorageEndpoint::CancelUpload(id));
    granted.act(cancel, Method::DELETE, &[], None, NO_BODY).await?;
    Ok(go_to("/system/uploads?done=cancelled"))
}

#[derive(Template)]
#[template(path = "audit.html")]
struct AuditTemplate {
    shell: Shell,
    items: Vec<AuditEntry>,
    next: Option<String>,
}

pub(super) async fn audit(granted: &Granted) -> Result<Response<ResponseBody>, ServiceError> {
    let (items, next) = listed(granted, ManageEndpoint::Config(ConfigEndpoint::Audit), "audit").await?;
    page(StatusCode::OK, &AuditTemplate { shell: Shell::of(granted, "system").await, items, next })
}

/// A page of a list, and the address of the next one.
async fn listed<T: serde::de::DeserializeOwned>(
    granted: &Granted,
    list: ManageEndpoint,
    name: &str,
) -> Result<(Vec<T>, Option<String>), ServiceError> {
    let last = granted.parameters().first("last").unwrap_or_default().to_owned();
    let found: Page<T> = granted.ask(list, &[("n", ON_A_PAGE), ("last", &last)]).await?;
    Ok((found.items, found.next.map(|next| format!("/system/{name}?last={}", encode(&next)))))
}
