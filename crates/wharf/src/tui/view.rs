//! What can be shown: for each view its request, its columns, and what belongs to its selected row.

use super::{
    rows::RowList,
    work::{LoadRequest, repository_path},
};
use crate::{
    management::segment,
    output::{Column, ColumnKind},
};
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

/// The part of an image that is listed below its summary.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ImageSection {
    #[default]
    Manifest,
    Platforms,
    Layers,
    History,
    Referrers,
    Config,
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

    /// Shows another part of an image.
    pub fn show_section(&mut self, section: ImageSection) {
        let image = self.detail.clone().unwrap_or_default();
        self.section = section;
        let list = |field: &str| image.get(field).and_then(Value::as_array).cloned().unwrap_or_default();
        let table = |key, columns, items| {
            let mut rows = RowList::new(key, columns);
            rows.replace(items);
            rows
        };
        let text = |text: String| {
            let mut rows = RowList::text();
            rows.replace(super::rows::lines(&text));
            rows
        };
        self.rows = match section {
            ImageSection::Manifest => {
                let raw = image.get("raw").and_then(Value::as_str).unwrap_or_default();
                text(super::rows::indented(raw))
            }
            ImageSection::Config => text(
                image.get("config_content").filter(|it| !it.is_null()).map(|it| format!("{it:#}")).unwrap_or_default(),
            ),
            ImageSection::Platforms => table("/digest", CHILDREN, list("children")),
            ImageSection::Layers => table("/digest", LAYERS, list("layers")),
            ImageSection::Referrers => table("/digest", REFERRERS, list("referrers")),
            ImageSection::History => {
                let steps = list("history").into_iter().enumerate().map(|(i, mut step)| {
                    step["step"] = (i + 1).into();
                    step
                });
                table("/step", HISTORY, steps.collect())
            }
        };
    }

    /// The parts that an image has.
    pub fn sections(&self) -> Vec<ImageSection> {
        let image = self.detail.as_ref();
        let has = |field: &str| {
            let value = image.and_then(|image| image.get(field));
            value.is_some_and(|value| match value {
                Value::Array(items) => !items.is_empty(),
                other => !other.is_null(),
            })
        };
        let mut sections = vec![ImageSection::Manifest];
        if has("children") {
            sections.push(ImageSection::Platforms);
        } else {
            sections.push(ImageSection::Layers);
            sections.push(ImageSection::History);
        }
        sections.push(ImageSection::Referrers);
        if has("config_content") {
            sections.push(ImageSection::Config);
        }
        sections
    }
}

