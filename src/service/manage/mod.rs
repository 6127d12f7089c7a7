//! The management API (`/api/v1`): users, rules, settings, repositories and the registry itself, as JSON.
//!
//! Each noun of the API is a module with an enum of its endpoints. Requests and answers are types of the crate [`api`].

mod activity;
mod aliases;
mod artifacts;
mod audit;
mod auth;
mod body;
mod changes;
mod config;
mod dashboard;
mod endpoint;
mod groups;
mod keys;
mod migration;
mod namespaces;
mod openapi;
mod operation;
mod origin;
mod precondition;
mod reply;
mod repositories;
mod roles;
mod rules;
mod search;
mod seen;
mod settings;
mod storage;
mod system;
mod tasks;
mod users;

pub use activity::ActivityEndpoint;
pub use aliases::AliasEndpoint;
pub use artifacts::{ArtifactEndpoint, AskedVersion};
pub use auth::AuthEndpoint;
pub use config::ConfigEndpoint;
pub use dashboard::DashboardEndpoint;
pub use endpoint::ManageEndpoint;
pub use groups::GroupEndpoint;
pub use keys::KeyEndpoint;
pub use migration::MigrationEndpoint;
pub use namespaces::NamespaceEndpoint;
pub use repositories::RepositoryEndpoint;
pub use roles::RoleEndpoint;
pub use rules::RuleEndpoint;
pub use search::SearchEndpoint;
pub use seen::SeenByCallers;
pub use settings::SettingsEndpoint;
pub use storage::StorageEndpoint;
pub use system::SystemEndpoint;
pub use tasks::TaskEndpoint;
pub use users::UserEndpoint;

pub(super) use artifacts::ArtifactSearchEndpoint;
pub(super) use audit::AuditDraft;
pub(super) use endpoint::ROOT;
pub(super) use origin::check_origin;
pub(super) use seen::ChangedContent;
