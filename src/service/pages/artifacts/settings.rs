//! What is recorded of an artifact repository: its form, and the one that deletes it.

use super::{
    super::{
        super::{
            error::ServiceError,
            gate::Granted,
            manage::{ArtifactEndpoint, ManageEndpoint},
        },
        acts::NO_BODY,
        form::PageForm,
        form_state::{EditForms, FormState},
        markup,
        shell::{Shell, go_to, page},
    },
    head::ArtifactHead,
};
use crate::{artifacts::ArtifactRepositoryName, who::Permission, wire::ResponseBody};
use api::artifacts::ArtifactRepositoryChange;
use askama::Template;
use http::{Method, Response};
use std::borrow::Borrow;

#[derive(Template)]
#[template(path = "artifact_settings.html")]
struct ArtifactSettingsTemplate {
    shell: Shell,
    head: ArtifactHead,
    may_delete_it: bool,
    trash_hours: u64,
    forms: EditForms,
}

impl ArtifactSettingsTemplate {
    /// Whether the form has chosen this visibility.
    fn is(&self, visibility: &str, now: impl Borrow<bool>) -> bool {
        self.forms.change.is_chosen("visibility", visibility, now)
    }
}

pub(super) async fn show(
    granted: &Granted,
    name: &ArtifactRepositoryName,
    forms: EditForms,
) -> Result<Response<ResponseBody>, ServiceError> {
    let head = ArtifactHead::of(granted, name, "settings").await?;
    if !head.administers {
        return Err(granted.lacks(Permission::UPDATE_REPO));
    }
    let may_delete_it = granted.may_in_artifacts(name, Permission::DELETE_REPO).await;
    let trash_hours = granted.request.live.registry.artifacts.trash.as_secs() / 3600;
    let shell = Shell::of(granted, "artifacts").await;
    page(forms.status(), &ArtifactSettingsTemplate { shell, head, may_delete_it, trash_hours, forms })
}

pub(super) async fn save(
    granted: &Granted,
    name: &ArtifactRepositoryName,
    fields: &PageForm,
) -> Result<Response<ResponseBody>, ServiceError> {
    let asked = ArtifactRepositoryChange {
        description: Some(fields.owned("description")),
        private: Some(fields.text("visibility") != "public"),
        owner: Some(fields.owned("owner")),
        retention: None,
    };
    let change = ManageEndpoint::Artifact(ArtifactEndpoint::ChangeRepository(name.clone()));
    match granted.act(change, Method::PATCH, &[], Some(fields.text("etag")), Some(&asked)).await {
        // Whoever gave it away cannot see its settings any more.
        Ok(_) if granted.may_in_artifacts(name, Permission::UPDATE_REPO).await => {
            Ok(go_to(&format!("/artifacts/{name}/-/settings?done=saved")))
        }
        Ok(_) => Ok(go_to("/artifacts?done=saved")),
        Err(error) => {
            let form = FormState::refused(fields, error, &["description", "owner"])?;
            show(granted, name, EditForms::changing(form)).await
        }
    }
}

pub(super) async fn delete(
    granted: &Granted,
    name: &ArtifactRepositoryName,
    fields: &PageForm,
) -> Result<Response<ResponseBody>, ServiceError> {
    let confirmed = fields.text("confirm").trim();
    // An empty parameter would count as absent.
    let confirmed = if confirmed.is_empty() { "-" } else { confirmed };
    let delete = ManageEndpoint::Artifact(ArtifactEndpoint::DeleteRepository(name.clone()));
    match granted.act(delete, Method::DELETE, &[("confirm", confirmed)], None, NO_BODY).await {
        Ok(_) => Ok(go_to("/artifacts?done=repository-deleted")),
        Err(error) => show(granted, name, EditForms::deleting(FormState::refused(fields, error, &["confirm"])?)).await,
    }
}
