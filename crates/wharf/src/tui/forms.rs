//! Which form creates or edits what.

mod confirm;
mod submit;

pub use confirm::{delete, restore, visibility};
pub use submit::submit;

use super::{
    form::{FormField, TuiForm},
    view::{TuiView, ViewKind},
    work::ChangeRequest,
};
use crate::{commands::admin::keys_of, management::segment};
use serde_json::Value;

/// What a form is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FormPurpose {
    Login,
    CreateRepository,
    EditRepository { name: String },
    CreateTag { repository: String },
    CreateUser,
    EditUser { name: String },
    AddUserScope { user: String },
    CreateKey,
    EditKey { id: String },
    AddKeyScope { id: String, scopes: Vec<String> },
    CreateGroup,
    EditGroup { name: String },
    CreateRole,
    EditRole { name: String },
    CreateArtifactRepository,
    EditArtifactRepository { name: String },
    Upload { repository: String },
    EditArtifact { repository: String, id: String },
    StartTask,
    StartMigration,
    ResumeMigration { id: String },
    CreateNamespace,
    EditSetting { section: String, key: String },
}

impl FormPurpose {
    /// Where what it changes can be read, if others may change it too.
    pub fn path(&self) -> Option<String> {
        match self {
            Self::EditUser { name } => Some(format!("/users/{}", segment(name))),
            Self::EditGroup { name } => Some(format!("/groups/{}", segment(name))),
            Self::EditRole { name } => Some(format!("/roles/{}", segment(name))),
            Self::EditSetting { section, .. } => Some(format!("/settings/{}", segment(section))),
            _ => None,
        }
    }

    /// The row that it changes, of what was read there.
    pub fn row_of(&self, object: &Value) -> Option<Value> {
        match self {
            Self::EditSetting { key, .. } => keys_of(object).into_iter().find(|row| row["key"] == *key),
            _ => Some(object.clone()),
        }
    }
}

/// What a form that was filled in asks for.
#[derive(Clone, PartialEq, Eq)]
pub enum Submitted {
    /// A change, and what to say when it is made.
    Change(ChangeRequest, String),
    /// A login with a password or an API key.
    Login { server: String, user: String, secret: String },
    /// A file to upload.
    Upload(FileUpload),
}

/// A file to upload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileUpload {
    pub repository: String,
    pub file: String,
    /// The file's name unless given.
    pub version: String,
    /// The same.
    pub path: String,
    pub properties: Vec<(String, String)>,
}

/// The form that creates what a view lists.
pub fn create(view: &TuiView) -> Option<TuiForm> {
    let form = |title: &str, purpose, fields| Some(TuiForm::new(title, purpose, fields));
    match &view.kind {
        ViewKind::Repositories => form(
            "New repository",
            FormPurpose::CreateRepository,
            vec![FormField::new("Name", "team/app"), FormField::yes_no("Public", false)],
        ),
        ViewKind::Tags { repository } => {
            let digest = text(view.rows.current()?, "digest");
            form(
                "New tag",
                FormPurpose::CreateTag { repository: repository.clone() },
                vec![FormField::new("Tag", "stable"), FormField::new("Digest", "what it points to").with(digest)],
            )
        }
        ViewKind::Users | ViewKind::UserMenu => form(
            "New user",
            FormPurpose::CreateUser,
            vec![
                FormField::new("Name", "alice, or alice@example.com"),
                FormField::password("Password"),
                FormField::password("Password again"),
                FormField::yes_no("Administrator", false),
            ],
        ),
        ViewKind::Access { user } => Some(add_user_scope(user, "")),
        ViewKind::Keys => Some(create_key()),
        ViewKind::Groups => form(
            "New group",
            FormPurpose::CreateGroup,
            vec![
                FormField::new("Name", "devs"),
                FormField::optional("Description", ""),
                FormField::optional("Roles", "developer, reader"),
                FormField::optional("Members", "alice, bob"),
            ],
        ),
        ViewKind::Roles => form(
            "New role",
            FormPurpose::CreateRole,
            vec![
                FormField::new("Name", "releaser"),
                FormField::optional("Description", ""),
                FormField::new("Permissions", "PULL:IMAGE, PUSH:IMAGE"),
                FormField::optional("Repositories", "team/**; none unless given"),
            ],
        ),
        ViewKind::ArtifactRepositories => form(
            "New repository of artifacts",
            FormPurpose::CreateArtifactRepository,
            vec![
                FormField::new("Name", "builds"),
                FormField::optional("Description", ""),
                FormField::yes_no("Private", true),
            ],
        ),
        ViewKind::Artifacts { repository } => form(
            &format!("Upload to {repository}"),
            FormPurpose::Upload { repository: repository.clone() },
            vec![
                FormField::new("File", "a path on this machine"),
                FormField::optional("Version", "the file's name unless given"),
                FormField::optional("Path", "the file's name unless given"),
                FormField::optional("Properties", "os=linux,build=77"),
            ],
        ),
        ViewKind::Tasks => form(
            "Start a task",
            FormPurpose::StartTask,
            vec![
                FormField::new("Task", "gc, or fsck").with("gc"),
                FormField::yes_no("Only report (gc)", true),
                FormField::yes_no("Read all data (fsck)", false),
            ],
        )
        .map(|form| TuiForm { at: 0, ..form }),
        ViewKind::Migrations => Some(start_migration()),
        ViewKind::Namespaces => {
            form("New namespace", FormPurpose::CreateNamespace, vec![FormField::new("Name", "team")])
        }
        _ => None,
    }
}

