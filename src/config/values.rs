//! Parses the text of single values; each error is a sentence for the operator.
//!
//! No message here repeats a value that could be a secret (people paste keys and passwords into paths and URLs by
//! mistake).

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;

/// The parsed value, or the sentence to show.
pub(super) type Value<T> = Result<T, String>;

/// A type whose values are written as words.
pub(super) trait Words: Copy + PartialEq + 'static {
    /// Each value with its word.
    const WORDS: &'static [(&'static str, Self)];

    /// The word of this value.
    fn word(self) -> &'static str {
        Self::WORDS.iter().find(|(_, value)| *value == self).map_or("", |(word, _)| word)
    }
}

impl Words for LogLevel {
    const WORDS: &'static [(&'static str, Self)] =
        &[("debug", Self::Debug), ("info", Self::Info), ("warn", Self::Warn), ("error", Self::Error)];
}

impl Words for LogFormat {
    const WORDS: &'static [(&'static str, Self)] = &[("pretty", Self::Pretty), ("json", Self::Json)];
}

impl Words for StorageKind {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("filesystem", Self::Filesystem),
        ("s3", Self::S3),
        ("gcs", Self::Gcs),
        ("azure", Self::Azure),
        ("sftp", Self::Sftp),
    ];
}

impl Words for StorageInit {
    const WORDS: &'static [(&'static str, Self)] = &[("auto", Self::Auto), ("never", Self::Never)];
}

impl Words for AuthType {
    const WORDS: &'static [(&'static str, Self)] =
        &[("none", Self::None), ("basic", Self::Basic), ("token", Self::Token)];
}

/// Log lines below this level are dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogLevel {
    /// Everything.
    Debug,
    /// Requests, decisions and state changes.
    Info,
    /// What may need attention.
    Warn,
    /// Failures only.
    Error,
}

/// The format of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// Text for people.
    Pretty,
    /// One JSON object per line.
    Json,
}

/// Which headers of trusted proxies are used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ForwardedHeaders {
    /// `X-Forwarded-For`, `X-Forwarded-Proto` and `X-Forwarded-Host`.
    #[default]
    XForwarded,
    /// `Forwarded` (RFC 7239).
    Forwarded,
}

/// Where everything that is pushed is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StorageKind {
    /// In a directory.
    Filesystem,
    /// In a bucket of S3, or of what speaks its protocol.
    S3,
    /// In a bucket of Google Cloud Storage.
    Gcs,
    /// In a container of Azure Blob Storage.
    Azure,
    /// On an SFTP server.
    Sftp,
}

/// Whether an empty storage directory may be initialised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StorageInit {
    /// Yes.
    Auto,
    /// No: an empty directory (say, an unmounted volume) stops the start.
    Never,
}

/// How callers authenticate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthType {
    /// No authentication.
    None,
    /// With a password from the htpasswd file.
    Basic,
    /// With a token from an external service.
    Token,
}

/// Where the built-in token service keeps its signing keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SigningKey {
    /// In the storage directory; created if missing.
    Auto,
    /// In this file.
    Path(PathBuf),
}

/// The URL for clients: scheme, host and port only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicUrl {
    /// Whether the scheme is `https`.
    pub https: bool,
    /// Host and, if given, port.
    pub authority: http::uri::Authority,
}

impl fmt::Display for PublicUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.https { "https" } else { "http" };
        write!(f, "{scheme}://{}", self.authority)
    }
}

/// Whether a host in a URL is this machine: a loopback address or a name of one.
pub fn is_loopback(host: &str) -> bool {
    let host = host.trim_matches(['[', ']']).to_ascii_lowercase();
    let is_name = host == "localhost" || host.ends_with(".localhost");
    is_name || host.parse::<IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback())
}

/// One of these words, in upper or lower case.
pub(super) fn one_of<T: Copy>(text: &str, words: &[(&str, T)]) -> Value<T> {
    let found = words.iter().find(|(word, _)| word.eq_ignore_ascii_case(text));
    found.map(|(_, value)| *value).ok_or_else(|| {
        let words: Vec<_> = words.iter().map(|(word, _)| *word).collect();
        format!("{text:?} is not one of {}", words.join(", "))
    })
}

