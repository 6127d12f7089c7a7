//! The table of variables: one row each, those for buckets in [`super::object_vars`]. `--help`, the reference and the example file are generated from it;
//! [`super::variables`] reads the values.

use super::object_vars::OBJECTS;
use super::sftp_vars::SFTP;
use super::variable::{Applies, Var};

/// The row of a variable, by its exact name.
pub fn var(name: &str) -> Option<&'static Var> {
    VARS.iter().find(|var| var.name == name)
}

const LISTEN: &str = "Listening";
const STORAGE: &str = "Storage";
const AUTH: &str = "Authentication";
const ACCESS: &str = "Access control";
const TLS: &str = "TLS";
const FILES: &str = "Settings";
const LOG: &str = "Logging";

/// The largest page size that an operator may allow.
pub(super) const PAGE_CEILING: u64 = 100_000;

/// Every variable, in the order of the reference.
pub static VARS: &[Var] = &joined::<{ GENERAL.len() + OBJECTS.len() + SFTP.len() }>(&[GENERAL, OBJECTS, SFTP]);

/// One list of several.
const fn joined<const N: usize>(parts: &[&[Var]]) -> [Var; N] {
    let mut all = [parts[0][0]; N];
    let (mut part, mut next) = (0, 0);
    while part < parts.len() {
        let mut row = 0;
        while row < parts[part].len() {
            all[next] = parts[part][row];
            (row, next) = (row + 1, next + 1);
        }
        part += 1;
    }
    all
}

