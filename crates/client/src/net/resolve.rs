//! From a host to the addresses that may be connected to.

use std::{io, net::IpAddr};

/// Turns a host into addresses, and decides which may be connected to.
///
/// It is asked before every new connection, also for a host that is an address already, and
/// nothing but the addresses it answers is connected to: there is no second look-up in between.
/// So it is the place to refuse private addresses. Redirects and token services pass it too.
#[async_trait::async_trait]
pub trait Resolve: Send + Sync {
    /// The addresses of a host (a name, or an address without brackets), in the order of preference.
    ///
    /// # Errors
    /// If there are none. `PermissionDenied` says that none may be connected to, which is final.
    async fn resolve(&self, host: &str) -> io::Result<Vec<IpAddr>>;
}

/// What the system resolves, without a check.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemResolver;

#[async_trait::async_trait]
impl Resolve for SystemResolver {
    async fn resolve(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        if let Ok(address) = host.parse() {
            return Ok(vec![address]);
        }
        Ok(tokio::net::lookup_host((host, 0)).await?.map(|address| address.ip()).collect())
    }
}
