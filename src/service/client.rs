//! The client's address, and the scheme and host it used, as far as the peer is trusted.
//!
//! A trusted proxy (`REGISTRY_TRUSTED_PROXIES`) reports them in headers. Only one family of headers is accepted
//! (`server.forwarded_headers`), because a proxy sets one family and forwards the other as the client wrote it.

use super::{ServiceState, routed::Routed};
use crate::config::{ForwardedHeaders, Live};
use http::{
    HeaderMap, HeaderValue,
    uri::{Authority, Scheme},
};
use ipnet::IpNet;
use std::{
    net::{IpAddr, SocketAddr},
    sync::atomic::{AtomicBool, Ordering},
};

const X_FOR: &str = "x-forwarded-for";
const X_PROTO: &str = "x-forwarded-proto";
const X_HOST: &str = "x-forwarded-host";
const FORWARDED: &str = "forwarded";

/// Headers that show that a request came through a proxy.
const SIGNS_OF_A_PROXY: [&str; 6] = [X_FOR, X_PROTO, X_HOST, FORWARDED, "x-real-ip", "via"];

/// The trusted peers, and which of their headers are accepted.
#[derive(Clone, Copy)]
pub(super) struct Proxies<'a> {
    trusted: &'a [IpNet],
    headers: ForwardedHeaders,
}

/// The scheme and host that the client used at the outermost trusted proxy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Front {
    /// `http` or `https`; unset if no trusted proxy reports it.
    pub(super) scheme: Option<Scheme>,
    /// Host and port; unset if no trusted proxy reports them.
    pub(super) host: Option<Authority>,
}

impl ServiceState {
    /// The trusted proxies of this configuration.
    pub(super) fn proxies<'a>(&'a self, live: &Live) -> Proxies<'a> {
        Proxies { trusted: &self.trusted_proxies, headers: live.forwarded_headers }
    }
}

impl Routed {
    pub(super) fn front(&self) -> Front {
        let peer = self.conn.as_ref().map(|conn| conn.peer);
        self.state.proxies(&self.live).front(peer, &self.head.headers)
    }
}

impl Proxies<'_> {
    /// The client's address: the peer's or, behind trusted proxies, the last hop that is not trusted.
    pub(super) fn client(self, peer: Option<SocketAddr>, headers: &HeaderMap) -> Option<IpAddr> {
        let (client, _) = self.walk(peer?.ip().to_canonical(), headers);
        Some(client)
    }

    /// The scheme and host the client used, if the peer is trusted.
    pub(super) fn front(self, peer: Option<SocketAddr>, headers: &HeaderMap) -> Front {
        let Some(peer) = peer.map(|peer| peer.ip().to_canonical()).filter(|peer| self.trusts(peer)) else {
            return Front::default();
        };
        let (scheme, host) = match self.headers {
            // The outermost proxy writes the first value; the others append to it or leave it.
            ForwardedHeaders::XForwarded => (first(headers, X_PROTO), first(headers, X_HOST)),
            ForwardedHeaders::Forwarded => {
                let element = self.walk(peer, headers).1.unwrap_or_default();
                (parameter(element, "proto"), parameter(element, "host"))
            }
        };
        Front { scheme: scheme.and_then(self::scheme), host: host.and_then(authority) }
    }

    /// Walks the hops from the right, past the trusted ones. Returns the address reached and the last element read.
    fn walk(self, peer: IpAddr, headers: &HeaderMap) -> (IpAddr, Option<&[u8]>) {
        let (mut address, mut last) = (peer, None);
        if !self.trusts(&peer) {
            return (address, last);
        }
        let name = match self.headers {
            ForwardedHeaders::XForwarded => X_FOR,
            ForwardedHeaders::Forwarded => FORWARDED,
        };
        let lines = headers.get_all(name).into_iter().rev().map(HeaderValue::as_bytes);
        // Commas within quotes split too: a client that opens a quote must not hide the elements that follow.
        for element in lines.flat_map(|line| line.rsplit(|byte| *byte == b',')) {
            last = Some(element);
            let node = match self.headers {
                ForwardedHeaders::XForwarded => Some(element),
                ForwardedHeaders::Forwarded => parameter(element, "for"),
            };
            // A hop without an address: the proxy before it is the last one known.
            let Some(hop) = node.and_then(node_address) else { break };
            address = hop;
            if !self.trusts(&hop) {
                break;
            }
        }
        (address, last)
    }

    fn trusts(self, address: &IpAddr) -> bool {
        self.trusted.iter().any(|net| net.contains(address))
    }

    /// Warns once about forwarding headers that are ignored. Behind an untrusted proxy all clients share one address,
    /// so one client that guesses passwords slows down the others.
    pub(super) fn warn_of_ignored(self, peer: Option<SocketAddr>, headers: &HeaderMap) {
        static OF_PEER: AtomicBool = AtomicBool::new(false);
        static OF_FAMILY: AtomicBool = AtomicBool::new(false);
        if OF_PEER.load(Ordering::Relaxed) && OF_FAMILY.load(Ordering::Relaxed) {
            return;
        }
        let Some(peer) = peer.map(|peer| peer.ip().to_canonical()) else { return };
        let (x, standard) = (headers.contains_key(X_FOR), headers.contains_key(FORWARDED));
        let is_news = |said: &AtomicBool| !said.swap(true, Ordering::Relaxed);
        if !self.trusts(&peer) {
            if (x || standard) && is_news(&OF_PEER) {
                tracing::warn!(%peer, "forwarding headers of this peer are ignored; if it is your proxy, add it to REGISTRY_TRUSTED_PROXIES");
            }
            return;
        }
        let (only_the_other, other) = match self.headers {
            ForwardedHeaders::XForwarded => (standard && !x, "Forwarded"),
            ForwardedHeaders::Forwarded => (x && !standard, "X-Forwarded-For"),
        };
        if only_the_other && is_news(&OF_FAMILY) {
            tracing::warn!(%peer, "this proxy sent {other}, which is ignored; server.forwarded_headers selects the headers to believe");
        }
    }
}

