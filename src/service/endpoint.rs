//! Parses method and path of a request into an [`Endpoint`], or rejects it.
//!
//! The first path segment selects a family of endpoints. Everything specific to an endpoint is in the folder of its
//! family, behind [`Family`]: parsing, required permission, methods and handler. Authorization and storage use the same
//! parsed value.

use super::{
    answer::Answering,
    distribution::DistributionEndpoint,
    error::{ErrorFormat, ServiceError},
    gate::Granted,
    headers::text,
    manage::{self, ManageEndpoint},
    ops::OpsEndpoint,
    pages::{self, PageError, PagesEndpoint},
    path,
    query::Query,
    token::TokenEndpoint,
};
use crate::{
    access::Scope,
    artifacts::ArtifactRepositoryName,
    config::{Live, Operator},
    who::{Action, Permission},
};
use http::{HeaderMap, Method, Request, header};
use oci::{Reference, RepositoryName};
use std::fmt;

/// A parsed request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// Below `/v2`: the distribution protocol.
    Distribution(DistributionEndpoint),
    /// Below `/auth`: the built-in token service.
    Token(TokenEndpoint),
    /// `/health` and `/metrics`, for operators.
    Ops(OpsEndpoint),
    /// Below `/api`: the management API.
    Manage(ManageEndpoint),
    /// The web pages.
    Pages(PagesEndpoint),
}

impl Endpoint {
    /// A client of a mirror of several registries names a repository as its upstream does, and says by `?ns=` which
    /// upstream that is. Everything after this, access rules too, goes by the name of the repository here.
    pub(super) fn move_to_mirror(&mut self, query: &str, live: &Live) {
        let Self::Distribution(endpoint) = self else { return };
        if query.is_empty() {
            return;
        }
        let Some(name) = endpoint.pulled_mut() else { return };
        let query = Query::parse(query);
        if let Some(local) = query.first("ns").and_then(|namespace| live.in_namespace(namespace, name)) {
            *name = local;
        }
    }
}

/// What a family of endpoints defines for each of them.
pub(super) trait Family {
    /// The endpoint's name in logs and metrics; never the raw path.
    fn name(&self) -> &'static str;

    /// The permission the caller needs.
    fn needs(&self) -> Need<'_>;

    /// The methods of its path.
    fn methods(&self) -> Methods;

    /// The tag or digest it refers to, if any.
    fn reference(&self) -> Option<Reference> {
        None
    }

    /// The repository that a blob is to be mounted from. Its permission is checked separately: without it the mount
    /// becomes an ordinary upload.
    fn mount_source(&self) -> Option<&RepositoryName> {
        None
    }

    /// Answers a granted request.
    fn serve(self, granted: Granted) -> Answering
    where
        Self: Sized;
}

/// The permission an endpoint needs. A new endpoint does not compile without one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Need<'a> {
    /// None, and the caller is not authenticated.
    Nothing,
    /// None, but the caller's identity decides how much they see.
    Sight,
    /// Access to the registry at all: the request that clients log in with.
    Entry,
    /// None; the response lists only what the caller may pull.
    List,
    Repository(&'a RepositoryName, Action),
    /// An action in a repository, or, where no rule decides about it, a permission of a role that covers it.
    RepositoryOr(&'a RepositoryName, Action, Permission),
    /// To see the daemon's internals.
    Operate,
    /// Any user who is logged in.
    LoggedIn,
    /// A permission of a role.
    May(Permission),
    /// A permission of a role, or that strangers may register.
    MayOrRegister(Permission),
    /// A permission of a role; without access control every user has it, and without logins everybody.
    MayUnlessOpen(Permission),
    /// To see tasks of one's own: a permission to see or to start them; without access control every user has it, and
    /// without logins everybody.
    Tasks,
    /// To own the repository, or a permission of a role.
    Owner(&'a RepositoryName, Permission),
    /// An action in a repository, and to own it or a permission of a role.
    ActionOfOwner(&'a RepositoryName, Action, Permission),
    /// A permission in a repository of artifacts, by a role or as its owner.
    Artifacts(&'a ArtifactRepositoryName, Permission),
}

/// What a method does to stored content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Nothing.
    Reads,
    /// Adds or changes something.
    Writes,
    /// Deletes content.
    Deletes,
}

/// The methods of a path, each with its effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Methods(pub(super) &'static [(&'static str, Effect)]);

impl Methods {
    /// The methods of a read-only path.
    pub(super) const READ: Self = Self(&[("GET", Effect::Reads), ("HEAD", Effect::Reads)]);

    fn effect(self, method: &Method) -> Option<Effect> {
        self.0.iter().find(|(name, _)| *name == method.as_str()).map(|(_, effect)| *effect)
    }

    /// The methods with a matching effect, in the format of `Allow` (RFC 9110 §10.2.1).
    fn with(self, is_among: impl Fn(Effect) -> bool) -> String {
        let names: Vec<_> = self.0.iter().filter(|(_, effect)| is_among(*effect)).map(|(name, _)| *name).collect();
        names.join(", ")
    }
}

/// In the format of `Allow`.
impl fmt::Display for Methods {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.with(|_| true))
    }
}

/// The request line, for a family to parse.
pub(super) struct RequestLine<'a> {
    pub(super) method: &'a Method,
    /// Path segments, each decoded once.
    pub(super) segments: &'a [&'a str],
    /// Not decoded.
    pub(super) query: &'a str,
}

