//! The built-in token service: exchanges user names and passwords for signed tokens.
//!
//! It supports both forms of the Docker registry's token protocol. A scope that is not allowed is not an error: the
//! token omits it. Access rules are evaluated again whenever the token is used.

mod endpoint;

pub use endpoint::TokenEndpoint;

use super::{
    ServiceState,
    challenge::basic,
    error::ServiceError,
    gate::Granted,
    login::{CredentialHolder, LoginCheck, presented},
    query::Query,
    routed::{Caller, Proof, Routed},
};
use crate::{
    access::{Decision, Scope},
    config::Live,
    identity::{
        Access, ApiKeyText, Bearer, Credentials, Identity, InvalidCredentials, LONGEST_AUTHORIZATION, Presented,
        TokenService,
    },
    registry::{self, Interruption, Registry},
    who::{Action, ApiKeyId, Subject},
    wire::ResponseBody,
};
use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use http::{HeaderValue, Method, Response, header, request::Parts};
use jiff::Timestamp;
use oci::RepositoryName;
use serde_json::json;
use std::{borrow::Cow, net::IpAddr, sync::Arc, time::SystemTime};

/// The longest form accepted, in bytes; refresh tokens have a few hundred. Unauthenticated clients send forms.
const LONGEST_FORM: usize = 32 << 10;

/// Maximum number of scopes evaluated per request: each is matched against all rules. The length of a name is limited
/// by its grammar.
const MOST_SCOPES: usize = 100;

/// Scopes up to this many bytes are evaluated on the reactor: dozens of short ones, or a few long ones.
const FEW_SCOPES: usize = 1 << 10;

/// A token request, in either form.
struct TokenRequest {
    holder: CredentialHolder,
    scopes: Vec<String>,
    /// What the caller sent.
    proof: Proof,
    /// The caller wants a refresh token too.
    offline: bool,
}

/// What issuing a token needs of the daemon and the request.
struct TokenHandler {
    service: Arc<TokenService>,
    live: Arc<Live>,
    state: Arc<ServiceState>,
    head: Box<Parts>,
    client: Option<IpAddr>,
    /// The longest request head accepted, in bytes.
    header_bytes: usize,
}

/// What a request needs besides its token: a URL with a long name, and the client's headers.
const BESIDE_TOKEN: usize = 4 << 10;

/// The longest token that fits into a request with this limit on its head.
fn longest_token(header_bytes: usize) -> usize {
    (LONGEST_AUTHORIZATION - "Bearer ".len()).min(header_bytes.saturating_sub(BESIDE_TOKEN))
}

/// Answers a token request.
async fn issue(mut granted: Granted) -> Result<Response<ResponseBody>, ServiceError> {
    let incoming = granted.incoming(usize::MAX);
    let Routed { state, head, client, live, registry, .. } = granted.request;
    let Identity::OwnTokens(service) = &live.identity else { return Err(ServiceError::PathUnknown) };
    let header_bytes = state.limits.header_bytes;
    let desk = TokenHandler { service: service.clone(), live, state: state.clone(), head, client, header_bytes };
    let asked = match desk.head.method {
        Method::POST => desk.read_form(incoming).await?,
        _ => desk.read_query().await?,
    };
    let (client, most, is_costly) = (desk.client, desk.live.costly_requests_per_client, asked.is_costly());
    let judge = move || {
        let judged = desk.evaluate(&asked);
        Ok((desk, asked, judged))
    };
    let (desk, asked, judged) = match is_costly {
        true => state.heavy.run(client, most, judge).await?,
        false => judge()?,
    };
    let access = match judged {
        Some(judged) => Some(settled(&registry, judged).await),
        None => None,
    };
    let hand_out = move || desk.hand_out(&asked, access).map(|response| (response, asked));
    let (mut response, asked) = match is_costly {
        true => state.heavy.run(client, most, hand_out).await?,
        false => hand_out()?,
    };
    // For the log: the token service authenticates its callers itself.
    let TokenRequest { holder, proof, .. } = asked;
    response.extensions_mut().insert(Caller::new(holder.subject, proof));
    Ok(response)
}

impl TokenRequest {
    /// Whether evaluating the scopes could block the reactor noticeably if there are thousands of rules.
    fn is_costly(&self) -> bool {
        self.scopes.iter().map(String::len).sum::<usize>() > FEW_SCOPES
    }
}

