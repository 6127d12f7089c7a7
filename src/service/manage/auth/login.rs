//! Opens, continues and ends sessions.

use super::super::super::{
    answer,
    challenge::LoginFault,
    error::{ApiError, FieldProblem, ServiceError},
    gate::Granted,
    headers::text,
    login::{LoginCheck, cookie_of, identify, is_current, presented},
    routed::{Proof, Routed},
};
use super::super::{
    audit::{made_by, settled},
    reply,
};
use super::{me::summary, not_stored};
use crate::{
    access::{Ceiling, Rights},
    accounts::{Device, OpenedSession, Refreshed, Session},
    identity::{Credentials, InvalidCredentials, Issuer, Presented, RefreshText, Users},
    who::{Permission, SessionId, Subject},
    wire::ResponseBody,
};
use api::auth::{LoginAnswer, LoginRequest, LogoutRequest, RefreshRequest};
use http::{Response, StatusCode, header};
use std::time::SystemTime;

/// Opens a session for a user who proves their password. One that an API key opens has the limits of the key.
pub(super) async fn login(mut granted: Granted) -> Result<Response<ResponseBody>, ServiceError> {
    let (users, issuer) = granted.own_users()?;
    let credentials = credentials(granted.read_json().await?)?;
    let request = &granted.request;
    let check = LoginCheck::of(&request.state, &request.live, request.client);
    let Some(holder) = check.by_password(&users, &credentials).await? else {
        return Err(wrong_password(request, &credentials.user));
    };
    let user = credentials.user;
    check_permission(request, &holder.subject)?;
    let device = Device {
        key: holder.key.as_ref().map(|(id, _)| *id),
        agent: text(&request.head.headers, &header::USER_AGENT).map(str::to_owned),
        address: request.client.map(|address| address.to_string()),
    };
    // The line may have changed since the password was verified.
    let fingerprint = issuer.fingerprint(&users, &user).ok_or_else(|| wrong_password(request, &user))?;
    let (accounts, lives) = (&request.state.accounts, request.live.sessions.lives);
    let OpenedSession { id, refresh, cookie, .. } = accounts.open_session(&user, &fingerprint, device, lives).await?;
    if let Err(error) = accounts.record_login(&user).await {
        tracing::warn!(user, %error, "cannot record the time of a login");
    }
    let mut response = signed_in(request, &users, &issuer, &holder.subject, id, Some(&refresh))?;
    if request.may_set_cookie() {
        response.headers_mut().append(header::SET_COOKIE, request.session_cookie(&cookie, lives.longest));
    }
    Ok(made_by(response, holder.subject))
}

/// The user name and password of a request.
fn credentials(LoginRequest { username, email, password }: LoginRequest) -> Result<Credentials, ServiceError> {
    let invalid = |at: &str, problem: &str| Err(ApiError::invalid(FieldProblem::new(at, problem)).into());
    let user = match (username, email) {
        (Some(name), None) | (None, Some(name)) => name,
        (None, None) => return invalid("/username", "is missing"),
        (Some(_), Some(_)) => return invalid("/email", "must not be sent together with username"),
    };
    match [&user, &password].iter().any(|text| text.contains(['\0', '\r', '\n'])) {
        true => invalid("", &InvalidCredentials::ControlCharacter.to_string()),
        false => Ok(Credentials::new(user, password)),
    }
}

/// The refusal of a wrong password. Those who guess are told to wait; a right password is never refused for that.
fn wrong_password(request: &Routed, user: &str) -> ServiceError {
    match slowed_down(request, user) {
        Some(seconds) => ApiError::TooManyRequests(seconds).into(),
        None => request.unauthorized(LoginFault::Password, "wrong user name or password"),
    }
}

/// Counts a wrong password; the seconds to wait if there were too many.
pub(super) fn slowed_down(request: &Routed, user: &str) -> Option<u64> {
    let (logins, live) = (&request.state.logins, &request.live);
    let address = request.client.map(|address| address.to_string()).unwrap_or_default();
    // A name may be long, and unknown names count too.
    let name: String = user.chars().take(128).collect();
    let by_address = logins.wrong_by_address.admit(live.wrong_passwords.per_address, &address);
    let by_user = logins.wrong_by_user.admit(live.wrong_passwords.per_user, &name);
    by_address.err().max(by_user.err())
}

/// Where access rules are in force, a role decides who may open sessions.
fn check_permission(request: &Routed, subject: &Subject) -> Result<(), ServiceError> {
    let rights = &request.live.rights;
    let needs_role = matches!(**rights, Rights::Rules { .. });
    match needs_role && !rights.may(subject, &Ceiling::None, Permission::LOGIN_WEBUI).allowed {
        true => Err(ServiceError::Denied {
            message: format!("access denied: this needs the permission {}", Permission::LOGIN_WEBUI),
            reason: format!("{subject} does not have {}", Permission::LOGIN_WEBUI),
        }),
        false => Ok(()),
    }
}

