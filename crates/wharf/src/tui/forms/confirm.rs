//! What is done only when it was confirmed.

use super::text;
use crate::{
    management::segment,
    tui::{
        field::TextField,
        form::TypedConfirm,
        harmless::harmless,
        view::{TuiView, ViewKind},
        work::{ChangeRequest, ChangeStep, artifact_path, repository_path},
    },
};
use http::Method;
use serde_json::{Value, json};

/// What deletes the chosen rows, once it is confirmed.
pub fn delete(view: &TuiView) -> Option<TypedConfirm> {
    // It is the migration that is cancelled, and not one of its images.
    if let ViewKind::Migration { id } = &view.kind {
        return Some(cancel(id, "migration", &text(view.detail.as_ref()?, "owner")));
    }
    let chosen: Vec<&Value> = match view.rows.marks() {
        0 => view.rows.current().into_iter().collect(),
        _ => view.rows.items().iter().filter(|item| view.rows.is_marked(item)).collect(),
    };
    let first = *chosen.first()?;
    let of = |field: &str| text(first, field);
    // What is typed: the name of one, or how many.
    let confirm = |noun: &str, name: String, lines: &[&str], requests: Vec<ChangeStep>| {
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
    let each = |path: &dyn Fn(&Value) -> String| -> Vec<ChangeStep> {
        chosen.iter().map(|row| ChangeStep::new(Method::DELETE, path(row), None)).collect()
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
            let request = ChangeStep::new(
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
                ChangeStep::new(Method::DELETE, path.clone(), Some(body))
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
        ViewKind::Tasks | ViewKind::Migrations => {
            let kind = if view.kind == ViewKind::Tasks { of("kind") } else { "migration".to_owned() };
            Some(cancel(&of("id"), &kind, &of("owner")))
        }
        _ => None,
    }
}

/// What ends a task.
fn cancel(id: &str, kind: &str, owner: &str) -> TypedConfirm {
    let kept = if kind == "migration" {
        "What was copied stays. It can be continued."
    } else {
        "What it has done stays done."
    };
    TypedConfirm {
        title: format!("Cancel the {kind} that {} started?", name_or(owner, "the server")),
        lines: vec![kept.into()],
        expected: None,
        field: TextField::default(),
        change: ChangeRequest::Send(vec![ChangeStep::new(
            Method::POST,
            format!("/tasks/{}/cancel", segment(id)),
            None,
        )]),
        done: format!("The {kind} stops."),
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
        change: ChangeRequest::Send(vec![ChangeStep::new(Method::PUT, path, Some(json!({ "visibility": to })))]),
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
        change: ChangeRequest::Send(vec![ChangeStep::new(Method::POST, path, None)]),
        done: format!("{name} is restored."),
    })
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
