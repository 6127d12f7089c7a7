//! Checks blobs, in the pool and in the graveyard, and uploads.

use super::{Check, FindingKind, FindingWithFix, Look, PoolPart, repair::Fix, short};
use crate::{
    files,
    storage::{Condemned, Item, StoreSurvey, Why},
};
use oci::{Digest, Hasher};

impl<S: StoreSurvey> Check<'_, S> {
    pub(super) fn blob(&mut self, path: &str, digest: &Digest, meta: &files::Meta, with_bytes: bool) -> Look {
        let is_empty_and_should_not = meta.len == 0 && Hasher::digest(digest.algorithm(), b"") != *digest;
        let is_asked_for = with_bytes && self.options.read.is_some_and(|part: PoolPart| part.has(digest));
        let is_damaged = is_empty_and_should_not || (is_asked_for && self.is_damaged(path, digest)?);
        Ok(is_damaged.then(|| damaged(path, digest)).into_iter().collect())
    }

    pub(super) fn grave(&mut self, path: &str, entry: &Condemned, with_bytes: bool) -> Look {
        let (Item::Blob(digest), Why::Unreferenced) = (&entry.item, entry.why) else { return Ok(Vec::new()) };
        let is_asked_for = with_bytes && self.options.read.is_some_and(|part: PoolPart| part.has(digest));
        // It would be restored only if nothing is in its place.
        if !is_asked_for || self.survey.meta(&entry.item.path())?.is_some() || !self.is_damaged(path, digest)? {
            return Ok(Vec::new());
        }
        Ok(vec![damaged(path, digest)])
    }

    /// Whether the digest of a file's bytes differs from its name.
    pub(super) fn is_damaged(&mut self, path: &str, digest: &Digest) -> crate::storage::Result<bool> {
        let (survey, tally) = (self.survey, &mut self.tally);
        let found = survey.digest(path, digest.algorithm(), &mut |bytes| tally.read(bytes))?;
        self.tally.summary.blobs_read += u64::from(found.is_some());
        Ok(found.is_some_and(|found| found != *digest))
    }

    /// A session whose files are incomplete: its start or end was interrupted when the daemon or the machine went
    /// down.
    pub(super) fn upload(&mut self, path: &str) -> Look {
        let names = self.survey.list(path)?;
        let has = |wanted: &str| names.iter().any(|(name, _)| name == wanted);
        if has("session.json") && (has("data") || has("sealed")) {
            return Ok(Vec::new());
        }
        let what = "is an incomplete upload session; the daemon deletes it when it has expired";
        Ok(vec![FindingWithFix::note(FindingKind::UploadIncomplete, path, what)])
    }
}

/// A blob whose bytes do not match its digest.
pub(super) fn damaged(path: &str, digest: &Digest) -> FindingWithFix {
    let what = format!("is damaged: its bytes do not match its digest {}", short(digest));
    let advice = "run `fsck --repair` to move it to quarantine, then push an image that contains it again";
    FindingWithFix::damage(FindingKind::BlobDamaged, path, what, advice).by(Fix::Blob(digest.clone()))
}