/// The form for a new API key.
pub fn create_key() -> TuiForm {
    TuiForm::new(
        "New API key",
        FormPurpose::CreateKey,
        vec![
            FormField::new("Name", "ci"),
            FormField::new("Scopes", "repository:team/**:pull,push  VERB:RESOURCE").with("repository:**:pull"),
            FormField::optional("Valid for", "90d; forever unless given"),
            FormField::optional("Owner", "you unless given"),
        ],
    )
}

/// The form that starts a migration.
fn start_migration() -> TuiForm {
    TuiForm::new(
        "Copy from another registry",
        FormPurpose::StartMigration,
        vec![
            FormField::new("From", "ghcr.io, or http://10.0.0.5:5000"),
            FormField::new("Images", "team/app:1.0 team/* **  (with spaces between them)"),
            FormField::optional("Prefix", "before the names here; none unless given"),
            FormField::optional("Platforms", "linux/amd64; all unless given"),
            FormField::optional("User", "of the other registry"),
            FormField::optional_password("Password"),
            FormField::optional("Credentials", "those that the server keeps, by their name"),
            FormField::yes_no("Signatures too", true),
            FormField::yes_no("Move tags here", true),
            FormField::yes_no("Stop at failures", false),
            FormField::yes_no("Only report", false),
        ],
    )
}

/// The form that continues the selected migration.
pub fn resume(view: &TuiView) -> Option<TuiForm> {
    let id = match &view.kind {
        ViewKind::Migration { id } => id.clone(),
        ViewKind::Migrations => text(view.rows.current()?, "id"),
        ViewKind::Tasks => text(view.rows.current().filter(|row| row["kind"] == "migration")?, "id"),
        _ => return None,
    };
    let form = TuiForm::new(
        "Continue the migration",
        FormPurpose::ResumeMigration { id },
        vec![
            FormField::optional("User", "as before unless given"),
            FormField::optional_password("Password"),
            FormField::optional("Credentials", "those that the server keeps, by their name"),
        ],
    );
    Some(form)
}

