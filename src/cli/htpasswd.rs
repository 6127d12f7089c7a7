//! `wharfinger htpasswd`: edits the users of an htpasswd file.

use super::{EX_CONFIG, complain, password, print_problems, say, say_json};
use crate::{
    config::{Problem, Problems},
    files::{cause, regular, replace},
    identity::{self, COSTS, Password, USUAL_COST, Unedited, UserKind, Users},
};
use clap::{Args, Subcommand, ValueHint};
use serde_json::json;
use std::{
    io,
    path::{Path, PathBuf},
    process::ExitCode,
};

/// The command and the file.
#[derive(Clone, Debug, PartialEq, Eq, Args)]
#[command(after_help = AFTER)]
pub struct HtpasswdArgs {
    /// The htpasswd file, if not the one in REGISTRY_AUTH_HTPASSWD
    #[arg(long, value_name = "PATH", value_hint = ValueHint::FilePath, global = true)]
    pub file: Option<PathBuf>,
    /// What to do.
    #[command(subcommand)]
    pub verb: HtpasswdCommand,
}

const AFTER: &str = "\
Examples:
  wharfinger htpasswd add alice --file htpasswd    ask for a password, add a user
  wharfinger htpasswd set alice --stdin < secret   read the new password from a file
  wharfinger htpasswd list --json

The password is asked for on the terminal without showing it, or read from standard input with --stdin. Only the \
user's own line changes. The file is replaced atomically, so a running registry never reads half of it.

Exit codes: 0 done; 1 refused, or the password is wrong; 2 invalid command line, or no password to read; 78 the file \
is not set, cannot be read or has invalid lines.";

/// The commands for users.
#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
pub enum HtpasswdCommand {
    /// Add a user; creates the file if it does not exist
    Add {
        /// User name
        name: String,
        /// Where the password comes from.
        #[command(flatten)]
        source: PasswordSource,
        /// How slow the password's hash is.
        #[command(flatten)]
        hashing: HashingArgs,
    },
    /// Change the password of a user
    Set {
        /// User name
        name: String,
        /// Where the password comes from.
        #[command(flatten)]
        source: PasswordSource,
        /// How slow the password's hash is.
        #[command(flatten)]
        hashing: HashingArgs,
    },
    /// Delete a user
    Delete {
        /// User name
        name: String,
    },
    /// Check the password of a user; exits 0 if it is right, 1 otherwise
    Verify {
        /// User name
        name: String,
        /// Where the password comes from.
        #[command(flatten)]
        source: PasswordSource,
    },
    /// List the user names in the order of the file
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

/// Where a password comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Args)]
pub struct PasswordSource {
    /// Read the password from standard input (a single line)
    #[arg(long)]
    pub stdin: bool,
}

/// How slow a password's hash is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Args)]
pub struct HashingArgs {
    /// bcrypt cost, 4 to 14; each step doubles the time of a login
    #[arg(long, value_name = "N", default_value_t = USUAL_COST, value_parser = cost)]
    pub cost: u32,
}

fn cost(text: &str) -> Result<u32, String> {
    let number = text.parse().ok().filter(|cost| COSTS.contains(cost));
    number.ok_or_else(|| format!("the cost must be a number from {} to {}", COSTS.start(), COSTS.end()))
}

/// Why a command failed.
enum HtpasswdFailure {
    Refused(String),
    /// There is nothing to read a password from.
    Usage(String),
    /// The file cannot be replaced.
    Unwritten(io::Error),
    /// The file is not set, cannot be read, or has invalid lines.
    Configuration(Problems),
}

/// Runs the command; `configured` returns the file from the configuration.
pub(super) fn htpasswd(asked: HtpasswdArgs, configured: impl FnOnce() -> Result<PathBuf, Problems>) -> ExitCode {
    let path = match asked.file.map_or_else(configured, Ok) {
        Ok(path) => path,
        Err(problems) => {
            print_problems(&problems);
            return ExitCode::from(EX_CONFIG);
        }
    };
    let done = match asked.verb {
        HtpasswdCommand::Add { name, source, hashing } => add(&path, &name, source, hashing),
        HtpasswdCommand::Set { name, source, hashing } => set(&path, &name, source, hashing),
        HtpasswdCommand::Delete { name } => delete(&path, &name),
        HtpasswdCommand::Verify { name, source } => verify(&path, &name, source),
        HtpasswdCommand::List { json } => list(&path, json),
    };
    let (message, code) = match done {
        Ok(()) => return ExitCode::SUCCESS,
        Err(HtpasswdFailure::Configuration(problems)) => {
            print_problems(&problems);
            return ExitCode::from(EX_CONFIG);
        }
        Err(HtpasswdFailure::Refused(message)) => (message, ExitCode::FAILURE),
        Err(HtpasswdFailure::Unwritten(error)) => {
            (format!("cannot write {}: {}", path.display(), cause(&error)), ExitCode::FAILURE)
        }
        Err(HtpasswdFailure::Usage(message)) => (message, ExitCode::from(2)),
    };
    complain(format_args!("{message}"));
    code
}

fn add(path: &Path, name: &str, source: PasswordSource, hashing: HashingArgs) -> Result<(), HtpasswdFailure> {
    // Check this before asking for a password.
    let before = match regular::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        read => text(path, read)?,
    };
    users(path, &before)?.check_new(name)?;
    let hash = new_hash(name, source, hashing)?;
    edit(path, |file| file.add(name, &hash))?;
    say(format_args!("added {name} to {}", path.display()));
    Ok(())
}

