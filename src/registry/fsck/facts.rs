//! The small files of a repository: tags, hints, links, referrers, intents.

use super::{Check, Found, Kind, Look, manifest::Bytes, repair::Aside, repair::Fix, short};
use crate::{
    files::Sys,
    oci::{Digest, RepositoryName, Tag},
    registry::{intent::Intent, referrer},
    storage::{self, Item, Key, key},
};

/// No small file but a revision or a referrer's entry is longer.
const SHORT: u64 = 4096;

/// How often a tag that changes while it is looked at is looked at again.
const ATTEMPTS: usize = 10;

impl<S: Sys> Check<'_, S> {
    pub(super) fn fact(&mut self, path: &str, key: &Key) -> Look {
        match key {
            Key::Tag(name, tag) => self.tag(path, name, tag),
            Key::Revision(name, digest) => self.revision(path, name, digest),
            Key::Referrer { repository, subject, referrer } => self.referrer(path, repository, subject, referrer),
            Key::Tagged(name, digest, tag) => {
                let found = self.survey.read(&Key::Tag(name.clone(), tag.clone()).path(), SHORT);
                let is_stale = !matches!(found, Ok(Some(bytes)) if digest_in(&bytes).as_ref() == Some(digest));
                let note =
                    || Found::note(Kind::HintStale, path, format!("is a stale hint: tag {tag} points elsewhere"));
                Ok(is_stale.then(note).into_iter().collect())
            }
            Key::Layer(_, digest) => {
                let is_there = self.survey.is_there(&Item::Blob(digest.clone()))?;
                let what = format!("allows to serve {}, which does not exist", short(digest));
                let note = || Found::note(Kind::LinkWithoutBlob, path, what);
                Ok((!is_there).then(note).into_iter().collect())
            }
            Key::Intent(..) | Key::ExpiredIntent(..) => {
                let bytes = self.survey.read(path, key::LONGEST)?;
                let is_garbled = bytes.is_some_and(|bytes| Intent::read(&bytes).is_none());
                let what = "is part of a push that a power failure interrupted; garbage collection deletes it";
                Ok(is_garbled.then(|| Found::note(Kind::IntentGarbled, path, what)).into_iter().collect())
            }
            _ => Ok(Vec::new()),
        }
    }

    fn tag(&mut self, path: &str, name: &RepositoryName, tag: &Tag) -> Look {
        for _ in 0..ATTEMPTS {
            let garbled = |fix| {
                let advice = format!("push the tag again: {name}:{tag}");
                Found::damage(Kind::TagGarbled, path, "does not contain a digest and a line feed", advice).by(fix)
            };
            let bytes = match self.survey.read(path, SHORT) {
                Ok(Some(bytes)) => bytes,
                Ok(None) => return Ok(Vec::new()),
                Err(storage::Error::Damaged { .. }) => return Ok(vec![garbled(Fix::Aside(Aside::whatever(path)))]),
                Err(error) => return Err(error),
            };
            let Some(digest) = digest_in(&bytes) else {
                return Ok(vec![garbled(Fix::Aside(Aside::of(path, bytes)))]);
            };
            let revision = Item::Revision(name.clone(), digest.clone());
            let hint = Key::Tagged(name.clone(), digest.clone(), tag.clone());
            let is_dangling = !self.survey.is_there(&revision)?;
            let has_hint = self.survey.look(&hint.path())?.is_some();
            if !is_dangling && has_hint {
                return Ok(Vec::new());
            }
            // What a tag points to is deleted after the tag: only if it did not move is this so.
            if self.survey.read(path, SHORT)?.as_ref() != Some(&bytes) {
                continue;
            }
            if is_dangling {
                let what = format!("points to {}, which is not a manifest of {name}", short(&digest));
                let advice = format!("push it again, or delete the tag: {name}:{tag}");
                let aside = Aside::of(path, bytes).unless(revision.clone());
                let fix = Fix::Revision { name: name.clone(), digest, aside: None, or: Some(aside) };
                return Ok(vec![
                    match self.survey.was_deleted(&revision)? {
                        // As in a copy that was made while it was deleted: the tag goes first.
                        true => Found::warning(Kind::TagDangling, path, format!("{what}: it was deleted"), advice),
                        false => Found::damage(Kind::TagDangling, path, what, advice),
                    }
                    .by(fix),
                ]);
            }
            let what = format!("has no hint, so deleting {} would leave this tag behind", short(&digest));
            let advice = "run `fsck --repair` to write the hint, or push the tag again";
            return Ok(vec![Found::warning(Kind::HintMissing, path, what, advice).by(Fix::Add(hint, "".into()))]);
        }
        // It is moved faster than anybody can look; so it is in use, and whole each time.
        Ok(Vec::new())
    }

    fn referrer(&mut self, path: &str, name: &RepositoryName, subject: &Digest, referrer: &Digest) -> Look {
        let bytes = match self.survey.read(path, key::LONGEST) {
            Ok(Some(bytes)) => bytes,
            Ok(None) => return Ok(Vec::new()),
            Err(storage::Error::Damaged { .. }) => bytes::Bytes::new(),
            Err(error) => return Err(error),
        };
        let item = Item::Revision(name.clone(), referrer.clone());
        if !self.survey.is_there(&item)? {
            let what = format!("lists the referrer {}, which is not a manifest of {name}", short(referrer));
            let advice = "clients do not see it; run `fsck --repair` to move it to quarantine";
            let fix = Fix::Aside(Aside::of(path, bytes).unless(item));
            return Ok(vec![Found::warning(Kind::ReferrerDangling, path, what, advice).by(fix)]);
        }
        // What is wrong with the manifest itself is told where its revision is looked at.
        let Bytes::Sound(manifest) = self.manifest_bytes(referrer)? else { return Ok(Vec::new()) };
        let Some(manifest) = self.parsed(name, referrer, &manifest)? else { return Ok(Vec::new()) };
        let right =
            (manifest.0.subject.as_ref() == Some(subject)).then(|| referrer::entry(referrer, &manifest.0, manifest.1));
        if right.as_deref() == Some(&bytes[..]) {
            return Ok(Vec::new());
        }
        let what = format!("differs from what manifest {} says", short(referrer));
        let advice = "run `fsck --repair` to rewrite it, or push the manifest again";
        let key = Key::Referrer { repository: name.clone(), subject: subject.clone(), referrer: referrer.clone() };
        let aside = Aside::of(path, bytes);
        let fix = match right {
            Some(right) => Fix::Replace(aside, key, right.into()),
            None => Fix::Aside(aside),
        };
        Ok(vec![Found::damage(Kind::ReferrerDisagrees, path, what, advice).by(fix)])
    }
}

/// The digest in a tag's file, which holds nothing else.
pub(super) fn digest_in(bytes: &[u8]) -> Option<Digest> {
    std::str::from_utf8(bytes).ok()?.strip_suffix('\n')?.parse().ok()
}
