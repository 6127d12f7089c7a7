//! The boot settings: flags, variables and `.env` become one typed, flat value that does not change while running.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use ipnet::IpNet;

use super::distribution::Foreign;
use super::live::Live;
use super::names::{self, Name};
use super::problems::{Problem, Problems, Warning};
use super::values::{AuthType, LogFormat, LogLevel, PublicUrl, SigningKey, StorageInit};
use super::vars::{self, VARS};
use super::{companions, dotenv, variables};

/// Where a value came from, the weakest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A line (from 1) of the `.env` file.
    File(PathBuf, usize),
    /// The process environment.
    Environment,
    /// A flag of the command line.
    Flag,
}

impl Place {
    /// A problem of a variable, named as the operator wrote it.
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

/// The boot settings; one field for each row of [`VARS`].
#[derive(Clone, Debug)]
pub struct Env {
    /// Address to listen on.
    pub host: IpAddr,
    /// Port to listen on; 0 = any free port.
    pub port: u16,
    /// Address for metrics and health details, if not the main one.
    pub admin_addr: Option<SocketAddr>,
    /// The URL that clients use.
    pub public_url: Option<PublicUrl>,
    /// Proxies whose forwarding headers are trusted.
    pub trusted_proxies: Vec<IpNet>,
    /// PEM certificate chain; set if and only if `tls_key` is.
    pub tls_cert: Option<PathBuf>,
    /// PEM private key.
    pub tls_key: Option<PathBuf>,
    /// PEM CA certificates that must have signed client certificates; only with `tls_cert`.
    pub tls_client_ca: Option<PathBuf>,
    /// The storage directory.
    pub storage_path: PathBuf,
    /// Whether an empty storage directory may be initialised.
    pub storage_init: StorageInit,
    /// How long an unfinished upload is kept after its last byte.
    pub upload_timeout: Duration,
    /// Time between two searches for expired uploads.
    pub upload_cleanup_interval: Duration,
    /// How callers prove who they are.
    pub auth_type: AuthType,
    /// Realm of the password challenge.
    pub auth_realm: String,
    /// Users and their password hashes.
    pub auth_htpasswd: Option<PathBuf>,
    /// URL of the external token service.
    pub auth_token_realm: Option<String>,
    /// Audience of its tokens.
    pub auth_token_service: Option<String>,
    /// Issuer of its tokens.
    pub auth_token_issuer: Option<String>,
    /// Key, certificate or JWKS that its tokens are verified with.
    pub auth_token_publickey: Option<PathBuf>,
    /// Signing key of the built-in token service.
    pub auth_token_signingkey: Option<SigningKey>,
    /// Whether access rules apply.
    pub access_control_enabled: bool,
    /// The file with the access rules.
    pub access_control_config: Option<PathBuf>,
    /// The settings file.
    pub settings: Option<PathBuf>,
    /// Names on a page of the catalog by default.
    pub pagination_default_limit: usize,
    /// Most names on a page.
    pub pagination_max_limit: usize,
    /// Least severe level that is logged.
    pub log_level: LogLevel,
    /// Format of the log.
    pub log_format: LogFormat,
    given: BTreeMap<&'static str, Place>,
}

/// What reading found, usable even if something is wrong: the rest can still be checked.
pub(super) struct Reading {
    pub(super) env: Env,
    pub(super) warnings: Vec<Warning>,
    pub(super) problems: Problems,
    distribution: Vec<Foreign>,
}

impl Reading {
    /// Reports the variables of Distribution, whose harm depends on the settings in force.
    pub(super) fn judged_by(mut self, live: &Live) -> Self {
        for foreign in &self.distribution {
            foreign.judge(live, &mut self.problems, &mut self.warnings);
        }
        self
    }
}

impl Default for Env {
    /// The defaults of [`VARS`] as values (a test compares them), with nothing given.
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
            storage_path: PathBuf::from("./data"),
            storage_init: StorageInit::Auto,
            upload_timeout: Duration::from_secs(3600),
            upload_cleanup_interval: Duration::from_secs(300),
            auth_type: AuthType::None,
            auth_realm: "Registry".to_owned(),
            auth_htpasswd: None,
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
            given: BTreeMap::new(),
        }
    }
}

