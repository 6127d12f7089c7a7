//! The web pages and forms, and what serves them.

#[cfg(debug_assertions)]
use super::style;
use super::{
    super::{
        answer::Answering,
        endpoint::{Effect, Family, Methods, Need, RequestLine},
        error::ServiceError,
        gate::Granted,
    },
    activity, acts, api_docs,
    artifacts::{ArtifactForm, ArtifactPage},
    assets, compare, copying, error_page,
    form_state::{EditForms, FormState},
    home, login, manifest, migration, namespaces,
    paths::PathOffer,
    people::{self, UserOutcome},
    profile, register, repositories, repository, repository_settings, requests, rules, search, settings, system, tasks,
};
use crate::{
    registry::NamespaceName,
    who::{ApiKeyId, SessionId},
};
use http::Method;
use oci::{Reference, RepositoryName, UploadId};
use ulid::Ulid;

/// A request of a browser.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PagesEndpoint {
    /// Something to look at.
    Page(WebPage),
    /// A form that was sent.
    Form(WebForm),
}

/// A page, or what it loads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WebPage {
    /// A stylesheet, script or sprite: its place in the table.
    Asset(usize),
    /// `/ui/offline`.
    Offline,
    /// `/`.
    Home,
    /// `/login`.
    Login,
    /// `/repositories`.
    Repositories,
    /// `/repositories/-/new`.
    NewRepository,
    /// `/repositories/{repository}`: its tags.
    Tags(RepositoryName),
    /// `…/-/untagged`.
    Untagged(RepositoryName),
    /// `…/-/referrers`.
    Referrers(RepositoryName),
    /// `…/-/retention`.
    Retention(RepositoryName),
    /// `…/-/access`.
    Access(RepositoryName),
    /// `…/-/settings`.
    Settings(RepositoryName),
    /// `…/-/compare`.
    Compare(RepositoryName),
    /// `…/-/manifests/{reference}`.
    Manifest(RepositoryName, Reference),
    /// Below `/artifacts`.
    Artifact(ArtifactPage),
    /// `/search`.
    Search,
    /// `/profile`.
    Profile,
    /// `/register`.
    Register,
    /// `/repositories/{repository}/-/copy`.
    Copy(RepositoryName),
    /// `/namespaces`.
    Namespaces,
    /// `/namespaces/{namespace}`.
    Namespace(NamespaceName),
    /// `/docs/api` and `/docs/api/{noun}`.
    ApiDocs(Option<String>),
    /// `/ui/style`.
    #[cfg(debug_assertions)]
    Style,
    /// `/migration`.
    Migrations,
    /// `/migration/{id}`.
    Migration(Ulid),
    /// `/system`.
    System,
    /// `/system/tasks/{id}`.
    Task(Ulid),
    /// `/system/uploads`.
    Uploads,
    /// `/system/audit`.
    Audit,
    /// `/system/requests`.
    Requests,
    /// `/users`.
    Users,
    /// `/users/{user}`.
    User(String),
    /// `/groups`.
    Groups,
    /// `/groups/{group}`.
    Group(String),
    /// `/roles`.
    Roles,
    /// `/roles/{role}`.
    Role(String),
    /// `/access`.
    Rules,
    /// `/settings` and `/settings/{section}`.
    Section(Option<String>),
}

