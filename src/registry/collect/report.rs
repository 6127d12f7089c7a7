//! What a collection found and did.

use crate::{
    oci::RepositoryName,
    storage::{Item, RunId},
};
use serde::{Deserialize, Serialize};

/// Repositories told one by one; of more, those whose untagged manifests hold most.
const MOST_REPOSITORIES: usize = 1000;

/// Errors told one by one.
const MOST_ERRORS: usize = 100;

/// Things and their bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Count {
    /// How many.
    pub number: u64,
    /// Their bytes.
    pub bytes: u64,
}

impl Count {
    pub(super) fn minus(self, number: u64, bytes: u64) -> Self {
        Self { number: self.number.saturating_sub(number), bytes: self.bytes.saturating_sub(bytes) }
    }

    pub(super) fn add(&mut self, bytes: u64) {
        self.number += 1;
        self.bytes += bytes;
    }
}

/// Things by kind, and the bytes of them all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kinds {
    /// Blobs of the pool.
    pub blobs: u64,
    /// Rights of a repository to serve a blob.
    pub links: u64,
    /// Manifests of a repository.
    pub revisions: u64,
    /// Upload sessions.
    pub uploads: u64,
    /// Bytes of blobs and uploads.
    pub bytes: u64,
}

impl Kinds {
    pub(super) fn add(&mut self, item: &Item, bytes: u64) {
        match item {
            Item::Blob(_) => self.blobs += 1,
            Item::Link(..) => self.links += 1,
            Item::Revision(..) => self.revisions += 1,
            Item::Upload(_) => self.uploads += 1,
        }
        if let Item::Blob(_) | Item::Upload(_) = item {
            self.bytes += bytes;
        }
    }

    /// How many things of all kinds.
    pub fn all(&self) -> u64 {
        self.blobs + self.links + self.revisions + self.uploads
    }

    fn join(&mut self, other: Self) {
        self.blobs += other.blobs;
        self.links += other.links;
        self.revisions += other.revisions;
        self.uploads += other.uploads;
        self.bytes += other.bytes;
    }
}

/// What only manifests without a tag hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Untagged {
    /// Manifests that stay and that no tag leads to, neither themselves nor by an index or a subject.
    pub manifests: u64,
    /// Blobs that only these refer to, themselves among them.
    pub blobs: u64,
    /// Bytes of these blobs.
    pub bytes: u64,
    /// The setting that frees them.
    pub setting: String,
}

/// What was found in a repository.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RepositoryReport {
    /// Its name.
    pub name: String,
    /// Manifests.
    pub manifests: u64,
    /// Of these, what no tag leads to.
    pub untagged_manifests: u64,
    /// Bytes that within this repository only these refer to, by what the manifests say.
    pub untagged_bytes: u64,
    /// Tags the retention rules deleted, or would.
    pub deleted_tags: u64,
    /// Manifests moved to the graveyard.
    pub condemned_manifests: u64,
    /// Rights to serve a blob that were moved to the graveyard.
    pub condemned_links: u64,
}

