//! Knows which manifests must exist because they were acknowledged, which must be gone because they were deleted, and
//! which may be either, because a response was lost or two requests overlapped.
//!
//! Every change has a moment on the ledger's clock. A response is checked against what was true from before its request
//! until after it arrived. Nothing is asserted about what changed in between.

use crate::{
    content::Spec,
    dice::Dice,
    tags::{Tag, Tags},
};
use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard},
};

/// The index of a manifest in the ledger.
pub type Id = usize;

/// A moment on the ledger's clock.
pub type Moment = u64;

/// Number of deleted manifests that are remembered, to be pushed once more.
const MOST_GONE: usize = 500;

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Acknowledged.
    Done,
    /// Its target did not exist.
    Missing,
    /// Refused for another reason; it may be half done.
    Refused,
    /// There was no response.
    Lost,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Absent,
    Present,
    Unknown,
}

struct Entry {
    spec: Arc<Spec>,
    fate: Fate,
    /// Since when it is present without a deletion in progress, or absent without a push in progress.
    since: Moment,
    pushing: u32,
    deleting: u32,
    /// Overlapping deletions: only one of them finds the manifest.
    deletions: u32,
    /// A push and a deletion overlapped, so it is unknown which was last.
    met: bool,
    /// When the last push began.
    began: Moment,
    /// When the last deletion ended.
    deleted: Moment,
    /// Its index among the live ones.
    position: Option<usize>,
}

/// Everything that was pushed.
#[derive(Default)]
pub struct Ledger(Mutex<Book>);

#[derive(Default)]
struct Book {
    clock: Moment,
    entries: Vec<Entry>,
    ids: HashMap<(&'static str, String), Id>,
    /// Manifests that are or may be present.
    live: Vec<Id>,
    gone: VecDeque<Id>,
    tags: Tags,
}

impl Ledger {
    fn book(&self) -> MutexGuard<'_, Book> {
        self.0.lock().unwrap()
    }

    /// The current moment, before a request.
    pub fn now(&self) -> Moment {
        self.book().tick()
    }

    /// A manifest is about to be pushed, under these tags of its repository.
    pub fn begin_push(&self, spec: &Arc<Spec>, tags: &[String]) -> Id {
        let mut book = self.book();
        let (now, id) = (book.tick(), book.enter(spec));
        let entry = &mut book.entries[id];
        if entry.pushing == 0 {
            entry.began = now;
        }
        entry.pushing += 1;
        entry.met |= entry.deleting > 0;
        if entry.fate == Fate::Absent {
            entry.since = now;
        }
        for tag in tags {
            book.tags.may_be(spec.repository, tag, Some(id), now);
        }
        id
    }

    pub fn end_push(&self, id: Id, tags: &[String], end: End) {
        let mut book = self.book();
        let now = book.tick();
        let entry = &mut book.entries[id];
        entry.pushing -= 1;
        let (met, repository) = (entry.met, entry.spec.repository);
        let may_follow = book.may_follow_its_subject(id);
        let entry = &book.entries[id];
        let fate = match end {
            _ if met || may_follow => Fate::Unknown,
            End::Done => Fate::Present,
            // A failed push does not affect an earlier acknowledged one.
            _ if entry.fate == Fate::Present => Fate::Present,
            _ => Fate::Unknown,
        };
        book.set(id, fate, now);
        if end == End::Done {
            for tag in tags {
                let only: &[Tag] = if met { &[Some(id), None] } else { &[Some(id)] };
                book.tags.is(repository, tag, only, now);
            }
        }
        book.settle(id);
    }

    /// A manifest is about to be deleted by its digest.
    pub fn begin_delete(&self, id: Id) {
        let mut book = self.book();
        let now = book.tick();
        let entry = &mut book.entries[id];
        entry.deleting += 1;
        entry.deletions += 1;
        entry.met |= entry.pushing > 0;
        let repository = entry.spec.repository;
        book.tags.may_lose(repository, id, now);
        book.referrers_may_follow(id, now);
    }

