//! Lists the startup settings and the source of each, for the log at startup and for `check`.

use super::env::{Env, ValueSource};
use super::values::{AuthType, StorageInit, StorageKind, Words};
use super::vars;

impl Env {
    /// One line per setting, without secrets.
    pub fn decisions(&self) -> Vec<String> {
        let path = |name: &str, path: &Option<std::path::PathBuf>| match path {
            Some(path) => self.with_origin(path.display(), name),
            None => self.with_origin("none", name),
        };
        vec![
            format!(
                "address: {} (host: {}; port: {})",
                self.listen(),
                self.origin("REGISTRY_HOST"),
                self.origin("REGISTRY_PORT")
            ),
            match self.storage {
                StorageKind::Filesystem => format!(
                    "storage directory: {}; {}",
                    self.with_origin(self.storage_path.display(), "REGISTRY_STORAGE_PATH"),
                    match self.storage_init {
                        StorageInit::Auto => "initialised if empty",
                        StorageInit::Never => "never initialised",
                    }
                ),
                _ => format!("storage: {}", self.with_origin(self.storage_place(), "REGISTRY_STORAGE")),
            },
            format!("authentication: {}", self.authentication()),
            format!("access rules: {}", path("REGISTRY_ACCESS_CONTROL_CONFIG", &self.access_control_config)),
            format!("permissions: {}", self.permissions()),
            format!("TLS: {}", self.tls()),
            format!("settings file: {}", path("REGISTRY_SETTINGS", &self.settings)),
            match &self.public_url {
                Some(url) => format!("public URL: {}", self.with_origin(url, "REGISTRY_PUBLIC_URL")),
                None => "public URL: none (default); clients get the host they asked for".into(),
            },
            match &self.admin_addr {
                Some(address) => {
                    format!("metrics and health details: {}", self.with_origin(address, "REGISTRY_ADMIN_ADDR"))
                }
                None => "metrics and health details: on the main address (default)".into(),
            },
            format!("trusted proxies: {}", self.proxies()),
            format!(
                "log: level {}; format {}",
                self.with_origin(self.log_level.word(), "REGISTRY_LOG_LEVEL"),
                self.with_origin(self.log_format.word(), "REGISTRY_LOG_FORMAT")
            ),
        ]
    }

    fn authentication(&self) -> String {
        let kind = self.with_origin(self.auth_type.word(), "REGISTRY_AUTH_TYPE");
        let users = self
            .auth_htpasswd
            .iter()
            .map(|path| format!("users from {}", self.with_origin(path.display(), "REGISTRY_AUTH_HTPASSWD")));
        let users: String = users.collect();
        match self.auth_type {
            AuthType::None => format!("{kind}; every caller is anonymous"),
            AuthType::Basic if self.auth_token_signingkey.is_some() => {
                format!("{kind}; built-in token service {:?} at /auth/token; {users}", self.token_service())
            }
            AuthType::Basic => format!("{kind}; {users}"),
            AuthType::Token => {
                let realm = self.auth_token_realm.as_deref().unwrap_or_default();
                format!("{kind}; tokens from {}", self.with_origin(realm, "REGISTRY_AUTH_TOKEN_REALM"))
            }
        }
    }

    fn tls(&self) -> String {
        let Some(cert) = &self.tls_cert else { return "off (default); plain HTTP".into() };
        let cert = self.with_origin(cert.display(), "REGISTRY_TLS_CERT");
        match &self.tls_client_ca {
            None => format!("certificate {cert}"),
            Some(ca) => {
                let ca = self.with_origin(ca.display(), "REGISTRY_TLS_CLIENT_CA");
                format!("certificate {cert}; clients need a certificate from {ca}")
            }
        }
    }

    fn proxies(&self) -> String {
        if self.trusted_proxies.is_empty() {
            return "none (default); forwarding headers are ignored".into();
        }
        let nets: Vec<_> = self.trusted_proxies.iter().map(ToString::to_string).collect();
        self.with_origin(nets.join(", "), "REGISTRY_TRUSTED_PROXIES")
    }

    fn with_origin(&self, value: impl std::fmt::Display, name: &str) -> String {
        format!("{value} ({})", self.origin(name))
    }

    /// The source of a value: `default`, `flag --port`, `environment REGISTRY_PORT` or `.env line 3`.
    fn origin(&self, name: &str) -> String {
        match self.source(name) {
            None => "default".into(),
            Some(ValueSource::Environment) => format!("environment {name}"),
            Some(ValueSource::Flag) => format!("flag --{}", vars::var(name).map_or(name, |var| var.flag)),
            Some(ValueSource::File(path, line)) => format!("{} line {line}", path.display()),
        }
    }
}
