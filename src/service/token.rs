//! The token service: names and passwords into tokens of our own.
//!
//! Both forms of the Docker registry's token protocol. What is not allowed is no error: the token
//! says less than was asked for. What it says is judged again by the rules whenever it is used.

use super::{
    body::Body,
    error::Error,
    gate::Granted,
    login::{Login, basic, presented, verified},
    query::Query,
    routed::{Routed, Who},
};
use crate::{
    access::{Ceiling, Facts, Scope},
    auth::{Access, Credentials, InvalidCredentials, Issuer, LONGEST_AUTHORIZATION, Presented},
    config::{Live, Tokens},
    registry::{self, Interruption},
    who::Subject,
};
use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use http::{HeaderValue, Method, Response, header, request::Parts};
use jiff::Timestamp;
use serde_json::json;
use std::{borrow::Cow, net::IpAddr, sync::Arc, time::SystemTime};

/// The longest form read, in bytes; refresh tokens are a few hundred.
const LONGEST_FORM: usize = 64 << 10;

/// Scopes looked at in one request: each is decided by the rules, once for each of three actions.
/// A name is bounded by its own grammar.
const MOST_SCOPES: usize = 100;

/// What is asked for, in either form.
struct Asked {
    subject: Subject,
    scopes: Vec<String>,
    /// The caller brought a refresh token, not a password.
    by_token: bool,
    /// A refresh token is wanted too.
    offline: bool,
}

/// Where tokens are handed out.
struct Desk {
    login: Login,
    live: Arc<Live>,
    issuer: Arc<Issuer>,
    head: Box<Parts>,
    client: Option<IpAddr>,
    /// The longest head of a request that is accepted.
    header_bytes: usize,
}

/// What a request needs beside its token: a URL with a long name, and the headers clients send.
const BESIDE_TOKEN: usize = 4 << 10;

/// The longest token that is accepted in a request whose head has at most so many bytes.
fn longest_token(header_bytes: usize) -> usize {
    (LONGEST_AUTHORIZATION - "Bearer ".len()).min(header_bytes.saturating_sub(BESIDE_TOKEN))
}

/// Answers a request for a token.
pub(super) async fn serve(mut granted: Granted) -> Result<Response<Body>, Error> {
    let incoming = granted.incoming();
    let Routed { state, head, client, live, .. } = granted.request;
    // The gate lets nobody here without a token service; its key is there since the start.
    let Tokens::Own(issuer) = live.tokens.clone() else { return Err(Error::PathUnknown) };
    let (login, header_bytes) = (state.login.clone(), state.limits.header_bytes);
    let desk = Desk { login, live, issuer, head, client, header_bytes };
    let asked = match desk.head.method {
        Method::POST => desk.of_form(incoming).await?,
        _ => desk.of_query().await?,
    };
    let mut response = desk.hand_out(&asked)?;
    // For the log: this service identifies its callers by itself.
    let Asked { subject, by_token, .. } = asked;
    response.extensions_mut().insert(Who { subject, ceiling: Ceiling::None, by_token });
    Ok(response)
}

impl Desk {
    fn hand_out(&self, asked: &Asked) -> Result<Response<Body>, Error> {
        let (live, issuer) = (&self.live, &self.issuer);
        let (now, lives) = (SystemTime::now(), live.token_lives);
        let scopes = asked.scopes.iter().flat_map(|scopes| scopes.split_ascii_whitespace()).take(MOST_SCOPES);
        let scopes: Vec<_> = scopes.collect();
        // Asked for nothing in particular, it says who somebody is and leaves the rest to the rules.
        let access = (!scopes.is_empty()).then(|| {
            let allowed = |scope: &&str| self.allowed(&asked.subject, Scope::parse(scope)?);
            scopes.iter().filter_map(allowed).collect::<Vec<_>>()
        });
        let (token, access) = self.fitting_token(&asked.subject, access, now)?;
        let mut told = json!({
            "token": token, "access_token": token, "expires_in": lives.access.as_secs(),
            "issued_at": Timestamp::try_from(now).unwrap_or_default().strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
            "scope": access.iter().flatten().map(written).collect::<Vec<_>>().join(" "),
        });
        if asked.offline && !lives.refresh.is_zero() && asked.subject != Subject::Anonymous {
            told["refresh_token"] = json!(issuer.refresh_token(&live.users, &asked.subject, now, lives.refresh)?);
        }
        let mut response = super::answer::json(told.to_string(), "application/json");
        response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        Ok(response)
    }

    /// A token for `access`, or for the first entries of it where it would be too long to be accepted
    /// in a request; and what it is good for.
    fn fitting_token(
        &self,
        subject: &Subject,
        mut access: Option<Vec<Access>>,
        now: SystemTime,
    ) -> Result<(String, Option<Vec<Access>>), Error> {
        let (live, most) = (&self.live, longest_token(self.header_bytes));
        loop {
            let token =
                self.issuer.access_token(&live.users, subject, access.as_deref(), now, live.token_lives.access)?;
            match access.as_mut() {
                _ if token.len() <= most => return Ok((token, access)),
                Some(entries) if !entries.is_empty() => {
                    entries.truncate((entries.len() * most / token.len()).min(entries.len() - 1));
                }
                _ => return Err(Error::TokenRequest("a token for this user would be too long to be accepted")),
            }
        }
    }

