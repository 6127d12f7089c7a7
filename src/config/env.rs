//! The startup settings: a typed, flat value that does not change at runtime. [`super::gather`] reads it.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use client::Secret;
use ipnet::IpNet;

use super::bucket_values::BucketEncryption;
use super::problems::Problem;
use super::values::{AuthType, LogFormat, LogLevel, PublicUrl, SigningKey, StorageInit, StorageKind};
use super::vars;
use crate::storage::sftp::HostTrust;

/// Where a value came from, in ascending precedence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ValueSource {
    /// A line (from 1) of the `.env` file.
    File(PathBuf, usize),
    /// The process environment.
    Environment,
    /// A command line flag.
    Flag,
}

impl ValueSource {
    /// A problem with a variable, named as the operator wrote it.
    pub(super) fn problem(&self, name: &str, message: String) -> Problem {
        match self {
            Self::File(path, line) => Problem::of_file(path, message).at_line(*line).at_key(name),
            Self::Environment => Problem::of_key(name, message),
            Self::Flag => {
                let flag = vars::var(name).map_or(name, |var| var.flag);
                Problem::of_key(format!("--{flag}"), message)
            }
        }
    }
}

/// A private key, which is never shown.
#[derive(Clone)]
pub(super) struct StoredKey(pub(super) Arc<[u8]>);

impl fmt::Debug for StoredKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StoredKey(…)")
    }
}

/// The startup settings; one field for each row of [`VARS`](super::VARS).
#[derive(Clone, Debug)]
pub struct Env {
    /// Address to listen on.
    pub host: IpAddr,
    /// Port to listen on; 0 = any free port.
    pub port: u16,
    /// Address for metrics and health details, if not the main one.
    pub admin_addr: Option<SocketAddr>,
    /// The URL of this registry for clients.
    pub public_url: Option<PublicUrl>,
    /// Proxies whose forwarding headers are trusted.
    pub trusted_proxies: Vec<IpNet>,
    /// PEM certificate chain; set if and only if `tls_key` is.
    pub tls_cert: Option<PathBuf>,
    /// PEM private key.
    pub tls_key: Option<PathBuf>,
    /// PEM CA certificates that must have signed client certificates; only with `tls_cert`.
    pub tls_client_ca: Option<PathBuf>,
    /// Where everything that is pushed is kept.
    pub storage: StorageKind,
    /// The storage directory.
    pub storage_path: PathBuf,
    /// Whether an empty storage directory may be initialised.
    pub storage_init: StorageInit,
    /// Most bytes in the cache of blobs before a store that is no directory; `None` without one.
    pub cache_size: Option<u64>,
    /// Where it is, if not below the storage path.
    pub cache_path: Option<PathBuf>,
    /// How long an unfinished upload is kept after its last byte.
    pub upload_timeout: Duration,
    /// Time between two searches for expired uploads.
    pub upload_cleanup_interval: Duration,
    /// How callers authenticate.
    pub auth_type: AuthType,
    /// Realm of the password challenge.
    pub auth_realm: String,
    /// The htpasswd file.
    pub auth_htpasswd: Option<PathBuf>,
    /// A directory of API keys.
    pub api_keys: Option<PathBuf>,
    /// A directory of credentials for other registries.
    pub credentials: Option<PathBuf>,
    /// URL of the external token service.
    pub auth_token_realm: Option<String>,
    /// Audience of its tokens.
    pub auth_token_service: Option<String>,
    pub auth_token_issuer: Option<String>,
    /// Key, certificate or JWKS that verifies its tokens.
    pub auth_token_publickey: Option<PathBuf>,
    /// Signing key of the built-in token service.
    pub auth_token_signingkey: Option<SigningKey>,
    /// Whether access rules apply.
    pub access_control_enabled: bool,
    /// The file with the access rules.
    pub access_control_config: Option<PathBuf>,
    /// The settings file.
    pub settings: Option<PathBuf>,
    /// Default number of names on a catalog page.
    pub pagination_default_limit: usize,
    /// Maximum number of names on a page.
    pub pagination_max_limit: usize,
    /// The lowest level that is logged.
    pub log_level: LogLevel,
    pub log_format: LogFormat,
    /// The bucket of S3.
    pub s3_bucket: Option<String>,
    /// URL of what speaks S3's protocol.
    pub s3_endpoint: Option<String>,
    /// Region of the bucket.
    pub s3_region: Option<String>,
    /// Access key ID.
    pub s3_access_key: Option<Secret>,
    /// A file with it.
    pub s3_access_key_file: Option<PathBuf>,
    /// Secret access key.
    pub s3_secret_key: Option<Secret>,
    /// A file with it.
    pub s3_secret_key_file: Option<PathBuf>,
    /// What all names begin with.
    pub s3_prefix: Option<String>,
    /// Whether the bucket is in the path of URLs.
    pub s3_path_style: bool,
    /// PEM certificate authorities for the endpoint.
    pub s3_ca: Option<PathBuf>,
    /// Encryption to ask for.
    pub s3_sse: Option<BucketEncryption>,
    /// The bucket of Google Cloud Storage.
    pub gcs_bucket: Option<String>,
    /// What all names begin with.
    pub gcs_prefix: Option<String>,
    /// The key of a service account.
    pub gcs_credentials: Option<PathBuf>,
    /// Another URL of the service.
    pub gcs_endpoint: Option<String>,
    /// The storage account of Azure.
    pub azure_account: Option<String>,
    /// The container in it.
    pub azure_container: Option<String>,
    /// Access key of the account.
    pub azure_access_key: Option<Secret>,
    /// A file with it.
    pub azure_access_key_file: Option<PathBuf>,
    /// What all names begin with.
    pub azure_prefix: Option<String>,
    /// Another URL of the account.
    pub azure_endpoint: Option<String>,
    /// The SFTP server.
    pub sftp_host: Option<String>,
    pub sftp_port: u16,
    /// Who logs in there.
    pub sftp_username: Option<String>,
    pub sftp_password: Option<Secret>,
    /// A file with it.
    pub sftp_password_file: Option<PathBuf>,
    /// A private key.
    pub sftp_key: Option<Secret>,
    /// A file with it.
    pub sftp_key_file: Option<PathBuf>,
    /// Which host keys the server may have.
    pub sftp_known_hosts: Option<HostTrust>,
    /// The directory on the server.
    pub sftp_root: String,
    /// Most connections at once.
    pub sftp_connections: usize,
    /// Whether writes are uploaded after they are answered.
    pub sftp_write_behind: bool,
    /// Most bytes that wait for their upload.
    pub sftp_journal_limit: u64,
    /// Whether to take the store over from another registry.
    pub sftp_takeover: bool,
    /// Whether to serve pulls only, beside the registry that writes.
    pub sftp_read_only: bool,
    /// The Storage Box whose usage Hetzner's API reports.
    pub hetzner_box_id: Option<usize>,
    pub hcloud_token: Option<Secret>,
    /// A file with it.
    pub hcloud_token_file: Option<PathBuf>,
    pub hetzner_endpoint: String,
    /// The key that signs tokens or sessions, where it is kept in a store that is no directory.
    pub(super) stored_key: Option<StoredKey>,
    /// The text of each value that is not a default, and where it came from, by variable.
    pub(super) given: BTreeMap<&'static str, (ValueSource, String)>,
}