/// What one collection found and did.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Its name in the graveyard.
    pub run: String,
    /// Whether nothing was changed.
    pub dry_run: bool,
    /// Whether it went on with the mark of one that was interrupted.
    #[serde(default)]
    pub resumed: bool,
    /// Passes over the store.
    pub passes: u32,
    /// Seconds it took.
    pub seconds: f64,
    /// Of these, what finding out what is needed took.
    pub mark_seconds: f64,
    /// Repositories met.
    pub repositories: u64,
    /// Manifests met.
    pub manifests: u64,
    /// Blobs something refers to.
    pub referenced: Count,
    /// Blobs nothing refers to.
    pub orphaned: Count,
    /// Of these, what stays in its place for now: pushed within the lease, or the run was refused.
    #[serde(default)]
    pub unused: Count,
    /// Moved to the graveyard, or to be moved.
    pub condemned: Kinds,
    /// Brought back from the graveyard, or to be brought back.
    pub restored: Kinds,
    /// Removed from the graveyard, or to be removed.
    pub purged: Kinds,
    /// Tags removed, or to be removed: by the retention rules, or because the manifest that they are named
    /// after was removed.
    #[serde(default)]
    pub deleted_tags: u64,
    /// Manifests that the plan deletes and that stay for now: pushed, or asked for by a push, within the lease.
    #[serde(default)]
    pub waiting_manifests: u64,
    /// Intents of pushes long over that were let go, in two steps each.
    pub intents: u64,
    /// What lies in the graveyard, from before this collection.
    pub graveyard: Count,
    /// What lies there after it.
    #[serde(default)]
    pub left: Count,
    /// What the policy for untagged manifests decides about.
    pub untagged: Untagged,
    /// What could not be done and was left for the next collection.
    pub errors: Vec<String>,
    /// Why less was condemned than could be.
    pub refused: Option<String>,
    /// By repository, as far as there is something to say.
    pub by_repository: Vec<RepositoryReport>,
}

impl Report {
    pub(super) fn begin(run: RunId, dry_run: bool) -> Self {
        let setting = "delete_untagged_after_days in [[retention]] of settings.toml".to_owned();
        let untagged = Untagged { setting, ..Untagged::default() };
        Self { run: run.0.to_string(), dry_run, passes: 1, untagged, ..Self::default() }
    }

    /// Nothing was freed, and nothing will be by another pass.
    pub(super) fn changed_nothing(&self) -> bool {
        self.condemned.all() + self.purged.all() + self.restored.all() + self.intents == 0 && self.deleted_tags == 0
    }

    /// Adds a later pass: it found what is there now, and both have done what they did. What the
    /// earlier one could not do the later one has tried again.
    pub(super) fn join(&mut self, later: Self) {
        let before = std::mem::replace(self, later);
        self.run = before.run;
        self.resumed |= before.resumed;
        self.passes += before.passes;
        self.seconds += before.seconds;
        self.mark_seconds += before.mark_seconds;
        self.condemned.join(before.condemned);
        self.restored.join(before.restored);
        self.purged.join(before.purged);
        self.intents += before.intents;
        self.deleted_tags += before.deleted_tags;
        self.refused = self.refused.take().or(before.refused);
        for repository in before.by_repository {
            match self.by_repository.iter_mut().find(|later| later.name == repository.name) {
                Some(later) => {
                    later.deleted_tags += repository.deleted_tags;
                    later.condemned_manifests += repository.condemned_manifests;
                    later.condemned_links += repository.condemned_links;
                }
                None => self.by_repository.push(repository),
            }
        }
    }

    pub(super) fn error(&mut self, error: &impl ToString) {
        if self.errors.len() < MOST_ERRORS {
            self.errors.push(error.to_string());
        }
    }

    /// Adds tags that were removed from a repository.
    pub(super) fn deleted_tags(&mut self, repository: &RepositoryName, number: u64) {
        if number > 0 {
            self.deleted_tags += number;
            self.of(repository.as_str()).deleted_tags += number;
        }
    }

    /// The entry of a repository, made if there is none. If there are too many, that with the least in it makes room.
    pub(super) fn of(&mut self, name: &str) -> &mut RepositoryReport {
        let known = self.by_repository.iter().position(|repository| repository.name == name);
        let place = known.unwrap_or_else(|| {
            if self.by_repository.len() >= MOST_REPOSITORIES {
                let weight = |r: &RepositoryReport| (r.untagged_bytes, r.deleted_tags + r.condemned_manifests);
                let least = self.by_repository.iter().enumerate().min_by_key(|(_, r)| weight(r)).map(|(i, _)| i);
                least.map(|i| self.by_repository.swap_remove(i));
            }
            self.by_repository.push(RepositoryReport { name: name.to_owned(), ..RepositoryReport::default() });
            self.by_repository.len() - 1
        });
        &mut self.by_repository[place]
    }
}