/// Whether a request was sent from this machine without a proxy. A proxy on this machine, trusted or not, makes all
/// requests come from a loopback address.
pub(super) fn is_local(peer: Option<SocketAddr>, headers: &HeaderMap) -> bool {
    peer.is_some_and(|peer| peer.ip().to_canonical().is_loopback())
        && !SIGNS_OF_A_PROXY.iter().any(|name| headers.contains_key(*name))
}

/// A host and optional port, safe to put into a quoted URL.
pub(super) fn authority(text: &[u8]) -> Option<Authority> {
    let authority = Authority::try_from(text).ok()?;
    (!authority.as_str().contains(['@', '"', '\\', ','])).then_some(authority)
}

fn scheme(text: &[u8]) -> Option<Scheme> {
    [Scheme::HTTPS, Scheme::HTTP].into_iter().find(|scheme| text.eq_ignore_ascii_case(scheme.as_str().as_bytes()))
}

/// The first item of a list header.
fn first<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h [u8]> {
    headers.get(name)?.as_bytes().split(|byte| *byte == b',').next().map(<[u8]>::trim_ascii)
}

/// A parameter of an element of `Forwarded` (RFC 7239 §4), without quotes.
fn parameter<'e>(element: &'e [u8], name: &str) -> Option<&'e [u8]> {
    element.split(|byte| *byte == b';').find_map(|pair| {
        let (key, value) = pair.split_at(pair.iter().position(|byte| *byte == b'=')?);
        let value = value[1..].trim_ascii();
        let value = value.strip_prefix(b"\"").and_then(|value| value.strip_suffix(b"\"")).unwrap_or(value);
        key.trim_ascii().eq_ignore_ascii_case(name.as_bytes()).then_some(value)
    })
}

/// An address with an optional port, perhaps in brackets.
fn node_address(text: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(text).ok()?.trim();
    let plain = || text.parse::<IpAddr>().ok();
    let with_port = || text.parse::<SocketAddr>().ok().map(|socket| socket.ip());
    let bracketed = || text.strip_prefix('[')?.strip_suffix(']')?.parse().ok();
    plain().or_else(with_port).or_else(bracketed).map(|address: IpAddr| address.to_canonical())
}

#[cfg(test)]
mod tests;
