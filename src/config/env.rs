//! The boot environment: flags, variables and `.env` become one typed, flat value that never changes while running.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use ipnet::IpNet;

use super::names::{self, Name};
use super::problems::{Problem, Problems, Warning};
use super::values::{AuthType, LogFormat, LogLevel, PublicUrl, SigningKey, StorageInit};
use super::vars::{self, VARS, Var};
use super::{companions, dotenv};

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

/// Everything decided before the start; one field per row of [`VARS`].
#[derive(Clone, Debug)]
pub struct Env {
    /// Address to listen on.
    pub host: IpAddr,
    /// Port to listen on; 0 = any free port.
    pub port: u16,
    /// Address for metrics and readiness, if not the main one.
    pub admin_addr: Option<SocketAddr>,
    /// The address clients use.
    pub public_url: Option<PublicUrl>,
    /// Peers whose forwarding headers are believed.
    pub trusted_proxies: Vec<IpNet>,
    /// PEM certificate chain; set if and only if `tls_key` is.
    pub tls_cert: Option<PathBuf>,
    /// PEM private key.
    pub tls_key: Option<PathBuf>,
    /// PEM authorities that client certificates must come from; only with `tls_cert`.
    pub tls_client_ca: Option<PathBuf>,
    /// Root of the data.
    pub storage_path: PathBuf,
    /// Whether an empty root may be initialised.
    pub storage_init: StorageInit,
    /// How long an unfinished upload outlives its last byte.
    pub upload_timeout: Duration,
    /// Time between two searches for expired uploads.
    pub upload_cleanup_interval: Duration,
    /// Who a caller has to be.
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
    /// Signing key of the own token service.
    pub auth_token_signingkey: Option<SigningKey>,
    /// Whether the rules decide.
    pub access_control_enabled: bool,
    /// The file of rules.
    pub access_control_config: Option<PathBuf>,
    /// The file of settings.
    pub settings: Option<PathBuf>,
    /// Names on a catalog page by default.
    pub pagination_default_limit: usize,
    /// Most names on a page.
    pub pagination_max_limit: usize,
    /// Least important lines logged.
    pub log_level: LogLevel,
    /// Look of the log.
    pub log_format: LogFormat,
    given: BTreeMap<&'static str, Place>,
}

/// What reading found, usable even if something is wrong: the rest can still be checked.
pub(super) struct Reading {
    pub(super) env: Env,
    pub(super) warnings: Vec<Warning>,
    pub(super) problems: Problems,
}

impl Default for Env {
    /// The defaults of the table, with nothing given.
    fn default() -> Self {
        let mut env = Self::blank();
        for (var, default) in VARS.iter().filter_map(|var| Some((var, var.default?))) {
            let set = (var.set)(&mut env, default);
            debug_assert_eq!(set, Ok(()), "default of {}", var.name);
        }
        env
    }
}

