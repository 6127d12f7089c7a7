//! What the gates know of a request so far: what it asks for, and of whom it comes.

use super::{Face, RequestBody, State, client, conn::Conn, endpoint::Endpoint};
use crate::{access::Ceiling, config::Live, registry::Registry, who::Subject};
use http::request::Parts;
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

/// Who asks, and what the credential is good for.
#[derive(Clone, Debug)]
pub(super) struct Who {
    pub(super) subject: Subject,
    pub(super) ceiling: Ceiling,
    /// Said by a token, not by a password.
    pub(super) by_token: bool,
}

impl Routed {
    /// Whether a caller may look inside the daemon: on the admin address, from this machine without a
    /// proxy, as an administrator, or where there is nothing to log in to.
    pub(super) fn sees_inside(&self, who: &Who) -> bool {
        self.state.face == Face::Admin
            || self.state.login.is_none()
            || client::is_local(self.conn.as_ref().map(|conn| conn.peer), &self.head.headers)
            || (who.ceiling == Ceiling::None && self.live.rights.is_admin(&who.subject))
    }
}
