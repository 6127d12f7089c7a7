//! The command line.

use crate::{
    commands::{
        access::{group::GroupCommand, key::KeysCommand, role::RoleCommand, user::UsersCommand},
        admin::{AdminCommand, NamespaceCommand, SettingsCommand},
        artifact::ArtifactCommand,
        bench::BenchArgs,
        content::{BlobCommand, ManifestCommand, TagCommand, index::IndexCommand},
        context::ContextCommand,
        image::{CopyArgs, ExportArgs, ImageCommand, ImportArgs},
        login::{LoginArgs, LogoutArgs},
        migrate::MigrateCommand,
        referrers::{AttachArgs, ReferrersCommand},
        repository::RepositoryCommand,
        task::TaskCommand,
    },
    output::{CommandOutput, OutputFormat},
    tui::TuiArgs,
};
use clap::{Args, Parser, Subcommand};
use std::{
    io::{self, IsTerminal},
    path::PathBuf,
    time::Duration,
};

/// The exit statuses, shown below the help.
pub const EXIT_STATUSES: &str = "\
Exit status: 0 done, 1 failed or the answer is no, 2 wrong command line, 3 not logged in, 4 not found, 5 forbidden,
6 conflict, 7 server unreachable, 8 some of several failed, 9 wrong digest, 130 interrupted.";

/// The command line of Wharfinger, and of any other OCI registry.
///
/// A name without a host, such as team/app, is at the current server.
#[derive(Parser)]
#[command(name = "wharf", version, max_term_width = 100, after_help = EXIT_STATUSES, disable_help_subcommand = false)]
pub struct Wharf {
    #[command(flatten)]
    pub globals: Globals,
    #[command(subcommand)]
    pub command: WharfCommand,
}

/// Options of all commands.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Options of all commands")]
pub struct Globals {
    /// The server: a host, host:port, a URL, or the name of a context.
    #[arg(long, global = true, env = "WHARF_SERVER", value_name = "SERVER")]
    pub server: Option<String>,
    /// The context to use instead of the current one.
    #[arg(long, global = true, value_name = "NAME")]
    pub context: Option<String>,
    /// The configuration file; ~/.config/wharf/config.toml unless set.
    #[arg(long, global = true, env = "WHARF_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// How long to wait for the server without progress: 30s, 5m.
    #[arg(long, global = true, value_name = "TIME", value_parser = duration)]
    pub timeout: Option<Duration>,
    /// How data is printed: table, wide, json, jsonl, yaml, raw, or a template such as '{{ name }}'.
    #[arg(long, global = true, value_name = "FORMAT")]
    pub format: Option<OutputFormat>,
    /// The same as --format json.
    #[arg(long, global = true, conflicts_with = "format")]
    pub json: bool,
    /// Print names and digests only, and no notes.
    #[arg(short, long, global = true)]
    pub quiet: bool,
    /// Answer yes to all questions.
    #[arg(short, long, global = true)]
    pub yes: bool,
    /// Print each request and its answer to stderr, without secrets.
    #[arg(long, global = true)]
    pub debug: bool,
    /// What is printed of requests: off, debug, or trace with all headers.
    #[arg(long, global = true, value_name = "LEVEL", conflicts_with = "debug")]
    pub log_level: Option<RequestLogLevel>,
    /// Print without colours, as with NO_COLOR.
    #[arg(long, global = true)]
    pub no_color: bool,
    /// Show no progress.
    #[arg(long, global = true)]
    pub no_progress: bool,
    /// Speak HTTP without TLS. Passwords can then be read on the way.
    #[arg(long, global = true)]
    pub plain_http: bool,
    /// Do not check the server's certificate. Passwords can then be read on the way.
    #[arg(long, global = true)]
    pub insecure: bool,
    /// Certificate authorities to trust, besides those of the system (PEM).
    #[arg(long, global = true, value_name = "FILE")]
    pub ca_file: Option<PathBuf>,
    /// The client's certificate (PEM).
    #[arg(long = "cert", global = true, value_name = "FILE", requires = "client_key")]
    pub client_certificate: Option<PathBuf>,
    /// The key of the client's certificate (PEM).
    #[arg(long = "key", global = true, value_name = "FILE", requires = "client_certificate")]
    pub client_key: Option<PathBuf>,
}

/// What is printed of requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum RequestLogLevel {
    /// Nothing.
    #[default]
    Off,
    /// A line for each request.
    Debug,
    /// Its headers too, without secrets.
    Trace,
}

impl Globals {
    /// What is printed of requests.
    pub fn log_level(&self) -> RequestLogLevel {
        if self.debug { RequestLogLevel::Debug } else { self.log_level.unwrap_or_default() }
    }

    /// How this run prints.
    pub fn output(&self) -> CommandOutput {
        let format = if self.json { Some(OutputFormat::Json) } else { self.format.clone() };
        CommandOutput {
            format: format.unwrap_or_default(),
            is_quiet: self.quiet,
            shows_progress: !self.no_progress && !self.quiet && io::stderr().is_terminal(),
            says_yes: self.yes,
        }
    }
}

