//! What a view is called, where it belongs, and which columns it has.

use super::{ViewKind, ViewLayout, columns::*};
use crate::{lists, output::Column};

impl ViewKind {
    /// The screen that it belongs to.
    pub fn screen(&self) -> usize {
        match self {
            Self::Home => 0,
            Self::Repositories | Self::Tags { .. } | Self::Image { .. } => 1,
            Self::UserMenu
            | Self::Users
            | Self::Access { .. }
            | Self::Keys
            | Self::Groups
            | Self::Roles
            | Self::Sessions => 2,
            Self::ArtifactRepositories | Self::Artifacts { .. } | Self::ArtifactSearch { .. } | Self::Trash { .. } => 3,
            Self::Tasks | Self::Migrations | Self::Migration { .. } => 4,
            _ => 5,
        }
    }

    /// What a screen begins with.
    pub fn first(screen: usize) -> Self {
        match screen {
            0 => Self::Home,
            1 => Self::Repositories,
            2 => Self::UserMenu,
            3 => Self::ArtifactRepositories,
            4 => Self::Tasks,
            _ => Self::AdminMenu,
        }
    }

    /// Its heading.
    pub fn title(&self) -> String {
        match self {
            Self::Home => "Home".into(),
            Self::Repositories => "Repositories".into(),
            Self::Tags { repository } => format!("Tags of {repository}"),
            Self::Image { repository, reference } if reference.contains(':') => format!("{repository}@{reference}"),
            Self::Image { repository, reference } => format!("{repository}:{reference}"),
            Self::UserMenu => "Users and keys".into(),
            Self::Users => "Users".into(),
            Self::Access { user } => format!("What {user} may do"),
            Self::Keys => "API keys".into(),
            Self::Groups => "Groups".into(),
            Self::Roles => "Roles".into(),
            Self::Sessions => "Your sessions".into(),
            Self::ArtifactRepositories => "Artifacts".into(),
            Self::Artifacts { repository } => format!("Artifacts of {repository}"),
            Self::ArtifactSearch { terms } => {
                let terms: Vec<_> = terms.iter().map(|(key, value)| format!("{}={value}", shown_term(key))).collect();
                format!("Artifacts with {}", terms.join(" "))
            }
            Self::Trash { repository } => format!("Trash of {repository}"),
            Self::Tasks => "Tasks".into(),
            Self::Migrations => "Migrations".into(),
            Self::Migration { id } => format!("Migration {id}"),
            Self::AdminMenu => "Administration".into(),
            Self::Activity => "Activity".into(),
            Self::Uploads => "Uploads that have not ended".into(),
            Self::Configuration => "Configuration".into(),
            Self::Audit => "Audit log".into(),
            Self::Settings => "Settings".into(),
            Self::Section { section } => format!("Settings: {section}"),
            Self::Quotas => "Quotas".into(),
            Self::Namespaces => "Namespaces".into(),
            Self::Outbox => "Outbox".into(),
        }
    }

    /// How it divides the screen.
    pub fn layout(&self) -> ViewLayout {
        match self {
            Self::Home => ViewLayout::Home,
            Self::UserMenu | Self::AdminMenu => ViewLayout::Menu,
            Self::Image { .. } => ViewLayout::Image,
            Self::Activity => ViewLayout::Activity,
            Self::Migration { .. } | Self::Outbox => ViewLayout::Report,
            Self::Repositories | Self::Users | Self::Groups | Self::Roles | Self::ArtifactRepositories => {
                ViewLayout::Split
            }
            _ => ViewLayout::Table,
        }
    }

