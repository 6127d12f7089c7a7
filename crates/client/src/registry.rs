//! Which registry, and how to connect to it.

use crate::{login::Secret, url::Origin};
use http::Uri;
use oci::{InvalidName, RepositoryName};
use std::{fmt, str::FromStr};

/// A registry's address and how to connect to it.
///
/// Read from `registry.example.com`, `localhost:5000` or a URL without a path. Without a scheme it
/// is https, and http for this machine only. A text that says `http://` asks for plain HTTP.
#[derive(Clone)]
pub struct RegistryAddress {
    /// As people know it; differs from the host for Docker Hub.
    name: String,
    authority: String,
    pub(crate) tls: bool,
    pub(crate) plain_http: bool,
    pub(crate) options: TlsOptions,
}

#[derive(Clone, Default)]
pub(crate) struct TlsOptions {
    /// PEM.
    pub(crate) authorities: Vec<u8>,
    /// PEM of the chain and of the key.
    pub(crate) identity: Option<(Vec<u8>, Secret)>,
    pub(crate) insecure: bool,
    /// Several connections, each for one request at a time.
    pub(crate) http1_only: bool,
}

/// A text that names no registry.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a registry: write a host, host:port, or a URL without a path")]
pub struct InvalidRegistry(String);

/// Docker Hub's API has another host than people write.
const HUB: &str = "docker.io";
const HUB_HOST: &str = "registry-1.docker.io";

impl RegistryAddress {
    /// The name that people know it by, and credentials are kept under.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its URL, without a path: `https://registry.example.com`.
    pub fn base_url(&self) -> String {
        format!("{}://{}", if self.tls { "https" } else { "http" }, self.authority)
    }

    /// A repository by the name that people write: on Docker Hub, `library/` is left out.
    ///
    /// # Errors
    /// If it is not a repository's name.
    pub fn repository(&self, name: &str) -> Result<RepositoryName, InvalidName> {
        match self.name == HUB && !name.contains('/') {
            true => format!("library/{name}").parse(),
            false => name.parse(),
        }
    }

    /// Speaks plain HTTP. Passwords and content can then be read on the way.
    #[must_use]
    pub fn plain_http(mut self) -> Self {
        (self.tls, self.plain_http) = (false, true);
        self
    }

    /// Trusts these certificate authorities too (PEM): for the registry, its token service and
    /// where it redirects to.
    #[must_use]
    pub fn certificate_authorities(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.options.authorities = pem.into();
        self
    }

    /// Shows the registry's host, and no other, this certificate (PEM: the chain, and its key).
    #[must_use]
    pub fn client_certificate(mut self, chain: impl Into<Vec<u8>>, key: Secret) -> Self {
        self.options.identity = Some((chain.into(), key));
        self
    }

    /// Does not check the certificate of the registry's host. Whoever is on the way can then read
    /// and change everything but what has a digest.
    #[must_use]
    pub fn insecure(mut self) -> Self {
        self.options.insecure = true;
        self
    }

    /// The URL of a path.
    pub(crate) fn url(&self, path: &str) -> Result<Uri, http::Error> {
        let scheme = if self.tls { "https" } else { "http" };
        Uri::builder().scheme(scheme).authority(self.authority.as_str()).path_and_query(path).build()
    }

    pub(crate) fn origin(&self) -> Origin {
        let (host, port) = split(&self.authority);
        let host = host.trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase();
        Origin { tls: self.tls, host, port: port.unwrap_or(if self.tls { 443 } else { 80 }) }
    }

    /// Whether both are the same scheme, host and port: what is meant for one may be sent to the other.
    pub fn is_same_place(&self, other: &Self) -> bool {
        self.origin() == other.origin()
    }

    /// Whether this is the registry itself, so that its credentials may be sent there.
    pub(crate) fn is_own(&self, url: &Uri) -> bool {
        Origin::of(url).is_ok_and(|origin| origin == self.origin())
    }
}

impl FromStr for RegistryAddress {
    type Err = InvalidRegistry;

