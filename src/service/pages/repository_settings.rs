//! What is recorded of a repository: its form, and the one that deletes the repository.

use super::{
    super::{
        error::ServiceError,
        gate::Granted,
        manage::{ManageEndpoint, RepositoryEndpoint},
    },
    acts::NO_BODY,
    form::PageForm,
    form_state::{EditForms, FormState},
    markup,
    repository::RepositoryHead,
    shell::{Shell, go_to, page},
};
use crate::{
    who::{Action, Permission},
    wire::ResponseBody,
};
use api::repositories::{RepositoryChange, RepositoryVisibility, VisibilityChange, VisibilityState};
use askama::Template;
use http::{Method, Response};
use oci::RepositoryName;
use std::borrow::Borrow;

/// The fields of the form, as the API calls them.
const FIELDS: [&str; 3] = ["description", "owner", "immutable_tags"];

#[derive(Template)]
#[template(path = "repository_settings.html")]
struct SettingsTemplate {
    shell: Shell,
    head: RepositoryHead,
    visibility: VisibilityState,
    may_delete: bool,
    forms: EditForms,
}

impl SettingsTemplate {
    fn is_overridden(&self) -> bool {
        self.visibility.effective != self.visibility.visibility
    }

    /// Whether the form has chosen this visibility.
    fn is(&self, visibility: &str, now: impl Borrow<bool>) -> bool {
        self.forms.change.is_chosen("visibility", visibility, now)
    }
}

pub(super) async fn show(
    granted: &Granted,
    name: &RepositoryName,
    forms: EditForms,
) -> Result<Response<ResponseBody>, ServiceError> {
    let head = RepositoryHead::of(granted, name, "settings").await?;
    if !head.administers {
        return Err(granted.lacks(Permission::UPDATE_REPO));
    }
    let endpoint = ManageEndpoint::Repository(RepositoryEndpoint::Visibility(name.clone()));
    let visibility = granted.ask(endpoint, &[]).await?;
    let may_delete =
        granted.may(Action::Delete, name).await && granted.administers(name, Permission::DELETE_REPO).await;
    let shell = Shell::of(granted, "repositories").await;
    page(forms.status(), &SettingsTemplate { shell, head, visibility, may_delete, forms })
}

pub(super) async fn save(
    granted: &Granted,
    name: &RepositoryName,
    fields: &PageForm,
) -> Result<Response<ResponseBody>, ServiceError> {
    match try_save(granted, name, fields).await {
        Ok(()) => Ok(go_to(&format!("/repositories/{name}/-/settings?done=saved"))),
        Err(error) => show(granted, name, EditForms::changing(FormState::refused(fields, error, &FIELDS)?)).await,
    }
}

/// Saves what the form has. The visibility first: the change of an owner may end the right to do it.
async fn try_save(granted: &Granted, name: &RepositoryName, fields: &PageForm) -> Result<(), ServiceError> {
    let etag = fields.text("etag");
    let visibility = match fields.text("visibility") {
        "public" => RepositoryVisibility::Public,
        _ => RepositoryVisibility::Private,
    };
    let asked = RepositoryChange {
        description: Some(fields.owned("description")),
        owner: Some(fields.owned("owner")),
        immutable_tags: Some(fields.owned("immutable_tags")),
    };
    let has_changed = fields.text("was") != fields.text("visibility");
    let change = ManageEndpoint::Repository(RepositoryEndpoint::Change(name.clone()));
    if has_changed {
        // Refuses what somebody else has changed meanwhile, before anything is written.
        let nothing = RepositoryChange::default();
        granted.act(change.clone(), Method::PATCH, &[], Some(etag), Some(&nothing)).await?;
        let set = ManageEndpoint::Repository(RepositoryEndpoint::SetVisibility(name.clone()));
        granted.act(set, Method::PUT, &[], None, Some(&VisibilityChange { visibility })).await?;
    }
    let condition = Some(etag).filter(|_| !has_changed);
    granted.act(change, Method::PATCH, &[], condition, Some(&asked)).await?;
    Ok(())
}

pub(super) async fn delete(
    granted: &Granted,
    name: &RepositoryName,
    fields: &PageForm,
) -> Result<Response<ResponseBody>, ServiceError> {
    let confirmed = fields.text("confirm").trim();
    // An empty parameter would count as absent.
    let confirmed = if confirmed.is_empty() { "-" } else { confirmed };
    let delete = ManageEndpoint::Repository(RepositoryEndpoint::Delete(name.clone()));
    match granted.act(delete, Method::DELETE, &[("confirm", confirmed)], None, NO_BODY).await {
        Ok(_) => Ok(go_to("/repositories?done=repository-deleted")),
        Err(error) => show(granted, name, EditForms::deleting(FormState::refused(fields, error, &["confirm"])?)).await,
    }
}
