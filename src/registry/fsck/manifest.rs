//! Manifests: what is kept of them, their bytes, and everything they refer to.

use super::{Check, Found, Kind, Look, bytes::damaged, repair::Aside, repair::Fix, short};
use crate::{
    files::Sys,
    oci::{Bounds, Descriptor, Digest, Hasher, Manifest, ReferencedDigest, RepositoryName},
    registry::{references::may_be_elsewhere, referrer, revision::Revision},
    storage::{self, Item, Key, Result, key},
};

/// Wider than any limit of the settings: what was accepted once is read here.
const BOUNDS: Bounds = Bounds { depth: 128, descriptors: usize::MAX };

/// The longest manifest that any settings accept.
const LONGEST: u64 = 64 << 20;

/// The bytes of a manifest as they are found.
pub(super) enum Bytes {
    /// They have their digest.
    Sound(bytes::Bytes),
    /// They have not; this is where they are.
    Damaged(String),
    /// There are none.
    Missing,
}

impl<S: Sys> Check<'_, S> {
    /// The bytes of a manifest, wherever a pull would find them.
    pub(super) fn manifest_bytes(&self, digest: &Digest) -> Result<Bytes> {
        let found = self.survey.find(&Item::Blob(digest.clone()), |path| match self.survey.read(path, LONGEST) {
            Ok(Some(bytes)) if Hasher::digest(digest.algorithm(), &bytes) == *digest => Ok(Some(Bytes::Sound(bytes))),
            Ok(Some(_)) | Err(storage::Error::Damaged { .. }) => Ok(Some(Bytes::Damaged(path.to_owned()))),
            Ok(None) => Ok(None),
            Err(error) => Err(error),
        })?;
        Ok(found.unwrap_or(Bytes::Missing))
    }

    /// A manifest as its repository has it, and its length; `None` if it is not one we understand.
    pub(super) fn parsed(
        &self,
        name: &RepositoryName,
        digest: &Digest,
        bytes: &bytes::Bytes,
    ) -> Result<Option<(Manifest, u64)>> {
        let revision = self.kept(name, digest)?;
        let media_type = revision.as_ref().map(|revision| revision.media_type.as_str());
        let manifest = Manifest::parse(bytes, media_type, BOUNDS).or_else(|_| Manifest::parse(bytes, None, BOUNDS));
        Ok(manifest.ok().map(|manifest| (manifest, bytes.len() as u64)))
    }

    /// What is kept of a manifest, if it can be read.
    fn kept(&self, name: &RepositoryName, digest: &Digest) -> Result<Option<Revision>> {
        let item = Item::Revision(name.clone(), digest.clone());
        let bytes = self.survey.find(&item, |path| Ok(self.survey.read(path, key::LONGEST).unwrap_or_default()))?;
        Ok(bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok()))
    }

    pub(super) fn revision(&mut self, path: &str, name: &RepositoryName, digest: &Digest) -> Look {
        let bytes = match self.survey.read(path, key::LONGEST) {
            Ok(Some(bytes)) => bytes,
            Ok(None) => return Ok(Vec::new()),
            Err(storage::Error::Damaged { .. }) => {
                return Ok(vec![garbled(path, "is far too long", name, digest, Aside::whatever(path))]);
            }
            Err(error) => return Err(error),
        };
        let aside = || Aside::of(path, bytes.clone());
        let kept: std::result::Result<Revision, _> = serde_json::from_slice(&bytes);
        let mut found = Vec::new();
        if let Err(error) = &kept {
            found.push(garbled(path, &format!("cannot be read: {error}"), name, digest, aside()));
        }
        let blob = Item::Blob(digest.clone());
        let (manifest, revision) = match (self.manifest_bytes(digest)?, kept) {
            (Bytes::Sound(manifest), Ok(revision)) => (manifest, revision),
            (Bytes::Sound(_), Err(_)) => return Ok(found),
            // It may have been deleted, and collected, since its name was read.
            _ if self.survey.look(path)?.is_none() => return Ok(Vec::new()),
            (Bytes::Damaged(of), _) => {
                let what =
                    format!("manifest {} of {name} is damaged: its bytes do not match its digest", short(digest));
                let fix = Fix::Manifest { digest: digest.clone(), aside: aside().unless(blob) };
                found.insert(0, Found::damage(Kind::ManifestDamaged, &of, what, push(name, digest)).by(fix));
                return Ok(found);
            }
            (Bytes::Missing, _) => {
                let what = format!("the bytes of manifest {} are missing", short(digest));
                let missing = Found::damage(Kind::ManifestMissing, path, what, push(name, digest));
                found.insert(0, missing.by(Fix::Aside(aside().unless(blob))));
                return Ok(found);
            }
        };
        let Ok(parsed) = Manifest::parse(&manifest, Some(&revision.media_type), BOUNDS) else {
            if Manifest::parse(&manifest, None, BOUNDS).is_ok() {
                return Ok(vec![disagrees(path, "another media type", name, digest, aside())]);
            }
            let what = format!("manifest {} of {name} has a format that this version does not know", short(digest));
            let advice = "its bytes are intact; use the version of wharfinger that accepted it";
            return Ok(vec![Found::warning(Kind::ManifestUnknown, path, what, advice)]);
        };
        if let Some(what) = revision.disagrees_with(&parsed, manifest.len() as u64) {
            return Ok(vec![disagrees(path, what, name, digest, aside())]);
        }
        for (descriptor, is_child) in references(&parsed) {
            if !revision.was_absent(&descriptor.digest) {
                found.extend(self.reference(path, name, digest, descriptor, is_child)?);
            }
        }
        if let Some(subject) = parsed.subject.clone() {
            let key = Key::Referrer { repository: name.clone(), subject, referrer: digest.clone() };
            if self.survey.look(&key.path())?.is_none() {
                let entry = referrer::entry(digest, &parsed, manifest.len() as u64);
                let what = format!("manifest {} of {name} is missing from the referrers of its subject", short(digest));
                let advice = "run `fsck --repair` to write the entry, or push the manifest again";
                let fix = Fix::Add(key, entry.into());
                found.push(Found::warning(Kind::ReferrerMissing, path, what, advice).by(fix));
            }
        }
        // All of this is of no account if the manifest was deleted meanwhile.
        if !found.is_empty() && self.survey.look(path)?.is_none() {
            return Ok(Vec::new());
        }
        Ok(found)
    }

    /// What is wrong with one thing that a manifest refers to.
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
        let look = |path: &str| Ok(self.survey.look(path)?.map(|meta| (path.to_owned(), meta.len)));
        let Some((place, len)) = self.survey.find(&blob, look)? else {
            let what = format!("manifest {} of {name} needs {}, which is missing", short(of), short(digest));
            found.push(Found::damage(Kind::BlobMissing, path, what, push(name, of)));
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
                    Kind::ChildMissing,
                    Fix::Revision { name: name.clone(), digest: digest.clone(), aside: None, or: None },
                ),
                false => (Kind::LinkMissing, Fix::Link(name.clone(), digest.clone())),
            };
            found.push(Found::damage(kind, path, what, push(name, of)).by(fix));
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
                    Found::note(Kind::LengthDisagrees, path, what)
                }
            });
        }
        Ok(found)
    }

    /// What would be kept of a manifest if it were pushed now, as far as it can be known.
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
        Ok(Some(Revision::of(&manifest, len, pushed.to_string(), absent).to_bytes()))
    }
}

