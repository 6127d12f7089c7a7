//! What can be shown: for each view its request, its columns, and what belongs to its selected row.

mod columns;
mod image;

pub use image::ImageSection;

use super::{
    rows::RowList,
    work::{LoadRequest, repository_path},
};
use crate::{management::segment, output::Column};
use columns::*;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// The screens, from left to right.
pub const SCREENS: [&str; 6] = ["Home", "Repositories", "Users", "Artifacts", "Tasks", "Admin"];

/// What a view shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ViewKind {
    Home,
    Repositories,
    Tags { repository: String },
    Image { repository: String, reference: String },
    UserMenu,
    Users,
    Access { user: String },
    Keys,
    Groups,
    Roles,
    Sessions,
    ArtifactRepositories,
    Artifacts { repository: String },
    ArtifactSearch { terms: Vec<(String, String)> },
    Trash { repository: String },
    Tasks,
    AdminMenu,
    Activity,
    Uploads,
    Configuration,
    Audit,
    Settings,
    Section { section: String },
    Quotas,
    Namespaces,
}

/// How a view divides the screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ViewLayout {
    Home,
    /// Names on the left, 40 percent; the selected one on the right.
    Split,
    /// A table, with the selected row below.
    Table,
    /// Lines to choose from.
    Menu,
    Image,
    Activity,
}

/// What was asked for.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Loading {
    /// Nothing yet.
    #[default]
    Idle,
    /// The answer is awaited.
    Running,
    /// It is there.
    Done,
    /// It failed.
    Failed(LoadProblem),
}

/// Why something could not be loaded or changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoadProblem {
    /// What failed; already harmless.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
    /// Whether logging in would help.
    pub needs_login: bool,
}

/// One view, with what it has loaded.
#[derive(Debug)]
pub struct TuiView {
    /// Which one; answers to requests of views that are gone are dropped.
    pub id: u64,
    pub kind: ViewKind,
    pub rows: RowList,
    pub loading: Loading,
    /// When the last load ended.
    pub loaded_at: Option<Instant>,
    /// What belongs to the selected row, or to the view as a whole.
    pub detail: Option<Value>,
    pub detail_loading: Loading,
    /// Which row the detail belongs to.
    pub detail_of: Option<String>,
    pub section: ImageSection,
    /// Pages of a list that is being read again, until it is complete.
    pub incoming: Vec<Value>,
}

