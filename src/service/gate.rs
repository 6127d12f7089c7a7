//! The gates of a request. Each takes the previous one's result, so none can be skipped or swapped.
//!
//! [`route`] parses the request, [`authenticate`] identifies the caller, [`authorize`] is the only maker of
//! [`Granted`], and only a [`Granted`] can be dispatched.

use super::{
    Face, ServiceState,
    challenge::LoginFault,
    endpoint::{Effect, Endpoint, Need, Offer},
    error::{ApiError, ServiceError},
    login::identify,
    manage::check_origin,
    mount_source::lacks_source,
    ops::OpsEndpoint,
    routed::{Caller, RequestId, Routed, Sight},
};
use crate::{
    access::{Ceiling, Decision, DecisionStep, Rights, Verdict},
    config::Live,
    identity::Identity,
    registry::{Registry, Repository, Shows, Visible},
    who::{Action, Permission, Subject},
    wire::{RequestBody, conn::Conn},
};
use http::{Method, Request, request::Parts};
use oci::RepositoryName;
use std::{net::IpAddr, sync::Arc};

/// A request whose caller is identified.
pub(super) struct Authenticated {
    routed: Routed,
    who: Caller,
}

impl Authenticated {
    pub(super) fn who(&self) -> &Caller {
        &self.who
    }
}

/// A request that may be served.
pub(super) struct Granted {
    pub(super) request: Routed,
    who: Caller,
    /// How much of the daemon's internals the caller may see.
    pub(super) sight: Sight,
    /// Private, so that only this module can construct it.
    _sealed: (),
}

/// Parses the request.
pub(super) fn route(
    state: Arc<ServiceState>,
    live: Arc<Live>,
    client: Option<IpAddr>,
    request: Request<RequestBody>,
) -> Result<Routed, ServiceError> {
    let (mut head, body) = request.into_parts();
    let conn = head.extensions.remove::<Conn>();
    if conn.as_ref().is_some_and(|conn| conn.ambiguous) {
        return Err(ServiceError::LengthAmbiguous);
    }
    if head_bytes(&head) > state.limits.header_bytes {
        let (part, len) = longest_part(&head);
        return Err(ServiceError::HeadTooLarge { limit: state.limits.header_bytes, part, len });
    }
    let query = head.uri.query().unwrap_or_default();
    let endpoint = Endpoint::read(&head.method, head.uri.path(), query, state.offer(&live))?;
    let is_probe = matches!(endpoint, Endpoint::Ops(OpsEndpoint::Health | OpsEndpoint::Ready));
    if !is_probe && conn.as_ref().is_some_and(|conn| conn.is_beyond_limit) {
        return Err(ServiceError::TooManyConnections);
    }
    let registry = state.registry.under(live.registry.clone());
    let peer = conn.as_ref().map(|conn| conn.peer);
    state.proxies(&live).warn_of_ignored(peer, &head.headers);
    let routed = Routed { state, endpoint, head: Box::new(head), body, conn, client, live, registry };
    if let Endpoint::Manage(_) | Endpoint::Pages(_) = routed.endpoint {
        check_origin(&routed)?;
    }
    Ok(routed)
}

impl ServiceState {
    /// What this listener serves under this configuration.
    fn offer(&self, live: &Live) -> Offer {
        let registry = self.face != Face::Admin;
        Offer {
            registry,
            tokens: registry && matches!(live.identity, Identity::OwnTokens(_)),
            metrics: self.face != Face::Registry,
            pages: registry && live.has_pages,
        }
    }
}

/// The length of a request's head in bytes, as HTTP/1.1 would write it.
fn head_bytes(head: &Parts) -> usize {
    let target = head.uri.path_and_query().map_or(1, |target| target.as_str().len());
    let line = head.method.as_str().len() + target + " HTTP/1.1\r\n ".len();
    let headers = head.headers.iter().map(|(name, value)| name.as_str().len() + value.len() + ": \r\n".len());
    line + headers.sum::<usize>() + "\r\n".len()
}

