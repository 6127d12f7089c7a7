//! The compiled generation: everything the configuration files say, ready for use. How it comes
//! about is in [`super::compile`].

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::expiry::Expiries;
use super::limits::Limits;
use super::origins::Origins;
use super::problems::Problems;
use super::values::{ForwardedHeaders, LogLevel};
use crate::access::Rights;
use crate::auth::{Issuer, Users, Verifier};
use crate::files::Syncing;
use crate::registry::settings::Settings;

/// One immutable generation; a request sees one from its first gate to its last byte.
#[derive(Clone, Debug)]
pub struct Live {
    /// Rules and bounds of the registry.
    pub registry: Arc<Settings>,
    /// What the operator has switched off, and says about it.
    pub operator: Operator,
    /// Who may do what.
    pub rights: Arc<Rights>,
    /// Who there is.
    pub users: Arc<Users>,
    /// Whose tokens are believed.
    pub tokens: Tokens,
    /// How long tokens of our own live.
    pub token_lives: TokenLives,
    /// What an answer to a write promises.
    pub durability: Syncing,
    /// Bounds of connections.
    pub limits: Limits,
    /// Which headers of trusted proxies are believed.
    pub forwarded_headers: ForwardedHeaders,
    /// Web pages that may use the registry from a browser.
    pub cors_origins: Origins,
    /// Certificate, key and client authorities, ready to accept with; `None` is plain HTTP.
    pub tls: Option<Arc<rustls::ServerConfig>>,
    /// Least important lines logged.
    pub log_level: LogLevel,
    /// Most bytes of log lines that wait to be written.
    pub log_queue_bytes: usize,
    /// Time between two looks at what the files hold.
    pub poll: Duration,
    /// When the certificates in force expire.
    pub expiries: Expiries,
    /// How often what is in force has changed since the start.
    pub number: u64,
    /// When the files were last reloaded, with or without problems.
    pub reloaded: SystemTime,
    /// When everything could be used for the last time.
    pub since: SystemTime,
    /// Set while some files cannot be used, and what they said before goes on.
    pub stale: Option<Arc<Stale>>,
}

/// Files that cannot be used since some time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stale {
    /// Since when.
    pub since: SystemTime,
    /// What is wrong.
    pub problems: Problems,
}

/// Switches of the operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operator {
    /// Nothing may be written.
    pub read_only: bool,
    /// Content may be deleted.
    pub delete: bool,
    /// A line for clients; empty if there is nothing to say.
    pub message: Arc<str>,
}

/// How long tokens of our own are good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenLives {
    /// Those that give access.
    pub access: Duration,
    /// Those that give other tokens; zero: none are made.
    pub refresh: Duration,
}

/// Whose tokens are believed.
#[derive(Clone, Debug, Default)]
pub enum Tokens {
    /// Nobody's.
    #[default]
    None,
    /// Our own.
    Own(Arc<Issuer>),
    /// Those of a service elsewhere.
    Elsewhere(Arc<Verifier>),
}

impl Default for Live {
    fn default() -> Self {
        Self {
            registry: Arc::default(),
            operator: Operator { read_only: false, delete: true, message: "".into() },
            rights: Arc::default(),
            users: Arc::default(),
            tokens: Tokens::None,
            token_lives: TokenLives { access: Duration::from_secs(300), refresh: Duration::ZERO },
            durability: Syncing::default(),
            limits: Limits::default(),
            forwarded_headers: ForwardedHeaders::default(),
            cors_origins: Origins::None,
            tls: None,
            log_level: LogLevel::Info,
            log_queue_bytes: 4 << 20,
            poll: Duration::from_secs(10),
            expiries: Expiries::default(),
            number: 0,
            reloaded: SystemTime::UNIX_EPOCH,
            since: SystemTime::UNIX_EPOCH,
            stale: None,
        }
    }
}
