//! Checks manifests: their records, their bytes, and everything they refer to.

use super::{Check, FindingKind, FindingWithFix, Look, bytes::damaged, repair::Fix, repair::WrongFile, short};
use crate::{
    registry::{references::may_be_elsewhere, referrer, revision::RevisionRecord},
    storage::{self, FactKey, Item, Result, StoreSurvey, key},
};
use oci::{Bounds, Descriptor, Digest, Hasher, Manifest, ReferencedDigest, RepositoryName, json};

/// Wider than any limit in the settings: a manifest that was once accepted can be read here.
const BOUNDS: Bounds = Bounds { depth: 128, descriptors: usize::MAX };

/// The longest manifest that any settings accept.
const LONGEST: u64 = 64 << 20;

/// The bytes of a manifest, as found.
pub(super) enum Bytes {
    /// They match the digest.
    Sound(bytes::Bytes),
    /// They do not match; this is their path.
    Damaged(String),
    /// They do not exist.
    Missing,
}

impl<S: StoreSurvey> Check<'_, S> {
    /// The bytes of a manifest, wherever a pull would find them.
    pub(super) fn manifest_bytes(&self, digest: &Digest) -> Result<Bytes> {
        let found = self.survey.find(&Item::Blob(digest.clone()), |path| match self.survey.read(path, LONGEST) {
            Ok(Some(bytes)) if Hasher::digest(digest.algorithm(), &bytes) == *digest => Ok(Some(Bytes::Sound(bytes))),
            Ok(Some(_)) | Err(storage::StorageError::Damaged { .. }) => Ok(Some(Bytes::Damaged(path.to_owned()))),
            Ok(None) => Ok(None),
            Err(error) => Err(error),
        })?;
        Ok(found.unwrap_or(Bytes::Missing))
    }

    /// A manifest of a repository, and its length; `None` if this version cannot parse it.
    pub(super) fn parsed(
        &self,
        name: &RepositoryName,
        digest: &Digest,
        bytes: &bytes::Bytes,
    ) -> Result<Option<(Manifest, u64)>> {
        let revision = self.read_record(name, digest)?;
        let media_type = revision.as_ref().map(|revision| revision.media_type.as_str());
        let manifest = Manifest::parse(bytes, media_type, BOUNDS).or_else(|_| Manifest::parse(bytes, None, BOUNDS));
        Ok(manifest.ok().map(|manifest| (manifest, bytes.len() as u64)))
    }

    /// The record of a manifest, if it can be read.
    fn read_record(&self, name: &RepositoryName, digest: &Digest) -> Result<Option<RevisionRecord>> {
        let item = Item::Revision(name.clone(), digest.clone());
        let bytes = self.survey.find(&item, |path| Ok(self.survey.read(path, key::LONGEST).unwrap_or_default()))?;
        Ok(bytes.and_then(|bytes| json::from_slice(&bytes).ok()))
    }

    pub(super) fn revision(&mut self, path: &str, name: &RepositoryName, digest: &Digest) -> Look {
        let bytes = match self.survey.read(path, key::LONGEST) {
            Ok(Some(bytes)) => bytes,
            Ok(None) => return Ok(Vec::new()),
            Err(storage::StorageError::Damaged { .. }) => {
                return Ok(vec![garbled(path, "is far too long", name, digest, WrongFile::any(path))]);
            }
            Err(error) => return Err(error),
        };
        let wrong = || WrongFile::of(path, bytes.clone());
        let kept: std::result::Result<RevisionRecord, _> = json::from_slice(&bytes);
        let mut found = Vec::new();
        if let Err(error) = &kept {
            found.push(garbled(path, &format!("cannot be read: {error}"), name, digest, wrong()));
        }
        let blob = Item::Blob(digest.clone());
        let (manifest, revision) = match (self.manifest_bytes(digest)?, kept) {
            (Bytes::Sound(manifest), Ok(revision)) => (manifest, revision),
            (Bytes::Sound(_), Err(_)) => return Ok(found),
            // It may have been deleted, and collected, since its name was read.
            _ if self.survey.meta(path)?.is_none() => return Ok(Vec::new()),
            (Bytes::Damaged(of), _) => {
                let what =
                    format!("manifest {} of {name} is damaged: its bytes do not match its digest", short(digest));
                let fix = Fix::Manifest { digest: digest.clone(), wrong: wrong().unless(blob) };
                found.insert(
                    0,
                    FindingWithFix::damage(FindingKind::ManifestDamaged, &of, what, push(name, digest)).by(fix),
                );
                return Ok(found);
            }
            (Bytes::Missing, _) => {
                let what = format!("the bytes of manifest {} are missing", short(digest));
                let missing = FindingWithFix::damage(FindingKind::ManifestMissing, path, what, push(name, digest));
                found.insert(0, missing.by(Fix::Quarantine(wrong().unless(blob))));
                return Ok(found);
            }
        };
        let Ok(parsed) = Manifest::parse(&manifest, Some(&revision.media_type), BOUNDS) else {
            if Manifest::parse(&manifest, None, BOUNDS).is_ok() {
                return Ok(vec![disagrees(path, "another media type", name, digest, wrong())]);
            }
            let what = format!("manifest {} of {name} has a format that this version does not know", short(digest));
            let advice = "its bytes are intact; use the version of wharfinger that accepted it";
            return Ok(vec![FindingWithFix::warning(FindingKind::ManifestUnknown, path, what, advice)]);
        };
        if let Some(what) = revision.disagrees_with(&parsed, manifest.len() as u64) {
            return Ok(vec![disagrees(path, what, name, digest, wrong())]);
        }
        for (descriptor, is_child) in references(&parsed) {
            if !revision.was_absent(&descriptor.digest) {
                found.extend(self.reference(path, name, digest, descriptor, is_child)?);
            }
        }
        if let Some(subject) = parsed.subject.clone() {
            let key = FactKey::Referrer { repository: name.clone(), subject, referrer: digest.clone() };
            if self.survey.meta(&key.path())?.is_none() {
                let entry = referrer::entry(digest, &parsed, manifest.len() as u64);
                let what = format!("manifest {} of {name} is missing from the referrers of its subject", short(digest));
                let advice = "run `fsck --repair` to write the entry, or push the manifest again";
                let fix = Fix::Add(key, entry.into());
                found.push(FindingWithFix::warning(FindingKind::ReferrerMissing, path, what, advice).by(fix));
            }
        }
        // None of this matters if the manifest was deleted meanwhile.
        if !found.is_empty() && self.survey.meta(path)?.is_none() {
            return Ok(Vec::new());
        }
        Ok(found)
    }

    /// What is wrong with one reference of a manifest.
    fn reference(
        &mut self,
        path: &str,
        name: &RepositoryName,
        of: &Digest,
        descriptor: &Descriptor,
        is_child: bool,
    ) -> Look {
        let ReferencedDigest::Known(digest) = &descriptor.digest else { return Ok(Vec::new()) };
        let blob = Item::Blob(digest.clone());
        let (link, revision) = (Item::Link(name.clone(), digest.clone()), Item::Revision(name.clone(), digest.clone()));
        let rights: &[&Item] = if is_child { &[&revision, &link] } else { &[&link] };
        let mut found = Vec::new();
        let mut has_right = false;
        for right in rights {
            has_right = has_right || self.survey.is_there(right)?;
        }
        let look = |path: &str| Ok(self.survey.meta(path)?.map(|meta| (path.to_owned(), meta.len)));
        let Some((place, len)) = self.survey.find(&blob, look)? else {
            let what = format!("manifest {} of {name} needs {}, which is missing", short(of), short(digest));
            found.push(FindingWithFix::damage(FindingKind::BlobMissing, path, what, push(name, of)));
            return Ok(found);
        };
        if !has_right {
            for right in rights {
                if self.survey.was_deleted(right)? {
                    return Ok(vec![deleted(path, name, of, digest, is_child)]);
                }
            }
            let what =
                format!("manifest {} of {name} needs {}, which {name} has no right to serve", short(of), short(digest));
            let (kind, fix) = match is_child {
                true => (
                    FindingKind::ChildMissing,
                    Fix::Revision { name: name.clone(), digest: digest.clone(), wrong: None, or: None },
                ),
                false => (FindingKind::LinkMissing, Fix::Link(name.clone(), digest.clone())),
            };
            found.push(FindingWithFix::damage(kind, path, what, push(name, of)).by(fix));
        }
        if len != descriptor.size {
            found.push(match self.is_damaged(&place, digest)? {
                true => damaged(&place, digest),
                false => {
                    let what = format!(
                        "manifest {} of {name} says that {} has {} bytes, but it has {len}; it was pushed like that",
                        short(of),
                        short(digest),
                        descriptor.size
                    );
                    FindingWithFix::note(FindingKind::LengthDisagrees, path, what)
                }
            });
        }
        Ok(found)
    }

    /// The record that a push of the manifest would write now, as far as it can be derived.
    pub(super) fn revision_again(
        &mut self,
        name: &RepositoryName,
        digest: &Digest,
        pushed: jiff::Timestamp,
    ) -> Result<Option<Vec<u8>>> {
        let Bytes::Sound(bytes) = self.manifest_bytes(digest)? else { return Ok(None) };
        let Some((manifest, len)) = self.parsed(name, digest, &bytes)? else { return Ok(None) };
        let mut absent = Vec::new();
        for (descriptor, is_child) in references(&manifest) {
            let is_there = match &descriptor.digest {
                ReferencedDigest::Foreign(_) => false,
                ReferencedDigest::Known(digest) => {
                    let (link, revision) =
                        (Item::Link(name.clone(), digest.clone()), Item::Revision(name.clone(), digest.clone()));
                    self.survey.is_there(&Item::Blob(digest.clone()))?
                        && (self.survey.is_there(&link)? || (is_child && self.survey.is_there(&revision)?))
                }
            };
            if !is_there {
                absent.push(descriptor.digest.as_str().to_owned());
            }
        }
        Ok(Some(RevisionRecord::of(&manifest, len, pushed.to_string(), None, absent).to_bytes()))
    }
}

