//! What forms do. Each asks the API, and then shows the page where the result can be seen.

use super::{
    super::{
        error::ServiceError,
        gate::Granted,
        manage::{AuthEndpoint, ConfigEndpoint, KeyEndpoint, ManageEndpoint, RepositoryEndpoint},
    },
    activity,
    artifacts::{self, ArtifactForm},
    copying,
    endpoint::WebForm,
    form::PageForm,
    form_state::FormState,
    login, manifest, markup, migration, namespaces,
    people::{self, UserOutcome},
    people_acts,
    profile::{self, ProfileOutcome},
    register,
    repositories::{self, NewRepositoryForm},
    repository_settings, rules, settings,
    shell::{Shell, Theme, go_to, own_path, page, segment},
    tasks,
};
use crate::{
    who::{ApiKeyId, SessionId},
    wire::ResponseBody,
};
use api::{
    keys::{ApiKeyCreated, NewApiKey},
    manifests::{DeletedTags, TagDeletion, TagTarget},
    repositories::{NewRepositoryRequest, RepositoryVisibility},
};
use askama::Template;
use http::{Method, Response, StatusCode, header};
use oci::{Reference, RepositoryName, Tag};

/// A request without a body.
pub(super) const NO_BODY: Option<&()> = None;

/// How long a browser keeps the chosen theme, in seconds.
const THEME_LIFE: u64 = 365 * 86_400;

pub(super) async fn perform(mut granted: Granted, form: WebForm) -> Result<Response<ResponseBody>, ServiceError> {
    if let WebForm::Artifact(ArtifactForm::Upload(name)) = form {
        return artifacts::receive_files(granted, &name).await;
    }
    let fields = granted.read_form().await?;
    match form {
        WebForm::LogIn => login::log_in(&granted, &fields).await,
        WebForm::LogOut => login::log_out(&granted, false).await,
        WebForm::LogOutEverywhere => login::log_out(&granted, true).await,
        WebForm::Theme => Ok(theme(&fields)),
        WebForm::CreateRepository => create_repository(&granted, &fields).await,
        WebForm::DeleteTags(name) => delete_tags(&granted, &name, &fields).await,
        WebForm::SetTag(name) => set_tag(&granted, &name, &fields).await,
        WebForm::SaveSettings(name) => repository_settings::save(&granted, &name, &fields).await,
        WebForm::DeleteRepository(name) => repository_settings::delete(&granted, &name, &fields).await,
        WebForm::Artifact(form) => form.perform(&granted, &fields).await,
        WebForm::CreateKey => create_key(&granted, &fields).await,
        WebForm::Register => register::register(&granted, &fields).await,
        WebForm::ChangePassword => profile::change_password(&granted, &fields).await,
        WebForm::Copy(name) => copying::copy(&granted, &name, &fields).await,
        WebForm::CreateNamespace => namespaces::create(&granted, &fields).await,
        WebForm::DeleteNamespace(name) => namespaces::delete(&granted, &name).await,
        WebForm::Migrate => migration::start(&granted, &fields).await,
        WebForm::CancelMigration(id) => migration::cancel(&granted, id).await,
        WebForm::ResumeMigration(id) => migration::resume(&granted, id, &fields).await,
        WebForm::CancelTask(id) => tasks::cancel(&granted, id).await,
        WebForm::CancelUpload(id) => activity::cancel_upload(&granted, id).await,
        WebForm::Reload => {
            let reload = ManageEndpoint::Config(ConfigEndpoint::Reload);
            granted.act(reload, Method::POST, &[], None, NO_BODY).await?;
            Ok(go_to("/system?done=reloaded"))
        }
        WebForm::DeleteKey(id) => delete_key(&granted, id, "/profile").await,
        WebForm::DeleteKeyOf(name, id) => delete_key(&granted, id, &format!("/users/{}", segment(&name))).await,
        WebForm::EndSession(id) => end_session(&granted, id, "/profile").await,
        WebForm::EndSessionOf(name, id) => end_session(&granted, id, &format!("/users/{}", segment(&name))).await,
        WebForm::CreateKeyOf(name) => create_key_of(&granted, name, &fields).await,
        WebForm::Collect => tasks::collect(&granted, &fields).await,
        WebForm::Check => tasks::check(&granted, &fields).await,
        WebForm::CreateUser => people_acts::create_user(&granted, &fields).await,
        WebForm::UpdateUser(name) => people_acts::update_user(&granted, &name, &fields).await,
        WebForm::DeleteUser(name) => people_acts::delete_user(&granted, &name, &fields).await,
        WebForm::CreateGroup => people_acts::create_group(&granted, &fields).await,
        WebForm::UpdateGroup(name) => people_acts::update_group(&granted, &name, &fields).await,
        WebForm::DeleteGroup(name) => people_acts::delete_group(&granted, &name, &fields).await,
        WebForm::CreateRole => people_acts::create_role(&granted, &fields).await,
        WebForm::PutRole(name) => people_acts::put_role(&granted, &name, &fields).await,
        WebForm::DeleteRole(name) => people_acts::delete_role(&granted, &name, &fields).await,
        WebForm::InsertRule => rules::insert(&granted, &fields).await,
        WebForm::ReplaceRule(index) => rules::replace(&granted, index, &fields).await,
        WebForm::MoveRule(index) => rules::reorder(&granted, index, &fields).await,
        WebForm::DeleteRule(index) => rules::delete(&granted, index, &fields).await,
        WebForm::SaveSection(name) => settings::save(&granted, &name, &fields).await,
        WebForm::ResetSection(name) => settings::reset(&granted, &name, &fields).await,
    }
}

