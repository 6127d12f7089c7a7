//! `wharfinger user`: adds, locks, unlocks and lists users, whether or not the daemon runs.
//!
//! The files are edited as by the management API, with the same checks: what the configuration could not be loaded with
//! is not written. A running daemon reads the change within seconds.

use super::{
    EX_CONFIG, block_on::block_on, complain, htpasswd::PasswordSource, password, print_problems, recorded::record, say,
    say_json, storage,
};
use crate::{
    accounts::{Accounts, AccountsError},
    config::{ConfigEditor, ConfigReport, Live, Problem, Problems},
    daemon::NoStore,
    files::{cause, regular},
    manage::{EditRefusal, Edits, Precondition, change_as_operator, passwords, users},
    storage::OpenStore,
};
use api::users::{CreateUser, UpdateUser, UserInfo};
use arc_swap::ArcSwap;
use clap::{Subcommand, ValueHint};
use std::{
    future::Future,
    io,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
};

/// The commands for users.
#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
#[command(after_help = AFTER)]
pub enum UserCommand {
    /// Add a user, or a robot, which has no password and uses API keys
    Add {
        /// User name
        name: String,
        /// Group of the access rules to put the user into, may be repeated
        #[arg(long = "group", value_name = "GROUP")]
        groups: Vec<String>,
        /// Where the password comes from.
        #[command(flatten)]
        source: PasswordSource,
        /// Read the password from this file (a single line)
        #[arg(long, value_name = "PATH", value_hint = ValueHint::FilePath, conflicts_with = "stdin")]
        password_file: Option<PathBuf>,
        /// Add a robot
        #[arg(long, conflicts_with_all = ["stdin", "password_file"])]
        robot: bool,
        /// Give the name of a deleted user again
        #[arg(long)]
        reuse_name: bool,
    },
    /// Lock a user: they cannot log in, and their sessions, tokens and API keys stop working
    Lock {
        /// User name
        name: String,
    },
    /// Unlock a user, whose password and API keys work again
    Unlock {
        /// User name
        name: String,
    },
    /// List users with their groups
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

const AFTER: &str = "\
Examples:
  wharfinger user add alice --group devs              ask for a password, add a user
  wharfinger user add alice --password-file secret    read the password from a file
  wharfinger user add ci --robot                      then: wharfinger api-key create ci
  wharfinger user lock alice

The password is asked for on the terminal without showing it, or read from a file or with --stdin. The files in \
REGISTRY_AUTH_HTPASSWD and REGISTRY_ACCESS_CONTROL_CONFIG are edited: only the lines of the user change. A running \
registry follows within seconds.

Exit codes: 0 done; 1 refused; 2 invalid command line, or no password to read; 78 the configuration or the storage \
directory cannot be used.";

/// Why a command was not done.
#[derive(Debug, thiserror::Error)]
enum UserFailure {
    #[error("{}", in_words(.0))]
    Refused(#[from] EditRefusal),
    #[error("a deleted user had the name {0:?}; to give it again, add --reuse-name")]
    Buried(String),
    #[error("there is no user {0:?}")]
    NoUser(String),
    #[error(transparent)]
    NoPassword(#[from] password::NoPassword),
    #[error("cannot read {path}: {error}", path = .0.display(), error = cause(.1))]
    PasswordFile(PathBuf, io::Error),
    #[error(transparent)]
    Accounts(#[from] AccountsError),
    #[error("{0}")]
    Configuration(Problems),
    #[error("{0}")]
    Runtime(io::Error),
}

/// A refusal without the fields of requests, which nobody has typed here.
fn in_words(refusal: &EditRefusal) -> String {
    let EditRefusal::Invalid(problems) = refusal else { return refusal.to_string() };
    let words = problems.iter().map(|problem| match &problem.did_you_mean {
        Some(name) => format!("{}; did you mean {name:?}?", problem.problem),
        None if problem.at == "/password" => format!("the password {}", problem.problem),
        None => problem.problem.clone(),
    });
    words.collect::<Vec<_>>().join("; ")
}

/// The files, as the daemon reads them.
struct UserFiles {
    editor: ConfigEditor,
    live: Arc<ArcSwap<Live>>,
}

/// Runs the command.
pub(super) fn user(report: ConfigReport, command: UserCommand) -> ExitCode {
    let files = match report.follow() {
        Ok(watch) => UserFiles { editor: watch.editor(), live: watch.live() },
        Err(problems) => {
            print_problems(&problems);
            return ExitCode::from(EX_CONFIG);
        }
    };
    let done = match command {
        UserCommand::Add { name, groups, source, password_file, robot, reuse_name } => {
            let asked = CreateUser { username: name, groups, robot, ..CreateUser::default() };
            files.add(asked, source, password_file.as_deref(), reuse_name)
        }
        UserCommand::Lock { name } => files.set_locked(&name, true),
        UserCommand::Unlock { name } => files.set_locked(&name, false),
        UserCommand::List { json } => files.list(json),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(UserFailure::Configuration(problems)) => {
            print_problems(&problems);
            ExitCode::from(EX_CONFIG)
        }
        Err(refused) => {
            complain(format_args!("{refused}"));
            match refused {
                UserFailure::NoPassword(password::NoPassword::NoTerminal) => ExitCode::from(2),
                _ => ExitCode::FAILURE,
            }
        }
    }
}

impl UserFiles {
    fn add(
        &self,
        asked: CreateUser,
        source: PasswordSource,
        password_file: Option<&Path>,
        reuse_name: bool,
    ) -> Result<(), UserFailure> {
        let name = asked.username.clone();
        let accounts = self.accounts()?;
        let is_buried = match &accounts {
            Some(accounts) => wait(accounts.tombstone(&name))??.is_some(),
            None => false,
        };
        if is_buried && !reuse_name {
            return Err(UserFailure::Buried(name));
        }
        let hash = match asked.robot {
            true => None,
            false => {
                let password = new_password(&name, source, password_file)?;
                Some(passwords::hash(&self.live.load(), &name, &password, "/password")?)
            }
        };
        self.change("create_user", &name, |edits| users::create(edits, &asked, hash.as_deref()))?;
        if let Some(accounts) = accounts.filter(|_| is_buried) {
            wait(accounts.lift_tombstone(&name))??;
        }
        let what = if asked.robot { "robot" } else { "user" };
        say(format_args!("added the {what} {name}"));
        Ok(())
    }

    fn set_locked(&self, name: &str, locked: bool) -> Result<(), UserFailure> {
        let asked = UpdateUser { locked: Some(locked), ..UpdateUser::default() };
        let update = |edits: &Edits| users::update(edits, name, &asked, None, &Precondition::None);
        match self.change("update_user", name, update) {
            Err(UserFailure::Refused(EditRefusal::NotFound)) => return Err(UserFailure::NoUser(name.to_owned())),
            changed => changed?,
        };
        say(format_args!("{} {name}", if locked { "locked" } else { "unlocked" }));
        Ok(())
    }

    fn list(&self, as_json: bool) -> Result<(), UserFailure> {
        let live = self.live.load();
        let found: Vec<UserInfo> = users::list(&live, None, None, None)?.collect();
        if as_json {
            say_json(&found);
            return Ok(());
        }
        for user in found {
            let marks = [(user.is_admin, "administrator"), (user.locked, "locked"), (user.robot, "robot")];
            let marks = marks.into_iter().filter(|(is_set, _)| *is_set).map(|(_, mark)| mark.to_owned());
            let groups = user.groups.iter().map(|group| format!("@{group}"));
            say(format_args!(
                "{}",
                [user.username.clone()].into_iter().chain(marks).chain(groups).collect::<Vec<_>>().join("  ")
            ));
        }
        Ok(())
    }

    /// Makes a change, and records it if there is a store.
    fn change<T>(
        &self,
        action: &str,
        target: &str,
        work: impl FnOnce(&Edits) -> Result<T, EditRefusal>,
    ) -> Result<T, UserFailure> {
        let (changed, files) = change_as_operator(self.editor.clone(), self.live.clone(), work);
        if !files.is_empty()
            && let Some(store) = self.store()?
        {
            wait(record(&store, &self.editor.env(), action, target, files))?;
        }
        Ok(changed?)
    }

    /// What is recorded of users; `None` before the first start.
    fn accounts(&self) -> Result<Option<Accounts>, UserFailure> {
        Ok(self.store()?.map(|store| Accounts::new(store.storage)))
    }

    fn store(&self) -> Result<Option<OpenStore>, UserFailure> {
        match storage::open(&self.editor.env()) {
            Ok(store) => Ok(Some(store)),
            Err(NoStore::Absent(_)) => Ok(None),
            Err(error) => {
                let problem = Problem::of_key(storage::variable_of(&self.editor.env()), error.to_string());
                Err(UserFailure::Configuration(Problems(vec![problem])))
            }
        }
    }
}

/// A password for a user: in a file, on standard input, or typed twice.
fn new_password(name: &str, source: PasswordSource, file: Option<&Path>) -> Result<String, UserFailure> {
    let Some(path) = file else {
        let questions = [format!("Password for {name}"), "Repeat the password".to_owned()];
        return Ok(password::get(&questions, source.stdin)?);
    };
    let failed = |error| UserFailure::PasswordFile(path.to_owned(), error);
    let text = String::from_utf8(regular::read(path).map_err(failed)?).map_err(|_| password::NoPassword::NotText)?;
    Ok(text.strip_suffix('\n').map(str::to_owned).unwrap_or(text))
}

fn wait<T>(work: impl Future<Output = T>) -> Result<T, UserFailure> {
    block_on(work).map_err(UserFailure::Runtime)
}