const GENERAL: &[Var] = &[
    Var {
        section: LISTEN,
        name: "REGISTRY_HOST",
        flag: "host",
        takes: "ADDRESS",
        default: Some("0.0.0.0"),
        example: "127.0.0.1",
        help: "IP address to listen on; `::` means all IPv6 and, on most systems, all IPv4 addresses.",
        applies: Applies::Restart,
    },
    Var {
        section: LISTEN,
        name: "REGISTRY_PORT",
        flag: "port",
        takes: "PORT",
        default: Some("15000"),
        example: "15000",
        help: "TCP port to listen on; 0 picks a free port.",
        applies: Applies::Restart,
    },
    Var {
        section: LISTEN,
        name: "REGISTRY_ADMIN_ADDR",
        flag: "admin-addr",
        takes: "ADDRESS:PORT",
        default: None,
        example: "127.0.0.1:15001",
        help: "Serve metrics and health details on this address instead of the main one.",
        applies: Applies::Restart,
    },
    Var {
        section: LISTEN,
        name: "REGISTRY_PUBLIC_URL",
        flag: "public-url",
        takes: "URL",
        default: None,
        example: "https://registry.example.com",
        help: "URL at which clients reach the registry, for absolute links. If not set, the host of the request is used.",
        applies: Applies::Restart,
    },
    Var {
        section: LISTEN,
        name: "REGISTRY_TRUSTED_PROXIES",
        flag: "trusted-proxies",
        takes: "NETWORKS",
        default: None,
        example: "10.0.0.0/8,127.0.0.1",
        help: "Comma-separated IP addresses or networks of proxies whose forwarding headers (`server.forwarded_headers`) are trusted.",
        applies: Applies::Restart,
    },
    Var {
        section: TLS,
        name: "REGISTRY_TLS_CERT",
        flag: "tls-cert",
        takes: "PATH",
        default: None,
        example: "/etc/wharfinger/tls.crt",
        help: "PEM file with the server's certificate chain; needs REGISTRY_TLS_KEY. If not set, the registry serves plain HTTP.",
        applies: Applies::Restart,
    },
    Var {
        section: TLS,
        name: "REGISTRY_TLS_KEY",
        flag: "tls-key",
        takes: "PATH",
        default: None,
        example: "/etc/wharfinger/tls.key",
        help: "PEM file with the private key for REGISTRY_TLS_CERT.",
        applies: Applies::Restart,
    },
    Var {
        section: TLS,
        name: "REGISTRY_TLS_CLIENT_CA",
        flag: "tls-client-ca",
        takes: "PATH",
        default: None,
        example: "/etc/wharfinger/clients.crt",
        help: "PEM file with CA certificates; every client must then present a certificate signed by one of them.",
        applies: Applies::Restart,
    },
    Var {
        section: STORAGE,
        name: "REGISTRY_STORAGE",
        flag: "storage",
        takes: "filesystem|s3|gcs|azure|sftp",
        default: Some("filesystem"),
        example: "s3",
        help: "Where everything that is pushed is kept: in a directory (REGISTRY_STORAGE_PATH), in a bucket of S3 or what speaks its protocol, of Google Cloud Storage or of Azure, or on an SFTP server. Each has variables of its own.",
        applies: Applies::Restart,
    },
    Var {
        section: STORAGE,
        name: "REGISTRY_STORAGE_PATH",
        flag: "storage-path",
        takes: "DIRECTORY",
        default: Some("./data"),
        example: "/var/lib/wharfinger",
        help: "Directory that holds everything that is pushed. With REGISTRY_STORAGE=sftp, the local directory of the journal.",
        applies: Applies::Restart,
    },
    Var {
        section: STORAGE,
        name: "REGISTRY_STORAGE_INIT",
        flag: "storage-init",
        takes: "auto|never",
        default: Some("auto"),
        example: "never",
        help: "Whether to create and initialise a missing or empty storage directory. With `never`, such a directory (an unmounted volume, say) is an error.",
        applies: Applies::Restart,
    },
    Var {
        section: STORAGE,
        name: "REGISTRY_CACHE_SIZE",
        flag: "cache-size",
        takes: "SIZE",
        default: None,
        example: "50GiB",
        help: "Keep blobs that were pulled on a disk of this machine, up to this many bytes: for a store in a bucket or on an SFTP server. Without it there is no cache.",
        applies: Applies::Restart,
    },
    Var {
        section: STORAGE,
        name: "REGISTRY_CACHE_PATH",
        flag: "cache-path",
        takes: "DIRECTORY",
        default: None,
        example: "/var/cache/wharfinger",
        help: "Directory of that cache; without it, `cache` below REGISTRY_STORAGE_PATH. Each process needs one of its own.",
        applies: Applies::Restart,
    },
    Var {
        section: STORAGE,
        name: "REGISTRY_UPLOAD_TIMEOUT",
        flag: "upload-timeout",
        takes: "SECONDS",
        default: Some("3600"),
        example: "3600",
        help: "Seconds to keep an unfinished upload after its last byte arrived.",
        applies: Applies::Restart,
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
    },
    Var {
        section: AUTH,
        name: "REGISTRY_AUTH_TYPE",
        flag: "auth-type",
        takes: "none|basic|token",
        default: Some("none"),
        example: "none",
        help: "How callers prove who they are: not at all, as users of an htpasswd file, or with tokens from an external service.",
        applies: Applies::Restart,
    },
    Var {
        section: AUTH,
        name: "REGISTRY_AUTH_REALM",
        flag: "auth-realm",
        takes: "TEXT",
        default: Some("Registry"),
        example: "Registry",
        help: "Realm that clients show when they ask for a password.",
        applies: Applies::Restart,
    },
    Var {
        section: AUTH,
        name: "REGISTRY_AUTH_HTPASSWD",
        flag: "auth-htpasswd",
        takes: "PATH",
        default: None,
        example: "/etc/wharfinger/htpasswd",
        help: "htpasswd file with bcrypt hashes; required by `basic`.",
        applies: Applies::Restart,
    },
    Var {
        section: AUTH,
        name: "REGISTRY_API_KEYS",
        flag: "api-keys",
        takes: "PATH",
        default: None,
        example: "/etc/wharfinger/api-keys",
        help: "Directory of more API keys, which the registry reads and never changes: files as in `identity/api-keys` of the storage directory. With `basic`. It is read again every `reload.poll_seconds`.",
        applies: Applies::Restart,
    },
    Var {
        section: AUTH,
        name: "REGISTRY_CREDENTIALS",
        flag: "credentials",
        takes: "PATH",
        default: None,
        example: "/etc/wharfinger/credentials",
        help: "Directory of credentials for other registries, to copy images from them: files `NAME.json` such as `{\"registry\": \"docker.io\", \"username\": \"alice\", \"password\": \"…\"}`. A file is read whenever it is used, and sent only to its registry.",
        applies: Applies::Restart,
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
    },
    Var {
        section: AUTH,
        name: "REGISTRY_AUTH_TOKEN_SERVICE",
        flag: "auth-token-service",
        takes: "TEXT",
        default: None,
        example: "registry.example.com",
        help: "Service name (audience) that a token must carry; required by `token`. The built-in token service uses the host of REGISTRY_PUBLIC_URL if this is not set.",
        applies: Applies::Restart,
    },
    Var {
        section: AUTH,
        name: "REGISTRY_AUTH_TOKEN_ISSUER",
        flag: "auth-token-issuer",
        takes: "TEXT",
        default: None,
        example: "auth.example.com",
        help: "Issuer that a token must carry; required by `token`. The built-in token service uses `wharfinger` if this is not set.",
        applies: Applies::Restart,
    },
    Var {
        section: AUTH,
        name: "REGISTRY_AUTH_TOKEN_PUBLICKEY",
        flag: "auth-token-publickey",
        takes: "PATH",
        default: None,
        example: "/etc/wharfinger/token.pem",
        help: "PEM public key, PEM certificate or JWKS file to verify tokens with; required by `token`.",
        applies: Applies::Restart,
    },
    Var {
        section: AUTH,
        name: "REGISTRY_AUTH_TOKEN_SIGNINGKEY",
        flag: "auth-token-signingkey",
        takes: "PATH|auto",
        default: None,
        example: "auto",
        help: "Turns on the built-in token service at `/auth/token`; needs `basic`. A PEM file with private keys (Ed25519 or P-256), of which the first signs, or `auto` to keep one in the storage directory.",
        applies: Applies::Restart,
    },
    Var {
        section: ACCESS,
        name: "REGISTRY_ACCESS_CONTROL_ENABLED",
        flag: "access-control-enabled",
        takes: "true|false",
        default: Some("false"),
        example: "false",
        help: "Whether to apply the access rules in REGISTRY_ACCESS_CONTROL_CONFIG.",
        applies: Applies::Restart,
    },
    Var {
        section: ACCESS,
        name: "REGISTRY_ACCESS_CONTROL_CONFIG",
        flag: "access-control-config",
        takes: "PATH",
        default: None,
        example: "/etc/wharfinger/access-control.json",
        help: "JSON file with access rules; needs REGISTRY_ACCESS_CONTROL_ENABLED=true.",
        applies: Applies::Restart,
    },
    Var {
        section: FILES,
        name: "REGISTRY_SETTINGS",
        flag: "settings",
        takes: "PATH",
        default: None,
        example: "/etc/wharfinger/settings.toml",
        help: "TOML file with further settings; every key has a default.",
        applies: Applies::Restart,
    },
    Var {
        section: FILES,
        name: "REGISTRY_PAGINATION_DEFAULT_LIMIT",
        flag: "pagination-default-limit",
        takes: "COUNT",
        default: Some("100"),
        example: "100",
        help: "Repositories on one page of the catalog if the request does not say how many.",
        applies: Applies::Restart,
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
    },
    Var {
        section: LOG,
        name: "REGISTRY_LOG_LEVEL",
        flag: "log-level",
        takes: "LEVEL",
        default: Some("info"),
        example: "info",
        help: "Least severe level that is logged: debug, info, warn or error.",
        applies: Applies::Restart,
    },
    Var {
        section: LOG,
        name: "REGISTRY_LOG_FORMAT",
        flag: "log-format",
        takes: "pretty|json",
        default: Some("pretty"),
        example: "json",
        help: "Log format: `pretty` for people, `json` for one JSON object per line.",
        applies: Applies::Restart,
    },
];
