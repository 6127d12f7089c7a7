//! Verifies the credentials of a request: a password, an API key, a token, or the cookie of a session.

use super::{
    ServiceState,
    challenge::LoginFault,
    cookie,
    endpoint::Endpoint,
    error::ServiceError,
    mount_source::ChallengedSources,
    routed::{Caller, Proof, Routed},
    throttle::Throttle,
};
use crate::{
    access::{Ceiling, KeyScopes, Scope},
    accounts::{Accounts, Session},
    config::Live,
    identity::{
        Access, ApiKeyText, Bearer, CookieText, Credentials, Identity, InvalidCredentials, Issuer, LoginRefusal,
        Passwords, Presented, Users,
    },
    who::{ApiKeyId, Subject},
};
use http::{HeaderMap, header};
use std::{net::IpAddr, time::SystemTime};

/// What is kept of logins across configuration reloads.
#[derive(Default)]
pub struct LoginMemory {
    /// Passwords that were verified recently, and those that wait for it.
    pub(super) passwords: Passwords,
    /// Wrong passwords of login pages, by address and by user.
    pub(super) wrong_by_address: Throttle,
    pub(super) wrong_by_user: Throttle,
    /// Requests of strangers for an account, by address.
    pub(super) registrations: Throttle,
    /// Callers that were sent for a token that includes the source of a mount.
    pub(super) challenged_sources: ChallengedSources,
}

/// Why credentials are not accepted, for the client and for the log.
type Fault = (LoginFault, String);

/// Identifies the caller.
///
/// # Errors
/// [`ServiceError::Unauthorized`] for invalid credentials: never treated as anonymous.
pub(super) async fn identify(routed: Routed) -> Result<(Routed, Caller), ServiceError> {
    if routed.live.identity.is_nobody() {
        return Ok((routed, Caller::nobody()));
    }
    let check = LoginCheck::of(&routed.state, &routed.live, routed.client);
    let who = match presented(&routed.head.headers)? {
        Presented::Nobody => match cookie_of(&routed) {
            Some(cookie) => check.by_cookie(&cookie).await?,
            None => Ok(Caller::nobody()),
        },
        Presented::Other => Err((LoginFault::Absent, "the Authorization header has an unknown scheme".to_owned())),
        Presented::Malformed(why) => Err((LoginFault::Malformed(why), why.to_string())),
        Presented::Token(token) => check.by_token(&token).await?,
        Presented::Password(credentials) => match routed.live.identity.users() {
            None => Err((LoginFault::Absent, "passwords are not accepted, only tokens".to_owned())),
            Some(users) => match check.by_password(users, &credentials).await? {
                Some(holder) => Ok(holder.caller()),
                None => Err((LoginFault::Password, "wrong user name or password".to_owned())),
            },
        },
    };
    match who {
        Ok(who) => Ok((routed, who)),
        Err((fault, reason)) => Err(routed.unauthorized(fault, &reason)),
    }
}

/// The session cookie of a request, where cookies count: a browser sends them without being asked, so requests that
/// nobody protects from other sites ignore them.
pub(super) fn cookie_of(routed: &Routed) -> Option<String> {
    match routed.endpoint {
        Endpoint::Manage(_) | Endpoint::Pages(_) => cookie::sent(&routed.head.headers).map(str::to_owned),
        Endpoint::Distribution(_) | Endpoint::Token(_) | Endpoint::Ops(_) => None,
    }
}

/// The credentials of a request.
///
/// # Errors
/// [`ServiceError::AuthorizationRepeated`], [`ServiceError::AuthorizationTooLong`].
pub(super) fn presented(headers: &HeaderMap) -> Result<Presented, ServiceError> {
    let mut values = headers.get_all(header::AUTHORIZATION).into_iter();
    let value = match (values.next(), values.next()) {
        (None, _) => return Ok(Presented::Nobody),
        (Some(value), None) => value,
        (Some(_), Some(_)) => return Err(ServiceError::AuthorizationRepeated),
    };
    match Presented::parse(value.as_bytes()) {
        Presented::Malformed(InvalidCredentials::TooLong) => Err(ServiceError::AuthorizationTooLong),
        presented => Ok(presented),
    }
}

/// An API key, and what it is for.
pub(super) type KeyLimits = (ApiKeyId, KeyScopes);

/// The user of a password or an API key.
#[derive(Clone, Debug)]
pub(super) struct CredentialHolder {
    pub(super) subject: Subject,
    /// The API key, and what it is for.
    pub(super) key: Option<KeyLimits>,
}

impl CredentialHolder {
    /// A caller who is not logged in.
    pub(super) fn nobody() -> Self {
        Self { subject: Subject::Anonymous, key: None }
    }

