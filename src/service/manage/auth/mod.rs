//! Logins by password, the sessions they open, and what a caller may do.

mod can;
mod login;
mod me;
mod password;
mod sessions;

use super::{
    super::{
        answer::Answering,
        endpoint::{Effect, Family, Methods, Need, RequestLine},
        error::{ApiError, ServiceError},
        gate::Granted,
    },
    operation::{AnswerShape, Operation, Shape},
};
use crate::{
    identity::{Identity, Issuer, Unsigned, Users},
    who::SessionId,
};
use api::auth::{CanAnswer, LoginAnswer, LoginRequest, LogoutRequest, Me, PasswordChange, RefreshRequest, SessionInfo};
use http::{HeaderValue, Method, Response, header};
use std::sync::Arc;

pub(super) const OPERATIONS: &[Operation] = &[
    Operation::of("POST", "/auth/login", "login", "Log in by password; opens a session.", LOGIN, 200)
        .takes::<LoginRequest>()
        .refuses(&[409]),
    Operation::of("POST", "/auth/refresh", "refresh_session", "Get the next access token of a session.", LOGIN, 200)
        .takes::<RefreshRequest>()
        .refuses(&[409]),
    Operation::of(
        "POST",
        "/auth/logout",
        "logout",
        "End the session, or all sessions and tokens of the user.",
        AnswerShape::Nothing,
        204,
    )
    .takes::<LogoutRequest>(),
    Operation::get::<Me>("/auth/me", "show_me", "Show who the caller is."),
    Operation::of(
        "PUT",
        "/auth/password",
        "change_password",
        "Change your own password; ends your other sessions.",
        AnswerShape::Nothing,
        204,
    )
    .takes::<PasswordChange>()
    .refuses(&[409, 412]),
    Operation::list::<SessionInfo>("/auth/sessions", "list_sessions", "List the sessions of a user.")
        .with_query(&[("user", "Another user; needs UPDATE:USER.")]),
    Operation::of("DELETE", "/auth/sessions/{sid}", "end_session", "End a session.", AnswerShape::Nothing, 204),
    Operation::get::<CanAnswer>("/auth/can", "explain_access", "Ask whether a user may do something, and why.")
        .with_query(&[
            ("action", "`pull`, `push` or `delete`, or a permission such as `VIEW:USER`."),
            ("repository", "Where, for one of the first three."),
            ("user", "Another user; needs VIEW:SYSTEM."),
        ]),
];

const LOGIN: AnswerShape = AnswerShape::One(Shape::of::<LoginAnswer>());

/// A request about logins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AuthEndpoint {
    /// `POST /auth/login`.
    Login,
    /// `POST /auth/refresh`.
    Refresh,
    /// `POST /auth/logout`.
    Logout,
    /// `GET /auth/me`.
    Me,
    /// `PUT /auth/password`.
    Password,
    /// `GET /auth/sessions`.
    Sessions,
    /// `DELETE /auth/sessions/{sid}`.
    EndSession(SessionId),
    /// `GET /auth/can`.
    Can,
}

/// Sessions are no content: they can be opened in a registry that is read-only.
const POST: Methods = Methods(&[("POST", Effect::Reads)]);
const PUT: Methods = Methods(&[("PUT", Effect::Writes)]);
const DELETE: Methods = Methods(&[("DELETE", Effect::Reads)]);

impl AuthEndpoint {
    pub(super) fn parse(line: &RequestLine<'_>) -> Result<Self, ServiceError> {
        let (endpoint, methods) = match line.segments {
            ["auth", "login"] => (Self::Login, POST),
            ["auth", "refresh"] => (Self::Refresh, POST),
            ["auth", "logout"] => (Self::Logout, POST),
            ["auth", "me"] => (Self::Me, Methods::READ),
            ["auth", "password"] => (Self::Password, PUT),
            ["auth", "can"] => (Self::Can, Methods::READ),
            ["auth", "sessions"] => (Self::Sessions, Methods::READ),
            ["auth", "sessions", id] => (Self::EndSession(id.parse().map_err(|_| ApiError::NotFound)?), DELETE),
            _ => return Err(ApiError::NotFound.into()),
        };
        match (line.is_read(), line.method, methods) {
            (true, _, Methods::READ)
            | (_, &Method::POST, POST)
            | (_, &Method::PUT, PUT)
            | (_, &Method::DELETE, DELETE) => Ok(endpoint),
            _ => Err(ServiceError::MethodNotAllowed(methods)),
        }
    }
}

impl Family for AuthEndpoint {
    fn name(&self) -> &'static str {
        match self {
            Self::Login => "login",
            Self::Refresh => "refresh_session",
            Self::Logout => "logout",
            Self::Me => "show_me",
            Self::Password => "change_password",
            Self::Sessions => "list_sessions",
            Self::EndSession(_) => "end_session",
            Self::Can => "explain_access",
        }
    }

    fn needs(&self) -> Need<'_> {
        match self {
            // They verify what the caller brings themselves.
            Self::Login | Self::Refresh | Self::Logout => Need::Nothing,
            Self::Me | Self::Password | Self::Sessions | Self::EndSession(_) | Self::Can => Need::LoggedIn,
        }
    }

    fn methods(&self) -> Methods {
        match self {
            Self::Login | Self::Refresh | Self::Logout => POST,
            Self::Me | Self::Sessions | Self::Can => Methods::READ,
            Self::Password => PUT,
            Self::EndSession(_) => DELETE,
        }
    }

    fn serve(self, granted: Granted) -> Answering {
        match self {
            Self::Login => Box::pin(login::login(granted)),
            Self::Refresh => Box::pin(login::refresh(granted)),
            Self::Logout => Box::pin(login::logout(granted)),
            Self::Me => Box::pin(std::future::ready(me::show(&granted))),
            Self::Password => Box::pin(password::change(granted)),
            Self::Sessions => Box::pin(sessions::list(granted)),
            Self::EndSession(id) => Box::pin(sessions::end(granted, id)),
            Self::Can => Box::pin(can::answer(granted)),
        }
    }
}

impl Granted {
    /// The users whose accounts are kept here, and what issues their tokens.
    ///
    /// # Errors
    /// [`ApiError::ManagementDisabled`], [`ApiError::ExternalUsers`].
    pub(super) fn own_users(&self) -> Result<(Arc<Users>, Arc<Issuer>), ServiceError> {
        match &self.request.live.identity {
            Identity::Nobody => Err(ApiError::ManagementDisabled.into()),
            Identity::ExternalTokens { .. } => Err(ApiError::ExternalUsers.into()),
            identity @ (Identity::Password { .. } | Identity::OwnTokens(_)) => {
                let (users, issuer) = identity.own().ok_or(Unsigned)?;
                Ok((users.clone(), issuer.clone()))
            }
        }
    }
}

/// Keeps a response that holds a secret from being stored.
pub(super) fn not_stored<B>(mut response: Response<B>) -> Response<B> {
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
