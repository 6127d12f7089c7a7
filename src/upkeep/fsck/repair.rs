//! Repairs a finding: moves what is wrong to quarantine, and rewrites what can be derived from the rest of the store.
//! Deletes nothing, and brings back nothing that a user deleted.
//!
//! A damaged blob is moved together with its damaged copies: copies in the graveyard may be the same file under
//! another name, and are still read. Each copy is verified against the digest before one of them takes the blob's
//! place.
//!
//! If a daemon is running, a tag is moved before it is removed, and put back if it is not the expected one, because
//! our locks do not hold up another process. What a killed process leaves in `state/aside` is put back under the
//! collection lock, by the next collection or by the daemon.

use super::Check;
use crate::{
    files::FileKind,
    storage::{Examined, FactKey, Item, Result, StoreSurvey, key::StorePlace},
};
use bytes::Bytes;
use oci::{Digest, RepositoryName};

/// How a finding could be repaired.
pub(super) enum Fix {
    /// It cannot be repaired here.
    None,
    /// Quarantine a file.
    Quarantine(WrongFile),
    /// Quarantine a file and write another in its place.
    Replace(WrongFile, FactKey, Bytes),
    /// Write what is missing.
    Add(FactKey, Bytes),
    /// Quarantine every damaged copy of a blob.
    Blob(Digest),
    /// Quarantine every damaged copy of a manifest; without an intact copy, its repository loses it.
    Manifest {
        /// The manifest.
        digest: Digest,
        /// The record that its repository keeps of it.
        wrong: WrongFile,
    },
    /// Let a repository serve a blob again.
    Link(RepositoryName, Digest),
    /// Rewrite the record of a manifest.
    Revision {
        name: RepositoryName,
        /// The manifest.
        digest: Digest,
        /// The current record.
        wrong: Option<WrongFile>,
        /// What is quarantined if that fails.
        or: Option<WrongFile>,
    },
}

/// A file to be quarantined if it has not changed since it was checked.
pub(super) struct WrongFile {
    path: String,
    bytes: Option<Bytes>,
    unless: Option<Item>,
}

impl WrongFile {
    /// Any file at this path.
    pub(super) fn any(path: &str) -> Self {
        Self { path: path.to_owned(), bytes: None, unless: None }
    }

    /// A file with these bytes.
    pub(super) fn of(path: &str, bytes: Bytes) -> Self {
        Self { bytes: Some(bytes), ..Self::any(path) }
    }

    /// Unless this, which was missing, exists by then.
    pub(super) fn unless(self, item: Item) -> Self {
        Self { unless: Some(item), ..self }
    }
}