/// What a form does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WebForm {
    /// `/login`.
    LogIn,
    /// `/logout`.
    LogOut,
    /// `/ui/theme`.
    Theme,
    /// `/repositories/-/new`.
    CreateRepository,
    /// `…/-/tags/delete`: asks first, and then deletes.
    DeleteTags(RepositoryName),
    /// `…/-/tags/set`.
    SetTag(RepositoryName),
    /// `…/-/copy`.
    Copy(RepositoryName),
    /// `…/-/settings`.
    SaveSettings(RepositoryName),
    /// `…/-/delete`.
    DeleteRepository(RepositoryName),
    /// Below `/artifacts`.
    Artifact(ArtifactForm),
    /// `/register`.
    Register,
    /// `/profile/password`.
    ChangePassword,
    /// `/profile/keys`.
    CreateKey,
    /// `/profile/keys/{id}/delete`.
    DeleteKey(ApiKeyId),
    /// `/profile/sessions/{id}/end`.
    EndSession(SessionId),
    /// `/profile/everywhere`.
    LogOutEverywhere,
    /// `/namespaces`.
    CreateNamespace,
    /// `/namespaces/{namespace}/delete`.
    DeleteNamespace(NamespaceName),
    /// `/migration`.
    Migrate,
    /// `/migration/{id}/cancel`.
    CancelMigration(Ulid),
    /// `/migration/{id}/resume`.
    ResumeMigration(Ulid),
    /// `/system/tasks/{id}/cancel`.
    CancelTask(Ulid),
    /// `/system/uploads/{id}/cancel`.
    CancelUpload(UploadId),
    /// `/system/reload`.
    Reload,
    /// `/system/gc`.
    Collect,
    /// `/system/fsck`.
    Check,
    /// `/users`.
    CreateUser,
    /// `/users/{user}`.
    UpdateUser(String),
    /// `/users/{user}/delete`.
    DeleteUser(String),
    /// `/users/{user}/keys`.
    CreateKeyOf(String),
    /// `/users/{user}/keys/{id}/delete`.
    DeleteKeyOf(String, ApiKeyId),
    /// `/users/{user}/sessions/{id}/end`.
    EndSessionOf(String, SessionId),
    /// `/groups`.
    CreateGroup,
    /// `/groups/{group}`.
    UpdateGroup(String),
    /// `/groups/{group}/delete`.
    DeleteGroup(String),
    /// `/roles`.
    CreateRole,
    /// `/roles/{role}`.
    PutRole(String),
    /// `/roles/{role}/delete`.
    DeleteRole(String),
    /// `/access`.
    InsertRule,
    /// `/access/{index}`.
    ReplaceRule(usize),
    /// `/access/{index}/move`.
    MoveRule(usize),
    /// `/access/{index}/delete`.
    DeleteRule(usize),
    /// `/settings/{section}`.
    SaveSection(String),
    /// `/settings/{section}/reset`.
    ResetSection(String),
}

/// A form changes nothing itself: what it asks of the API has its own effect, and its own refusals.
const FORM: Methods = Methods(&[("POST", Effect::Reads)]);
const BOTH: Methods = Methods(&[("GET", Effect::Reads), ("HEAD", Effect::Reads), ("POST", Effect::Reads)]);

impl PagesEndpoint {
    /// Whether it is something that a page loads.
    pub(in super::super) fn is_asset(&self) -> bool {
        matches!(self, Self::Page(WebPage::Asset(_)))
    }

    /// The repository that it is about. What its caller may do there is decided by what the page asks of the API.
    pub(in super::super) fn repository(&self) -> Option<&RepositoryName> {
        match self {
            Self::Page(
                WebPage::Tags(name)
                | WebPage::Untagged(name)
                | WebPage::Referrers(name)
                | WebPage::Retention(name)
                | WebPage::Access(name)
                | WebPage::Settings(name)
                | WebPage::Compare(name)
                | WebPage::Copy(name)
                | WebPage::Manifest(name, _),
            )
            | Self::Form(
                WebForm::DeleteTags(name)
                | WebForm::SetTag(name)
                | WebForm::Copy(name)
                | WebForm::SaveSettings(name)
                | WebForm::DeleteRepository(name),
            ) => Some(name),
            _ => None,
        }
    }

    /// Parses a path of a page.
    pub(in super::super) fn parse(line: &RequestLine<'_>) -> Result<Self, ServiceError> {
        let PathOffer(page, form) = PathOffer::at(line.segments)?;
        let is_form = *line.method == Method::POST;
        match (page, form) {
            (Some(page), _) if line.is_read() => Ok(Self::Page(page)),
            (_, Some(form)) if is_form => Ok(Self::Form(form)),
            (Some(_), Some(_)) => Err(ServiceError::MethodNotAllowed(BOTH)),
            (Some(_), None) => Err(ServiceError::MethodNotAllowed(Methods::READ)),
            (None, _) => Err(ServiceError::MethodNotAllowed(FORM)),
        }
    }
}

