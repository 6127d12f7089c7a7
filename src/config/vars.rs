//! The table of variables: one row each, from which the parser, `--help` and the reference are made.

use super::env::Env;
use super::values::{self, AuthType, LogFormat, LogLevel, StorageInit, Value};

/// When a change takes effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applies {
    /// When the file is reloaded.
    Reload,
    /// When the daemon starts again.
    Restart,
}

impl Applies {
    /// One word for the reference.
    pub fn word(self) -> &'static str {
        match self {
            Self::Reload => "reload",
            Self::Restart => "restart",
        }
    }
}

/// One environment variable and the flag beside it.
#[derive(Debug)]
pub struct Var {
    /// The heading it stands under.
    pub section: &'static str,
    /// The variable's name.
    pub name: &'static str,
    /// The long flag, without the dashes.
    pub flag: &'static str,
    /// What kind of value it takes, for `--help`.
    pub takes: &'static str,
    /// The value when nobody gives one; `None` is "not set".
    pub default: Option<&'static str>,
    /// A value for the example file; also what the tests parse.
    pub example: &'static str,
    /// What it means, units included.
    pub help: &'static str,
    /// When a change takes effect.
    pub applies: Applies,
    /// Reads the text into the environment.
    pub(super) set: fn(&mut Env, &str) -> Value<()>,
}

/// The row of a variable, by its exact name.
pub fn var(name: &str) -> Option<&'static Var> {
    VARS.iter().find(|var| var.name == name)
}

fn store<T>(place: &mut T, value: Value<T>) -> Value<()> {
    value.map(|value| *place = value)
}

fn store_some<T>(place: &mut Option<T>, value: Value<T>) -> Value<()> {
    value.map(|value| *place = Some(value))
}

const LEVELS: &[(&str, LogLevel)] =
    &[("debug", LogLevel::Debug), ("info", LogLevel::Info), ("warn", LogLevel::Warn), ("error", LogLevel::Error)];
const FORMATS: &[(&str, LogFormat)] = &[("pretty", LogFormat::Pretty), ("json", LogFormat::Json)];
const INITS: &[(&str, StorageInit)] = &[("auto", StorageInit::Auto), ("never", StorageInit::Never)];
const AUTHS: &[(&str, AuthType)] = &[("none", AuthType::None), ("basic", AuthType::Basic), ("token", AuthType::Token)];

const LISTEN: &str = "Listening";
const STORAGE: &str = "Storage";
const AUTH: &str = "Authentication";
const ACCESS: &str = "Access control";
const TLS: &str = "TLS";
const FILES: &str = "Settings";
const LOG: &str = "Logging";

/// The largest page an operator may allow, in names.
pub(super) const PAGE_CEILING: u64 = 100_000;

