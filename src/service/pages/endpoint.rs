//! The paths of the web pages.

use super::{
    super::{
        answer::Answering,
        endpoint::{Effect, Family, Methods, Need, RequestLine},
        error::{ApiError, ServiceError},
        gate::Granted,
    },
    acts, assets, compare, home, login, manifest, people, profile, repositories, repository, rules, search, settings,
    system,
};
use crate::who::{ApiKeyId, SessionId};
use http::Method;
use oci::{Reference, RepositoryName};

/// First segments of paths that are pages.
const ROOTS: [&str; 13] = [
    "",
    "ui",
    "login",
    "logout",
    "repositories",
    "search",
    "profile",
    "system",
    "users",
    "groups",
    "roles",
    "access",
    "settings",
];

/// Whether a raw path is one of a page, whether or not it has an endpoint.
pub(in super::super) fn is_page(path: &str) -> bool {
    path.split('/').nth(1).is_some_and(|root| ROOTS.contains(&root))
}

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
    /// `/search`.
    Search,
    /// `/profile`.
    Profile,
    /// `/system`.
    System,
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
    /// `…/-/settings`.
    SaveSettings(RepositoryName),
    /// `…/-/delete`.
    DeleteRepository(RepositoryName),
    /// `/profile/keys`.
    CreateKey,
    /// `/profile/keys/{id}/delete`.
    DeleteKey(ApiKeyId),
    /// `/profile/sessions/{id}/end`.
    EndSession(SessionId),
    /// `/profile/everywhere`.
    LogOutEverywhere,
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

/// What is at a path.
struct PathOffer(Option<WebPage>, Option<WebForm>);

impl PathOffer {
    fn page(page: WebPage) -> Self {
        Self(Some(page), None)
    }

    fn form(form: WebForm) -> Self {
        Self(None, Some(form))
    }

    /// # Errors
    /// [`ApiError::NotFound`], or a name is invalid.
    fn at(segments: &[&str]) -> Result<Self, ServiceError> {
        let nothing = || ServiceError::from(ApiError::NotFound);
        let both = |name: &str, page: fn(String) -> WebPage, form: fn(String) -> WebForm| {
            Self(Some(page(name.to_owned())), Some(form(name.to_owned())))
        };
        Ok(match segments {
            [""] => Self::page(WebPage::Home),
            ["ui", "theme"] => Self::form(WebForm::Theme),
            ["ui", name] => Self::page(WebPage::Asset(assets::find(name).ok_or_else(nothing)?)),
            ["login"] => Self(Some(WebPage::Login), Some(WebForm::LogIn)),
            ["logout"] => Self::form(WebForm::LogOut),
            ["search"] => Self::page(WebPage::Search),
            ["profile"] => Self::page(WebPage::Profile),
            ["profile", "keys"] => Self::form(WebForm::CreateKey),
            ["profile", "keys", id, "delete"] => Self::form(WebForm::DeleteKey(id.parse().map_err(|_| nothing())?)),
            ["profile", "sessions", id, "end"] => Self::form(WebForm::EndSession(id.parse().map_err(|_| nothing())?)),
            ["profile", "everywhere"] => Self::form(WebForm::LogOutEverywhere),
            ["system"] => Self::page(WebPage::System),
            ["system", "gc"] => Self::form(WebForm::Collect),
            ["system", "fsck"] => Self::form(WebForm::Check),
            ["users"] => Self(Some(WebPage::Users), Some(WebForm::CreateUser)),
            ["users", name] if !name.is_empty() => both(name, WebPage::User, WebForm::UpdateUser),
            ["users", name, "delete"] if !name.is_empty() => Self::form(WebForm::DeleteUser((*name).to_owned())),
            ["groups"] => Self(Some(WebPage::Groups), Some(WebForm::CreateGroup)),
            ["groups", name] if !name.is_empty() => both(name, WebPage::Group, WebForm::UpdateGroup),
            ["groups", name, "delete"] if !name.is_empty() => Self::form(WebForm::DeleteGroup((*name).to_owned())),
            ["roles"] => Self(Some(WebPage::Roles), Some(WebForm::CreateRole)),
            ["roles", name] if !name.is_empty() => both(name, WebPage::Role, WebForm::PutRole),
            ["roles", name, "delete"] if !name.is_empty() => Self::form(WebForm::DeleteRole((*name).to_owned())),
            ["access"] => Self(Some(WebPage::Rules), Some(WebForm::InsertRule)),
            ["access", index] => Self::form(WebForm::ReplaceRule(index.parse().map_err(|_| nothing())?)),
            ["access", index, "delete"] => Self::form(WebForm::DeleteRule(index.parse().map_err(|_| nothing())?)),
            ["settings"] => Self::page(WebPage::Section(None)),
            ["settings", name] if !name.is_empty() => {
                both(name, |name| WebPage::Section(Some(name)), WebForm::SaveSection)
            }
            ["settings", name, "reset"] => Self::form(WebForm::ResetSection((*name).to_owned())),
            ["repositories"] => Self::page(WebPage::Repositories),
            ["repositories", "-", "new"] => Self(Some(WebPage::NewRepository), Some(WebForm::CreateRepository)),
            ["repositories", rest @ ..] => Self::of_repository(rest)?,
            _ => return Err(nothing()),
        })
    }