/// The longest part of a request's head, and its length.
fn longest_part(head: &Parts) -> (String, usize) {
    let target = head.uri.path_and_query().map_or(1, |target| target.as_str().len());
    let headers = head.headers.iter().map(|(name, value)| (name.as_str(), value.len()));
    let longest = headers.max_by_key(|(_, len)| *len).filter(|(_, len)| *len > target);
    // The name is cut: it may be as long as the head itself.
    longest.map_or(("the URL".to_owned(), target), |(name, len)| (format!("the header {name:.64}"), len))
}

/// Identifies the caller. Without authentication everybody is anonymous, whatever they send.
///
/// # Errors
/// [`ServiceError::Unauthorized`] for invalid credentials: never treated as anonymous.
pub(super) async fn authenticate(routed: Routed) -> Result<Authenticated, ServiceError> {
    let (routed, who) = match routed.endpoint.needs() {
        // Probes are frequent, and the token service authenticates its callers itself.
        Need::Nothing => (routed, Caller::nobody()),
        _ => identify(routed).await?,
    };
    Ok(Authenticated { routed, who })
}

/// Checks permissions before anything is looked up.
///
/// # Errors
/// [`ServiceError::Unauthorized`] for callers who may log in or get another token, [`ServiceError::Denied`] for others;
/// [`ServiceError::SwitchedOff`] for what the operator has disabled.
pub(super) async fn authorize(authenticated: Authenticated) -> Result<Granted, ServiceError> {
    let Authenticated { routed, who } = authenticated;
    let rights = &routed.live.rights;
    let is_known = who.by_token() || who.subject != Subject::Anonymous || routed.live.identity.is_nobody();
    let sight = match routed.endpoint.needs() {
        Need::Sight | Need::Operate => routed.sight(&who),
        Need::Nothing | Need::Entry | Need::List | Need::Repository(..) => Sight::Word,
        Need::RepositoryOr(..) | Need::LoggedIn | Need::Owner(..) | Need::ActionOfOwner(..) => Sight::Word,
        Need::May(_) | Need::MayOrRegister(_) | Need::MayUnlessOpen(_) => Sight::Word,
    };
    let not_logged_in = || Some("no credentials were sent".to_owned());
    let is_narrow = who.ceiling.scopes().is_some() && matches!(routed.endpoint, Endpoint::Manage(_));
    let refusal = match routed.endpoint.needs() {
        Need::Nothing => None,
        // Their answers depend on all that the caller may do.
        Need::Sight | Need::Entry if is_narrow => Some("the token has scopes".to_owned()),
        Need::Sight => None,
        Need::Entry if is_known => None,
        Need::Entry => not_logged_in(),
        Need::List if !who.ceiling.allows_listing() => Some("the token is not good for the catalog".to_owned()),
        Need::List if is_known || rights.speaks_of_anonymous() => None,
        Need::List => not_logged_in(),
        Need::Operate => (sight == Sight::Word)
            .then(|| "only with VIEW:SYSTEM, on the admin address or from this machine".to_owned()),
        Need::Repository(name, action) | Need::RepositoryOr(name, action, _) => {
            let verdict = decide(&routed.live, &routed.registry, &who, name, action).await;
            // A rule that matches is final: roles only add where none does.
            let by_role = match routed.endpoint.needs() {
                Need::RepositoryOr(.., permission) if verdict.step == DecisionStep::Default => {
                    rights.may_in(&who.subject, &who.ceiling, name, permission)
                }
                _ => false,
            };
            (!verdict.allowed && !by_role)
                .then(|| format!("{} may not {action} {name}: {}: {}", who.subject, verdict.step, verdict.reason))
        }
        Need::LoggedIn if routed.live.identity.is_nobody() => return Err(ApiError::ManagementDisabled.into()),
        Need::LoggedIn if who.ceiling.scopes().is_some() => return Err(ApiError::ScopeTooNarrow.into()),
        Need::LoggedIn if who.subject != Subject::Anonymous => None,
        Need::LoggedIn => not_logged_in(),
        Need::MayOrRegister(_) if routed.live.may_register() => None,
        Need::May(_) | Need::MayOrRegister(_) | Need::MayUnlessOpen(_) if !is_known => not_logged_in(),
        Need::Owner(..) | Need::ActionOfOwner(..) if !is_known => not_logged_in(),
        Need::MayUnlessOpen(permission) => (!may_unless_open(&routed.live, &who, permission))
            .then(|| format!("{} does not have {permission}", who.subject)),
        Need::May(permission) | Need::MayOrRegister(permission) => {
            match (routed.live.identity.is_nobody(), &**rights) {
                (true, _) => return Err(ApiError::ManagementDisabled.into()),
                (false, Rights::Rules { .. }) => {}
                (false, Rights::Open | Rights::Users | Rights::Tokens) => {
                    return Err(ApiError::AccessControlDisabled.into());
                }
            }
            let verdict = rights.may(&who.subject, &who.ceiling, permission);
            (!verdict.allowed).then(|| format!("{} does not have {permission}: {}", who.subject, verdict.reason))
        }
        Need::ActionOfOwner(name, action, permission) => {
            let allowed = decide(&routed.live, &routed.registry, &who, name, action).await.allowed
                && administers(&routed.live, &routed.registry, &who, name, permission).await;
            (!allowed).then(|| format!("{} may not {action} {name} as its owner or with {permission}", who.subject))
        }
        Need::Owner(name, permission) => {
            let allowed = administers(&routed.live, &routed.registry, &who, name, permission).await;
            (!allowed).then(|| format!("{} does not own {name} and does not have {permission}", who.subject))
        }
    };
    let refusal = match refusal {
        None if lacks_source(&routed.endpoint, &routed.live, &routed.registry, &routed.state.logins, &who).await => {
            Some("the token is not good for the mount's source".to_owned())
        }
        refusal => refusal,
    };
    let Some(reason) = refusal else {
        routed.endpoint.switched_off(&routed.head.method, &routed.live.operator)?;
        if matches!(routed.endpoint, Endpoint::Manage(_)) && !matches!(routed.head.method, Method::GET | Method::HEAD) {
            admit_write(&routed, &who)?;
        }
        let registry = routed.registry.asked_by(who.subject.clone());
        return Ok(Granted { request: Routed { registry, ..routed }, who, sight, _sealed: () });
    };
    if let Endpoint::Manage(_) = routed.endpoint {
        return Err(refused_by_api(routed, &who, is_known, reason).await);
    }
    // A refused token is a 401 and not a 403: the caller may get one that covers more.
    Err(match (who.by_token(), is_known) {
        (true, _) if who.subject == Subject::Anonymous => routed.unauthorized(LoginFault::Nobody, &reason),
        (true, _) => routed.unauthorized(LoginFault::Scope, &reason),
        (false, true) => ServiceError::Denied { message: denied(&routed.endpoint, &who), reason },
        (false, false) => routed.unauthorized(LoginFault::Absent, &reason),
    })
}

