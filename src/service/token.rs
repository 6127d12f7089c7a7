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
    routed::Routed,
};
use crate::{
    access::{Ceiling, Facts, Scope},
    auth::{Access, Credentials, InvalidCredentials, Issuer, Presented},
    config::{Live, Tokens},
    registry::{self, Interruption},
    who::Subject,
};
use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use http::{HeaderValue, Method, Response, header, request::Parts};
use jiff::Timestamp;
use serde_json::json;
use std::{net::IpAddr, sync::Arc, time::SystemTime};

/// The longest form read, in bytes; refresh tokens are a few hundred.
const LONGEST_FORM: usize = 64 << 10;

/// Scopes looked at in one request.
const MOST_SCOPES: usize = 100;

/// What is asked for, in either form.
struct Asked {
    subject: Subject,
    scopes: Vec<String>,
    /// A refresh token is wanted too.
    offline: bool,
}

/// Where tokens are handed out.
struct Desk {
    login: Login,
    live: Arc<Live>,
    issuer: Arc<Issuer>,
    head: Parts,
    client: Option<IpAddr>,
}

/// Answers a request for a token.
pub(super) async fn serve(mut granted: Granted) -> Result<Response<Body>, Error> {
    let incoming = granted.incoming();
    let Routed { state, head, client, live, .. } = granted.request;
    // The gate lets nobody here without a token service; its key is there since the start.
    let Tokens::Own(issuer) = live.tokens.clone() else { return Err(Error::PathUnknown) };
    let desk = Desk { login: state.login.clone(), live, issuer, head, client };
    let asked = match desk.head.method {
        Method::POST => desk.of_form(incoming).await?,
        _ => desk.of_query().await?,
    };
    desk.hand_out(&asked)
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
        let token = issuer.access_token(&live.users, &asked.subject, access.as_deref(), now, lives.access)?;
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

    /// `GET`: parameters of the query, and a Basic header or none.
    async fn of_query(&self) -> Result<Asked, Error> {
        let query = Query::parse(self.head.uri.query().unwrap_or_default());
        let subject = match presented(&self.head.headers)? {
            Presented::Nobody => Subject::Anonymous,
            Presented::Password(credentials) => self.holder(&credentials).await?,
            Presented::Token(_) | Presented::Other => return Err(self.refused("not a scheme that is taken here")),
        };
        let offline = query.first("offline_token") == Some("true");
        Ok(Asked { subject, scopes: query.all("scope").map(str::to_owned).collect(), offline })
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
                    return Err(InvalidCredentials.into());
                }
                self.holder(&Credentials::new(user, password)).await?
            }
            Some("refresh_token") => {
                let token = form.one("refresh_token")?.unwrap_or_default();
                let live = &self.live;
                // Switched off, those given out before are worth nothing either.
                let taken = !live.token_lives.refresh.is_zero();
                let holder = self.issuer.verify_refresh(&live.users, token, SystemTime::now());
                holder.ok().filter(|_| taken).ok_or_else(|| self.refused("the refresh token is not believed"))?
            }
            _ => return Err(Error::TokenRequest("grant_type is password or refresh_token")),
        };
        let offline = form.first("access_type") == Some("offline");
        Ok(Asked { subject, scopes: form.all("scope").map(str::to_owned).collect(), offline })
    }

    /// Whose name and password these are.
    async fn holder(&self, credentials: &Credentials) -> Result<Subject, Error> {
        let Some(passwords) = self.login.passwords() else { return Err(Error::PathUnknown) };
        let holder = verified(passwords, &self.live.users, credentials, self.client).await?;
        holder.ok_or_else(|| self.refused("wrong user name or password"))
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

    /// Whoever wants a token proves who he is by a password: that is what is asked for here.
    fn refused(&self, told: &'static str) -> Error {
        let realm = match &self.login {
            Login::Own { service, .. } => service,
            _ => "Registry",
        };
        Error::Unauthorized { challenge: basic(realm), told: told.into(), reason: told.to_owned() }
    }
}

fn written(access: &Access) -> String {
    format!("{}:{}:{}", access.kind, access.name, access.actions.join(","))
}
