//! Tags, manifests, blobs and indexes, as the protocol knows them.

mod parsed;

pub use parsed::{BOUNDS, ParsedImage, differences};

use crate::{
    commands::{
        access::finish,
        image::{self, TagListArgs},
    },
    failure::Failure,
    output::{Column, ColumnKind},
    place::ImageName,
    session::CommandSession,
};
use bytes::Bytes;
use clap::Subcommand;
use client::{BlobSource, Client, Platform, PushOptions};
use oci::{Algorithm, Digest, Hasher, Reference, RepositoryName};
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

/// `wharf index`.
#[derive(Subcommand)]
pub enum IndexCommand {
    /// Make an image for several platforms of images for one.
    #[command(after_help = "Example: wharf index create team/app:v1 team/app:v1-amd64 team/app:v1-arm64")]
    Create {
        /// The new image.
        index: String,
        /// Images of the same repository.
        #[arg(required = true)]
        images: Vec<String>,
    },
    /// Add images to one for several platforms.
    Add {
        /// The image for several platforms.
        index: String,
        /// Images of the same repository.
        #[arg(required = true)]
        images: Vec<String>,
    },
    /// Remove platforms or digests from an image for several platforms.
    #[command(visible_alias = "rm")]
    Delete {
        /// The image for several platforms.
        index: String,
        /// Platforms, such as linux/arm64, or digests.
        #[arg(required = true)]
        entries: Vec<String>,
    },
}

const HEAD: &[Column] = &[
    Column::text("Media type", "/mediaType"),
    Column::text("Digest", "/digest"),
    Column::of("Size", "/size", ColumnKind::Bytes),
];

/// The media type of an index.
const INDEX: &str = "application/vnd.oci.image.index.v1+json";

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

pub async fn index(command: IndexCommand, session: &CommandSession) -> Result<(), Failure> {
    let (text, images, is_new) = match &command {
        IndexCommand::Create { index, images } => (index, &images[..], true),
        IndexCommand::Add { index, images } => (index, &images[..], false),
        IndexCommand::Delete { index, .. } => (index, &[][..], false),
    };
    let name = ImageName::parse(text)?;
    let (client, repository) = session.registry_of(&name)?;
    let mut index = match is_new {
        true => json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": [] }),
        false => {
            let manifest = client.pull_manifest(&repository, &name.reference()?).await?;
            oci::json::from_slice(&manifest.bytes).map_err(|error| Failure::failed(format!("{name}: {error}")))?
        }
    };
    let Some(entries) = index.get_mut("manifests").and_then(Value::as_array_mut) else {
        return Err(Failure::failed(format!("{name} is not an image for several platforms")));
    };
    for image in images {
        let child_name = ImageName::parse(image)?;
        let (from, child_repository) = session.registry_of(&child_name)?;
        if from.registry().name() != client.registry().name() || child_repository != repository {
            return Err(Failure::usage(format!("{image} is in another repository; copy it to {repository} first")));
        }
        let child = ParsedImage::pull(&child_name, None, session).await?;
        let platform = child.platform().await?;
        // Of two images for one platform the later one counts.
        entries.retain(|entry| entry.get("platform") != Some(&platform) && entry["digest"] != child.digest.as_str());
        entries.push(json!({
            "mediaType": child.media_type, "digest": child.digest.as_str(), "size": child.bytes.len(), "platform": platform,
        }));
    }
    if let IndexCommand::Delete { entries: unwanted, .. } = &command {
        for wanted in unwanted {
            let before = entries.len();
            entries.retain(|entry| entry["digest"] != wanted.as_str() && platform_text(&entry["platform"]) != *wanted);
            if entries.len() == before {
                return Err(Failure::not_found(format!("{name} has no {wanted}")));
            }
        }
    }
    let media_type = index.get("mediaType").and_then(Value::as_str).unwrap_or(INDEX).to_owned();
    let tags: Vec<oci::Tag> = match name.reference()? {
        Reference::Tag(tag) => vec![tag],
        Reference::Digest(_) => Vec::new(),
    };
    let pushed = client.push_manifest(&repository, &media_type, Bytes::from(index.to_string()), &tags).await?;
    session.output.line(pushed.as_str())
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

/// A file to push, whose digest is known.
pub struct FileSource {
    /// Its digest.
    pub digest: Digest,
    /// Its length in bytes.
    pub size: u64,
    path: PathBuf,
    /// What came from stdin lies here until it is pushed.
    _kept: Option<tempfile::NamedTempFile>,
}

impl FileSource {
    /// Reads a file once, for its digest; without a path, stdin into a temporary file.
    pub async fn open(path: Option<&Path>) -> Result<Self, Failure> {
        let path = path.filter(|path| *path != Path::new("-")).map(Path::to_owned);
        let read = tokio::task::spawn_blocking(move || {
            let (path, kept) = match path {
                Some(path) => (path, None),
                None => {
                    let mut file = tempfile::NamedTempFile::new()
                        .map_err(|error| Failure::failed(format!("cannot make a temporary file: {error}")))?;
                    io::copy(&mut io::stdin().lock(), &mut file)
                        .map_err(|error| Failure::failed(format!("cannot read stdin: {error}")))?;
                    (file.path().to_owned(), Some(file))
                }
            };
            let failed = |error| Failure::file("read", &path, &error);
            let mut file = fs::File::open(&path).map_err(failed)?;
            let mut hasher = Hasher::new(Algorithm::Sha256);
            let (mut size, mut piece) = (0, vec![0; 1 << 20]);
            loop {
                match file.read(&mut piece).map_err(failed)? {
                    0 => break,
                    n => {
                        hasher.update(&piece[..n]);
                        size += n as u64;
                    }
                }
            }
            Ok(Self { digest: hasher.finish(), size, path, _kept: kept })
        });
        read.await.map_err(|error| Failure::failed(error.to_string()))?
    }
}

#[async_trait::async_trait]
impl BlobSource for FileSource {
    async fn open(&self, offset: u64) -> io::Result<client::ByteStream> {
        crate::layout::stream_file(&self.path, offset, None).await
    }
}
