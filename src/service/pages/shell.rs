//! What is around every page: the menu, who the caller is, notices; and the headers of a page.

use super::{
    super::{
        cookie,
        error::ServiceError,
        gate::Granted,
        headers::{REVALIDATE, text, value},
        routed::{Routed, Sight},
    },
    assets::{AssetPaths, PATHS},
};
use crate::{
    access::Rights,
    identity::Identity,
    who::{Permission, Resource, Subject, Verb},
    wire::ResponseBody,
};
use askama::Template;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header, uri::Authority};

/// Light or dark.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in super::super) enum Theme {
    /// As the system is set.
    #[default]
    Auto,
    Light,
    Dark,
}

impl Theme {
    pub(super) fn parse(text: &str) -> Self {
        match text {
            "light" => Self::Light,
            "dark" => Self::Dark,
            _ => Self::Auto,
        }
    }

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Light => "light",
            Self::Dark => "dark",
        }
    }

    /// The one that a browser has chosen.
    pub(in super::super) fn of(headers: &HeaderMap) -> Self {
        cookie::named(headers, "theme").map_or(Self::Auto, Self::parse)
    }
}

/// What is around every page.
pub(super) struct Shell {
    /// The entry of the menu that leads here.
    pub(super) section: &'static str,
    /// The user, if somebody is logged in.
    pub(super) user: Option<String>,
    pub(super) is_admin: bool,
    /// There are no logins: everybody may do everything.
    pub(super) is_open: bool,
    /// Users can log in here.
    pub(super) has_logins: bool,
    /// Entries of the menu that the caller can use.
    pub(super) sees_artifacts: bool,
    pub(super) sees_system: bool,
    pub(super) sees_migration: bool,
    pub(super) sees_users: bool,
    pub(super) sees_groups: bool,
    pub(super) sees_roles: bool,
    /// Rules and settings.
    pub(super) sees_rules: bool,
    /// The caller may create something: somebody is logged in, or the registry is open.
    pub(super) may_create: bool,
    pub(super) theme: Theme,
    /// The operator's message.
    pub(super) message: String,
    pub(super) is_read_only: bool,
    /// How clients reach this registry.
    pub(super) host: String,
    /// What was done a moment ago.
    pub(super) notice: Option<String>,
    pub(super) version: &'static str,
    pub(super) assets: &'static AssetPaths,
}

impl Shell {
    pub(super) async fn of(granted: &Granted, section: &'static str) -> Self {
        let live = &granted.request.live;
        let who = &granted.who().subject;
        // Without access rules nobody manages users here.
        let has_rules = matches!(*live.rights, Rights::Rules { .. });
        let sees = |resource| has_rules && granted.has(Permission { verb: Verb::View, resource });
        Self {
            section,
            user: match who {
                Subject::User(name) => Some(name.to_string()),
                Subject::Anonymous => None,
            },
            is_admin: granted.has(Permission::ADMIN),
            is_open: live.identity.is_nobody(),
            has_logins: matches!(live.identity, Identity::Password { .. } | Identity::OwnTokens(_)),
            sees_system: granted.sight != Sight::Word || granted.has(Permission::VIEW_SYSTEM),
            sees_artifacts: granted.sees_any_artifacts().await,
            sees_migration: granted.may_migrate(),
            sees_users: sees(Resource::User),
            sees_groups: sees(Resource::Group),
            sees_roles: sees(Resource::System),
            sees_rules: has_rules && granted.has(Permission::ADMIN),
            may_create: live.identity.is_nobody() || matches!(who, Subject::User(_)),
            theme: Theme::of(&granted.request.head.headers),
            message: live.operator.message.to_string(),
            is_read_only: live.operator.read_only,
            host: host(&granted.request),
            notice: notice(granted),
            version: env!("CARGO_PKG_VERSION"),
            assets: &PATHS,
        }
    }
}

/// The host as the client wrote it.
fn host(request: &Routed) -> String {
    let front = request.front().host;
    let written = front.as_ref().or(request.head.uri.authority()).map(Authority::as_str);
    let written = written.or_else(|| text(&request.head.headers, &header::HOST));
    written.or(request.live.public_host.as_deref()).unwrap_or("localhost").to_owned()
}

