//! The gates: each takes what the one before it made, so that none can be left out or swapped.
//!
//! [`route`] reads the request, [`authenticate`] says who asks, [`authorize`] is the only maker of
//! [`Granted`], and only a [`Granted`] can be dispatched.

use super::{
    Face, RequestBody, State,
    conn::Conn,
    endpoint::{Endpoint, Need},
    error::Error,
    login::{Fault, Login, identify},
    path,
    routed::{Routed, Sight, Who},
};
use crate::{
    access::{Ceiling, Facts, Rights},
    config::{Live, Tokens},
    oci::RepositoryName,
    registry::{Registry, Visible},
    who::{Action, Subject},
};
use http::{Method, Request, header, request::Parts};
use std::{net::IpAddr, sync::Arc};

/// A request of somebody.
pub(super) struct Authenticated {
    routed: Routed,
    who: Who,
}

impl Authenticated {
    /// Who asks.
    pub(super) fn who(&self) -> &Who {
        &self.who
    }
}

/// A request that may be served.
pub(super) struct Granted {
    pub(super) request: Routed,
    who: Who,
    /// How much of the daemon's inside the caller may see.
    pub(super) sight: Sight,
    /// Kept private so that nobody else makes one.
    _sealed: (),
}

/// Reads what is asked.
pub(super) fn route(
    state: Arc<State>,
    live: Arc<Live>,
    client: Option<IpAddr>,
    request: Request<RequestBody>,
) -> Result<Routed, Error> {
    let (mut head, body) = request.into_parts();
    let conn = head.extensions.remove::<Conn>();
    if conn.as_ref().is_some_and(|conn| conn.ambiguous) {
        return Err(Error::LengthAmbiguous);
    }
    if head_bytes(&head) > state.limits.header_bytes {
        let (part, len) = longest_part(&head);
        return Err(Error::HeadTooLarge { limit: state.limits.header_bytes, part, len });
    }
    let endpoint = path::segments(head.uri.path(), |segments| match state.serves(segments) {
        true => Endpoint::of(&head.method, segments, head.uri.query().unwrap_or_default()),
        // What is not served here has no methods either, and no grammar.
        false => Err(Error::PathUnknown),
    })?;
    let registry = state.registry.under(live.registry.clone());
    let peer = conn.as_ref().map(|conn| conn.peer);
    state.proxies(&live).warn_of_ignored(peer, &head.headers);
    Ok(Routed { state, endpoint, head: Box::new(head), body, conn, client, live, registry })
}

impl State {
    /// Whether there is anything at a path, on this listener and by this login. It sees the same
    /// decoded segments as [`Endpoint::of`]: an escape must not lead around it.
    fn serves(&self, segments: &[&str]) -> bool {
        match segments {
            ["", "health"] | ["", "health", "ready"] => true,
            ["", "metrics"] => self.face != Face::Registry,
            ["", "auth", "token"] => self.face != Face::Admin && matches!(self.login, Login::Own { .. }),
            _ => self.face != Face::Admin,
        }
    }
}

/// The length of a request's head, as it would be written in HTTP/1.1.
fn head_bytes(head: &Parts) -> usize {
    let target = head.uri.path_and_query().map_or(1, |target| target.as_str().len());
    let line = head.method.as_str().len() + target + " HTTP/1.1\r\n ".len();
    let headers = head.headers.iter().map(|(name, value)| name.as_str().len() + value.len() + ": \r\n".len());
    line + headers.sum::<usize>() + "\r\n".len()
}

/// What takes most of a request's head, and its length.
fn longest_part(head: &Parts) -> (String, usize) {
    let target = head.uri.path_and_query().map_or(1, |target| target.as_str().len());
    let headers = head.headers.iter().map(|(name, value)| (name.as_str(), value.len()));
    let longest = headers.max_by_key(|(_, len)| *len).filter(|(_, len)| *len > target);
    // A name is cut: it may be as long as the head itself.
    longest.map_or(("the URL".to_owned(), target), |(name, len)| (format!("the header {name:.64}"), len))
}

/// Says who asks. Without authentication everybody is anonymous, whatever they send.
///
/// # Errors
/// [`Error::Unauthorized`] for what is not believed: never taken for anonymous.
pub(super) async fn authenticate(routed: Routed) -> Result<Authenticated, Error> {
    // Probes come often and prove nothing; who wants a token says so to the token service. Only
    // the detail of readiness may be worth a password.
    let proves = routed.endpoint == Endpoint::Ready && routed.head.headers.contains_key(header::AUTHORIZATION);
    let (routed, who) = match routed.endpoint.needs() {
        Need::Nothing if !proves => {
            (routed, Who { subject: Subject::Anonymous, ceiling: Ceiling::None, by_token: false })
        }
        _ => identify(routed).await?,
    };
    Ok(Authenticated { routed, who })
}