    fn from_str(text: &str) -> Result<Self, InvalidRegistry> {
        let invalid = || InvalidRegistry(oci::excerpt(text).into_owned());
        let (scheme, rest) = match text.split_once("://") {
            Some((scheme, rest)) => (Some(scheme.to_ascii_lowercase()), rest),
            None => (None, text),
        };
        let authority = rest.strip_suffix('/').unwrap_or(rest).to_ascii_lowercase();
        if !is_authority(&authority) {
            return Err(invalid());
        }
        let (name, authority) = match authority.as_str() {
            HUB | "index.docker.io" | HUB_HOST => (HUB.to_owned(), HUB_HOST.to_owned()),
            other => (other.to_owned(), other.to_owned()),
        };
        let registry = Self { name, authority, tls: true, plain_http: false, options: TlsOptions::default() };
        match scheme.as_deref() {
            Some("https") => Ok(registry),
            Some("http") => Ok(registry.plain_http()),
            Some(_) => Err(invalid()),
            None => Ok(Self { tls: !registry.origin().is_loopback(), ..registry }),
        }
    }
}

/// Host and port of an authority; IPv6 addresses have brackets.
fn split(authority: &str) -> (&str, Option<u16>) {
    match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, port.parse().ok()),
        _ => (authority, None),
    }
}

fn is_authority(text: &str) -> bool {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (text, None),
    };
    let port_is_good =
        port.is_none_or(|port| port.bytes().all(|b| b.is_ascii_digit()) && port.parse::<u16>().is_ok_and(|p| p > 0));
    let host_is_good = match host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => {
            let good = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
            !host.is_empty() && host.bytes().all(good) && !host.starts_with('.') && !host.contains("..")
        }
    };
    port_is_good && host_is_good
}

impl fmt::Display for RegistryAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl fmt::Debug for RegistryAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Registry({}://{})", if self.tls { "https" } else { "http" }, self.authority)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registries_use_https_except_on_this_machine_or_if_the_address_says_http() {
        for (text, url) in [
            ("registry.example.com", "https://registry.example.com/v2/"),
            ("Registry.Example.com:5000", "https://registry.example.com:5000/v2/"),
            ("10.0.0.1:5000", "https://10.0.0.1:5000/v2/"),
            ("localhost:5000", "http://localhost:5000/v2/"),
            ("127.0.0.1", "http://127.0.0.1/v2/"),
            ("[::1]:5000", "http://[::1]:5000/v2/"),
            ("https://localhost:5000", "https://localhost:5000/v2/"),
            ("http://reg.example/", "http://reg.example/v2/"),
            ("docker.io", "https://registry-1.docker.io/v2/"),
            ("https://index.docker.io", "https://registry-1.docker.io/v2/"),
        ] {
            let registry: RegistryAddress = text.parse().unwrap();
            assert_eq!(registry.url("/v2/").unwrap().to_string(), url, "{text}");
            assert!(registry.is_own(&url.parse().unwrap()), "{text}");
        }
        assert_eq!("registry-1.docker.io".parse::<RegistryAddress>().unwrap().name(), "docker.io");
    }

    #[test]
    fn names_on_docker_hub_are_completed() {
        let (hub, other) =
            ("docker.io".parse::<RegistryAddress>().unwrap(), "reg.example".parse::<RegistryAddress>().unwrap());
        assert_eq!(hub.repository("alpine").unwrap().as_str(), "library/alpine");
        assert_eq!(hub.repository("team/app").unwrap().as_str(), "team/app");
        assert_eq!(other.repository("alpine").unwrap().as_str(), "alpine");
        assert!(hub.repository("Alpine").is_err());
    }

    #[test]
    fn an_invalid_registry_address_is_refused() {
        for bad in [
            "",
            "/",
            "a/b",
            "https://a/v2",
            "ftp://a",
            "user@a",
            "a:0",
            "a:x",
            "a:70000",
            "a b",
            "[::1",
            "::1",
            "a..b",
            "a:",
        ] {
            assert!(bad.parse::<RegistryAddress>().is_err(), "{bad}");
        }
    }
}