impl TuiView {
    /// A view that has loaded nothing yet.
    pub fn new(id: u64, kind: ViewKind) -> Self {
        let rows = match kind {
            ViewKind::Image { .. } => RowList::text(),
            _ => RowList::new(kind.key(), kind.columns()),
        };
        let mut view = Self {
            id,
            kind,
            rows,
            loading: Loading::Idle,
            loaded_at: None,
            detail: None,
            detail_loading: Loading::Idle,
            detail_of: None,
            section: ImageSection::Manifest,
            incoming: Vec::new(),
        };
        if let Some(entries) = view.kind.menu() {
            view.rows.replace(entries.iter().map(|(name, about)| json!({ "name": name, "about": about })).collect());
            view.loading = Loading::Done;
        }
        view
    }
}

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
            Self::Tasks => 4,
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
            Self::AdminMenu => "Administration".into(),
            Self::Activity => "Activity".into(),
            Self::Uploads => "Uploads that have not ended".into(),
            Self::Configuration => "Configuration".into(),
            Self::Audit => "Audit log".into(),
            Self::Settings => "Settings".into(),
            Self::Section { section } => format!("Settings: {section}"),
            Self::Quotas => "Quotas".into(),
            Self::Namespaces => "Namespaces".into(),
        }
    }

    /// How it divides the screen.
    pub fn layout(&self) -> ViewLayout {
        match self {
            Self::Home => ViewLayout::Home,
            Self::UserMenu | Self::AdminMenu => ViewLayout::Menu,
            Self::Image { .. } => ViewLayout::Image,
            Self::Activity => ViewLayout::Activity,
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
            Self::Repositories => REPOSITORIES,
            Self::Tags { .. } => TAGS,
            Self::Users => USERS,
            Self::Access { .. } => ACCESS,
            Self::Keys => KEYS,
            Self::Groups => GROUPS,
            Self::Roles => ROLES,
            Self::Sessions => SESSIONS,
            Self::ArtifactRepositories => ARTIFACT_REPOSITORIES,
            Self::Artifacts { .. } => ARTIFACTS,
            Self::ArtifactSearch { .. } => FOUND_ARTIFACTS,
            Self::Trash { .. } => TRASH,
            Self::Tasks => TASKS,
            Self::Activity => REQUESTS,
            Self::Uploads => UPLOADS,
            Self::Configuration => PROBLEMS,
            Self::Audit => AUDIT,
            Self::Settings => SECTIONS,
            Self::Section { .. } => SETTINGS,
            Self::Quotas => QUOTAS,
            Self::Namespaces => NAMESPACES,
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
            Self::Activity => REQUEST_DETAILS,
            Self::Audit => AUDIT_DETAILS,
            Self::Section { .. } => SETTING_DETAILS,
            Self::Configuration => PROBLEM_DETAILS,
            _ => &[],
        }
    }

    /// The request for its rows.
    pub fn load(&self, is_admin: bool) -> Option<LoadRequest> {
        let list = |path: &str| Some(LoadRequest::List { path: path.to_owned(), query: Vec::new(), most: None });
        match self {
            Self::Home => Some(LoadRequest::Home),
            Self::UserMenu | Self::AdminMenu => None,
            Self::Repositories => list("/repositories"),
            Self::Tags { repository } => list(&format!("{}/-/tags", repository_path(repository))),
            Self::Image { repository, reference } => Some(LoadRequest::Object {
                path: format!("{}/-/manifests/{}", repository_path(repository), segment(reference)),
                rows: None,
            }),
            Self::Users => list("/users"),
            Self::Access { user } => list(&format!("/users/{}/access", segment(user))),
            Self::Keys => {
                let query = if is_admin { vec![("owner".to_owned(), "*".to_owned())] } else { Vec::new() };
                Some(LoadRequest::List { path: "/keys".into(), query, most: None })
            }
            Self::Groups => list("/groups"),
            Self::Roles => list("/roles"),
            Self::Sessions => list("/auth/sessions"),
            Self::ArtifactRepositories => list("/artifacts/repos"),
            Self::Artifacts { repository } => Some(LoadRequest::Versions(repository.clone())),
            Self::ArtifactSearch { terms } => Some(LoadRequest::Search(terms.clone())),
            Self::Trash { repository } => list(&format!("/artifacts/{}/trash", segment(repository))),
            Self::Tasks => list("/tasks"),
            Self::Activity => Some(LoadRequest::Activity),
            Self::Uploads => list("/uploads"),
            Self::Configuration => Some(LoadRequest::Object { path: "/config".into(), rows: Some("/problems") }),
            Self::Audit => Some(LoadRequest::List { path: "/audit".into(), query: Vec::new(), most: Some(1000) }),
            Self::Settings => Some(LoadRequest::Object { path: "/settings".into(), rows: Some("/items") }),
            Self::Section { section } => Some(LoadRequest::Section(section.clone())),
            Self::Quotas => list("/quotas"),
            Self::Namespaces => list("/namespaces"),
        }
    }

    /// The request for what belongs to the selected row.
    pub fn load_detail(&self, row: &Value) -> Option<LoadRequest> {
        let name = |field: &str| row.get(field).and_then(Value::as_str);
        let first = |path: String, count: usize| {
            Some(LoadRequest::List { path, query: vec![("sort".into(), "pushed".into())], most: Some(count) })
        };
        match self {
            Self::Repositories => first(format!("{}/-/tags", repository_path(name("name")?)), 50),
            Self::Users => Some(LoadRequest::List {
                path: format!("/users/{}/access", segment(name("username")?)),
                query: Vec::new(),
                most: Some(100),
            }),
            _ => None,
        }
    }

    /// How often it is loaded again while it is shown.
    pub fn refresh(&self) -> Option<Duration> {
        let seconds = match self {
            Self::UserMenu | Self::AdminMenu | Self::Section { .. } => return None,
            // What a digest names never changes; what refers to it may.
            Self::Image { .. } => 60,
            Self::Tasks => 1,
            Self::Activity | Self::Uploads => 2,
            Self::Home => 5,
            Self::Repositories | Self::Tags { .. } | Self::Audit => 10,
            _ => 30,
        };
        Some(Duration::from_secs(seconds))
    }
}

/// A term of a search as people type it.
fn shown_term(key: &str) -> &str {
    key.strip_prefix("property.").unwrap_or(key)
}
