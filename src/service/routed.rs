//! What the gates know of a request so far: what it asks for, and of whom it comes.

use super::{Face, RequestBody, State, client, conn::Conn, endpoint::Endpoint};
use crate::{access::Ceiling, config::Live, registry::Registry, who::Subject};
use http::request::Parts;
use std::{net::IpAddr, sync::Arc};

/// A request whose line was understood.
pub(super) struct Routed {
    pub(super) state: Arc<State>,
    pub(super) endpoint: Endpoint,
    /// Boxed: a request moves through many futures, each of which would hold room for it.
    pub(super) head: Box<Parts>,
    pub(super) body: RequestBody,
    pub(super) conn: Option<Conn>,
    /// Where it came from, as far as that can be believed.
    pub(super) client: Option<IpAddr>,
    /// The generation this request goes by, to its last byte.
    pub(super) live: Arc<Live>,
    pub(super) registry: Registry,
}

/// Who asks, and what the credential is good for.
#[derive(Clone, Debug)]
pub(super) struct Who {
    pub(super) subject: Subject,
    pub(super) ceiling: Ceiling,
    /// Said by a token, not by a password.
    pub(super) by_token: bool,
}

/// How much of the daemon's inside a caller may see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sight {
    /// Whether it is ready.
    Word,
    /// How it does, without names of files or users: where there is nothing to log in to.
    State,
    /// Everything: on the admin address, from this machine without a proxy, or as an administrator.
    Inside,
}

impl Who {
    /// How they proved who they are.
    pub(super) fn proof(&self) -> Proof {
        match (self.by_token, &self.subject) {
            (true, _) => Proof::Token,
            (false, Subject::User(_)) => Proof::Basic,
            (false, Subject::Anonymous) => Proof::None,
        }
    }
}

/// How a caller proved who they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Proof {
    /// Not at all.
    None,
    /// By a password.
    Basic,
    /// By a token.
    Token,
}

impl Proof {
    /// As the log and metrics name it.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Basic => "basic",
            Self::Token => "token",
        }
    }
}

impl Routed {
    /// How much of the daemon's inside a caller may see.
    pub(super) fn sight(&self, who: &Who) -> Sight {
        let is_insider = self.state.face == Face::Admin
            || client::is_local(self.conn.as_ref().map(|conn| conn.peer), &self.head.headers)
            || (who.ceiling == Ceiling::None && self.live.rights.is_admin(&who.subject));
        match (is_insider, self.state.login.is_none()) {
            (true, _) => Sight::Inside,
            (false, true) => Sight::State,
            (false, false) => Sight::Word,
        }
    }
}
