//! The requests that a form becomes.

use super::{FileUpload, FormPurpose, Submitted};
use crate::{
    args::duration,
    commands::artifact,
    management::segment,
    output::count,
    tui::{
        form::TuiForm,
        work::{ChangeRequest, ChangeStep, repository_path},
    },
};
use http::Method;
use serde_json::{Map, Value, json};

/// What a form asks for, or what is wrong with it and in which field.
pub fn submit(form: &TuiForm) -> Result<Submitted, (usize, String)> {
    let text = |at| form.text(at).to_owned();
    let one = |method, path: String, body: Value, done: String| {
        let step = ChangeStep { if_match: form.etag.clone(), ..ChangeStep::new(method, path, Some(body)) };
        Ok(Submitted::Change(ChangeRequest::Send(vec![step]), done))
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
        FormPurpose::StartMigration => {
            let images: Vec<&str> = form.text(1).split_whitespace().collect();
            let mut body = json!({
                "source_registry": text(0), "images": images, "platforms": form.words(3), "referrers": form.is_yes(7),
                "overwrite": form.is_yes(8), "on_error": if form.is_yes(9) { "stop" } else { "continue" },
                "dry_run": form.is_yes(10),
            });
            if !form.text(2).is_empty() {
                body["target_prefix"] = text(2).into();
            }
            add_login(form, 4, &mut body);
            one(Method::POST, "/registry/migrate".into(), body, "The migration has started.".into())
        }
        FormPurpose::ResumeMigration { id } => {
            let mut body = json!({});
            add_login(form, 0, &mut body);
            one(Method::POST, format!("/tasks/{}/resume", segment(id)), body, "The migration continues.".into())
        }
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

/// Adds how the server logs in to the other registry: user, password, name of credentials, from this field on.
fn add_login(form: &TuiForm, first: usize, body: &mut Value) {
    for (at, name) in (first..).zip(["username", "password", "credentials_ref"]) {
        let text = if name == "password" { form.secret(at) } else { form.text(at) };
        if !text.is_empty() {
            body[name] = text.into();
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
