//! The gates: each takes what the one before it made, so that none can be left out or swapped.
//!
//! [`route`] reads the request, [`authenticate`] says who asks, [`authorize`] is the only maker of
//! [`Granted`], and only a [`Granted`] can be dispatched.

use super::{
    Face, Login, RequestBody, State, client,
    conn::Conn,
    endpoint::{Endpoint, Need},
    error::Error,
};
use crate::{
    access::{Ceiling, Facts},
    auth::{Credentials, InvalidCredentials, Presented, Refusal},
    config::Live,
    oci::RepositoryName,
    registry::{Registry, Visible},
    who::{Action, Subject},
};
use http::{Method, Request, header, request::Parts};
use std::{net::IpAddr, sync::Arc};

/// A request whose line was understood.
pub(super) struct Routed {
    pub(super) state: Arc<State>,
    pub(super) endpoint: Endpoint,
    pub(super) head: Parts,
    pub(super) body: RequestBody,
    pub(super) conn: Option<Conn>,
    /// Where it came from, as far as that can be believed.
    pub(super) client: Option<IpAddr>,
    /// The generation this request goes by, to its last byte.
    pub(super) live: Arc<Live>,
    pub(super) registry: Registry,
}

/// A request of somebody.
pub(super) struct Authenticated {
    routed: Routed,
    subject: Subject,
}

/// A request that may be served.
pub(super) struct Granted {
    pub(super) request: Routed,
    pub(super) subject: Subject,
    /// The caller may be told about the inside.
    pub(super) sees_inside: bool,
    /// Kept private so that nobody else makes one.
    _sealed: (),
}

/// Reads what is asked.
pub(super) fn route(state: Arc<State>, request: Request<RequestBody>) -> Result<Routed, Error> {
    let (mut head, body) = request.into_parts();
    let conn = head.extensions.remove::<Conn>();
    if conn.as_ref().is_some_and(|conn| conn.ambiguous) {
        return Err(Error::LengthAmbiguous);
    }
    if head_bytes(&head) > state.limits.header_bytes {
        return Err(Error::HeadTooLarge(state.limits.header_bytes));
    }
    let endpoint = Endpoint::parse(&head.method, head.uri.path(), head.uri.query().unwrap_or_default())?;
    let about_the_inside = matches!(endpoint, Endpoint::Health | Endpoint::Ready | Endpoint::Metrics);
    let shown = match state.face {
        Face::Everything => true,
        Face::Registry => endpoint != Endpoint::Metrics,
        Face::Admin => about_the_inside,
    };
    if !shown {
        return Err(Error::PathUnknown);
    }
    let live = state.live.load_full();
    let registry = state.registry.under(live.registry.clone());
    let client = client::address(conn.as_ref().map(|conn| conn.peer), &head.headers, &state.trusted_proxies);
    Ok(Routed { state, endpoint, head, body, conn, client, live, registry })
}

/// The length of a request's head, as it would be written in HTTP/1.1.
fn head_bytes(head: &Parts) -> usize {
    let target = head.uri.path_and_query().map_or(1, |target| target.as_str().len());
    let line = head.method.as_str().len() + target + " HTTP/1.1\r\n ".len();
    let headers = head.headers.iter().map(|(name, value)| name.as_str().len() + value.len() + ": \r\n".len());
    line + headers.sum::<usize>() + "\r\n".len()
}

/// Says who asks. Without authentication everybody is anonymous, whatever they send.
///
/// # Errors
/// [`Error::Unauthorized`] for a wrong password: never taken for anonymous.
pub(super) async fn authenticate(routed: Routed) -> Result<Authenticated, Error> {
    let subject = match (&routed.state.login, routed.endpoint.needs()) {
        // Probes come often and prove nothing.
        (Login::None, _) | (_, Need::Nothing) => Subject::Anonymous,
        (Login::Basic { passwords, .. }, _) => {
            let mut headers = routed.head.headers.get_all(header::AUTHORIZATION).into_iter();
            let presented = match (headers.next(), headers.next()) {
                (None, _) => Presented::Nobody,
                (Some(value), None) => Credentials::parse(value.as_bytes())?,
                (Some(_), Some(_)) => return Err(InvalidCredentials.into()),
            };
            match presented {
                Presented::Nobody => Subject::Anonymous,
                Presented::Other => return Err(unauthorized(&routed, "not the scheme that was asked for")),
                Presented::Password(credentials) => {
                    match passwords.verify(&routed.live.users, &credentials, routed.client).await {
                        Ok(subject) => subject,
                        Err(Refusal::Wrong) => return Err(unauthorized(&routed, "wrong name or password")),
                        Err(Refusal::Busy(seconds)) => return Err(Error::LoginBusy(seconds)),
                    }
                }
            }
        }
    };
    Ok(Authenticated { routed, subject })
}

