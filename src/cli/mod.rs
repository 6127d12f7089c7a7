//! The programs: `wharfinger serve` (also without a subcommand), `check`, `explain`, `fsck`, `gc`, `plan`,
//! `htpasswd` and `key`.
//!
//! Exit codes: 0 done, nothing wrong; 1 `check` found problems, `explain` says no, serving or `plan` failed,
//! `gc` did not go to its end, `htpasswd` or `key` refused, or a password is wrong; 2 the command line was not understood, or lacks
//! `--stdin` where there is no terminal to ask; 78 (EX_CONFIG) the configuration keeps `serve` from
//! starting or `plan` from looking at a store, the file of users cannot be used, or `fsck` finds no store.
//!
//! `fsck` has its own: 0 clean, 1 warnings, 2 damage; repaired or not, as it was found.

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
use std::io::Write;
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

/// A container registry you run from files.
#[derive(Debug, Parser)]
#[command(name = "wharfinger", version, max_term_width = 110, after_help = AFTER)]
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
    /// Check the environment and every file, print all problems and decisions, and exit 0 or 1
    Check,
    /// Tell whether a user may do something, and what decides it; exit 0 if so, 1 if not
    Explain {
        /// The user's name, or `anonymous`
        user: String,
        /// pull, push or delete
        action: Action,
        /// The repository's name
        repository: RepositoryName,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Check the store, also while it is served, and repair it; exit 0 clean, 1 warnings, 2 damage
    Fsck(Fsck),
    /// Collect garbage, also beside a running daemon; exit 0 if it went to its end, 1 if not
    Gc {
        /// Only tell what would be done
        #[arg(long)]
        dry_run: bool,
        /// Free room now: wait for no lease, and empty the graveyard
        #[arg(long)]
        now: bool,
        /// Go on even if a large part of all blobs would go
        #[arg(long)]
        force: bool,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Show what the rules of retention would keep and delete, and why; changes nothing
    Plan {
        /// Only repositories that match, such as `team/**`
        repositories: Option<Pattern>,
        /// A JSON object on each line
        #[arg(long)]
        json: bool,
    },
    /// Add, change, remove, verify and list the users of an htpasswd file
    Htpasswd(Htpasswd),
    /// Make keys for the token service
    #[command(subcommand)]
    Key(Key),
}

const AFTER: &str = "A flag beats the environment variable, the variable beats the file .env of the current \
directory, and that beats the default. docs/configuration.md describes all of them and the settings file.";

/// Parses the command line (program name first), loads the configuration and does what was asked.
pub fn run(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        // Also how clap answers --help and --version, with 0.
        Err(error) => {
            // Nobody is left to tell when the terminal is gone.
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
        Command::Serve => match read(flags).usable() {
            Ok((env, live, warnings)) => serve::serve(env, &live, &warnings),
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
    let _ = writeln!(std::io::stderr().lock(), "wharfinger: {count} {noun} in the configuration:\n{problems}");
}