    /// # Errors
    /// What is wrong with the result of the request.
    pub fn end_delete(&self, id: Id, end: End) -> Result<(), String> {
        let mut book = self.book();
        let now = book.tick();
        let entry = &mut book.entries[id];
        entry.deleting -= 1;
        entry.deleted = now;
        let (repository, was, is_alone) = (entry.spec.repository, entry.fate, !entry.met && entry.deletions == 1);
        let judged = match (was, end) {
            (Fate::Present, End::Missing) if is_alone => Err("an acknowledged manifest is missing".to_owned()),
            (Fate::Absent, End::Done) if is_alone => Err("a deleted manifest exists again".to_owned()),
            _ => Ok(()),
        };
        let is_gone = !entry.met && matches!(end, End::Done | End::Missing);
        let fate = match is_gone || was == Fate::Absent && !entry.met {
            true => Fate::Absent,
            false => Fate::Unknown,
        };
        if is_gone {
            book.tags.have_lost(repository, id, now);
        }
        book.set(id, fate, now);
        book.settle(id);
        judged
    }

    /// A tag is about to be deleted by its owner.
    pub fn begin_untag(&self, repository: &'static str, tag: &str) {
        let mut book = self.book();
        let now = book.tick();
        book.tags.untagging(repository, tag, now);
    }

    /// # Errors
    /// What is wrong with the result of the request.
    pub fn end_untag(&self, repository: &'static str, tag: &str, end: End) -> Result<(), String> {
        let mut book = self.book();
        let now = book.tick();
        book.tags.untagged(repository, tag, end, now)
    }

    /// All tags that were ever set in a repository.
    pub fn tags_of(&self, repository: &str) -> Vec<String> {
        self.book().tags.names(repository)
    }

    /// The manifests that a tag may point to, if this has not changed since then; `None` stands for no tag.
    pub fn tag(&self, repository: &'static str, tag: &str, since: Moment) -> Option<Vec<Option<String>>> {
        let book = self.book();
        let digest = |tag: &Tag| tag.map(|id| book.entries[id].spec.digest.clone());
        book.tags.known(repository, tag, since).map(|tags| tags.iter().map(digest).collect())
    }

    /// Whether a manifest must have existed from that moment until now.
    pub fn is_promised(&self, id: Id, since: Moment) -> bool {
        self.book().is_promised(id, since)
    }

    /// Whether a manifest must have been absent from that moment until now.
    pub fn is_gone(&self, id: Id, since: Moment) -> bool {
        let book = self.book();
        let entry = &book.entries[id];
        entry.fate == Fate::Absent && entry.pushing == 0 && entry.since <= since
    }

    /// A manifest that must exist and needs this blob or child in its repository.
    pub fn holder(&self, repository: &str, digest: &str, since: Moment) -> Option<String> {
        let book = self.book();
        let found = book.live.iter().find(|id| {
            let spec = &book.entries[**id].spec;
            spec.repository == repository
                && (spec.digest == digest || spec.blobs.iter().any(|blob| blob.digest == digest))
                && book.is_promised(**id, since)
        });
        found.map(|id| book.entries[*id].spec.digest.clone())
    }

    /// A repository other than `repository` that must have this blob.
    pub fn elsewhere(&self, repository: &str, digest: &str, since: Moment) -> Option<&'static str> {
        let book = self.book();
        let mut others = book.live.iter().map(|id| (*id, &book.entries[*id].spec));
        let found = others.find(|(id, spec)| {
            spec.repository != repository
                && spec.blobs.iter().any(|blob| blob.digest == digest)
                && book.is_promised(*id, since)
        });
        found.map(|(_, spec)| spec.repository)
    }

    /// The manifest with this digest, if it was ever pushed.
    pub fn find(&self, repository: &'static str, digest: &str) -> Option<(Id, Arc<Spec>)> {
        let book = self.book();
        let id = *book.ids.get(&(repository, digest.to_owned()))?;
        Some((id, book.entries[id].spec.clone()))
    }

    /// Any manifest that exists or may exist.
    pub fn any(&self, dice: &mut Dice) -> Option<(Id, Arc<Spec>)> {
        let book = self.book();
        let id = *book.live.get(dice.below(book.live.len().max(1)))?;
        Some((id, book.entries[id].spec.clone()))
    }

    /// A recently deleted manifest.
    pub fn any_gone(&self, dice: &mut Dice) -> Option<(Id, Arc<Spec>)> {
        let book = self.book();
        let id = *book.gone.get(dice.below(book.gone.len().max(1)))?;
        Some((id, book.entries[id].spec.clone()))
    }

    /// The number of manifests that exist or may exist.
    pub fn live(&self) -> usize {
        self.book().live.len()
    }

    /// All manifests that were ever pushed.
    pub fn all(&self) -> Vec<(Id, Arc<Spec>)> {
        self.book().entries.iter().enumerate().map(|(id, entry)| (id, entry.spec.clone())).collect()
    }
}