/// Whether the caller may do this in a repository, by rules and recorded facts.
async fn decide(live: &Live, registry: &Registry, who: &Caller, name: &RepositoryName, action: Action) -> Verdict {
    match live.rights.decide_without_facts(&who.subject, &who.ceiling, name, action) {
        Decision::Decided(verdict) => verdict,
        Decision::NeedsFacts(undecided) => registry.repository(name).decide_by_facts(undecided).await,
    }
}

/// Whether the caller has a permission outside any repository, which without rules all have who may do everything.
fn may_unless_open(live: &Live, who: &Caller, permission: Permission) -> bool {
    match *live.rights {
        Rights::Open => true,
        Rights::Users => who.subject != Subject::Anonymous && who.ceiling.permits(permission),
        Rights::Tokens | Rights::Rules { .. } => live.rights.may(&who.subject, &who.ceiling, permission).allowed,
    }
}

/// Counts a write by the management API.
///
/// # Errors
/// [`ApiError::TooManyRequests`].
fn admit_write(routed: &Routed, who: &Caller) -> Result<(), ServiceError> {
    let address = routed.client.map(|address| address.to_string());
    // No user's name is an address with a slash before it.
    let key = who.subject.name().map_or_else(|| format!("/{}", address.unwrap_or_default()), str::to_owned);
    let admitted = routed.state.writes.admit(routed.live.writes_per_minute, &key);
    admitted.map_err(|seconds| ApiError::TooManyRequests(seconds).into())
}

