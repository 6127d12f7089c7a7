//! Reads what a stored manifest refers to, for marking.

use super::{CollectionError, Result, marks};
use crate::{
    registry::{RegistryError, Repository},
    storage::Put,
};
use oci::{Bounds, Digest, Manifest, ReferencedDigest};

/// Wider than any limit in the settings: a manifest that was once accepted can be read here.
const BOUNDS: Bounds = Bounds { depth: 128, descriptors: usize::MAX };

/// A manifest and what it refers to.
pub(super) struct Stored {
    pub(super) digest: Digest,
    /// Length in bytes.
    pub(super) len: u64,
    /// Config, layers and children, with the lengths that the manifest states.
    pub(super) refers: Vec<(Digest, u64)>,
    /// Of these, the children of an index, by [`marks::blob`].
    pub(super) children: Vec<u64>,
    pub(super) subject: Option<u64>,
    /// The referrer entry that would list it, if that is missing.
    pub(super) unlisted: Option<(Manifest, Put)>,
}

impl Repository {
    /// Reads a manifest; `None` if it was deleted meanwhile.
    pub(super) async fn stored(&self, digest: &Digest) -> Result<Option<Stored>> {
        let Some(revision) = self.revision(digest).await? else { return Ok(None) };
        let bytes = match self.registry().manifest_bytes(digest).await {
            Ok(bytes) => bytes,
            Err(RegistryError::ManifestUnknown(_)) if self.revision(digest).await?.is_none() => return Ok(None),
            Err(error) => {
                let name = self.name();
                let why = format!("cannot read manifest {digest} of {name} ({error}); run `wharfinger fsck`");
                return Err(CollectionError::Unsafe(why));
            }
        };
        let len = bytes.len() as u64;
        let Ok(manifest) = Manifest::parse(&bytes, Some(&revision.media_type), BOUNDS) else {
            // Written by a version that knows more media types: keep everything it may refer to.
            let refers: Vec<_> = digests(&String::from_utf8_lossy(&bytes)).map(|digest| (digest, 0)).collect();
            let children = refers.iter().map(|(digest, _)| marks::blob(digest)).collect();
            return Ok(Some(Stored { digest: digest.clone(), len, refers, children, subject: None, unlisted: None }));
        };
        let known = |digest: &ReferencedDigest| match digest {
            ReferencedDigest::Known(digest) => Some(digest.clone()),
            ReferencedDigest::Foreign(_) => None,
        };
        let descriptors = manifest.config.iter().chain(&manifest.layers).chain(&manifest.children);
        Ok(Some(Stored {
            digest: digest.clone(),
            len,
            refers: descriptors.filter_map(|d| known(&d.digest).map(|digest| (digest, d.size))).collect(),
            children: manifest.children.iter().filter_map(|d| known(&d.digest)).map(|d| marks::blob(&d)).collect(),
            subject: manifest.subject.as_ref().map(marks::blob),
            unlisted: self.missing_entry(digest, &manifest, len).await?.map(|entry| (manifest, entry)),
        }))
    }
}

/// Every digest in a text.
fn digests(text: &str) -> impl Iterator<Item = Digest> {
    let starts = text.match_indices("sha256:").chain(text.match_indices("sha512:"));
    starts.filter_map(|(at, start)| {
        let rest = &text[at + start.len()..];
        let hex = rest.find(|c: char| !c.is_ascii_hexdigit()).map_or(rest, |end| &rest[..end]);
        format!("{start}{hex}").parse().ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_found_anywhere_in_a_manifest() {
        let (a, b) = (format!("sha256:{}", "ab".repeat(32)), format!("sha512:{}", "cd".repeat(64)));
        let text = format!("{{\"x\":[\"{a}\",\"sha256:12\"],\"y\":\"see {b}.\"}}{a}");
        let mut found: Vec<_> = digests(&text).map(|d| d.to_string()).collect();
        found.sort();
        assert_eq!(found, [a.clone(), a, b]);
    }
}
