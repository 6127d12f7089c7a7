//! What refers to images.

use crate::{
    failure::Failure,
    file_source::FileSource,
    output::{Column, ColumnKind},
    place::ImageName,
    session::CommandSession,
};
use bytes::Bytes;
use clap::{Args, Subcommand};
use client::{Client, PushOptions, Referrer};
use oci::{Digest, Reference, RepositoryName};
use serde_json::{Map, Value, json};
use std::path::PathBuf;

/// `wharf referrers`.
#[derive(Subcommand)]
pub enum ReferrersCommand {
    /// List what refers to an image.
    #[command(visible_alias = "ls")]
    List {
        /// The image.
        image: String,
        /// Only artifacts of this type.
        #[arg(long)]
        artifact_type: Option<String>,
    },
    /// Show an image with its manifests and what refers to them.
    Tree {
        /// The image.
        image: String,
    },
    /// Print the first file of the newest artifact of a type.
    #[command(after_help = "Example: wharf referrers get team/app:v1 --artifact-type application/spdx+json")]
    Get {
        /// The image.
        image: String,
        /// The type.
        #[arg(long)]
        artifact_type: String,
    },
}

/// `wharf attach`.
#[derive(Args)]
pub struct AttachArgs {
    /// The image.
    image: String,
    /// The file.
    file: PathBuf,
    /// What it is, such as application/spdx+json.
    #[arg(long)]
    artifact_type: String,
    /// KEY=VALUE; may be repeated.
    #[arg(long = "annotation", value_name = "KEY=VALUE")]
    annotations: Vec<String>,
}

const REFERRERS: &[Column] = &[
    Column::text("DIGEST", "/digest"),
    Column::text("TYPE", "/artifactType"),
    Column::of("SIZE", "/size", ColumnKind::Bytes),
    Column::text("ANNOTATIONS", "/annotations").wide(),
];

/// Levels of a tree that are followed.
const MOST_DEPTH: usize = 8;

/// The configuration of an artifact that has none (image-spec, "Guidance for an Empty Descriptor").
const EMPTY_TYPE: &str = "application/vnd.oci.empty.v1+json";
const EMPTY: &[u8] = b"{}";

/// The largest file that `referrers get` prints.
const MOST_FILE: usize = 256 << 20;

pub async fn run(command: ReferrersCommand, session: &CommandSession) -> Result<(), Failure> {
    match command {
        ReferrersCommand::List { image, artifact_type } => {
            let (client, repository, subject) = resolve(&image, session).await?;
            let found = client.referrers(&repository, &subject, artifact_type.as_deref()).await?;
            session.output.list(&found.iter().map(shown).collect::<Vec<_>>(), REFERRERS, "/digest")
        }
        ReferrersCommand::Tree { image } => tree(&image, session).await,
        ReferrersCommand::Get { image, artifact_type } => {
            let (client, repository, subject) = resolve(&image, session).await?;
            let found = client.referrers(&repository, &subject, Some(&artifact_type)).await?;
            let created = |referrer: &Referrer| -> Option<String> {
                referrer.annotations.as_ref()?.get("org.opencontainers.image.created").cloned()
            };
            let newest = found.iter().max_by_key(|referrer| created(referrer));
            let newest = newest.ok_or_else(|| Failure::not_found(format!("nothing of this type refers to {image}")))?;
            let manifest = client.pull_manifest(&repository, &Reference::Digest(newest.digest.clone())).await?;
            let manifest: Value = oci::json::from_slice(&manifest.bytes)
                .map_err(|error| Failure::failed(format!("{}: {error}", newest.digest)))?;
            let file = &manifest["layers"][0];
            let digest = file["digest"].as_str().unwrap_or_default();
            let digest: Digest =
                digest.parse().map_err(|_| Failure::not_found(format!("{} has no file", newest.digest)))?;
            let bytes = client.pull_blob(&repository, &digest, file["size"].as_u64()).bytes(MOST_FILE).await?;
            session.output.bytes(&bytes)
        }
    }
}

