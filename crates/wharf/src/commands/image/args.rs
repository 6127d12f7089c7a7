//! The subcommands of `wharf image` and their arguments.

use crate::commands::repository::RepositoryListArgs;
use clap::{Args, Subcommand};
use client::Platform;
use std::path::PathBuf;

/// `wharf image`.
#[derive(Subcommand)]
pub enum ImageCommand {
    /// List repositories of images.
    #[command(visible_alias = "ls")]
    List(RepositoryListArgs),
    /// List the tags of an image.
    #[command(after_help = "Example: wharf image tags team/app --include '1.5.*' --sort version")]
    Tags(TagListArgs),
    /// Delete tags, or manifests by their digests.
    #[command(visible_alias = "rm", after_help = "Example: wharf image delete team/app:v1")]
    Delete {
        /// IMAGE:TAG or IMAGE@DIGEST; or an image followed by one tag.
        #[arg(required = true)]
        images: Vec<String>,
        /// Something that does not exist is no failure.
        #[arg(long)]
        ignore_missing: bool,
    },
    /// Set who may pull where no rule decides: public or private.
    Visibility {
        /// The image.
        image: String,
        /// public or private.
        visibility: String,
    },
    /// Show an image: platform, configuration, layers.
    Inspect {
        /// The image.
        image: String,
        /// Of an image for several platforms, this one: linux/arm64.
        #[arg(long)]
        platform: Option<Platform>,
    },
    /// Compare two images; exits 1 if they differ.
    Diff {
        /// The first.
        from: String,
        /// The second.
        to: String,
        /// Of images for several platforms, this one.
        #[arg(long)]
        platform: Option<Platform>,
    },
    /// Print the digest of an image.
    Digest {
        /// The image.
        image: String,
        /// Of an image for several platforms, this one.
        #[arg(long)]
        platform: Option<Platform>,
    },
    /// Print the configuration of an image.
    Config {
        /// The image.
        image: String,
        /// Of an image for several platforms, this one.
        #[arg(long)]
        platform: Option<Platform>,
    },
    /// Show the steps that built an image.
    History {
        /// The image.
        image: String,
        /// Of an image for several platforms, this one.
        #[arg(long)]
        platform: Option<Platform>,
    },
    /// List the layers of an image.
    Layers {
        /// The image.
        image: String,
        /// Of an image for several platforms, this one.
        #[arg(long)]
        platform: Option<Platform>,
    },
    /// Copy an image, between any two registries or directories.
    #[command(visible_alias = "cp")]
    Copy(CopyArgs),
    /// Write an image to a file or directory.
    Export(ExportArgs),
    /// Push an image from a file or directory.
    Import(ImportArgs),
    /// Ask whether an image is built on the current version of its base; exits 1 if not.
    #[command(after_help = "Example: wharf image check-base team/app:v1 docker.io/alpine:3")]
    CheckBase {
        /// The image.
        image: String,
        /// Its base; what the image says unless given.
        base: Option<String>,
        /// Of images for several platforms, this one.
        #[arg(long)]
        platform: Option<Platform>,
    },
}

/// `wharf image tags`, `wharf tag list`.
#[derive(Args)]
pub struct TagListArgs {
    /// The repository.
    pub image: String,
    /// By name, version, pushed or size.
    #[arg(long)]
    pub sort: Option<String>,
    /// At most this many.
    #[arg(long)]
    pub num: Option<usize>,
    /// Only tags that match this pattern; may be repeated.
    #[arg(long, value_name = "GLOB")]
    pub include: Vec<String>,
    /// No tags that match this pattern; may be repeated.
    #[arg(long, value_name = "GLOB")]
    pub exclude: Vec<String>,
}

/// `wharf image copy`.
#[derive(Args)]
#[command(after_help = "Example: wharf image copy docker.io/alpine:3 team/alpine:3\n\
    Example: wharf image copy team/app oci:backup --all-tags")]
pub struct CopyArgs {
    /// An image, or oci:DIRECTORY:NAME.
    pub(super) source: String,
    /// An image, or oci:DIRECTORY:NAME.
    pub(super) target: String,
    /// Only this platform of an image for several; may be repeated.
    #[arg(long)]
    pub(super) platform: Vec<Platform>,
    /// Also what refers to the image: signatures, SBOMs, attestations.
    #[arg(long)]
    pub(super) referrers: bool,
    /// Also tags such as sha256-….sig, by which older tools attach signatures.
    #[arg(long)]
    pub(super) digest_tags: bool,
    /// All tags of the repository.
    #[arg(long)]
    pub(super) all_tags: bool,
    /// Blobs copied at the same time.
    #[arg(short, long, default_value_t = 4, value_parser = clap::value_parser!(u8).range(1..=64))]
    pub(super) jobs: u8,
    /// Leave tags that exist at the target alone.
    #[arg(long)]
    pub(super) no_clobber: bool,
}

/// `wharf image export`.
#[derive(Args)]
#[command(after_help = "Example: wharf image export team/app:v1 app.tar --docker && docker load -i app.tar")]
pub struct ExportArgs {
    /// The image.
    pub(super) image: String,
    /// A file for a tar archive, or a directory if it ends in /.
    pub(super) target: PathBuf,
    /// Write what docker load reads, instead of an OCI archive. It has one platform.
    #[arg(long)]
    pub(super) docker: bool,
    /// Of an image for several platforms, this one.
    #[arg(long)]
    pub(super) platform: Option<Platform>,
}

/// `wharf image import`.
#[derive(Args)]
#[command(after_help = "Example: docker save app -o app.tar && wharf image import app.tar team/app:v1")]
pub struct ImportArgs {
    /// An OCI archive, what docker save wrote, or a directory.
    pub(super) source: PathBuf,
    /// The image to push.
    pub(super) image: String,
    /// Which image of several in the archive.
    #[arg(long, value_name = "NAME")]
    pub(super) name: Option<String>,
}