impl TokenHandler {
    /// Evaluates the scopes by the rules. A token requested without scopes only identifies its bearer, and does not
    /// limit them.
    fn evaluate(&self, asked: &TokenRequest) -> Option<Vec<Judged>> {
        let scopes = asked.scopes.iter().flat_map(|scopes| scopes.split_ascii_whitespace()).take(MOST_SCOPES);
        let scopes: Vec<_> = scopes.collect();
        (!scopes.is_empty()).then(|| {
            let (subject, ceiling) = (&asked.holder.subject, asked.holder.ceiling());
            let rights = self.live.rights.of(subject, &ceiling, scopes.len());
            let judge = |scope: &&str| match Scope::parse(scope)? {
                Scope::Repository(name, actions) => Some(Judged::Repository(rights.decide(&name, &actions), name)),
                // Who is not logged in sees what is public, which nobody knows beforehand.
                Scope::Catalog => ceiling.allows_listing().then_some(Judged::Catalog),
            };
            scopes.iter().filter_map(judge).collect()
        })
    }

    fn hand_out(
        &self,
        asked: &TokenRequest,
        access: Option<Vec<Access>>,
    ) -> Result<Response<ResponseBody>, ServiceError> {
        let service = &self.service;
        let (now, lives) = (SystemTime::now(), self.live.token_lives);
        let holder = (&asked.holder.subject, asked.holder.key.as_ref().map(|(id, _)| *id));
        let (token, access) = self.fitting_token(holder, access, now)?;
        let mut message = json!({
            "token": token, "access_token": token, "expires_in": lives.access.as_secs(),
            "issued_at": Timestamp::try_from(now).unwrap_or_default().strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
            "scope": access.iter().flatten().map(access_text).collect::<Vec<_>>().join(" "),
        });
        if asked.offline && !lives.refresh.is_zero() && asked.holder.subject != Subject::Anonymous {
            message["refresh_token"] =
                json!(service.issuer.refresh_token(&service.users, holder, now, lives.refresh)?);
        }
        let mut response = super::answer::json(message.to_string(), "application/json");
        response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        Ok(response)
    }

    /// A token for `access`, or for its first entries if the token would otherwise be too long for a request; returns
    /// also what it grants.
    fn fitting_token(
        &self,
        holder: (&Subject, Option<ApiKeyId>),
        mut access: Option<Vec<Access>>,
        now: SystemTime,
    ) -> Result<(String, Option<Vec<Access>>), ServiceError> {
        let (service, most) = (&self.service, longest_token(self.header_bytes));
        let life = self.live.token_lives.access;
        loop {
            let token = service.issuer.access_token(&service.users, holder, access.as_deref(), now, life)?;
            match access.as_mut() {
                _ if token.len() <= most => return Ok((token, access)),
                Some(entries) if !entries.is_empty() => {
                    entries.truncate((entries.len() * most / token.len()).min(entries.len() - 1));
                }
                _ => return Err(ServiceError::TokenRequest("a token for this user would be too long to be accepted")),
            }
        }
    }

    /// `GET`: query parameters, and an optional Basic header.
    async fn read_query(&self) -> Result<TokenRequest, ServiceError> {
        let query = Query::parse(self.head.uri.query().unwrap_or_default());
        let holder = match presented(&self.head.headers)? {
            Presented::Nobody => CredentialHolder::nobody(),
            Presented::Password(credentials) => self.holder(&credentials).await?,
            Presented::Token(text) if ApiKeyText::parse(&text).is_some() => self.holder_of_key(&text).await?,
            Presented::Malformed(why) => return Err(self.refused(why.to_string(), why.to_string())),
            Presented::Token(_) | Presented::Other => {
                let why = "a token is given for a user name and a password (Basic)";
                return Err(self.refused(why, why));
            }
        };
        let offline = query.first("offline_token") == Some("true");
        let proof = holder.proof(Proof::Basic);
        Ok(TokenRequest { holder, scopes: query.all("scope").map(str::to_owned).collect(), proof, offline })
    }

