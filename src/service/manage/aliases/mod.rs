//! Paths under which clients of other registries expect the same things.
//!
//! Each is parsed into the endpoint that serves it, so it needs the same rights and does the same. The answer says that
//! the path is deprecated, and which one replaces it.

mod answer;
mod metrics;
mod paths;
mod replaced;

use super::{
    super::{
        answer::Answering,
        endpoint::{Family, Methods, Need},
        gate::Granted,
    },
    endpoint::ManageEndpoint,
};
use answer::AliasForm;
use http::{Uri, uri::PathAndQuery};
use oci::Reference;

/// A request to an alias.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AliasEndpoint {
    /// What serves it.
    endpoint: Box<ManageEndpoint>,
    /// The path of that.
    path: String,
    /// Parameters that its query has before those of the request.
    query: String,
    form: AliasForm,
}

/// An alias as the description of the API lists it.
pub(super) struct AliasRow {
    /// In upper case.
    pub(super) method: &'static str,
    /// The whole path, with variables in braces.
    pub(super) path: &'static str,
    /// The operation that it is another path of.
    pub(super) operation: &'static str,
}

const fn row(method: &'static str, path: &'static str, operation: &'static str) -> AliasRow {
    AliasRow { method, path, operation }
}

/// All of them.
pub(super) static ALIASES: &[AliasRow] = &[
    row("POST", "/auth/login", "login"),
    row("POST", "/api/auth/login", "login"),
    row("POST", "/api/auth/logout", "logout"),
    row("GET", "/api/auth/me", "show_me"),
    row("GET", "/api/dashboard", "show_dashboard"),
    row("GET", "/api/ftp/usage", "show_storage"),
    row("GET", "/api/repositories", "list_repositories"),
    row("POST", "/api/repositories", "create_repository"),
    row("GET", "/api/repositories/{repository}", "show_repository"),
    row("PATCH", "/api/repositories/{repository}", "change_repository"),
    row("DELETE", "/api/repositories/{repository}", "delete_repository"),
    row("GET", "/api/repositories/{repository}/tags", "list_tags"),
    row("GET", "/api/repositories/{repository}/tags/{tag}", "show_tag"),
    row("DELETE", "/api/repositories/{repository}/tags/{tag}", "delete_tag"),
    row("GET", "/api/groups", "list_namespaces"),
    row("POST", "/api/groups", "create_namespace"),
    row("GET", "/api/groups/{namespace}", "show_namespace"),
    row("DELETE", "/api/groups/{namespace}", "delete_namespace"),
    row("GET", "/api/groups/{namespace}/repositories", "list_repositories"),
    row("GET", "/api/groups/{namespace}/repositories/{repository}", "show_repository"),
    row("DELETE", "/api/groups/{namespace}/repositories/{repository}", "delete_repository"),
    row("GET", "/api/groups/{namespace}/repositories/{repository}/tags", "list_tags"),
    row("DELETE", "/api/groups/{namespace}/repositories/{repository}/tags/{tag}", "delete_tag"),
    row("GET", "/api/v1/users/me", "show_me"),
    row("GET", "/api/v1/repositories/public", "list_repositories"),
    row("DELETE", "/api/v1/repositories/{repository}/tags/{tag}", "delete_tag"),
    row("GET", "/api/v1/settings/metrics", "show_activity"),
    row("GET", "/api/v1/registry/migrate/status?task_id={id}", "show_task"),
    row("GET", "/api/v1/repo", "list_repositories"),
    row("PUT", "/api/v1/{namespace}/{repository}/visibility", "set_visibility"),
];

impl AliasEndpoint {
    /// The path of the endpoint that serves it.
    pub(super) fn path(&self) -> &str {
        &self.path
    }
}

impl Family for AliasEndpoint {
    fn name(&self) -> &'static str {
        self.endpoint.name()
    }

    fn needs(&self) -> Need<'_> {
        self.endpoint.needs()
    }

    fn methods(&self) -> Methods {
        self.endpoint.methods()
    }

    fn reference(&self) -> Option<Reference> {
        self.endpoint.reference()
    }

    fn serve(self, mut granted: Granted) -> Answering {
        if !self.query.is_empty() {
            let asked = granted.request.head.uri.query().unwrap_or_default();
            let target = format!("{}?{}&{asked}", granted.request.head.uri.path(), self.query);
            let mut parts = granted.request.head.uri.clone().into_parts();
            // A path and a query that were parsed before stay valid.
            parts.path_and_query = target.trim_end_matches('&').parse::<PathAndQuery>().ok();
            if let Ok(uri) = Uri::from_parts(parts) {
                granted.request.head.uri = uri;
            }
        }
        Box::pin(async move { self.endpoint.serve(granted).await.map(|response| self.form.applied(response)) })
    }
}

#[cfg(test)]
mod tests;
