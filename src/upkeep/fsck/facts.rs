//! Checks the small files of a repository: tags, hints, links, referrers, intents.

use super::{Check, FindingKind, FindingWithFix, Look, manifest::Bytes, repair::Fix, repair::WrongFile, short};
use crate::{
    access::{RepositoryFacts, Visibility},
    accounts,
    registry::{Creation, Description, Intent, parse_expression, referrer},
    storage::{self, FactKey, Item, StoreSurvey, key},
};
use oci::{Digest, RepositoryName, Tag};

/// No small file is longer than this, except a revision or a referrer's entry.
const SHORT: u64 = 4096;

/// How often a tag that changes while it is checked is checked again.
const ATTEMPTS: usize = 10;

impl<S: StoreSurvey> Check<'_, S> {
    pub(super) fn fact(&mut self, path: &str, key: &FactKey) -> Look {
        match key {
            FactKey::Tag(name, tag) => self.tag(path, name, tag),
            FactKey::Revision(name, digest) => self.revision(path, name, digest),
            FactKey::Referrer { repository, subject, referrer } => self.referrer(path, repository, subject, referrer),
            FactKey::Tagged(name, digest, tag) => {
                let found = self.survey.read(&FactKey::Tag(name.clone(), tag.clone()).path(), SHORT);
                let is_stale = !matches!(found, Ok(Some(bytes)) if digest_in(&bytes).as_ref() == Some(digest));
                let note = || {
                    FindingWithFix::note(
                        FindingKind::HintStale,
                        path,
                        format!("is a stale hint: tag {tag} points elsewhere"),
                    )
                };
                Ok(is_stale.then(note).into_iter().collect())
            }
            FactKey::Layer(_, digest) => {
                let is_there = self.survey.is_there(&Item::Blob(digest.clone()))?;
                let what = format!("allows to serve {}, which does not exist", short(digest));
                let note = || FindingWithFix::note(FindingKind::LinkWithoutBlob, path, what);
                Ok((!is_there).then(note).into_iter().collect())
            }
            FactKey::Visibility(name) => {
                self.repository_fact(path, Some(name), |bytes| Visibility::parse(bytes).is_some())
            }
            FactKey::Owner(name) => {
                self.repository_fact(path, Some(name), |bytes| RepositoryFacts::parse_owner(bytes).is_some())
            }
            FactKey::Description(_) => self.repository_fact(path, None, |bytes| Description::parse(bytes).is_some()),
            FactKey::OwnImmutable(_) => self.repository_fact(path, None, |bytes| parse_expression(bytes).is_some()),
            FactKey::Created(_) | FactKey::Namespace(_) => {
                self.repository_fact(path, None, |bytes| Creation::parse(bytes).is_some())
            }
            FactKey::Intent(..) | FactKey::ExpiredIntent(..) => {
                let bytes = self.survey.read(path, key::LONGEST)?;
                let is_garbled = bytes.is_some_and(|bytes| Intent::read(&bytes).is_none());
                let what = "is part of a push that a power failure interrupted; garbage collection deletes it";
                Ok(is_garbled
                    .then(|| FindingWithFix::note(FindingKind::IntentGarbled, path, what))
                    .into_iter()
                    .collect())
            }
            FactKey::Account(account) => {
                let is_sound = match self.survey.read(path, key.longest()) {
                    Ok(bytes) => bytes.is_none_or(|bytes| accounts::is_sound(account, &bytes)),
                    Err(storage::StorageError::Damaged { .. }) => false,
                    Err(error) => return Err(error),
                };
                let advice = "it grants nothing; restore it from a backup, or delete it";
                let found = || FindingWithFix::warning(FindingKind::FactGarbled, path, "is malformed", advice);
                Ok((!is_sound).then(found).into_iter().collect())
            }
            FactKey::Artifact(key) => self.artifact(path, key),
            _ => Ok(Vec::new()),
        }
    }

    /// A fact of a repository. If its name is given, the fact needs a hint.
    fn repository_fact(&mut self, path: &str, name: Option<&RepositoryName>, is_sound: fn(&[u8]) -> bool) -> Look {
        let mut found = Vec::new();
        match self.survey.read(path, 2 * SHORT) {
            Ok(Some(bytes)) if is_sound(&bytes) => {}
            Ok(None) => return Ok(found),
            Ok(Some(_)) | Err(storage::StorageError::Damaged { .. }) => {
                let advice =
                    "it grants nothing, and malformed immutable_tags refuse pushes; write it again, or delete it";
                found.push(FindingWithFix::warning(FindingKind::FactGarbled, path, "is malformed", advice));
            }
            Err(error) => return Err(error),
        }
        let Some(name) = name else { return Ok(found) };
        let hint = FactKey::Recorded(name.clone());
        if self.survey.meta(&hint.path())?.is_none() {
            let what = format!("has no hint {}, so the catalog may not show {name}", hint.path());
            let advice = "run `fsck --repair` to write the hint";
            found.push(
                FindingWithFix::warning(FindingKind::HintMissing, path, what, advice).by(Fix::Add(hint, "".into())),
            );
        }
        Ok(found)
    }

    fn tag(&mut self, path: &str, name: &RepositoryName, tag: &Tag) -> Look {
        for _ in 0..ATTEMPTS {
            let garbled = |fix| {
                let advice = format!("push the tag again: {name}:{tag}");
                FindingWithFix::damage(
                    FindingKind::TagGarbled,
                    path,
                    "does not contain a digest and a line feed",
                    advice,
                )
                .by(fix)
            };
            let bytes = match self.survey.read(path, SHORT) {
                Ok(Some(bytes)) => bytes,
                Ok(None) => return Ok(Vec::new()),
                Err(storage::StorageError::Damaged { .. }) => {
                    return Ok(vec![garbled(Fix::Quarantine(WrongFile::any(path)))]);
                }
                Err(error) => return Err(error),
            };
            let Some(digest) = digest_in(&bytes) else {
                return Ok(vec![garbled(Fix::Quarantine(WrongFile::of(path, bytes)))]);
            };
            let revision = Item::Revision(name.clone(), digest.clone());
            let hint = FactKey::Tagged(name.clone(), digest.clone(), tag.clone());
            let is_dangling = !self.survey.is_there(&revision)?;
            let has_hint = self.survey.meta(&hint.path())?.is_some();
            if !is_dangling && has_hint {
                return Ok(Vec::new());
            }
            // A tag's target is deleted after the tag, so this holds only if the tag did not move meanwhile.
            if self.survey.read(path, SHORT)?.as_ref() != Some(&bytes) {
                continue;
            }
            if is_dangling {
                let what = format!("points to {}, which is not a manifest of {name}", short(&digest));
                let advice = format!("push it again, or delete the tag: {name}:{tag}");
                let wrong = WrongFile::of(path, bytes).unless(revision.clone());
                let fix = Fix::Revision { name: name.clone(), digest, wrong: None, or: Some(wrong) };
                return Ok(vec![
                    match self.survey.was_deleted(&revision)? {
                        // For example, in a copy made during a deletion, which removes the tag first.
                        true => FindingWithFix::warning(
                            FindingKind::TagDangling,
                            path,
                            format!("{what}: it was deleted"),
                            advice,
                        ),
                        false => FindingWithFix::damage(FindingKind::TagDangling, path, what, advice),
                    }
                    .by(fix),
                ]);
            }
            let what = format!("has no hint, so deleting {} would leave this tag behind", short(&digest));
            let advice = "run `fsck --repair` to write the hint, or push the tag again";
            return Ok(vec![
                FindingWithFix::warning(FindingKind::HintMissing, path, what, advice).by(Fix::Add(hint, "".into())),
            ]);
        }
        // The tag changes faster than it can be checked; so it is in use, and was valid each time.
        Ok(Vec::new())
    }

    fn referrer(&mut self, path: &str, name: &RepositoryName, subject: &Digest, referrer: &Digest) -> Look {
        let bytes = match self.survey.read(path, key::LONGEST) {
            Ok(Some(bytes)) => bytes,
            Ok(None) => return Ok(Vec::new()),
            Err(storage::StorageError::Damaged { .. }) => bytes::Bytes::new(),
            Err(error) => return Err(error),
        };
        let item = Item::Revision(name.clone(), referrer.clone());
        if !self.survey.is_there(&item)? {
            let what = format!("lists the referrer {}, which is not a manifest of {name}", short(referrer));
            let advice = "clients do not see it; run `fsck --repair` to move it to quarantine";
            let fix = Fix::Quarantine(WrongFile::of(path, bytes).unless(item));
            return Ok(vec![FindingWithFix::warning(FindingKind::ReferrerDangling, path, what, advice).by(fix)]);
        }
        // Problems of the manifest itself are reported where its revision is checked.
        let Bytes::Sound(manifest) = self.manifest_bytes(referrer)? else { return Ok(Vec::new()) };
        let Some(manifest) = self.parsed(name, referrer, &manifest)? else { return Ok(Vec::new()) };
        let right =
            (manifest.0.subject.as_ref() == Some(subject)).then(|| referrer::entry(referrer, &manifest.0, manifest.1));
        if right.as_deref() == Some(&bytes[..]) {
            return Ok(Vec::new());
        }
        let what = format!("differs from what manifest {} says", short(referrer));
        let advice = "run `fsck --repair` to rewrite it, or push the manifest again";
        let key = FactKey::Referrer { repository: name.clone(), subject: subject.clone(), referrer: referrer.clone() };
        let wrong = WrongFile::of(path, bytes);
        let fix = match right {
            Some(right) => Fix::Replace(wrong, key, right.into()),
            None => Fix::Quarantine(wrong),
        };
        Ok(vec![FindingWithFix::damage(FindingKind::ReferrerDisagrees, path, what, advice).by(fix)])
    }
}

/// The digest in a tag's file, which contains nothing else.
pub(super) fn digest_in(bytes: &[u8]) -> Option<Digest> {
    std::str::from_utf8(bytes).ok()?.strip_suffix('\n')?.parse().ok()
}
