//! The artifact store, without HTTP: repositories of files with versions and properties. Their bytes are blobs of the
//! pool that images use, too.
//!
//! An artifact is one record; its existence is the membership. What is published is first named by an intent, as the
//! push of a manifest is (`super::intent`), and a record appears only if there is none with its id. A deleted artifact
//! goes to the trash of its repository. Whatever has a record, lies in the trash or is named by an intent is a root of
//! garbage collection.

mod changes;
mod edit;
mod facts;
mod indexes;
mod intent;
mod publish;
mod records;
mod repositories;
mod retention;
#[cfg(test)]
mod tests;
mod trash;

pub use changes::ArtifactChange;
pub(super) use changes::LastNote;
pub use edit::ArtifactEdit;
pub(crate) use facts::is_sound;
pub use facts::{ArtifactRepositoryFacts, NewArtifactRepository};
pub(super) use indexes::ArtifactIndexes;
pub use indexes::IndexReader;
pub(crate) use intent::ArtifactIntent;
pub use publish::{NewArtifact, Publication, PublishedArtifact};
pub use records::{ArtifactWalk, StoredArtifact};
pub(in crate::registry) use retention::PublishedArtifacts;
pub use retention::RemovedByRule;

use super::{Registry, RegistryError, Result, UploadHome, upload_home::UploadSessions};
use crate::{
    artifacts::ArtifactRepositoryName,
    files::world,
    storage::{ArtifactFact, ArtifactKey, FactKey, Storage},
};
use jiff::Timestamp;

/// What `ROOT.json` lists if there are artifacts: a version that does not know it must not collect garbage.
pub(crate) const FEATURE: &str = "artifacts";

/// Names per page.
const PAGE: usize = 1000;

/// A handle to one repository of artifacts for one request. The repository need not exist.
#[derive(Clone)]
pub struct ArtifactRepository {
    registry: Registry,
    name: ArtifactRepositoryName,
}

impl Registry {
    pub fn artifacts(&self, name: &ArtifactRepositoryName) -> ArtifactRepository {
        ArtifactRepository { registry: self.clone(), name: name.clone() }
    }
}

impl ArtifactRepository {
    pub fn name(&self) -> &ArtifactRepositoryName {
        &self.name
    }

    fn store(&self) -> &dyn Storage {
        self.registry.store()
    }

    fn sessions(&self) -> UploadSessions {
        UploadSessions { registry: self.registry.clone(), home: UploadHome::Artifacts(self.name.clone()) }
    }

    pub(in crate::registry) fn key(&self, fact: ArtifactFact) -> FactKey {
        FactKey::Artifact(ArtifactKey::Fact(self.name.clone(), fact))
    }

    /// The caller, for records.
    fn caller(&self) -> Option<Box<str>> {
        self.registry.caller.name().map(Box::from)
    }

    /// Whether it exists: it was created, and not deleted since.
    ///
    /// # Errors
    /// Only the store's.
    pub async fn exists(&self) -> Result<bool> {
        let found = [self.store().get(&self.key(ArtifactFact::Created)).await?, self.deletion().await?];
        Ok(matches!(found, [Some(_), None]))
    }

    /// Checks that it exists.
    ///
    /// # Errors
    /// [`RegistryError::ArtifactRepositoryUnknown`].
    async fn must_exist(&self) -> Result<()> {
        match self.exists().await? {
            true => Ok(()),
            false => Err(RegistryError::ArtifactRepositoryUnknown(self.name.clone())),
        }
    }
}

/// The time, to the microsecond: more is of no use to anybody who reads the files.
fn now() -> Timestamp {
    let now = Timestamp::try_from(world::now()).unwrap_or_default();
    Timestamp::from_microsecond(now.as_microsecond()).unwrap_or(now)
}
