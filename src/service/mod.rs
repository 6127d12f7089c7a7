//! The registry over HTTP: turns requests into calls of the layers below, and results into responses.
//!
//! [`stack`] is the pipeline every request passes. [`endpoint`] parses requests, the gates authenticate and authorize
//! them, the families' folders (as [`distribution`]) answer them, and [`error`] is the only table of errors.

mod answer;
mod challenge;
mod client;
mod compression;
mod content;
mod cookie;
mod cors;
mod distribution;
pub mod endpoint;
pub mod error;
mod gate;
mod headers;
mod heavy;
mod incoming;
mod login;
mod manage;
mod mount_source;
mod ops;
mod pages;
mod path;
mod push_headers;
pub mod query;
mod routed;
mod shared;
mod stack;
mod telemetry;
#[cfg(test)]
mod tests;
mod throttle;
mod token;

pub use distribution::DistributionEndpoint;
pub use heavy::Heavy;
pub use login::LoginMemory;
pub use manage::{
    ActivityEndpoint, AliasEndpoint, ArtifactEndpoint, AskedVersion, AuthEndpoint, ConfigEndpoint, DashboardEndpoint,
    GroupEndpoint, KeyEndpoint, ManageEndpoint, MigrationEndpoint, NamespaceEndpoint, RepositoryEndpoint, RoleEndpoint,
    RuleEndpoint, SearchEndpoint, SeenByCallers, SettingsEndpoint, StorageEndpoint, SystemEndpoint, TaskEndpoint,
    UserEndpoint,
};
pub use ops::OpsEndpoint;
pub use pages::PagesEndpoint;
pub use shared::SharedManifests;
pub use stack::{App, app};
pub use telemetry::Telemetry;
pub use throttle::Throttle;
pub use token::TokenEndpoint;

use crate::{
    accounts::Accounts,
    config::{Limits, Live},
    jobs::{Jobs, Tasks},
    manage::Manage,
    migration::Migrations,
    mirror::Mirrors,
    registry::Registry,
    storage::{ProviderUsage, outbox::OutboxWatch},
    upkeep::fsck::CheckedStore,
};
use arc_swap::ArcSwap;
use ipnet::IpNet;
use std::sync::{Arc, atomic::AtomicBool};

/// State shared by all requests.
pub struct ServiceState {
    /// The registry, with the current settings.
    pub registry: Registry,
    /// Connection limits. The service enforces one of them itself: the stall time of request bodies.
    pub limits: Limits,
    /// Peers whose forwarding headers are accepted.
    pub trusted_proxies: Vec<IpNet>,
    /// What this listener serves.
    pub face: Face,
    /// Set during shutdown: the daemon is no longer ready.
    pub draining: Arc<AtomicBool>,
    /// The current configuration generation. Each request keeps the one it started with.
    pub live: Arc<ArcSwap<Live>>,
    /// What is kept of logins across configuration reloads.
    pub logins: Arc<LoginMemory>,
    /// What callers saw of the registry at a glance.
    pub seen: Arc<SeenByCallers>,
    /// Limits how often a caller writes by the management API.
    pub writes: Arc<Throttle>,
    /// Sessions, API keys, and what is recorded of users.
    pub accounts: Arc<Accounts>,
    /// Changes the configuration files; `None` if there are none.
    pub manage: Option<Manage>,
    /// Limits costly requests per client.
    pub heavy: Arc<Heavy>,
    /// Metrics counters.
    pub telemetry: Arc<Telemetry>,
    /// What the daemon does by itself.
    pub jobs: Jobs,
    /// What callers asked for and takes long.
    pub tasks: Tasks,
    /// Copies from other registries.
    pub migrations: Migrations,
    /// The store as `fsck` checks it, if it can.
    pub checked: Option<CheckedStore>,
    /// What is uploaded later, with a store that is written behind.
    pub outbox: Option<Arc<dyn OutboxWatch>>,
    /// The usage of the storage as its provider reports it.
    pub usage: Arc<ProviderUsage>,
    /// What repositories that mirror another registry fetch.
    pub mirrors: Mirrors,
    /// Large manifests that are being sent.
    pub manifests: SharedManifests,
}

/// What a listener serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Face {
    /// The registry, health and metrics.
    Everything,
    /// The registry and basic health; readiness details and metrics are on another address.
    Registry,
    /// Health and metrics only.
    Admin,
}
