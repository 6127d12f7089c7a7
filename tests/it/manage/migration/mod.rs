//! Sessions of migrations: images that are copied from other registries.

mod access;
mod copying;
mod faults;
mod page;
mod restart;

use crate::PROGRAM;
use serde_json::{Value, json};
use std::time::Duration;
use testing::managed::{ApiSession, Files, Managed};

/// A registry that may copy from this machine.
fn start(change: impl FnOnce(&mut Files)) -> Managed {
    Managed::start(PROGRAM, |files| {
        files.settings = "[migration]\nallow_private = [\"127.0.0.1/32\"]\n".to_owned();
        change(files);
    })
}

/// Starts a migration; returns its id.
async fn migrate(caller: &ApiSession, request: &Value) -> String {
    let started = caller.post("/registry/migrate", request).await.is(202).json();
    started["task_id"].as_str().unwrap().to_owned()
}

/// The migration, as soon as its state is none of these.
async fn leaves(registry: &Managed, caller: &ApiSession, id: &str, states: &[&str]) -> Value {
    let path = format!("/tasks/{id}");
    let has_left = async || {
        let task = caller.get(&path).await.json();
        !states.contains(&task["status"].as_str().unwrap())
    };
    registry.until(Duration::from_secs(60), &format!("the migration stays {states:?}"), has_left).await;
    caller.get(&path).await.json()
}

/// The migration after it has ended.
async fn ended(registry: &Managed, caller: &ApiSession, id: &str) -> Value {
    leaves(registry, caller, id, &["pending", "running"]).await
}

/// Copies everything that a request names, which must succeed.
async fn copied(registry: &Managed, request: &Value) -> Value {
    let admin = registry.admin();
    let id = migrate(&admin, request).await;
    let task = ended(registry, &admin, &id).await;
    assert_eq!(task["status"], "completed", "{task:#}\n{}", registry.log());
    task
}

/// The image of a migration with this name.
async fn image_of(caller: &ApiSession, id: &str, source: &str) -> Value {
    let images = caller.get(&format!("/tasks/{id}/images")).await.is(200).json();
    let found = images["items"].as_array().unwrap().iter().find(|image| image["source"] == source).cloned();
    found.unwrap_or_else(|| panic!("{source} is not in {images:#}"))
}

/// A request to copy these from an address.
fn request(source: &str, images: &[&str]) -> Value {
    json!({ "source_registry": source, "images": images })
}