/// The form that changes something, as it is shown or as it was just read.
pub fn edit(kind: &ViewKind, row: &Value, etag: Option<String>) -> Option<TuiForm> {
    let of = |field: &str| text(row, field);
    let list = |field: &str| words(row, field).join(", ");
    let (title, purpose, fields) = match kind {
        ViewKind::Repositories => (
            format!("Repository {}", of("name")),
            FormPurpose::EditRepository { name: of("name") },
            vec![
                FormField::optional("Description", "").with(of("description")),
                FormField::optional("Owner", "a user").with(of("owner")),
                FormField::optional("Immutable tags", "a pattern such as v*").with(of("immutable_tags")),
            ],
        ),
        ViewKind::Users => (
            format!("User {}", of("username")),
            FormPurpose::EditUser { name: of("username") },
            vec![
                FormField::optional("Groups", "devs, ops").with(list("groups")),
                FormField::optional("Email", "").with(of("email")),
                FormField::yes_no("Locked", row["locked"] == true),
                FormField::optional_password("New password"),
                FormField::optional_password("New password again"),
            ],
        ),
        ViewKind::Access { user } => return Some(add_user_scope(user, &of("repository"))),
        ViewKind::Keys => (
            format!("API key {}", of("name")),
            FormPurpose::EditKey { id: of("id") },
            vec![
                FormField::new("Name", "").with(of("name")),
                // Actions have commas, so scopes are split at spaces.
                FormField::new("Scopes", "with spaces between them").with(words(row, "scopes").join(" ")),
                FormField::optional("Valid for", "from now on: 90d; unchanged unless given"),
            ],
        ),
        ViewKind::Groups => (
            format!("Group {}", of("name")),
            FormPurpose::EditGroup { name: of("name") },
            vec![
                FormField::optional("Description", "").with(of("description")),
                FormField::optional("Roles", "").with(list("roles")),
                FormField::optional("Members", "").with(list("members")),
            ],
        ),
        ViewKind::Roles => (
            format!("Role {}", of("name")),
            FormPurpose::EditRole { name: of("name") },
            vec![
                FormField::optional("Description", "").with(of("description")),
                FormField::new("Permissions", "").with(list("permissions")),
                FormField::optional("Repositories", "").with(list("repositories")),
                FormField::optional("Artifacts", "").with(list("artifacts")),
            ],
        ),
        ViewKind::ArtifactRepositories => (
            format!("Repository of artifacts {}", of("name")),
            FormPurpose::EditArtifactRepository { name: of("name") },
            vec![
                FormField::optional("Description", "").with(of("description")),
                FormField::yes_no("Private", row["private"] == true),
            ],
        ),
        ViewKind::Artifacts { .. } | ViewKind::ArtifactSearch { .. } => {
            let properties = row["properties"].as_object().cloned().unwrap_or_default();
            let pair = |(key, value): (&String, &Value)| {
                format!("{key}={}", value.as_str().unwrap_or_default().replace(',', "\\,"))
            };
            let properties: Vec<_> = properties.iter().map(pair).collect();
            (
                format!("Properties of {}", of("path")),
                FormPurpose::EditArtifact { repository: of("repo"), id: of("id") },
                vec![FormField::optional("Properties", "os=linux,build=77").with(properties.join(","))],
            )
        }
        ViewKind::Section { section } => {
            let value = match &row["value"] {
                Value::String(value) => value.clone(),
                other => other.to_string(),
            };
            (
                format!("[{section}] {}", of("key")),
                FormPurpose::EditSetting { section: section.clone(), key: of("key") },
                vec![FormField::optional("Value", "").with(value)],
            )
        }
        _ => return None,
    };
    Some(TuiForm { at: 0, etag, ..TuiForm::new(title, purpose, fields) })
}

/// The form that adds a scope to the selected user or key.
pub fn add_scope(view: &TuiView) -> Option<TuiForm> {
    let row = view.rows.current();
    match &view.kind {
        ViewKind::Users => Some(add_user_scope(&text(row?, "username"), "")),
        ViewKind::Access { user } => Some(add_user_scope(user, "")),
        ViewKind::Keys => Some(TuiForm::new(
            format!("Add a scope to {}", text(row?, "name")),
            FormPurpose::AddKeyScope { id: text(row?, "id"), scopes: words(row?, "scopes") },
            vec![FormField::new("Scope", "repository:team/app:push")],
        )),
        _ => None,
    }
}

fn add_user_scope(user: &str, repository: &str) -> TuiForm {
    TuiForm::new(
        format!("Let {user} do more"),
        FormPurpose::AddUserScope { user: user.to_owned() },
        vec![
            FormField::new("Repository", "team/app").with(repository),
            FormField::new("Actions", "pull, push, delete"),
        ],
    )
}

/// The login form, with what is known.
pub fn login(server: &str, user: &str) -> TuiForm {
    TuiForm::new(
        "Log in",
        FormPurpose::Login,
        vec![
            FormField::new("Server", "registry.example.com").with(server),
            FormField::optional("User", "empty for an API key").with(user),
            FormField::password("Password or key"),
        ],
    )
}

/// A field as text; empty if it is not there.
pub fn text(row: &Value, field: &str) -> String {
    row.get(field).and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn words(row: &Value, field: &str) -> Vec<String> {
    let words = row.get(field).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    words.map(str::to_owned).collect()
}