fn shown(referrer: &Referrer) -> Value {
    json!({
        "mediaType": referrer.media_type,
        "digest": referrer.digest.as_str(),
        "size": referrer.size,
        "artifactType": referrer.artifact_type,
        "annotations": referrer.annotations,
    })
}

async fn resolve(image: &str, session: &CommandSession) -> Result<(Client, RepositoryName, Digest), Failure> {
    let name = ImageName::parse(image)?;
    let (client, repository) = session.registry_of(&name)?;
    let digest = match name.reference()? {
        Reference::Digest(digest) => digest,
        tag => client.pull_manifest(&repository, &tag).await?.digest,
    };
    Ok((client, repository, digest))
}

/// One manifest of a tree that is still to be shown.
struct Branch {
    digest: Digest,
    label: String,
    depth: usize,
}

pub async fn tree(image: &str, session: &CommandSession) -> Result<(), Failure> {
    let (client, repository, digest) = resolve(image, session).await?;
    let mut todo = vec![Branch { digest, label: image.to_owned(), depth: 0 }];
    while let Some(Branch { digest, label, depth }) = todo.pop() {
        session.output.line(&format!("{}{label}  {digest}", "  ".repeat(depth)))?;
        if depth == MOST_DEPTH {
            continue;
        }
        let mut below = Vec::new();
        let reference = Reference::Digest(digest.clone());
        let manifest = client.pull_manifest(&repository, &reference).await?;
        let manifest: Value =
            oci::json::from_slice(&manifest.bytes).map_err(|error| Failure::failed(format!("{digest}: {error}")))?;
        for child in manifest["manifests"].as_array().into_iter().flatten() {
            let Ok(digest) = child["digest"].as_str().unwrap_or_default().parse() else { continue };
            below.push(Branch { digest, label: super::content::platform_text(&child["platform"]), depth: depth + 1 });
        }
        for referrer in client.referrers(&repository, &digest, None).await? {
            let label = referrer.artifact_type.unwrap_or(referrer.media_type);
            below.push(Branch { digest: referrer.digest, label, depth: depth + 1 });
        }
        todo.extend(below.into_iter().rev());
    }
    Ok(())
}

pub async fn attach(args: AttachArgs, session: &CommandSession) -> Result<(), Failure> {
    let name = ImageName::parse(&args.image)?;
    let (client, repository) = session.registry_of(&name)?;
    let subject = client.pull_manifest(&repository, &name.reference()?).await?;
    let source = FileSource::open(Some(&args.file)).await?;
    client.push_blob(&repository, &source.digest, source.size, &source, &PushOptions::default()).await?;
    let empty = Bytes::from_static(EMPTY);
    let empty_digest = crate::layout::sha256(&empty);
    client.push_blob(&repository, &empty_digest, EMPTY.len() as u64, &empty, &PushOptions::default()).await?;
    let mut annotations = Map::new();
    annotations.insert("org.opencontainers.image.created".into(), jiff::Timestamp::now().to_string().into());
    for pair in &args.annotations {
        let (key, value) = pair.split_once('=').ok_or_else(|| Failure::usage(format!("{pair:?} is not KEY=VALUE")))?;
        annotations.insert(key.to_owned(), value.into());
    }
    let file_name = args.file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let media_type = "application/vnd.oci.image.manifest.v1+json";
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": media_type,
        "artifactType": args.artifact_type,
        "config": { "mediaType": EMPTY_TYPE, "digest": empty_digest.as_str(), "size": EMPTY.len() },
        "layers": [{
            "mediaType": args.artifact_type, "digest": source.digest.as_str(), "size": source.size,
            "annotations": { "org.opencontainers.image.title": file_name },
        }],
        "subject": {
            "mediaType": subject.media_type, "digest": subject.digest.as_str(), "size": subject.bytes.len(),
        },
        "annotations": annotations,
    });
    let pushed = client.push_manifest(&repository, media_type, Bytes::from(manifest.to_string()), &[]).await?;
    session.output.line(pushed.as_str())
}
