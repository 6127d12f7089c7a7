//! Deleting a tag, also at registries that delete nothing but digests.

use crate::{
    Client, Error, PushOptions,
    error::{ErrorCause, ErrorKind},
    manifest::path,
};
use bytes::Bytes;
use http::StatusCode;
use oci::{Algorithm, Digest, Hasher, Reference, RepositoryName, Tag};

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const EMPTY: &str = "application/vnd.oci.empty.v1+json";

impl Client {
    /// Deletes a tag. The manifest stays.
    ///
    /// Registries that delete digests only (Distribution 2) get an empty manifest under the tag, which is then deleted.
    /// If that fails, the tag gets its manifest back.
    ///
    /// # Errors
    /// If the registry does not do it.
    pub async fn delete_tag(&self, repository: &RepositoryName, tag: &Tag) -> Result<(), Error> {
        let reference = Reference::Tag(tag.clone());
        let deleted = match self.delete(repository, &path(repository, &reference)).await {
            Err(fault) if knows_digests_only(&fault) => self.replace_and_delete(repository, &reference).await,
            other => other,
        };
        deleted.map_err(|fault| fault.during(self.about("delete tag", repository, &reference)))
    }

    async fn replace_and_delete(&self, repository: &RepositoryName, tag: &Reference) -> Result<(), ErrorCause> {
        let before = self.manifest_once(repository, tag).await?;
        let empty = Bytes::from_static(b"{}");
        let config = Hasher::digest(Algorithm::Sha256, &empty);
        self.push_blob(repository, &config, empty.len() as u64, &empty, &PushOptions::default())
            .await
            .map_err(|error| ErrorCause::new(error.kind(), error.to_string()))?;
        let bytes = placeholder(repository, tag, &before.digest, &config);
        let digest = Hasher::digest(Algorithm::Sha256, &bytes);
        self.put_one(repository, MANIFEST, &bytes, tag, &[]).await?;
        match self.delete(repository, &path(repository, &Reference::Digest(digest))).await {
            Ok(()) => Ok(()),
            Err(fault) => {
                self.put_one(repository, &before.media_type, &before.bytes, tag, &[]).await?;
                Err(fault)
            }
        }
    }
}

/// Distribution 2 takes the tag for a digest that does not fit. Where deletion is off, it answers 405.
fn knows_digests_only(fault: &ErrorCause) -> bool {
    fault.kind == ErrorKind::Status
        && fault.status == Some(StatusCode::BAD_REQUEST)
        && fault.codes.iter().any(|error| error.code == "DIGEST_INVALID")
}

/// A manifest that is the only one of its digest, so that no other tag goes with it.
fn placeholder(repository: &RepositoryName, tag: &Reference, before: &Digest, config: &Digest) -> Bytes {
    let manifest = serde_json::json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "artifactType": "application/vnd.wharfinger.deleted-tag",
        "config": { "mediaType": EMPTY, "digest": config.as_str(), "size": 2 },
        "layers": [{ "mediaType": EMPTY, "digest": config.as_str(), "size": 2 }],
        "annotations": { "tag": format!("{repository}:{tag}"), "before": before.as_str() },
    });
    manifest.to_string().into()
}