/// What to do.
#[derive(Subcommand)]
pub enum WharfCommand {
    /// Log in to a server.
    #[command(after_help = "Example: wharf login registry.example.com -u alice")]
    Login(LoginArgs),
    /// End the session at a server.
    Logout(LogoutArgs),
    /// Show who is logged in.
    Whoami,
    /// Show what the server is and whether it answers.
    Status,
    /// Show the version of this program and of the server.
    Version,
    /// Change your password.
    Passwd,
    /// Ask whether an action is allowed, and why; exits 1 if not.
    #[command(after_help = "Example: wharf can push team/app --user carl")]
    Can {
        /// pull, push or delete.
        action: String,
        /// The repository.
        repository: String,
        /// Ask for this user.
        #[arg(long)]
        user: Option<String>,
    },
    /// Servers that this program knows.
    #[command(subcommand)]
    Context(ContextCommand),
    /// Images: list, inspect, compare, copy, delete.
    #[command(subcommand)]
    Image(ImageCommand),
    /// Repositories.
    #[command(subcommand, visible_alias = "repository")]
    Repo(RepositoryCommand),
    /// Tags.
    #[command(subcommand)]
    Tag(TagCommand),
    /// Manifests.
    #[command(subcommand)]
    Manifest(ManifestCommand),
    /// Blobs.
    #[command(subcommand)]
    Blob(BlobCommand),
    /// Images for several platforms.
    #[command(subcommand)]
    Index(IndexCommand),
    /// What refers to an image: signatures, SBOMs, attestations.
    #[command(subcommand)]
    Referrers(ReferrersCommand),
    /// Attach a file to an image.
    #[command(after_help = "Example: wharf attach team/app:v1 sbom.json --artifact-type application/spdx+json")]
    Attach(AttachArgs),
    /// Files with versions and properties, beside images.
    #[command(subcommand)]
    Artifact(ArtifactCommand),
    /// Users.
    #[command(subcommand)]
    User(UsersCommand),
    /// Groups of users.
    #[command(subcommand)]
    Group(GroupCommand),
    /// Roles, which groups give to their members.
    #[command(subcommand)]
    Role(RoleCommand),
    /// API keys.
    #[command(subcommand)]
    Key(KeysCommand),
    /// Settings of the server.
    #[command(subcommand)]
    Settings(SettingsCommand),
    /// Namespaces: the first components of repository names.
    #[command(subcommand)]
    Namespace(NamespaceCommand),
    /// Long work of the server.
    #[command(subcommand)]
    Task(TaskCommand),
    /// Images that the server copies from other registries.
    #[command(subcommand)]
    Migrate(MigrateCommand),
    /// Collection, checks, uploads, configuration, audit log.
    #[command(subcommand)]
    Admin(AdminCommand),
    /// Send a request to the management API.
    #[command(after_help = "Example: wharf api PATCH /users/carl -d '{\"locked\": true}'")]
    Api {
        /// GET, POST, PUT, PATCH or DELETE.
        method: String,
        /// A path below /api/v1, such as /users?n=10.
        path: String,
        /// A JSON body; - reads it from stdin.
        #[arg(short, long, value_name = "JSON")]
        data: Option<String>,
    },
    /// List the tags of a repository: tag list.
    Ls {
        /// The repository.
        repository: String,
    },
    /// List repositories: repo list.
    Catalog {
        /// Another server.
        #[arg(value_name = "SERVER")]
        other: Option<String>,
    },
    /// Copy an image: image copy.
    #[command(visible_alias = "copy")]
    Cp(CopyArgs),
    /// Print the digest of an image: image digest.
    Digest {
        /// The image.
        image: String,
    },
    /// Write an image to a file or directory: image export.
    Pull(ExportArgs),
    /// Push an image from a file or directory: image import.
    Push(ImportArgs),
    /// Check that all parts of an image are there and have their digests.
    Validate {
        /// The image.
        image: String,
        /// Only ask whether they are there.
        #[arg(long)]
        fast: bool,
    },
    /// Show an image with its manifests and what refers to them: referrers tree.
    Tree {
        /// The image.
        image: String,
    },
    /// Delete an image: image delete.
    Rm {
        /// Tags or digests, such as team/app:v1.
        #[arg(required = true)]
        images: Vec<String>,
    },
    /// Measure how fast a registry is from here. It pushes random blobs, pulls them, and deletes their manifest.
    #[command(after_help = "Example: wharf bench scratch/bench --blobs 32 --size 16 --jobs 8")]
    Bench(BenchArgs),
    /// Open the terminal UI.
    #[command(after_help = "Example: wharf tui --theme dark\n\nPress ? in it for the keys.")]
    Tui(TuiArgs),
    /// Write a completion script for a shell.
    #[command(after_help = "Example: wharf completion bash > /etc/bash_completion.d/wharf")]
    Completion {
        /// bash, elvish, fish, powershell or zsh.
        shell: clap_complete::Shell,
    },
    /// Write man pages.
    Man {
        /// The directory to write to.
        directory: PathBuf,
    },
}

/// A time such as `30s`, `5m` or `1h`.
pub fn duration(text: &str) -> Result<Duration, String> {
    let invalid = || format!("{text:?} is not a time: write 30s, 5m or 2h");
    let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (count, unit) = text.split_at(split);
    let seconds = match unit {
        "s" | "" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => return Err(invalid()),
    };
    let count: u64 = count.parse().map_err(|_| invalid())?;
    count.checked_mul(seconds).filter(|seconds| *seconds > 0).map(Duration::from_secs).ok_or_else(invalid)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Wharf::command().debug_assert();
    }

    #[test]
    fn times_have_units() {
        for (text, seconds) in [("30s", 30), ("5m", 300), ("2h", 7200), ("90d", 7_776_000), ("7", 7)] {
            assert_eq!(duration(text).unwrap(), Duration::from_secs(seconds));
        }
        for bad in ["", "m", "5x", "-1s", "0s", "99999999999999999999h", "18446744073709551615h"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }
}