/// Gives the next access token of a session, to the holder of its refresh token or its cookie.
pub(super) async fn refresh(mut granted: Granted) -> Result<Response<ResponseBody>, ServiceError> {
    let (users, issuer) = granted.own_users()?;
    let RefreshRequest { refresh_token } = granted.read_json_or_default().await?;
    let request = &granted.request;
    let ended = || request.unauthorized(LoginFault::Invalid, "the session has ended");
    let subject = |session: &Session| Subject::User(session.user.as_str().into());
    let Some(token) = refresh_token else {
        let check = LoginCheck::of(&request.state, &request.live, request.client);
        let cookie = cookie_of(request).ok_or_else(ended)?;
        let (cookie, session) = check.session_of_cookie(&cookie).await?.ok_or_else(ended)?;
        return signed_in(request, &users, &issuer, &subject(&session), cookie.id(), None);
    };
    let token = RefreshText::parse(&token).ok_or_else(ended)?;
    let (accounts, lives) = (&request.state.accounts, request.live.sessions.lives);
    match accounts.refresh_session(&token, is_current((&users, &issuer)), lives).await? {
        Refreshed::Rotated(session, next) => {
            signed_in(request, &users, &issuer, &subject(&session), token.id(), Some(&next))
        }
        Refreshed::JustReplaced(session) => signed_in(request, &users, &issuer, &subject(&session), token.id(), None),
        Refreshed::Stolen(session) => {
            let client = request.client.map(tracing::field::display);
            tracing::warn!(
                user = session.user,
                session = %token.id(),
                client,
                "a refresh token was used twice, so somebody has a copy; the session was ended"
            );
            Err(ended())
        }
        Refreshed::Gone => Err(ended()),
    }
}

/// The answer to a client that has a session: an access token.
fn signed_in(
    request: &Routed,
    users: &Users,
    issuer: &Issuer,
    subject: &Subject,
    session: SessionId,
    refresh: Option<&RefreshText>,
) -> Result<Response<ResponseBody>, ServiceError> {
    let (now, life) = (SystemTime::now(), request.live.sessions.token);
    let token = issuer.session_token(users, subject, session, now, life)?;
    let profile = request.live.rights.profile(subject);
    let response = reply::json(
        StatusCode::OK,
        &LoginAnswer {
            token: token.clone(),
            access_token: token,
            refresh_token: refresh.map(|refresh| refresh.reveal().to_owned()),
            expires_in: life.as_secs(),
            issued_at: reply::rfc3339(now),
            username: subject.to_string(),
            user: summary(subject, &profile),
            groups: profile.groups,
            success: true,
        },
    )?;
    // The login is recorded, but not the tokens that follow.
    Ok(settled(not_stored(response)))
}

/// Ends the session of the request, or everything that the user is logged in with. A session that has ended already is
/// no error.
pub(super) async fn logout(mut granted: Granted) -> Result<Response<ResponseBody>, ServiceError> {
    let (users, issuer) = granted.own_users()?;
    let LogoutRequest { everywhere, refresh_token } = granted.read_json_or_default().await?;
    let mut request = granted.request;
    let accounts = request.state.accounts.clone();
    let (mut held, mut is_limited) = (None, false);
    if let Some(token) = refresh_token.as_deref().and_then(RefreshText::parse) {
        let session = accounts.session_of_refresh(&token, is_current((&users, &issuer))).await?;
        is_limited = session.as_ref().is_some_and(|session| session.key.is_some());
        held = session.map(|session| (Some(token.id()), Subject::User(session.user.as_str().into())));
    } else if !matches!(presented(&request.head.headers)?, Presented::Nobody) {
        let (routed, who) = identify(request).await?;
        request = routed;
        if !who.ceiling.permits(Permission::UPDATE_USER) {
            return Err(ApiError::ScopeTooNarrow.into());
        }
        held = (who.proof != Proof::None).then_some((who.session, who.subject));
    } else if let Some(cookie) = cookie_of(&request) {
        let check = LoginCheck::of(&request.state, &request.live, request.client);
        let found = check.session_of_cookie(&cookie).await?;
        is_limited = found.as_ref().is_some_and(|(_, session)| session.key.is_some());
        held = found.map(|(cookie, session)| (Some(cookie.id()), Subject::User(session.user.as_str().into())));
    }
    // What an API key has opened ends only itself.
    if everywhere && is_limited {
        return Err(ApiError::ScopeTooNarrow.into());
    }
    let by = match held {
        Some((_, Subject::User(user))) if everywhere => {
            accounts.void(&user).await?;
            accounts.end_sessions(&user, None).await?;
            Some(Subject::User(user))
        }
        Some((Some(session), by)) => accounts.end_session(session).await?.then_some(by),
        _ if everywhere => return Err(request.unauthorized(LoginFault::Absent, "no session and no user")),
        _ => None,
    };
    let response = answer::empty(StatusCode::NO_CONTENT);
    let mut response = match by {
        Some(by) => made_by(response, by),
        None => settled(response),
    };
    if cookie_of(&request).is_some() {
        response.headers_mut().append(header::SET_COOKIE, request.no_cookie());
    }
    Ok(response)
}
