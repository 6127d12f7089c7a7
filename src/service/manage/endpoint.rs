//! The endpoints of the management API, by noun.

use super::super::{
    answer::Answering,
    endpoint::{Family, Methods, Need, RequestLine},
    error::{ApiError, ServiceError},
    gate::Granted,
};
use super::{
    activity::{self, ActivityEndpoint},
    aliases::AliasEndpoint,
    artifacts::{self, ArtifactEndpoint, ArtifactSearchEndpoint},
    auth::{self, AuthEndpoint},
    config::{self, ConfigEndpoint},
    dashboard::{self, DashboardEndpoint},
    groups::{self, GroupEndpoint},
    keys::{self, KeyEndpoint},
    migration::{self, MigrationEndpoint},
    namespaces::{self, NamespaceEndpoint},
    operation::Operation,
    repositories::{self, RepositoryEndpoint},
    roles::{self, RoleEndpoint},
    rules::{self, RuleEndpoint},
    search::{self, SearchEndpoint},
    settings::{self, SettingsEndpoint},
    storage::{self, StorageEndpoint},
    system::{self, SystemEndpoint},
    tasks::{self, TaskEndpoint},
    users::{self, UserEndpoint},
};

use oci::Reference;

/// The first segment of every path of this family.
pub(in super::super) const ROOT: &str = "api";

/// A request to the management API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ManageEndpoint {
    /// The registry itself.
    System(SystemEndpoint),
    /// The registry at a glance.
    Dashboard(DashboardEndpoint),
    /// Logins and sessions.
    Auth(AuthEndpoint),
    /// Users.
    User(UserEndpoint),
    /// Groups.
    Group(GroupEndpoint),
    /// Roles.
    Role(RoleEndpoint),
    /// Access rules.
    Rule(RuleEndpoint),
    /// Settings.
    Settings(SettingsEndpoint),
    /// The configuration as a whole.
    Config(ConfigEndpoint),
    /// API keys.
    Key(KeyEndpoint),
    /// Repositories and what they hold.
    Repository(RepositoryEndpoint),
    /// Namespaces.
    Namespace(NamespaceEndpoint),
    /// Search.
    Search(SearchEndpoint),
    /// Files with versions and properties.
    Artifact(ArtifactEndpoint),
    /// Search for artifacts.
    ArtifactSearch(ArtifactSearchEndpoint),
    /// Free space and open uploads.
    Storage(StorageEndpoint),
    /// What clients have done.
    Activity(ActivityEndpoint),
    /// Images from other registries.
    Migration(MigrationEndpoint),
    /// Long work.
    Task(TaskEndpoint),
    /// Another path of one of these.
    Alias(AliasEndpoint),
}

/// The first segments of paths of this API, now and later. No alias begins with one that is not its own.
const NOUNS: &[&str] = &[
    "access-log",
    "artifacts",
    "audit",
    "auth",
    "config",
    "dashboard",
    "fsck",
    "gc",
    "groups",
    "keys",
    "metrics",
    "namespaces",
    "openapi.json",
    "permissions",
    "quotas",
    "registry",
    "repositories",
    "roles",
    "rules",
    "search",
    "settings",
    "storage",
    "system",
    "tasks",
    "uploads",
    "users",
];

/// Whether a path of this API begins with this segment.
pub(super) fn is_noun(segment: &str) -> bool {
    NOUNS.contains(&segment)
}

/// What the API documents, by noun.
pub(super) static OPERATIONS: &[&[Operation]] = &[
    system::OPERATIONS,
    dashboard::OPERATIONS,
    auth::OPERATIONS,
    users::OPERATIONS,
    groups::OPERATIONS,
    roles::OPERATIONS,
    rules::OPERATIONS,
    settings::OPERATIONS,
    config::OPERATIONS,
    keys::OPERATIONS,
    repositories::OPERATIONS,
    namespaces::OPERATIONS,
    search::OPERATIONS,
    artifacts::OPERATIONS,
    artifacts::SEARCH_OPERATIONS,
    storage::OPERATIONS,
    activity::OPERATIONS,
    migration::OPERATIONS,
    tasks::OPERATIONS,
];

impl ManageEndpoint {
    /// Parses a path that begins with `api`.
    pub(in super::super) fn parse(line: &RequestLine<'_>) -> Result<Self, ServiceError> {
        let [ROOT, segments @ ..] = line.segments else { return Err(ApiError::NotFound.into()) };
        // An empty variable in a script must not turn a request about one thing into one about all of them.
        if segments.iter().any(|segment| segment.is_empty()) {
            return Err(ApiError::NotFound.into());
        }
        let line = RequestLine { segments, ..*line };
        if let Some(alias) = AliasEndpoint::parse(&line) {
            return alias.map(Self::Alias);
        }
        match segments {
            ["v1", segments @ ..] => Self::parse_noun(&RequestLine { segments, ..line }),
            _ => Err(ApiError::NotFound.into()),
        }
    }

    /// Whether a path is that of a login beside the token service.
    pub(in super::super) fn is_login(segments: &[&str]) -> bool {
        segments == ["auth", "login"]
    }

    /// Parses it.
    pub(in super::super) fn parse_login(line: &RequestLine<'_>) -> Result<Self, ServiceError> {
        AliasEndpoint::parse_login(line).map(Self::Alias)
    }

