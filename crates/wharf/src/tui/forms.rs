//! Which form creates or edits what, and the requests that a form becomes.

use super::{
    field::TextField,
    form::{FormField, TuiForm, TypedConfirm},
    harmless::harmless,
    view::{TuiView, ViewKind},
    work::{ChangeRequest, artifact_path, repository_path},
};
use crate::{args::duration, commands::artifact, management::segment, output::count};
use http::Method;
use serde_json::{Map, Value, json};

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
    CreateNamespace,
    EditSetting { section: String, key: String },
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

/// The form that changes the selected row.
pub fn edit(view: &TuiView) -> Option<TuiForm> {
    let row = view.rows.current()?;
    let of = |field: &str| text(row, field);
    let list = |field: &str| words(row, field).join(", ");
    let (title, purpose, fields) = match &view.kind {
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
                FormField { is_required: false, ..FormField::password("New password") },
                FormField { is_required: false, ..FormField::password("New password again") },
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
    Some(TuiForm { at: 0, ..TuiForm::new(title, purpose, fields) })
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

/// What a form asks for, or what is wrong with it and in which field.
pub fn submit(form: &TuiForm) -> Result<Submitted, (usize, String)> {
    let text = |at| form.text(at).to_owned();
    let one = |method, path: String, body: Value, done: String| {
        Ok(Submitted::Change(ChangeRequest::Send(vec![(method, path, Some(body))]), done))
    };
    let nullable = |at: usize| if form.text(at).is_empty() { Value::Null } else { Value::from(form.text(at)) };
    match &form.purpose {
        FormPurpose::Login => {
            Ok(Submitted::Login { server: text(0), user: text(1), secret: form.secret(2).to_owned() })
        }
        FormPurpose::CreateRepository => {
            let visibility = if form.is_yes(1) { "public" } else { "private" };
            let body = json!({ "name": text(0), "visibility": visibility });
            one(Method::POST, "/repositories".into(), body, format!("Created {}.", text(0)))
        }
        FormPurpose::EditRepository { name } => {
            let body = json!({ "description": nullable(0), "owner": nullable(1), "immutable_tags": nullable(2) });
            one(Method::PATCH, repository_path(name), body, format!("{name} is changed."))
        }
        FormPurpose::CreateTag { repository } => {
            let path = format!("{}/-/tags/{}", repository_path(repository), segment(form.text(0)));
            one(Method::PUT, path, json!({ "digest": text(1) }), format!("{repository}:{} is set.", text(0)))
        }
        FormPurpose::CreateUser => {
            if form.secret(1) != form.secret(2) {
                return Err((2, "the two passwords differ".into()));
            }
            let request = ChangeRequest::CreateUser {
                name: text(0),
                password: form.secret(1).to_owned(),
                is_admin: form.is_yes(3),
            };
            Ok(Submitted::Change(request, format!("Created {}.", text(0))))
        }
        FormPurpose::EditUser { name } => {
            if form.secret(3) != form.secret(4) {
                return Err((4, "the two passwords differ".into()));
            }
            let mut body = json!({ "groups": form.words(0), "locked": form.is_yes(2) });
            if !form.text(1).is_empty() {
                body["email"] = text(1).into();
            }
            if !form.secret(3).is_empty() {
                body["password"] = form.secret(3).into();
            }
            one(Method::PATCH, format!("/users/{}", segment(name)), body, format!("{name} is changed."))
        }
        FormPurpose::AddUserScope { user } => {
            let body = json!({ "repository": text(0), "actions": form.words(1) });
            let done = format!("{user} may {} in {}.", form.words(1).join(" and "), text(0));
            one(Method::POST, format!("/users/{}/access", segment(user)), body, done)
        }
        FormPurpose::CreateKey => {
            let mut body = json!({ "name": text(0), "scopes": scopes(form.text(1)) });
            if let Some(seconds) = seconds(form, 2)? {
                body["expires_in"] = seconds.into();
            }
            if !form.text(3).is_empty() {
                body["owner"] = text(3).into();
            }
            one(Method::POST, "/keys".into(), body, format!("Created the key {}.", text(0)))
        }
        FormPurpose::EditKey { id } => {
            let mut body = json!({ "name": text(0), "scopes": scopes(form.text(1)) });
            if let Some(seconds) = seconds(form, 2)? {
                body["expires_in"] = seconds.into();
            }
            one(Method::PATCH, format!("/keys/{}", segment(id)), body, format!("The key {} is changed.", text(0)))
        }
        FormPurpose::AddKeyScope { id, scopes: before } => {
            let mut all = before.clone();
            all.extend(scopes(form.text(0)).into_iter().filter(|scope| !before.contains(scope)));
            let done = format!("The key has {}.", count(all.len() as u64, "scope"));
            one(Method::PATCH, format!("/keys/{}", segment(id)), json!({ "scopes": all }), done)
        }
        FormPurpose::CreateGroup => {
            let body = json!({
                "name": text(0), "description": text(1), "roles": form.words(2), "members": form.words(3),
            });
            one(Method::POST, "/groups".into(), body, format!("Created {}.", text(0)))
        }
        FormPurpose::EditGroup { name } => {
            let body = json!({ "description": text(0), "roles": form.words(1), "members": form.words(2) });
            one(Method::PATCH, format!("/groups/{}", segment(name)), body, format!("{name} is changed."))
        }
        FormPurpose::CreateRole => {
            let body = json!({
                "name": text(0), "description": text(1), "permissions": form.words(2), "repositories": form.words(3),
            });
            one(Method::POST, "/roles".into(), body, format!("Created {}.", text(0)))
        }
        FormPurpose::EditRole { name } => {
            let body = json!({
                "name": name, "description": text(0), "permissions": form.words(1), "repositories": form.words(2),
                "artifacts": form.words(3),
            });
            one(Method::PUT, format!("/roles/{}", segment(name)), body, format!("{name} is changed."))
        }
        FormPurpose::CreateArtifactRepository => {
            let body = json!({ "name": text(0), "description": nullable(1), "private": form.is_yes(2) });
            one(Method::POST, "/artifacts/repos".into(), body, format!("Created {}.", text(0)))
        }
        FormPurpose::EditArtifactRepository { name } => {
            let body = json!({ "description": nullable(0), "private": form.is_yes(1) });
            one(Method::PATCH, format!("/artifacts/repos/{}", segment(name)), body, format!("{name} is changed."))
        }
        FormPurpose::Upload { repository } => Ok(Submitted::Upload(FileUpload {
            repository: repository.clone(),
            file: text(0),
            version: text(1),
            path: text(2),
            properties: properties(form, 3)?,
        })),
        FormPurpose::EditArtifact { repository, id } => {
            let properties = properties(form, 0)?.into_iter().map(|(key, value)| (key, value.into()));
            let body = Value::Object(properties.collect::<Map<_, _>>());
            let path = format!("/artifacts/{}/{}/properties", segment(repository), segment(id));
            one(Method::PUT, path, body, "The properties are changed.".into())
        }
        FormPurpose::StartTask => match form.text(0) {
            "gc" => {
                let done = if form.is_yes(1) { "The report is being made." } else { "The collection has started." };
                one(Method::POST, "/gc".into(), json!({ "dry_run": form.is_yes(1) }), done.into())
            }
            "fsck" => {
                let body = json!({ "read_data": form.is_yes(2) });
                one(Method::POST, "/fsck".into(), body, "The check has started.".into())
            }
            _ => Err((0, "type gc or fsck".into())),
        },
        FormPurpose::CreateNamespace => {
            one(Method::POST, "/namespaces".into(), json!({ "name": text(0) }), format!("Created {}.", text(0)))
        }
        FormPurpose::EditSetting { section, key } => {
            let body = json!({ key: text(0) });
            one(
                Method::PATCH,
                format!("/settings/{}", segment(section)),
                body,
                format!("[{section}] {key} is changed."),
            )
        }
    }
}

/// Scopes with spaces between them; commas are between their actions.
fn scopes(text: &str) -> Vec<String> {
    text.split_whitespace().map(|scope| scope.trim_end_matches(',').to_owned()).collect()
}

fn seconds(form: &TuiForm, at: usize) -> Result<Option<u64>, (usize, String)> {
    match form.text(at) {
        "" => Ok(None),
        text => duration(text).map(|life| Some(life.as_secs())).map_err(|problem| (at, problem)),
    }
}

fn properties(form: &TuiForm, at: usize) -> Result<Vec<(String, String)>, (usize, String)> {
    match form.text(at) {
        "" => Ok(Vec::new()),
        text => artifact::parse_properties(&[text.to_owned()]).map_err(|failure| (at, failure.message)),
    }
}

/// What deletes the chosen rows, once it is confirmed.
pub fn delete(view: &TuiView) -> Option<TypedConfirm> {
    let chosen: Vec<&Value> = match view.rows.marks() {
        0 => view.rows.current().into_iter().collect(),
        _ => view.rows.items().iter().filter(|item| view.rows.is_marked(item)).collect(),
    };
    let first = *chosen.first()?;
    let of = |field: &str| text(first, field);
    // What is typed: the name of one, or how many.
    let confirm = |noun: &str, name: String, lines: &[&str], requests: Vec<(Method, String, Option<Value>)>| {
        let (title, expected, done) = match chosen.len() {
            // A name that cannot be typed is not asked for.
            1 if harmless(&name) != name => (format!("Delete the {noun}?"), "delete".to_owned(), "Deleted.".to_owned()),
            1 => (format!("Delete the {noun} {name}?"), name.clone(), format!("Deleted {name}.")),
            n => {
                let things = plural(n, noun);
                (format!("Delete {things}?"), format!("delete {n}"), format!("Deleted {things}."))
            }
        };
        Some(TypedConfirm {
            title,
            lines: lines.iter().map(|line| (*line).to_owned()).collect(),
            expected: Some(expected),
            field: TextField::default(),
            change: ChangeRequest::Send(requests),
            done,
        })
    };
    let each = |path: &dyn Fn(&Value) -> String| -> Vec<(Method, String, Option<Value>)> {
        chosen.iter().map(|row| (Method::DELETE, path(row), None)).collect()
    };
    match &view.kind {
        ViewKind::Repositories => {
            let path = |row: &Value| {
                let name = text(row, "name");
                format!("{}{}", repository_path(&name), crate::management::query([("confirm", name.as_str())]))
            };
            confirm("repository", of("name"), &["Everything in it is deleted."], each(&path))
        }
        ViewKind::Tags { repository } => {
            let tags: Vec<String> = chosen.iter().map(|row| text(row, "name")).collect();
            let request = (
                Method::POST,
                format!("{}/-/tags/delete", repository_path(repository)),
                Some(json!({ "tags": tags, "dry_run": false })),
            );
            let line = format!("Of {repository}. What has no other tag can be collected.");
            confirm("tag", of("name"), &[&line], vec![request])
        }
        ViewKind::Users => {
            let path = |row: &Value| format!("/users/{}", segment(&text(row, "username")));
            confirm("user", of("username"), &["Their keys and sessions end."], each(&path))
        }
        ViewKind::Access { user } => {
            let path = format!("/users/{}/access", segment(user));
            let requests = chosen.iter().map(|row| {
                let body = json!({ "repository": row["repository"], "actions": row["actions"] });
                (Method::DELETE, path.clone(), Some(body))
            });
            let line = format!("Only what {user}'s own rules give can be taken away here.");
            confirm("access", of("repository"), &[&line], requests.collect())
        }
        ViewKind::Keys => {
            let path = |row: &Value| format!("/keys/{}", segment(&text(row, "id")));
            let line = format!("It belongs to {}. Programs that use it are logged out at once.", of("owner"));
            confirm("key", of("name"), &[&line], each(&path))
        }
        ViewKind::Groups => {
            let path = |row: &Value| format!("/groups/{}", segment(&text(row, "name")));
            confirm("group", of("name"), &["Its members lose its roles."], each(&path))
        }
        ViewKind::Roles => {
            let path = |row: &Value| format!("/roles/{}", segment(&text(row, "name")));
            confirm("role", of("name"), &["Groups that have it lose its permissions."], each(&path))
        }
        ViewKind::Sessions => {
            let path = |row: &Value| format!("/auth/sessions/{}", segment(&text(row, "sid")));
            confirm("session", "end".into(), &["Whoever uses it has to log in again."], each(&path)).map(|it| {
                TypedConfirm { title: "End the session?".into(), done: "The session has ended.".into(), ..it }
            })
        }
        ViewKind::ArtifactRepositories => {
            let path = |row: &Value| format!("/artifacts/repos/{}", segment(&text(row, "name")));
            confirm("repository", of("name"), &["All its artifacts are deleted."], each(&path))
        }
        ViewKind::Artifacts { .. } | ViewKind::ArtifactSearch { .. } => {
            let path = |row: &Value| artifact_path(&text(row, "repo"), &text(row, "version"), &text(row, "path"));
            let pairs = |row: &Value| {
                let properties = row["properties"].as_object().cloned().unwrap_or_default();
                let pairs = properties
                    .into_iter()
                    .map(|(key, value)| (format!("property.{key}"), value.as_str().unwrap_or_default().to_owned()));
                let pairs: Vec<_> = pairs.collect();
                crate::management::query(pairs.iter().map(|(key, value)| (key.as_str(), value.as_str())))
            };
            let whole = |row: &Value| format!("{}{}", path(row), pairs(row));
            confirm("artifact", of("path"), &["It goes to the trash."], each(&whole))
        }
        ViewKind::Uploads => {
            let path = |row: &Value| format!("/uploads/{}", segment(&text(row, "id")));
            confirm("upload", of("id"), &["Whoever sends it has to begin again."], each(&path))
        }
        ViewKind::Namespaces => {
            let path = |row: &Value| format!("/namespaces/{}", segment(&text(row, "name")));
            confirm("namespace", of("name"), &["Only one without repositories can be deleted."], each(&path))
        }
        ViewKind::Tasks => {
            let path = format!("/tasks/{}/cancel", segment(&of("id")));
            Some(TypedConfirm {
                title: format!("Cancel the {} that {} started?", of("kind"), name_or(&of("owner"), "the server")),
                lines: vec!["What it has done stays done.".into()],
                expected: None,
                field: TextField::default(),
                change: ChangeRequest::Send(vec![(Method::POST, path, None)]),
                done: "The task stops.".into(),
            })
        }
        _ => None,
    }
}

/// What makes the selected repository public or private.
pub fn visibility(view: &TuiView) -> Option<TypedConfirm> {
    let row = view.rows.current().filter(|_| view.kind == ViewKind::Repositories)?;
    let name = text(row, "name");
    let (to, line) = match row["is_public"] == true {
        true => ("private", "Only those whom rules and roles let in can pull from it."),
        false => ("public", "Everybody can pull from it, where no rule says otherwise."),
    };
    let path = format!("{}/-/visibility", repository_path(&name));
    Some(TypedConfirm {
        title: format!("Make {name} {to}?"),
        lines: vec![line.into()],
        expected: None,
        field: TextField::default(),
        change: ChangeRequest::Send(vec![(Method::PUT, path, Some(json!({ "visibility": to })))]),
        done: format!("{name} is {to}."),
    })
}

/// What takes the selected artifact out of the trash.
pub fn restore(view: &TuiView) -> Option<TypedConfirm> {
    let ViewKind::Trash { repository } = &view.kind else { return None };
    let artifact = &view.rows.current()?["artifact"];
    let path = format!("/artifacts/{}/{}/restore", segment(repository), segment(&text(artifact, "id")));
    let name = format!("{}/{}", text(artifact, "version"), text(artifact, "path"));
    Some(TypedConfirm {
        title: format!("Restore {name}?"),
        lines: Vec::new(),
        expected: None,
        field: TextField::default(),
        change: ChangeRequest::Send(vec![(Method::POST, path, None)]),
        done: format!("{name} is restored."),
    })
}

/// A field as text; empty if it is not there.
pub fn text(row: &Value, field: &str) -> String {
    row.get(field).and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn words(row: &Value, field: &str) -> Vec<String> {
    let words = row.get(field).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    words.map(str::to_owned).collect()
}

/// How many of something, of which there are several.
fn plural(count: usize, noun: &str) -> String {
    match noun.strip_suffix('y').filter(|stem| !stem.ends_with(['a', 'e', 'o', 'u'])) {
        Some(stem) => format!("{count} {stem}ies"),
        None if noun.ends_with('s') => format!("{count} {noun}es"),
        None => format!("{count} {noun}s"),
    }
}

fn name_or<'n>(name: &'n str, other: &'n str) -> &'n str {
    if name.is_empty() { other } else { name }
}
