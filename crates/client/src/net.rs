//! Connections: names to addresses, proxies, TLS, time limits. Nothing here knows of registries' API.

mod connect;
mod resolve;
mod tls;

pub(crate) use connect::{ConnectError, Connector};
pub use resolve::{Resolve, SystemResolver};
pub(crate) use tls::TlsSetup;