/// Every variable, in the order of the reference.
pub static VARS: &[Var] = &[
    Var {
        section: LISTEN,
        name: "REGISTRY_HOST",
        flag: "host",
        takes: "ADDRESS",
        default: Some("0.0.0.0"),
        example: "127.0.0.1",
        help: "IP address to listen on; `::` listens on IPv6 and, on most systems, IPv4.",
        applies: Applies::Restart,
        set: |env, text| store(&mut env.host, values::ip(text)),
    },
    Var {
        section: LISTEN,
        name: "REGISTRY_PORT",
        flag: "port",
        takes: "PORT",
        default: Some("15000"),
        example: "15000",
        help: "TCP port to listen on; 0 takes any free port.",
        applies: Applies::Restart,
        set: |env, text| store(&mut env.port, values::port(text)),
    },
    Var {
        section: LISTEN,
        name: "REGISTRY_ADMIN_ADDR",
        flag: "admin-addr",
        takes: "ADDRESS:PORT",
        default: None,
        example: "127.0.0.1:15001",
        help: "Serve metrics and the readiness detail on this address instead of the main one.",
        applies: Applies::Restart,
        set: |env, text| store_some(&mut env.admin_addr, values::socket(text)),
    },
    Var {
        section: LISTEN,
        name: "REGISTRY_PUBLIC_URL",
        flag: "public-url",
        takes: "URL",
        default: None,
        example: "https://registry.example.com",
        help: "The http(s) address clients use, for absolute links; without it the request's own host is used.",
        applies: Applies::Restart,
        set: |env, text| store_some(&mut env.public_url, values::public_url(text)),
    },
    Var {
        section: LISTEN,
        name: "REGISTRY_TRUSTED_PROXIES",
        flag: "trusted-proxies",
        takes: "NETWORKS",
        default: None,
        example: "10.0.0.0/8,127.0.0.1",
        help: "IP addresses or networks, between commas, whose forwarding headers are believed (`server.forwarded_headers`); nobody's by default.",
        applies: Applies::Restart,
        set: |env, text| store(&mut env.trusted_proxies, values::networks(text)),
    },
    Var {
        section: TLS,
        name: "REGISTRY_TLS_CERT",
        flag: "tls-cert",
        takes: "PATH",
        default: None,
        example: "/etc/wharfinger/tls.crt",
        help: "PEM file with the server's certificate chain; needs REGISTRY_TLS_KEY. Without it, plain HTTP is served.",
        applies: Applies::Restart,
        set: |env, text| store_some(&mut env.tls_cert, values::path(text)),
    },
    Var {
        section: TLS,
        name: "REGISTRY_TLS_KEY",
        flag: "tls-key",
        takes: "PATH",
        default: None,
        example: "/etc/wharfinger/tls.key",
        help: "PEM file with the private key of REGISTRY_TLS_CERT.",
        applies: Applies::Restart,
        set: |env, text| store_some(&mut env.tls_key, values::path(text)),
    },
    Var {
        section: TLS,
        name: "REGISTRY_TLS_CLIENT_CA",
        flag: "tls-client-ca",
        takes: "PATH",
        default: None,
        example: "/etc/wharfinger/clients.crt",
        help: "PEM file with authorities; every client must then show a certificate signed by one of them.",
        applies: Applies::Restart,
        set: |env, text| store_some(&mut env.tls_client_ca, values::path(text)),
    },
    Var {
        section: STORAGE,
        name: "REGISTRY_STORAGE_PATH",
        flag: "storage-path",
        takes: "DIRECTORY",
        default: Some("./data"),
        example: "/var/lib/wharfinger",
        help: "Root directory of everything that is pushed.",
        applies: Applies::Restart,
        set: |env, text| store(&mut env.storage_path, values::path(text)),
    },
    Var {
        section: STORAGE,
        name: "REGISTRY_STORAGE_INIT",
        flag: "storage-init",
        takes: "auto|never",
        default: Some("auto"),
        example: "never",
        help: "Whether an empty storage directory is initialised; `never` makes an empty one (an unmounted volume) stop the start.",
        applies: Applies::Restart,
        set: |env, text| store(&mut env.storage_init, values::one_of(text, INITS)),
    },
    Var {
        section: STORAGE,
        name: "REGISTRY_UPLOAD_TIMEOUT",
        flag: "upload-timeout",
        takes: "SECONDS",
        default: Some("3600"),
        example: "3600",
        help: "Seconds an unfinished upload is kept, counted from the last byte that arrived.",
        applies: Applies::Restart,
        set: |env, text| store(&mut env.upload_timeout, values::seconds(text)),
    },
    Var {
        section: STORAGE,
        name: "REGISTRY_UPLOAD_CLEANUP_INTERVAL",
        flag: "upload-cleanup-interval",
        takes: "SECONDS",
        default: Some("300"),
        example: "300",
        help: "Seconds between two searches for expired uploads.",
        applies: Applies::Restart,
        set: |env, text| store(&mut env.upload_cleanup_interval, values::seconds(text)),
    },
    Var {
        section: AUTH,
        name: "REGISTRY_AUTH_TYPE",
        flag: "auth-type",
        takes: "none|basic|token",
        default: Some("none"),
        example: "none",
        help: "Who a caller has to be: anyone, a user of the htpasswd file, or the bearer of an external service's token.",
        applies: Applies::Restart,
        set: |env, text| store(&mut env.auth_type, values::one_of(text, AUTHS)),
    },
    Var {
        section: AUTH,
        name: "REGISTRY_AUTH_REALM",
        flag: "auth-realm",
        takes: "TEXT",
        default: Some("Registry"),
        example: "Registry",
        help: "Realm shown by clients that ask for a password.",
        applies: Applies::Restart,
        set: |env, text| store(&mut env.auth_realm, values::quotable(text)),
    },
    Var {
        section: AUTH,
        name: "REGISTRY_AUTH_HTPASSWD",
        flag: "auth-htpasswd",
        takes: "PATH",
        default: None,
        example: "/etc/wharfinger/htpasswd",
        help: "htpasswd file with bcrypt entries; required by `basic`.",
        applies: Applies::Restart,
        set: |env, text| store_some(&mut env.auth_htpasswd, values::path(text)),
    },
    Var {
        section: AUTH,
        name: "REGISTRY_AUTH_TOKEN_REALM",
        flag: "auth-token-realm",
        takes: "URL",
        default: None,
        example: "https://auth.example.com/token",
        help: "URL of the external token service; required by `token`.",
        applies: Applies::Restart,
        set: |env, text| store_some(&mut env.auth_token_realm, values::url_text(text)),
    },
    Var {
        section: AUTH,
        name: "REGISTRY_AUTH_TOKEN_SERVICE",
        flag: "auth-token-service",
        takes: "TEXT",
        default: None,
        example: "registry.example.com",
        help: "Service name, the audience a token must have; required by `token`. With the own token service: the host of REGISTRY_PUBLIC_URL unless set.",
        applies: Applies::Restart,
        set: |env, text| store_some(&mut env.auth_token_service, values::quotable(text)),
    },
    Var {
        section: AUTH,
        name: "REGISTRY_AUTH_TOKEN_ISSUER",
        flag: "auth-token-issuer",
        takes: "TEXT",
        default: None,
        example: "auth.example.com",
        help: "Issuer a token must have; required by `token`. With the own token service: `wharfinger` unless set.",
        applies: Applies::Restart,
        set: |env, text| store_some(&mut env.auth_token_issuer, values::quotable(text)),
    },
    Var {
        section: AUTH,
        name: "REGISTRY_AUTH_TOKEN_PUBLICKEY",
        flag: "auth-token-publickey",
        takes: "PATH",
        default: None,
        example: "/etc/wharfinger/token.pem",
        help: "PEM key, PEM certificate or JWKS file that tokens are verified with; required by `token`.",
        applies: Applies::Restart,
        set: |env, text| store_some(&mut env.auth_token_publickey, values::path(text)),
    },
    Var {
        section: AUTH,
        name: "REGISTRY_AUTH_TOKEN_SIGNINGKEY",
        flag: "auth-token-signingkey",
        takes: "PATH|auto",
        default: None,
        example: "auto",
        help: "With `basic`: turns on the own token service at `/auth/token`, with the private keys (Ed25519, P-256) of this PEM file; the first signs. `auto` keeps one below the storage root.",
        applies: Applies::Restart,
        set: |env, text| store_some(&mut env.auth_token_signingkey, values::signing_key(text)),
    },
    Var {
        section: ACCESS,
        name: "REGISTRY_ACCESS_CONTROL_ENABLED",
        flag: "access-control-enabled",
        takes: "true|false",
        default: Some("false"),
        example: "false",
        help: "Whether the rules of REGISTRY_ACCESS_CONTROL_CONFIG decide.",
        applies: Applies::Restart,
        set: |env, text| store(&mut env.access_control_enabled, values::truth(text)),
    },
    Var {
        section: ACCESS,
        name: "REGISTRY_ACCESS_CONTROL_CONFIG",
        flag: "access-control-config",
        takes: "PATH",
        default: None,
        example: "/etc/wharfinger/access-control.json",
        help: "JSON file with users' rights; needs REGISTRY_ACCESS_CONTROL_ENABLED=true.",
        applies: Applies::Restart,
        set: |env, text| store_some(&mut env.access_control_config, values::path(text)),
    },
    Var {
        section: FILES,
        name: "REGISTRY_SETTINGS",
        flag: "settings",
        takes: "PATH",
        default: None,
        example: "/etc/wharfinger/settings.toml",
        help: "TOML file with settings; each has a default without it.",
        applies: Applies::Restart,
        set: |env, text| store_some(&mut env.settings, values::path(text)),
    },
    Var {
        section: FILES,
        name: "REGISTRY_PAGINATION_DEFAULT_LIMIT",
        flag: "pagination-default-limit",
        takes: "COUNT",
        default: Some("100"),
        example: "100",
        help: "Repositories on one page of the catalog when the request names no number.",
        applies: Applies::Restart,
        set: |env, text| store(&mut env.pagination_default_limit, values::count(text, 1, PAGE_CEILING)),
    },
    Var {
        section: FILES,
        name: "REGISTRY_PAGINATION_MAX_LIMIT",
        flag: "pagination-max-limit",
        takes: "COUNT",
        default: Some("1000"),
        example: "1000",
        help: "Largest page of the catalog or of a tag list; a request for more gets this many.",
        applies: Applies::Restart,
        set: |env, text| store(&mut env.pagination_max_limit, values::count(text, 1, PAGE_CEILING)),
    },
    Var {
        section: LOG,
        name: "REGISTRY_LOG_LEVEL",
        flag: "log-level",
        takes: "LEVEL",
        default: Some("info"),
        example: "info",
        help: "Least important lines that are logged: debug, info, warn or error.",
        applies: Applies::Restart,
        set: |env, text| store(&mut env.log_level, values::one_of(text, LEVELS)),
    },
    Var {
        section: LOG,
        name: "REGISTRY_LOG_FORMAT",
        flag: "log-format",
        takes: "pretty|json",
        default: Some("pretty"),
        example: "json",
        help: "Log lines for people, or one JSON object per line.",
        applies: Applies::Restart,
        set: |env, text| store(&mut env.log_format, values::one_of(text, FORMATS)),
    },
];
