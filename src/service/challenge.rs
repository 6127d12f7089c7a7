//! Login challenges. They depend on the startup settings only, never on access rules.

use super::{
    client::{Front, authority},
    endpoint::{Endpoint, Need},
    error::ServiceError,
    routed::Routed,
};
use crate::{
    access::Scope,
    config::is_loopback,
    identity::{Identity, InvalidCredentials, TokenService},
};
use http::{
    header,
    uri::{Authority, Scheme},
};
use std::{
    borrow::Cow,
    sync::atomic::{AtomicBool, Ordering},
};

/// The path of the built-in token service.
const TOKEN_PATH: &str = "/auth/token";

/// Why credentials were not accepted, as RFC 6750 §3.1 names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LoginFault {
    /// No token was sent.
    Absent,
    /// A user name and password were sent instead, and they are wrong.
    Password,
    /// The header cannot be parsed.
    Malformed(InvalidCredentials),
    /// The token is invalid or expired.
    Invalid,
    /// The token does not cover this request.
    Scope,
    /// The token is anonymous and does not cover this request.
    Nobody,
}

impl LoginFault {
    /// The message for the client. The reason is only logged: it could reveal to strangers what exists.
    pub(super) fn message(self, endpoint: &Endpoint) -> Cow<'static, str> {
        match self {
            Self::Absent | Self::Nobody => "authentication required: log in first".into(),
            Self::Password => "wrong user name or password".into(),
            Self::Malformed(why) => why.to_string().into(),
            Self::Invalid => "the token is invalid or expired".into(),
            Self::Scope => match endpoint.needs() {
                Need::Repository(name, action) => {
                    format!("access denied: this token does not allow {action} on {name}").into()
                }
                Need::Nothing | Need::Sight | Need::Entry | Need::List | Need::Operate | Need::LoggedIn => {
                    "access denied: this token does not allow this".into()
                }
                Need::RepositoryOr(..)
                | Need::May(_)
                | Need::MayOrRegister(_)
                | Need::MayUnlessOpen(_)
                | Need::Tasks
                | Need::Owner(..)
                | Need::ActionOfOwner(..)
                | Need::Artifacts(..) => "access denied: this token does not allow this".into(),
            },
        }
    }

    /// The error parameter of the challenge.
    fn parameter(self) -> &'static str {
        match self {
            Self::Absent | Self::Password | Self::Malformed(_) => "",
            Self::Invalid => ",error=\"invalid_token\"",
            Self::Scope | Self::Nobody => ",error=\"insufficient_scope\"",
        }
    }
}

impl Routed {
    /// Asks the client to log in. There is exactly one challenge: some clients use the first, others the last.
    pub(super) fn unauthorized(&self, fault: LoginFault, reason: &str) -> ServiceError {
        let (reason, message) = (reason.to_owned(), fault.message(&self.endpoint));
        let challenge = match &self.live.identity {
            Identity::Nobody => return ServiceError::Denied { message: message.into_owned(), reason },
            Identity::Password { realm, .. } => basic(realm),
            Identity::OwnTokens(service) => match self.token_url(service) {
                Ok(realm) => self.bearer(&realm, &service.name, fault),
                Err(host) => return unsafe_by(host),
            },
            Identity::ExternalTokens { realm, service, .. } => self.bearer(realm, service, fault),
        };
        ServiceError::Unauthorized { challenge, message, reason }
    }

    /// The challenge for a token.
    fn bearer(&self, realm: &str, service: &str, fault: LoginFault) -> String {
        let mut challenge = format!("Bearer realm=\"{realm}\",service=\"{service}\"");
        let scopes: Vec<_> = self.endpoint.scopes().iter().map(Scope::to_string).collect();
        if !scopes.is_empty() {
            challenge.push_str(&format!(",scope=\"{}\"", scopes.join(" ")));
        }
        challenge.push_str(fault.parameter());
        challenge
    }

    /// The URL of the built-in token service. Clients send passwords there, so it is https unless the client is on this
    /// machine or the operator chose otherwise.
    ///
    /// # Errors
    /// Returns the requested host if no safe URL is known.
    fn token_url(&self, service: &TokenService) -> Result<String, Option<Authority>> {
        if let Some(url) = &service.public_url {
            return Ok(format!("{url}{TOKEN_PATH}"));
        }
        let Front { scheme, host } = self.front();
        let head = &self.head;
        let host = host.or_else(|| match head.uri.authority() {
            Some(asked) => authority(asked.as_str().as_bytes()),
            None => head.headers.get(header::HOST).and_then(|asked| authority(asked.as_bytes())),
        });
        let tls = self.conn.as_ref().is_some_and(|conn| conn.tls);
        let scheme = scheme.unwrap_or(if tls { Scheme::HTTPS } else { Scheme::HTTP });
        match host {
            Some(host) if scheme == Scheme::HTTPS || is_loopback(host.host()) => {
                Ok(format!("{scheme}://{host}{TOKEN_PATH}"))
            }
            host => Err(host),
        }
    }
}

/// Logs, once, that a client could not be sent to the token service.
fn unsafe_by(host: Option<Authority>) -> ServiceError {
    static SAID: AtomicBool = AtomicBool::new(false);
    if !SAID.swap(true, Ordering::Relaxed) {
        let host = host.as_ref().map(Authority::as_str);
        tracing::warn!(
            host,
            "no login by plain HTTP; set REGISTRY_PUBLIC_URL to the https address that clients use, or name the TLS proxy in REGISTRY_TRUSTED_PROXIES"
        );
    }
    ServiceError::LoginUnsafe(host)
}

/// The challenge for a password.
pub(super) fn basic(realm: &str) -> String {
    format!("Basic realm=\"{}\", charset=\"UTF-8\"", realm.replace(['\\', '"'], ""))
}
