//! The graveyard: listed before the mark, emptied after it.

use super::{PAGE, Pass, Result, Step, marks, marks::Marks};
use crate::{
    oci::{Algorithm, Digest, RepositoryName},
    registry::{self, Registry, retention::RemovedManifests},
    storage::{Condemned, Dir, Durability, Expect, Grave, Item, Key, Put, Why},
};
use std::{collections::HashMap, time::Duration};

/// Entries dealt with in one pass; the others wait for the next.
const MOST_ENTRIES: usize = 200_000;

/// What lay in the graveyard before the mark began.
#[derive(Default)]
pub(super) struct Graveyard {
    entries: Vec<Grave>,
    /// Manifests that could come back.
    revisions: HashMap<RepositoryName, Vec<Digest>>,
    /// All manifests that were removed: what is attached to them is removed too.
    pub(super) removed: RemovedManifests,
}

impl Graveyard {
    /// The manifests of a repository that could come back.
    pub(super) fn revisions(&self, repository: &RepositoryName) -> Vec<Digest> {
        self.revisions.get(repository).cloned().unwrap_or_default()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

impl Pass<'_> {
    /// Only what is listed here may be purged by this pass: the mark that follows would have found
    /// whoever needs it.
    pub(super) async fn list_graveyard(&mut self) -> Result<Graveyard> {
        let removed = RemovedManifests::new(self.timing.lease);
        let mut graveyard = Graveyard { removed, ..Graveyard::default() };
        let mut after: Option<Condemned> = None;
        loop {
            let page = self.registry.core.store.condemned(after.as_ref(), PAGE).await?;
            for grave in &page.entries {
                self.at(Step::List, self.report.graveyard.number).await;
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

    /// Brings back what is needed; removes what is not and has lain there long enough.
    pub(super) async fn restore_and_purge(&mut self, graveyard: &Graveyard, marks: &Marks) -> Result<()> {
        // Twice: an entry may be seen late, and what would have needed it as well.
        let keep = self.timing.retention.max(self.timing.settle * 2);
        for (i, grave) in graveyard.entries.iter().enumerate() {
            self.at(Step::Purge, i as u64).await;
            let is_due = self.is_older(grave.since, keep) && !self.is_subject(grave);
            if let Err(error) = self.deal_with(grave, is_due, marks).await {
                // It stays where it is; the next collection finds it.
                self.report.error(&error);
            }
        }
        Ok(())
    }

    /// Whether something may still be attached to a manifest that was removed: its grave is the record of that,
    /// and what is attached stays for a lease.
    fn is_subject(&self, grave: &Grave) -> bool {
        match &grave.entry.item {
            Item::Revision(name, digest) => {
                !self.is_older(grave.since, self.timing.lease)
                    || self.subjects.contains(&marks::within(name, marks::blob(digest)))
            }
            Item::Blob(_) | Item::Link(..) | Item::Upload(_) => false,
        }
    }

    /// What a client deleted although a manifest refers to it is remembered for as long as that is so: `fsck`
    /// tells it from what got lost.
    async fn remember_deletion(&self, item: &Item, marks: &Marks) -> registry::Result<()> {
        if let Item::Link(name, digest) | Item::Revision(name, digest) = item
            && marks.links.has(marks::within(name, marks::blob(digest)))
            && !self.registry.is_live(item).await?
        {
            let record = Put::any(Key::Deleted(name.clone(), digest.clone()), "");
            self.registry.core.store.put(vec![record], Durability::Durable).await?;
        }
        Ok(())
    }

    /// Removes the records of deletions that nothing asks about any more.
    pub(super) async fn forget_deletions(&mut self, repository: &RepositoryName, marks: &Marks) -> Result<()> {
        if self.options.dry_run {
            return Ok(());
        }
        let store = &self.registry.core.store;
        for algorithm in Algorithm::ALL {
            let mut after: Option<String> = None;
            loop {
                let page = store.children(&Dir::Deleted(repository.clone(), algorithm), after.as_deref(), PAGE).await?;
                for child in &page.entries {
                    let Ok(digest) = format!("{algorithm}:{}", child.name).parse::<Digest>() else { continue };
                    let items = [
                        Item::Link(repository.clone(), digest.clone()),
                        Item::Revision(repository.clone(), digest.clone()),
                    ];
                    let mut is_asked_for = marks.links.has(marks::within(repository, marks::blob(&digest)));
                    for item in &items {
                        is_asked_for = is_asked_for && !self.registry.is_live(item).await?;
                    }
                    if !is_asked_for {
                        store.delete(&Key::Deleted(repository.clone(), digest), Expect::Any).await?;
                    }
                }
                after = page.entries.into_iter().next_back().map(|child| child.name);
                if !page.more {
                    break;
                }
            }
        }
        Ok(())
    }

    async fn deal_with(&mut self, grave: &Grave, is_due: bool, marks: &Marks) -> registry::Result<()> {
        let (store, item) = (&self.registry.core.store, &grave.entry.item);
        if grave.entry.why == Why::Unreferenced && is_needed(item, marks) {
            let is_live = self.registry.is_live(item).await?;
            if !is_live {
                self.report.restored.add(item, grave.len);
            }
            if self.options.dry_run {
                return Ok(());
            }
            // Also where something is live: only then is that known to be durable.
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
fn is_needed(item: &Item, marks: &Marks) -> bool {
    match item {
        Item::Blob(digest) => marks.blobs.has(marks::blob(digest)),
        Item::Link(name, digest) => marks.links.has(marks::within(name, marks::blob(digest))),
        Item::Revision(name, digest) => marks.revisions.has(marks::within(name, marks::blob(digest))),
        Item::Upload(_) => false,
    }
}

/// Whether the length of an item is that of content.
fn bears_bytes(item: &Item) -> bool {
    matches!(item, Item::Blob(_) | Item::Upload(_))
}

impl Registry {
    /// Whether an item stands in its own place.
    pub(super) async fn is_live(&self, item: &Item) -> registry::Result<bool> {
        Ok(self.core.store.renew(item, Duration::MAX).await?)
    }
}
