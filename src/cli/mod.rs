//! The programs: `wharfinger serve` (also without a subcommand), `check`, `explain`, `fsck`, `gc`, `plan`,
//! `htpasswd` and `key`.
//!
//! Exit codes: 0 done, nothing wrong; 1 `check` found problems, `explain` says no, serving or `plan` failed,
//! `gc` did not complete, `htpasswd` or `key` refused, or a password is wrong; 2 the command line is invalid, or lacks
//! `--stdin` where there is no terminal; 78 (EX_CONFIG) the configuration keeps `serve` from starting or `plan` from
//! reading the store, the htpasswd file cannot be used, or `fsck` finds no store.
//!
//! `fsck` has its own: 0 clean, 1 warnings, 2 damage, whether or not it was repaired.

mod background;
mod check;
mod explain;
mod flags;
mod fsck;
mod gc;
mod htpasswd;
mod key;
mod log;
mod password;
mod plan;
mod progress;
mod serve;
mod storage;
mod upkeep;

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::config::{self, Problems};
use crate::oci::{Pattern, RepositoryName};
use crate::registry::CollectionOptions;
use crate::who::Action;
use flags::Flags;
use fsck::Fsck;
use htpasswd::Htpasswd;
use key::Key;

/// The configuration cannot be used (sysexits.h, EX_CONFIG).
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
    /// Check the configuration without serving: print every problem, exit 0 or 1
    #[command(after_help = CHECK)]
    Check,
    /// Show whether a user may pull, push or delete, and why; exit 0 if they may, 1 if not
    #[command(after_help = EXPLAIN)]
    Explain {
        /// User name, or `anonymous`
        user: String,
        /// pull, push or delete
        action: Action,
        /// Repository name
        repository: RepositoryName,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Check the storage directory, also while the daemon runs; exit 0 clean, 1 warnings, 2 damage
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
    Htpasswd(Htpasswd),
    /// Create signing keys for the built-in token service
    #[command(subcommand)]
    Key(Key),
}

const AFTER: &str = "\
Examples:
  wharfinger                       serve on port 15000, data in ./data
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
  wharfinger explain anonymous pull public/alpine --json";

const GC: &str = "\
Examples:
  wharfinger gc --dry-run     show what would be removed
  wharfinger gc               remove what has been unused for long enough
  wharfinger gc --now         free space at once; clients may repeat uploads";

const PLAN: &str = "\
Examples:
  wharfinger plan                       every repository
  wharfinger plan 'team/**' --json      some repositories, as JSON";

/// Parses the command line (program name first), loads the configuration and does what was asked.
pub fn run(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        // clap answers --help and --version this way too, with 0.
        Err(error) => {
            // If the terminal is gone there is nobody left to tell.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    let (flags, dotenv) = (cli.flags.0, Some(Path::new(".env")));
    let read = |flags| config::read(config::of_process(), dotenv, flags);
    match cli.command.unwrap_or(Command::Serve) {
        Command::Check => check::check(read(flags)),
        Command::Explain { user, action, repository, json } => {
            explain::explain(read(flags), &user, action, &repository, json).unwrap_or_else(|problems| {
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
        Command::Plan { repositories, json } => plan::plan(read(flags), repositories.as_ref(), json),
        // The first user comes before the rest of the configuration.
        Command::Htpasswd(asked) => {
            htpasswd::htpasswd(asked, || config::htpasswd_path(config::of_process(), dotenv, flags))
        }
        Command::Key(asked) => key::key(asked),
        Command::Serve => match read(flags.clone()).usable() {
            Ok((env, live, warnings)) => {
                let pending = config::Pending::new(config::of_process(), dotenv, flags);
                serve::serve(env, &live, &warnings, pending)
            }
            Err(problems) => {
                print_problems(&problems);
                ExitCode::from(EX_CONFIG)
            }
        },
    }
}

/// Prints to stderr, one line for each problem.
fn print_problems(problems: &Problems) {
    let count = problems.0.len();
    let noun = if count == 1 { "problem" } else { "problems" };
    // A closed stderr must not turn a clear exit code into a panic.
    let _ = writeln!(io::stderr().lock(), "wharfinger: {count} {noun} in the configuration:\n{problems}");
}