impl ImageSection {
    /// Its heading.
    pub fn title(self) -> &'static str {
        match self {
            Self::Manifest => "Manifest",
            Self::Platforms => "Platforms",
            Self::Layers => "Layers",
            Self::History => "History",
            Self::Referrers => "Referrers",
            Self::Config => "Configuration",
        }
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

const MENU: &[Column] = &[Column::text("", "/name"), Column::text("", "/about")];
const REPOSITORIES: &[Column] = &[
    Column::text("NAME", "/name"),
    Column::of("TAGS", "/tag_count", ColumnKind::Number),
    Column::of("SIZE", "/size", ColumnKind::Bytes),
];
const REPOSITORY_DETAILS: &[Column] = &[
    Column::text("Name", "/name"),
    Column::text("Public", "/is_public"),
    Column::text("Owner", "/owner"),
    Column::text("Description", "/description"),
    Column::text("Immutable tags", "/immutable_tags"),
    Column::text("Path", "/path"),
    Column::text("Driver", "/driver"),
    Column::of("Disk Usage", "/size", ColumnKind::Bytes),
    Column::of("Tags", "/tag_count", ColumnKind::Number),
    Column::of("Manifests", "/manifest_count", ColumnKind::Number),
    Column::of("Layers and configs", "/blob_count", ColumnKind::Number),
    Column::of("Last push", "/last_pushed_at", ColumnKind::Time),
    Column::of("Last pull", "/last_pulled_at", ColumnKind::Time),
    Column::of("Created", "/created_at", ColumnKind::Time),
];
const TAGS: &[Column] = &[
    Column::text("TAG", "/name"),
    Column::of("DIGEST", "/digest", ColumnKind::Digest),
    Column::of("SIZE", "/size", ColumnKind::Bytes),
    Column::text("PLATFORMS", "/platforms"),
    Column::of("SIGNED", "/has_signature", ColumnKind::Flag),
    Column::of("PUSHED", "/pushed_at", ColumnKind::Time),
    Column::text("BY", "/pushed_by"),
];
const TAG_DETAILS: &[Column] = &[
    Column::text("Digest", "/digest"),
    Column::text("Kind", "/kind"),
    Column::text("Media type", "/media_type"),
    Column::text("Artifact type", "/artifact_type"),
    Column::text("Platforms", "/platforms"),
    Column::text("Other tags", "/aliases"),
    Column::of("Immutable", "/immutable", ColumnKind::Flag),
    Column::of("Last pull", "/last_pulled_at", ColumnKind::Time),
];
const USERS: &[Column] = &[
    Column::text("NAME", "/username"),
    Column::of("ADMIN", "/is_admin", ColumnKind::Flag),
    Column::of("LOCKED", "/locked", ColumnKind::Flag),
];
const USER_DETAILS: &[Column] = &[
    Column::text("Name", "/username"),
    Column::text("Email", "/email"),
    Column::text("Groups", "/groups"),
    Column::text("Roles", "/roles"),
    Column::text("Administrator", "/is_admin"),
    Column::of("Locked", "/locked", ColumnKind::Flag),
    Column::of("Robot", "/robot", ColumnKind::Flag),
    Column::of("Created", "/created_at", ColumnKind::Time),
    Column::of("Last login", "/last_login_at", ColumnKind::Time),
];
const ACCESS: &[Column] =
    &[Column::text("REPOSITORY", "/repository"), Column::text("ACTIONS", "/actions"), Column::text("BECAUSE", "/why")];
const KEYS: &[Column] = &[
    Column::text("NAME", "/name"),
    Column::text("OWNER", "/owner"),
    Column::text("SCOPES", "/scopes"),
    Column::of("EXPIRES", "/expires_at", ColumnKind::Time),
    Column::of("LAST USED", "/last_used_at", ColumnKind::Time),
];
const KEY_DETAILS: &[Column] = &[
    Column::text("Id", "/id"),
    Column::text("Scopes", "/scopes"),
    Column::of("Created", "/created_at", ColumnKind::Time),
    Column::text("Created by", "/created_by"),
    Column::text("Expires", "/expires_at"),
    Column::of("Expired", "/expired", ColumnKind::Flag),
];
const GROUPS: &[Column] = &[Column::text("NAME", "/name"), Column::text("ROLES", "/roles")];
const GROUP_DETAILS: &[Column] = &[
    Column::text("Name", "/name"),
    Column::text("Description", "/description"),
    Column::text("Roles", "/roles"),
    Column::text("Members", "/members"),
];
const ROLES: &[Column] = &[Column::text("NAME", "/name"), Column::of("BUILT IN", "/builtin", ColumnKind::Flag)];
const ROLE_DETAILS: &[Column] = &[
    Column::text("Name", "/name"),
    Column::text("Description", "/description"),
    Column::text("Permissions", "/permissions"),
    Column::text("Repositories", "/repositories"),
    Column::text("Artifacts", "/artifacts"),
];
const SESSIONS: &[Column] = &[
    Column::text("PROGRAM", "/agent"),
    Column::text("ADDRESS", "/address"),
    Column::of("THIS ONE", "/current", ColumnKind::Flag),
    Column::of("SINCE", "/created_at", ColumnKind::Time),
    Column::of("LAST USED", "/refreshed_at", ColumnKind::Time),
    Column::of("EXPIRES", "/expires_at", ColumnKind::Time),
];
const SESSION_DETAILS: &[Column] = &[Column::text("Id", "/sid"), Column::text("Program", "/agent")];
const ARTIFACT_REPOSITORIES: &[Column] = &[
    Column::text("NAME", "/name"),
    Column::of("FILES", "/artifact_count", ColumnKind::Number),
    Column::of("SIZE", "/size", ColumnKind::Bytes),
];
const ARTIFACT_REPOSITORY_DETAILS: &[Column] = &[
    Column::text("Name", "/name"),
    Column::text("Description", "/description"),
    Column::text("Private", "/private"),
    Column::text("Owner", "/owner"),
    Column::of("Artifacts", "/artifact_count", ColumnKind::Number),
    Column::of("Versions", "/version_count", ColumnKind::Number),
    Column::of("Size", "/size", ColumnKind::Bytes),
    Column::of("Created", "/created_at", ColumnKind::Time),
    Column::of("Changed", "/updated_at", ColumnKind::Time),
    Column::text("Retention", "/retention"),
];
const ARTIFACTS: &[Column] = &[
    Column::text("VERSION", "/version"),
    Column::text("PATH", "/path"),
    Column::of("SIZE", "/size", ColumnKind::Bytes),
    Column::text("PROPERTIES", "/properties"),
    Column::of("CREATED", "/created_at", ColumnKind::Time),
];
const FOUND_ARTIFACTS: &[Column] = &[
    Column::text("REPOSITORY", "/repo"),
    Column::text("VERSION", "/version"),
    Column::text("PATH", "/path"),
    Column::of("SIZE", "/size", ColumnKind::Bytes),
    Column::text("PROPERTIES", "/properties"),
];
const ARTIFACT_DETAILS: &[Column] = &[
    Column::text("Name", "/name"),
    Column::text("Id", "/id"),
    Column::text("Digest", "/digest"),
    Column::text("Media type", "/media_type"),
    Column::text("Properties", "/properties"),
    Column::text("Metadata", "/metadata"),
    Column::text("Created by", "/created_by"),
    Column::of("Changed", "/updated_at", ColumnKind::Time),
];
const TRASH: &[Column] = &[
    Column::text("VERSION", "/artifact/version"),
    Column::text("PATH", "/artifact/path"),
    Column::of("SIZE", "/artifact/size", ColumnKind::Bytes),
    Column::of("DELETED", "/deleted_at", ColumnKind::Time),
    Column::text("BY", "/deleted_by"),
    Column::text("RULE", "/rule"),
];
const TASKS: &[Column] = &[
    Column::text("KIND", "/kind"),
    Column::text("STATUS", "/status"),
    Column::of("PROGRESS", "/progress", ColumnKind::Number),
    Column::text("STEP", "/step"),
    Column::of("DONE", "/step_done", ColumnKind::Number),
    Column::text("STARTED BY", "/owner"),
    Column::of("STARTED", "/start_time", ColumnKind::Time),
];
const TASK_DETAILS: &[Column] = &[
    Column::text("Id", "/id"),
    Column::text("Started", "/start_time"),
    Column::text("Ended", "/end_time"),
    Column::text("Error", "/error"),
    Column::text("Result", "/stats"),
];
const REQUESTS: &[Column] = &[
    Column::of("WHEN", "/time", ColumnKind::Time),
    Column::text("USER", "/user"),
    Column::text("ACTION", "/action"),
    Column::text("REPOSITORY", "/repository"),
    Column::text("REFERENCE", "/reference"),
    Column::of("STATUS", "/status", ColumnKind::Number),
    Column::of("SENT", "/sent", ColumnKind::Bytes),
];
const REQUEST_DETAILS: &[Column] = &[
    Column::text("Request", "/request_id"),
    Column::text("Address", "/address"),
    Column::text("Method", "/method"),
    Column::text("Program", "/agent"),
    Column::of("Received", "/received", ColumnKind::Bytes),
    Column::text("Milliseconds", "/milliseconds"),
    Column::text("Reason", "/reason"),
];
const UPLOADS: &[Column] = &[
    Column::text("ID", "/id"),
    Column::of("SIZE", "/size", ColumnKind::Bytes),
    Column::of("LAST WRITE", "/last_write_at", ColumnKind::Time),
];
const PROBLEMS: &[Column] = &[
    Column::text("FILE", "/file"),
    Column::of("LINE", "/line", ColumnKind::Number),
    Column::text("KEY", "/key"),
    Column::text("PROBLEM", "/problem"),
];
const PROBLEM_DETAILS: &[Column] = &[Column::text("Problem", "/problem")];
const AUDIT: &[Column] = &[
    Column::of("WHEN", "/time", ColumnKind::Time),
    Column::text("WHO", "/actor"),
    Column::text("ACTION", "/action"),
    Column::text("TARGET", "/target"),
    Column::text("ADDRESS", "/address"),
];
const AUDIT_DETAILS: &[Column] = &[
    Column::text("Time", "/time"),
    Column::text("Request", "/request_id"),
    Column::text("From", "/from"),
    Column::text("Files", "/files"),
];
const SECTIONS: &[Column] = &[Column::text("SECTION", "/section"), Column::text("VALUES", "/values")];
const SETTINGS: &[Column] = &[
    Column::text("KEY", "/key"),
    Column::text("VALUE", "/value"),
    Column::text("DEFAULT", "/default"),
    Column::text("SET BY", "/locked"),
];
const SETTING_DETAILS: &[Column] = &[Column::text("Meaning", "/help")];
const QUOTAS: &[Column] = &[
    Column::text("REPOSITORIES", "/repositories"),
    Column::of("BYTES", "/used_bytes", ColumnKind::Bytes),
    Column::of("OF", "/max_bytes", ColumnKind::Bytes),
    Column::of("TAGS", "/used_tags", ColumnKind::Number),
    Column::of("OF", "/max_tags", ColumnKind::Number),
];
const NAMESPACES: &[Column] = &[
    Column::text("NAME", "/name"),
    Column::of("REPOSITORIES", "/repositories", ColumnKind::Number),
    Column::of("TAGS", "/tags", ColumnKind::Number),
    Column::of("SIZE", "/size", ColumnKind::Bytes),
    Column::of("CREATED", "/created_at", ColumnKind::Time),
];
const CHILDREN: &[Column] = &[
    Column::text("PLATFORM", "/platform"),
    Column::of("DIGEST", "/digest", ColumnKind::Digest),
    Column::of("SIZE", "/size", ColumnKind::Bytes),
    Column::text("PRESENT", "/present"),
];
const LAYERS: &[Column] = &[
    Column::of("DIGEST", "/digest", ColumnKind::Digest),
    Column::of("SIZE", "/size", ColumnKind::Bytes),
    Column::of("SHARED BY", "/shared_by", ColumnKind::Number),
    Column::text("MEDIA TYPE", "/media_type"),
];
const HISTORY: &[Column] = &[
    Column::of("STEP", "/step", ColumnKind::Number),
    Column::of("WHEN", "/created", ColumnKind::Time),
    Column::text("CREATED BY", "/created_by"),
    Column::text("COMMENT", "/comment"),
];
const REFERRERS: &[Column] = &[
    Column::text("ARTIFACT TYPE", "/artifactType"),
    Column::of("DIGEST", "/digest", ColumnKind::Digest),
    Column::of("SIZE", "/size", ColumnKind::Bytes),
    Column::text("ANNOTATIONS", "/annotations"),
];