impl RequestLine<'_> {
    pub(super) fn is_read(&self) -> bool {
        matches!(*self.method, Method::GET | Method::HEAD)
    }
}

/// What a listener serves. Anything else is an unknown path there.
#[derive(Clone, Copy)]
pub(super) struct Offer {
    pub(super) registry: bool,
    pub(super) tokens: bool,
    pub(super) metrics: bool,
    pub(super) pages: bool,
}

impl Endpoint {
    /// Parses method, raw path and raw query, as if every endpoint were offered.
    ///
    /// # Errors
    /// The [`ServiceError`] to answer with: unknown path, wrong method, or an invalid name, tag, digest or parameter.
    pub fn parse(method: &Method, path: &str, query: &str) -> Result<Self, ServiceError> {
        Self::read(method, path, query, Offer { registry: true, tokens: true, metrics: true, pages: true })
    }

    /// Like [`parse`](Self::parse), on a listener that offers only `offer`.
    pub(super) fn read(method: &Method, path: &str, query: &str, offer: Offer) -> Result<Self, ServiceError> {
        path::segments(path, |segments| {
            let ["", segments @ ..] = segments else { return Err(ServiceError::PathUnknown) };
            let line = RequestLine { method, segments, query };
            match segments.first() {
                Some(&"v2") if offer.registry => DistributionEndpoint::parse(&line).map(Self::Distribution),
                Some(&"auth") if offer.registry && ManageEndpoint::is_login(segments) => {
                    ManageEndpoint::parse_login(&line).map(Self::Manage)
                }
                Some(&"auth") if offer.tokens => TokenEndpoint::parse(&line).map(Self::Token),
                Some(&"metrics") if !offer.metrics => Err(ServiceError::PathUnknown),
                Some(&"metrics" | &"health") => OpsEndpoint::parse(&line).map(Self::Ops),
                Some(&manage::ROOT) if offer.registry => ManageEndpoint::parse(&line).map(Self::Manage),
                _ if offer.pages && pages::is_page(path) => PagesEndpoint::parse(&line).map(Self::Pages),
                _ => Err(ServiceError::PathUnknown),
            }
        })
    }

    /// How errors of a request are written, whether or not it has an endpoint.
    pub(super) fn error_format<B>(request: &Request<B>, request_id: &str) -> ErrorFormat {
        let request_id = || request_id.to_owned();
        let path = request.uri().path();
        let mut segments = path.split('/').skip(1);
        match (segments.next(), segments.next()) {
            (Some(manage::ROOT), version) => {
                ErrorFormat::Api { request_id: request_id(), says_success: version != Some("v1") }
            }
            (Some("v2" | "auth" | "health" | "metrics"), _) => ErrorFormat::Distribution,
            _ if pages::is_page(path) || accepts_pages(request.headers()) => {
                ErrorFormat::Page(PageError::of(request, request_id()))
            }
            _ => ErrorFormat::Distribution,
        }
    }

    fn family(&self) -> &dyn Family {
        match self {
            Self::Distribution(endpoint) => endpoint,
            Self::Token(endpoint) => endpoint,
            Self::Ops(endpoint) => endpoint,
            Self::Manage(endpoint) => endpoint,
            Self::Pages(endpoint) => endpoint,
        }
    }