/// `true` or `false`.
pub(super) fn boolean(text: &str) -> Value<bool> {
    one_of(text, &[("true", true), ("false", false)])
}

/// A whole number between two bounds, both included.
pub(super) fn number(text: &str, min: u64, max: u64) -> Value<u64> {
    let within = text.parse().ok().filter(|n| (min..=max).contains(n));
    within.ok_or_else(|| format!("{text:?} is not a whole number from {min} to {max}"))
}

/// A plain number.
pub(super) fn count(text: &str, min: u64, max: u64) -> Value<usize> {
    // All ranges in use fit into every `usize`.
    number(text, min, max).map(|n| usize::try_from(n).unwrap_or(usize::MAX))
}

/// Whole seconds, at least one, at most 30 days.
pub(super) fn seconds(text: &str) -> Value<Duration> {
    number(text, 1, 30 * 86_400).map(Duration::from_secs)
}

/// A TCP port; 0 lets the system choose.
pub(super) fn port(text: &str) -> Value<u16> {
    let port = text.parse();
    port.map_err(|_| format!("{text:?} is not a port from 0 to 65535 (0 = any free port)"))
}

/// An IP address to listen on.
pub(super) fn ip(text: &str) -> Value<IpAddr> {
    text.parse().map_err(|_| {
        format!("{text:?} is not an IP address such as 0.0.0.0, 127.0.0.1 or :: (host names are not supported)")
    })
}

/// An IP address and a port.
pub(super) fn socket(text: &str) -> Value<SocketAddr> {
    let example = "127.0.0.1:15001 or [::1]:15001";
    text.parse().map_err(|_| format!("{text:?} is not an IP address and port such as {example}"))
}

/// The path of a file or directory.
pub(super) fn path(text: &str) -> Value<PathBuf> {
    if text.contains("-----BEGIN") || text.contains(['\n', '\0']) {
        return Err("is the content of a file; set the path of the file instead".into());
    }
    Ok(PathBuf::from(text))
}

/// `auto` or the path of a key.
pub(super) fn signing_key(text: &str) -> Value<SigningKey> {
    match text {
        "auto" => Ok(SigningKey::Auto),
        text => path(text).map(SigningKey::Path),
    }
}

/// Text that can be sent inside a quoted header value.
pub(super) fn quotable(text: &str) -> Value<String> {
    if text.chars().any(|c| c.is_control() || c == '"' || c == '\\') {
        return Err("must not contain quotation marks, backslashes or control characters".into());
    }
    Ok(text.to_owned())
}

/// An absolute http or https URL. Errors do not show it, since it may contain a password.
pub(super) fn url(text: &str) -> Value<http::Uri> {
    let refuse = || "is not a URL such as https://registry.example.com".to_owned();
    let uri: http::Uri = text.parse().map_err(|_| refuse())?;
    let web = matches!(uri.scheme_str(), Some("http" | "https"));
    let authority = uri.authority().ok_or_else(refuse)?;
    if !web || authority.host().is_empty() {
        return Err(refuse());
    }
    if authority.as_str().contains('@') {
        return Err("must not contain a user name or password".into());
    }
    if authority.as_str().len() > authority.host().len() && authority.port_u16().is_none() {
        return Err("has a port that is not a number from 0 to 65535".into());
    }
    // http::Uri drops a fragment silently.
    if text.contains('#') {
        return Err("must not have a fragment (#…)".into());
    }
    Ok(uri)
}

/// An absolute URL as text.
pub(super) fn url_text(text: &str) -> Value<String> {
    url(text).and_then(|_| quotable(text))
}

/// The public URL. Clients always request `/v2/` of a host, so a path cannot work.
pub(super) fn public_url(text: &str) -> Value<PublicUrl> {
    let uri = url(text)?;
    if uri.query().is_some() || !matches!(uri.path(), "" | "/") {
        return Err("must not have a path or query: registry clients use only the host and the port".into());
    }
    let https = uri.scheme_str() == Some("https");
    let authority = uri.authority().cloned();
    authority.map(|authority| PublicUrl { https, authority }).ok_or_else(|| "has no host".into())
}

