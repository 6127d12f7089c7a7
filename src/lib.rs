//! Wharfinger: a container registry you run from files.
//!
//! The floors, lowest first; a module names only floors below its own.
//!
//! | floor | modules | what |
//! |---|---|---|
//! | 0 words | [`oci`], [`who`], [`files`] | pure words, and the one place that makes files appear |
//! | 1 bytes, who, may they | [`storage`], [`auth`], [`access`] | blobs, facts and upload sessions behind traits; passwords; rules and the one decision |
//! | 2 meaning | [`registry`] | what an OCI registry is, no HTTP in sight |
//! | 3 settings | [`config`] | environment and files into plain settings |
//! | 4 HTTP | [`service`] | the tower stack, endpoints, the error table |
//! | 5 door | [`server`] | accept, TLS, protocol choice, limits, drain |
//! | 6 programs | [`cli`] | one file per subcommand |

// Tests may write files and read the environment; the program only where clippy.toml's reasons say.
#![cfg_attr(not(test), deny(clippy::disallowed_methods))]

pub mod access;
pub mod auth;
pub mod cli;
pub mod config;
pub mod files;
pub mod oci;
pub mod registry;
pub mod server;
pub mod service;
pub mod storage;
pub mod who;
