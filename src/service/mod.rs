//! The registry over HTTP: turns requests into calls of the layers below, and results into responses.
//!
//! [`stack`] is the column every request runs through. [`endpoint`] reads what is asked, the gates
//! decide who asks and whether they may, one file per noun in [`distribution`] answers, and [`error`]
//! is the one table of errors.

mod answer;
mod asked;
pub mod body;
mod client;
pub mod conn;
mod cors;
mod distribution;
pub mod endpoint;
pub mod error;
mod gate;
mod headers;
mod login;
mod ops;
mod path;
pub mod query;
mod routed;
pub mod sendfile;
mod stack;
pub mod stall;
mod telemetry;
#[cfg(test)]
mod tests;
mod token;

pub use body::{Body, BoxError, RequestBody};
pub use login::{Login, Realm, Told};
pub use stack::{App, app};
pub use telemetry::Telemetry;

use crate::{
    config::{Limits, Live},
    registry::Registry,
};
use arc_swap::ArcSwap;
use ipnet::IpNet;
use std::sync::{Arc, atomic::AtomicBool};

/// What all requests share.
pub struct State {
    /// The registry, under the settings in force.
    pub registry: Registry,
    /// Bounds of connections; of these the stall of request bodies is minded here.
    pub limits: Limits,
    /// Peers whose word about the client's address counts.
    pub trusted_proxies: Vec<IpNet>,
    /// Which of the inside this listener shows.
    pub face: Face,
    /// The daemon is stopping: not ready any more.
    pub draining: Arc<AtomicBool>,
    /// Who there is and who may do what: one generation for each request.
    pub live: Arc<ArcSwap<Live>>,
    /// How callers prove who they are.
    pub login: Login,
    /// Counters.
    pub telemetry: Arc<Telemetry>,
}

/// What a listener is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Face {
    /// The registry, health and metrics.
    Everything,
    /// The registry and plain health; readiness detail and metrics are on another address.
    Registry,
    /// Health and metrics alone.
    Admin,
}
