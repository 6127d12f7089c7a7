//! Repositories as such: how they come into being, and how they are deleted.

mod creation;
mod deletion;
mod protected;
mod strict;

use http::Method;
use testing::{
    people::{basic, htpasswd},
    registry::Registry,
    session::*,
};
use wharfinger::{registry::Settings, who::Subject};

/// A registry with users, where everybody who is logged in may do everything.
pub async fn with_users(change: impl FnOnce(&mut Settings)) -> Registry {
    Registry::with(|setup| {
        setup.htpasswd = Some(htpasswd(&["alice", "bob"]));
        change(&mut setup.settings);
    })
    .await
}

/// Pushes an empty index as a user.
pub async fn push(registry: &Registry, who: &str, repository: &str, tag: &str) -> Reply {
    let put = registry.ask(Method::PUT, format!("/v2/{repository}/manifests/{tag}")).header("content-type", OCI_INDEX);
    put.header("authorization", basic(who)).body(index(&[]).to_string()).send().await
}

/// The repository as a user meets it, below HTTP.
pub fn inner(registry: &Registry, who: &str, repository: &str) -> wharfinger::registry::Repository {
    registry.inner().asked_by(Subject::User(who.into())).repository(&repository.parse().unwrap())
}

/// The text of a recorded fact.
pub fn fact(registry: &Registry, repository: &str, fact: &str) -> Option<String> {
    std::fs::read_to_string(registry.root().join("repositories").join(repository).join("_facts").join(fact)).ok()
}
