//! The JSON of Wharfinger's HTTP API: what the daemon writes and its clients read.
//!
//! Errors have the shape of the OCI distribution specification ("Error Codes"), on every route.

#![cfg_attr(not(test), deny(clippy::disallowed_methods))]
#![warn(missing_docs)]

pub mod activity;
pub mod artifact_search;
pub mod artifacts;
pub mod audit;
pub mod auth;
pub mod config;
pub mod dashboard;
pub mod groups;
pub mod keys;
pub mod manifests;
pub mod migration;
pub mod outbox;
pub mod repositories;
pub mod roles;
pub mod rules;
pub mod settings;
pub mod system;
pub mod tasks;
pub mod users;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::{borrow::Cow, fmt};
use utoipa::ToSchema;

/// The body of every answer that means failure.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ErrorBody {
    /// What went wrong, most important first; never empty.
    pub errors: Vec<ErrorEntry>,
    /// The request's ID, as in `X-Request-Id`; only on `/api`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

/// One thing that went wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ErrorEntry {
    /// For programs, such as `MANIFEST_UNKNOWN`.
    pub code: Cow<'static, str>,
    /// For people.
    #[serde(default)]
    pub message: String,
    /// More for programs; its shape depends on the code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<Value>,
}

/// A part of a list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Page<T> {
    /// In the order of the list.
    pub items: Vec<T>,
    /// Where the next page begins, as `last` asks for it; unset on the last page.
    pub next: Option<String>,
    /// Items on all pages together, where that is known without reading them all.
    pub total: Option<u64>,
    /// Items may be missing, because the registry is still looking at what it holds, as after its start.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub incomplete: bool,
}

impl<T> Page<T> {
    /// These items, and where the next page begins.
    pub fn new(items: Vec<T>, next: Option<String>) -> Self {
        Self { items, next, total: None, incomplete: false }
    }

    /// The same, of so many items on all pages, if that is known.
    #[must_use]
    pub fn of(self, total: Option<u64>) -> Self {
        Self { total, ..self }
    }

    /// The same, from which items may be missing.
    #[must_use]
    pub fn incomplete(self, incomplete: bool) -> Self {
        Self { incomplete, ..self }
    }
}

/// What is wrong with one field of a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FieldProblem {
    /// The field, as a JSON pointer (RFC 6901) or the name of a query parameter.
    pub at: String,
    /// What is wrong.
    pub problem: String,
    /// A value that may have been meant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub did_you_mean: Option<String>,
}

impl FieldProblem {
    /// A problem without a suggestion.
    pub fn new(at: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { at: at.into(), problem: problem.into(), did_you_mean: None }
    }
}

impl fmt::Display for FieldProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.at.is_empty() {
            true => f.write_str(&self.problem),
            false => write!(f, "{}: {}", self.at, self.problem),
        }
    }
}

impl ErrorBody {
    /// A body with one entry without detail.
    pub fn of(code: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self { errors: vec![ErrorEntry { code: code.into(), message: message.into(), detail: None }], request_id: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_error_is_written_as_the_specification_has_it() {
        let mut body = ErrorBody::of("DENIED", "not here");
        assert_eq!(json!(body), json!({ "errors": [{ "code": "DENIED", "message": "not here" }] }));
        body.errors[0].detail = Some(json!({ "digest": "x" }));
        let text = serde_json::to_string(&body).unwrap();
        assert_eq!(serde_json::from_str::<ErrorBody>(&text).unwrap(), body);
        let brief: ErrorBody = serde_json::from_str(r#"{"errors":[{"code":"UNKNOWN"}],"request_id":"1"}"#).unwrap();
        assert_eq!(brief, ErrorBody { request_id: Some("1".into()), ..ErrorBody::of("UNKNOWN", "") });
    }

    #[test]
    fn the_last_page_says_so() {
        let page = Page::new(vec!["a"], None).of(Some(1));
        assert_eq!(json!(page), json!({ "items": ["a"], "next": null, "total": 1 }));
    }
}