    /// The endpoint's name in logs and metrics; never the raw path.
    pub fn name(&self) -> &'static str {
        self.family().name()
    }

    /// The permission the caller needs.
    pub fn needs(&self) -> Need<'_> {
        self.family().needs()
    }

    /// The repository it refers to, if any.
    pub fn repository(&self) -> Option<&RepositoryName> {
        match self.needs() {
            Need::Repository(name, _)
            | Need::RepositoryOr(name, ..)
            | Need::Owner(name, _)
            | Need::ActionOfOwner(name, ..) => Some(name),
            Need::Nothing | Need::Sight | Need::Entry | Need::List | Need::Operate => None,
            Need::LoggedIn | Need::May(_) | Need::MayOrRegister(_) | Need::MayUnlessOpen(_) | Need::Tasks => None,
            Need::Artifacts(..) => None,
        }
    }

    /// The tag or digest it refers to, if any.
    pub fn reference(&self) -> Option<Reference> {
        self.family().reference()
    }

    /// The repository that a blob is to be mounted from.
    pub(super) fn mount_source(&self) -> Option<&RepositoryName> {
        self.family().mount_source()
    }

    /// The scopes that a token needs for this request, for the challenge.
    pub(super) fn scopes(&self) -> Vec<Scope> {
        let own = match self.needs() {
            Need::Repository(name, Action::Push) => {
                Some(Scope::Repository(name.clone(), vec![Action::Pull, Action::Push]))
            }
            Need::Repository(name, action) => Some(Scope::Repository(name.clone(), vec![action])),
            Need::List => Some(Scope::Catalog),
            Need::Nothing | Need::Sight | Need::Entry | Need::Operate => None,
            // No scope of a token grants these.
            Need::RepositoryOr(..) | Need::Owner(..) | Need::ActionOfOwner(..) | Need::Artifacts(..) => None,
            Need::LoggedIn | Need::May(_) | Need::MayOrRegister(_) | Need::MayUnlessOpen(_) | Need::Tasks => None,
        };
        let source = self.mount_source().map(|from| Scope::Repository(from.clone(), vec![Action::Pull]));
        own.into_iter().chain(source).collect()
    }

    /// What a request with this method does to stored content.
    pub(super) fn effect(&self, method: &Method) -> Option<Effect> {
        self.family().methods().effect(method)
    }

    /// Rejects requests that the operator has disabled.
    ///
    /// # Errors
    /// [`ServiceError::SwitchedOff`].
    pub(super) fn switched_off(&self, method: &Method, operator: &Operator) -> Result<(), ServiceError> {
        if !operator.read_only && operator.delete {
            return Ok(());
        }
        let goes_on = |effect| match effect {
            Effect::Reads => true,
            Effect::Writes => !operator.read_only,
            Effect::Deletes => !operator.read_only && operator.delete,
        };
        let methods = self.family().methods();
        if methods.effect(method).is_none_or(goes_on) {
            return Ok(());
        }
        let what = match operator.read_only {
            true => "this registry is read-only",
            false => "deletion is disabled in this registry",
        };
        Err(ServiceError::SwitchedOff { what, allow: methods.with(goes_on), message: operator.message.clone() })
    }
}

impl From<DistributionEndpoint> for Endpoint {
    fn from(endpoint: DistributionEndpoint) -> Self {
        Self::Distribution(endpoint)
    }
}

impl From<TokenEndpoint> for Endpoint {
    fn from(endpoint: TokenEndpoint) -> Self {
        Self::Token(endpoint)
    }
}

impl From<ManageEndpoint> for Endpoint {
    fn from(endpoint: ManageEndpoint) -> Self {
        Self::Manage(endpoint)
    }
}

impl From<PagesEndpoint> for Endpoint {
    fn from(endpoint: PagesEndpoint) -> Self {
        Self::Pages(endpoint)
    }
}

impl From<OpsEndpoint> for Endpoint {
    fn from(endpoint: OpsEndpoint) -> Self {
        Self::Ops(endpoint)
    }
}

/// Whether a client wants a page: browsers say so for what people open.
fn accepts_pages(headers: &HeaderMap) -> bool {
    text(headers, &header::ACCEPT).is_some_and(|types| types.contains("text/html"))
}

/// Calls the handler of a granted request.
pub(super) fn dispatch(granted: Granted) -> Answering {
    match granted.request.endpoint.clone() {
        Endpoint::Distribution(endpoint) => endpoint.serve(granted),
        Endpoint::Token(endpoint) => endpoint.serve(granted),
        Endpoint::Ops(endpoint) => endpoint.serve(granted),
        Endpoint::Manage(endpoint) => endpoint.serve(granted),
        Endpoint::Pages(endpoint) => endpoint.serve(granted),
    }
}

#[cfg(test)]
mod tests;
