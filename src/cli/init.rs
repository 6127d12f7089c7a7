//! `wharfinger init`: writes a configuration with one administrator, or wipes the storage directory.

mod wipe;

pub(super) use wipe::wipe;

use super::{complain, password, say};
use crate::{
    files::{Real, cause, regular, replace},
    identity::{HtpasswdText, Password, USUAL_COST},
};
use clap::{Args, ValueHint};
use std::{
    io,
    path::{Path, PathBuf},
    process::ExitCode,
};

/// What to write, or to wipe.
#[derive(Clone, Debug, PartialEq, Eq, Args)]
#[command(after_help = AFTER)]
pub struct InitArgs {
    /// Write the files into this directory instead of the current one
    #[arg(long, value_name = "DIRECTORY", value_hint = ValueHint::DirPath)]
    dir: Option<PathBuf>,
    /// The administrator's user name
    #[arg(long, value_name = "NAME", default_value = "admin")]
    user: String,
    /// Read the administrator's password from this file (a single line; - is standard input) instead of making one
    #[arg(long, value_name = "PATH", value_hint = ValueHint::FilePath)]
    password_file: Option<PathBuf>,
    /// Delete everything in the storage directory, which no daemon may be using
    #[arg(long, conflicts_with_all = ["dir", "user", "password_file"])]
    wipe_data: bool,
    /// The storage directory again, to confirm --wipe-data without being asked
    #[arg(long, value_name = "DIRECTORY", requires = "wipe_data")]
    confirm: Option<String>,
}

const AFTER: &str = "\
Examples:
  wharfinger init && wharfinger                       a registry with users and access rules
  wharfinger init --user alice --password-file -      read the password from standard input
  wharfinger init --dir /etc/wharfinger               for a service or an image
  wharfinger init --wipe-data                         start again with an empty storage directory

Writes htpasswd, access-control.json, settings.toml and .env, and overwrites nothing. The password is shown once.

Exit codes: 0 done; 1 refused: a file exists already, or the password cannot be used; 78 the storage directory cannot \
be opened.";

const RULES: &str = include_str!("init/access-control.json");
const SETTINGS: &str = include_str!("../../settings.example.toml");

impl InitArgs {
    /// Whether the storage directory is to be wiped.
    pub(super) fn wipes(&self) -> bool {
        self.wipe_data
    }
}

/// Writes the configuration files.
pub(super) fn init(asked: &InitArgs) -> ExitCode {
    match write_configuration(asked) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            complain(format_args!("{why}"));
            ExitCode::FAILURE
        }
    }
}

fn write_configuration(asked: &InitArgs) -> Result<(), String> {
    // The daemon may be started in another directory, the one with .env among them.
    let dir = std::path::absolute(asked.dir.as_deref().unwrap_or(Path::new("."))).map_err(|error| error.to_string())?;
    let place = |name: &str| if asked.dir.is_some() { dir.join(name) } else { Path::new(".").join(name) };
    let (htpasswd, rules) = (place("htpasswd"), place("access-control.json"));
    let (settings, dotenv) = (place("settings.toml"), place(".env"));
    let files = [&htpasswd, &rules, &settings, &dotenv];
    let existing: Vec<_> = files.iter().filter(|path| path.symlink_metadata().is_ok()).collect();
    if !existing.is_empty() {
        let existing: Vec<_> = existing.iter().map(|path| path.display().to_string()).collect();
        return Err(format!("nothing was written: {} exists already; move it away first", existing.join(", ")));
    }
    let password = match &asked.password_file {
        None => Password::random().map_err(|error| error.to_string())?,
        Some(path) => given_password(path)?,
    };
    let hash = password.hash(USUAL_COST).map_err(|error| error.to_string())?;
    let users = HtpasswdText::parse("# One user a line, name:hash. See: wharfinger htpasswd --help\n")
        .map_err(|_| "the first line of htpasswd is invalid".to_owned())?
        .add(&asked.user, &hash)
        .map_err(|error| error.to_string())?;
    if asked.dir.is_some() {
        Real::make_root(&dir).map_err(|error| format!("cannot create {}: {}", dir.display(), cause(&error)))?;
    }
    let name = serde_json::to_string(&asked.user).unwrap_or_default();
    create(&htpasswd, users)?;
    create(&rules, RULES.replace("\"ADMIN\"", &name))?;
    create(&settings, SETTINGS.to_owned())?;
    // Last, because it makes a start use the others.
    create(&dotenv, environment(&htpasswd, &rules, &settings))?;
    for path in files {
        say(format_args!("created {}", path.display()));
    }
    say(format_args!("\nuser      {}", asked.user));
    if asked.password_file.is_none() {
        say(format_args!("password  {}    (shown only now)", password.reveal()));
    }
    say(format_args!(
        "\nStart the registry with `wharfinger`, in the directory with the file .env.\n\
         It listens on this machine only; to change that, set REGISTRY_HOST in .env.\n\
         Then: docker login localhost:15000"
    ));
    Ok(())
}

/// The password in a file or on standard input.
fn given_password(path: &Path) -> Result<Password, String> {
    let text = match path == Path::new("-") {
        true => password::get(&["Password".to_owned(), "Repeat the password".to_owned()], true)
            .map_err(|error| error.to_string())?,
        false => {
            let bytes =
                regular::read(path).map_err(|error| format!("cannot read {}: {}", path.display(), cause(&error)))?;
            let text = String::from_utf8(bytes).map_err(|_| format!("{} is not UTF-8 text", path.display()))?;
            text.strip_suffix('\n').map(str::to_owned).unwrap_or(text)
        }
    };
    Password::new(text).map_err(|error| error.to_string())
}

/// Creates a file that must not exist.
fn create(path: &Path, text: String) -> Result<(), String> {
    let created = replace::replace(path, |old| match old {
        None => Ok(text.clone().into_bytes()),
        Some(_) => Err(io::Error::from(io::ErrorKind::AlreadyExists)),
    });
    created.map(drop).map_err(|error: io::Error| format!("cannot create {}: {}", path.display(), cause(&error)))
}

/// The startup settings.
fn environment(htpasswd: &Path, rules: &Path, settings: &Path) -> String {
    format!(
        "# Written by `wharfinger init`. `wharfinger --help` lists every variable.\n\
         # Listen on this machine only. Before you change it, set up TLS or a TLS proxy: passwords must not be sent in clear.\n\
         REGISTRY_HOST=127.0.0.1\n\
         # Users are the lines of this file: wharfinger htpasswd add NAME\n\
         REGISTRY_AUTH_TYPE=basic\n\
         REGISTRY_AUTH_HTPASSWD={}\n\
         # Gives docker tokens, which it needs to pull public repositories without a login.\n\
         REGISTRY_AUTH_TOKEN_SIGNINGKEY=auto\n\
         # Who may use which repository: wharfinger explain USER ACTION REPOSITORY\n\
         REGISTRY_ACCESS_CONTROL_ENABLED=true\n\
         REGISTRY_ACCESS_CONTROL_CONFIG={}\n\
         REGISTRY_SETTINGS={}\n",
        quoted(htpasswd),
        quoted(rules),
        quoted(settings)
    )
}

/// A path as the value of a variable in `.env`.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '.' | '-' | '_');
    if text.chars().all(is_plain) { text } else { format!("'{}'", text.replace('\'', "'\\''")) }
}
