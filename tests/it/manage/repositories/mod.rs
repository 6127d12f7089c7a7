//! Repositories by the management API.

mod deletion;
mod facts;
mod lists;
mod manifests;
mod namespaces;
mod search;
mod strict;
mod tags;

use crate::PROGRAM;
use serde_json::{Value, json};
use testing::{
    managed::{ApiSession, Files, Managed},
    session::*,
};

/// A registry where alice pushes to `alice/**`, and to `team/**` without being asked about facts; bob may do nothing.
pub fn registry() -> Managed {
    registry_with("# None.\n")
}

pub fn registry_with(settings: &str) -> Managed {
    registry_where(|files| files.settings = settings.to_owned())
}

pub fn registry_where(change: impl FnOnce(&mut Files)) -> Managed {
    Managed::start(PROGRAM, |files| {
        files.rules = json!({
            "defaultPolicy": "deny",
            "adminUsers": ["admin"],
            "rules": [{ "repository": "team/**", "users": ["alice"], "permissions": ["pull", "push", "delete"] }],
            "groups": { "makers": { "members": ["alice"], "roles": ["maker"] } },
            "roles": { "maker": { "permissions": ["CREATE:REPO"], "repositories": ["alice/**"] } },
        })
        .to_string();
        change(files);
    })
}

/// The items of a list.
pub async fn items(caller: &ApiSession, path: &str) -> Vec<Value> {
    caller.get(path).await.is(200).json()["items"].as_array().unwrap().clone()
}

/// The values of a field of a list's items.
pub async fn field(caller: &ApiSession, path: &str, field: &str) -> Vec<String> {
    let text = |item: &Value| item[field].as_str().unwrap_or_default().to_owned();
    items(caller, path).await.iter().map(text).collect()
}

/// Pushes an image of a platform, with a layer of this content; returns its digest and length.
pub async fn push_platform(
    client: &Client,
    name: &str,
    reference: &str,
    architecture: &str,
    layer: &str,
) -> (String, usize) {
    let config = json!({
        "os": "linux", "architecture": architecture, "config": { "Env": [format!("ARCH={architecture}")] },
        "history": [{ "created_by": "COPY layer" }, { "created_by": "ENV ARCH", "empty_layer": true }],
    })
    .to_string();
    client.push_blob(name, config.clone()).await;
    client.push_blob(name, layer.to_owned()).await;
    let manifest = image(&descriptor(CONFIG, config.as_bytes()), &[descriptor(LAYER, layer.as_bytes())]);
    let text = manifest.to_string();
    let reference = if reference.is_empty() { sha256(text.as_bytes()) } else { reference.to_owned() };
    let reply = client.put_manifest(name, &reference, &manifest).await.is(201);
    (reply.header("docker-content-digest").to_owned(), text.len())
}
