//! The programs: `wharfinger serve` (also without a subcommand), `init`, `check`, `explain`, `fsck`, `gc`,
//! `import`, `plan`, `htpasswd`, `user`, `api-key`, `repo`, `key`, `health`, `completion` and `man`.
//!
//! Exit codes: 0 done, nothing wrong; 1 `check` found problems, `explain` says no, serving, `plan` or `man` failed,
//! `gc` did not complete, `import` could not read something, the daemon is not ready, `htpasswd`, `user`, `api-key`, `repo`, `init` or `key` refused, or a
//! password is wrong; 2 the command line is invalid, or lacks
//! `--stdin` where there is no terminal; 78 (EX_CONFIG) the configuration keeps `serve` from starting or `plan` from
//! reading the store, the htpasswd file cannot be used, or `fsck` finds no store.
//!
//! `fsck` has its own: 0 clean, 1 warnings, 2 damage, whether or not it was repaired.

mod api_key;
mod block_on;
mod check;
mod confirm;
mod explain;
mod flags;
mod fsck;
mod gc;
mod generate;
mod health;
mod htpasswd;
mod import;
mod init;
mod key;
mod log;
mod password;
mod plan;
mod progress;
mod recorded;
mod repo;
mod serve;
mod storage;
mod terminal;
mod user;
mod words;

use std::ffi::OsString;
use std::fmt;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand, ValueHint};
use clap_complete::Shell;

use crate::config::{self, Problems};
use crate::upkeep::CollectionOptions;
use api_key::ApiKeyCommand;
use explain::Question;
use flags::Flags;
use fsck::Fsck;
use htpasswd::HtpasswdArgs;
use import::Import;
use init::InitArgs;
use key::KeyCommand;
use oci::{Pattern, RepositoryName};
use repo::RepoCommand;
use user::UserCommand;

/// The configuration is invalid (EX_CONFIG of sysexits.h).
pub const EX_CONFIG: u8 = 78;

/// A container registry that you run from files
#[derive(Debug, Parser)]
#[command(name = "wharfinger", version, max_term_width = 110, after_help = AFTER)]
#[command(mut_subcommands = flags::after_own_options)]
pub struct Cli {
    /// What to do; `serve` if left out.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// One flag for each variable.
    #[command(flatten)]
    pub flags: Flags,
}

