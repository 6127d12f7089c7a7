//! The trash of a repository.

use super::{
    super::{
        super::{
            error::ServiceError,
            gate::Granted,
            manage::{ArtifactEndpoint, ManageEndpoint},
        },
        acts::NO_BODY,
        ask::content,
        form::PageForm,
        form_state::FormState,
        markup,
        shell::{Shell, go_to, page},
    },
    head::ArtifactHead,
};
use crate::{
    artifacts::{ArtifactId, ArtifactRepositoryName},
    wire::ResponseBody,
};
use api::{
    Page,
    artifacts::{ArtifactInfo, TrashedArtifactItem},
};
use askama::Template;
use http::{Method, Response};

/// Rows on a page.
const ON_A_PAGE: &str = "100";

#[derive(Template)]
#[template(path = "artifact_trash.html")]
struct TrashTemplate {
    shell: Shell,
    head: ArtifactHead,
    items: Vec<TrashedArtifactItem>,
    next: Option<String>,
    form: FormState,
}

pub(super) async fn show(
    granted: &Granted,
    name: &ArtifactRepositoryName,
    form: FormState,
) -> Result<Response<ResponseBody>, ServiceError> {
    let head = ArtifactHead::of(granted, name, "trash").await?;
    let last = granted.parameters().first("last").unwrap_or_default().to_owned();
    let list = ManageEndpoint::Artifact(ArtifactEndpoint::Trash(name.clone()));
    let found: Page<TrashedArtifactItem> = granted.ask(list, &[("n", ON_A_PAGE), ("last", &last)]).await?;
    let next = |next: String| format!("{}?last={}", head.path("trash"), super::super::super::query::encode(&next));
    let next = found.next.map(next);
    let shell = Shell::of(granted, "artifacts").await;
    page(form.status(), &TrashTemplate { shell, head, items: found.items, next, form })
}

pub(super) async fn restore(
    granted: &Granted,
    name: &ArtifactRepositoryName,
    id: ArtifactId,
    fields: &PageForm,
) -> Result<Response<ResponseBody>, ServiceError> {
    let restore = ManageEndpoint::Artifact(ArtifactEndpoint::Restore(name.clone(), id));
    match granted.act(restore, Method::POST, &[], None, NO_BODY).await {
        Ok(answer) => {
            let restored: ArtifactInfo = content(answer).await?;
            Ok(go_to(&format!("{}&done=artifact-restored", super::page_of(&restored))))
        }
        Err(error) => show(granted, name, FormState::refused(fields, error, &[])?).await,
    }
}
