//! Reads the variables of the environment with envy: one field for each row of [`super::vars::VARS`].
//!
//! envy stops at the first field that fails, so none does: a [`Read`] keeps the error of its value, and one start
//! reports all problems.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use client::Secret;
use ipnet::IpNet;
use serde::{Deserialize, Deserializer};

use super::bucket_values::{self, BucketEncryption};
use super::env::Env;
use super::sftp_values;
use super::values::{
    self, AuthType, LogFormat, LogLevel, PublicUrl, SigningKey, StorageInit, StorageKind, Value, Words,
};
use super::vars::PAGE_CEILING;
use crate::storage::sftp::HostTrust;

/// The prefix of our variables; the rest is the name of its field. Names that other programs have too have none.
const PREFIX: &str = "REGISTRY_";

/// Reads the values of variables into `env`, which invalid ones do not change. Returns the invalid variables, each with
/// the reason.
pub(super) fn read(
    values: impl IntoIterator<Item = (&'static str, String)>,
    env: &mut Env,
) -> Vec<(&'static str, String)> {
    let prefixed = |name: &str| match name.starts_with(PREFIX) {
        true => name.to_owned(),
        false => format!("{PREFIX}{name}"),
    };
    let values = values.into_iter().map(|(name, value)| (prefixed(name), value));
    match envy::prefixed(PREFIX).from_iter::<_, Variables>(values) {
        Ok(variables) => variables.put_into(env),
        // A row without a field, which a test excludes. Startup must not continue without its value.
        Err(error) => vec![(PREFIX, format!("cannot read the variables: {error}"))],
    }
}

/// The result of reading one variable.
#[derive(Default)]
enum Read<K: VariableKind> {
    #[default]
    NotGiven,
    Right(K::Value),
    Wrong(String),
}

impl<'de, K: VariableKind> Deserialize<'de> for Read<K> {
    /// Never fails: see the module.
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let read = String::deserialize(from).map_err(|error| error.to_string()).and_then(|text| {
            // A rule for every variable: an empty value is a template that was not filled in.
            if text.trim().is_empty() { Err("is empty: give it a value or unset it".into()) } else { K::read(&text) }
        });
        Ok(read.map_or_else(Self::Wrong, Self::Right))
    }
}

impl<K: VariableKind> Read<K> {
    /// Stores a valid value; returns the error of an invalid one.
    fn put<P: From<K::Value>>(self, place: &mut P) -> Option<String> {
        match self {
            Self::NotGiven => None,
            Self::Right(value) => {
                *place = value.into();
                None
            }
            Self::Wrong(message) => Some(message),
        }
    }
}

/// A kind of value: its type and parser.
trait VariableKind {
    type Value;
    fn read(text: &str) -> Value<Self::Value>;
}

macro_rules! kinds {
    ($($kind:ident: $value:ty = $read:expr;)*) => {$(
        enum $kind {}

        impl VariableKind for $kind {
            type Value = $value;

            fn read(text: &str) -> Value<$value> {
                let read: fn(&str) -> Value<$value> = $read;
                read(text)
            }
        }
    )*};
}

kinds! {
    Ip: IpAddr = values::ip;
    Port: u16 = values::port;
    Socket: SocketAddr = values::socket;
    Address: PublicUrl = values::public_url;
    Networks: Vec<IpNet> = values::networks;
    Path: PathBuf = values::path;
    Key: SigningKey = values::signing_key;
    Seconds: Duration = values::seconds;
    Page: usize = |text| values::count(text, 1, PAGE_CEILING);
    Text: String = values::quotable;
    Url: String = values::url_text;
    Switch: bool = values::boolean;
    Hidden: Secret = bucket_values::secret;
    Bucket: String = bucket_values::bucket;
    Prefix: String = bucket_values::prefix;
    Endpoint: String = bucket_values::endpoint;
    ServiceUrl: String = bucket_values::service_url;
    Encryption: BucketEncryption = bucket_values::encryption;
    Host: String = sftp_values::host_name;
    PrivateKey: Secret = sftp_values::private_key;
    Trust: HostTrust = |text| text.parse();
    RemoteDirectory: String = sftp_values::remote_directory;
    Connections: usize = |text| values::count(text, 1, 64);
    Bytes: u64 = values::size;
    Number: usize = |text| values::count(text, 1, i64::MAX as u64);
}

impl<T: Words> VariableKind for T {
    type Value = T;

    fn read(text: &str) -> Value<T> {
        values::one_of(text, T::WORDS)
    }
}

/// Generates the fields and the variables they are read from.
macro_rules! variables {
    ($($field:ident: $kind:ty = $name:literal;)*) => {
        #[derive(Default, Deserialize)]
        #[serde(default, deny_unknown_fields)]
        struct Variables {
            $($field: Read<$kind>,)*
        }

        impl Variables {
            /// Stores each valid value in the field of the same name.
            fn put_into(self, env: &mut Env) -> Vec<(&'static str, String)> {
                let read = [$(($name, self.$field.put(&mut env.$field)),)*];
                read.into_iter().filter_map(|(name, wrong)| Some((name, wrong?))).collect()
            }
        }
    };
}

