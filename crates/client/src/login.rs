//! Logging in: which header a request carries, and what to do about a 401.
//!
//! What a registry demanded once is sent with later requests unasked. Tokens are kept per set of
//! scopes; whoever needs one that is being fetched waits for it.

mod challenge;
mod credentials;
mod scope;
mod token;

pub use credentials::{Credential, CredentialSource, Secret};
pub(crate) use scope::Scopes;

use crate::{
    error::{ErrorCause, ErrorKind},
    transport::Transport,
    url::Origin,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use challenge::Challenge;
use http::{HeaderMap, HeaderValue, Uri, header};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};
use tokio::sync::Mutex as AsyncMutex;

/// The login of one client at one registry.
pub(crate) struct Login {
    credentials: Arc<dyn CredentialSource>,
    /// What they answered: asking again may start a program. Forgotten when it is refused.
    known: AsyncMutex<Option<Credential>>,
    demand: Mutex<Option<Demand>>,
    tokens: Mutex<HashMap<Scopes, Arc<AsyncMutex<TokenSlot>>>>,
}

/// What the registry demands.
#[derive(Clone)]
enum Demand {
    Basic,
    Bearer(Realm),
}

/// Where its tokens come from.
#[derive(Clone)]
struct Realm {
    url: Uri,
    service: Option<String>,
}

/// The token for a set of scopes.
#[derive(Default)]
struct TokenSlot {
    /// What the registry asked for beyond the set.
    more: Scopes,
    token: Option<Token>,
}

struct Token {
    header: HeaderValue,
    until: Instant,
}

/// Sets of scopes that are remembered. A migration passes thousands of repositories.
const MOST_TOKENS: usize = 1000;

impl Login {
    pub(crate) fn new(credentials: Arc<dyn CredentialSource>) -> Self {
        Self { credentials, known: AsyncMutex::default(), demand: Mutex::default(), tokens: Mutex::default() }
    }

    /// The header for a request that needs these scopes; none as long as nothing was demanded.
    pub(crate) async fn header(
        &self,
        transport: &Transport,
        scopes: &Scopes,
    ) -> Result<Option<HeaderValue>, ErrorCause> {
        match self.demand() {
            None => Ok(None),
            Some(Demand::Basic) => basic_header(&self.credential(transport).await?),
            Some(Demand::Bearer(realm)) => {
                let slot = self.slot(scopes);
                let mut slot = slot.lock().await;
                self.token(transport, &realm, scopes, &mut slot).await.map(Some)
            }
        }
    }

    /// Takes in a 401. Answers with a header that was not tried yet, or `None` if there is none.
    pub(crate) async fn challenged(
        &self,
        transport: &Transport,
        scopes: &Scopes,
        tried: Option<&HeaderValue>,
        headers: &HeaderMap,
    ) -> Result<Option<HeaderValue>, ErrorCause> {
        let Some((demand, asked)) = parse_challenge(transport, headers)? else { return Ok(None) };
        *self.demand.lock().unwrap_or_else(PoisonError::into_inner) = Some(demand.clone());
        if tried.is_some() {
            self.known.lock().await.take();
        }
        let header = match demand {
            Demand::Basic => basic_header(&self.credential(transport).await?)?,
            Demand::Bearer(realm) => {
                let slot = self.slot(scopes);
                let mut slot = slot.lock().await;
                let is_tried = |token: &Token| tried == Some(&token.header);
                let wider = slot.more.clone().union(&asked);
                if slot.token.as_ref().is_some_and(is_tried) || wider != slot.more {
                    slot.token = None;
                }
                slot.more = wider;
                Some(self.token(transport, &realm, scopes, &mut slot).await?)
            }
        };
        Ok(header.filter(|header| tried != Some(header)))
    }

    /// Whether a 401 says that the caller is known, and may not do this (RFC 6750, `insufficient_scope`).
    pub(crate) async fn is_refused(&self, transport: &Transport, headers: &HeaderMap) -> bool {
        let values = headers.get_all(header::WWW_AUTHENTICATE);
        let challenges = Challenge::parse(values.iter().filter_map(|value| value.to_str().ok()));
        let says_so = challenges.iter().any(|challenge| challenge.get("error") == Some("insufficient_scope"));
        // Looked up again if another request has just forgotten it, to ask for another.
        says_so && self.credential(transport).await.is_ok_and(|found| !matches!(found, Credential::Anonymous))
    }

    /// The credential for this registry.
    pub(crate) async fn credential(&self, transport: &Transport) -> Result<Credential, ErrorCause> {
        let mut known = self.known.lock().await;
        if let Some(credential) = &*known {
            return Ok(credential.clone());
        }
        let found = self.credentials.lookup(transport.registry.name()).await;
        let found = found.map_err(|why| ErrorCause::new(ErrorKind::Unauthorized, crate::text::shown(&why)))?;
        Ok(known.insert(found).clone())
    }

