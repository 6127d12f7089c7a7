//! The subcommands of `wharf artifact` and their arguments.

use clap::{Args, Subcommand};
use std::path::PathBuf;

/// `wharf artifact`.
#[derive(Subcommand)]
pub enum ArtifactCommand {
    /// Create a repository of artifacts.
    Create {
        /// Its name.
        repo: String,
        /// What it is for.
        #[arg(short, long)]
        description: Option<String>,
        /// Let only its owner, and whoever a role allows, see it.
        #[arg(short, long)]
        private: bool,
    },
    /// List repositories of artifacts.
    #[command(visible_alias = "ls")]
    List,
    /// Delete a repository with everything in it.
    DeleteRepo {
        /// Its name.
        repo: String,
        /// The name again, in place of a question.
        #[arg(long, value_name = "NAME")]
        confirm: Option<String>,
    },
    /// Upload files. What breaks is resumed, also by the next run.
    #[command(after_help = "Example: wharf artifact upload builds app.tar.gz -v 1.4.0 -P os=linux,build=77")]
    Upload(UploadArgs),
    /// Download files: one as it is, several as an archive.
    #[command(after_help = "Example: wharf artifact download builds -v latest -P os=linux -o app.tar.gz\n\
        Example: wharf artifact download builds -v 1.4.0 --unpack -o dist\n\
        Example: wharf artifact download builds -v '1.*' --format tar.gz -o all.tar.gz")]
    Download(DownloadArgs),
    /// Find artifacts in all repositories that you may see.
    #[command(after_help = "Example: wharf artifact search -P os=linux --sort version --order desc")]
    Search {
        /// Only this repository.
        #[arg(short, long)]
        repo: Option<String>,
        #[command(flatten)]
        filter: FilterArgs,
        /// Print a table, as without it.
        #[arg(short, long, hide = true)]
        table: bool,
    },
    /// List the versions of a repository, newest first.
    Versions {
        /// The repository.
        repo: String,
    },
    /// Change the properties of an artifact. It gets another id.
    Edit {
        /// The repository.
        repo: String,
        /// The artifact's id.
        id: String,
        /// KEY=VALUE to set, with commas; may be repeated.
        #[arg(short = 'P', long = "property", value_name = "KEY=VALUE")]
        properties: Vec<String>,
        /// A key to remove; may be repeated.
        #[arg(long, value_name = "KEY")]
        unset: Vec<String>,
    },
    /// Give an artifact another version, path or name.
    Rename {
        /// The repository.
        repo: String,
        /// The artifact's id.
        id: String,
        /// The version.
        #[arg(short = 'v', long)]
        version: String,
        /// The path.
        #[arg(short, long)]
        path: Option<String>,
        /// The name under which it is saved.
        #[arg(long)]
        name: Option<String>,
    },
    /// Delete an artifact. It goes to the trash.
    #[command(visible_alias = "rm")]
    Delete {
        /// The repository.
        repo: String,
        /// The version.
        version: String,
        /// The path; several may be given.
        #[arg(required = true, value_name = "PATH")]
        paths: Vec<String>,
        /// KEY=VALUE, with commas: of several variants, this one.
        #[arg(short = 'P', long = "property", value_name = "KEY=VALUE")]
        properties: Vec<String>,
        /// Delete all variants.
        #[arg(long)]
        all: bool,
    },
    /// List what is in the trash of a repository.
    Trash {
        /// The repository.
        repo: String,
    },
    /// Restore an artifact from the trash.
    Restore {
        /// The repository.
        repo: String,
        /// The artifact's id.
        id: String,
    },
    /// Show what the rules of retention would delete.
    Retention {
        /// The repository.
        repo: String,
    },
}

/// `wharf artifact upload`.
#[derive(Args)]
pub struct UploadArgs {
    /// The repository.
    pub(super) repo: String,
    /// The files.
    #[arg(required = true)]
    pub(super) files: Vec<PathBuf>,
    /// The version; the file's name unless given.
    #[arg(short = 'v', long)]
    pub(super) version: Option<String>,
    /// The path; the file's name unless given. For several files it is the directory.
    #[arg(short, long)]
    pub(super) path: Option<String>,
    /// KEY=VALUE, with commas; \, is a comma in a value; may be repeated.
    #[arg(short = 'P', long = "property", value_name = "KEY=VALUE")]
    pub(super) properties: Vec<String>,
    /// Replace what is there with other bytes.
    #[arg(long)]
    pub(super) overwrite: bool,
}

/// `wharf artifact download`.
#[derive(Args)]
pub struct DownloadArgs {
    /// The repository.
    pub(super) repo: String,
    #[command(flatten)]
    pub(super) filter: FilterArgs,
    /// An archive, even of one file; --format zip (as without it) or tar.gz.
    #[arg(long)]
    pub(super) archive: bool,
    /// The file, the directory, or - for stdout; the file's own name in this directory unless given.
    #[arg(short, long)]
    pub(super) output: Option<PathBuf>,
    /// Unpack the archive into the directory.
    #[arg(long)]
    pub(super) unpack: bool,
    /// Names without directories in the archive.
    #[arg(long)]
    pub(super) flat: bool,
}

/// Which artifacts.
#[derive(Args)]
pub struct FilterArgs {
    /// The version, with * for any text; latest is the newest.
    #[arg(short = 'v', long)]
    pub(super) version: Option<String>,
    /// The path, with * for any text.
    #[arg(short, long)]
    pub(super) path: Option<String>,
    /// KEY=VALUE, with commas; may be repeated.
    #[arg(short = 'P', long = "property", value_name = "KEY=VALUE")]
    pub(super) properties: Vec<String>,
    /// At most this many.
    #[arg(long)]
    pub(super) num: Option<usize>,
    /// By name, version, path, size, created_at or updated_at.
    #[arg(long)]
    pub(super) sort: Option<String>,
    /// asc or desc.
    #[arg(long)]
    pub(super) order: Option<String>,
}
