//! The configuration file: servers by name. It holds no secrets.

use crate::failure::Failure;
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    env, fs,
    io::{self, Write},
    path::{Path, PathBuf},
};

/// `config.toml`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WharfConfig {
    /// The context that commands use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current: Option<String>,
    /// Servers by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub contexts: BTreeMap<String, ServerContext>,
    /// How `wharf tui` looks.
    #[serde(default, skip_serializing_if = "TuiConfig::is_default")]
    pub tui: TuiConfig,
}

/// `[tui]`: how the terminal UI looks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TuiConfig {
    /// `terminal`, `dark`, `light` or `mono`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub theme: Option<String>,
    /// The colour of text, by name or as `#rrggbb`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub foreground: Option<String>,
    /// The colour behind it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub background: Option<String>,
    /// The colour of what is selected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub highlight: Option<String>,
    /// Whether clicks and the wheel are taken, which the terminal's own selection of text needs otherwise.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub mouse: bool,
}

impl TuiConfig {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// A server, and how to connect to it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServerContext {
    /// A host, `host:port`, or a URL.
    pub server: String,
    /// The user that is logged in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Certificate authorities to trust, besides those of the system (PEM).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
    /// Whether to speak HTTP without TLS.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub plain_http: bool,
}

/// Where the files of this program are.
#[derive(Clone, Debug)]
pub struct WharfFiles {
    /// The configuration file.
    pub config: PathBuf,
    /// Sessions of logins.
    pub sessions: PathBuf,
}

impl WharfFiles {
    /// The files beside this configuration file, or the usual ones.
    pub fn find(config: Option<&Path>) -> Result<Self, Failure> {
        let config = match config {
            Some(config) => config.to_owned(),
            None => directory()?.join("config.toml"),
        };
        let sessions = config.with_file_name("credentials.json");
        Ok(Self { config, sessions })
    }

    /// The configuration; an empty one if there is no file. A server that dfcli knew is taken over.
    pub fn load(&self) -> Result<WharfConfig, Failure> {
        match fs::read_to_string(&self.config) {
            Ok(text) => toml::from_str(&text).map_err(|error| {
                let words = error.message();
                let line = 1 + error.span().map_or(0, |span| text[..span.start].matches('\n').count());
                Failure::usage(format!("{}:{line}: {words}", self.config.display()))
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(from_dfcli().unwrap_or_default()),
            Err(error) => Err(Failure::file("read", &self.config, &error)),
        }
    }

    /// Replaces the configuration file.
    pub fn save(&self, config: &WharfConfig) -> Result<(), Failure> {
        let text = toml::to_string(config).map_err(|error| Failure::failed(error.to_string()))?;
        write_private(&self.config, text.as_bytes())
    }
}

/// Replaces a file that only its owner may read. It appears whole or not at all.
pub fn write_private(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let write = || {
        let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        fs::create_dir_all(directory)?;
        // Created with the rights of its owner alone.
        let mut file = tempfile::NamedTempFile::new_in(directory)?;
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        file.persist(path).map_err(|error| error.error)?;
        Ok(())
    };
    write().map_err(|error: io::Error| Failure::file("write", path, &error))
}

fn directory() -> Result<PathBuf, Failure> {
    let from = |variable: &str| env::var_os(variable).filter(|value| !value.is_empty()).map(PathBuf::from);
    let base = from("XDG_CONFIG_HOME").or_else(|| Some(from("HOME")?.join(".config")));
    let base = base.ok_or_else(|| Failure::usage("no home directory: set HOME, or give --config FILE"))?;
    Ok(base.join("wharf"))
}

/// The server in dfcli's configuration file.
fn from_dfcli() -> Option<WharfConfig> {
    #[derive(Deserialize)]
    struct DfcliConfig {
        server: String,
    }
    let path = PathBuf::from(env::var_os("HOME")?).join(".dfcli/config.json");
    let config: DfcliConfig = oci::json::from_slice(&fs::read(path).ok()?).ok()?;
    // There, a host without a scheme means plain HTTP.
    let plain_http = !config.server.contains("://");
    let context = ServerContext { server: config.server, plain_http, ..ServerContext::default() };
    let name = "dfcli".to_owned();
    Some(WharfConfig { current: Some(name.clone()), contexts: [(name, context)].into(), ..WharfConfig::default() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_is_written_and_read_again() {
        let directory = tempfile::tempdir().unwrap();
        let files = WharfFiles::find(Some(&directory.path().join("deep/config.toml"))).unwrap();
        assert_eq!(files.load().unwrap(), WharfConfig::default());
        let context = ServerContext { server: "registry.example.com".into(), ..ServerContext::default() };
        let config = WharfConfig {
            current: Some("work".into()),
            contexts: [("work".into(), context)].into(),
            ..WharfConfig::default()
        };
        files.save(&config).unwrap();
        assert_eq!(files.load().unwrap(), config);
    }

    #[test]
    fn a_mistake_in_the_configuration_is_named_with_its_line() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("config.toml");
        fs::write(&path, "current = \"a\"\nsever = \"b\"\n").unwrap();
        let failure = WharfFiles::find(Some(&path)).unwrap().load().unwrap_err();
        assert!(failure.message.contains("config.toml:2: unknown field `sever`"), "{failure}");
    }
}
