//! What can be shown: for each view its request, its columns, and what belongs to its selected row.

mod columns;
mod image;
mod kind;
mod requests;

pub use image::ImageSection;

use super::rows::RowList;
use serde_json::{Value, json};
use std::time::Instant;

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
    Migrations,
    Migration { id: String },
    AdminMenu,
    Activity,
    Uploads,
    Configuration,
    Audit,
    Settings,
    Section { section: String },
    Quotas,
    Namespaces,
    Outbox,
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
    /// The values of one thing, with a list that belongs to it below.
    Report,
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
    /// Whether somebody else has changed it meanwhile.
    pub is_stale: bool,
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
    /// The entity tag of what is shown, if it can be edited as a whole.
    pub etag: Option<String>,
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
            etag: None,
            incoming: Vec::new(),
        };
        if let Some(entries) = view.kind.menu() {
            view.rows.replace(entries.iter().map(|(name, about)| json!({ "name": name, "about": about })).collect());
            view.loading = Loading::Done;
        }
        view
    }
}
