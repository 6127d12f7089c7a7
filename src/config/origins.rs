//! Origins of web pages, as `server.cors_origins` lists them.

use http::uri::Authority;

use super::values::Value;

/// The web pages that may use the registry from a browser.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Origins {
    /// None: responses have no CORS headers.
    #[default]
    None,
    /// Any page.
    Any,
    /// Pages of these origins.
    These(Vec<Box<str>>),
}

impl Origins {
    /// Maximum number of origins in the list.
    pub const MOST: usize = 100;

    /// Whether pages of an origin, as a browser sends it, may use the registry.
    pub fn allow(&self, origin: &[u8]) -> bool {
        match self {
            Self::None => false,
            Self::Any => true,
            Self::These(origins) => origins.iter().any(|listed| listed.as_bytes() == origin),
        }
    }

    /// Parses the list in the settings file.
    pub(super) fn parse(listed: &[&str]) -> Value<Self> {
        match listed {
            [] => Ok(Self::None),
            ["*"] => Ok(Self::Any),
            _ if listed.contains(&"*") => Err("\"*\" is every origin, so it must be the only one".to_owned()),
            _ if listed.len() > Self::MOST => Err(format!("{} origins are more than {}", listed.len(), Self::MOST)),
            _ => Ok(Self::These(listed.iter().map(|text| origin(text)).collect::<Value<_>>()?)),
        }
    }
}

/// Requires the spelling that browsers use, because origins are compared as text.
fn origin(text: &str) -> Value<Box<str>> {
    let canonical = || {
        let (scheme, authority) = text.split_once("://")?;
        let scheme = scheme.to_ascii_lowercase();
        let authority: Authority = authority.trim_end_matches('/').parse().ok()?;
        let usual = match scheme.as_str() {
            "https" => 443,
            "http" => 80,
            _ => return None,
        };
        let port = authority.port_u16().filter(|port| *port != usual).map(|port| format!(":{port}"));
        let host = authority.host().to_ascii_lowercase();
        (!host.is_empty()).then(|| format!("{scheme}://{host}{}", port.unwrap_or_default()))
    };
    match canonical() {
        Some(origin) if origin == text => Ok(text.into()),
        Some(origin) => Err(format!("{text:?} is never sent by a browser; write {origin:?}")),
        None => Err(format!("{text:?} is not an origin; write one such as \"https://ui.example.com\", or only \"*\"")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_written_as_browsers_send_them() {
        for good in ["https://ui.example.com", "http://localhost:8080", "http://[::1]:8080", "https://1.2.3.4:8443"] {
            assert_eq!(Origins::parse(&[good]), Ok(Origins::These(vec![good.into()])), "{good}");
        }
        for (bad, why) in [
            ("https://ui.example.com/", "write \"https://ui.example.com\""),
            ("https://UI.example.com", "write \"https://ui.example.com\""),
            ("HTTPS://ui.example.com", "write \"https://ui.example.com\""),
            ("https://ui.example.com:443", "write \"https://ui.example.com\""),
            ("https://user@ui.example.com", "write \"https://ui.example.com\""),
            ("http://localhost:80", "write \"http://localhost\""),
            ("https://ui.example.com/page", "is not an origin"),
            ("https://*.example.com/", "write"),
            ("https://ui.example.com:99999", "write"),
            ("ui.example.com", "is not an origin"),
            ("ftp://ui.example.com", "is not an origin"),
            ("https://", "is not an origin"),
            ("https://a b", "is not an origin"),
            ("null", "is not an origin"),
            ("", "is not an origin"),
        ] {
            let error = Origins::parse(&[bad]).unwrap_err();
            assert!(error.contains(why), "{bad}: {error}");
        }
        assert!(Origins::parse(&["*", "https://a"]).unwrap_err().contains("must be the only one"));
    }

    #[test]
    fn a_hundred_origins_can_be_listed_and_no_more() {
        let origins: Vec<_> = (0..=Origins::MOST).map(|i| format!("https://ui-{i}.example.com")).collect();
        let origins: Vec<_> = origins.iter().map(String::as_str).collect();
        assert!(Origins::parse(&origins[1..]).unwrap().allow(b"https://ui-100.example.com"));
        assert_eq!(Origins::parse(&origins), Err("101 origins are more than 100".to_owned()));
    }

    #[test]
    fn an_origin_is_allowed_only_as_it_is_listed() {
        let origins = Origins::parse(&["https://ui.example.com"]).unwrap();
        assert!(origins.allow(b"https://ui.example.com"));
        for other in
            ["https://ui.example.com.evil.example", "http://ui.example.com", "https://ui.example.com:8443", "null", ""]
        {
            assert!(!origins.allow(other.as_bytes()), "{other}");
        }
        assert!(Origins::Any.allow(b"null") && !Origins::None.allow(b"https://ui.example.com"));
    }
}