    /// The limits of the API key.
    pub(super) fn ceiling(&self) -> Ceiling {
        Ceiling::of(self.key.as_ref().map(|(_, scopes)| scopes.clone()), None)
    }

    /// How they are authenticated, if without a key they would be so.
    pub(super) fn proof(&self, without_key: Proof) -> Proof {
        match (&self.key, &self.subject) {
            (Some(_), _) => Proof::ApiKey,
            (None, Subject::User(_)) => without_key,
            (None, Subject::Anonymous) => Proof::None,
        }
    }

    fn caller(self) -> Caller {
        let key = self.key.as_ref().map(|(id, _)| *id);
        Caller { ceiling: self.ceiling(), key, ..Caller::new(self.subject.clone(), self.proof(Proof::Basic)) }
    }
}

/// What it takes to verify credentials.
pub(super) struct LoginCheck<'a> {
    passwords: &'a Passwords,
    accounts: &'a Accounts,
    live: &'a Live,
    from: Option<IpAddr>,
}

impl<'a> LoginCheck<'a> {
    /// For a client at this address.
    pub(super) fn of(state: &'a ServiceState, live: &'a Live, from: Option<IpAddr>) -> Self {
        Self { passwords: &state.logins.passwords, accounts: &state.accounts, live, from }
    }

    /// The user whose password or API key this is; `None` if it is wrong.
    ///
    /// # Errors
    /// [`ServiceError::LoginBusy`], those of the storage.
    pub(super) async fn by_password(
        &self,
        users: &Users,
        credentials: &Credentials,
    ) -> Result<Option<CredentialHolder>, ServiceError> {
        if let Some(key) = credentials.api_key() {
            let holder = self.by_key(users, &key).await?;
            return Ok(holder.filter(|holder| holder.subject.name() == Some(&credentials.user)));
        }
        match self.passwords.verify(users, credentials, self.from, &self.live.logins).await {
            Ok(subject) => Ok(Some(CredentialHolder { subject, key: None })),
            Err(LoginRefusal::Wrong) => {
                let client = self.from.map(tracing::field::display);
                tracing::warn!(
                    user = beginning(&credentials.user),
                    client,
                    "login failed: wrong user name or password"
                );
                Ok(None)
            }
            Err(LoginRefusal::Busy(seconds)) => Err(ServiceError::LoginBusy(seconds)),
        }
    }

    /// The owner of an API key; `None` if the key is not good.
    ///
    /// # Errors
    /// Those of the storage.
    pub(super) async fn by_key(
        &self,
        users: &Users,
        presented: &ApiKeyText,
    ) -> Result<Option<CredentialHolder>, ServiceError> {
        match self.accounts.verify_api_key(presented, users).await? {
            Some(key) => {
                let subject = Subject::User(key.owner.as_str().into());
                Ok(key.scopes().map(|scopes| CredentialHolder { subject, key: Some((presented.id(), scopes)) }))
            }
            None => {
                let client = self.from.map(tracing::field::display);
                self.passwords.count_failure();
                tracing::warn!(key = %presented.id(), client, "login failed: unknown or expired API key");
                Ok(None)
            }
        }
    }

    /// The bearer of a token or an API key.
    async fn by_token(&self, token: &str) -> Result<Result<Caller, Fault>, ServiceError> {
        let invalid = |why: &str| Ok(Err((LoginFault::Invalid, why.to_owned())));
        if let (Some(key), Some(users)) = (ApiKeyText::parse(token), self.live.identity.users()) {
            return match self.by_key(users, &key).await? {
                Some(holder) => Ok(Ok(holder.caller())),
                None => invalid("the API key is unknown or has expired"),
            };
        }
        let bearer = match verify_bearer(&self.live.identity, token) {
            Ok(bearer) => bearer,
            Err(why) => return invalid(&why),
        };
        self.by_bearer(bearer).await
    }

    async fn by_bearer(&self, bearer: Bearer) -> Result<Result<Caller, Fault>, ServiceError> {
        match self.limits_of(&bearer).await? {
            Err(why) => Ok(Err((LoginFault::Invalid, why.to_owned()))),
            Ok(limits) => {
                let (key, scopes) = limits.unzip();
                let ceiling = Ceiling::of(scopes, bearer.access.as_deref().map(scopes_of));
                let proof = if bearer.session.is_some() { Proof::Session } else { Proof::Token };
                let (session, expires) = (bearer.session, bearer.expires);
                Ok(Ok(Caller { ceiling, session, key, expires, ..Caller::new(bearer.subject, proof) }))
            }
        }
    }

