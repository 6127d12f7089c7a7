//! Wharfinger: a container registry you run from files.
//!
//! The code is organised in layers, lowest first; a module uses only modules of lower layers, and
//! `tests/floors` enforces it by this table. Below all of them is the crate [`oci`], the vocabulary of
//! the protocol. ARCHITECTURE.md follows a push and a pull through them.
//!
//! | layer | modules | contents |
//! |---|---|---|
//! | 0 vocabulary | [`who`], [`files`], [`artifacts`] | callers, actions and permissions; the one place that makes files appear; what describes an artifact |
//! | 1 storage and access | [`storage`], [`identity`], [`access`], [`outbound`] | blobs, facts and uploads behind traits; passwords and tokens; rules and the one decision; connections to other registries |
//! | 2 registry and accounts | [`registry`], [`accounts`] | what an OCI registry does, without HTTP; sessions, API keys and records of users |
//! | 3 upkeep | [`upkeep`], [`jobs`] | garbage collection, retention, scrub and checks; one scheduler for what runs by itself |
//! | 4 configuration | [`config`] | environment and files become plain settings |
//! | 5 bodies and changes | [`wire`], [`manage`], [`migration`], [`mirror`] | what passes on a connection: bodies, the memory they hold, the time clients may take; edits of the operator's files; copies from other registries, and repositories that mirror them |
//! | 6 HTTP | [`service`] | routing, gates, endpoints, the error table, telemetry |
//! | 7 server | [`server`] | accept, TLS, choice of protocol, limits, shutdown |
//! | 8 assembly | [`daemon`] | a store, a configuration, the service and its listeners, put together |
//! | 9 programs | [`cli`] | one file per subcommand |

// Tests may write files and read the environment; the program only where clippy.toml's reasons say.
#![cfg_attr(not(test), deny(clippy::disallowed_methods))]

pub mod access;
pub mod accounts;
pub mod artifacts;
pub mod cli;
pub mod config;
pub mod daemon;
pub mod files;
pub mod identity;
pub mod jobs;
pub mod manage;
pub mod migration;
pub mod mirror;
pub mod outbound;
pub mod registry;
pub mod server;
pub mod service;
pub mod storage;
pub mod upkeep;
pub mod who;
pub mod wire;