/// Whether the caller administers a repository, and their credentials cover that: without rules, by a permission of a
/// role there, or as the recorded owner.
async fn administers(
    live: &Live,
    registry: &Registry,
    who: &Caller,
    name: &RepositoryName,
    permission: Permission,
) -> bool {
    if !who.ceiling.permits(permission) {
        return false;
    }
    if matches!(*live.rights, Rights::Open | Rights::Users)
        || live.rights.may_in(&who.subject, &who.ceiling, name, permission)
    {
        return true;
    }
    let Some(user) = who.subject.name() else { return false };
    registry.repository(name).facts().await.owner.as_deref() == Some(user)
}

/// The answer of the management API to a caller who may not do this. A repository that they may not pull does not
/// exist for them.
async fn refused_by_api(routed: Routed, who: &Caller, is_known: bool, reason: String) -> ServiceError {
    if !is_known {
        return routed.unauthorized(LoginFault::Absent, &reason);
    }
    if who.ceiling != Ceiling::None {
        return ApiError::ScopeTooNarrow.into();
    }
    let Routed { endpoint, live, registry, .. } = routed;
    if let Some(name) = endpoint.repository()
        && !decide(&live, &registry, who, name, Action::Pull).await.allowed
    {
        return ApiError::NotFound.into();
    }
    ServiceError::Denied { message: denied(&endpoint, who), reason }
}

/// The message of a refusal: what was requested, but not why it was refused.
fn denied(endpoint: &Endpoint, caller: &Caller) -> String {
    let who = in_words(caller);
    match endpoint.needs() {
        Need::Repository(name, Action::Pull) => format!("access denied: {who} may not pull from {name}"),
        Need::Repository(name, Action::Push) => format!("access denied: {who} may not push to {name}"),
        Need::Repository(name, Action::Delete) => format!("access denied: {who} may not delete from {name}"),
        Need::RepositoryOr(name, action, permission) => {
            format!("access denied: this needs {action} or {permission} in {name}, and {who} has neither")
        }
        Need::List => format!("access denied: {who} may not list the catalog"),
        Need::Operate => format!("access denied: this needs the permission VIEW:SYSTEM, which {who} does not have"),
        Need::Nothing | Need::Sight | Need::Entry => format!("access denied: {who} may not use this registry"),
        Need::LoggedIn => "access denied: this needs a login".to_owned(),
        Need::May(permission) | Need::MayOrRegister(permission) | Need::MayUnlessOpen(permission) => {
            denied_permission(caller, permission)
        }
        Need::Owner(name, permission) | Need::ActionOfOwner(name, _, permission) => {
            format!(
                "access denied: this needs the permission {permission} or the owner of {name}, and {who} has neither"
            )
        }
    }
}

fn denied_permission(caller: &Caller, permission: Permission) -> String {
    format!("access denied: this needs the permission {permission}, which {} does not have", in_words(caller))
}

fn in_words(caller: &Caller) -> String {
    match &caller.subject {
        Subject::User(name) => format!("user {name}"),
        Subject::Anonymous => "an anonymous user".to_owned(),
    }
}

/// The repositories that a caller may see in the catalog or mount from.
pub(super) struct Shown {
    live: Arc<Live>,
    subject: Subject,
    ceiling: Ceiling,
    /// Set when tokens alone decide (there are no rules): then everything is visible.
    everything: bool,
}

impl Visible for Shown {
    fn shows(&self, repository: &RepositoryName) -> Shows {
        if self.everything {
            return Shows::Yes;
        }
        match self.live.rights.decide_without_facts(&self.subject, &self.ceiling, repository, Action::Pull) {
            Decision::Decided(verdict) => verdict.allowed.into(),
            Decision::NeedsFacts(undecided) => Shows::ByFacts(undecided),
        }
    }

    fn reaches(&self, prefix: &RepositoryName) -> bool {
        self.everything || self.live.rights.reaches(&self.subject, &self.ceiling, prefix)
    }

    fn asks_facts(&self) -> bool {
        !self.everything && self.live.rights.asks_facts(&self.subject, &self.ceiling)
    }
}

impl Granted {
    pub(super) fn who(&self) -> &Caller {
        &self.who
    }

    /// Whether the caller administers a repository: as its owner, by a permission of a role, or because there are no
    /// rules.
    pub(super) async fn administers(&self, repository: &RepositoryName, permission: Permission) -> bool {
        administers(&self.request.live, &self.request.registry, &self.who, repository, permission).await
    }

