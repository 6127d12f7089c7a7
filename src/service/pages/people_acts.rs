//! What forms about users, groups and roles do.

use super::{
    super::{
        error::{ApiError, FieldProblem, ServiceError},
        gate::Granted,
        manage::{GroupEndpoint, ManageEndpoint, RoleEndpoint, UserEndpoint},
    },
    form::PageForm,
    form_state::{EditForms, FormState},
    people::{self, UserOutcome},
    review::{self, FileSave},
    shell::segment,
};
use crate::wire::ResponseBody;
use api::{
    groups::GroupInfo,
    roles::{PermissionText, PutRole},
    users::{CreateUser, UpdateUser},
};
use http::{Method, Response};
use serde_json::Value;

/// A change of one user, group or role.
fn save(section: &'static str, name: &str, endpoint: ManageEndpoint, method: Method, body: Option<Value>) -> FileSave {
    let (own, all) = (format!("/{section}/{}", segment(name)), format!("/{section}"));
    let one = section.trim_end_matches('s');
    let (what, back, done) = match method {
        Method::POST => ("New", all, format!("{own}?done=saved")),
        Method::DELETE => ("Delete the", own, format!("{all}?done=deleted")),
        _ => ("Change the", own.clone(), format!("{own}?done=saved")),
    };
    FileSave {
        endpoint, method, query: Vec::new(), body, section, title: format!("{what} {one} “{name}”"), back, done
    }
}

/// The fields of each form, as the API calls them.
const USER: [&str; 4] = ["username", "password", "groups", "email"];
const GROUP: [&str; 4] = ["name", "description", "roles", "members"];
const ROLE: [&str; 5] = ["name", "description", "permissions", "repositories", "artifacts"];

/// Deletes something if the form names it.
async fn confirmed(
    granted: &Granted,
    fields: &PageForm,
    name: &str,
    save: FileSave,
) -> Result<Response<ResponseBody>, ServiceError> {
    match fields.text("confirm").trim() == name {
        true => review::save(granted, fields, save).await,
        false => Err(ApiError::invalid(FieldProblem::new("confirm", format!("this is not {name:?}"))).into()),
    }
}

pub(super) async fn create_user(granted: &Granted, fields: &PageForm) -> Result<Response<ResponseBody>, ServiceError> {
    let (name, robot) = (fields.text("username").trim(), fields.checked("robot"));
    let asked = CreateUser {
        username: name.to_owned(),
        password: Some(fields.text("password").to_owned()).filter(|password| !robot && !password.is_empty()),
        groups: fields.words("groups"),
        email: fields.owned("email"),
        robot,
        ..CreateUser::default()
    };
    let create = ManageEndpoint::User(UserEndpoint::Create);
    let save = save("users", name, create, Method::POST, FileSave::json(&asked)?);
    match review::save(granted, fields, save).await {
        Err(error) => people::users(granted, FormState::refused(fields, error, &USER)?).await,
        answered => answered,
    }
}

/// Changes what the form has changed; the rest may need more rights than the caller has.
pub(super) async fn update_user(
    granted: &Granted,
    name: &str,
    fields: &PageForm,
) -> Result<Response<ResponseBody>, ServiceError> {
    let locked = fields.checked("locked");
    let asked = UpdateUser {
        password: Some(fields.text("password").to_owned()).filter(|password| !password.is_empty()),
        email: Some(fields.text("email").trim().to_owned()).filter(|email| email != fields.text("was_email")),
        locked: Some(locked).filter(|locked| *locked != fields.checked("was_locked")),
        groups: Some(fields.words("groups")).filter(|groups| *groups != fields.words("was_groups")),
    };
    let update = ManageEndpoint::User(UserEndpoint::Update(name.to_owned()));
    let save = save("users", name, update, Method::PATCH, FileSave::json(&asked)?);
    match review::save(granted, fields, save).await {
        Err(error) => {
            let form = FormState::refused(fields, error, &USER)?;
            people::user(granted, name.to_owned(), UserOutcome::Refused(form)).await
        }
        answered => answered,
    }
}

