//! What is known of a request before authorization: its endpoint and its client.

use super::{Face, ServiceState, client, endpoint::Endpoint};
use crate::{
    access::Ceiling,
    config::Live,
    registry::Registry,
    who::{ApiKeyId, Permission, SessionId, Subject},
    wire::{RequestBody, conn::Conn},
};
use http::{HeaderValue, request::Parts};
use std::{net::IpAddr, sync::Arc, time::SystemTime};

/// A parsed request.
pub(super) struct Routed {
    pub(super) state: Arc<ServiceState>,
    pub(super) endpoint: Endpoint,
    /// Boxed: a request moves through many futures, each of which would reserve space for it.
    pub(super) head: Box<Parts>,
    pub(super) body: RequestBody,
    pub(super) conn: Option<Conn>,
    /// The client's address, as far as the peer is trusted.
    pub(super) client: Option<IpAddr>,
    /// The configuration generation of this request, until it ends.
    pub(super) live: Arc<Live>,
    pub(super) registry: Registry,
}

/// The request's ID, as the log and the response have it.
#[derive(Clone, Debug)]
pub(super) struct RequestId(pub(super) HeaderValue);

/// The caller, and the limits of their credentials.
#[derive(Clone, Debug)]
pub(super) struct Caller {
    pub(super) subject: Subject,
    pub(super) ceiling: Ceiling,
    pub(super) proof: Proof,
    /// The session of the credentials, if they belong to one.
    pub(super) session: Option<SessionId>,
    /// The API key of the credentials, or the one that they were given for.
    pub(super) key: Option<ApiKeyId>,
    /// When the credentials expire, if they do.
    pub(super) expires: Option<SystemTime>,
}

/// How much of the daemon's internals a caller may see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sight {
    /// Only whether it is ready.
    Word,
    /// The state of its parts, without names of files or users: when there is no authentication.
    State,
    /// Everything: on the admin address, from this machine without a proxy, or with the permission VIEW:SYSTEM.
    Inside,
}

impl Caller {
    /// A caller with this proof, which sets no limits.
    pub(super) fn new(subject: Subject, proof: Proof) -> Self {
        Self { subject, ceiling: Ceiling::None, proof, session: None, key: None, expires: None }
    }

    /// A caller who is not logged in.
    pub(super) fn nobody() -> Self {
        Self::new(Subject::Anonymous, Proof::None)
    }

    /// Identified by a token, which the caller may exchange for one that covers more.
    pub(super) fn by_token(&self) -> bool {
        self.proof == Proof::Token
    }
}

/// How a caller was authenticated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Proof {
    /// Not at all.
    None,
    /// By a password.
    Basic,
    /// By a token of the token service.
    Token,
    /// By an API key.
    ApiKey,
    /// By the cookie or a token of a session.
    Session,
}

impl Proof {
    /// The name in logs and metrics.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Basic => "basic",
            Self::Token => "token",
            Self::ApiKey => "api_key",
            Self::Session => "session",
        }
    }
}

impl Routed {
    /// How much of the daemon's internals a caller may see.
    pub(super) fn sight(&self, who: &Caller) -> Sight {
        let is_insider = self.state.face == Face::Admin
            || client::is_local(self.conn.as_ref().map(|conn| conn.peer), &self.head.headers)
            || self.live.rights.may(&who.subject, &who.ceiling, Permission::VIEW_SYSTEM).allowed;
        match (is_insider, self.live.identity.is_nobody()) {
            (true, _) => Sight::Inside,
            (false, true) => Sight::State,
            (false, false) => Sight::Word,
        }
    }
}
