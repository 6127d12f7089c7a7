//! Shared by the tests of the workspace: registries for one test, clients for them, and content to push. It has no
//! tests.
//!
//! | module | content |
//! |---|---|
//! | [`registry`] | a registry in this process, with a free port and its own directory |
//! | [`daemon`] | the program in its own process, to be killed, stopped and signalled |
//! | [`managed`] | the program with configuration files, and callers of its management API |
//! | [`session`] | a well-behaved client: requests, the steps of a push, complete responses |
//! | [`wire`] | a client that writes arbitrary bytes and stops anywhere |
//! | [`kept`] | one kept-alive connection of HTTP/1.1 or HTTP/2, over any stream |
//! | [`frames`] | HTTP/2 frame by frame |
//! | [`certs`] | certificates, and TLS connections with them |
//! | [`people`] | users with passwords, and bearers of tokens |
//! | [`sshd`] | an OpenSSH server, and a relay that makes it distant |
//! | [`chaos`] | clients that push while what they push to is killed |
//! | [`content`] | digests, manifests, and bytes that look random |
//!
//! The daemon's own unit tests cannot use it: their crate under test is not the one that is linked here.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a helper fails the test it is called by")]
#![allow(clippy::new_without_default, reason = "each is another one: it makes a key")]

pub mod certs;
pub mod chaos;
pub mod content;
pub mod daemon;
pub mod frames;
pub mod kept;
pub mod managed;
pub mod people;
pub mod registry;
pub mod session;
pub mod source;
pub mod sshd;
pub mod wire;
