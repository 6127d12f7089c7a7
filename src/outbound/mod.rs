//! Connections that the daemon makes to other registries: which addresses it may connect to, and which credentials it
//! has for them.
//!
//! Callers choose the hosts, and so do the servers at these hosts, by redirects and by the addresses of their token
//! services. [`AddressGuard`] stands between all of them and the networks that only this machine can reach.

mod addresses;
mod credentials;

pub use addresses::{AddressGuard, is_public};
pub use credentials::{
    CredentialDirectory, CredentialError, CredentialName, CredentialsOf, InvalidCredentialName, NamedCredential,
};
