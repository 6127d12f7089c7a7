//! How callers prove who they are, and how they are asked to: decided at boot, never by a rule.

use super::{
    client::{Front, authority},
    endpoint::{Endpoint, Need},
    error::Error,
    routed::{Routed, Who},
};
use crate::{
    access::{Ceiling, Scope},
    auth::{Bearer, Credentials, InvalidCredentials, Passwords, Presented, Refusal, Users},
    config::{Live, Tokens, is_loopback},
    oci::RepositoryName,
    who::{Action, Subject},
};
use http::{
    HeaderMap, header,
    uri::{Authority, Scheme},
};
use std::{
    borrow::Cow,
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant, SystemTime},
};

/// How callers prove who they are.
#[derive(Clone)]
pub enum Login {
    /// They do not: everybody is anonymous.
    None,
    /// By name and password.
    Basic {
        /// What the challenge calls this registry.
        realm: String,
        /// Verifies them.
        passwords: Arc<Passwords>,
    },
    /// By tokens of our own, which are had by name and password; or by these at once.
    Own {
        /// Where tokens are had.
        realm: Realm,
        /// What the challenge calls this registry, and tokens are for.
        service: String,
        /// Verifies passwords.
        passwords: Arc<Passwords>,
    },
    /// By tokens of a service elsewhere.
    Elsewhere {
        /// Where tokens are had.
        realm: String,
        /// What the challenge calls this registry, and tokens are for.
        service: String,
        /// Who was told lately that a mount takes a token for its source too.
        told: Arc<Told>,
    },
}

/// Mounts that were answered by asking for a token that says more.
///
/// A token for the target alone may be all there is to have, or all that was asked for. The client
/// cannot tell, so it is told once; after that the mount becomes an ordinary upload.
pub struct Told(quick_cache::sync::Cache<(Subject, RepositoryName), Instant>);

/// For how long a client is not told again; longer than it takes to get a token.
const TOLD: Duration = Duration::from_secs(60);

/// Mounts remembered; one that is forgotten costs a client one more request.
const MOST_TOLD: usize = 4096;

impl Default for Told {
    fn default() -> Self {
        Self(quick_cache::sync::Cache::new(MOST_TOLD))
    }
}

impl Told {
    /// Whether this is news to the caller; not the next time.
    fn is_news(&self, subject: &Subject, source: &RepositoryName) -> bool {
        let key = (subject.clone(), source.clone());
        let news = self.0.get(&key).is_none_or(|at| at.elapsed() >= TOLD);
        if news {
            self.0.insert(key, Instant::now());
        }
        news
    }
}

/// Where clients find the built-in token service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Realm {
    /// At this URL.
    At(String),
    /// At the address the client used, if that is safe for a password.
    Here,
}

/// Where tokens of our own are had, below the address.
const TOKEN_PATH: &str = "/auth/token";

/// What is wrong with a token, in the words clients know (RFC 6750 §3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// There was none.
    Absent,
    /// There was a name and a password instead, and they are wrong.
    Password,
    /// There was something that cannot be read.
    Malformed(InvalidCredentials),
    /// It is not believed.
    Invalid,
    /// It is not good for this.
    Scope,
    /// It is nobody's, and not good for this.
    Nobody,
}

impl Fault {
    /// What the client is told. Why is for the log: it would tell a stranger what there is.
    pub(super) fn told(self, endpoint: &Endpoint) -> Cow<'static, str> {
        match self {
            Self::Absent | Self::Nobody => "authentication required: log in first".into(),
            Self::Password => "wrong user name or password".into(),
            Self::Malformed(why) => why.to_string().into(),
            Self::Invalid => "the token is invalid or expired".into(),
            Self::Scope => match endpoint.needs() {
                Need::Repository(name, action) => {
                    format!("access denied: this token does not allow {action} on {name}").into()
                }
                Need::Nothing | Need::Entry | Need::List | Need::Operate => {
                    "access denied: this token does not allow this".into()
                }
            },
        }
    }

    /// The same for programs, within a challenge.
    fn parameter(self) -> &'static str {
        match self {
            Self::Absent | Self::Password | Self::Malformed(_) => "",
            Self::Invalid => ",error=\"invalid_token\"",
            Self::Scope | Self::Nobody => ",error=\"insufficient_scope\"",
        }
    }
}

