//! Which paths are aliases, and of what.
//!
//! A repository's name has any number of components, so these paths are read from the right. What could be two things
//! is the smaller one: `DELETE …/tags/1.0` is about a tag, never about a repository of that name.

use super::super::{
    super::{
        endpoint::RequestLine,
        error::ServiceError,
        query::{Query, encode},
    },
    endpoint::{ManageEndpoint, is_noun},
    repositories::{MARK, invalid},
};
use super::{AliasEndpoint, AliasForm, replaced};
use http::Method;

/// The path that serves an alias, below `/api/v1`.
struct AliasTarget {
    segments: Vec<String>,
    query: String,
    form: AliasForm,
}

impl AliasEndpoint {
    /// Parses the segments of a path below `/api`; `None` if it is no alias.
    pub(in super::super) fn parse(line: &RequestLine<'_>) -> Option<Result<Self, ServiceError>> {
        let target = match line.segments {
            ["v1", rest @ ..] => versioned(line, rest)?,
            rest => Ok(unversioned(line, rest)?),
        };
        Some(target.and_then(|target| target.parsed(line)))
    }
}

impl AliasEndpoint {
    /// Parses `/auth/login`.
    pub(in super::super) fn parse_login(line: &RequestLine<'_>) -> Result<Self, ServiceError> {
        to(line.segments).parsed(line)
    }
}

impl AliasTarget {
    fn parsed(self, line: &RequestLine<'_>) -> Result<AliasEndpoint, ServiceError> {
        let Self { segments, query, mut form } = self;
        let borrowed: Vec<&str> = segments.iter().map(String::as_str).collect();
        let endpoint = ManageEndpoint::parse_noun(&RequestLine { segments: &borrowed, ..*line })?;
        let path = format!("/api/v1/{}", segments.join("/"));
        // One is only another body for the same path.
        form.successor = (line.segments != [&["v1"], &*borrowed].concat()).then(|| path.clone());
        Ok(AliasEndpoint { endpoint: Box::new(endpoint), path, query, form })
    }

    fn asking(self, query: impl Into<String>) -> Self {
        Self { query: query.into(), ..self }
    }

    fn with_metrics(self) -> Self {
        Self { form: AliasForm { has_metrics: true, ..self.form }, ..self }
    }

    fn also(self, also: &'static [(&'static str, &'static str)]) -> Self {
        Self { form: AliasForm { also, ..self.form }, ..self }
    }
}

fn to(segments: &[&str]) -> AliasTarget {
    let segments = segments.iter().map(|segment| (*segment).to_owned()).collect();
    AliasTarget { segments, query: String::new(), form: AliasForm::default() }
}

/// What belongs to a repository.
fn within(name: &[&str], rest: &[&str]) -> AliasTarget {
    to(&[&["repositories"], name, &[MARK], rest].concat())
}

/// Whether segments can be the name of a repository. The grammar is checked later.
fn is_name(segments: &[&str]) -> bool {
    !segments.is_empty() && !segments.contains(&MARK)
}

/// Below `/api/v1`.
fn versioned(line: &RequestLine<'_>, rest: &[&str]) -> Option<Result<AliasTarget, ServiceError>> {
    let (is_read, method) = (line.is_read(), line.method);
    if let Some(refusal) = replaced::refusal(line, rest) {
        return Some(Err(refusal));
    }
    Some(Ok(match rest {
        ["users", "me"] if is_read => to(&["auth", "me"]),
        ["repositories", "public"] if is_read => {
            to(&["repositories"]).asking("visibility=public&include=tags").also(&[("items", "images")])
        }
        ["repositories", "visibility"] if *method == Method::POST => to(rest),
        ["repositories", name @ .., "tags", tag] if *method == Method::DELETE && is_name(name) => {
            within(name, &["tags", tag])
        }
        ["repo"] if is_read => to(&["repositories"]).asking("include=tags").also(&[("items", "data")]),
        ["settings", "metrics"] if is_read => to(&["metrics"]).asking("include=requests").with_metrics(),
        ["registry", "migrate", "status"] if is_read => return Some(status(line)),
        [name @ .., "visibility"] if *method == Method::PUT && is_name(name) && !is_noun(name[0]) => {
            within(name, &["visibility"])
        }
        _ => return None,
    }))
}

/// The state of a task, whose id is in the query.
fn status(line: &RequestLine<'_>) -> Result<AliasTarget, ServiceError> {
    let query = Query::parse(line.query);
    let id = query.one("task_id")?.ok_or_else(|| invalid("task_id", "is missing"))?;
    Ok(to(&["tasks", id]))
}

/// Below `/api` without a version.
fn unversioned(line: &RequestLine<'_>, rest: &[&str]) -> Option<AliasTarget> {
    const USAGE: &[(&str, &str)] = &[("used", "used_size"), ("total", "total_size"), ("percent", "usage_percent")];
    let is_read = line.is_read();
    let target = match rest {
        ["auth", "me"] => to(rest).also(&[("username", "id")]),
        ["auth", "login" | "logout" | "password"] | ["dashboard"] => to(rest),
        ["ftp", "usage"] => to(&["storage"]).also(USAGE),
        ["repositories"] if is_read => to(rest).asking("include=tags").also(&[("items", "repositories")]),
        ["repositories", name @ .., "tags"] if is_read && is_name(name) => {
            within(name, &["tags"]).also(&[("items", "tags")])
        }
        ["repositories", name @ .., "tags", tag] if is_name(name) => within(name, &["tags", tag]),
        ["repositories", ..] => to(rest),
        ["groups"] => to(&["namespaces"]).also(&[("items", "groups")]),
        ["groups", group] => to(&["namespaces", group]),
        ["groups", group, "repositories"] if is_read => to(&["repositories"])
            .asking(format!("namespace={}&include=tags", encode(group)))
            .also(&[("items", "repositories")]),
        ["groups", group, "repositories", name @ .., "tags"] if is_read && is_name(name) => {
            within(&[&[*group], name].concat(), &["tags"]).also(&[("items", "tags")])
        }
        ["groups", group, "repositories", name @ .., "tags", tag] if is_name(name) => {
            within(&[&[*group], name].concat(), &["tags", tag])
        }
        ["groups", group, "repositories", name @ ..] if is_name(name) => {
            to(&[&["repositories", *group], name].concat())
        }
        _ => return None,
    };
    Some(AliasTarget { form: AliasForm { says_success: true, ..target.form }, ..target })
}
