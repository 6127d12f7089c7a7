//! Images for several platforms: made of others, and changed.

use super::{ParsedImage, platform_text};
use crate::{failure::Failure, place::ImageName, session::CommandSession};
use bytes::Bytes;
use clap::Subcommand;
use oci::Reference;
use serde_json::{Value, json};

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

/// The media type of an index.
const INDEX: &str = "application/vnd.oci.image.index.v1+json";

pub async fn run(command: IndexCommand, session: &CommandSession) -> Result<(), Failure> {
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