impl Family for PagesEndpoint {
    fn name(&self) -> &'static str {
        match self {
            Self::Page(page) => match page {
                WebPage::Asset(_) => "page_asset",
                WebPage::Offline => "page_offline",
                WebPage::Home => "page_home",
                WebPage::Login => "page_login",
                WebPage::Repositories => "page_repositories",
                WebPage::NewRepository => "page_new_repository",
                WebPage::Tags(_) => "page_tags",
                WebPage::Untagged(_) => "page_untagged",
                WebPage::Referrers(_) => "page_referrers",
                WebPage::Retention(_) => "page_retention",
                WebPage::Access(_) => "page_access",
                WebPage::Settings(_) => "page_repository_settings",
                WebPage::Compare(_) => "page_compare",
                WebPage::Manifest(..) => "page_manifest",
                WebPage::Artifact(page) => page.name(),
                WebPage::Search => "page_search",
                WebPage::Profile => "page_profile",
                WebPage::Register => "page_register",
                WebPage::Copy(_) => "page_copy",
                WebPage::Namespaces => "page_namespaces",
                WebPage::Namespace(_) => "page_namespace",
                WebPage::ApiDocs(_) => "page_api_docs",
                #[cfg(debug_assertions)]
                WebPage::Style => "page_style",
                WebPage::Migrations => "page_migrations",
                WebPage::Migration(_) => "page_migration",
                WebPage::System => "page_system",
                WebPage::Task(_) => "page_task",
                WebPage::Uploads => "page_uploads",
                WebPage::Audit => "page_audit",
                WebPage::Requests => "page_requests",
                WebPage::Users => "page_users",
                WebPage::User(_) => "page_user",
                WebPage::Groups => "page_groups",
                WebPage::Group(_) => "page_group",
                WebPage::Roles => "page_roles",
                WebPage::Role(_) => "page_role",
                WebPage::Rules => "page_rules",
                WebPage::Section(_) => "page_settings",
            },
            Self::Form(form) => match form {
                WebForm::LogIn => "form_login",
                WebForm::LogOut => "form_logout",
                WebForm::Theme => "form_theme",
                WebForm::CreateRepository => "form_create_repository",
                WebForm::DeleteTags(_) => "form_delete_tags",
                WebForm::SetTag(_) => "form_set_tag",
                WebForm::SaveSettings(_) => "form_repository_settings",
                WebForm::DeleteRepository(_) => "form_delete_repository",
                WebForm::Artifact(form) => form.name(),
                WebForm::Register => "form_register",
                WebForm::ChangePassword => "form_change_password",
                WebForm::Copy(_) => "form_copy",
                WebForm::CreateNamespace => "form_create_namespace",
                WebForm::DeleteNamespace(_) => "form_delete_namespace",
                WebForm::Migrate => "form_migrate",
                WebForm::CancelMigration(_) => "form_cancel_migration",
                WebForm::ResumeMigration(_) => "form_resume_migration",
                WebForm::CancelTask(_) => "form_cancel_task",
                WebForm::CancelUpload(_) => "form_cancel_upload",
                WebForm::Reload => "form_reload",
                WebForm::CreateKey => "form_create_key",
                WebForm::DeleteKey(_) => "form_delete_key",
                WebForm::EndSession(_) => "form_end_session",
                WebForm::LogOutEverywhere => "form_logout_everywhere",
                WebForm::Collect => "form_gc",
                WebForm::Check => "form_fsck",
                WebForm::CreateUser => "form_create_user",
                WebForm::UpdateUser(_) => "form_update_user",
                WebForm::DeleteUser(_) => "form_delete_user",
                WebForm::CreateKeyOf(_) => "form_create_key_of",
                WebForm::DeleteKeyOf(..) => "form_delete_key_of",
                WebForm::EndSessionOf(..) => "form_end_session_of",
                WebForm::CreateGroup => "form_create_group",
                WebForm::UpdateGroup(_) => "form_update_group",
                WebForm::DeleteGroup(_) => "form_delete_group",
                WebForm::CreateRole => "form_create_role",
                WebForm::PutRole(_) => "form_put_role",
                WebForm::DeleteRole(_) => "form_delete_role",
                WebForm::InsertRule => "form_insert_rule",
                WebForm::ReplaceRule(_) => "form_replace_rule",
                WebForm::MoveRule(_) => "form_move_rule",
                WebForm::DeleteRule(_) => "form_delete_rule",
                WebForm::SaveSection(_) => "form_save_settings",
                WebForm::ResetSection(_) => "form_reset_settings",
            },
        }
    }

    fn needs(&self) -> Need<'_> {
        match self {
            // A session that has ended must not keep anybody from the next login.
            Self::Page(WebPage::Asset(_) | WebPage::Offline | WebPage::Login)
            | Self::Form(WebForm::LogIn | WebForm::LogOut | WebForm::Theme) => Need::Nothing,
            // What a page asks of the API is decided there.
            Self::Page(_) | Self::Form(_) => Need::Sight,
        }
    }

    fn methods(&self) -> Methods {
        match self {
            Self::Page(_) => Methods::READ,
            Self::Form(_) => FORM,
        }
    }

    fn reference(&self) -> Option<Reference> {
        match self {
            Self::Page(WebPage::Manifest(_, reference)) => Some(reference.clone()),
            _ => None,
        }
    }

    fn serve(self, granted: Granted) -> Answering {
        match self {
            Self::Page(page) => Box::pin(async move { show(&granted, page).await }),
            Self::Form(form) => Box::pin(acts::perform(granted, form)),
        }
    }
}

