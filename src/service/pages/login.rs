//! The login of a browser.

use super::{
    super::{
        error::{ApiError, ServiceError},
        gate::Granted,
        manage::{AuthEndpoint, ManageEndpoint, SystemEndpoint},
    },
    form::PageForm,
    markup,
    shell::{Shell, go_to, own_path, page},
};
use crate::wire::ResponseBody;
use api::auth::{LoginRequest, LogoutRequest};
use askama::Template;
use http::{Method, Response, StatusCode, header};

#[derive(Template)]
#[template(path = "login.html")]
struct LoginTemplate {
    shell: Shell,
    /// No cookie can be set, because others could read it on its way.
    is_unsafe: bool,
    next: String,
    user: String,
    error: String,
    /// Seconds until the next try is looked at.
    wait: Option<u64>,
    /// Strangers may make an account.
    may_register: bool,
}

impl LoginTemplate {
    async fn of(granted: &Granted, next: &str) -> Self {
        Self {
            shell: Shell::of(granted, "login").await,
            is_unsafe: !granted.request.may_set_cookie(),
            next: own_path(next).to_owned(),
            user: String::new(),
            error: String::new(),
            wait: None,
            may_register: granted.request.live.may_register(),
        }
    }
}

pub(super) async fn show(granted: &Granted) -> Result<Response<ResponseBody>, ServiceError> {
    let next = granted.parameters().first("next").unwrap_or_default().to_owned();
    page(StatusCode::OK, &LoginTemplate::of(granted, &next).await)
}

/// Opens a session, and goes where the caller wanted to go.
pub(super) async fn log_in(granted: &Granted, form: &PageForm) -> Result<Response<ResponseBody>, ServiceError> {
    let mut template = LoginTemplate::of(granted, form.text("next")).await;
    if template.is_unsafe {
        return page(StatusCode::FORBIDDEN, &template);
    }
    let user = form.text("username").trim();
    let asked =
        LoginRequest { username: Some(user.to_owned()), email: None, password: form.text("password").to_owned() };
    let login = ManageEndpoint::Auth(AuthEndpoint::Login);
    let error = match granted.act(login, Method::POST, &[], None, Some(&asked)).await {
        Ok(answer) => return Ok(with_cookie(go_to(&template.next), &answer)),
        Err(error) => error,
    };
    let row = error.row();
    template.user = user.chars().take(128).collect();
    template.wait = seconds_to_wait(&error);
    template.error = match row.status {
        StatusCode::UNAUTHORIZED | StatusCode::TOO_MANY_REQUESTS => "User or password is wrong.".to_owned(),
        status if status.is_server_error() => return Err(error),
        _ => error.message(),
    };
    page_to_wait(row.status, &template, template.wait)
}

/// For how long a caller has to wait who was refused because of others, or because of too many tries.
pub(super) fn seconds_to_wait(error: &ServiceError) -> Option<u64> {
    match error {
        ServiceError::Api(ApiError::TooManyRequests(seconds)) | ServiceError::LoginBusy(seconds) => Some(*seconds),
        _ => None,
    }
}

/// A page for somebody who may have to wait.
pub(super) fn page_to_wait(
    status: StatusCode,
    template: &impl Template,
    wait: Option<u64>,
) -> Result<Response<ResponseBody>, ServiceError> {
    let mut response = page(status, template)?;
    if let Some(seconds) = wait {
        response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
    }
    Ok(response)
}

/// Ends the session.
pub(super) async fn log_out(granted: &Granted, everywhere: bool) -> Result<Response<ResponseBody>, ServiceError> {
    let asked = LogoutRequest { everywhere, refresh_token: None };
    let logout = ManageEndpoint::Auth(AuthEndpoint::Logout);
    let answer = granted.act(logout, Method::POST, &[], None, Some(&asked)).await?;
    let system: api::system::SystemInfo = granted.ask(ManageEndpoint::System(SystemEndpoint::Show), &[]).await?;
    let next = if system.login == "none" { "/" } else { "/login" };
    Ok(with_cookie(go_to(next), &answer))
}

/// With the cookie that the API has set.
fn with_cookie(mut response: Response<ResponseBody>, answer: &Response<ResponseBody>) -> Response<ResponseBody> {
    for cookie in answer.headers().get_all(header::SET_COOKIE) {
        response.headers_mut().append(header::SET_COOKIE, cookie.clone());
    }
    response
}
