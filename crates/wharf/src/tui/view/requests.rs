//! The requests of a view.

use super::ViewKind;
use crate::{
    management::segment,
    tui::work::{LoadRequest, repository_path},
};
use serde_json::Value;
use std::time::Duration;

impl ViewKind {
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
            Self::Migrations => list("/registry/migrate"),
            Self::Migration { id } => Some(LoadRequest::Migration(id.clone())),
            Self::Outbox => Some(LoadRequest::Outbox),
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

    /// Where the selected row can be read alone, to be edited as it is now.
    pub fn edited(&self, row: &Value) -> Option<String> {
        let name = |field: &str| row.get(field).and_then(Value::as_str).map(segment);
        match self {
            Self::Users => Some(format!("/users/{}", name("username")?)),
            Self::Groups => Some(format!("/groups/{}", name("name")?)),
            Self::Roles => Some(format!("/roles/{}", name("name")?)),
            _ => None,
        }
    }

    /// How often it is loaded again while it is shown.
    pub fn refresh(&self) -> Option<Duration> {
        let seconds = match self {
            Self::UserMenu | Self::AdminMenu | Self::Section { .. } => return None,
            // What a digest names never changes; what refers to it may.
            Self::Image { .. } => 60,
            Self::Tasks | Self::Migration { .. } => 1,
            Self::Migrations | Self::Activity | Self::Uploads | Self::Outbox => 2,
            Self::Home => 5,
            Self::Repositories | Self::Tags { .. } | Self::Audit => 10,
            _ => 30,
        };
        Some(Duration::from_secs(seconds))
    }
}
