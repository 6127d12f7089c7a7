//! What a client sends and gets, for those who look for the cause of a problem. Secrets are left out.

use crate::text::shown;
use http::{HeaderMap, HeaderName, Method, StatusCode, Uri, header};
use std::{sync::Arc, time::Duration};

/// One request and its answer. Nothing in it is a secret, and all of it can be shown on a terminal.
#[derive(Clone, Debug)]
pub struct ExchangeReport {
    /// The method.
    pub method: Method,
    /// The URL, without what could be a secret.
    pub url: String,
    /// The headers of the request. `•••` stands for secrets.
    pub sent: Vec<(String, String)>,
    /// The status and headers of the answer, or why there is none.
    pub answer: Result<(StatusCode, Vec<(String, String)>), String>,
    /// How long the answer took, until its headers.
    pub elapsed: Duration,
}

/// Is told of each request after its answer, redirects and logins included.
pub type ExchangeObserver = Arc<dyn Fn(&ExchangeReport) + Send + Sync>;

/// What stands for a secret.
const MASK: &str = "•••";

/// Parameters of registries that hold no secret. Those of other servers, such as signed URLs of a store, are all hidden.
const PLAIN: &[&str] = &[
    "account",
    "artifactType",
    "client_id",
    "confirm",
    "digest",
    "from",
    "group",
    "include",
    "kind",
    "last",
    "mount",
    "n",
    "namespace",
    "num",
    "offline_token",
    "offset",
    "order",
    "owner",
    "path",
    "q",
    "repo",
    "scope",
    "service",
    "size",
    "sort",
    "user",
    "version",
    "visibility",
];

/// A URL without what could be a secret.
pub(crate) fn shown_url(url: &Uri, is_own: bool) -> String {
    let scheme = url.scheme_str().unwrap_or_default();
    // A user name and password before the host are not ours, and not shown.
    let host = url.authority().map_or("", |authority| authority.as_str().rsplit('@').next().unwrap_or_default());
    let mut text = format!("{scheme}://{host}{}", url.path());
    if let Some(query) = url.query() {
        let parts = query.split('&').map(|pair| match pair.split_once('=') {
            Some((key, _)) if is_own && PLAIN.contains(&key) => pair.to_owned(),
            Some((key, _)) => format!("{key}={MASK}"),
            None => MASK.to_owned(),
        });
        text = format!("{text}?{}", parts.collect::<Vec<_>>().join("&"));
    }
    shown(&text)
}

/// Headers without secrets.
pub(crate) fn shown_headers(headers: &HeaderMap) -> Vec<(String, String)> {
    let one = |(name, value): (&HeaderName, &http::HeaderValue)| {
        let text = match value.to_str() {
            _ if value.is_sensitive() || is_secret(name) => MASK.to_owned(),
            Ok(url) if *name == header::LOCATION || *name == header::LINK => {
                // Parameters of another server's URL may be a signature.
                url.split_once('?').map_or_else(|| shown(url), |(before, _)| format!("{}?{MASK}", shown(before)))
            }
            Ok(text) => shown(text),
            Err(_) => "(not text)".to_owned(),
        };
        (name.to_string(), text)
    };
    headers.iter().map(one).collect()
}

fn is_secret(name: &HeaderName) -> bool {
    [header::AUTHORIZATION, header::PROXY_AUTHORIZATION, header::COOKIE, header::SET_COOKIE].contains(name)
        || ["token", "secret", "api-key", "password"].iter().any(|word| name.as_str().contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_not_shown() {
        for (url, is_own, text) in [
            ("https://r.example/v2/a/tags/list?n=10&last=b", true, "https://r.example/v2/a/tags/list?n=10&last=b"),
            ("https://r.example/auth?token=abc&scope=x", true, "https://r.example/auth?token=•••&scope=x"),
            ("https://s3.example/b?X-Amz-Signature=abc&n=1", false, "https://s3.example/b?X-Amz-Signature=•••&n=•••"),
            ("https://r.example/x?abc", true, "https://r.example/x?•••"),
            ("https://u:p@r.example/x", true, "https://r.example/x"),
        ] {
            assert_eq!(shown_url(&url.parse().unwrap(), is_own), text);
        }
        let mut headers = HeaderMap::new();
        headers.insert(header::AUTHORIZATION, "Bearer abc".parse().unwrap());
        headers.insert("x-registry-token", "abc".parse().unwrap());
        headers.insert(header::LOCATION, "https://s3.example/b?signature=abc".parse().unwrap());
        headers.insert(header::ACCEPT, "*/*".parse().unwrap());
        let shown = shown_headers(&headers);
        assert!(!shown.iter().any(|(_, value)| value.contains("abc")), "{shown:?}");
        assert!(shown.contains(&("accept".into(), "*/*".into())));
        assert!(shown.contains(&("location".into(), "https://s3.example/b?•••".into())));
    }
}
