//! A compiled generation: everything the configuration files say, ready for use. [`super::compile`] creates it.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::expiry::Expiries;
use super::limits::Limits;
use super::mirror::MirrorRule;
use super::origins::Origins;
use super::problems::Problems;
use super::snapshot::READ;
use super::values::{ForwardedHeaders, LogLevel};
use crate::access::Rights;
use crate::accounts::SessionLives;
use crate::files::Syncing;
use crate::identity::{Identity, LoginLimits, PasswordPolicy};
use crate::outbound::CredentialDirectory;
use crate::registry::settings::Settings;
use ipnet::IpNet;

/// An immutable configuration generation; a request uses the same one from beginning to end.
#[derive(Clone, Debug)]
pub struct Live {
    /// Rules and limits of the registry.
    pub registry: Arc<Settings>,
    /// Which repositories mirror another registry; the first rule that matches applies.
    pub mirrors: Vec<Arc<MirrorRule>>,
    /// What the operator has disabled, and their message.
    pub operator: Operator,
    /// Access rules and the default for callers they do not cover.
    pub rights: Arc<Rights>,
    /// How callers authenticate.
    pub identity: Identity,
    /// Limits of password logins.
    pub logins: LoginLimits,
    /// What new passwords must be like.
    pub passwords: PasswordPolicy,
    /// Lifetimes of our own tokens.
    pub token_lives: TokenLives,
    /// How sessions are kept.
    pub sessions: SessionSettings,
    /// The most wrong passwords of login pages per minute.
    pub wrong_passwords: WrongPasswords,
    /// Whether strangers may make an account for themselves.
    pub registration: Registration,
    /// What a response to a write guarantees.
    pub durability: Syncing,
    /// Limits of connections.
    pub limits: Limits,
    /// Maximum bytes held in memory for clients.
    pub client_memory: usize,
    /// Maximum connections per client, except for trusted proxies.
    pub connections_per_client: usize,
    /// Maximum costly requests in progress per client.
    pub costly_requests_per_client: usize,
    /// Which headers of trusted proxies are accepted.
    pub forwarded_headers: ForwardedHeaders,
    /// The host of the URL at which clients reach the registry, if it is configured.
    pub public_host: Option<Arc<str>>,
    /// Whether the web pages are served.
    pub has_pages: bool,
    /// Web pages that may use the registry from a browser.
    pub cors_origins: Origins,
    /// Credentials for other registries.
    pub credentials: CredentialDirectory,
    /// How images are copied from other registries.
    pub migration: MigrationSettings,
    /// Certificate, key and client authorities, ready for use; `None` for plain HTTP.
    pub tls: Option<Arc<rustls::ServerConfig>>,
    /// The lowest level that is logged.
    pub log_level: LogLevel,
    /// Maximum bytes of log lines waiting to be written.
    pub log_queue_bytes: usize,
    /// Interval at which the contents of the files are checked.
    pub poll: Duration,
    /// Timeout for reading one configuration file.
    pub read: Duration,
    /// The most writes by the management API per caller and minute; 0 for no limit.
    pub writes_per_minute: u32,
    /// Whether writes by the management API must name the state that they change.
    pub require_if_match: bool,
    /// Which of the files the management API edits.
    pub editing: EditPolicy,
    /// When the active certificates expire.
    pub expiries: Expiries,
    /// How often the active configuration has changed since startup.
    pub number: u64,
    /// A hash of users, rules and settings: the same on every replica that has the same files.
    pub version: Arc<str>,
    /// When the files were last reloaded, with or without problems.
    pub reloaded: SystemTime,
    /// When all files were last valid.
    pub since: SystemTime,
    /// Set while some files are invalid and their previous versions are still active.
    pub stale: Option<Arc<Stale>>,
}

/// Configuration files that are invalid, and since when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stale {
    /// When they became invalid.
    pub since: SystemTime,
    /// What is wrong.
    pub problems: Problems,
}

/// Switches of the operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operator {
    /// Rejects all writes.
    pub read_only: bool,
    /// Allows clients to delete content.
    pub delete: bool,
    /// A message for clients; empty for none.
    pub message: Arc<str>,
}

/// Whether the management API edits a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Editing {
    /// Yes, unless its path leads through a linked directory: what switches that link would undo the edit.
    #[default]
    Auto,
    /// Yes.
    Editable,
    /// No.
    External,
}

