//! URLs as registries send them: absolute or relative, to this host or another.

use http::Uri;
use std::net::IpAddr;

/// Why a URL from a registry cannot be followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a URL over http or https")]
pub(crate) struct InvalidUrl;

/// Scheme, host and port: who would be spoken to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Origin {
    pub(crate) tls: bool,
    /// Lower case; an IPv6 address without its brackets.
    pub(crate) host: String,
    pub(crate) port: u16,
}

impl Origin {
    /// The origin of an absolute URL.
    pub(crate) fn of(url: &Uri) -> Result<Self, InvalidUrl> {
        let tls = match url.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(InvalidUrl),
        };
        let authority = url.authority().ok_or(InvalidUrl)?;
        // A name or password before the host could only be there to mislead.
        if authority.as_str().contains('@') || authority.host().is_empty() {
            return Err(InvalidUrl);
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase();
        Ok(Self { tls, host, port: authority.port_u16().unwrap_or(if tls { 443 } else { 80 }) })
    }

    /// Whether this machine is meant, by a name or an address that says so.
    pub(crate) fn is_loopback(&self) -> bool {
        self.host == "localhost"
            || self.host.ends_with(".localhost")
            || self.host.parse::<IpAddr>().is_ok_and(|ip| ip.to_canonical().is_loopback())
    }

    /// Whether it is written as an address that only has a meaning near the client, or as this machine.
    pub(crate) fn is_near(&self) -> bool {
        self.is_loopback() || self.host.parse::<IpAddr>().is_ok_and(is_near)
    }
}

/// Whether an address is of this machine, its link, or a private network.
fn is_near(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => ip.is_loopback() || ip.is_private() || ip.is_link_local() || ip.is_unspecified(),
        IpAddr::V6(ip) => ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local() || ip.is_unspecified(),
    }
}

/// What `reference` means, read at `base` (RFC 3986, section 5).
pub(crate) fn join(base: &Uri, reference: &str) -> Result<Uri, InvalidUrl> {
    let reference = reference.split('#').next().unwrap_or_default().trim();
    let scheme = base.scheme_str().unwrap_or_default();
    let authority = base.authority().map_or("", |a| a.as_str());
    let has_scheme = reference.split(['/', '?']).next().is_some_and(|first| first.contains(':'));
    let absolute = if has_scheme {
        reference.to_owned()
    } else if let Some(rest) = reference.strip_prefix("//") {
        format!("{scheme}://{rest}")
    } else if reference.starts_with('/') {
        format!("{scheme}://{authority}{}", without_dots(reference))
    } else if reference.starts_with('?') || reference.is_empty() {
        let query = if reference.is_empty() {
            base.query().map_or(String::new(), |q| format!("?{q}"))
        } else {
            reference.into()
        };
        format!("{scheme}://{authority}{}{query}", base.path())
    } else {
        let directory = base.path().rsplit_once('/').map_or("", |(directory, _)| directory);
        format!("{scheme}://{authority}{}", without_dots(&format!("{directory}/{reference}")))
    };
    let url: Uri = absolute.parse().map_err(|_| InvalidUrl)?;
    Origin::of(&url).map(|_| url)
}

/// A path (with its query) without `.` and `..`.
fn without_dots(text: &str) -> String {
    let (path, query) = text.split_once('?').map_or((text, None), |(path, query)| (path, Some(query)));
    let mut kept: Vec<&str> = Vec::new();
    let segments: Vec<&str> = path.split('/').skip(1).collect();
    for (i, segment) in segments.iter().enumerate() {
        let is_last = i + 1 == segments.len();
        match *segment {
            "." if is_last => kept.push(""),
            "." => {}
            ".." => {
                kept.pop();
                if is_last {
                    kept.push("");
                }
            }
            other => kept.push(other),
        }
    }
    let query = query.map_or(String::new(), |query| format!("?{query}"));
    format!("/{}{query}", kept.join("/"))
}