variables! {
    host: Ip = "REGISTRY_HOST";
    port: Port = "REGISTRY_PORT";
    admin_addr: Socket = "REGISTRY_ADMIN_ADDR";
    public_url: Address = "REGISTRY_PUBLIC_URL";
    trusted_proxies: Networks = "REGISTRY_TRUSTED_PROXIES";
    tls_cert: Path = "REGISTRY_TLS_CERT";
    tls_key: Path = "REGISTRY_TLS_KEY";
    tls_client_ca: Path = "REGISTRY_TLS_CLIENT_CA";
    storage: StorageKind = "REGISTRY_STORAGE";
    storage_path: Path = "REGISTRY_STORAGE_PATH";
    storage_init: StorageInit = "REGISTRY_STORAGE_INIT";
    cache_size: Bytes = "REGISTRY_CACHE_SIZE";
    cache_path: Path = "REGISTRY_CACHE_PATH";
    upload_timeout: Seconds = "REGISTRY_UPLOAD_TIMEOUT";
    upload_cleanup_interval: Seconds = "REGISTRY_UPLOAD_CLEANUP_INTERVAL";
    auth_type: AuthType = "REGISTRY_AUTH_TYPE";
    auth_realm: Text = "REGISTRY_AUTH_REALM";
    auth_htpasswd: Path = "REGISTRY_AUTH_HTPASSWD";
    api_keys: Path = "REGISTRY_API_KEYS";
    credentials: Path = "REGISTRY_CREDENTIALS";
    auth_token_realm: Url = "REGISTRY_AUTH_TOKEN_REALM";
    auth_token_service: Text = "REGISTRY_AUTH_TOKEN_SERVICE";
    auth_token_issuer: Text = "REGISTRY_AUTH_TOKEN_ISSUER";
    auth_token_publickey: Path = "REGISTRY_AUTH_TOKEN_PUBLICKEY";
    auth_token_signingkey: Key = "REGISTRY_AUTH_TOKEN_SIGNINGKEY";
    access_control_enabled: Switch = "REGISTRY_ACCESS_CONTROL_ENABLED";
    access_control_config: Path = "REGISTRY_ACCESS_CONTROL_CONFIG";
    settings: Path = "REGISTRY_SETTINGS";
    pagination_default_limit: Page = "REGISTRY_PAGINATION_DEFAULT_LIMIT";
    pagination_max_limit: Page = "REGISTRY_PAGINATION_MAX_LIMIT";
    log_level: LogLevel = "REGISTRY_LOG_LEVEL";
    log_format: LogFormat = "REGISTRY_LOG_FORMAT";
    s3_bucket: Bucket = "REGISTRY_S3_BUCKET";
    s3_endpoint: Endpoint = "REGISTRY_S3_ENDPOINT";
    s3_region: Bucket = "REGISTRY_S3_REGION";
    s3_access_key: Hidden = "REGISTRY_S3_ACCESS_KEY";
    s3_access_key_file: Path = "REGISTRY_S3_ACCESS_KEY_FILE";
    s3_secret_key: Hidden = "REGISTRY_S3_SECRET_KEY";
    s3_secret_key_file: Path = "REGISTRY_S3_SECRET_KEY_FILE";
    s3_prefix: Prefix = "REGISTRY_S3_PREFIX";
    s3_path_style: Switch = "REGISTRY_S3_PATH_STYLE";
    s3_ca: Path = "REGISTRY_S3_CA";
    s3_sse: Encryption = "REGISTRY_S3_SSE";
    gcs_bucket: Bucket = "REGISTRY_GCS_BUCKET";
    gcs_prefix: Prefix = "REGISTRY_GCS_PREFIX";
    gcs_credentials: Path = "REGISTRY_GCS_CREDENTIALS";
    gcs_endpoint: Endpoint = "REGISTRY_GCS_ENDPOINT";
    azure_account: Bucket = "REGISTRY_AZURE_ACCOUNT";
    azure_container: Bucket = "REGISTRY_AZURE_CONTAINER";
    azure_access_key: Hidden = "REGISTRY_AZURE_ACCESS_KEY";
    azure_access_key_file: Path = "REGISTRY_AZURE_ACCESS_KEY_FILE";
    azure_prefix: Prefix = "REGISTRY_AZURE_PREFIX";
    azure_endpoint: ServiceUrl = "REGISTRY_AZURE_ENDPOINT";
    sftp_host: Host = "REGISTRY_SFTP_HOST";
    sftp_port: Port = "REGISTRY_SFTP_PORT";
    sftp_username: Text = "REGISTRY_SFTP_USERNAME";
    sftp_password: Hidden = "REGISTRY_SFTP_PASSWORD";
    sftp_password_file: Path = "REGISTRY_SFTP_PASSWORD_FILE";
    sftp_key: PrivateKey = "REGISTRY_SFTP_KEY";
    sftp_key_file: Path = "REGISTRY_SFTP_KEY_FILE";
    sftp_known_hosts: Trust = "REGISTRY_SFTP_KNOWN_HOSTS";
    sftp_root: RemoteDirectory = "REGISTRY_SFTP_ROOT";
    sftp_connections: Connections = "REGISTRY_SFTP_CONNECTIONS";
    sftp_write_behind: Switch = "REGISTRY_SFTP_WRITE_BEHIND";
    sftp_journal_limit: Bytes = "REGISTRY_SFTP_JOURNAL_LIMIT";
    sftp_takeover: Switch = "REGISTRY_SFTP_TAKEOVER";
    sftp_read_only: Switch = "REGISTRY_SFTP_READ_ONLY";
    hetzner_box_id: Number = "HETZNER_BOX_ID";
    hcloud_token: Hidden = "HCLOUD_TOKEN";
    hcloud_token_file: Path = "HCLOUD_TOKEN_FILE";
    hetzner_endpoint: ServiceUrl = "HETZNER_ENDPOINT";
}