impl Env {
    /// Reads variables, the `.env` file (if it exists) and flags (variable name and value).
    ///
    /// A flag beats the environment, the environment beats `.env`, `.env` beats the default.
    /// Nothing else is looked at, except that `$NAME` inside `.env` means the process environment.
    ///
    /// # Errors
    /// Everything that is wrong, at once.
    pub fn load(
        vars: impl IntoIterator<Item = (OsString, OsString)>,
        dotenv: Option<&Path>,
        flags: impl IntoIterator<Item = (&'static str, OsString)>,
    ) -> Result<(Self, Vec<Warning>), Problems> {
        let reading = read(vars, dotenv, flags);
        reading.problems.or((reading.env, reading.warnings))
    }

    /// Whether someone set this variable, as opposed to its default being in force.
    pub fn is_given(&self, name: &str) -> bool {
        self.given.contains_key(name)
    }

    /// Where this variable's value came from; `None` is the default.
    pub fn place(&self, name: &str) -> Option<&Place> {
        self.given.get(name)
    }

    /// Whether the operator named the storage root (an unasked `./data` is treated more freely).
    pub fn storage_is_explicit(&self) -> bool {
        self.is_given("REGISTRY_STORAGE_PATH")
    }

    /// The address to listen on.
    pub fn listen(&self) -> SocketAddr {
        SocketAddr::new(self.host, self.port)
    }

    /// A value for every field before the table's defaults are read into it.
    fn blank() -> Self {
        Self {
            host: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            port: 0,
            admin_addr: None,
            public_url: None,
            trusted_proxies: Vec::new(),
            tls_cert: None,
            tls_key: None,
            tls_client_ca: None,
            storage_path: PathBuf::new(),
            storage_init: StorageInit::Never,
            upload_timeout: Duration::ZERO,
            upload_cleanup_interval: Duration::ZERO,
            auth_type: AuthType::None,
            auth_realm: String::new(),
            auth_htpasswd: None,
            auth_token_realm: None,
            auth_token_service: None,
            auth_token_issuer: None,
            auth_token_publickey: None,
            auth_token_signingkey: None,
            access_control_enabled: false,
            access_control_config: None,
            settings: None,
            pagination_default_limit: 0,
            pagination_max_limit: 0,
            log_level: LogLevel::Info,
            log_format: LogFormat::Pretty,
            given: BTreeMap::new(),
        }
    }
}

/// The variables of this process: the only place that asks for them.
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

/// The path of the htpasswd file alone, for the commands that edit it: what is wrong or missing
/// beside it is no reason not to make the first user.
///
/// # Errors
/// What is wrong with the variable; where nobody set it, also everything that may be why.
pub fn htpasswd_path(
    vars: impl IntoIterator<Item = (OsString, OsString)>,
    dotenv: Option<&Path>,
    flags: impl IntoIterator<Item = (&'static str, OsString)>,
) -> Result<PathBuf, Problems> {
    const NAME: &str = "REGISTRY_AUTH_HTPASSWD";
    let mut gathered = gather(vars, dotenv, flags);
    let mut env = Env::blank();
    if let (Some(var), Some((value, place))) = (vars::var(NAME), gathered.values.remove(NAME)) {
        set(var, &mut env, &value).map_err(|message| Problems(vec![problem(NAME, &place, message)]))?;
    }
    env.auth_htpasswd.ok_or_else(|| {
        gathered.problems.push(Problem::of_key(NAME, "is not set: set it, or name the file with --file"));
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

/// Values by variable, stronger places having replaced weaker ones.
#[derive(Default)]
struct Gathered {
    values: BTreeMap<&'static str, (OsString, Place)>,
    ignored: Vec<String>,
    problems: Problems,
}

impl Gathered {
    fn take(&mut self, name: &str, value: OsString, place: Place) {
        let linked = place == Place::Environment && names::is_service_link_value(&value);
        match names::classify(name, linked) {
            Name::Ours(var) => {
                self.values.insert(var.name, (value, place));
            }
            Name::Refused(message) => self.problems.push(problem(name, &place, message)),
            Name::Ignored => self.ignored.push(name.to_owned()),
            Name::Foreign => {}
        }
    }

    fn finish(mut self) -> Reading {
        let mut env = Env::default();
        for var in VARS {
            if let Some((value, place)) = self.values.remove(var.name) {
                if let Err(message) = set(var, &mut env, &value) {
                    self.problems.push(problem(var.name, &place, message));
                }
                env.given.insert(var.name, place);
            }
        }
        let mut warnings = Vec::new();
        if !self.ignored.is_empty() {
            self.ignored.sort();
            self.ignored.dedup();
            warnings.push(Warning(Problem {
                file: None,
                line: None,
                key: None,
                message: format!("ignored, not variables of this program: {}", self.ignored.join(", ")),
            }));
        }
        companions::check(&env, &mut self.problems, &mut warnings);
        Reading { env, warnings, problems: self.problems }
    }
}

fn set(var: &Var, env: &mut Env, value: &OsString) -> Result<(), String> {
    let text = value.to_str().ok_or("is not UTF-8 text")?;
    // One rule for every variable: an empty one is a template that was not filled in.
    if text.trim().is_empty() {
        return Err("is empty: give it a value or unset it".into());
    }
    (var.set)(env, text)
}

/// A problem of a variable, named the way the operator wrote it.
fn problem(name: &str, place: &Place, message: String) -> Problem {
    match place {
        Place::File(path, line) => Problem::of_file(path, message).at_line(*line).at_key(name),
        Place::Environment => Problem::of_key(name, message),
        Place::Flag => {
            let flag = vars::var(name).map_or(name, |var| var.flag);
            Problem::of_key(format!("--{flag}"), message)
        }
    }
}