    /// The lines of a menu, and what they are.
    pub fn menu(&self) -> Option<&'static [(&'static str, &'static str)]> {
        match self {
            Self::UserMenu => Some(&[
                ("Create API Key", "for docker login, CI and programs"),
                ("Manage Users", "list, create, edit, lock, delete; what each may do"),
                ("View Active API Keys", "scopes, expiry and last use; never the secret"),
                ("Groups", "members and roles"),
                ("Roles", "permissions, and the repositories they count in"),
                ("Sessions", "where you are logged in"),
            ]),
            Self::AdminMenu => Some(&[
                ("Activity", "transfers, and the latest requests"),
                ("Audit log", "who changed what"),
                ("Settings", "sections of settings.toml"),
                ("Configuration", "files, and what is wrong with them"),
                ("Uploads", "uploads that have not ended"),
                ("Quotas", "what is used of each"),
                ("Namespaces", "the first components of repository names"),
                ("Migrations", "images that are copied from other registries"),
                ("Outbox", "what is still to be written to the SFTP server"),
            ]),
            _ => None,
        }
    }

    /// The field that names a row.
    pub fn key(&self) -> &'static str {
        match self {
            Self::Users => "/username",
            Self::Access { .. } => "/repository",
            Self::Keys | Self::Artifacts { .. } | Self::ArtifactSearch { .. } | Self::Tasks | Self::Uploads => "/id",
            Self::Migrations => "/id",
            Self::Migration { .. } => "/source",
            Self::Outbox => "/number",
            Self::Trash { .. } => "/artifact/id",
            Self::Sessions => "/sid",
            Self::Activity | Self::Audit => "/request_id",
            Self::Settings => "/section",
            Self::Section { .. } => "/key",
            Self::Configuration => "/problem",
            Self::Quotas => "/repositories",
            _ => "/name",
        }
    }

    /// What a list shows.
    pub fn columns(&self) -> &'static [Column] {
        match self {
            Self::Repositories => lists::REPOSITORIES,
            Self::Tags { .. } => lists::TAGS,
            Self::Users => lists::USERS,
            Self::Access { .. } => lists::USER_ACCESS,
            Self::Keys => lists::KEYS,
            Self::Groups => lists::GROUPS,
            Self::Roles => lists::ROLES,
            Self::Sessions => SESSIONS,
            Self::ArtifactRepositories => lists::ARTIFACT_REPOSITORIES,
            Self::Artifacts { .. } => lists::ARTIFACTS,
            Self::ArtifactSearch { .. } => FOUND_ARTIFACTS,
            Self::Trash { .. } => lists::TRASH,
            Self::Tasks => lists::TASKS,
            Self::Migrations => lists::MIGRATIONS,
            Self::Migration { .. } => lists::MIGRATED_IMAGES,
            Self::Outbox => lists::OUTBOX,
            Self::Activity => REQUESTS,
            Self::Uploads => lists::UPLOADS,
            Self::Configuration => PROBLEMS,
            Self::Audit => lists::AUDIT,
            Self::Settings => lists::SECTIONS,
            Self::Section { .. } => lists::SETTINGS,
            Self::Quotas => lists::QUOTAS,
            Self::Namespaces => lists::NAMESPACES,
            Self::UserMenu | Self::AdminMenu => MENU,
            Self::Home | Self::Image { .. } => &[],
        }
    }

    /// What is shown of the selected row, with a label for each value.
    pub fn details(&self) -> &'static [Column] {
        match self {
            Self::Repositories => REPOSITORY_DETAILS,
            Self::Tags { .. } => TAG_DETAILS,
            Self::Users => USER_DETAILS,
            Self::Keys => KEY_DETAILS,
            Self::Groups => GROUP_DETAILS,
            Self::Roles => ROLE_DETAILS,
            Self::Sessions => SESSION_DETAILS,
            Self::ArtifactRepositories => ARTIFACT_REPOSITORY_DETAILS,
            Self::Artifacts { .. } | Self::ArtifactSearch { .. } => ARTIFACT_DETAILS,
            Self::Tasks => TASK_DETAILS,
            Self::Migrations => lists::MIGRATION,
            Self::Migration { .. } => lists::MIGRATED_IMAGE,
            Self::Outbox => lists::OUTBOX_WRITE,
            Self::Activity => REQUEST_DETAILS,
            Self::Audit => AUDIT_DETAILS,
            Self::Section { .. } => SETTING_DETAILS,
            Self::Configuration => PROBLEM_DETAILS,
            _ => &[],
        }
    }

    /// What is shown of the thing that a report is about.
    pub fn summary(&self) -> &'static [Column] {
        match self {
            Self::Migration { .. } => lists::MIGRATION,
            Self::Outbox => lists::OUTBOX_TOTALS,
            _ => &[],
        }
    }
}

/// A term of a search as people type it.
fn shown_term(key: &str) -> &str {
    key.strip_prefix("property.").unwrap_or(key)
}