    /// Parses the segments below `/api/v1`.
    pub(super) fn parse_noun(line: &RequestLine<'_>) -> Result<Self, ServiceError> {
        match line.segments {
            ["system" | "permissions" | "openapi.json"] => SystemEndpoint::parse(line).map(Self::System),
            ["dashboard"] => DashboardEndpoint::parse(line).map(Self::Dashboard),
            ["auth", ..] => AuthEndpoint::parse(line).map(Self::Auth),
            ["users", ..] => UserEndpoint::parse(line).map(Self::User),
            ["groups", ..] => GroupEndpoint::parse(line).map(Self::Group),
            ["roles", ..] => RoleEndpoint::parse(line).map(Self::Role),
            ["rules", ..] => RuleEndpoint::parse(line).map(Self::Rule),
            ["settings", ..] => SettingsEndpoint::parse(line).map(Self::Settings),
            ["config", ..] | ["audit"] => ConfigEndpoint::parse(line).map(Self::Config),
            ["keys", ..] => KeyEndpoint::parse(line).map(Self::Key),
            ["repositories", ..] => RepositoryEndpoint::parse(line).map(Self::Repository),
            ["namespaces", ..] => NamespaceEndpoint::parse(line).map(Self::Namespace),
            segments if ArtifactSearchEndpoint::is_at(segments) => {
                ArtifactSearchEndpoint::parse(line).map(Self::ArtifactSearch)
            }
            ["artifacts", ..] => ArtifactEndpoint::parse(line).map(Self::Artifact),
            ["search"] => SearchEndpoint::parse(line).map(Self::Search),
            ["storage" | "quotas"] | ["storage", "outbox"] | ["uploads", ..] => {
                StorageEndpoint::parse(line).map(Self::Storage)
            }
            ["metrics" | "access-log"] => ActivityEndpoint::parse(line).map(Self::Activity),
            ["registry", ..] => MigrationEndpoint::parse(line).map(Self::Migration),
            ["tasks", ..] | ["gc" | "fsck"] => TaskEndpoint::parse(line).map(Self::Task),
            _ => Err(ApiError::NotFound.into()),
        }
    }

    /// Whether it moves content, as pushes and pulls do.
    pub(in super::super) fn is_of_content(&self) -> bool {
        matches!(self, Self::Artifact(endpoint) if endpoint.is_of_content())
    }

    fn noun(&self) -> &dyn Family {
        match self {
            Self::System(endpoint) => endpoint,
            Self::Dashboard(endpoint) => endpoint,
            Self::Auth(endpoint) => endpoint,
            Self::User(endpoint) => endpoint,
            Self::Group(endpoint) => endpoint,
            Self::Role(endpoint) => endpoint,
            Self::Rule(endpoint) => endpoint,
            Self::Settings(endpoint) => endpoint,
            Self::Config(endpoint) => endpoint,
            Self::Key(endpoint) => endpoint,
            Self::Repository(endpoint) => endpoint,
            Self::Namespace(endpoint) => endpoint,
            Self::Search(endpoint) => endpoint,
            Self::Artifact(endpoint) => endpoint,
            Self::ArtifactSearch(endpoint) => endpoint,
            Self::Storage(endpoint) => endpoint,
            Self::Activity(endpoint) => endpoint,
            Self::Migration(endpoint) => endpoint,
            Self::Task(endpoint) => endpoint,
            Self::Alias(endpoint) => endpoint,
        }
    }
}

impl Family for ManageEndpoint {
    fn name(&self) -> &'static str {
        self.noun().name()
    }

    fn needs(&self) -> Need<'_> {
        self.noun().needs()
    }

    fn methods(&self) -> Methods {
        self.noun().methods()
    }

    fn reference(&self) -> Option<Reference> {
        self.noun().reference()
    }

    fn serve(self, granted: Granted) -> Answering {
        match self {
            Self::System(endpoint) => endpoint.serve(granted),
            Self::Dashboard(endpoint) => endpoint.serve(granted),
            Self::Auth(endpoint) => endpoint.serve(granted),
            Self::User(endpoint) => endpoint.serve(granted),
            Self::Group(endpoint) => endpoint.serve(granted),
            Self::Role(endpoint) => endpoint.serve(granted),
            Self::Rule(endpoint) => endpoint.serve(granted),
            Self::Settings(endpoint) => endpoint.serve(granted),
            Self::Config(endpoint) => endpoint.serve(granted),
            Self::Key(endpoint) => endpoint.serve(granted),
            Self::Repository(endpoint) => endpoint.serve(granted),
            Self::Namespace(endpoint) => endpoint.serve(granted),
            Self::Search(endpoint) => endpoint.serve(granted),
            Self::Artifact(endpoint) => endpoint.serve(granted),
            Self::ArtifactSearch(endpoint) => endpoint.serve(granted),
            Self::Storage(endpoint) => endpoint.serve(granted),
            Self::Activity(endpoint) => endpoint.serve(granted),
            Self::Migration(endpoint) => endpoint.serve(granted),
            Self::Task(endpoint) => endpoint.serve(granted),
            Self::Alias(endpoint) => endpoint.serve(granted),
        }
    }
}
