//! The cookie of a session: a browser keeps it where no script can read it.

use super::{
    headers::{text, value},
    routed::Routed,
};
use crate::{config::is_loopback, identity::CookieText};
use http::{HeaderMap, HeaderValue, header, uri::Scheme};
use std::time::Duration;

/// Its name over https. With this prefix a browser accepts it only from this host, by https, for all paths: no page of
/// a neighbouring host can replace it.
const SECURE: &str = "__Host-wharf";

/// Its name over plain http, where browsers refuse that prefix.
const PLAIN: &str = "wharf";

/// The value of the session cookie that a client sent. The safer one counts.
pub(super) fn sent(headers: &HeaderMap) -> Option<&str> {
    named(headers, SECURE).or_else(|| named(headers, PLAIN))
}

/// The value of the first cookie of this name.
pub(super) fn named<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let lines = headers.get_all(header::COOKIE).into_iter().filter_map(|line| line.to_str().ok());
    let mut pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(known, _)| *known == name).map(|(_, value)| value)
}

impl Routed {
    /// Whether a cookie may be set: the client came by https, or nobody can listen between it and this machine, or the
    /// operator accepts that somebody can.
    pub(super) fn may_set_cookie(&self) -> bool {
        self.is_secure() || self.live.sessions.insecure_cookie || self.is_from_here()
    }

    pub(super) fn is_secure(&self) -> bool {
        let tls = self.conn.as_ref().is_some_and(|conn| conn.tls);
        self.front().scheme.map_or(tls, |scheme| scheme == Scheme::HTTPS)
    }

    fn is_from_here(&self) -> bool {
        let host = self.front().host.map(|host| host.host().to_owned());
        let asked = || text(&self.head.headers, &header::HOST)?.parse::<http::uri::Authority>().ok();
        let host = host.or_else(|| Some(asked()?.host().to_owned()));
        host.is_some_and(|host| is_loopback(&host))
    }

    /// `Set-Cookie` with a session's cookie.
    pub(super) fn session_cookie(&self, cookie: &CookieText, life: Duration) -> HeaderValue {
        self.set_cookie(cookie.reveal(), life)
    }

    /// `Set-Cookie` that removes the cookie.
    pub(super) fn no_cookie(&self) -> HeaderValue {
        self.set_cookie("", Duration::ZERO)
    }

    fn set_cookie(&self, content: &str, life: Duration) -> HeaderValue {
        let (name, secure) = if self.is_secure() { (SECURE, "; Secure") } else { (PLAIN, "") };
        let seconds = life.as_secs();
        let mut value = value(format!("{name}={content}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}"));
        value.set_sensitive(true);
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_session_cookie_is_found_among_others_and_the_safer_one_counts() {
        let of = |lines: &[&'static str]| {
            let lines = lines.iter().map(|line| (header::COOKIE, HeaderValue::from_static(line)));
            sent(&lines.collect()).map(str::to_owned)
        };
        assert_eq!(of(&["theme=dark; wharf=a"]).as_deref(), Some("a"));
        assert_eq!(of(&["wharf=a; __Host-wharf=b"]).as_deref(), Some("b"));
        assert_eq!(of(&["theme=dark", "__Host-wharf=b=c"]).as_deref(), Some("b=c"));
        for lines in [&["theme=dark"][..], &["xwharf=a"], &["wharf"], &[]] {
            assert_eq!(of(lines), None, "{lines:?}");
        }
    }
}
