//! Requests as the guides of other registries have them, and answers as they say.

mod unversioned;
mod versioned;

use http::Method;
use serde_json::Value;
use testing::session::{Client, Reply};

/// Sends JSON to a path.
pub async fn send(client: &Client, method: Method, path: &str, body: &Value) -> Reply {
    client.ask(method, path).header("content-type", "application/json").body(body.to_string()).send().await
}

/// Asserts that an answer names the path to use instead.
#[track_caller]
pub fn replaced_by(reply: &Reply, path: &str) {
    assert!(reply.header("deprecation").starts_with('@'), "{reply:?}");
    let links: Vec<_> = reply.headers.get_all("link").iter().map(|link| link.to_str().unwrap()).collect();
    assert!(links.contains(&format!("<{path}>; rel=\"successor-version\"").as_str()), "{links:?}");
}