    /// `GET`: parameters of the query, and a Basic header or none.
    async fn of_query(&self) -> Result<Asked, Error> {
        let query = Query::parse(self.head.uri.query().unwrap_or_default());
        let subject = match presented(&self.head.headers)? {
            Presented::Nobody => Subject::Anonymous,
            Presented::Password(credentials) => self.holder(&credentials).await?,
            Presented::Malformed(why) => return Err(self.refused(why.to_string(), why.to_string())),
            Presented::Token(_) | Presented::Other => {
                let why = "a token is given for a user name and a password (Basic)";
                return Err(self.refused(why, why));
            }
        };
        let offline = query.first("offline_token") == Some("true");
        Ok(Asked { subject, scopes: query.all("scope").map(str::to_owned).collect(), by_token: false, offline })
    }

    /// `POST`: a form (RFC 6749 §4.3, §6).
    async fn of_form(
        &self,
        mut incoming: impl Stream<Item = Result<Bytes, Interruption>> + Unpin,
    ) -> Result<Asked, Error> {
        let mut form = Vec::new();
        while let Some(bytes) = incoming.next().await {
            form.extend_from_slice(&bytes.map_err(registry::Error::Interrupted)?);
            if form.len() > LONGEST_FORM {
                return Err(Error::TokenRequest("the form is too long"));
            }
        }
        let form = String::from_utf8(form).map_err(|_| Error::TokenRequest("the form is not UTF-8 text"))?;
        let form = Query::parse(&form);
        let subject = match form.one("grant_type")? {
            Some("password") => {
                let (Some(user), Some(password)) = (form.one("username")?, form.one("password")?) else {
                    return Err(Error::TokenRequest("grant_type=password needs username and password"));
                };
                if [user, password].iter().any(|text| text.contains(['\0', '\r', '\n'])) {
                    let why = InvalidCredentials::ControlCharacter.to_string();
                    return Err(self.refused(why.clone(), why));
                }
                self.holder(&Credentials::new(user, password)).await?
            }
            Some("refresh_token") => {
                let token = form.one("refresh_token")?.unwrap_or_default();
                let live = &self.live;
                let told = "the refresh token is invalid or expired";
                // Switched off, those given out before are worth nothing either.
                if live.token_lives.refresh.is_zero() {
                    return Err(self.refused(told, "refresh tokens are switched off (tokens.refresh_days)"));
                }
                let holder = self.issuer.verify_refresh(&live.users, token, SystemTime::now());
                holder.map_err(|why| self.refused(told, format!("refresh token rejected: {why}")))?
            }
            _ => return Err(Error::TokenRequest("grant_type is password or refresh_token")),
        };
        let offline = form.first("access_type") == Some("offline");
        let by_token = form.first("grant_type") == Some("refresh_token");
        Ok(Asked { subject, scopes: form.all("scope").map(str::to_owned).collect(), by_token, offline })
    }

    /// Whose name and password these are.
    async fn holder(&self, credentials: &Credentials) -> Result<Subject, Error> {
        let Some(passwords) = self.login.passwords() else { return Err(Error::PathUnknown) };
        let holder = verified(passwords, &self.live.users, credentials, self.client).await?;
        holder.ok_or_else(|| self.refused("wrong user name or password", "wrong user name or password"))
    }

    /// What of a scope somebody may have; `None` if nothing.
    fn allowed(&self, subject: &Subject, scope: Scope) -> Option<Access> {
        let rights = &self.live.rights;
        match scope {
            Scope::Repository(name, mut actions) => {
                actions.retain(|action| rights.decide(subject, &Ceiling::None, &name, *action, Facts).allowed);
                let words: Vec<_> = actions.iter().map(ToString::to_string).collect();
                (!words.is_empty()).then(|| Access {
                    kind: "repository".into(),
                    name: name.to_string(),
                    actions: words,
                })
            }
            Scope::Catalog => {
                let may_look = *subject != Subject::Anonymous || rights.speaks_of_anonymous();
                let access = || Access { kind: "registry".into(), name: "catalog".into(), actions: vec!["*".into()] };
                may_look.then(access)
            }
        }
    }

    /// Whoever wants a token proves who they are by a password: that is what is asked for here.
    fn refused(&self, told: impl Into<Cow<'static, str>>, reason: impl Into<String>) -> Error {
        let realm = match &self.login {
            Login::Own { service, .. } => service,
            _ => "Registry",
        };
        Error::Unauthorized { challenge: basic(realm), told: told.into(), reason: reason.into() }
    }
}

fn written(access: &Access) -> String {
    format!("{}:{}:{}", access.kind, access.name, access.actions.join(","))
}