impl Default for Env {
    /// The defaults of [`VARS`](super::VARS) as values (a test compares them), with nothing set.
    fn default() -> Self {
        Self {
            host: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            port: 15000,
            admin_addr: None,
            public_url: None,
            trusted_proxies: Vec::new(),
            tls_cert: None,
            tls_key: None,
            tls_client_ca: None,
            storage: StorageKind::Filesystem,
            storage_path: PathBuf::from("./data"),
            storage_init: StorageInit::Auto,
            cache_size: None,
            cache_path: None,
            upload_timeout: Duration::from_secs(3600),
            upload_cleanup_interval: Duration::from_secs(300),
            auth_type: AuthType::None,
            auth_realm: "Registry".to_owned(),
            auth_htpasswd: None,
            api_keys: None,
            credentials: None,
            auth_token_realm: None,
            auth_token_service: None,
            auth_token_issuer: None,
            auth_token_publickey: None,
            auth_token_signingkey: None,
            access_control_enabled: false,
            access_control_config: None,
            settings: None,
            pagination_default_limit: 100,
            pagination_max_limit: 1000,
            log_level: LogLevel::Info,
            log_format: LogFormat::Pretty,
            s3_bucket: None,
            s3_endpoint: None,
            s3_region: None,
            s3_access_key: None,
            s3_access_key_file: None,
            s3_secret_key: None,
            s3_secret_key_file: None,
            s3_prefix: None,
            s3_path_style: true,
            s3_ca: None,
            s3_sse: None,
            gcs_bucket: None,
            gcs_prefix: None,
            gcs_credentials: None,
            gcs_endpoint: None,
            azure_account: None,
            azure_container: None,
            azure_access_key: None,
            azure_access_key_file: None,
            azure_prefix: None,
            azure_endpoint: None,
            sftp_host: None,
            sftp_port: 22,
            sftp_username: None,
            sftp_password: None,
            sftp_password_file: None,
            sftp_key: None,
            sftp_key_file: None,
            sftp_known_hosts: None,
            sftp_root: "registry".to_owned(),
            sftp_connections: 4,
            sftp_write_behind: false,
            sftp_journal_limit: 20 << 30,
            sftp_takeover: false,
            sftp_read_only: false,
            hetzner_box_id: None,
            hcloud_token: None,
            hcloud_token_file: None,
            hetzner_endpoint: "https://api.hetzner.com/v1".to_owned(),
            stored_key: None,
            given: BTreeMap::new(),
        }
    }
}

impl Env {
    /// Whether this variable was set.
    pub fn is_given(&self, name: &str) -> bool {
        self.given.contains_key(name)
    }

    /// Where this variable's value came from; `None` for the default.
    pub fn source(&self, name: &str) -> Option<&ValueSource> {
        self.given.get(name).map(|(source, _)| source)
    }

    /// The text of this variable; `None` if it was not set.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.given.get(name).map(|(_, text)| text.as_str())
    }

    /// Whether the operator set the storage directory.
    pub fn storage_is_explicit(&self) -> bool {
        self.is_given("REGISTRY_STORAGE_PATH")
    }

    /// The address to listen on.
    pub fn listen(&self) -> SocketAddr {
        SocketAddr::new(self.host, self.port)
    }
}
