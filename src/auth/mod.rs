//! Who somebody is: passwords held against htpasswd, and tokens, our own and of services elsewhere.
//! It verifies; what a user may do is decided elsewhere.

mod basic;
mod credentials;
mod htpasswd;
mod issuer;
mod jws;
mod key_set;
#[cfg(test)]
mod tests;
mod token;

pub use basic::{Passwords, Refusal};
pub use credentials::{Credentials, InvalidCredentials, Presented};
pub use htpasswd::{Problem, Users};
pub use issuer::{Issuer, new_signing_key};
pub use jws::Refused;
pub use token::{Access, Bearer, Verifier};
