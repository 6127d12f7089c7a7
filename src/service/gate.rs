//! The gates: each takes what the one before it made, so that none can be left out or swapped.
//!
//! [`route`] reads the request, [`authenticate`] says who asks, [`authorize`] is the only maker of
//! [`Granted`], and only a [`Granted`] can be dispatched.

use super::{
    Face, RequestBody, State,
    conn::Conn,
    endpoint::{Endpoint, Need},
    error::Error,
};
use crate::{
    oci::RepositoryName,
    registry::{Everything, Visible},
    who::Subject,
};
use http::{Method, Request, request::Parts};
use std::sync::Arc;

/// A request whose line was understood.
pub(super) struct Routed {
    pub(super) state: Arc<State>,
    pub(super) endpoint: Endpoint,
    pub(super) head: Parts,
    pub(super) body: RequestBody,
    pub(super) conn: Option<Conn>,
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
    Ok(Routed { state, endpoint, head, body, conn })
}

/// The length of a request's head, as it would be written in HTTP/1.1.
fn head_bytes(head: &Parts) -> usize {
    let target = head.uri.path_and_query().map_or(1, |target| target.as_str().len());
    let line = head.method.as_str().len() + target + " HTTP/1.1\r\n ".len();
    let headers = head.headers.iter().map(|(name, value)| name.as_str().len() + value.len() + ": \r\n".len());
    line + headers.sum::<usize>() + "\r\n".len()
}

/// Says who asks. Without authentication everybody is anonymous, whatever they send.
pub(super) async fn authenticate(routed: Routed) -> Result<Authenticated, Error> {
    Ok(Authenticated { routed, subject: Subject::Anonymous })
}

/// Decides, before anything is looked up. Without authentication there is nobody to tell apart
/// and nothing to withhold.
pub(super) async fn authorize(authenticated: Authenticated) -> Result<Granted, Error> {
    let Authenticated { routed, subject } = authenticated;
    match routed.endpoint.needs() {
        Need::Nothing | Need::Entry | Need::List | Need::Repository(..) | Need::Operate => {
            Ok(Granted { request: routed, subject, _sealed: () })
        }
    }
}

impl Granted {
    /// Whether the caller may pull from the source of a mount.
    pub(super) fn may_pull(&self) -> impl Fn(&RepositoryName) -> bool + Send + use<> {
        |_| true
    }

    /// What of the catalog the caller may see.
    pub(super) fn visible(&self) -> impl Visible + use<> {
        Everything
    }

    /// Whether the client wants no body.
    pub(super) fn is_head(&self) -> bool {
        self.request.head.method == Method::HEAD
    }
}
