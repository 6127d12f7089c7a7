//! Who somebody is: passwords held against htpasswd, and tokens, our own and of services elsewhere.
//! It verifies; what a user may do is decided elsewhere.

mod basic;
mod credentials;
mod htpasswd;
mod htpasswd_edit;
mod issuer;
mod jws;
mod key_set;
mod password;
#[cfg(test)]
mod tests;
mod token;

pub use basic::{Passwords, Refusal};
pub use credentials::{Credentials, InvalidCredentials, LONGEST_AUTHORIZATION, Presented};
pub use htpasswd::{COSTS, Problem, USUAL_COST, Users};
pub use htpasswd_edit::{Htpasswd, Unedited};
pub use issuer::{Issuer, Unsigned, new_signing_key};
pub use jws::Refused;
pub use password::{Password, Unfit, Unhashed};
pub use token::{Access, Bearer, Verifier};
