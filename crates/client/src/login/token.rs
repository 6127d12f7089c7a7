//! Tokens from a token service: by GET with a password or without, by POST with an identity token.

use super::{Credential, Realm, Scopes, Secret, basic_header, origin};
use crate::{
    error::ErrorCause,
    transport::{Authorization, Call, Transport, Whole},
    url,
};
use bytes::Bytes;
use http::{Method, StatusCode, header};
use std::time::{Duration, Instant};

/// What a token service gave.
pub(super) struct GrantedToken {
    pub(super) token: Secret,
    pub(super) until: Instant,
    /// A refresh token, if one was asked for and given.
    pub(super) identity: Option<Secret>,
}

/// The largest answer of a token service. Tokens with many scopes reach some ten thousand bytes.
const MOST_BYTES: usize = 1 << 20;

/// Every token is good for a minute at least; the protocol says so, and some services forget the field.
const SHORTEST: u64 = 60;

/// What this program calls itself there.
const CLIENT: &str = "wharfinger";

/// A token for these scopes. With `lasting`, an identity token is asked for too.
pub(super) async fn fetch(
    transport: &Transport,
    realm: &Realm,
    scopes: &Scopes,
    credential: &Credential,
    lasting: bool,
) -> Result<GrantedToken, ErrorCause> {
    let answer = match credential {
        Credential::IdentityToken(token) => {
            let secret = [("grant_type", "refresh_token"), ("refresh_token", token.expose())];
            post(transport, realm, scopes, &secret, lasting).await?
        }
        _ => {
            let answer = get(transport, realm, scopes, credential, lasting).await?;
            match (credential, answer.status) {
                // Some services know nothing but OAuth2.
                (Credential::Password { user, password }, StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED) => {
                    let secret = [("grant_type", "password"), ("username", user), ("password", password.expose())];
                    post(transport, realm, scopes, &secret, lasting).await?
                }
                _ => answer,
            }
        }
    };
    if answer.status != StatusCode::OK {
        let fault = answer.fault();
        return Err(fault.before(&format!("the token service at {} answered ", url::shown(&realm.url))));
    }
    read(&answer.bytes)
        .ok_or_else(|| ErrorCause::protocol(format!("the answer of {} has no token", url::shown(&realm.url))))
}

async fn get(
    transport: &Transport,
    realm: &Realm,
    scopes: &Scopes,
    credential: &Credential,
    lasting: bool,
) -> Result<Whole, ErrorCause> {
    let scopes: Vec<String> = scopes.iter().collect();
    let mut pairs: Vec<(&str, &str)> = Vec::new();
    pairs.extend(realm.service.as_deref().map(|service| ("service", service)));
    pairs.extend(scopes.iter().map(|scope| ("scope", scope.as_str())));
    if let Credential::Password { user, .. } = credential {
        pairs.push(("account", user));
    }
    if lasting {
        pairs.extend([("offline_token", "true"), ("client_id", CLIENT)]);
    }
    let target =
        url::with_query(&realm.url, &pairs).map_err(|error| ErrorCause::protocol(format!("the realm is {error}")))?;
    let (basic, origin) = (basic_header(credential)?, origin(&realm.url)?);
    let who = basic.as_ref().map(|value| Authorization { value, only: &origin });
    transport.send(&Call::new(Method::GET, target), who).await?.whole(MOST_BYTES).await
}

async fn post(
    transport: &Transport,
    realm: &Realm,
    scopes: &Scopes,
    secret: &[(&str, &str)],
    lasting: bool,
) -> Result<Whole, ErrorCause> {
    let scopes = scopes.to_string();
    let mut pairs = secret.to_vec();
    pairs.push(("client_id", CLIENT));
    pairs.extend(realm.service.as_deref().map(|service| ("service", service)));
    pairs.extend((!scopes.is_empty()).then_some(("scope", scopes.as_str())));
    pairs.extend(lasting.then_some(("access_type", "offline")));
    let form = form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
    let call = Call::new(Method::POST, realm.url.clone()).body(Bytes::from(form));
    let call = call.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")?;
    // The secret is in the body, so this must not be repeated elsewhere.
    transport.send_here(&call).await?.whole(MOST_BYTES).await
}

fn read(body: &[u8]) -> Option<GrantedToken> {
    #[derive(serde::Deserialize)]
    struct TokenResponse {
        token: Option<String>,
        access_token: Option<String>,
        expires_in: Option<f64>,
        refresh_token: Option<String>,
    }
    let body: TokenResponse = oci::json::from_slice(body).ok()?;
    let given = |text: Option<String>| text.filter(|text| !text.is_empty());
    let token = given(body.token).or(given(body.access_token))?;
    let seconds = (body.expires_in.unwrap_or_default() as u64).clamp(SHORTEST, 365 * 86_400);
    // A tenth early, at most ten seconds: a request takes a while to arrive, and clocks differ.
    let early = (seconds / 10).min(10);
    let until = Instant::now() + Duration::from_secs(seconds - early);
    Some(GrantedToken { token: Secret::new(token), until, identity: given(body.refresh_token).map(Secret::new) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_names_of_the_token_are_read_and_lifetimes_are_at_least_a_minute() {
        let lifetime = |body: &str| read(body.as_bytes()).map(|g| (g.until - Instant::now()).as_secs() + 1);
        assert_eq!(lifetime(r#"{"token":"t"}"#), Some(54));
        assert_eq!(lifetime(r#"{"access_token":"t","expires_in":300,"issued_at":"x"}"#), Some(290));
        assert_eq!(lifetime(r#"{"token":"","access_token":"t","expires_in":-1}"#), Some(54));
        assert!(lifetime(r#"{"token":"t","expires_in":1e300}"#) > Some(86_400));
        for bad in ["", "{}", r#"{"token":""}"#, r#"["t"]"#, r#"{"token":1}"#] {
            assert_eq!(lifetime(bad), None, "{bad}");
        }
        let given = read(br#"{"token":"t","refresh_token":"r"}"#).unwrap();
        assert_eq!((given.token.expose(), given.identity.unwrap().expose()), ("t", "r"));
    }
}
