//! The paths of the web pages.

use super::{
    super::error::{ApiError, ServiceError},
    artifacts, assets,
    endpoint::{WebForm, WebPage},
};
use oci::{Reference, RepositoryName};

/// First segments of paths that are pages.
const ROOTS: [&str; 18] = [
    "",
    "ui",
    "login",
    "logout",
    "repositories",
    "artifacts",
    "search",
    "profile",
    "register",
    "namespaces",
    "migration",
    "docs",
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

/// What is at a path.
pub(super) struct PathOffer(pub(super) Option<WebPage>, pub(super) Option<WebForm>);

impl PathOffer {
    fn page(page: WebPage) -> Self {
        Self(Some(page), None)
    }

    fn form(form: WebForm) -> Self {
        Self(None, Some(form))
    }

    /// # Errors
    /// [`ApiError::NotFound`], or a name is invalid.
    pub(super) fn at(segments: &[&str]) -> Result<Self, ServiceError> {
        let nothing = || ServiceError::from(ApiError::NotFound);
        let both = |name: &str, page: fn(String) -> WebPage, form: fn(String) -> WebForm| {
            Self(Some(page(name.to_owned())), Some(form(name.to_owned())))
        };
        Ok(match segments {
            [""] => Self::page(WebPage::Home),
            ["ui", "offline"] => Self::page(WebPage::Offline),
            ["ui", "theme"] => Self::form(WebForm::Theme),
            #[cfg(debug_assertions)]
            ["ui", "style"] => Self::page(WebPage::Style),
            ["ui", name] => Self::page(WebPage::Asset(assets::find(name).ok_or_else(nothing)?)),
            ["login"] => Self(Some(WebPage::Login), Some(WebForm::LogIn)),
            ["logout"] => Self::form(WebForm::LogOut),
            ["search"] => Self::page(WebPage::Search),
            ["profile"] => Self::page(WebPage::Profile),
            ["register"] => Self(Some(WebPage::Register), Some(WebForm::Register)),
            ["docs", "api"] => Self::page(WebPage::ApiDocs(None)),
            ["docs", "api", noun] => Self::page(WebPage::ApiDocs(Some((*noun).to_owned()))),
            ["namespaces"] => Self(Some(WebPage::Namespaces), Some(WebForm::CreateNamespace)),
            ["namespaces", name] => Self::page(WebPage::Namespace(name.parse()?)),
            ["namespaces", name, "delete"] => Self::form(WebForm::DeleteNamespace(name.parse()?)),
            ["profile", "password"] => Self::form(WebForm::ChangePassword),
            ["profile", "keys"] => Self::form(WebForm::CreateKey),
            ["profile", "keys", id, "delete"] => Self::form(WebForm::DeleteKey(id.parse().map_err(|_| nothing())?)),
            ["profile", "sessions", id, "end"] => Self::form(WebForm::EndSession(id.parse().map_err(|_| nothing())?)),
            ["profile", "everywhere"] => Self::form(WebForm::LogOutEverywhere),
            ["migration"] => Self(Some(WebPage::Migrations), Some(WebForm::Migrate)),
            ["migration", id] => Self::page(WebPage::Migration(id.parse().map_err(|_| nothing())?)),
            ["migration", id, "cancel"] => Self::form(WebForm::CancelMigration(id.parse().map_err(|_| nothing())?)),
            ["migration", id, "resume"] => Self::form(WebForm::ResumeMigration(id.parse().map_err(|_| nothing())?)),
            ["system"] => Self::page(WebPage::System),
            ["system", "audit"] => Self::page(WebPage::Audit),
            ["system", "requests"] => Self::page(WebPage::Requests),
            ["system", "uploads"] => Self::page(WebPage::Uploads),
            ["system", "uploads", id, "cancel"] => {
                Self::form(WebForm::CancelUpload(id.parse().map_err(|_| nothing())?))
            }
            ["system", "tasks", id] => Self::page(WebPage::Task(id.parse().map_err(|_| nothing())?)),
            ["system", "tasks", id, "cancel"] => Self::form(WebForm::CancelTask(id.parse().map_err(|_| nothing())?)),
            ["system", "reload"] => Self::form(WebForm::Reload),
            ["system", "gc"] => Self::form(WebForm::Collect),
            ["system", "fsck"] => Self::form(WebForm::Check),
            ["users"] => Self(Some(WebPage::Users), Some(WebForm::CreateUser)),
            ["users", name] if !name.is_empty() => both(name, WebPage::User, WebForm::UpdateUser),
            ["users", name, "delete"] if !name.is_empty() => Self::form(WebForm::DeleteUser((*name).to_owned())),
            ["users", name, "keys"] if !name.is_empty() => Self::form(WebForm::CreateKeyOf((*name).to_owned())),
            ["users", name, "keys", id, "delete"] => {
                Self::form(WebForm::DeleteKeyOf((*name).to_owned(), id.parse().map_err(|_| nothing())?))
            }
            ["users", name, "sessions", id, "end"] => {
                Self::form(WebForm::EndSessionOf((*name).to_owned(), id.parse().map_err(|_| nothing())?))
            }
            ["groups"] => Self(Some(WebPage::Groups), Some(WebForm::CreateGroup)),
            ["groups", name] if !name.is_empty() => both(name, WebPage::Group, WebForm::UpdateGroup),
            ["groups", name, "delete"] if !name.is_empty() => Self::form(WebForm::DeleteGroup((*name).to_owned())),
            ["roles"] => Self(Some(WebPage::Roles), Some(WebForm::CreateRole)),
            ["roles", name] if !name.is_empty() => both(name, WebPage::Role, WebForm::PutRole),
            ["roles", name, "delete"] if !name.is_empty() => Self::form(WebForm::DeleteRole((*name).to_owned())),
            ["access"] => Self(Some(WebPage::Rules), Some(WebForm::InsertRule)),
            ["access", index] => Self::form(WebForm::ReplaceRule(index.parse().map_err(|_| nothing())?)),
            ["access", index, "move"] => Self::form(WebForm::MoveRule(index.parse().map_err(|_| nothing())?)),
            ["access", index, "delete"] => Self::form(WebForm::DeleteRule(index.parse().map_err(|_| nothing())?)),
            ["settings"] => Self::page(WebPage::Section(None)),
            ["settings", name] if !name.is_empty() => {
                both(name, |name| WebPage::Section(Some(name)), WebForm::SaveSection)
            }
            ["settings", name, "reset"] => Self::form(WebForm::ResetSection((*name).to_owned())),
            ["artifacts", rest @ ..] => artifacts::at(rest)?,
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
            ["copy"] => Self(Some(WebPage::Copy(name.clone())), Some(WebForm::Copy(name))),
            ["untagged"] => Self::page(WebPage::Untagged(name)),
            ["referrers"] => Self::page(WebPage::Referrers(name)),
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
