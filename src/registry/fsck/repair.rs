//! What can be done about a finding: move what is wrong to quarantine, and write again what the rest
//! of the store proves. Nothing is deleted, and nothing that somebody deleted is brought back.
//!
//! A damaged blob leaves together with its damaged copies: copies in the graveyard may be the same
//! file under another name, and are still read. Each is verified against the digest before one of
//! them takes its place.
//!
//! Beside a running daemon a tag is moved aside before it is removed, and put back if it is not the
//! one that was meant, because no lock of ours holds up another process. What a killed process leaves
//! in `state/aside` is put back under the lock of collections, by the next of them or by the daemon.

use super::Check;
use crate::{
    files::{Kind, Sys},
    oci::{Digest, RepositoryName},
    storage::{Examined, Item, Key, Result, key::Place},
};
use bytes::Bytes;

/// How a finding could be repaired.
pub(super) enum Fix {
    /// Only by somebody else.
    None,
    /// By taking a file aside.
    Aside(Aside),
    /// By taking a file aside and writing another in its place.
    Replace(Aside, Key, Bytes),
    /// By writing what is missing.
    Add(Key, Bytes),
    /// By taking aside every copy of a blob that is damaged.
    Blob(Digest),
    /// The same for a manifest; unless a sound copy is left, its repository has it no longer.
    Manifest {
        /// The manifest.
        digest: Digest,
        /// What its repository keeps of it.
        aside: Aside,
    },
    /// By letting a repository serve a blob again.
    Link(RepositoryName, Digest),
    /// By writing again what is kept of a manifest.
    Revision {
        /// The repository.
        name: RepositoryName,
        /// The manifest.
        digest: Digest,
        /// What is kept now.
        aside: Option<Aside>,
        /// What is taken aside if that cannot be done.
        or: Option<Aside>,
    },
}

/// A file to be taken aside if it still is what it was when it was judged.
pub(super) struct Aside {
    path: String,
    bytes: Option<Bytes>,
    unless: Option<Item>,
}

impl Aside {
    /// Whatever stands at a path.
    pub(super) fn whatever(path: &str) -> Self {
        Self { path: path.to_owned(), bytes: None, unless: None }
    }

    /// A file with these bytes.
    pub(super) fn of(path: &str, bytes: Bytes) -> Self {
        Self { bytes: Some(bytes), ..Self::whatever(path) }
    }

    /// Unless this, which it lacked, is there by then.
    pub(super) fn unless(self, item: Item) -> Self {
        Self { unless: Some(item), ..self }
    }
}

impl<S: Sys> Check<'_, S> {
    /// Repairs what was found at a path; what was done, if anything was.
    pub(super) fn repair(&mut self, path: &str, fix: Fix) -> Result<Option<String>> {
        match fix {
            Fix::None => Ok(None),
            Fix::Aside(aside) => self.set_aside(&aside),
            Fix::Replace(aside, key, bytes) => {
                let moved = self.set_aside(&aside)?;
                if moved.is_none() || !self.survey.add(key, bytes)? {
                    return Ok(moved);
                }
                Ok(moved.map(|moved| format!("{moved}, and rewritten")))
            }
            Fix::Add(key, bytes) => {
                let added = self.survey.add(key.clone(), bytes)?;
                // A manifest deleted in this moment takes its entry with it.
                if let Key::Referrer { repository, referrer, .. } = &key
                    && !self.survey.is_there(&Item::Revision(repository.clone(), referrer.clone()))?
                {
                    return self.set_aside(&Aside::whatever(&key.path()));
                }
                Ok(added.then(|| format!("{} was written", key.path())))
            }
            Fix::Blob(digest) => self.examined(&digest).map(|(done, _)| done),
            Fix::Manifest { digest, aside } => {
                let (done, is_replaced) = self.examined(&digest)?;
                if done.is_none() || is_replaced {
                    return Ok(done);
                }
                let revision = self.set_aside(&aside)?;
                Ok(done.map(|done| revision.map_or(done.clone(), |revision| format!("{done}; {path}: {revision}"))))
            }
            Fix::Link(name, digest) => self.link(&name, &digest),
            Fix::Revision { name, digest, aside, or } => self.write_again(&name, &digest, aside, or),
        }
    }

    fn set_aside(&mut self, aside: &Aside) -> Result<Option<String>> {
        let survey = self.survey;
        let moved = survey.set_aside(self.run, &aside.path, |path| {
            let is_the_same = match &aside.bytes {
                None => true,
                Some(bytes) => survey.read(path, u64::MAX)?.as_ref() == Some(bytes),
            };
            let is_whole_by_now = match &aside.unless {
                None => false,
                Some(item) => survey.is_there(item)?,
            };
            Ok(is_the_same && !is_whole_by_now)
        })?;
        if let Some(moved) = &moved {
            self.quarantined(moved);
            self.has_changed |= matches!(Place::of(&aside.path, Kind::File), Some(Place::Fact(Key::Revision(..))));
        }
        Ok(moved.map(|moved| format!("moved to {moved}")))
    }

    fn examined(&mut self, digest: &Digest) -> Result<(Option<String>, bool)> {
        let Examined::Damaged { aside, replaced } = self.survey.examine(digest, self.run)? else {
            return Ok((None, false));
        };
        if let Some(first) = aside.first() {
            self.quarantined(first);
        }
        let moved = format!("moved to {}", aside.join(" and "));
        let done = if replaced { format!("{moved}, and replaced by the copy in the graveyard") } else { moved };
        Ok((Some(done), replaced))
    }

    /// A right that a manifest proves. Somebody may delete the blob in this moment, and that counts.
    fn link(&mut self, name: &RepositoryName, digest: &Digest) -> Result<Option<String>> {
        let item = Item::Link(name.clone(), digest.clone());
        if self.survey.was_deleted(&item)? || !self.survey.add(Key::Layer(name.clone(), digest.clone()), "")? {
            return Ok(None);
        }
        if self.survey.was_deleted(&item)? {
            return self.set_aside(&Aside::whatever(&item.path()));
        }
        Ok(Some(format!("{} was written", item.path())))
    }

    fn write_again(
        &mut self,
        name: &RepositoryName,
        digest: &Digest,
        aside: Option<Aside>,
        or: Option<Aside>,
    ) -> Result<Option<String>> {
        let item = Item::Revision(name.clone(), digest.clone());
        let path = item.path();
        let pushed = match self.survey.look(&path)? {
            Some(meta) => jiff::Timestamp::try_from(meta.modified).unwrap_or_else(|_| jiff::Timestamp::now()),
            None => jiff::Timestamp::now(),
        };
        let again = match self.survey.was_deleted(&item)? {
            true => None,
            false => self.revision_again(name, digest, pushed)?,
        };
        let Some(again) = again else {
            return match or.or(aside) {
                Some(aside) => self.set_aside(&aside),
                None => Ok(None),
            };
        };
        let moved = match aside {
            Some(aside) => match self.set_aside(&aside)? {
                Some(moved) => Some(moved),
                None => return Ok(None),
            },
            None => None,
        };
        let written = self.survey.add(Key::Revision(name.clone(), digest.clone()), again)?;
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
