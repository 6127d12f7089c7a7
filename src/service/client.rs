//! Where a request really came from, as far as that can be believed.

use http::HeaderMap;
use ipnet::IpNet;
use std::{
    net::{IpAddr, SocketAddr},
    sync::atomic::{AtomicBool, Ordering},
};

/// The client's address: the peer's or, behind trusted proxies, the last hop that is not one of
/// them. What anybody else says in a header is ignored.
pub(super) fn address(peer: Option<SocketAddr>, headers: &HeaderMap, trusted: &[IpNet]) -> Option<IpAddr> {
    let mut address = peer?.ip().to_canonical();
    let is_trusted = |address: &IpAddr| trusted.iter().any(|net| net.contains(address));
    if trusted.is_empty() || !is_trusted(&address) {
        return Some(address);
    }
    for hop in hops(headers).into_iter().rev() {
        // A hop nobody can name: the proxy before it is the last one known.
        let Some(hop) = hop else { break };
        address = hop;
        if !is_trusted(&address) {
            break;
        }
    }
    Some(address)
}

/// Says once that somebody forwards for others and is not believed: behind a proxy that nobody told
/// us of, all its clients share one address, and whoever keeps guessing passwords slows down all.
pub(super) fn tell_of_unknown_proxy(peer: Option<SocketAddr>, headers: &HeaderMap, trusted: &[IpNet]) {
    static TOLD: AtomicBool = AtomicBool::new(false);
    let Some(peer) = peer.map(|peer| peer.ip().to_canonical()) else { return };
    let forwards = headers.contains_key("x-forwarded-for") || headers.contains_key("forwarded");
    if forwards && !trusted.iter().any(|net| net.contains(&peer)) && !TOLD.swap(true, Ordering::Relaxed) {
        tracing::warn!(%peer, "forwarding headers of this peer are ignored; if it is your proxy, name it in REGISTRY_TRUSTED_PROXIES");
    }
}

/// The hops a request's headers name, the client's first: `Forwarded` (RFC 7239), else
/// `X-Forwarded-For`.
fn hops(headers: &HeaderMap) -> Vec<Option<IpAddr>> {
    let lines = |name| headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    let items = |line: &'_ str| line.split(',').map(str::to_owned).collect::<Vec<_>>();
    let forwarded: Vec<_> = lines("forwarded").flat_map(items).collect();
    if !forwarded.is_empty() {
        let hop = |element: &String| {
            let pairs = element.split(';').filter_map(|pair| pair.split_once('='));
            let (_, node) = pairs.into_iter().find(|(key, _)| key.trim().eq_ignore_ascii_case("for"))?;
            node_address(node)
        };
        return forwarded.iter().map(hop).collect();
    }
    lines("x-forwarded-for").flat_map(items).map(|item| node_address(&item)).collect()
}

/// An address, perhaps quoted, bracketed, with a port.
fn node_address(text: &str) -> Option<IpAddr> {
    let text = text.trim().trim_matches('"');
    let parsed = text.parse::<IpAddr>().ok().or_else(|| text.parse::<SocketAddr>().ok().map(|socket| socket.ip()));
    let bracketed = || text.strip_prefix('[')?.strip_suffix(']')?.parse().ok();
    parsed.or_else(bracketed).map(|address: IpAddr| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn told(peer: &str, name: &'static str, header: &str, trusted: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        headers.insert(name, header.parse().unwrap());
        let trusted: Vec<IpNet> = trusted.iter().map(|net| net.parse().unwrap()).collect();
        address(Some(peer.parse().unwrap()), &headers, &trusted).unwrap().to_string()
    }

    #[test]
    fn only_a_trusted_proxy_is_believed() {
        let proxies = ["10.0.0.0/8", "fd00::/8"];
        let xff = |peer, header| told(peer, "x-forwarded-for", header, &proxies);
        assert_eq!(xff("192.0.2.1:5", "203.0.113.9"), "192.0.2.1", "a stranger says what he likes");
        assert_eq!(xff("10.0.0.1:5", "203.0.113.9"), "203.0.113.9");
        assert_eq!(
            xff("10.0.0.1:5", "1.1.1.1, 203.0.113.9, 10.0.0.2"),
            "203.0.113.9",
            "the client may forge the first"
        );
        assert_eq!(xff("10.0.0.1:5", "10.9.9.9"), "10.9.9.9");
        assert_eq!(xff("10.0.0.1:5", "garbage"), "10.0.0.1");
        assert_eq!(xff("[::ffff:10.0.0.1]:5", "203.0.113.9:1234"), "203.0.113.9");
        assert_eq!(told("10.0.0.1:5", "x-forwarded-for", "203.0.113.9", &[]), "10.0.0.1");
    }

    #[test]
    fn forwarded_is_understood() {
        let forwarded = |header| told("10.0.0.1:5", "forwarded", header, &["10.0.0.0/8"]);
        assert_eq!(forwarded("for=203.0.113.9;proto=https"), "203.0.113.9");
        assert_eq!(forwarded("proto=https; For=\"[2001:db8::1]:99\""), "2001:db8::1");
        assert_eq!(forwarded("for=\"[2001:db8::1]\""), "2001:db8::1");
        assert_eq!(forwarded("for=1.1.1.1, for=203.0.113.9, for=10.1.1.1"), "203.0.113.9");
        assert_eq!(forwarded("for=unknown"), "10.0.0.1");
        assert_eq!(forwarded("for=_hidden, for=10.1.1.1"), "10.1.1.1");
    }

    proptest! {
        #[test]
        fn what_a_client_writes_before_its_proxy_counts_for_nothing(
            forged in "([ -~]|, |;|=|for=|\"|\\[|10\\.0\\.0\\.[0-9]){0,40}",
            proxies in proptest::collection::vec("10\\.[0-9]\\.[0-9]\\.[0-9]", 0..3),
        ) {
            let behind = |hop: &str| proxies.iter().map(|proxy| format!(",{hop}{proxy}")).collect::<String>();
            for (name, hop) in [("x-forwarded-for", ""), ("forwarded", "for=")] {
                let header = format!("{forged}, {hop}203.0.113.9{}", behind(hop));
                prop_assert_eq!(told("10.0.0.1:5", name, &header, &["10.0.0.0/8"]), "203.0.113.9");
                prop_assert_eq!(told("192.0.2.1:5", name, &header, &["10.0.0.0/8"]), "192.0.2.1");
            }
        }
    }
}
