//! Failures as pages.

use super::{
    super::error::ServiceError,
    assets::{AssetPaths, PATHS},
    markup,
    shell::{Theme, html_response, own_path, page},
};
use crate::wire::ResponseBody;
use askama::Template;
use http::{Method, Request, Response, StatusCode};

/// What an error page shows besides the error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) struct PageError {
    /// As in `X-Request-Id`.
    pub(in super::super) request_id: String,
    pub(in super::super) theme: Theme,
    /// What was asked for, to return to after a login; empty for what a form sent.
    pub(in super::super) target: String,
}

impl PageError {
    pub(in super::super) fn of<B>(request: &Request<B>, request_id: String) -> Self {
        let target = match *request.method() {
            Method::GET | Method::HEAD => request.uri().path_and_query().map(ToString::to_string).unwrap_or_default(),
            _ => String::new(),
        };
        Self { request_id, theme: Theme::of(request.headers()), target }
    }
}

#[derive(Template)]
#[template(path = "error.html")]
struct ErrorTemplate<'a> {
    status: u16,
    phrase: &'static str,
    title: &'static str,
    message: &'a str,
    request_id: &'a str,
    next: String,
    theme: Theme,
    assets: &'static AssetPaths,
}

#[derive(Template)]
#[template(path = "offline.html")]
struct OfflineTemplate {
    assets: &'static AssetPaths,
}

/// The page that browsers keep, to say that the registry does not answer.
pub(super) fn offline() -> Result<Response<ResponseBody>, ServiceError> {
    page(StatusCode::OK, &OfflineTemplate { assets: &PATHS })
}

/// The page that says what failed.
pub(in super::super) fn error_page(status: StatusCode, message: &str, page: &PageError) -> Response<ResponseBody> {
    let title = match status.as_u16() {
        400 | 415 => "This cannot be done as written",
        401 => "Please log in",
        403 => "You may not do this",
        404 => "There is nothing here",
        405 => "This is switched off",
        409 | 412 => "Something is in the way",
        413 | 507 => "There is no room for this",
        429 => "Please wait a moment",
        503 => "The registry is busy",
        _ => "Something went wrong",
    };
    let next = match own_path(&page.target) {
        "/" => "/login".to_owned(),
        path => format!("/login?next={}", super::super::query::encode(path)),
    };
    let message = sentence(message);
    let template = ErrorTemplate {
        status: status.as_u16(),
        phrase: status.canonical_reason().unwrap_or_default(),
        title,
        message: &message,
        request_id: &page.request_id,
        next,
        theme: page.theme,
        assets: &PATHS,
    };
    html_response(status, template.render().unwrap_or_else(|_| title.to_owned()))
}

/// A message as a sentence: messages of the error table begin in lower case.
fn sentence(message: &str) -> String {
    let mut characters = message.chars();
    let first = characters.next().map(|first| first.to_uppercase().to_string()).unwrap_or_default();
    let end = if message.ends_with(['.', '!', '?']) { "" } else { "." };
    format!("{first}{}{end}", characters.as_str())
}