    /// The limits of the API key that a token was given for, if it was; or why the token is no longer good, although
    /// its signature and its time are right.
    ///
    /// # Errors
    /// Those of the storage.
    pub(super) async fn limits_of(
        &self,
        bearer: &Bearer,
    ) -> Result<Result<Option<KeyLimits>, &'static str>, ServiceError> {
        let (Some((users, _)), Some(user)) = (self.live.identity.own(), bearer.subject.name()) else {
            return Ok(Ok(None));
        };
        if let Some(id) = bearer.session {
            return match self.accounts.session(id, |session| session.user == user).await? {
                Some(session) => self.limits_of_session(&session, users).await,
                None => Ok(Err("token rejected: its session has ended")),
            };
        }
        if let Some(issued) = bearer.issued
            && self.accounts.is_void(user, issued).await?
        {
            return Ok(Err("token rejected: its user has signed out everywhere"));
        }
        let Some(id) = bearer.key else { return Ok(Ok(None)) };
        let key = self.accounts.api_key_of_token(id, user, users).await?;
        let scopes = key.and_then(|key| key.scopes()).ok_or("token rejected: its API key has ended");
        Ok(scopes.map(|scopes| Some((id, scopes))))
    }

    /// The limits of a session: those of the API key that opened it, if one did; or why it is no longer good.
    ///
    /// # Errors
    /// Those of the storage.
    pub(super) async fn limits_of_session(
        &self,
        session: &Session,
        users: &Users,
    ) -> Result<Result<Option<KeyLimits>, &'static str>, ServiceError> {
        let Some(id) = session.key else { return Ok(Ok(None)) };
        let key = self.accounts.api_key_of_token(id, &session.user, users).await?;
        let scopes = key.and_then(|key| key.scopes()).ok_or("the API key that opened the session has ended");
        Ok(scopes.map(|scopes| Some((id, scopes))))
    }

    /// The user of a session's cookie.
    async fn by_cookie(&self, value: &str) -> Result<Result<Caller, Fault>, ServiceError> {
        let ended = |why: &str| Ok(Err((LoginFault::Invalid, why.to_owned())));
        let (Some((cookie, session)), Some(users)) = (self.session_of_cookie(value).await?, self.live.identity.users())
        else {
            return ended("the session of the cookie has ended");
        };
        match self.limits_of_session(&session, users).await? {
            Err(why) => ended(why),
            Ok(limits) => Ok(Ok(Caller {
                ceiling: Ceiling::of(limits.map(|(_, scopes)| scopes), None),
                key: session.key,
                session: Some(cookie.id()),
                expires: Some(session.expires.into()),
                ..Caller::new(Subject::User(session.user.as_str().into()), Proof::Session)
            })),
        }
    }

    /// The session of a cookie's value, if it has not ended.
    ///
    /// # Errors
    /// Those of the storage.
    pub(super) async fn session_of_cookie(&self, value: &str) -> Result<Option<(CookieText, Session)>, ServiceError> {
        let (Some(cookie), Some(own)) = (CookieText::parse(value), self.live.identity.own()) else { return Ok(None) };
        let lives = self.live.sessions.lives;
        let session = self.accounts.session_of_cookie(&cookie, is_current(own), lives).await?;
        Ok(session.map(|session| (cookie, session)))
    }
}

/// Whether the user's line in htpasswd is the one with which a session began.
pub(super) fn is_current<U: AsRef<Users>, I: AsRef<Issuer>>((users, issuer): (U, I)) -> impl Fn(&Session) -> bool {
    move |session| issuer.as_ref().is_current(users.as_ref(), &session.user, &session.pwv)
}

/// The first 128 characters of a name, which a client chooses: the log must not grow by kilobytes.
fn beginning(name: &str) -> &str {
    const LONGEST: usize = 128;
    name.char_indices().nth(LONGEST).map_or(name, |(end, _)| &name[..end])
}

fn verify_bearer(identity: &Identity, token: &str) -> Result<Bearer, String> {
    let now = SystemTime::now();
    match identity {
        Identity::Nobody | Identity::Password { sessions: None, .. } => {
            return Err("tokens are not accepted, only passwords".to_owned());
        }
        Identity::Password { users, sessions: Some(issuer), .. } => issuer.verify(users, token, now),
        Identity::OwnTokens(service) => service.issuer.verify(&service.users, token, now),
        Identity::ExternalTokens { verifier, .. } => verifier.verify(token, now),
    }
    .map_err(|refused| format!("token rejected: {refused}"))
}

fn scopes_of(access: &[Access]) -> Vec<Scope> {
    let read = |entry: &Access| Scope::of(&entry.kind, &entry.name, entry.actions.iter().map(String::as_str));
    access.iter().filter_map(read).collect()
}
