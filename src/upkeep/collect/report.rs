//! What a collection found and did.

use crate::storage::{Item, RunId};
use oci::RepositoryName;
use serde::{Deserialize, Serialize};

/// The most repositories listed individually; if there are more, those whose untagged manifests hold the most.
const MOST_REPOSITORIES: usize = 1000;

/// The most errors listed individually.
const MOST_ERRORS: usize = 100;

/// A number of items and their total size.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Count {
    /// How many.
    pub number: u64,
    /// Their total size in bytes.
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

/// The number of items by kind, and their total size.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kinds {
    /// Blobs of the pool.
    pub blobs: u64,
    /// Membership links: rights of a repository to serve a blob.
    pub links: u64,
    /// Manifests of a repository.
    pub revisions: u64,
    /// Upload sessions.
    pub uploads: u64,
    /// Total size of blobs and uploads.
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

    /// The number of items of all kinds.
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

/// What only untagged manifests hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Untagged {
    /// Manifests that stay although no tag reaches them, neither directly nor through an index or a subject.
    pub manifests: u64,
    /// Blobs that only these manifests refer to, including their own.
    pub blobs: u64,
    /// Total size of these blobs.
    pub bytes: u64,
    /// The setting that frees them.
    pub setting: String,
}

/// What was found in one repository.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RepositoryReport {
    pub name: String,
    pub manifests: u64,
    /// How many of these no tag reaches.
    pub untagged_manifests: u64,
    /// Bytes that only these refer to within this repository, by the lengths in the manifests.
    pub untagged_bytes: u64,
    /// Tags the retention rules deleted, or would.
    pub deleted_tags: u64,
    /// Manifests moved to the graveyard.
    pub condemned_manifests: u64,
    /// Membership links moved to the graveyard.
    pub condemned_links: u64,
}

/// What one collection found and did.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CollectionReport {
    /// The name of the run in the graveyard.
    pub run: String,
    pub dry_run: bool,
    /// Whether it resumed an interrupted mark.
    #[serde(default)]
    pub resumed: bool,
    /// Passes over the store.
    pub passes: u32,
    /// Duration in seconds.
    pub seconds: f64,
    /// Seconds of that spent on marking.
    pub mark_seconds: f64,
    /// Repositories found.
    pub repositories: u64,
    /// Manifests found.
    pub manifests: u64,
    /// Artifacts found, also in the trash.
    #[serde(default)]
    pub artifacts: u64,
    /// Blobs that something refers to.
    pub referenced: Count,
    /// Blobs that nothing refers to.
    pub orphaned: Count,
    /// How many of these stay for now: pushed within the lease, or the run was refused.
    #[serde(default)]
    pub unused: Count,
    /// Moved to the graveyard, or would be.
    pub condemned: Kinds,
    /// Restored from the graveyard, or would be.
    pub restored: Kinds,
    /// Purged from the graveyard, or would be.
    pub purged: Kinds,
    /// Tags removed, or would be: by the retention rules, or because the manifest that they are named after was
    /// removed.
    #[serde(default)]
    pub deleted_tags: u64,
    /// Manifests that the plan deletes but that stay for now: pushed, or needed by a push, within the lease.
    #[serde(default)]
    pub waiting_manifests: u64,
    /// Intents of dead pushes that were expired or removed.
    pub intents: u64,
    /// The content of the graveyard before this collection.
    pub graveyard: Count,
    /// The content of the graveyard after it.
    #[serde(default)]
    pub left: Count,
    /// What the policy for untagged manifests applies to.
    pub untagged: Untagged,
    /// Errors: what failed and was left for the next collection.
    pub errors: Vec<String>,
    /// Why less was condemned than possible.
    pub refused: Option<String>,
    /// By repository, if there is something to report.
    pub by_repository: Vec<RepositoryReport>,
}

impl CollectionReport {
    pub(super) fn begin(run: RunId, dry_run: bool) -> Self {
        let setting = "delete_untagged_after_days in [[retention]] of settings.toml".to_owned();
        let untagged = Untagged { setting, ..Untagged::default() };
        Self { run: run.0.to_string(), dry_run, passes: 1, untagged, ..Self::default() }
    }

    /// Whether this pass freed nothing, so that another one would free nothing either.
    pub(super) fn changed_nothing(&self) -> bool {
        self.condemned.all() + self.purged.all() + self.restored.all() + self.intents == 0 && self.deleted_tags == 0
    }

    /// Adds a later pass: its findings replace the earlier ones, and the actions of both add up. The later pass has
    /// retried what failed in the earlier one.
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

    /// The entry of a repository, created if missing. If there are too many, the entry that holds the least is
    /// dropped.
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