/// What the page before has done: one of our own sentences, since anybody can write a link to a page.
fn notice(granted: &Granted) -> Option<String> {
    let parameters = granted.parameters();
    let number = parameters.first("n_done").and_then(|n| n.parse::<u64>().ok());
    let tags = |n: u64| super::markup::counted(n, "tag was", "tags were");
    Some(match (parameters.first("done")?, number) {
        ("tags-deleted", Some(n)) => format!("{} deleted.", tags(n)),
        ("tag-set", _) => "The tag was set.".to_owned(),
        ("repository-created", _) => "The repository was created.".to_owned(),
        ("repository-deleted", _) => "The repository was deleted.".to_owned(),
        ("artifacts-uploaded", Some(n)) => format!("{} uploaded.", super::markup::counted(n, "file was", "files were")),
        ("artifact-deleted", _) => "The file was moved to the trash.".to_owned(),
        ("artifacts-deleted", Some(n)) => {
            format!("{} moved to the trash.", super::markup::counted(n, "file was", "files were"))
        }
        ("artifact-restored", _) => "The file was restored.".to_owned(),
        ("saved", _) => "Saved.".to_owned(),
        ("tags-copied", Some(n)) => format!("{} copied.", tags(n)),
        ("namespace-created", _) => "The namespace was created.".to_owned(),
        ("namespace-deleted", _) => "The namespace was deleted.".to_owned(),
        ("password-changed", _) => "The password was changed. Your other sessions have ended.".to_owned(),
        ("registered", _) => "The account was made. Log in with it.".to_owned(),
        ("reloaded", _) => "The configuration files were read.".to_owned(),
        ("cancelled", _) => "Cancelled.".to_owned(),
        ("key-deleted", _) => "The API key was revoked.".to_owned(),
        ("session-ended", _) => "The session was ended.".to_owned(),
        ("deleted", _) => "Deleted.".to_owned(),
        ("started", _) => "The task was started.".to_owned(),
        ("resumed", _) => "The task continues.".to_owned(),
        _ => return None,
    })
}

/// What pages may load and do: only what comes from here, and nothing that is written into them.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; \
                      form-action 'self'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'";

const OPENER_POLICY: HeaderName = HeaderName::from_static("cross-origin-opener-policy");

/// An HTML page, with the headers that belong to it.
pub(super) fn page(status: StatusCode, template: &impl Template) -> Result<Response<ResponseBody>, ServiceError> {
    // Writing to a string cannot fail.
    let html = template.render().map_err(|_| ServiceError::Panicked)?;
    Ok(html_response(status, html))
}

pub(super) fn html_response(status: StatusCode, html: String) -> Response<ResponseBody> {
    let mut response = Response::new(ResponseBody::from(html));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    let fixed = HeaderValue::from_static;
    headers.insert(header::CONTENT_TYPE, fixed("text/html; charset=utf-8"));
    headers.insert(header::CONTENT_SECURITY_POLICY, fixed(POLICY));
    headers.insert(header::CACHE_CONTROL, REVALIDATE);
    headers.insert(header::VARY, fixed("cookie"));
    headers.insert(header::X_FRAME_OPTIONS, fixed("DENY"));
    headers.insert(OPENER_POLICY, fixed("same-origin"));
    // Without a referrer, browsers call the origin of a form "null" (Fetch, "append a request Origin header").
    headers.insert(header::REFERRER_POLICY, fixed("same-origin"));
    response
}

/// Sends the browser to a page of this registry, after a form.
pub(super) fn go_to(path: &str) -> Response<ResponseBody> {
    let mut response = Response::new(ResponseBody::default());
    *response.status_mut() = StatusCode::SEE_OTHER;
    response.headers_mut().insert(header::LOCATION, value(path));
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from_static("0"));
    response
}

/// A path of this registry that a request names, or the first page. An address of another site is none.
pub(super) fn own_path(text: &str) -> &str {
    let is_own = text.starts_with('/')
        && !text.starts_with("//")
        && text.len() <= 2000
        && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    if is_own { text } else { "/" }
}

/// A text as one segment of a path.
pub(super) fn segment(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(char::from(byte)),
            other => out.push_str(&format!("%{other:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_sent_to_another_site() {
        for own in ["/", "/repositories/team/app?sort=size", "/search?q=%2F%2Fevil"] {
            assert_eq!(own_path(own), own);
        }
        for other in [
            "",
            "//evil.example",
            "https://evil.example",
            "/\\evil.example",
            "\\/evil",
            "/a\nb",
            "/a b",
            "evil",
            "/\t/evil",
        ] {
            assert_eq!(own_path(other), "/", "{other:?}");
        }
    }
}
