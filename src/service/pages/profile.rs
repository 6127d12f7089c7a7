//! The caller: what they may do, their sessions and API keys.

use super::{
    super::{
        error::{ApiError, ServiceError},
        gate::Granted,
        manage::{AuthEndpoint, KeyEndpoint, ManageEndpoint},
    },
    form::PageForm,
    form_state::FormState,
    login::{page_to_wait, seconds_to_wait},
    markup,
    shell::{Shell, go_to},
};
use crate::{identity::PasswordPolicy, wire::ResponseBody};
use api::{
    Page,
    auth::{Me, PasswordChange, SessionInfo},
    keys::{ApiKeyCreated, ApiKeyInfo},
};
use askama::Template;
use http::{HeaderValue, Method, Response, StatusCode, header};

/// How long a new key lives, in days and in words; the first is chosen at first.
pub(super) const KEY_LIVES: [(&str, &str); 4] =
    [("90", "in 90 days"), ("30", "in 30 days"), ("365", "in 1 year"), ("0", "never")];

/// What became of a form of this page.
pub(super) enum ProfileOutcome {
    KeyCreated(Box<ApiKeyCreated>),
    KeyRefused(FormState),
    PasswordRefused(PasswordRefusal),
}

/// Why a password was not changed.
#[derive(Default)]
pub(super) struct PasswordRefusal {
    status: StatusCode,
    error: String,
    /// Seconds until the next try is looked at.
    wait: Option<u64>,
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
    new_key: FormState,
    policy: PasswordPolicy,
    password: PasswordRefusal,
}

pub(super) async fn show(
    granted: &Granted,
    outcome: Option<ProfileOutcome>,
) -> Result<Response<ResponseBody>, ServiceError> {
    let me: Me = granted.ask(ManageEndpoint::Auth(AuthEndpoint::Me), &[]).await?;
    let most = [("n", "100")];
    let sessions: Option<Page<SessionInfo>> =
        granted.ask_if_allowed(ManageEndpoint::Auth(AuthEndpoint::Sessions), &most).await?;
    let mut sessions = sessions.map(|page| page.items).unwrap_or_default();
    sessions.sort_by(|a, b| b.current.cmp(&a.current).then_with(|| b.refreshed_at.cmp(&a.refreshed_at)));
    let keys: Option<Page<ApiKeyInfo>> = granted.ask_if_allowed(ManageEndpoint::Key(KeyEndpoint::List), &most).await?;
    let mut template = ProfileTemplate {
        shell: Shell::of(granted, "profile").await,
        me,
        sessions,
        keys: keys.map(|page| page.items),
        created: None,
        new_key: FormState::default(),
        policy: granted.request.live.passwords,
        password: PasswordRefusal::default(),
    };
    let status = match outcome {
        None => StatusCode::OK,
        Some(ProfileOutcome::KeyCreated(created)) => {
            template.created = Some(*created);
            StatusCode::CREATED
        }
        Some(ProfileOutcome::KeyRefused(form)) => {
            template.new_key = form;
            template.new_key.status()
        }
        Some(ProfileOutcome::PasswordRefused(refusal)) => {
            template.password = refusal;
            template.password.status
        }
    };
    let mut response = page_to_wait(status, &template, template.password.wait)?;
    // A secret must not be kept by the browser.
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

/// Changes the caller's own password. Their other sessions end with the old one.
pub(super) async fn change_password(
    granted: &Granted,
    fields: &PageForm,
) -> Result<Response<ResponseBody>, ServiceError> {
    let refused = |status, error: String, wait| {
        let refusal = PasswordRefusal { status, error, wait };
        show(granted, Some(ProfileOutcome::PasswordRefused(refusal)))
    };
    let new_password = fields.text("new_password").to_owned();
    if new_password != fields.text("repeated") {
        return refused(StatusCode::BAD_REQUEST, "The two new passwords differ.".to_owned(), None).await;
    }
    let asked = PasswordChange { current_password: fields.text("current_password").to_owned(), new_password };
    let change = ManageEndpoint::Auth(AuthEndpoint::Password);
    let error = match granted.act(change, Method::PUT, &[], None, Some(&asked)).await {
        Ok(_) => return Ok(go_to("/profile?done=password-changed")),
        Err(error) => error,
    };
    let status = error.row().status;
    let message = match &error {
        ServiceError::Api(ApiError::InvalidRequest(problems)) => {
            let problems: Vec<_> = problems.iter().map(|problem| problem.problem.as_str()).collect();
            format!("The new password {}.", problems.join(", and "))
        }
        ServiceError::Api(ApiError::TooManyRequests(_)) => "The current password is wrong.".to_owned(),
        ServiceError::Denied { message, .. } if message.ends_with("password is wrong") => {
            "The current password is wrong.".to_owned()
        }
        ServiceError::Api(ApiError::ReadOnlyFile { .. }) => error.message(),
        _ => return Err(error),
    };
    refused(status, message, seconds_to_wait(&error)).await
}