    /// Logs in for long: an identity token, if the registry's token service gives one.
    pub(crate) async fn identity(&self, transport: &Transport) -> Result<Option<Secret>, ErrorCause> {
        let Some(Demand::Bearer(realm)) = self.demand() else { return Ok(None) };
        let credential = self.credential(transport).await?;
        if !matches!(credential, Credential::Password { .. }) {
            return Ok(None);
        }
        Ok(token::fetch(transport, &realm, &Scopes::none(), &credential, true).await?.identity)
    }

    /// A header before any challenge, from a credential that needs no exchange.
    pub(crate) async fn unasked(&self, transport: &Transport) -> Result<Option<HeaderValue>, ErrorCause> {
        basic_header(&self.credential(transport).await?)
    }

    fn demand(&self) -> Option<Demand> {
        self.demand.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn slot(&self, scopes: &Scopes) -> Arc<AsyncMutex<TokenSlot>> {
        let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        if tokens.len() >= MOST_TOKENS && !tokens.contains_key(scopes) {
            // Whoever waits for one of them has it already; the others are fetched again.
            tokens.clear();
        }
        tokens.entry(scopes.clone()).or_default().clone()
    }

    /// The slot's token, or a new one.
    async fn token(
        &self,
        transport: &Transport,
        realm: &Realm,
        scopes: &Scopes,
        slot: &mut TokenSlot,
    ) -> Result<HeaderValue, ErrorCause> {
        if let Some(token) = slot.token.as_ref().filter(|token| Instant::now() < token.until) {
            return Ok(token.header.clone());
        }
        let credential = self.credential(transport).await?;
        if let Credential::RegistryToken(token) = &credential {
            return bearer_header(token.expose());
        }
        let asked = scopes.clone().union(&slot.more);
        let granted = match token::fetch(transport, realm, &asked, &credential, false).await {
            Err(fault) => {
                self.known.lock().await.take();
                return Err(fault);
            }
            Ok(granted) => granted,
        };
        let header = bearer_header(granted.token.expose())?;
        slot.token = Some(Token { header: header.clone(), until: granted.until });
        Ok(header)
    }
}

/// The challenge that is answered, of several: Bearer before Basic. And the scopes it names.
fn parse_challenge(transport: &Transport, headers: &HeaderMap) -> Result<Option<(Demand, Scopes)>, ErrorCause> {
    let values = headers.get_all(header::WWW_AUTHENTICATE);
    let challenges = Challenge::parse(values.iter().filter_map(|value| value.to_str().ok()));
    // A realm that is no URL names no token service: such a server takes tokens that it gave elsewhere (RFC 6750).
    let is_url = |realm: &&str| realm.contains("://") || realm.starts_with('/');
    let bearer = challenges.iter().filter(|c| c.scheme == "bearer");
    let bearer = bearer.filter_map(|c| Some((c, c.get("realm").filter(is_url)?))).next();
    if let Some((challenge, realm)) = bearer {
        let base = transport.registry.url("/v2/").map_err(|_| ErrorCause::protocol("the registry has no URL"))?;
        let url = transport.locate(&base, realm)?;
        let scopes = Scopes::parse(challenge.get("scope").unwrap_or_default());
        let realm = Realm { url, service: challenge.get("service").map(str::to_owned) };
        return Ok(Some((Demand::Bearer(realm), scopes)));
    }
    Ok(challenges.iter().any(|c| c.scheme == "basic").then(|| (Demand::Basic, Scopes::none())))
}

fn basic_header(credential: &Credential) -> Result<Option<HeaderValue>, ErrorCause> {
    match credential {
        Credential::Password { user, password } => {
            let pair = STANDARD.encode(format!("{user}:{}", password.expose()));
            sensitive(&format!("Basic {pair}")).map(Some)
        }
        Credential::RegistryToken(token) => bearer_header(token.expose()).map(Some),
        Credential::Anonymous | Credential::IdentityToken(_) => Ok(None),
    }
}

fn bearer_header(token: &str) -> Result<HeaderValue, ErrorCause> {
    sensitive(&format!("Bearer {token}"))
}

/// A header value that libraries do not show or compress.
fn sensitive(text: &str) -> Result<HeaderValue, ErrorCause> {
    // The text must not become part of the error.
    let mut value = HeaderValue::from_str(text)
        .map_err(|_| ErrorCause::protocol("a token has characters that no header may have"))?;
    value.set_sensitive(true);
    Ok(value)
}

/// The origin of the registry, or of a token service.
fn origin(url: &Uri) -> Result<Origin, ErrorCause> {
    Origin::of(url).map_err(|error| ErrorCause::protocol(format!("the token service's address is {error}")))
}
