//! The graveyard: listed before the mark, emptied after it.

use super::{CollectionStep, PAGE, Pass, Result, marks, marks::Marks};
use crate::{
    registry::{self, Registry, Repository},
    storage::{Condemned, DirOf, Durability, Expect, FactKey, Grave, Item, Put, Why},
    upkeep::RemovedManifests,
};
use oci::{Algorithm, Digest, RepositoryName};
use std::{collections::HashMap, time::Duration};

/// Entries handled in one pass; the rest wait for the next.
const MOST_ENTRIES: usize = 200_000;

/// The content of the graveyard before the mark started.
#[derive(Default)]
pub(super) struct Graveyard {
    entries: Vec<Grave>,
    /// Manifests that could be restored.
    revisions: HashMap<RepositoryName, Vec<Digest>>,
    /// All manifests that were removed: what is attached to them is removed too.
    pub(super) removed: RemovedManifests,
}

impl Graveyard {
    /// The manifests of a repository that could be restored.
    pub(super) fn revisions(&self, repository: &RepositoryName) -> Vec<Digest> {
        self.revisions.get(repository).cloned().unwrap_or_default()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

impl Pass<'_> {
    /// This pass may purge only what is listed here: the mark that follows would have found anything that needs it.
    pub(super) async fn list_graveyard(&mut self) -> Result<Graveyard> {
        let removed = RemovedManifests::new(self.timing.lease);
        let mut graveyard = Graveyard { removed, ..Graveyard::default() };
        let mut after: Option<Condemned> = None;
        loop {
            let page = self.registry.store().condemned(after.as_ref(), PAGE).await?;
            for grave in &page.entries {
                self.at(CollectionStep::List, self.report.graveyard.number).await;
                self.report.graveyard.add(if bears_bytes(&grave.entry.item) { grave.len } else { 0 });
                graveyard.removed.note(grave);
                if let (Item::Revision(name, digest), Why::Unreferenced) = (&grave.entry.item, grave.entry.why) {
                    let revisions = graveyard.revisions.entry(name.clone()).or_default();
                    if !revisions.contains(digest) {
                        revisions.push(digest.clone());
                    }
                }
            }
            after = page.entries.last().map(|grave| grave.entry.clone());
            graveyard.entries.extend(page.entries);
            graveyard.entries.truncate(MOST_ENTRIES);
            if !page.more {
                self.report.left = self.report.graveyard;
                return Ok(graveyard);
            }
        }
    }

    /// Restores what is needed, and purges what is not needed and has been here long enough.
    pub(super) async fn restore_and_purge(&mut self, graveyard: &Graveyard, marks: &Marks) -> Result<()> {
        // Twice: an entry may become visible late, and so may whatever needs it.
        let keep = self.timing.retention.max(self.timing.settle * 2);
        for (i, grave) in graveyard.entries.iter().enumerate() {
            self.at(CollectionStep::Purge, i as u64).await;
            let is_due = self.is_older(grave.since, keep) && !self.is_subject(grave);
            if let Err(error) = self.process(grave, is_due, marks).await {
                // It stays where it is; the next collection finds it.
                self.report.error(&error);
            }
        }
        Ok(())
    }

    /// Whether something may still be attached to a removed manifest: its grave is the record of the removal, and
    /// what is attached stays for a lease.
    fn is_subject(&self, grave: &Grave) -> bool {
        match &grave.entry.item {
            Item::Revision(name, digest) => {
                !self.is_older(grave.since, self.timing.lease)
                    || self.subjects.contains(&marks::within(name, marks::blob(digest)))
            }
            Item::Blob(_) | Item::Link(..) | Item::Upload(_) => false,
        }
    }

    /// The record of a deletion by a client is kept as long as a manifest refers to what was deleted: this is how
    /// `fsck` distinguishes a deletion from a loss.
    async fn remember_deletion(&self, item: &Item, marks: &Marks) -> registry::Result<()> {
        if let Item::Link(name, digest) | Item::Revision(name, digest) = item
            && marks.links.has(marks::within(name, marks::blob(digest)))
            && !self.registry.is_live(item).await?
        {
            let record = Put::any(FactKey::Deleted(name.clone(), digest.clone()), "");
            self.registry.store().put(vec![record], Durability::Durable).await?;
        }
        Ok(())
    }

    /// Removes the records of deletions that are no longer needed.
    pub(super) async fn forget_deletions(&mut self, repository: &Repository, marks: &Marks) -> Result<()> {
        if self.options.dry_run {
            return Ok(());
        }
        let (store, name) = (self.registry.store(), repository.name());
        for algorithm in Algorithm::ALL {
            let mut deleted = store.names(DirOf::deleted(name, algorithm), PAGE);
            while let Some(digest) = deleted.next().await? {
                let items = [Item::Link(name.clone(), digest.clone()), Item::Revision(name.clone(), digest.clone())];
                let mut is_asked_for = marks.links.has(marks::within(name, marks::blob(&digest)));
                for item in &items {
                    is_asked_for = is_asked_for && !self.registry.is_live(item).await?;
                }
                if !is_asked_for {
                    store.delete(&FactKey::Deleted(name.clone(), digest), Expect::Any).await?;
                }
            }
        }
        Ok(())
    }

    async fn process(&mut self, grave: &Grave, is_due: bool, marks: &Marks) -> registry::Result<()> {
        let (store, item) = (self.registry.store(), &grave.entry.item);
        if grave.entry.why == Why::Unreferenced && is_needed(item, marks) {
            let is_live = self.registry.is_live(item).await?;
            if !is_live {
                self.report.restored.add(item, grave.len);
            }
            if self.options.dry_run {
                return Ok(());
            }
            // Even if something live is there: only then is that known to be durable.
            let is_back = store.restore(&grave.entry).await?;
            if is_back && is_due {
                store.purge(&grave.entry).await?;
                self.report.left = self.report.left.minus(1, if bears_bytes(item) { grave.len } else { 0 });
            }
            return Ok(());
        }
        if !is_due {
            return Ok(());
        }
        if grave.entry.why == Why::Deleted && !self.options.dry_run {
            self.remember_deletion(item, marks).await?;
        }
        let freed = match self.options.dry_run {
            true => grave.len,
            false => {
                self.registry.forget_referrer(&grave.entry).await?;
                store.purge(&grave.entry).await?
            }
        };
        self.report.purged.add(item, freed);
        self.report.left = self.report.left.minus(1, if bears_bytes(item) { freed } else { 0 });
        Ok(())
    }
}

/// Whether something needs an item. Nothing refers to uploads.
pub(super) fn is_needed(item: &Item, marks: &Marks) -> bool {
    match item {
        Item::Blob(digest) => marks.blobs.has(marks::blob(digest)),
        Item::Link(name, digest) => marks.links.has(marks::within(name, marks::blob(digest))),
        Item::Revision(name, digest) => marks.revisions.has(marks::within(name, marks::blob(digest))),
        Item::Upload(_) => false,
    }
}

/// Whether the length of an item is the length of its content.
fn bears_bytes(item: &Item) -> bool {
    matches!(item, Item::Blob(_) | Item::Upload(_))
}

impl Registry {
    /// Whether an item exists in its own place.
    pub(super) async fn is_live(&self, item: &Item) -> registry::Result<bool> {
        Ok(self.store().renew(item, Duration::MAX).await?)
    }
}