fn set(path: &Path, name: &str, source: PasswordSource, hashing: HashingArgs) -> Result<(), HtpasswdFailure> {
    users(path, &text(path, regular::read(path))?)?.check_known(name)?;
    let hash = new_hash(name, source, hashing)?;
    edit_existing(path, |file| file.set(name, &hash))?;
    say(format_args!("changed the password of {name} in {}", path.display()));
    Ok(())
}

fn delete(path: &Path, name: &str) -> Result<(), HtpasswdFailure> {
    edit_existing(path, |file| file.delete(name))?;
    say(format_args!("deleted {name} from {}", path.display()));
    Ok(())
}

fn verify(path: &Path, name: &str, source: PasswordSource) -> Result<(), HtpasswdFailure> {
    let text = text(path, regular::read(path))?;
    users(path, &text)?.check_known(name)?;
    let known = Users::parse(&text).map_err(|wrong| malformed(path, wrong))?;
    let password = password::get(&[format!("Password for {name}")], source.stdin)?;
    if known.kind(name) != Some(UserKind::Person) {
        return Err(HtpasswdFailure::Refused(format!(
            "{name} cannot log in by password: the hash begins with an exclamation mark"
        )));
    }
    if !known.verify(name, &password) {
        return Err(HtpasswdFailure::Refused(format!("wrong password for {name}")));
    }
    say(format_args!("the password of {name} is right"));
    Ok(())
}

fn list(path: &Path, as_json: bool) -> Result<(), HtpasswdFailure> {
    let text = text(path, regular::read(path))?;
    let names: Vec<&str> = users(path, &text)?.names().collect();
    if as_json {
        say_json(&json!({ "file": path.display().to_string(), "users": names }));
    } else {
        names.iter().for_each(|name| say(format_args!("{name}")));
    }
    Ok(())
}

/// Asks for a new password and hashes it.
fn new_hash(name: &str, source: PasswordSource, hashing: HashingArgs) -> Result<String, HtpasswdFailure> {
    let questions = [format!("New password for {name}"), "Repeat the password".to_owned()];
    let refused = |why: &dyn ToString| HtpasswdFailure::Refused(why.to_string());
    let password = Password::new(password::get(&questions, source.stdin)?).map_err(|unfit| refused(&unfit))?;
    password.hash(hashing.cost).map_err(|unhashed| refused(&unhashed))
}

/// Changes the file, based on its content under the lock.
fn edit(
    path: &Path,
    change: impl Fn(&identity::HtpasswdText) -> Result<String, Unedited>,
) -> Result<(), HtpasswdFailure> {
    let replaced = replace::replace(path, |old| {
        let old = text(path, Ok(old.unwrap_or_default().to_vec()))?;
        Ok::<_, HtpasswdFailure>(change(&users(path, &old)?)?.into_bytes())
    });
    replaced.map(drop)
}

/// The same for a file that must exist.
fn edit_existing(
    path: &Path,
    change: impl Fn(&identity::HtpasswdText) -> Result<String, Unedited>,
) -> Result<(), HtpasswdFailure> {
    text(path, regular::read(path))?;
    edit(path, change)
}

fn text(path: &Path, read: io::Result<Vec<u8>>) -> Result<String, HtpasswdFailure> {
    let problem = |message: String| HtpasswdFailure::Configuration(Problems(vec![Problem::of_file(path, message)]));
    let bytes = read.map_err(|error| problem(format!("cannot read the file: {}", cause(&error))))?;
    String::from_utf8(bytes).map_err(|_| problem("is not UTF-8 text".to_owned()))
}

fn users<'t>(path: &Path, text: &'t str) -> Result<identity::HtpasswdText<'t>, HtpasswdFailure> {
    identity::HtpasswdText::parse(text).map_err(|wrong| malformed(path, wrong))
}

fn malformed(path: &Path, wrong: Vec<identity::InvalidLine>) -> HtpasswdFailure {
    let place = |problem: identity::InvalidLine| Problem::of_file(path, problem.message).at_line(problem.line);
    HtpasswdFailure::Configuration(Problems(wrong.into_iter().map(place).collect()))
}

impl From<io::Error> for HtpasswdFailure {
    fn from(error: io::Error) -> Self {
        Self::Unwritten(error)
    }
}

impl From<Unedited> for HtpasswdFailure {
    fn from(why: Unedited) -> Self {
        Self::Refused(why.to_string())
    }
}

impl From<password::NoPassword> for HtpasswdFailure {
    fn from(why: password::NoPassword) -> Self {
        match why {
            password::NoPassword::NoTerminal => Self::Usage(why.to_string()),
            _ => Self::Refused(why.to_string()),
        }
    }
}
