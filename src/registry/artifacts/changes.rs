//! Notes of changes, by which an index in memory follows what other processes do.

use super::{ArtifactRepository, PAGE};
use crate::{
    artifacts::{Artifact, ArtifactId, ArtifactVersion},
    files::world,
    registry::Result,
    storage::{ArtifactKey, ArtifactLogEntry, ArtifactLogKind, DirOf, Durability, Fact, FactKey, ListingPage, Put},
};
use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, SystemTime},
};
use ulid::Ulid;

/// How long notes are kept. An index that has not looked for longer reads everything.
const KEPT: Duration = Duration::from_secs(24 * 3600);

/// The last name that this process gave to a note or to an entry of the trash: later ones sort after earlier ones, also
/// within a millisecond.
#[derive(Default)]
pub(in crate::registry) struct LastNote(Mutex<Ulid>);

impl LastNote {
    pub(super) fn next(&self) -> Ulid {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (fresh, following) = (world::ulid(), last.increment());
        *last = following.map_or(fresh, |following| fresh.max(following));
        *last
    }
}

/// A change in a repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArtifactChange {
    pub entry: ArtifactLogEntry,
    /// The version of the artifact, if the note says it.
    pub version: Option<ArtifactVersion>,
}

impl ArtifactChange {
    pub fn id(&self) -> ArtifactId {
        self.entry.id
    }

    /// Whether the artifact was deleted.
    pub fn is_deletion(&self) -> bool {
        self.entry.change == ArtifactLogKind::Deleted
    }
}

impl ArtifactRepository {
    /// Notes a change. Whoever misses the note reads the record itself sooner or later, so a failure is only logged.
    pub(super) async fn log(&self, change: ArtifactLogKind, artifact: &Artifact) {
        self.tell_index(change, artifact).await;
        let entry = ArtifactLogEntry { at: self.registry.core.notes.next(), change, id: artifact.id };
        let put = Put::any(FactKey::Artifact(ArtifactKey::Log(self.name.clone(), entry)), artifact.version.to_string());
        if let Err(error) = self.store().put(vec![put], Durability::Process).await {
            tracing::warn!(repository = %self.name, %error, "cannot note a change of an artifact; other daemons see it when they read all artifacts");
        }
    }

    /// The changes from a time on, oldest first, at most `most` after the change of this name; and whether there are
    /// more.
    ///
    /// # Errors
    /// Only the store's.
    pub async fn changes(&self, after: Option<&str>, most: usize) -> Result<ListingPage<ArtifactChange>> {
        let level = DirOf::artifact_log(&self.name);
        let page = self.store().children(level.dir(), after, most).await?;
        let entries: Vec<_> = page.entries.iter().filter_map(|name| ArtifactLogEntry::parse(name)).collect();
        let key = |entry: &ArtifactLogEntry| FactKey::Artifact(ArtifactKey::Log(self.name.clone(), *entry));
        let notes = self.store().get_all(entries.iter().map(key).collect()).await?;
        let version = |fact: Option<Fact>| std::str::from_utf8(&fact?.bytes).ok()?.parse().ok();
        let mut changes = Vec::with_capacity(entries.len());
        for (entry, note) in entries.into_iter().zip(notes) {
            changes.push(ArtifactChange { entry, version: version(note?) });
        }
        Ok(ListingPage { entries: changes, more: page.more })
    }

    /// The place in the list of changes before everything noted at this time or later.
    pub fn changes_since(time: SystemTime) -> String {
        let millis = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_millis();
        Ulid::from_parts(u64::try_from(millis).unwrap_or_default(), 0).to_string()
    }

    /// Removes notes that are older than any index may need.
    pub(super) async fn trim_log(&self) -> Result<()> {
        let mut names = self.store().names(DirOf::artifact_log(&self.name), PAGE);
        let now = self.store().now().await?;
        while let Some(entry) = names.next().await? {
            let is_old = now.duration_since(entry.at.datetime()).is_ok_and(|age| age >= KEPT);
            if !is_old {
                return Ok(());
            }
            world::yield_now().await;
            self.store().discard(&FactKey::Artifact(ArtifactKey::Log(self.name.clone(), entry))).await?;
        }
        Ok(())
    }
}
