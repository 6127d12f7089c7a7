//! Who somebody is: passwords held against htpasswd. It verifies; what a user may do is decided
//! elsewhere.

mod basic;
mod credentials;
mod htpasswd;

pub use basic::{Passwords, Refusal};
pub use credentials::{Credentials, InvalidCredentials, Presented};
pub use htpasswd::{Problem, Users};
