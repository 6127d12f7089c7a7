//! The pages of artifacts: they show what their caller may see, keep what was typed, and change only what was meant.

mod browsing;
mod changes;
mod uploads;

use super::unescaped;
use crate::PROGRAM;
use http::Method;
use serde_json::{Value, json};
use testing::managed::{ApiSession, Managed};

/// A registry where alice has a role for `ci-*`, and bob may only log in.
fn registry() -> Managed {
    Managed::start(PROGRAM, |files| {
        files.rules = json!({
            "defaultPolicy": "deny",
            "adminUsers": ["admin"],
            "rules": [],
            "groups": {
                "people": { "members": ["alice", "bob"], "roles": ["web"] },
                "ci": { "members": ["alice"], "roles": ["ci"] },
            },
            "roles": {
                "web": { "permissions": ["LOGIN:WEBUI"] },
                "ci": {
                    "permissions": [
                        "CREATE:REPO", "VIEW:ARTIFACT", "DOWNLOAD:ARTIFACT", "UPLOAD:ARTIFACT", "UPDATE:ARTIFACT",
                        "DELETE:ARTIFACT",
                    ],
                    "artifacts": ["ci-*"],
                },
            },
        })
        .to_string();
    })
}

async fn create(session: &ApiSession, name: &str, private: bool) {
    session.post("/artifacts/repos", &json!({ "name": name, "private": private })).await.is(201);
}

/// Uploads a file; the artifact that it made.
async fn upload(session: &ApiSession, target: &str, content: &str) -> Value {
    let put = session.ask(Method::PUT, &format!("/artifacts/{target}")).body(content.to_owned());
    put.send().await.is(201).json()
}

fn text<'v>(value: &'v Value, key: &str) -> &'v str {
    value[key].as_str().unwrap()
}

/// A hidden field of the form that is sent to this path.
fn hidden(page: &str, path: &str, name: &str) -> String {
    let form = page.split(&format!("action=\"{path}\"")).nth(1).unwrap_or_else(|| panic!("no form {path} in {page}"));
    unescaped(form.split(&format!("name=\"{name}\" value=\"")).nth(1).unwrap().split('"').next().unwrap())
}
