//! The gates of a request. Each takes the previous one's result, so none can be skipped or swapped.
//!
//! [`route`] parses the request, [`authenticate`] identifies the caller, [`authorize`] is the only maker of
//! [`Granted`], and only a [`Granted`] can be dispatched.

mod granted;
mod refusal;

use super::{
    Face, ServiceState,
    challenge::LoginFault,
    endpoint::{Endpoint, Need, Offer},
    error::{ApiError, ServiceError},
    login::identify,
    manage::check_origin,
    mount_source::lacks_source,
    ops::OpsEndpoint,
    routed::{Caller, Routed, Sight},
};
use crate::{
    access::{ArtifactDecision, Decision, DecisionStep, Rights, Verdict},
    artifacts::ArtifactRepositoryName,
    config::Live,
    identity::Identity,
    registry::Registry,
    who::{Action, Permission, Subject},
    wire::{RequestBody, conn::Conn},
};
use http::{Method, Request, request::Parts};
use oci::RepositoryName;
use refusal::{denied, refused_by_api};
use std::{net::IpAddr, sync::Arc};

/// Permissions of which one lets a caller see their tasks.
const TASKS: [Permission; 2] = [Permission::VIEW_TASK, Permission::MIGRATE_TASK];

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
    let mut endpoint = Endpoint::read(&head.method, head.uri.path(), query, state.offer(&live))?;
    if !live.mirrors.is_empty() {
        endpoint.move_to_mirror(query, &live);
    }
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
        Need::May(_) | Need::MayOrRegister(_) | Need::MayUnlessOpen(_) | Need::Artifacts(..) => Sight::Word,
        Need::Tasks => Sight::Word,
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
        Need::Tasks | Need::Owner(..) | Need::ActionOfOwner(..) if !is_known => not_logged_in(),
        // Strangers may have what is public.
        Need::Artifacts(name, permission)
            if !is_known && !may_in_artifacts(&routed.live, &routed.registry, &who, name, permission).await =>
        {
            not_logged_in()
        }
        Need::MayUnlessOpen(permission) => (!may_unless_open(&routed.live, &who, permission))
            .then(|| format!("{} does not have {permission}", who.subject)),
        Need::Tasks => {
            let sees = TASKS.iter().any(|permission| may_unless_open(&routed.live, &who, *permission));
            (!sees).then(|| format!("{} has neither {} nor {}", who.subject, TASKS[0], TASKS[1]))
        }
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
        Need::Artifacts(name, permission) => {
            let allowed = may_in_artifacts(&routed.live, &routed.registry, &who, name, permission).await;
            (!allowed).then(|| format!("{} does not have {permission} in the artifact repository {name}", who.subject))
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
        let is_counted = match &routed.endpoint {
            Endpoint::Manage(endpoint) => !endpoint.is_of_content(),
            _ => false,
        };
        if is_counted && !matches!(routed.head.method, Method::GET | Method::HEAD) {
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

/// Whether the caller has a permission in a repository of artifacts. Whoever may do anything there that is worth
/// knowing of it may see it.
async fn may_in_artifacts(
    live: &Live,
    registry: &Registry,
    who: &Caller,
    name: &ArtifactRepositoryName,
    permission: Permission,
) -> bool {
    let decisions = artifact_decisions(live, who, name, permission);
    if decisions.contains(&ArtifactDecision::Allowed) {
        return true;
    }
    if decisions.iter().all(|decision| *decision == ArtifactDecision::Refused) {
        return false;
    }
    let facts = registry.artifacts(name).access_facts().await;
    decisions.into_iter().any(|decision| decision.with(&facts, &who.subject))
}

/// The decisions of which one has to allow a permission.
fn artifact_decisions(
    live: &Live,
    who: &Caller,
    name: &ArtifactRepositoryName,
    permission: Permission,
) -> Vec<ArtifactDecision> {
    let decide = |permission| live.rights.decide_in_artifacts(&who.subject, &who.ceiling, name, permission);
    match permission {
        Permission::VIEW_REPO => {
            let seen_by = [
                Permission::VIEW_REPO,
                Permission::VIEW_ARTIFACT,
                Permission::DOWNLOAD_ARTIFACT,
                Permission::UPLOAD_ARTIFACT,
            ];
            seen_by.map(decide).into()
        }
        permission => vec![decide(permission)],
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