    /// Whether a role gives the caller a permission in a repository.
    pub(super) fn has_in(&self, repository: &RepositoryName, permission: Permission) -> bool {
        self.request.live.rights.may_in(&self.who.subject, &self.who.ceiling, repository, permission)
    }

    /// Whether the caller has a permission in everything below a prefix, which without rules all have who may do
    /// everything.
    pub(super) fn may_below(&self, prefix: &RepositoryName, permission: Permission) -> bool {
        match *self.request.live.rights {
            Rights::Rules { .. } => {
                self.request.live.rights.may_below(&self.who.subject, &self.who.ceiling, prefix, permission)
            }
            Rights::Open | Rights::Users | Rights::Tokens => may_unless_open(&self.request.live, &self.who, permission),
        }
    }

    /// The refusal for a caller who lacks this permission.
    pub(super) fn lacks(&self, permission: Permission) -> ServiceError {
        let message = denied_permission(&self.who, permission);
        ServiceError::Denied { reason: message.clone(), message }
    }

    /// The request's ID, for the audit log.
    pub(super) fn request_id(&self) -> Option<&str> {
        self.request.head.extensions.get::<RequestId>().and_then(|RequestId(id)| id.to_str().ok())
    }

    /// Whether the caller has a permission of a role.
    pub(super) fn has(&self, permission: Permission) -> bool {
        self.request.live.rights.may(&self.who.subject, &self.who.ceiling, permission).allowed
    }

    /// The registry, with the settings of this request's generation.
    pub(super) fn registry(&self) -> &Registry {
        &self.request.registry
    }

    /// A repository of its endpoint, as the caller meets it.
    pub(super) fn repository(&self, name: &RepositoryName) -> Repository {
        self.request.registry.repository(name)
    }

    /// The repositories the caller may mount from: a token has to list them.
    pub(super) fn sources(&self) -> Shown {
        self.shown(self.who.ceiling.clone(), false)
    }

    /// Whether the caller may perform an action in a repository.
    pub(super) fn may<'a>(
        &'a self,
        action: Action,
        repository: &'a RepositoryName,
    ) -> impl Future<Output = bool> + Send + use<'a> {
        let (registry, who) = (&self.request.registry, &self.who);
        let decision = self.request.live.rights.decide_without_facts(&who.subject, &who.ceiling, repository, action);
        async move {
            match decision {
                Decision::Decided(verdict) => verdict.allowed,
                Decision::NeedsFacts(undecided) => {
                    registry.repository(repository).decide_by_facts(undecided).await.allowed
                }
            }
        }
    }

    /// The repositories the caller may see in the catalog: those their own rights and their API key allow, if a token
    /// permits listing.
    pub(super) fn visible(&self) -> Shown {
        self.shown(
            Ceiling::of(self.who.ceiling.key().cloned(), None),
            matches!(*self.request.live.rights, Rights::Tokens),
        )
    }

    fn shown(&self, ceiling: Ceiling, everything: bool) -> Shown {
        Shown { live: self.request.live.clone(), subject: self.who.subject.clone(), ceiling, everything }
    }

    /// Another request of the same caller, which this one makes while it is answered. It has to be granted like any
    /// other, in the same generation of the configuration.
    pub(super) async fn for_the_same_caller(
        &self,
        endpoint: Endpoint,
        head: Box<Parts>,
        body: RequestBody,
    ) -> Result<Self, ServiceError> {
        let Routed { state, conn, client, live, registry, .. } = &self.request;
        let (state, conn, client) = (state.clone(), conn.clone(), *client);
        let (live, registry) = (live.clone(), registry.clone());
        let routed = Routed { state, endpoint, head, body, conn, client, live, registry };
        authorize(Authenticated { routed, who: self.who.clone() }).await
    }

    /// Whether the request may add, change or delete content.
    pub(super) fn changes_content(&self) -> bool {
        self.request.endpoint.effect(&self.request.head.method) != Some(Effect::Reads)
    }

    /// Whether this is a `HEAD` request.
    pub(super) fn is_head(&self) -> bool {
        self.request.head.method == Method::HEAD
    }
}