impl<S: StoreSurvey> Check<'_, S> {
    /// Repairs the problem found at a path; returns what was done, if anything.
    pub(super) fn repair(&mut self, path: &str, fix: Fix) -> Result<Option<String>> {
        match fix {
            Fix::None => Ok(None),
            Fix::Quarantine(wrong) => self.quarantine(&wrong),
            Fix::Replace(wrong, key, bytes) => {
                let moved = self.quarantine(&wrong)?;
                if moved.is_none() || !self.survey.add(key, bytes)? {
                    return Ok(moved);
                }
                Ok(moved.map(|moved| format!("{moved}, and rewritten")))
            }
            Fix::Add(key, bytes) => {
                let added = self.survey.add(key.clone(), bytes)?;
                // A manifest that is deleted right now takes its entry with it.
                if let FactKey::Referrer { repository, referrer, .. } = &key
                    && !self.survey.is_there(&Item::Revision(repository.clone(), referrer.clone()))?
                {
                    return self.quarantine(&WrongFile::any(&key.path()));
                }
                Ok(added.then(|| format!("{} was written", key.path())))
            }
            Fix::Blob(digest) => self.examined(&digest).map(|(done, _)| done),
            Fix::Manifest { digest, wrong } => {
                let (done, is_replaced) = self.examined(&digest)?;
                if done.is_none() || is_replaced {
                    return Ok(done);
                }
                let revision = self.quarantine(&wrong)?;
                Ok(done.map(|done| revision.map_or(done.clone(), |revision| format!("{done}; {path}: {revision}"))))
            }
            Fix::Link(name, digest) => self.link(&name, &digest),
            Fix::Revision { name, digest, wrong, or } => self.write_again(&name, &digest, wrong, or),
        }
    }

    fn quarantine(&mut self, wrong: &WrongFile) -> Result<Option<String>> {
        let survey = self.survey;
        let moved = survey.quarantine(self.run, &wrong.path, |path| {
            let is_the_same = match &wrong.bytes {
                None => true,
                Some(bytes) => survey.read(path, u64::MAX)?.as_ref() == Some(bytes),
            };
            let is_whole_by_now = match &wrong.unless {
                None => false,
                Some(item) => survey.is_there(item)?,
            };
            Ok(is_the_same && !is_whole_by_now)
        })?;
        if let Some(moved) = &moved {
            self.quarantined(moved);
            self.has_changed |=
                matches!(StorePlace::of(&wrong.path, FileKind::File), Some(StorePlace::Fact(FactKey::Revision(..))));
        }
        Ok(moved.map(|moved| format!("moved to {moved}")))
    }

    fn examined(&mut self, digest: &Digest) -> Result<(Option<String>, bool)> {
        let Examined::Damaged { quarantined, replaced } = self.survey.examine(digest, self.run)? else {
            return Ok((None, false));
        };
        if let Some(first) = quarantined.first() {
            self.quarantined(first);
        }
        let moved = format!("moved to {}", quarantined.join(" and "));
        let done = if replaced { format!("{moved}, and replaced by the copy in the graveyard") } else { moved };
        Ok((Some(done), replaced))
    }

    /// A membership link that a manifest proves. If somebody deletes the blob right now, the deletion wins.
    fn link(&mut self, name: &RepositoryName, digest: &Digest) -> Result<Option<String>> {
        let item = Item::Link(name.clone(), digest.clone());
        if self.survey.was_deleted(&item)? || !self.survey.add(FactKey::Layer(name.clone(), digest.clone()), "")? {
            return Ok(None);
        }
        if self.survey.was_deleted(&item)? {
            return self.quarantine(&WrongFile::any(&item.path()));
        }
        Ok(Some(format!("{} was written", item.path())))
    }

    fn write_again(
        &mut self,
        name: &RepositoryName,
        digest: &Digest,
        wrong: Option<WrongFile>,
        or: Option<WrongFile>,
    ) -> Result<Option<String>> {
        let item = Item::Revision(name.clone(), digest.clone());
        let path = item.path();
        let pushed = match self.survey.meta(&path)? {
            Some(meta) => jiff::Timestamp::try_from(meta.modified).unwrap_or_else(|_| jiff::Timestamp::now()),
            None => jiff::Timestamp::now(),
        };
        let again = match self.survey.was_deleted(&item)? {
            true => None,
            false => self.revision_again(name, digest, pushed)?,
        };
        let Some(again) = again else {
            return match or.or(wrong) {
                Some(wrong) => self.quarantine(&wrong),
                None => Ok(None),
            };
        };
        let moved = match wrong {
            Some(wrong) => match self.quarantine(&wrong)? {
                Some(moved) => Some(moved),
                None => return Ok(None),
            },
            None => None,
        };
        let written = self.survey.add(FactKey::Revision(name.clone(), digest.clone()), again)?;
        let written = written.then(|| format!("{path} was rewritten"));
        Ok(match (moved, written) {
            (Some(moved), Some(written)) => Some(format!("{moved}, and {written}")),
            (moved, written) => moved.or(written),
        })
    }

    fn quarantined(&mut self, path: &str) {
        let run = path.splitn(3, '/').take(2).collect::<Vec<_>>().join("/");
        self.tally.summary.quarantine = Some(run);
    }
}