/// Everything that must exist for a complete pull of a manifest, and whether it is a manifest.
fn references(manifest: &Manifest) -> impl Iterator<Item = (&Descriptor, bool)> {
    let layers = manifest.layers.iter().filter(|layer| !may_be_elsewhere(layer));
    let blobs = manifest.config.iter().chain(layers).map(|descriptor| (descriptor, false));
    blobs.chain(manifest.children.iter().map(|descriptor| (descriptor, true)))
}

/// Clients may delete a child: an index without one of its manifests can still be pulled on every other platform.
fn deleted(path: &str, name: &RepositoryName, of: &Digest, missing: &Digest, is_child: bool) -> FindingWithFix {
    if is_child {
        let what = format!("index {} of {name} is incomplete: a client deleted {}", short(of), short(missing));
        return FindingWithFix::note(FindingKind::IndexIncomplete, path, what);
    }
    let what = format!("manifest {} of {name} needs {}, which a client deleted", short(of), short(missing));
    FindingWithFix::warning(FindingKind::Deleted, path, what, format!("{}, or delete it", push(name, of)))
}

fn push(name: &RepositoryName, digest: &Digest) -> String {
    format!("push the image again: {name}@{digest}")
}

fn garbled(path: &str, why: &str, name: &RepositoryName, digest: &Digest, wrong: WrongFile) -> FindingWithFix {
    let advice = format!("run `fsck --repair` to rewrite it from the manifest, or {}", push(name, digest));
    let fix = Fix::Revision { name: name.clone(), digest: digest.clone(), wrong: Some(wrong), or: None };
    FindingWithFix::damage(FindingKind::RevisionGarbled, path, why, advice).by(fix)
}

fn disagrees(path: &str, what: &str, name: &RepositoryName, digest: &Digest, wrong: WrongFile) -> FindingWithFix {
    let advice = format!("run `fsck --repair` to rewrite it from the manifest, or {}", push(name, digest));
    let fix = Fix::Revision { name: name.clone(), digest: digest.clone(), wrong: Some(wrong), or: None };
    FindingWithFix::damage(
        FindingKind::RevisionDisagrees,
        path,
        format!("the manifest has {what} than this record"),
        advice,
    )
    .by(fix)
}