impl Login {
    /// Whose passwords are verified, if anybody's.
    pub(super) fn passwords(&self) -> Option<&Passwords> {
        match self {
            Self::Basic { passwords, .. } | Self::Own { passwords, .. } => Some(passwords),
            Self::None | Self::Elsewhere { .. } => None,
        }
    }

    /// Whether there is anything to log in to.
    pub(super) fn is_none(&self) -> bool {
        matches!(self, Self::None)
    }

    /// Whether a token of a service elsewhere is to be asked for that says more: for the source of
    /// a mount.
    pub(super) fn lacks_source(&self, who: &Who, endpoint: &Endpoint) -> bool {
        match (self, endpoint) {
            (Self::Elsewhere { told, .. }, Endpoint::BlobMount { from: Some(from), .. }) => {
                who.by_token && !who.ceiling.allows(from, Action::Pull) && told.is_news(&who.subject, from)
            }
            _ => false,
        }
    }

    /// Asks for a login. There is exactly one challenge: clients take the first, or the last.
    pub(super) fn unauthorized(&self, routed: &Routed, fault: Fault, reason: &str) -> Error {
        let (reason, told) = (reason.to_owned(), fault.told(&routed.endpoint));
        let (realm, service) = match self {
            Self::None => return Error::Denied { told: told.into_owned(), reason },
            Self::Basic { realm, .. } => return Error::Unauthorized { challenge: basic(realm), told, reason },
            Self::Own { realm, service, .. } => match realm.url(routed) {
                Ok(realm) => (realm, service),
                Err(host) => return unsafe_by(host),
            },
            Self::Elsewhere { realm, service, .. } => (realm.clone(), service),
        };
        let mut challenge = format!("Bearer realm=\"{realm}\",service=\"{service}\"");
        let scopes: Vec<_> = routed.endpoint.scopes().iter().map(Scope::to_string).collect();
        if !scopes.is_empty() {
            challenge.push_str(&format!(",scope=\"{}\"", scopes.join(" ")));
        }
        challenge.push_str(fault.parameter());
        Error::Unauthorized { challenge, told, reason }
    }
}

/// Who asks.
///
/// # Errors
/// [`Error::Unauthorized`] for what is not believed: never taken for anonymous.
pub(super) async fn identify(routed: Routed) -> Result<(Routed, Who), Error> {
    let nobody = Who { subject: Subject::Anonymous, ceiling: Ceiling::None, by_token: false };
    let login = routed.state.login.clone();
    if login.is_none() {
        return Ok((routed, nobody));
    }
    let who = match presented(&routed.head.headers)? {
        Presented::Nobody => Ok(nobody),
        Presented::Other => Err((Fault::Absent, "the Authorization header has an unknown scheme".to_owned())),
        Presented::Malformed(why) => Err((Fault::Malformed(why), why.to_string())),
        Presented::Token(token) => match believed(&routed.live, &token) {
            Ok(bearer) => Ok(of_bearer(bearer)),
            Err(why) => Err((Fault::Invalid, why)),
        },
        Presented::Password(credentials) => match login.passwords() {
            None => Err((Fault::Absent, "passwords are not accepted, only tokens".to_owned())),
            Some(passwords) => match verified(passwords, &routed.live.users, &credentials, routed.client).await? {
                Some(subject) => Ok(Who { subject, ..nobody }),
                None => Err((Fault::Password, "wrong user name or password".to_owned())),
            },
        },
    };
    match who {
        Ok(who) => Ok((routed, who)),
        Err((fault, reason)) => Err(login.unauthorized(&routed, fault, &reason)),
    }
}

