//! The address of a registry.

use std::net::{SocketAddr, ToSocketAddrs as _};

use crate::Result;

/// Scheme, host and port; a registry has no path of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Url {
    /// Whether it is `https`.
    pub tls: bool,
    /// Name or address, without brackets.
    pub host: String,
    /// 80 or 443 by default.
    pub port: u16,
}

impl Url {
    /// Parses `http://host:port`, with or without a final slash.
    pub fn parse(text: &str) -> Result<Self> {
        let (tls, rest) = match text.split_once("://") {
            Some(("http", rest)) => (false, rest),
            Some(("https", rest)) => (true, rest),
            _ => return Err(format!("not an http or https URL: {text}").into()),
        };
        let rest = rest.trim_end_matches('/');
        if rest.is_empty() || rest.contains(['/', '@', '?']) {
            return Err(format!("a URL of host and port alone is needed: {text}").into());
        }
        let default = if tls { 443 } else { 80 };
        let (host, port) = match rest.rsplit_once(':') {
            Some((host, port)) if !port.contains(']') => (host, port.parse()?),
            _ => (rest, default),
        };
        Ok(Self { tls, host: host.trim_matches(['[', ']']).to_owned(), port })
    }

    /// The value of `Host`.
    pub fn host_port(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }

    /// The first address of the host.
    pub fn address(&self) -> Result<SocketAddr> {
        let mut found = (self.host.as_str(), self.port).to_socket_addrs()?;
        found.next().ok_or_else(|| format!("no address of {}", self.host).into())
    }
}

impl std::fmt::Display for Url {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}://{}", if self.tls { "https" } else { "http" }, self.host_port())
    }
}

/// Path and query of a URL that may be absolute.
pub fn path(location: &str) -> &str {
    match location.split_once("://") {
        Some((_, rest)) => rest.find('/').map_or("/", |at| &rest[at..]),
        None => location,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_has_only_a_host_and_a_port() {
        let url = Url::parse("http://127.0.0.1:15000/").unwrap();
        assert_eq!((url.tls, url.host.as_str(), url.port), (false, "127.0.0.1", 15000));
        assert_eq!(Url::parse("https://[::1]:5000").unwrap().host_port(), "[::1]:5000");
        assert_eq!(Url::parse("https://r.example").unwrap().port, 443);
        for text in ["r.example", "ftp://r", "http://", "http://r/v2", "http://u@r", "http://r:x"] {
            assert!(Url::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_location_may_be_absolute() {
        assert_eq!(path("http://r:1/v2/a?b=c"), "/v2/a?b=c");
        assert_eq!(path("/v2/a"), "/v2/a");
    }
}