pub(super) async fn delete_user(
    granted: &Granted,
    name: &str,
    fields: &PageForm,
) -> Result<Response<ResponseBody>, ServiceError> {
    let delete = ManageEndpoint::User(UserEndpoint::Delete(name.to_owned()));
    match confirmed(granted, fields, name, save("users", name, delete, Method::DELETE, None)).await {
        Err(error) => {
            let form = FormState::refused(fields, error, &["confirm"])?;
            people::user(granted, name.to_owned(), UserOutcome::DeletionRefused(form)).await
        }
        answered => answered,
    }
}

fn group_of(fields: &PageForm, name: &str) -> GroupInfo {
    GroupInfo {
        name: name.to_owned(),
        description: fields.text("description").trim().to_owned(),
        roles: fields.words("roles"),
        members: fields.words("members"),
    }
}

pub(super) async fn create_group(granted: &Granted, fields: &PageForm) -> Result<Response<ResponseBody>, ServiceError> {
    let name = fields.text("name").trim();
    let create = ManageEndpoint::Group(GroupEndpoint::Create);
    let body = FileSave::json(&group_of(fields, name))?;
    match review::save(granted, fields, save("groups", name, create, Method::POST, body)).await {
        Err(error) => people::groups(granted, FormState::refused(fields, error, &GROUP)?).await,
        answered => answered,
    }
}

pub(super) async fn update_group(
    granted: &Granted,
    name: &str,
    fields: &PageForm,
) -> Result<Response<ResponseBody>, ServiceError> {
    let put = ManageEndpoint::Group(GroupEndpoint::Put(name.to_owned()));
    let body = FileSave::json(&group_of(fields, name))?;
    match review::save(granted, fields, save("groups", name, put, Method::PUT, body)).await {
        Err(error) => {
            people::group(granted, name.to_owned(), EditForms::changing(FormState::refused(fields, error, &GROUP)?))
                .await
        }
        answered => answered,
    }
}

pub(super) async fn delete_group(
    granted: &Granted,
    name: &str,
    fields: &PageForm,
) -> Result<Response<ResponseBody>, ServiceError> {
    let delete = ManageEndpoint::Group(GroupEndpoint::Delete(name.to_owned()));
    match confirmed(granted, fields, name, save("groups", name, delete, Method::DELETE, None)).await {
        Err(error) => {
            people::group(
                granted,
                name.to_owned(),
                EditForms::deleting(FormState::refused(fields, error, &["confirm"])?),
            )
            .await
        }
        answered => answered,
    }
}

fn role_of(fields: &PageForm, name: &str) -> PutRole {
    PutRole {
        name: name.to_owned(),
        description: fields.text("description").trim().to_owned(),
        permissions: fields.all("permission").into_iter().map(PermissionText::Text).collect(),
        repositories: fields.words("repositories"),
        artifacts: fields.words("artifacts"),
    }
}

pub(super) async fn create_role(granted: &Granted, fields: &PageForm) -> Result<Response<ResponseBody>, ServiceError> {
    let name = fields.text("name").trim();
    let create = ManageEndpoint::Role(RoleEndpoint::Create);
    let body = FileSave::json(&role_of(fields, name))?;
    match review::save(granted, fields, save("roles", name, create, Method::POST, body)).await {
        Err(error) => people::roles(granted, FormState::refused(fields, error, &ROLE)?).await,
        answered => answered,
    }
}

pub(super) async fn put_role(
    granted: &Granted,
    name: &str,
    fields: &PageForm,
) -> Result<Response<ResponseBody>, ServiceError> {
    let put = ManageEndpoint::Role(RoleEndpoint::Put(name.to_owned()));
    let body = FileSave::json(&role_of(fields, name))?;
    match review::save(granted, fields, save("roles", name, put, Method::PUT, body)).await {
        Err(error) => {
            people::role(granted, name.to_owned(), EditForms::changing(FormState::refused(fields, error, &ROLE)?)).await
        }
        answered => answered,
    }
}

pub(super) async fn delete_role(
    granted: &Granted,
    name: &str,
    fields: &PageForm,
) -> Result<Response<ResponseBody>, ServiceError> {
    let delete = ManageEndpoint::Role(RoleEndpoint::Delete(name.to_owned()));
    match review::save(granted, fields, save("roles", name, delete, Method::DELETE, None)).await {
        Err(error) => {
            people::role(granted, name.to_owned(), EditForms::deleting(FormState::refused(fields, error, &[])?)).await
        }
        answered => answered,
    }
}
