//! The caller: what they may do, their sessions and API keys.

use super::{
    super::{
        error::ServiceError,
        gate::Granted,
        manage::{AuthEndpoint, KeyEndpoint, ManageEndpoint},
    },
    markup,
    shell::{Shell, page},
};
use crate::wire::ResponseBody;
use api::{
    Page,
    auth::{Me, SessionInfo},
    keys::{ApiKeyCreated, ApiKeyInfo},
};
use askama::Template;
use http::{HeaderValue, Response, StatusCode, header};

/// What became of a form for a new key.
pub(super) enum KeyOutcome {
    Created(Box<ApiKeyCreated>),
    /// What was wrong, and the name and scopes that were sent.
    Refused {
        error: String,
        name: String,
        scopes: String,
    },
}

#[derive(Template)]
#[template(path = "profile.html")]
struct ProfileTemplate {
    shell: Shell,
    me: Me,
    sessions: Vec<SessionInfo>,
    /// `None` if these credentials do not cover accounts.
    keys: Option<Vec<ApiKeyInfo>>,
    created: Option<ApiKeyCreated>,
    error: String,
    name: String,
    scopes: String,
}

pub(super) async fn show(
    granted: &Granted,
    outcome: Option<KeyOutcome>,
) -> Result<Response<ResponseBody>, ServiceError> {
    let me: Me = granted.ask(ManageEndpoint::Auth(AuthEndpoint::Me), &[]).await?;
    let most = [("n", "100")];
    let sessions: Option<Page<SessionInfo>> =
        granted.ask_if_allowed(ManageEndpoint::Auth(AuthEndpoint::Sessions), &most).await?;
    let mut sessions = sessions.map(|page| page.items).unwrap_or_default();
    sessions.sort_by(|a, b| b.current.cmp(&a.current).then_with(|| b.refreshed_at.cmp(&a.refreshed_at)));
    let keys: Option<Page<ApiKeyInfo>> = granted.ask_if_allowed(ManageEndpoint::Key(KeyEndpoint::List), &most).await?;
    let (created, error, name, scopes) = match outcome {
        None => (None, String::new(), String::new(), String::new()),
        Some(KeyOutcome::Created(created)) => (Some(*created), String::new(), String::new(), String::new()),
        Some(KeyOutcome::Refused { error, name, scopes }) => (None, error, name, scopes),
    };
    let status = match (&created, error.is_empty()) {
        (Some(_), _) => StatusCode::CREATED,
        (None, false) => StatusCode::BAD_REQUEST,
        (None, true) => StatusCode::OK,
    };
    let (shell, keys) = (Shell::of(granted, "profile"), keys.map(|page| page.items));
    let mut response = page(status, &ProfileTemplate { shell, me, sessions, keys, created, error, name, scopes })?;
    // A secret must not be kept by the browser.
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}