    /// `POST`: a form (RFC 6749 §4.3, §6).
    async fn read_form(
        &self,
        mut incoming: impl Stream<Item = Result<Bytes, Interruption>> + Unpin,
    ) -> Result<TokenRequest, ServiceError> {
        let mut form = Vec::new();
        while let Some(bytes) = incoming.next().await {
            let bytes = bytes.map_err(registry::RegistryError::Interrupted)?;
            if form.len() + bytes.len() > LONGEST_FORM {
                return Err(ServiceError::TokenRequest("the form is longer than 32 KiB"));
            }
            form.extend_from_slice(&bytes);
        }
        let form = String::from_utf8(form).map_err(|_| ServiceError::TokenRequest("the form is not UTF-8 text"))?;
        let form = Query::parse(&form);
        let (holder, proof) = match form.one("grant_type")? {
            Some("password") => {
                let (Some(user), Some(password)) = (form.one("username")?, form.one("password")?) else {
                    return Err(ServiceError::TokenRequest("grant_type=password needs username and password"));
                };
                if [user, password].iter().any(|text| text.contains(['\0', '\r', '\n'])) {
                    let why = InvalidCredentials::ControlCharacter.to_string();
                    return Err(self.refused(why.clone(), why));
                }
                let holder = self.holder(&Credentials::new(user, password)).await?;
                let proof = holder.proof(Proof::Basic);
                (holder, proof)
            }
            Some("refresh_token") => {
                let token = form.one("refresh_token")?.unwrap_or_default();
                let message = "the refresh token is invalid or expired";
                // When refresh tokens are disabled, those issued earlier are invalid too.
                if self.live.token_lives.refresh.is_zero() {
                    return Err(self.refused(message, "refresh tokens are switched off (tokens.refresh_days)"));
                }
                let bearer = self.service.issuer.verify_refresh(&self.service.users, token, SystemTime::now());
                let bearer = bearer.map_err(|why| self.refused(message, format!("refresh token rejected: {why}")))?;
                let limits = self.check().limits_of(&bearer).await?.map_err(|why| self.refused(message, why))?;
                let limits = limits.map(|(_, scopes)| scopes);
                let Bearer { subject, key, .. } = bearer;
                (CredentialHolder { subject, key: key.zip(limits) }, Proof::Token)
            }
            _ => return Err(ServiceError::TokenRequest("grant_type is password or refresh_token")),
        };
        let offline = form.first("access_type") == Some("offline");
        Ok(TokenRequest { holder, scopes: form.all("scope").map(str::to_owned).collect(), proof, offline })
    }

    /// The user these credentials belong to.
    async fn holder(&self, credentials: &Credentials) -> Result<CredentialHolder, ServiceError> {
        let holder = self.check().by_password(&self.service.users, credentials).await?;
        holder.ok_or_else(|| self.refused("wrong user name or password", "wrong user name or password"))
    }

    /// The owner of an API key that was sent as a token.
    async fn holder_of_key(&self, text: &str) -> Result<CredentialHolder, ServiceError> {
        let holder = match ApiKeyText::parse(text) {
            Some(key) => self.check().by_key(&self.service.users, &key).await?,
            None => None,
        };
        holder.ok_or_else(|| self.refused("the API key is unknown or has expired", "unknown API key"))
    }

    fn check(&self) -> LoginCheck<'_> {
        LoginCheck::of(&self.state, &self.live, self.client)
    }

    /// A 401 that asks for a password: that is how callers authenticate to the token service.
    fn refused(&self, message: impl Into<Cow<'static, str>>, reason: impl Into<String>) -> ServiceError {
        ServiceError::Unauthorized {
            challenge: basic(&self.service.name),
            message: message.into(),
            reason: reason.into(),
        }
    }
}

/// The rules' result for a scope.
enum Judged {
    Repository(Vec<(Action, Decision)>, RepositoryName),
    Catalog,
}

/// The granted part of the scopes, after the registry has decided what depends on repository facts.
async fn settled(registry: &Registry, judged: Vec<Judged>) -> Vec<Access> {
    let access = |kind: &str, name: &str, actions| Access { kind: kind.into(), name: name.into(), actions };
    let mut settled = Vec::new();
    for judged in judged {
        match judged {
            Judged::Catalog => settled.push(access("registry", "catalog", vec!["*".into()])),
            Judged::Repository(decisions, name) => {
                let mut words = Vec::new();
                for (action, decision) in decisions {
                    let verdict = match decision {
                        Decision::Decided(verdict) => verdict,
                        Decision::NeedsFacts(undecided) => registry.repository(&name).decide_by_facts(undecided).await,
                    };
                    words.extend(verdict.allowed.then(|| action.to_string()));
                }
                if !words.is_empty() {
                    settled.push(access("repository", name.as_str(), words));
                }
            }
        }
    }
    settled
}

fn access_text(access: &Access) -> String {
    format!("{}:{}:{}", access.kind, access.name, access.actions.join(","))
}