/// The URL with this pair added to its query, which is kept as it is.
pub(crate) fn with_query(url: &Uri, pairs: &[(&str, &str)]) -> Result<Uri, InvalidUrl> {
    let added = form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
    if added.is_empty() {
        return Ok(url.clone());
    }
    let text = url.to_string();
    let separator = match url.query() {
        None => "?",
        Some("") => "",
        Some(_) => "&",
    };
    format!("{text}{separator}{added}").parse().map_err(|_| InvalidUrl)
}

/// The URL as errors show it: its query may hold a signature or a session, so it is left out.
pub(crate) fn shown(url: &Uri) -> String {
    let authority = url.authority().map_or("", |a| a.as_str());
    let authority = authority.rsplit('@').next().unwrap_or_default();
    crate::text::shown(&format!("{}://{authority}{}", url.scheme_str().unwrap_or("https"), url.path()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_url_from_a_registry_has_a_host_or_is_refused(reference in "[ -~é]{0,40}") {
            let base: Uri = "https://reg.example/v2/a/blobs/uploads/".parse().unwrap();
            if let Ok(url) = join(&base, &reference) {
                prop_assert!(Origin::of(&url).is_ok());
                prop_assert!(with_query(&url, &[("digest", "a")]).is_ok());
            }
        }
    }

    #[test]
    fn relative_urls_are_resolved_against_the_current_one() {
        let base: Uri = "https://reg.example:5000/v2/a/blobs/uploads/?x=1".parse().unwrap();
        for (reference, meant) in [
            ("/v2/a/blobs/uploads/7?_state=a%3D", "https://reg.example:5000/v2/a/blobs/uploads/7?_state=a%3D"),
            ("7", "https://reg.example:5000/v2/a/blobs/uploads/7"),
            ("../../x:y", "https://reg.example:5000/v2/a/x:y"),
            ("./7/..", "https://reg.example:5000/v2/a/blobs/uploads/"),
            ("?n=2", "https://reg.example:5000/v2/a/blobs/uploads/?n=2"),
            ("", "https://reg.example:5000/v2/a/blobs/uploads/?x=1"),
            ("//cdn.example/b", "https://cdn.example/b"),
            ("http://other.example/b?sig=1#end", "http://other.example/b?sig=1"),
            ("/../../v2/", "https://reg.example:5000/v2/"),
        ] {
            assert_eq!(join(&base, reference).unwrap().to_string(), meant, "{reference}");
        }
        for bad in ["ftp://x/", "javascript:alert(1)", "https://", "https://user:pw@host/", "/a b", "http://[::1"] {
            assert_eq!(join(&base, bad), Err(InvalidUrl), "{bad}");
        }
    }

    #[test]
    fn a_query_is_appended_to_an_existing_one() {
        let add = |url: &str| with_query(&url.parse().unwrap(), &[("digest", "sha256:a")]).unwrap().to_string();
        assert_eq!(add("https://a/u"), "https://a/u?digest=sha256%3Aa");
        assert_eq!(add("https://a/u?_state=b%2B"), "https://a/u?_state=b%2B&digest=sha256%3Aa");
        assert_eq!(add("https://a/u?"), "https://a/u?digest=sha256%3Aa");
    }

    #[test]
    fn loopback_and_private_addresses_count_as_near() {
        let origin = |url: &str| Origin::of(&url.parse().unwrap()).unwrap();
        assert_eq!(origin("https://REG.example/x"), origin("https://reg.example:443/y"));
        assert_ne!(origin("https://reg.example/"), origin("http://reg.example/"));
        for near in [
            "http://localhost/",
            "http://a.localhost/",
            "http://127.8.8.8/",
            "http://[::1]/",
            "http://10.0.0.1/",
            "http://169.254.169.254/",
            "http://[fd00::1]/",
            "http://[::ffff:127.0.0.1]/",
            "http://0.0.0.0/",
        ] {
            assert!(origin(near).is_near(), "{near}");
        }
        for far in ["http://reg.example/", "http://8.8.8.8/", "http://[2001:db8::1]/", "http://localhost.example/"] {
            assert!(!origin(far).is_near(), "{far}");
        }
    }
}