async fn show(granted: &Granted, page: WebPage) -> Result<http::Response<crate::wire::ResponseBody>, ServiceError> {
    match page {
        WebPage::Asset(place) => Ok(assets::show(granted, place)),
        WebPage::Offline => error_page::offline(),
        WebPage::Home => home::show(granted).await,
        WebPage::Login => login::show(granted).await,
        WebPage::Repositories => repositories::show(granted).await,
        WebPage::NewRepository => repositories::show_new(granted, None, http::StatusCode::OK).await,
        WebPage::Tags(name) => repository::tags(granted, &name).await,
        WebPage::Untagged(name) => repository::untagged(granted, &name).await,
        WebPage::Referrers(name) => repository::referrers(granted, &name).await,
        WebPage::Retention(name) => repository::retention(granted, &name).await,
        WebPage::Access(name) => repository::access(granted, &name).await,
        WebPage::Settings(name) => repository_settings::show(granted, &name, EditForms::default()).await,
        WebPage::Compare(name) => compare::show(granted, &name).await,
        WebPage::Manifest(name, reference) => manifest::show(granted, &name, &reference, FormState::default()).await,
        WebPage::Artifact(page) => page.show(granted).await,
        WebPage::Search => search::show(granted).await,
        WebPage::Profile => profile::show(granted, None).await,
        WebPage::Register => register::show(granted).await,
        WebPage::Copy(name) => copying::show(granted, &name, None).await,
        WebPage::Namespaces => namespaces::list(granted, None).await,
        WebPage::Namespace(name) => namespaces::show(granted, &name).await,
        WebPage::ApiDocs(noun) => api_docs::show(granted, noun).await,
        #[cfg(debug_assertions)]
        WebPage::Style => style::show(granted).await,
        WebPage::Migrations => migration::list(granted, FormState::default(), None).await,
        WebPage::Migration(id) => migration::show(granted, id, FormState::default()).await,
        WebPage::System => system::show(granted).await,
        WebPage::Task(id) => tasks::show(granted, id).await,
        WebPage::Uploads => activity::uploads(granted).await,
        WebPage::Audit => activity::audit(granted).await,
        WebPage::Requests => requests::show(granted).await,
        WebPage::Users => people::users(granted, FormState::default()).await,
        WebPage::User(name) => people::user(granted, name, UserOutcome::Shown).await,
        WebPage::Groups => people::groups(granted, FormState::default()).await,
        WebPage::Group(name) => people::group(granted, name, EditForms::default()).await,
        WebPage::Roles => people::roles(granted, FormState::default()).await,
        WebPage::Role(name) => people::role(granted, name, EditForms::default()).await,
        WebPage::Rules => rules::show(granted, None).await,
        WebPage::Section(name) => settings::show(granted, name, FormState::default()).await,
    }
}
