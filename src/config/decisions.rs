//! What was decided, one line each, for the log at start and for `check`.

use super::env::{Env, Place};
use super::values::{AuthType, LogFormat, LogLevel, StorageInit};

impl Env {
    /// One line per decision taken, without secrets.
    pub fn decisions(&self) -> Vec<String> {
        let mut lines = vec![
            format!("address: {}{}", self.listen(), self.source("REGISTRY_PORT")),
            self.storage_line(),
            self.auth_line(),
            self.rules_line(),
            self.tls_line(),
        ];
        lines.push(match &self.settings {
            Some(path) => format!("settings: {}", path.display()),
            None => "settings: defaults (REGISTRY_SETTINGS is not set)".into(),
        });
        lines.push(match &self.public_url {
            Some(url) => format!("public address: {url}"),
            None => "public address: whatever the client asked for".into(),
        });
        lines.push(match &self.admin_addr {
            Some(address) => format!("metrics and readiness: {address}"),
            None => "metrics and readiness: on the main address".into(),
        });
        lines.push(if self.trusted_proxies.is_empty() {
            "trusted proxies: none, forwarding headers are ignored".into()
        } else {
            let nets: Vec<_> = self.trusted_proxies.iter().map(ToString::to_string).collect();
            format!("trusted proxies: {}", nets.join(", "))
        });
        lines.push(format!("log: {}, {}", level(self.log_level), format_word(self.log_format)));
        lines
    }

    fn storage_line(&self) -> String {
        let init = match self.storage_init {
            StorageInit::Auto => "initialised if empty",
            StorageInit::Never => "never initialised",
        };
        let source = self.source("REGISTRY_STORAGE_PATH");
        format!("storage: {}{source}, {init}", self.storage_path.display())
    }

    fn auth_line(&self) -> String {
        match self.auth_type {
            AuthType::None => "authentication: none; anyone who reaches the address may pull, push and delete".into(),
            AuthType::Basic if self.auth_token_signingkey.is_some() => {
                format!(
                    "authentication: own tokens for {}, had at /auth/token by users of the htpasswd file",
                    self.token_service()
                )
            }
            AuthType::Basic => "authentication: basic; users of the htpasswd file".into(),
            AuthType::Token => "authentication: token; bearers of the external service's tokens".into(),
        }
    }

    fn rules_line(&self) -> String {
        match self.access_control_config.as_ref().filter(|_| self.access_control_enabled) {
            Some(path) => format!("access rules: {}", path.display()),
            None => "access rules: none".into(),
        }
    }

    fn tls_line(&self) -> String {
        match (&self.tls_cert, &self.tls_client_ca) {
            (None, _) => "TLS: off, plain HTTP".into(),
            (Some(cert), None) => format!("TLS: {}", cert.display()),
            (Some(cert), Some(ca)) => {
                format!("TLS: {}, clients need a certificate of {}", cert.display(), ca.display())
            }
        }
    }

    /// Where a value came from, in brackets.
    fn source(&self, name: &str) -> String {
        match self.place(name) {
            None => " (default)".into(),
            Some(Place::Environment) => format!(" ({name})"),
            Some(Place::Flag) => " (flag)".into(),
            Some(Place::File(path, line)) => format!(" ({}:{line})", path.display()),
        }
    }
}

fn level(level: LogLevel) -> &'static str {
    match level {
        LogLevel::Debug => "debug",
        LogLevel::Info => "info",
        LogLevel::Warn => "warn",
        LogLevel::Error => "error",
    }
}

fn format_word(format: LogFormat) -> &'static str {
    match format {
        LogFormat::Pretty => "pretty",
        LogFormat::Json => "json",
    }
}