/// Remembers a theme in the browser. It is no secret, and the pages' script sets it too.
fn theme(fields: &PageForm) -> Response<ResponseBody> {
    let theme = Theme::parse(fields.text("theme")).as_str();
    let mut response = go_to(own_path(fields.text("back")));
    let cookie = format!("theme={theme}; Path=/; Max-Age={THEME_LIFE}; SameSite=Lax");
    response.headers_mut().insert(header::SET_COOKIE, super::super::headers::value(cookie));
    response
}

async fn create_repository(granted: &Granted, fields: &PageForm) -> Result<Response<ResponseBody>, ServiceError> {
    let (name, is_public) = (fields.text("name").trim().to_owned(), fields.text("visibility") == "public");
    let asked = NewRepositoryRequest {
        name: name.clone(),
        visibility: Some(if is_public { RepositoryVisibility::Public } else { RepositoryVisibility::Private }),
        description: fields.owned("description"),
        owner: None,
    };
    let create = ManageEndpoint::Repository(RepositoryEndpoint::Create);
    match granted.act(create, Method::POST, &[], None, Some(&asked)).await {
        Ok(_) => Ok(go_to(&format!("/repositories/{name}?done=repository-created"))),
        Err(error) if error.row().status.is_client_error() && error.row().status != StatusCode::UNAUTHORIZED => {
            let description = fields.text("description").to_owned();
            let form = NewRepositoryForm { name, description, is_public, error: error.message() };
            repositories::show_new(granted, Some(form), error.row().status).await
        }
        Err(error) => Err(error),
    }
}

#[derive(Template)]
#[template(path = "delete_tags.html")]
struct DeleteTagsTemplate {
    shell: Shell,
    name: String,
    plan: DeletedTags,
}

/// Shows what a deletion of tags would do; once it is confirmed, does it.
async fn delete_tags(
    granted: &Granted,
    name: &RepositoryName,
    fields: &PageForm,
) -> Result<Response<ResponseBody>, ServiceError> {
    let tags = fields.all("tag");
    let is_confirmed = fields.text("confirm") == "yes";
    let asked = TagDeletion { tags, dry_run: !is_confirmed };
    let delete = ManageEndpoint::Repository(RepositoryEndpoint::DeleteTags(name.clone()));
    let done: DeletedTags = granted.act_for(delete, Method::POST, &asked).await?;
    if is_confirmed {
        let number = done.deleted.len();
        return Ok(go_to(&format!("/repositories/{name}?done=tags-deleted&n_done={number}")));
    }
    let shell = Shell::of(granted, "repositories").await;
    page(StatusCode::OK, &DeleteTagsTemplate { shell, name: name.to_string(), plan: done })
}