/// What the program can do.
#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
pub enum Command {
    /// Serve the registry (the default)
    Serve,
    /// Write a configuration with one administrator, or wipe the storage directory
    Init(InitArgs),
    /// Check the configuration without serving: print every problem, exit 0 or 1
    #[command(after_help = CHECK)]
    Check,
    /// Show whether a user may do something, and why; exit 0 if they may, 1 if not
    #[command(after_help = EXPLAIN)]
    Explain {
        /// User name, or `anonymous`
        user: String,
        /// pull, push or delete, or a permission of roles, such as VIEW:SYSTEM
        action: Question,
        /// Repository name, with pull, push and delete
        repository: Option<RepositoryName>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Check the store, also while the daemon runs; exit 0 clean, 1 warnings, 2 damage
    Fsck(Fsck),
    /// Collect garbage, also while the daemon runs; exit 0 if it completed, 1 otherwise
    #[command(after_help = GC)]
    Gc {
        /// Only show what would be removed
        #[arg(long)]
        dry_run: bool,
        /// Free space now: ignore collection.lease_hours and collection.retention_hours
        #[arg(long)]
        now: bool,
        /// Continue even if a large share of all blobs would be removed
        #[arg(long)]
        force: bool,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Import the data of another registry from its directory, also while the daemon runs
    Import(Import),
    /// Show what the retention rules would keep and delete, and why; changes nothing
    #[command(after_help = PLAN)]
    Plan {
        /// Only repositories that match this pattern, such as `team/**`
        repositories: Option<Pattern>,
        /// Print JSON, one object per line
        #[arg(long)]
        json: bool,
    },
    /// Add, change, delete, verify and list the users of an htpasswd file
    Htpasswd(HtpasswdArgs),
    /// Add, lock, unlock and list users, also while the registry runs
    #[command(subcommand)]
    User(UserCommand),
    /// Create, list and delete API keys, also while the registry runs
    #[command(subcommand)]
    ApiKey(ApiKeyCommand),
    /// Create, list and delete repositories, also while the registry runs
    #[command(subcommand)]
    Repo(RepoCommand),
    /// Create signing keys for the built-in token service
    #[command(subcommand)]
    Key(KeyCommand),
    /// Ask the running daemon of this configuration whether it is ready; exit 0 if it is, 1 if not
    Health {
        /// Another daemon, as HOST:PORT; by plain HTTP
        address: Option<String>,
    },
    /// Print the completions of a shell
    Completion {
        /// The shell
        shell: Shell,
    },
    /// Write a manual page for each command into a directory
    Man {
        /// A directory that exists
        #[arg(value_hint = ValueHint::DirPath)]
        dir: PathBuf,
    },
}

const AFTER: &str = "\
Examples:
  wharfinger                       serve on port 15000, data in ./data
  wharfinger init                  write a configuration with users and access rules
  wharfinger --host 127.0.0.1      serve this machine only
  wharfinger check                 check the configuration without serving
  wharfinger gc -h                 show the options of a command

A flag overrides its environment variable, which overrides the file .env in the current directory, which overrides \
the default. docs/configuration.md describes all of them and the settings file.";

const CHECK: &str = "\
Examples:
  wharfinger check                         check what the next start would read
  wharfinger check --settings new.toml     check a file before it is used";

const EXPLAIN: &str = "\
Examples:
  wharfinger explain alice push team/app
  wharfinger explain anonymous pull public/alpine --json
  wharfinger explain alice VIEW:SYSTEM";

const GC: &str = "\
Examples:
  wharfinger gc --dry-run     show what would be removed
  wharfinger gc               remove what has been unused for long enough
  wharfinger gc --now         free space at once; clients may repeat uploads";

const PLAN: &str = "\
Examples:
  wharfinger plan                       every repository
  wharfinger plan 'team/**' --json      some repositories, as JSON";

/// Parses the command line (program name first), loads the configuration and runs the command.
pub fn run(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        // clap returns --help and --version as errors too, with exit code 0.
        Err(error) => {
            // If the terminal is gone there is nobody to inform.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    let (flags, dotenv) = (cli.flags.0, Some(Path::new(".env")));
    let read = |flags| config::read(config::process_environment(), dotenv, flags);
    match cli.command.unwrap_or(Command::Serve) {
        Command::Check => check::check(read(flags)),
        Command::Explain { user, action, repository, json } => {
            explain::explain(read(flags), &user, &action, repository.as_ref(), json).unwrap_or_else(|problems| {
                print_problems(&problems);
                ExitCode::from(EX_CONFIG)
            })
        }
        Command::Fsck(asked) => fsck::fsck(&read(flags), &asked).unwrap_or_else(|problems| {
            print_problems(&problems);
            ExitCode::from(EX_CONFIG)
        }),
        Command::Gc { dry_run, now, force, json } => {
            gc::gc(read(flags), CollectionOptions { dry_run, now, force }, json).unwrap_or_else(|problems| {
                print_problems(&problems);
                ExitCode::from(EX_CONFIG)
            })
        }
        Command::Import(asked) => import::run(read(flags), &asked).unwrap_or_else(|problems| {
            print_problems(&problems);
            ExitCode::from(EX_CONFIG)
        }),
        Command::Plan { repositories, json } => plan::plan(read(flags), repositories.as_ref(), json),
        // Adding the first user comes before the rest of the configuration.
        Command::Htpasswd(asked) => {
            htpasswd::htpasswd(asked, || config::htpasswd_path(config::process_environment(), dotenv, flags))
        }
        Command::User(asked) => user::user(read(flags), asked),
        Command::ApiKey(asked) => api_key::api_key(read(flags), asked),
        Command::Repo(asked) => repo::repo(read(flags), asked),
        Command::Key(asked) => key::key(asked),
        Command::Health { address } => health::health(&read(flags), address.as_deref()),
        Command::Completion { shell } => generate::completion(shell),
        Command::Man { dir } => generate::man(&dir),
        Command::Init(asked) if asked.wipes() => init::wipe(&read(flags), &asked).unwrap_or_else(|problems| {
            print_problems(&problems);
            ExitCode::from(EX_CONFIG)
        }),
        Command::Init(asked) => init::init(&asked),
        Command::Serve => {
            // Read before startup reads the same files, so that a change in between is reported as waiting for a
            // restart.
            let pending = config::Pending::new(config::process_environment(), dotenv, flags.clone());
            let report = read(flags);
            if report.problems.is_empty() {
                return serve::serve(report, pending);
            }
            print_problems(&report.problems);
            ExitCode::from(EX_CONFIG)
        }
    }
}

/// Prints to stderr, one line for each problem.
fn print_problems(problems: &Problems) {
    let count = words::count(problems.0.len() as u64, "problem", "problems");
    complain(format_args!("{count} in the configuration:\n{problems}"));
}

/// Prints to stderr. A closed stderr must not turn a clear exit code into a panic.
fn complain(what: fmt::Arguments<'_>) {
    let _ = writeln!(terminal::errors(), "wharfinger: {what}");
}

/// Prints to stdout. If the reader is gone there is nobody to inform.
fn say(what: fmt::Arguments<'_>) {
    let _ = writeln!(terminal::text(), "{what}");
}

/// Prints JSON, over several lines.
fn say_json(what: &impl serde::Serialize) {
    let _ = writeln!(terminal::json(), "{}", serde_json::to_string_pretty(what).unwrap_or_default());
}
