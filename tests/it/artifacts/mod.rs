//! Artifacts: files with versions and properties, beside images.

mod downloads;
mod edits;
mod hostile;
mod recipe;
mod repositories;
mod rights;
mod safety;
mod search;
mod uploads;

use crate::PROGRAM;
use http::Method;
use serde_json::{Value, json};
use testing::{
    managed::{ApiSession, Managed},
    session::Reply,
};

/// A registry where the role of alice covers the artifact repositories `ci-*`, and bob has no role.
pub fn registry() -> Managed {
    registry_with("# None.\n")
}

pub fn registry_with(settings: &str) -> Managed {
    Managed::start(PROGRAM, |files| {
        files.settings = settings.to_owned();
        files.rules = json!({
            "defaultPolicy": "deny",
            "adminUsers": ["admin"],
            "rules": [],
            "groups": { "ci": { "members": ["alice"], "roles": ["ci"] } },
            "roles": { "ci": {
                "permissions": [
                    "CREATE:REPO", "VIEW:ARTIFACT", "DOWNLOAD:ARTIFACT", "UPLOAD:ARTIFACT", "UPDATE:ARTIFACT",
                    "DELETE:ARTIFACT",
                ],
                "artifacts": ["ci-*"],
            } },
        })
        .to_string();
    })
}

/// Creates an artifact repository.
pub async fn create(caller: &ApiSession, name: &str) {
    caller.post("/artifacts/repos", &json!({ "name": name })).await.is(201);
}

/// Uploads a file in one request, as `curl -T` does.
pub async fn put(caller: &ApiSession, path: &str, content: &str) -> Reply {
    caller.ask(Method::PUT, &format!("/artifacts/{path}")).body(content.to_owned()).send().await
}

/// The artifact that an upload made.
pub async fn stored(caller: &ApiSession, path: &str, content: &str) -> Value {
    put(caller, path, content).await.is(201).json()
}
