//! Keeps web pages of other sites from acting in the name of somebody who has logged in, or from this network.

use super::super::{
    cookie,
    error::{ApiError, ServiceError},
    headers::text,
    routed::Routed,
};
use crate::config::{Live, Origins, is_loopback};
use http::{HeaderMap, HeaderName, Method, header, uri::Authority};
use std::net::IpAddr;

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Refuses requests that a page of another site could have made.
///
/// A write must come from a page of the registry itself, from an origin in `server.cors_origins`, or from a program
/// that is no browser. A browser sends the cookie of a session without being asked, so a write with nothing but the
/// cookie must say that it comes from such a page; `"*"` in `server.cors_origins` does not count for it. Without
/// authentication the host must be known too: a site whose name is suddenly resolved to
/// this machine (DNS rebinding) is "the same origin" for a browser.
///
/// # Errors
/// [`ApiError::OtherSite`], [`ApiError::UnknownHost`].
pub(in super::super) fn check_origin(routed: &Routed) -> Result<(), ServiceError> {
    let (head, front) = (&routed.head, routed.front().host);
    let host = front.as_ref().or(head.uri.authority()).map(Authority::as_str);
    let host = host.or_else(|| text(&head.headers, &header::HOST));
    let is_read = matches!(head.method, Method::GET | Method::HEAD);
    let by_cookie = cookie::sent(&head.headers).is_some() && !head.headers.contains_key(header::AUTHORIZATION);
    check(is_read, by_cookie, host, &head.headers, &routed.live)
}

fn check(
    is_read: bool,
    by_cookie: bool,
    host: Option<&str>,
    headers: &HeaderMap,
    live: &Live,
) -> Result<(), ServiceError> {
    if live.identity.is_nobody() && !host.is_some_and(|host| is_own(host, live)) {
        return Err(ApiError::UnknownHost(host.unwrap_or_default().to_owned()).into());
    }
    match is_read || is_of_same_site(by_cookie, headers, host, live) {
        true => Ok(()),
        false => Err(ApiError::OtherSite.into()),
    }
}

/// Whether a request is from this site or from one that is allowed, or, unless a cookie is all that it has, not from a
/// page.
fn is_of_same_site(by_cookie: bool, headers: &HeaderMap, host: Option<&str>, live: &Live) -> bool {
    let origin = text(headers, &header::ORIGIN);
    let may_allow = !by_cookie || live.cors_origins != Origins::Any;
    if may_allow && origin.is_some_and(|origin| live.cors_origins.allow(origin.as_bytes())) {
        return true;
    }
    match (text(headers, &SEC_FETCH_SITE), origin) {
        (Some("same-origin"), _) => true,
        // Somebody typed the address: no page is involved, and nobody writes like that with a cookie.
        (Some("none"), _) => !by_cookie,
        (Some(_), _) => false,
        // Old browsers send only `Origin`.
        (None, Some(origin)) => {
            let authority = origin.split_once("://").map(|(_, authority)| authority);
            authority.is_some() && authority == host
        }
        (None, None) => !by_cookie,
    }
}

/// Whether a host is a name of this registry that no other site can take.
fn is_own(host: &str, live: &Live) -> bool {
    let Ok(host) = host.parse::<Authority>() else { return false };
    let name = host.host().trim_start_matches('[').trim_end_matches(']');
    is_loopback(host.host())
        || name.parse::<IpAddr>().is_ok()
        || live.public_host.as_deref().is_some_and(|own| own.eq_ignore_ascii_case(host.host()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Origins;
    use http::HeaderValue;

    fn checked(is_read: bool, host: &str, live: &Live, headers: &[(&'static str, &'static str)]) -> bool {
        let header = |(name, value): &(&'static str, &'static str)| {
            (HeaderName::from_static(name), HeaderValue::from_static(value))
        };
        check(is_read, false, Some(host), &headers.iter().map(header).collect(), live).is_ok()
    }

    #[test]
    fn a_write_with_only_a_cookie_says_that_it_is_from_a_page_of_this_site() {
        let host = "registry.example.com";
        let checked = |live: &Live, headers: &[(&'static str, &'static str)]| {
            let header = |(name, value): &(&'static str, &'static str)| {
                (HeaderName::from_static(name), HeaderValue::from_static(value))
            };
            check(false, true, Some(host), &headers.iter().map(header).collect(), live).is_ok()
        };
        let with = |cors_origins| Live { cors_origins, public_host: Some(host.into()), ..Live::default() };
        let these = with(Origins::These(vec!["https://ui.example.com".into()]));
        let any = with(Origins::Any);
        for (headers, allowed, allowed_with_any) in [
            (vec![], false, false),
            (vec![("sec-fetch-site", "same-origin")], true, true),
            (vec![("sec-fetch-site", "none")], false, false),
            (vec![("sec-fetch-site", "same-site")], false, false),
            (vec![("origin", "https://registry.example.com")], true, true),
            (vec![("origin", "https://evil.example.com")], false, false),
            (vec![("origin", "null")], false, false),
            (vec![("sec-fetch-site", "same-site"), ("origin", "https://ui.example.com")], true, false),
        ] {
            assert_eq!(checked(&these, &headers), allowed, "{headers:?}");
            assert_eq!(checked(&any, &headers), allowed_with_any, "{headers:?}");
        }
    }

    #[test]
    fn pages_of_other_sites_cannot_write() {
        let live = Live { public_host: Some("registry.example.com".into()), ..Live::default() };
        let host = "registry.example.com";
        for (headers, allowed) in [
            (vec![], true),
            (vec![("sec-fetch-site", "same-origin")], true),
            (vec![("sec-fetch-site", "none")], true),
            (vec![("sec-fetch-site", "same-site")], false),
            (vec![("sec-fetch-site", "cross-site"), ("origin", "https://registry.example.com")], false),
            (vec![("origin", "https://registry.example.com")], true),
            (vec![("origin", "https://evil.example.com")], false),
            (vec![("origin", "null")], false),
        ] {
            assert_eq!(checked(false, host, &live, &headers), allowed, "{headers:?}");
            assert!(checked(true, host, &live, &headers), "{headers:?}");
        }
        let open = Live { cors_origins: Origins::Any, ..live };
        assert!(checked(false, host, &open, &[("origin", "https://evil.example.com")]));
    }

    #[test]
    fn without_authentication_only_known_hosts_are_served() {
        let live = Live { public_host: Some("registry.example.com".into()), ..Live::default() };
        for (host, known) in [
            ("localhost:15000", true),
            ("127.0.0.1", true),
            ("[::1]:15000", true),
            ("10.0.0.7:15000", true),
            ("[2001:db8::1]", true),
            ("REGISTRY.example.com:15000", true),
            ("rebound.example.org", false),
            ("registry.example.com.evil.org", false),
            ("", false),
        ] {
            assert_eq!(checked(true, host, &live, &[]), known, "{host}");
        }
    }
}