/// Everything that must be there for a manifest to be pulled whole, and whether it is a manifest.
fn references(manifest: &Manifest) -> impl Iterator<Item = (&Descriptor, bool)> {
    let layers = manifest.layers.iter().filter(|layer| !may_be_elsewhere(layer));
    let blobs = manifest.config.iter().chain(layers).map(|descriptor| (descriptor, false));
    blobs.chain(manifest.children.iter().map(|descriptor| (descriptor, true)))
}

/// What a client may do: an index without one of its manifests can still be pulled on every other platform.
fn deleted(path: &str, name: &RepositoryName, of: &Digest, missing: &Digest, is_child: bool) -> Found {
    if is_child {
        let what = format!("index {} of {name} is incomplete: a client deleted {}", short(of), short(missing));
        return Found::note(Kind::IndexIncomplete, path, what);
    }
    let what = format!("manifest {} of {name} needs {}, which a client deleted", short(of), short(missing));
    Found::warning(Kind::Deleted, path, what, format!("{}, or delete it", push(name, of)))
}

fn push(name: &RepositoryName, digest: &Digest) -> String {
    format!("push the image again: {name}@{digest}")
}

fn garbled(path: &str, why: &str, name: &RepositoryName, digest: &Digest, aside: Aside) -> Found {
    let advice = format!("run `fsck --repair` to rewrite it from the manifest, or {}", push(name, digest));
    let fix = Fix::Revision { name: name.clone(), digest: digest.clone(), aside: Some(aside), or: None };
    Found::damage(Kind::RevisionGarbled, path, why, advice).by(fix)
}

fn disagrees(path: &str, what: &str, name: &RepositoryName, digest: &Digest, aside: Aside) -> Found {
    let advice = format!("run `fsck --repair` to rewrite it from the manifest, or {}", push(name, digest));
    let fix = Fix::Revision { name: name.clone(), digest: digest.clone(), aside: Some(aside), or: None };
    Found::damage(Kind::RevisionDisagrees, path, format!("the manifest has {what} than this record"), advice).by(fix)
}