/// Comma-separated IP addresses and networks.
pub(super) fn networks(text: &str) -> Value<Vec<IpNet>> {
    let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
    let one = |item: &str| match item.parse::<IpAddr>() {
        Ok(address) => Ok(IpNet::from(address)),
        Err(_) => item.parse().map(|net: IpNet| net.trunc()).map_err(|_| {
            format!("{item:?} is not an IP address or network such as 10.0.0.0/8 (separate several with commas)")
        }),
    };
    items.map(one).collect()
}

/// A number of bytes: `4194304`, `512 KiB`, `4 MiB`, `1 GiB`, `2 TiB`.
///
/// # Errors
/// A sentence for people.
pub fn size(text: &str) -> Value<u64> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let shift = match unit.trim() {
        "" | "B" => Some(0),
        "KiB" => Some(10),
        "MiB" => Some(20),
        "GiB" => Some(30),
        "TiB" => Some(40),
        _ => None,
    };
    let bytes = number.parse::<u64>().ok().zip(shift);
    bytes
        .and_then(|(number, shift)| number.checked_mul(1 << shift))
        .ok_or_else(|| format!("{text:?} is not a size: write bytes, or a whole number of KiB, MiB, GiB or TiB"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_binary() {
        let good =
            [("0", 0), ("7 B", 7), ("512KiB", 512 << 10), ("4 MiB", 4 << 20), ("1 GiB", 1 << 30), ("2 TiB", 2 << 40)];
        for (text, bytes) in good {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        for text in ["", "MiB", "4 MB", "4M", "-1", "1.5 GiB", "99999999 TiB"] {
            assert!(size(text).is_err(), "{text}");
        }
    }

    #[test]
    fn urls_are_http_with_a_host_only() {
        let good = [
            ("https://r.example", "https://r.example"),
            ("http://r.example:8080/", "http://r.example:8080"),
            ("https://[::1]:5000", "https://[::1]:5000"),
        ];
        for (text, shown) in good {
            assert_eq!(public_url(text).map(|u| u.to_string()), Ok(shown.to_owned()), "{text}");
        }
        let bad = [
            "r.example",
            "/v2",
            "ftp://r.example",
            "https://",
            "https://r.example/prefix",
            "https://r.example?x=1",
            "https://r.example/#x",
            "https://r.example:99999",
            "https://me:pw@r.example",
        ];
        for text in bad {
            let error = public_url(text).expect_err(text);
            assert!(!error.contains("pw@"), "{error}");
        }
    }

    #[test]
    fn proxies_are_addresses_or_networks() {
        let nets = networks("10.1.2.3/8, ::1,192.168.0.7").unwrap();
        let shown: Vec<_> = nets.iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["10.0.0.0/8", "::1/128", "192.168.0.7/32"]);
        for text in ["localhost", "10.0.0.0/33", "10.0.0.0/8;::1"] {
            assert!(networks(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_key_pasted_in_place_of_a_path_is_refused_and_not_repeated() {
        let error = path("-----BEGIN PRIVATE KEY-----\nabc").unwrap_err();
        assert!(!error.contains("abc"));
    }

    #[test]
    fn numbers_outside_their_bounds_are_refused() {
        assert_eq!(number("1", 1, 5), Ok(1));
        assert_eq!(number("5", 1, 5), Ok(5));
        for text in ["0", "6", "-1", "1.0", " 1", "ten", ""] {
            assert!(number(text, 1, 5).is_err(), "{text}");
        }
        assert_eq!(port("0"), Ok(0));
        assert!(port("65536").is_err());
        assert!(ip("localhost").is_err());
        assert!(socket(":9090").is_err());
        assert!(boolean("yes").is_err());
        assert_eq!(boolean("TRUE"), Ok(true));
        assert!(quotable("a\"b").is_err());
    }
}
