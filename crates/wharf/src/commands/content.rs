//! Tags, manifests, blobs and indexes, as the protocol knows them.

pub mod index;
mod parsed;

pub use parsed::{BOUNDS, ParsedImage, differences};

use crate::{
    commands::{
        access::finish,
        image::{self, TagListArgs},
    },
    failure::Failure,
    file_source::FileSource,
    output::{Column, ColumnKind},
    place::ImageName,
    session::CommandSession,
};
use clap::Subcommand;
use client::{Client, Platform, PushOptions};
use oci::{Digest, Reference, RepositoryName};
use serde_json::{Value, json};
use std::{
    fs,
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

/// `wharf tag`.
#[derive(Subcommand)]
pub enum TagCommand {
    /// List the tags of a repository.
    #[command(visible_alias = "ls")]
    List(TagListArgs),
    /// Let a tag point to an image.
    #[command(after_help = "Example: wharf tag set team/app:v1 stable")]
    Set {
        /// The image.
        image: String,
        /// The tag.
        tag: String,
    },
    /// Delete tags.
    #[command(visible_alias = "rm", after_help = "Example: wharf tag delete 'team/app:1.5.*' --dry-run")]
    Delete {
        /// Tags, such as team/app:v1; the tag may be a pattern.
        #[arg(required = true)]
        tags: Vec<String>,
        /// Only report what would be deleted.
        #[arg(long)]
        dry_run: bool,
    },
}

/// `wharf manifest`.
#[derive(Subcommand)]
pub enum ManifestCommand {
    /// Print a manifest as it was pushed.
    Get {
        /// The image.
        image: String,
        /// Of an image for several platforms, this one.
        #[arg(short, long)]
        platform: Option<Platform>,
    },
    /// Print media type, digest and size of a manifest.
    Head {
        /// The image.
        image: String,
    },
    /// Push a manifest.
    Put {
        /// Where to.
        image: String,
        /// The manifest; stdin unless given.
        file: Option<PathBuf>,
        /// Its media type; what the manifest says unless given.
        #[arg(long)]
        media_type: Option<String>,
    },
    /// Delete a manifest by its digest.
    #[command(visible_alias = "rm")]
    Delete {
        /// IMAGE@DIGEST.
        image: String,
    },
    /// Compare two manifests; exits 1 if they differ.
    Diff {
        /// The first.
        from: String,
        /// The second.
        to: String,
        /// Of images for several platforms, this one.
        #[arg(short, long)]
        platform: Option<Platform>,
    },
}

/// `wharf blob`.
#[derive(Subcommand)]
pub enum BlobCommand {
    /// Print a blob, or write it to a file.
    Get {
        /// REPOSITORY@DIGEST.
        blob: String,
        /// The file.
        #[arg(short, long)]
        output: Option<PathBuf>,
    },
    /// Print the size of a blob.
    Head {
        /// REPOSITORY@DIGEST.
        blob: String,
    },
    /// Push a file as a blob, and print its digest.
    Put {
        /// The repository.
        repository: String,
        /// The file; stdin unless given.
        file: Option<PathBuf>,
    },
    /// Copy a blob to another repository.
    Copy {
        /// REPOSITORY@DIGEST.
        blob: String,
        /// The repository.
        target: String,
    },
    /// Delete a blob.
    #[command(visible_alias = "rm")]
    Delete {
        /// REPOSITORY@DIGEST.
        blob: String,
    },
}

const HEAD: &[Column] = &[
    Column::text("Media type", "/mediaType"),
    Column::text("Digest", "/digest"),
    Column::of("Size", "/size", ColumnKind::Bytes),
];

pub async fn tag(command: TagCommand, session: &CommandSession) -> Result<(), Failure> {
    match command {
        TagCommand::List(args) => image::tags(args, session).await,
        TagCommand::Set { image, tag } => {
            let name = ImageName::parse(&image)?;
            let (management, repository) = session.managed(&name)?;
            let tag: oci::Tag =
                tag.parse().map_err(|error| Failure::usage(format!("{tag:?} is not a tag: {error}")))?;
            let manifest = management.client.pull_manifest(&repository, &name.reference()?).await?;
            management
                .client
                .push_manifest(&repository, &manifest.media_type, manifest.bytes, std::slice::from_ref(&tag))
                .await?;
            finish(session, None, &format!("{repository}:{} is {}.", tag.as_str(), manifest.digest))
        }
        TagCommand::Delete { tags, dry_run } => delete_tags(&tags, dry_run, session).await,
    }
}

/// Deletes tags by name or pattern.
async fn delete_tags(texts: &[String], dry_run: bool, session: &CommandSession) -> Result<(), Failure> {
    let mut chosen = Vec::new();
    for text in texts {
        match text.rsplit_once(':').filter(|(_, tag)| tag.contains('*')) {
            None => chosen.push(text.clone()),
            Some((repository, pattern)) => {
                let (management, name) = session.managed(&ImageName::parse(repository)?)?;
                let all = image::all_tags(&management, &name, None).await?;
                let names = all.iter().filter_map(|tag| tag.get("name").and_then(Value::as_str));
                let before = chosen.len();
                let matching = names.filter(|name| oci::glob_matches(pattern, name));
                chosen.extend(matching.map(|name| format!("{repository}:{name}")));
                if chosen.len() == before {
                    return Err(Failure::not_found(format!("no tag matches {text}")));
                }
            }
        }
    }
    if dry_run {
        return chosen.iter().try_for_each(|tag| session.output.line(tag));
    }
    if chosen.len() > texts.len() {
        session.output.confirm(&format!("Delete {} tags?", chosen.len()))?;
    }
    image::delete(&chosen, false, session).await
}

pub async fn manifest(command: ManifestCommand, session: &CommandSession) -> Result<(), Failure> {
    match command {
        ManifestCommand::Get { image, platform } => {
            let name = ImageName::parse(&image)?;
            let (client, repository) = session.registry_of(&name)?;
            let manifest = pull(&client, &repository, &name.reference()?, platform.as_ref()).await?;
            session.output.bytes(&manifest.bytes)
        }
        ManifestCommand::Head { image } => {
            let name = ImageName::parse(&image)?;
            let (client, repository) = session.registry_of(&name)?;
            let head = client.head_manifest(&repository, &name.reference()?).await?;
            let head = head.ok_or_else(|| Failure::not_found(format!("there is no manifest {name}")))?;
            let digest = head.digest.map(|digest| digest.to_string());
            let shown = json!({ "mediaType": head.media_type, "digest": digest, "size": head.size });
            session.output.one(&shown, HEAD, "/digest")
        }
        ManifestCommand::Put { image, file, media_type } => {
            let name = ImageName::parse(&image)?;
            let (client, repository) = session.registry_of(&name)?;
            let bytes = read(file.as_deref())?;
            let said = oci::json::from_slice::<Value>(&bytes).ok();
            let said = said.as_ref().and_then(|manifest| manifest.get("mediaType")).and_then(Value::as_str);
            let media_type = media_type
                .as_deref()
                .or(said)
                .ok_or_else(|| Failure::usage("the manifest does not say its media type; give --media-type"))?;
            let tags: Vec<oci::Tag> = name.tag.iter().cloned().collect();
            let pushed = client.push_manifest(&repository, media_type, bytes.into(), &tags).await?;
            session.output.line(pushed.as_str())
        }
        ManifestCommand::Delete { image } => {
            let name = ImageName::parse(&image)?;
            let (client, repository) = session.registry_of(&name)?;
            let digest = digest_of(&name)?;
            client.delete_manifest(&repository, digest).await?;
            finish(session, None, &format!("Deleted {name}."))
        }
        ManifestCommand::Diff { from, to, platform } => {
            let mut texts = Vec::new();
            for image in [&from, &to] {
                let name = ImageName::parse(image)?;
                let (client, repository) = session.registry_of(&name)?;
                let manifest = pull(&client, &repository, &name.reference()?, platform.as_ref()).await?;
                let value: Value = oci::json::from_slice(&manifest.bytes)
                    .map_err(|error| Failure::failed(format!("{image} is not JSON: {error}")))?;
                texts.push(format!("{value:#}\n"));
            }
            let diff = similar::TextDiff::from_lines(&texts[0], &texts[1]);
            let diff = diff.unified_diff().header(&from, &to).to_string();
            diff.lines().try_for_each(|line| session.output.line(line))?;
            if texts[0] == texts[1] { Ok(()) } else { Err(Failure::no()) }
        }
    }
}

async fn pull(
    client: &Client,
    repository: &RepositoryName,
    reference: &Reference,
    platform: Option<&Platform>,
) -> Result<client::PulledManifest, Failure> {
    Ok(match platform {
        Some(platform) => client.pull_manifest_for(repository, reference, platform).await?,
        None => client.pull_manifest(repository, reference).await?,
    })
}

pub async fn blob(command: BlobCommand, session: &CommandSession) -> Result<(), Failure> {
    match command {
        BlobCommand::Get { blob, output } => {
            let name = ImageName::parse(&blob)?;
            let (client, repository) = session.registry_of(&name)?;
            let mut download = client.pull_blob(&repository, digest_of(&name)?, None);
            match output {
                None => {
                    let mut out = io::stdout().lock();
                    while let Some(bytes) = download.chunk().await? {
                        out.write_all(&bytes)?;
                    }
                    Ok(out.flush()?)
                }
                Some(path) => {
                    let mut file = crate::layout::NewFile::beside(&path)?;
                    while let Some(bytes) = download.chunk().await? {
                        file.write(&bytes)?;
                    }
                    file.finish()
                }
            }
        }
        BlobCommand::Head { blob } => {
            let name = ImageName::parse(&blob)?;
            let (client, repository) = session.registry_of(&name)?;
            let digest = digest_of(&name)?;
            let size = client.head_blob(&repository, digest).await?;
            let size = size.ok_or_else(|| Failure::not_found(format!("there is no blob {name}")))?;
            session.output.one(&json!({ "digest": digest.as_str(), "size": size }), &HEAD[1..], "/digest")
        }
        BlobCommand::Put { repository, file } => {
            let (client, name) = session.registry_of(&ImageName::parse(&repository)?.only_repository()?)?;
            let source = FileSource::open(file.as_deref()).await?;
            client.push_blob(&name, &source.digest, source.size, &source, &PushOptions::default()).await?;
            session.output.line(source.digest.as_str())
        }
        BlobCommand::Copy { blob, target } => {
            let name = ImageName::parse(&blob)?;
            let (from, repository) = session.registry_of(&name)?;
            let (to, target) = session.registry_of(&ImageName::parse(&target)?.only_repository()?)?;
            let digest = digest_of(&name)?.clone();
            let size = from.head_blob(&repository, &digest).await?;
            let size = size.ok_or_else(|| Failure::not_found(format!("there is no blob {name}")))?;
            let is_same = from.registry().name() == to.registry().name();
            let options = PushOptions { mount_from: is_same.then(|| repository.clone()), ..PushOptions::default() };
            let source = client::RemoteBlob { client: from, repository, digest: digest.clone(), size: Some(size) };
            to.push_blob(&target, &digest, size, &source, &options).await?;
            finish(session, None, &format!("Copied {digest} to {target}."))
        }
        BlobCommand::Delete { blob } => {
            let name = ImageName::parse(&blob)?;
            let (client, repository) = session.registry_of(&name)?;
            client.delete_blob(&repository, digest_of(&name)?).await?;
            finish(session, None, &format!("Deleted {name}."))
        }
    }
}

/// The digest in a name that must have one.
fn digest_of(name: &ImageName) -> Result<&Digest, Failure> {
    name.digest
        .as_ref()
        .ok_or_else(|| Failure::usage(format!("{name} names no digest: write {}@sha256:…", name.repository)))
}

/// A platform as people write it.
pub fn platform_text(platform: &Value) -> String {
    let parts = ["os", "architecture", "variant"].map(|part| platform.get(part).and_then(Value::as_str));
    parts.into_iter().flatten().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("/")
}

/// Reads a file, or stdin.
pub fn read(path: Option<&Path>) -> Result<Vec<u8>, Failure> {
    match path.filter(|path| *path != Path::new("-")) {
        Some(path) => fs::read(path).map_err(|error| Failure::file("read", path, &error)),
        None => {
            let mut bytes = Vec::new();
            let read = io::stdin().lock().read_to_end(&mut bytes);
            read.map_err(|error| Failure::failed(format!("cannot read stdin: {error}")))?;
            Ok(bytes)
        }
    }
}