impl Env {
    /// Reads variables, the `.env` file (if it exists) and flags (variable name and value).
    ///
    /// A flag overrides the environment, which overrides `.env`, which overrides the default.
    /// Nothing else is read, except that `$NAME` inside `.env` means the process environment.
    ///
    /// # Errors
    /// All problems at once.
    pub fn load(
        vars: impl IntoIterator<Item = (OsString, OsString)>,
        dotenv: Option<&Path>,
        flags: impl IntoIterator<Item = (&'static str, OsString)>,
    ) -> Result<(Self, Vec<Warning>), Problems> {
        let reading = read(vars, dotenv, flags).judged_by(&Live::default());
        reading.problems.or((reading.env, reading.warnings))
    }

    /// Whether this variable was set, rather than being at its default.
    pub fn is_given(&self, name: &str) -> bool {
        self.given.contains_key(name)
    }

    /// Where this variable's value came from; `None` is the default.
    pub fn place(&self, name: &str) -> Option<&Place> {
        self.given.get(name)
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

/// The environment variables of this process; nothing else reads them.
#[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
pub fn of_process() -> Vec<(OsString, OsString)> {
    std::env::vars_os().collect()
}

/// Reads everything and reports everything.
pub(super) fn read(
    vars: impl IntoIterator<Item = (OsString, OsString)>,
    dotenv: Option<&Path>,
    flags: impl IntoIterator<Item = (&'static str, OsString)>,
) -> Reading {
    gather(vars, dotenv, flags).finish()
}

/// The text of every variable that was given, right or wrong.
pub(super) fn values(
    vars: impl IntoIterator<Item = (OsString, OsString)>,
    dotenv: Option<&Path>,
    flags: impl IntoIterator<Item = (&'static str, OsString)>,
) -> BTreeMap<&'static str, OsString> {
    gather(vars, dotenv, flags).values.into_iter().map(|(name, (value, _))| (name, value)).collect()
}

/// Only the path of the htpasswd file, for the commands that edit it: the first user can be added
/// before the rest of the configuration is complete.
///
/// # Errors
/// What is wrong with the variable; if it is not set, also every problem that may explain why.
pub fn htpasswd_path(
    vars: impl IntoIterator<Item = (OsString, OsString)>,
    dotenv: Option<&Path>,
    flags: impl IntoIterator<Item = (&'static str, OsString)>,
) -> Result<PathBuf, Problems> {
    const NAME: &str = "REGISTRY_AUTH_HTPASSWD";
    let mut gathered = gather(vars, dotenv, flags);
    let mut env = Env::default();
    gathered.values.retain(|name, _| *name == NAME);
    let problems = gathered.read_into(&mut env);
    if !problems.is_empty() {
        return Err(problems);
    }
    env.auth_htpasswd.ok_or_else(|| {
        gathered.problems.push(Problem::of_key(NAME, "is not set; set it, or pass the file with --file"));
        gathered.problems
    })
}

fn gather(
    vars: impl IntoIterator<Item = (OsString, OsString)>,
    dotenv: Option<&Path>,
    flags: impl IntoIterator<Item = (&'static str, OsString)>,
) -> Gathered {
    let mut gathered = Gathered::default();
    if let Some(path) = dotenv {
        for item in dotenv::read(path, &mut gathered.problems) {
            let place = Place::File(path.to_owned(), item.line);
            gathered.take(&item.name, item.value.into(), place);
        }
    }
    let mut vars: Vec<_> = vars.into_iter().collect();
    vars.sort();
    for (name, value) in vars {
        gathered.take(&name.to_string_lossy(), value, Place::Environment);
    }
    for (name, value) in flags {
        gathered.take(name, value, Place::Flag);
    }
    gathered
}

/// The value of each variable from the place that takes precedence.
#[derive(Default)]
struct Gathered {
    values: BTreeMap<&'static str, (OsString, Place)>,
    ignored: Vec<String>,
    distribution: Vec<Foreign>,
    problems: Problems,
}

impl Gathered {
    fn take(&mut self, name: &str, value: OsString, place: Place) {
        let linked = place == Place::Environment && names::is_service_link_value(&value);
        match names::classify(name, linked) {
            Name::Ours(var) => {
                self.values.insert(var.name, (value, place));
            }
            Name::Misspelt(var) => {
                let message = format!("is not a variable of Wharfinger; did you mean {}?", var.name);
                self.problems.push(place.problem(name, message));
            }
            Name::Distribution => self.distribution.extend(Foreign::of(name, &value, &place)),
            Name::Ignored => self.ignored.push(name.to_owned()),
            Name::Foreign => {}
        }
    }

    /// Reads the values into `env` and returns their problems, in the order of the table.
    fn read_into(&self, env: &mut Env) -> Problems {
        let text = |(value, _): &(OsString, Place)| value.to_str().map(str::to_owned);
        let texts = self.values.iter().filter_map(|(name, given)| Some((*name, text(given)?)));
        let wrong = variables::read(texts, env);
        let mut problems = Problems::default();
        for (name, given) in VARS.iter().filter_map(|var| self.values.get_key_value(var.name)) {
            let wrong = wrong.iter().find(|(of, _)| of == name).map(|(_, message)| message.clone());
            let wrong = if text(given).is_none() { Some("is not UTF-8 text".to_owned()) } else { wrong };
            problems.0.extend(wrong.map(|message| given.1.problem(name, message)));
            env.given.insert(name, given.1.clone());
        }
        problems
    }

    fn finish(mut self) -> Reading {
        let mut env = Env::default();
        let wrong = self.read_into(&mut env);
        self.problems.0.extend(wrong.0);
        let mut warnings = Vec::new();
        if !self.ignored.is_empty() {
            self.ignored.sort();
            self.ignored.dedup();
            warnings.push(Warning(Problem {
                file: None,
                line: None,
                key: None,
                message: format!("ignored, not variables of Wharfinger: {}", self.ignored.join(", ")),
            }));
        }
        companions::check(&env, &mut self.problems, &mut warnings);
        Reading { env, warnings, problems: self.problems, distribution: self.distribution }
    }
}