/// Decides, before anything is looked up.
///
/// # Errors
/// [`Error::Unauthorized`] for those who may log in, [`Error::Denied`] for others.
pub(super) async fn authorize(authenticated: Authenticated) -> Result<Granted, Error> {
    let Authenticated { routed, subject } = authenticated;
    let rights = &routed.live.rights;
    let is_known = subject != Subject::Anonymous || matches!(routed.state.login, Login::None);
    let sees_inside = routed.sees_inside(&subject);
    let refusal = match routed.endpoint.needs() {
        Need::Nothing => None,
        Need::Entry => (!is_known).then(|| "nobody is logged in".to_owned()),
        Need::List => (!is_known && !rights.speaks_of_anonymous()).then(|| "nobody is logged in".to_owned()),
        Need::Operate => (!sees_inside).then(|| "only for administrators, and from this machine".to_owned()),
        Need::Repository(name, action) => {
            let verdict = rights.decide(&subject, &Ceiling::None, name, action, Facts);
            (!verdict.allowed)
                .then(|| format!("{subject} may not {action} {name}: {}: {}", verdict.step, verdict.reason))
        }
    };
    match refusal {
        None => Ok(Granted { request: routed, subject, sees_inside, _sealed: () }),
        Some(reason) if is_known => Err(Error::Denied { reason }),
        Some(reason) => Err(unauthorized(&routed, &reason)),
    }
}

/// Asks for a login. There is exactly one challenge: clients take the first, or the last.
fn unauthorized(routed: &Routed, reason: &str) -> Error {
    match &routed.state.login {
        Login::None => Error::Denied { reason: reason.to_owned() },
        Login::Basic { realm, .. } => {
            let realm = realm.replace(['\\', '"'], "");
            let challenge = format!("Basic realm=\"{realm}\", charset=\"UTF-8\"");
            Error::Unauthorized { challenge, reason: reason.to_owned() }
        }
    }
}

impl Routed {
    /// Whether a caller may look inside the daemon: on the admin address, from this machine, by an
    /// administrator, or where there is nothing to log in to.
    fn sees_inside(&self, subject: &Subject) -> bool {
        self.state.face == Face::Admin
            || matches!(self.state.login, Login::None)
            || self.client.is_some_and(|client| client.is_loopback())
            || self.live.rights.is_admin(subject)
    }
}

/// What of the catalog a caller may see.
pub(super) struct Shown {
    live: Arc<Live>,
    subject: Subject,
}

impl Visible for Shown {
    fn shows(&self, repository: &RepositoryName) -> bool {
        let rights = &self.live.rights;
        rights.decide(&self.subject, &Ceiling::None, repository, Action::Pull, Facts).allowed
    }

    fn reaches(&self, prefix: &RepositoryName) -> bool {
        self.live.rights.reaches(&self.subject, &Ceiling::None, prefix)
    }
}

impl Granted {
    /// The registry, under the settings of this request's generation.
    pub(super) fn registry(&self) -> &Registry {
        &self.request.registry
    }

    /// Whether the caller may pull from the source of a mount.
    pub(super) fn may_pull(&self) -> impl Fn(&RepositoryName) -> bool + Send + use<> {
        let shown = self.visible();
        move |source| shown.shows(source)
    }

    /// What of the catalog the caller may see.
    pub(super) fn visible(&self) -> Shown {
        Shown { live: self.request.live.clone(), subject: self.subject.clone() }
    }

    /// Whether the client wants no body.
    pub(super) fn is_head(&self) -> bool {
        self.request.head.method == Method::HEAD
    }
}
