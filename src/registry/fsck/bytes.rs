//! Blobs, in the pool and in the graveyard, and uploads.

use super::{Check, Found, Kind, Look, Part, repair::Fix, short};
use crate::{
    files::{self, Sys},
    oci::{Digest, Hasher},
    storage::{Condemned, Item, Why},
};

impl<S: Sys> Check<'_, S> {
    pub(super) fn blob(&mut self, path: &str, digest: &Digest, meta: &files::Meta, with_bytes: bool) -> Look {
        let is_empty_and_should_not = meta.len == 0 && Hasher::digest(digest.algorithm(), b"") != *digest;
        let is_asked_for = with_bytes && self.options.read.is_some_and(|part: Part| part.has(digest));
        let is_damaged = is_empty_and_should_not || (is_asked_for && self.is_damaged(path, digest)?);
        Ok(is_damaged.then(|| damaged(path, digest)).into_iter().collect())
    }

    pub(super) fn grave(&mut self, path: &str, entry: &Condemned, with_bytes: bool) -> Look {
        let (Item::Blob(digest), Why::Unreferenced) = (&entry.item, entry.why) else { return Ok(Vec::new()) };
        let is_asked_for = with_bytes && self.options.read.is_some_and(|part: Part| part.has(digest));
        // It would come back only where nothing stands in its place.
        if !is_asked_for || self.survey.look(&entry.item.path())?.is_some() || !self.is_damaged(path, digest)? {
            return Ok(Vec::new());
        }
        Ok(vec![damaged(path, digest)])
    }

    /// Whether a file's bytes have another digest than its name says.
    pub(super) fn is_damaged(&mut self, path: &str, digest: &Digest) -> crate::storage::Result<bool> {
        let (survey, tally) = (self.survey, &mut self.tally);
        let found = survey.digest(path, digest.algorithm(), &mut |bytes| tally.read(bytes))?;
        self.tally.summary.blobs_read += u64::from(found.is_some());
        Ok(found.is_some_and(|found| found != *digest))
    }

    /// A session whose files are not what a session has: begun or ended half way, when the daemon
    /// or the machine went down.
    pub(super) fn upload(&mut self, path: &str) -> Look {
        let names = self.survey.list(path)?;
        let has = |wanted: &str| names.iter().any(|(name, _)| name == wanted);
        if has("session.json") && (has("data") || has("sealed")) {
            return Ok(Vec::new());
        }
        let what = "is an incomplete upload session; the daemon deletes it when it has expired";
        Ok(vec![Found::note(Kind::UploadIncomplete, path, what)])
    }
}

/// A blob whose bytes are not what its name says.
pub(super) fn damaged(path: &str, digest: &Digest) -> Found {
    let what = format!("is damaged: its bytes do not match its digest {}", short(digest));
    let advice = "run `fsck --repair` to move it to quarantine, then push an image that contains it again";
    Found::damage(Kind::BlobDamaged, path, what, advice).by(Fix::Blob(digest.clone()))
}
