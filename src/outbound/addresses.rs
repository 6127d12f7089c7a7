//! Decides which addresses may be connected to.

use async_trait::async_trait;
use client::{Resolve, SystemResolver};
use ipnet::IpNet;
use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    sync::Arc,
};

/// Resolves hosts, and refuses addresses that are not public unless they are in an allowed network.
///
/// A [`client::Client`] asks it before every connection and connects only to the addresses that it returns. So a name
/// cannot have one address when it is checked and another when it is used, and redirects and token services pass the
/// same check.
pub struct AddressGuard<R = SystemResolver> {
    allowed: Arc<[IpNet]>,
    /// The setting that lists the allowed networks, for the message of a refusal.
    setting: &'static str,
    resolver: R,
}

impl AddressGuard {
    /// Allows public addresses and those in these networks, which the operator has listed in `setting`.
    pub fn new(allowed: Arc<[IpNet]>, setting: &'static str) -> Self {
        Self { allowed, setting, resolver: SystemResolver }
    }
}

impl<R> AddressGuard<R> {
    fn allows(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        is_public(address) || self.allowed.iter().any(|network| network.contains(&address))
    }
}

#[async_trait]
impl<R: Resolve> Resolve for AddressGuard<R> {
    async fn resolve(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        let found = self.resolver.resolve(host).await?;
        let allowed: Vec<IpAddr> = found.iter().copied().filter(|address| self.allows(*address)).collect();
        if allowed.is_empty() && !found.is_empty() {
            // Without the addresses: a caller could find out by it what is in the operator's network.
            let message = format!(
                "{host} is not at a public address; an administrator can allow its network with {}",
                self.setting
            );
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, message));
        }
        Ok(allowed)
    }
}

/// Whether an address is one that everybody on the internet can reach.
pub fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

/// By the IANA registry of special-purpose addresses (RFC 6890).
fn is_public_v4(address: Ipv4Addr) -> bool {
    !matches!(
        address.octets(),
        [0 | 10 | 127, ..]
            | [100, 64..=127, ..]
            | [169, 254, ..]
            | [172, 16..=31, ..]
            | [192, 0, 0 | 2, _]
            | [192, 88, 99, _]
            | [192, 168, ..]
            | [198, 18 | 19, ..]
            | [198, 51, 100, _]
            | [203, 0, 113, _]
            | [224..=255, ..]
    )
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    match address.segments() {
        // NAT64 (RFC 6052): the IPv4 address behind it decides.
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
            let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
            is_public_v4(Ipv4Addr::new(a, b, c, d))
        }
        // Teredo and other protocols of the IETF, documentation, 6to4: some contain an IPv4 address.
        [0x2001, 0..=0x1ff | 0xdb8, ..] | [0x2002, ..] | [0x3fff, 0..=0xfff, ..] => false,
        // Only these are global unicast addresses.
        [first, ..] => (0x2000..=0x3fff).contains(&first),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Resolves every name to these addresses.
    struct Fixed(Vec<IpAddr>);

    #[async_trait]
    impl Resolve for Fixed {
        async fn resolve(&self, host: &str) -> io::Result<Vec<IpAddr>> {
            Ok(host.parse().map_or_else(|_| self.0.clone(), |address| vec![address]))
        }
    }

    fn guard(allowed: &[&str], found: &[&str]) -> AddressGuard<Fixed> {
        let allowed = allowed.iter().map(|network| network.parse().unwrap()).collect();
        let found = found.iter().map(|address| address.parse().unwrap()).collect();
        AddressGuard { allowed, setting: "migration.allow_private", resolver: Fixed(found) }
    }

    #[test]
    fn only_addresses_of_the_internet_are_public() {
        for public in [
            "1.1.1.1",
            "100.63.255.255",
            "100.128.0.0",
            "172.15.0.1",
            "172.32.0.1",
            "192.0.1.1",
            "223.255.255.255",
            "2606:4700::1111",
            "2001:200::1",
            "::ffff:8.8.8.8",
            "64:ff9b::8.8.8.8",
        ] {
            assert!(is_public(public.parse().unwrap()), "{public}");
        }
        for private in [
            "0.0.0.0",
            "10.0.0.1",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.8",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.1.1",
            "198.19.0.1",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:10.1.2.3",
            "::7f00:1",
            "64:ff9b::10.0.0.1",
            "64:ff9b:1::1",
            "100::1",
            "2001::1",
            "2001:db8::1",
            "2002:7f00:1::1",
            "3fff::1",
            "fc00::1",
            "fd12::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ] {
            assert!(!is_public(private.parse().unwrap()), "{private}");
        }
    }

    #[tokio::test]
    async fn a_host_that_is_only_at_private_addresses_is_refused() {
        for (allowed, found) in [
            (&[][..], &["10.0.0.1", "::1"][..]),
            (&["10.0.0.0/24"], &["10.0.1.1"]),
            // An address that is IPv4 in disguise.
            (&["fc00::/7"], &["::ffff:10.0.0.1"]),
        ] {
            let refused = guard(allowed, found).resolve("registry.internal").await.unwrap_err();
            assert_eq!(refused.kind(), io::ErrorKind::PermissionDenied);
            let message = refused.to_string();
            assert!(message.contains("registry.internal") && message.contains("migration.allow_private"), "{message}");
            assert!(!message.contains("10.0."), "{message}");
        }
        assert!(guard(&[], &["8.8.8.8"]).resolve("169.254.169.254").await.is_err(), "an address is checked as well");
    }

    #[tokio::test]
    async fn of_several_addresses_only_those_that_are_allowed_remain() {
        let found =
            guard(&["10.0.0.0/8"], &["127.0.0.1", "10.0.0.1", "8.8.8.8"]).resolve("both.example").await.unwrap();
        assert_eq!(found, ["10.0.0.1", "8.8.8.8"].map(|address| address.parse::<IpAddr>().unwrap()));
        assert!(guard(&[], &[]).resolve("nowhere.example").await.unwrap().is_empty());
    }
}