impl Book {
    /// Whether a collection may remove a manifest because its subject was, or may be, deleted after it was pushed.
    fn may_follow_its_subject(&self, id: Id) -> bool {
        let Entry { spec, began, .. } = &self.entries[id];
        let subject = spec.subject.clone().and_then(|subject| self.ids.get(&(spec.repository, subject)));
        subject
            .map(|subject| &self.entries[*subject])
            .is_some_and(|subject| subject.fate == Fate::Unknown || subject.deleting > 0 || subject.deleted >= *began)
    }

    /// A manifest is being deleted: its referrers, direct and indirect, may be removed after it.
    fn referrers_may_follow(&mut self, id: Id, now: Moment) {
        let mut ahead = vec![id];
        while let Some(subject) = ahead.pop() {
            let Spec { repository, digest, .. } = &*self.entries[subject].spec.clone();
            let refers = |entry: &Entry| {
                entry.spec.repository == *repository
                    && entry.spec.subject.as_ref() == Some(digest)
                    && entry.fate == Fate::Present
            };
            let referrers: Vec<Id> = (0..self.entries.len()).filter(|id| refers(&self.entries[*id])).collect();
            for referrer in referrers {
                self.set(referrer, Fate::Unknown, now);
                ahead.push(referrer);
            }
        }
    }

    fn tick(&mut self) -> Moment {
        self.clock += 1;
        self.clock
    }

    fn enter(&mut self, spec: &Arc<Spec>) -> Id {
        let name = (spec.repository, spec.digest.clone());
        if let Some(id) = self.ids.get(&name) {
            return *id;
        }
        let entry = Entry {
            spec: spec.clone(),
            fate: Fate::Absent,
            since: 0,
            pushing: 0,
            deleting: 0,
            deletions: 0,
            met: false,
            began: 0,
            deleted: 0,
            position: None,
        };
        self.entries.push(entry);
        self.ids.insert(name, self.entries.len() - 1);
        self.entries.len() - 1
    }

    fn is_promised(&self, id: Id, since: Moment) -> bool {
        let entry = &self.entries[id];
        entry.fate == Fate::Present && entry.deleting == 0 && entry.since <= since
    }

    fn set(&mut self, id: Id, fate: Fate, now: Moment) {
        let entry = &mut self.entries[id];
        if entry.fate != fate || fate == Fate::Absent {
            (entry.fate, entry.since) = (fate, now);
        }
        match (fate == Fate::Absent, entry.position) {
            (true, Some(position)) => {
                entry.position = None;
                self.live.swap_remove(position);
                if let Some(moved) = self.live.get(position) {
                    self.entries[*moved].position = Some(position);
                }
                self.gone.push_back(id);
                if self.gone.len() > MOST_GONE {
                    self.gone.pop_front();
                }
            }
            (false, None) => {
                entry.position = Some(self.live.len());
                self.live.push(id);
            }
            _ => {}
        }
    }

    /// Forgets overlaps once no request for this manifest is in progress.
    fn settle(&mut self, id: Id) {
        let entry = &mut self.entries[id];
        if entry.pushing + entry.deleting == 0 {
            (entry.met, entry.deletions) = (false, 0);
        }
    }
}