    fn of_repository(rest: &[&str]) -> Result<Self, ServiceError> {
        let end = rest.iter().position(|segment| *segment == "-");
        let name = rest[..end.unwrap_or(rest.len())].join("/").parse::<RepositoryName>()?;
        let Some(end) = end else { return Ok(Self::page(WebPage::Tags(name))) };
        Ok(match &rest[end + 1..] {
            ["tags", "delete"] => Self::form(WebForm::DeleteTags(name)),
            ["tags", "set"] => Self::form(WebForm::SetTag(name)),
            ["untagged"] => Self::page(WebPage::Untagged(name)),
            ["retention"] => Self::page(WebPage::Retention(name)),
            ["access"] => Self::page(WebPage::Access(name)),
            ["settings"] => Self(Some(WebPage::Settings(name.clone())), Some(WebForm::SaveSettings(name))),
            ["delete"] => Self::form(WebForm::DeleteRepository(name)),
            ["compare"] => Self::page(WebPage::Compare(name)),
            ["manifests", reference] => Self::page(WebPage::Manifest(name, reference.parse::<Reference>()?)),
            _ => return Err(ApiError::NotFound.into()),
        })
    }
}

impl PagesEndpoint {
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
                WebPage::Home => "page_home",
                WebPage::Login => "page_login",
                WebPage::Repositories => "page_repositories",
                WebPage::NewRepository => "page_new_repository",
                WebPage::Tags(_) => "page_tags",
                WebPage::Untagged(_) => "page_untagged",
                WebPage::Retention(_) => "page_retention",
                WebPage::Access(_) => "page_access",
                WebPage::Settings(_) => "page_repository_settings",
                WebPage::Compare(_) => "page_compare",
                WebPage::Manifest(..) => "page_manifest",
                WebPage::Search => "page_search",
                WebPage::Profile => "page_profile",
                WebPage::System => "page_system",
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
                WebForm::CreateKey => "form_create_key",
                WebForm::DeleteKey(_) => "form_delete_key",
                WebForm::EndSession(_) => "form_end_session",
                WebForm::LogOutEverywhere => "form_logout_everywhere",
                WebForm::Collect => "form_gc",
                WebForm::Check => "form_fsck",
                WebForm::CreateUser => "form_create_user",
                WebForm::UpdateUser(_) => "form_update_user",
                WebForm::DeleteUser(_) => "form_delete_user",
                WebForm::CreateGroup => "form_create_group",
                WebForm::UpdateGroup(_) => "form_update_group",
                WebForm::DeleteGroup(_) => "form_delete_group",
                WebForm::CreateRole => "form_create_role",
                WebForm::PutRole(_) => "form_put_role",
                WebForm::DeleteRole(_) => "form_delete_role",
                WebForm::InsertRule => "form_insert_rule",
                WebForm::ReplaceRule(_) => "form_replace_rule",
                WebForm::DeleteRule(_) => "form_delete_rule",
                WebForm::SaveSection(_) => "form_save_settings",
                WebForm::ResetSection(_) => "form_reset_settings",
            },
        }
    }

    fn needs(&self) -> Need<'_> {
        match self {
            // A session that has ended must not keep anybody from the next login.
            Self::Page(WebPage::Asset(_) | WebPage::Login)
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
        WebPage::Home => home::show(granted).await,
        WebPage::Login => login::show(granted),
        WebPage::Repositories => repositories::show(granted).await,
        WebPage::NewRepository => repositories::show_new(granted, None, http::StatusCode::OK),
        WebPage::Tags(name) => repository::tags(granted, &name).await,
        WebPage::Untagged(name) => repository::untagged(granted, &name).await,
        WebPage::Retention(name) => repository::retention(granted, &name).await,
        WebPage::Access(name) => repository::access(granted, &name).await,
        WebPage::Settings(name) => repository::settings(granted, &name).await,
        WebPage::Compare(name) => compare::show(granted, &name).await,
        WebPage::Manifest(name, reference) => manifest::show(granted, &name, &reference).await,
        WebPage::Search => search::show(granted).await,
        WebPage::Profile => profile::show(granted, None).await,
        WebPage::System => system::show(granted).await,
        WebPage::Users => people::users(granted, None).await,
        WebPage::User(name) => people::user(granted, name).await,
        WebPage::Groups => people::groups(granted).await,
        WebPage::Group(name) => people::group(granted, name).await,
        WebPage::Roles => people::roles(granted).await,
        WebPage::Role(name) => people::role(granted, name).await,
        WebPage::Rules => rules::show(granted).await,
        WebPage::Section(name) => settings::show(granted, name).await,
    }
}