/// Decides, before anything is looked up.
///
/// # Errors
/// [`Error::Unauthorized`] for those who may log in or get another token, [`Error::Denied`] for
/// others; [`Error::SwitchedOff`] for what the operator has switched off.
pub(super) async fn authorize(authenticated: Authenticated) -> Result<Granted, Error> {
    let Authenticated { routed, who } = authenticated;
    let rights = &routed.live.rights;
    let is_known = who.by_token || who.subject != Subject::Anonymous || routed.state.login.is_none();
    let sight = match routed.endpoint {
        Endpoint::Ready | Endpoint::Metrics => routed.sight(&who),
        _ => Sight::Word,
    };
    let not_logged_in = || Some("no credentials were sent".to_owned());
    let refusal = match routed.endpoint.needs() {
        Need::Nothing => None,
        Need::Entry if is_known => None,
        Need::Entry => not_logged_in(),
        Need::List if !who.ceiling.allows_listing() => Some("the token is not good for the catalog".to_owned()),
        Need::List if is_known || rights.speaks_of_anonymous() => None,
        Need::List => not_logged_in(),
        Need::Operate => (sight == Sight::Word)
            .then(|| "only for administrators, on the admin address or from this machine".to_owned()),
        Need::Repository(name, action) => {
            let verdict = rights.decide(&who.subject, &who.ceiling, name, action, Facts);
            (!verdict.allowed)
                .then(|| format!("{} may not {action} {name}: {}: {}", who.subject, verdict.step, verdict.reason))
        }
    };
    let lacks_source = || routed.state.login.lacks_source(&who, &routed.endpoint);
    let refusal = refusal.or_else(|| lacks_source().then(|| "the token is not good for the mount's source".to_owned()));
    let Some(reason) = refusal else {
        routed.endpoint.switched_off(&routed.live.operator)?;
        let registry = routed.registry.asked_by(who.subject.clone());
        return Ok(Granted { request: Routed { registry, ..routed }, who, sight, _sealed: () });
    };
    let login = &routed.state.login;
    // A token is never the last word: its bearer may get one that is good for more.
    Err(match (who.by_token, is_known) {
        (true, _) if who.subject == Subject::Anonymous => login.unauthorized(&routed, Fault::Nobody, &reason),
        (true, _) => login.unauthorized(&routed, Fault::Scope, &reason),
        (false, true) => Error::Denied { told: denied(&routed.endpoint, &who), reason },
        (false, false) => login.unauthorized(&routed, Fault::Absent, &reason),
    })
}

/// What a refused caller reads: what they asked for, and nothing of why.
fn denied(endpoint: &Endpoint, who: &Who) -> String {
    let who = match &who.subject {
        Subject::User(name) => format!("user {name}"),
        Subject::Anonymous => "an anonymous user".to_owned(),
    };
    match endpoint.needs() {
        Need::Repository(name, Action::Pull) => format!("access denied: {who} may not pull from {name}"),
        Need::Repository(name, Action::Push) => format!("access denied: {who} may not push to {name}"),
        Need::Repository(name, Action::Delete) => format!("access denied: {who} may not delete from {name}"),
        Need::List => format!("access denied: {who} may not list the catalog"),
        Need::Operate => format!("access denied: only administrators may see this, not {who}"),
        Need::Nothing | Need::Entry => format!("access denied: {who} may not use this registry"),
    }
}

/// What of the catalog, or of the sources of a mount, a caller may see.
pub(super) struct Shown {
    live: Arc<Live>,
    subject: Subject,
    ceiling: Ceiling,
    /// Nobody but the token itself says what there is, and it says everything.
    everything: bool,
}

impl Visible for Shown {
    fn shows(&self, repository: &RepositoryName) -> bool {
        let rights = &self.live.rights;
        self.everything || rights.decide(&self.subject, &self.ceiling, repository, Action::Pull, Facts).allowed
    }

    fn reaches(&self, prefix: &RepositoryName) -> bool {
        self.everything || self.live.rights.reaches(&self.subject, &self.ceiling, prefix)
    }
}

impl Granted {
    /// The registry, under the settings of this request's generation.
    pub(super) fn registry(&self) -> &Registry {
        &self.request.registry
    }

    /// Who asks.
    pub(super) fn subject(&self) -> &Subject {
        &self.who.subject
    }

    /// Whether the caller may pull from the source of a mount. A token of ours is asked for before
    /// the source is known, so the user's own rights count; one of a service elsewhere has to say it.
    pub(super) fn may_pull(&self) -> impl Fn(&RepositoryName) -> bool + Send + use<> {
        let ceiling = match self.request.live.tokens {
            Tokens::Elsewhere(_) => self.who.ceiling.clone(),
            Tokens::Own(_) | Tokens::None => Ceiling::None,
        };
        let shown = self.shown(ceiling, false);
        move |source| shown.shows(source)
    }

    /// What of the catalog the caller may see: what his own rights show, once a token says that he
    /// may look.
    pub(super) fn visible(&self) -> Shown {
        self.shown(Ceiling::None, matches!(*self.request.live.rights, Rights::Tokens))
    }

    fn shown(&self, ceiling: Ceiling, everything: bool) -> Shown {
        Shown { live: self.request.live.clone(), subject: self.who.subject.clone(), ceiling, everything }
    }

    /// Whether the caller may push to a repository, and anything may be written at all.
    pub(super) fn may_push(&self, repository: &RepositoryName) -> bool {
        let live = &self.request.live;
        let verdict = live.rights.decide(&self.who.subject, &self.who.ceiling, repository, Action::Push, Facts);
        verdict.allowed && !live.operator.read_only
    }

    /// Whether the client wants no body.
    pub(super) fn is_head(&self) -> bool {
        self.request.head.method == Method::HEAD
    }
}
