use super::*;
use proptest::prelude::*;

const FAMILIES: [(ForwardedHeaders, &str, &str); 2] =
    [(ForwardedHeaders::XForwarded, X_FOR, ""), (ForwardedHeaders::Forwarded, FORWARDED, "for=")];

fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
    let value = |text: &str| HeaderValue::from_bytes(text.as_bytes()).unwrap();
    lines.iter().map(|(name, text)| (http::HeaderName::from_static(name), value(text))).collect()
}

fn networks(trusted: &[&str]) -> Vec<IpNet> {
    trusted.iter().map(|net| net.parse().unwrap()).collect()
}

/// The client's address behind peers of 10.0.0.0/8 and fd00::/8.
fn client(family: ForwardedHeaders, peer: &str, lines: &[(&'static str, &str)]) -> String {
    let trusted = networks(&["10.0.0.0/8", "fd00::/8"]);
    let proxies = Proxies { trusted: &trusted, headers: family };
    proxies.client(Some(peer.parse().unwrap()), &headers(lines)).unwrap().to_string()
}

#[test]
fn only_a_trusted_proxy_is_believed() {
    let xff = |peer, header| client(ForwardedHeaders::XForwarded, peer, &[(X_FOR, header)]);
    assert_eq!(xff("192.0.2.1:5", "203.0.113.9"), "192.0.2.1", "a stranger says what they like");
    assert_eq!(xff("10.0.0.1:5", "203.0.113.9"), "203.0.113.9");
    assert_eq!(xff("10.0.0.1:5", "1.1.1.1, 203.0.113.9, 10.0.0.2"), "203.0.113.9", "the client may forge the first");
    assert_eq!(xff("10.0.0.1:5", "10.9.9.9"), "10.9.9.9");
    assert_eq!(xff("10.0.0.1:5", "garbage"), "10.0.0.1");
    assert_eq!(xff("10.0.0.1:5", "é, 203.0.113.9"), "203.0.113.9", "what is not ASCII hides nothing");
    assert_eq!(xff("[::ffff:10.0.0.1]:5", "203.0.113.9:1234"), "203.0.113.9");
    let nobody = Proxies { trusted: &[], headers: ForwardedHeaders::XForwarded };
    let output = nobody.client(Some("10.0.0.1:5".parse().unwrap()), &headers(&[(X_FOR, "203.0.113.9")]));
    assert_eq!(output.unwrap().to_string(), "10.0.0.1");
}

#[test]
fn hops_in_several_lines_are_one_list() {
    let lines = [(X_FOR, "1.1.1.1"), (X_FOR, "203.0.113.9, 10.0.0.3"), (X_FOR, "10.0.0.2")];
    assert_eq!(client(ForwardedHeaders::XForwarded, "10.0.0.1:5", &lines), "203.0.113.9");
}

#[test]
fn forwarded_is_understood() {
    let forwarded = |header| client(ForwardedHeaders::Forwarded, "10.0.0.1:5", &[(FORWARDED, header)]);
    assert_eq!(forwarded("for=203.0.113.9;proto=https"), "203.0.113.9");
    assert_eq!(forwarded("proto=https; For=\"[2001:db8::1]:99\""), "2001:db8::1");
    assert_eq!(forwarded("for=\"[2001:db8::1]\""), "2001:db8::1");
    assert_eq!(forwarded("for=1.1.1.1, for=203.0.113.9, for=10.1.1.1"), "203.0.113.9");
    assert_eq!(forwarded("for=unknown"), "10.0.0.1");
    assert_eq!(forwarded("for=_hidden, for=10.1.1.1"), "10.1.1.1");
}

#[test]
fn the_family_of_headers_that_is_not_selected_is_ignored() {
    let both = [(X_FOR, "203.0.113.9"), (FORWARDED, "for=127.0.0.1;proto=http;host=evil.example")];
    assert_eq!(client(ForwardedHeaders::XForwarded, "10.0.0.1:5", &both), "203.0.113.9");
    let both = [(X_FOR, "127.0.0.1"), (FORWARDED, "for=203.0.113.9")];
    assert_eq!(client(ForwardedHeaders::Forwarded, "10.0.0.1:5", &both), "203.0.113.9");
    for (family, believed, _) in FAMILIES {
        let other = if believed == X_FOR { (FORWARDED, "for=127.0.0.1") } else { (X_FOR, "127.0.0.1") };
        assert_eq!(client(family, "10.0.0.1:5", &[other]), "10.0.0.1");
    }
}

#[test]
fn scheme_and_host_are_those_of_the_outermost_trusted_proxy() {
    let trusted = networks(&["10.0.0.0/8"]);
    let front = |family, peer: &str, lines: &[(&'static str, &str)]| {
        let Front { scheme, host } =
            Proxies { trusted: &trusted, headers: family }.front(Some(peer.parse().unwrap()), &headers(lines));
        let host = host.map_or("-".to_owned(), |host| host.to_string());
        format!("{} {host}", scheme.map_or("-".to_owned(), |scheme| scheme.to_string()))
    };
    let x = |peer, proto, host| front(ForwardedHeaders::XForwarded, peer, &[(X_PROTO, proto), (X_HOST, host)]);
    assert_eq!(x("10.0.0.1:5", "https", "registry.example.com"), "https registry.example.com");
    assert_eq!(x("10.0.0.1:5", "HTTPS, http", "registry.example.com:8443, inner"), "https registry.example.com:8443");
    assert_eq!(x("10.0.0.1:5", "gopher", "a\"b"), "- -");
    assert_eq!(x("10.0.0.1:5", "http", "user@host"), "http -");
    assert_eq!(x("192.0.2.1:5", "https", "registry.example.com"), "- -", "a stranger says what they like");
    let forwarded =
        |header| front(ForwardedHeaders::Forwarded, "10.0.0.1:5", &[(FORWARDED, header), (X_PROTO, "http")]);
    assert_eq!(forwarded("for=203.0.113.9;proto=https;host=\"a.example:8443\""), "https a.example:8443");
    let chain =
        "for=1.1.1.1;proto=http;host=forged, for=203.0.113.9;proto=https;host=a.example, for=10.0.0.2;proto=http";
    assert_eq!(forwarded(chain), "https a.example");
    assert_eq!(forwarded("for=_hidden;proto=https"), "https -");
}

#[test]
fn a_forwarded_request_is_never_local() {
    let is_local = |peer: &str, lines: &[(&'static str, &str)]| is_local(Some(peer.parse().unwrap()), &headers(lines));
    assert!(is_local("127.0.0.1:5", &[("user-agent", "curl/8")]));
    assert!(is_local("[::1]:5", &[]));
    assert!(is_local("[::ffff:127.0.0.1]:5", &[]));
    assert!(!is_local("192.0.2.1:5", &[]));
    for name in SIGNS_OF_A_PROXY {
        assert!(!is_local("127.0.0.1:5", &[(name, "127.0.0.1")]), "{name}");
    }
}

proptest! {
    #[test]
    fn hops_claimed_by_the_client_are_ignored(
        forged in "([ -~]|é|, |;|=|for=|\"|\\[|10\\.0\\.0\\.[0-9]){0,40}",
        proxies in proptest::collection::vec("10\\.[0-9]\\.[0-9]\\.[0-9]", 0..3),
    ) {
        for (family, name, hop) in FAMILIES {
            let behind: String = proxies.iter().map(|proxy| format!(",{hop}{proxy}")).collect();
            let header = format!("{forged}, {hop}203.0.113.9{behind}");
            let other = if name == X_FOR { (FORWARDED, forged.as_str()) } else { (X_FOR, forged.as_str()) };
            let lines = [(name, header.as_str()), other];
            prop_assert_eq!(client(family, "10.0.0.1:5", &lines), "203.0.113.9");
            prop_assert_eq!(client(family, "192.0.2.1:5", &lines), "192.0.2.1");
        }
    }
}