/// Which of the operator's files the management API edits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EditPolicy {
    /// The users.
    pub htpasswd: Editing,
    /// Groups, roles and rules.
    pub access_control: Editing,
    pub settings: Editing,
}

/// The most wrong passwords per minute before a client is told to wait; 0 for no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WrongPasswords {
    /// From one address.
    pub per_address: u32,
    /// For one user.
    pub per_user: u32,
}

/// Whether strangers may make an account for themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Registration {
    /// They may.
    pub is_open: bool,
    /// The most of them from one address per hour; 0 for no limit.
    pub per_hour: u32,
}

/// How sessions are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionSettings {
    /// How long an access token of a session is valid.
    pub token: Duration,
    /// How long sessions live.
    pub lives: SessionLives,
    /// Set the cookie even if the client came by plain HTTP from another machine.
    pub insecure_cookie: bool,
}

/// How images are copied from other registries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MigrationSettings {
    /// Networks that may be connected to although their addresses are not public.
    pub allow_private: Arc<[IpNet]>,
    /// Most migrations that run at the same time; others wait.
    pub migrations: usize,
    /// Most images that one migration copies at the same time.
    pub images: usize,
    /// Most blobs that one migration copies at the same time.
    pub blobs: usize,
    /// Most images of one migration.
    pub most_images: usize,
    /// How often an image is attempted.
    pub attempts: u32,
    /// The longest `Retry-After` that is waited for.
    pub retry_after: Duration,
    /// How long a download may bring next to nothing.
    pub slow_after: Duration,
}

/// Lifetimes of our own tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenLives {
    /// Of access tokens.
    pub access: Duration,
    /// Of refresh tokens; zero disables them.
    pub refresh: Duration,
}

impl Default for MigrationSettings {
    fn default() -> Self {
        Self {
            allow_private: Arc::default(),
            migrations: 2,
            images: 4,
            blobs: 8,
            most_images: 10_000,
            attempts: 4,
            retry_after: Duration::from_secs(900),
            slow_after: Duration::from_secs(60),
        }
    }
}

impl Default for SessionSettings {
    fn default() -> Self {
        const DAY: Duration = Duration::from_hours(24);
        Self {
            token: Duration::from_mins(15),
            lives: SessionLives { idle: 14 * DAY, longest: 90 * DAY },
            insecure_cookie: false,
        }
    }
}

impl Live {
    /// Whether a stranger may make an account now. Without access rules every user may do everything, so nobody gets in
    /// unasked.
    pub fn may_register(&self) -> bool {
        let has_rules = matches!(*self.rights, crate::access::Rights::Rules { .. });
        self.registration.is_open && has_rules && self.identity.users().is_some()
    }
}

impl Default for Live {
    fn default() -> Self {
        Self {
            registry: Arc::default(),
            mirrors: Vec::new(),
            operator: Operator { read_only: false, delete: true, message: "".into() },
            rights: Arc::default(),
            identity: Identity::Nobody,
            logins: LoginLimits::default(),
            passwords: PasswordPolicy::default(),
            token_lives: TokenLives { access: Duration::from_secs(300), refresh: Duration::ZERO },
            sessions: SessionSettings::default(),
            wrong_passwords: WrongPasswords { per_address: 10, per_user: 5 },
            registration: Registration { is_open: false, per_hour: 5 },
            durability: Syncing::default(),
            limits: Limits::default(),
            client_memory: 256 << 20,
            connections_per_client: 2000,
            costly_requests_per_client: 8,
            forwarded_headers: ForwardedHeaders::default(),
            public_host: None,
            has_pages: true,
            cors_origins: Origins::None,
            credentials: CredentialDirectory::default(),
            migration: MigrationSettings::default(),
            tls: None,
            log_level: LogLevel::Info,
            log_queue_bytes: 4 << 20,
            poll: Duration::from_secs(10),
            read: READ,
            writes_per_minute: 600,
            require_if_match: false,
            editing: EditPolicy::default(),
            expiries: Expiries::default(),
            number: 0,
            version: "".into(),
            reloaded: SystemTime::UNIX_EPOCH,
            since: SystemTime::UNIX_EPOCH,
            stale: None,
        }
    }
}