impl Realm {
    /// Where the client of this request finds the token service. Passwords go there, so it is https
    /// unless the client is on this machine, or the operator chose otherwise.
    ///
    /// # Errors
    /// No such address is known; the host that was asked for.
    fn url(&self, routed: &Routed) -> Result<String, Option<Authority>> {
        if let Self::At(url) = self {
            return Ok(url.clone());
        }
        let Front { scheme, host } = routed.front();
        let head = &routed.head;
        let host = host.or_else(|| match head.uri.authority() {
            Some(asked) => authority(asked.as_str().as_bytes()),
            None => head.headers.get(header::HOST).and_then(|asked| authority(asked.as_bytes())),
        });
        let tls = routed.conn.as_ref().is_some_and(|conn| conn.tls);
        let scheme = scheme.unwrap_or(if tls { Scheme::HTTPS } else { Scheme::HTTP });
        match host {
            Some(host) if scheme == Scheme::HTTPS || is_loopback(host.host()) => {
                Ok(format!("{scheme}://{host}{TOKEN_PATH}"))
            }
            host => Err(host),
        }
    }
}

/// Says once in the log that a client could not be sent to the token service.
fn unsafe_by(host: Option<Authority>) -> Error {
    static SAID: AtomicBool = AtomicBool::new(false);
    if !SAID.swap(true, Ordering::Relaxed) {
        let host = host.as_ref().map(Authority::as_str);
        tracing::warn!(
            host,
            "no login by plain HTTP; set REGISTRY_PUBLIC_URL to the https address that clients use, or name the TLS proxy in REGISTRY_TRUSTED_PROXIES"
        );
    }
    Error::LoginUnsafe(host)
}

/// The challenge that asks for a password.
pub(super) fn basic(realm: &str) -> String {
    format!("Basic realm=\"{}\", charset=\"UTF-8\"", realm.replace(['\\', '"'], ""))
}

/// What a request presents.
///
/// # Errors
/// [`Error::AuthorizationRepeated`], [`Error::AuthorizationTooLong`].
pub(super) fn presented(headers: &HeaderMap) -> Result<Presented, Error> {
    let mut values = headers.get_all(header::AUTHORIZATION).into_iter();
    let value = match (values.next(), values.next()) {
        (None, _) => return Ok(Presented::Nobody),
        (Some(value), None) => value,
        (Some(_), Some(_)) => return Err(Error::AuthorizationRepeated),
    };
    match Presented::parse(value.as_bytes()) {
        Presented::Malformed(InvalidCredentials::TooLong) => Err(Error::AuthorizationTooLong),
        presented => Ok(presented),
    }
}

/// Whose password this is; `None` if it is nobody's.
pub(super) async fn verified(
    passwords: &Passwords,
    users: &Users,
    credentials: &Credentials,
    from: Option<IpAddr>,
) -> Result<Option<Subject>, Error> {
    match passwords.verify(users, credentials, from).await {
        Ok(subject) => Ok(Some(subject)),
        Err(Refusal::Wrong) => {
            let client = from.map(tracing::field::display);
            tracing::warn!(user = beginning(&credentials.user), client, "login failed: wrong user name or password");
            Ok(None)
        }
        Err(Refusal::Busy(seconds)) => Err(Error::LoginBusy(seconds)),
    }
}

/// The beginning of a name that may be anything: the log is no place for kilobytes of it.
fn beginning(name: &str) -> &str {
    const LONGEST: usize = 128;
    name.char_indices().nth(LONGEST).map_or(name, |(end, _)| &name[..end])
}

fn believed(live: &Live, token: &str) -> Result<Bearer, String> {
    let now = SystemTime::now();
    match &live.tokens {
        Tokens::None => return Err("tokens are not accepted, only passwords".to_owned()),
        Tokens::Own(issuer) => issuer.verify(&live.users, token, now),
        Tokens::Elsewhere(verifier) => verifier.verify(token, now),
    }
    .map_err(|refused| format!("token rejected: {refused}"))
}

fn of_bearer(Bearer { subject, access }: Bearer) -> Who {
    let ceiling = match access {
        None => Ceiling::None,
        Some(access) => {
            let read = |entry: &crate::auth::Access| {
                Scope::of(&entry.kind, &entry.name, entry.actions.iter().map(String::as_str))
            };
            Ceiling::Scopes(access.iter().filter_map(read).collect())
        }
    };
    Who { subject, ceiling, by_token: true }
}