/// Sets a tag to a manifest that is there.
async fn set_tag(
    granted: &Granted,
    name: &RepositoryName,
    fields: &PageForm,
) -> Result<Response<ResponseBody>, ServiceError> {
    let (tag, digest) = (fields.text("tag").trim(), fields.text("digest"));
    match try_set_tag(granted, name, tag, digest).await {
        Ok(()) => Ok(go_to(&format!("/repositories/{name}/-/manifests/{tag}?done=tag-set"))),
        Err(error) => {
            let form = FormState::refused(fields, error, &["tag"])?;
            let shown = fields.text("shown").parse::<Reference>().or_else(|_| digest.parse::<Reference>())?;
            manifest::show(granted, name, &shown, form).await
        }
    }
}

async fn try_set_tag(granted: &Granted, name: &RepositoryName, tag: &str, digest: &str) -> Result<(), ServiceError> {
    let asked = TagTarget { digest: digest.to_owned() };
    let set = ManageEndpoint::Repository(RepositoryEndpoint::SetTag(name.clone(), tag.parse::<Tag>()?));
    granted.act(set, Method::PUT, &[], None, Some(&asked)).await?;
    Ok(())
}

async fn delete_key(granted: &Granted, id: ApiKeyId, page: &str) -> Result<Response<ResponseBody>, ServiceError> {
    granted.act(ManageEndpoint::Key(KeyEndpoint::Delete(id)), Method::DELETE, &[], None, NO_BODY).await?;
    Ok(go_to(&format!("{page}?done=key-deleted#keys")))
}

async fn end_session(granted: &Granted, id: SessionId, page: &str) -> Result<Response<ResponseBody>, ServiceError> {
    granted.act(ManageEndpoint::Auth(AuthEndpoint::EndSession(id)), Method::DELETE, &[], None, NO_BODY).await?;
    Ok(go_to(&format!("{page}?done=session-ended#sessions")))
}

/// The fields of a key, as the API calls them.
const KEY: [&str; 2] = ["name", "scopes"];

/// The key that a form describes.
fn key_of(fields: &PageForm, owner: Option<String>) -> NewApiKey {
    let days = fields.text("days").parse::<u64>().ok().filter(|days| *days > 0);
    NewApiKey {
        name: fields.text("name").trim().to_owned(),
        scopes: fields
            .text("scopes")
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty())
            .map(str::to_owned)
            .collect(),
        expires_in: days.map(|days| days.saturating_mul(86_400)),
        owner,
    }
}

/// Makes a key for another user, such as a robot.
async fn create_key_of(
    granted: &Granted,
    name: String,
    fields: &PageForm,
) -> Result<Response<ResponseBody>, ServiceError> {
    let create = ManageEndpoint::Key(KeyEndpoint::Create);
    let outcome = match granted.act_for(create, Method::POST, &key_of(fields, Some(name.clone()))).await {
        Ok(created) => UserOutcome::KeyCreated(Box::new(created)),
        Err(error) => UserOutcome::KeyRefused(FormState::refused(fields, error, &KEY)?),
    };
    people::user(granted, name, outcome).await
}

async fn create_key(granted: &Granted, fields: &PageForm) -> Result<Response<ResponseBody>, ServiceError> {
    let asked = key_of(fields, None);
    let create = ManageEndpoint::Key(KeyEndpoint::Create);
    let outcome = match granted.act_for::<ApiKeyCreated>(create, Method::POST, &asked).await {
        Ok(created) => ProfileOutcome::KeyCreated(Box::new(created)),
        Err(error) => ProfileOutcome::KeyRefused(FormState::refused(fields, error, &KEY)?),
    };
    profile::show(granted, Some(outcome)).await
}
