//! Changes of artifacts. Metadata changes in place; another version, path or property makes another artifact, which
//! says what it replaces until the old record is gone.

use super::{ArtifactRepository, StoredArtifact, now};
use crate::{
    artifacts::{Artifact, ArtifactFileName, ArtifactId, ArtifactMetadata, ArtifactPath, ArtifactVersion, Properties},
    registry::{RegistryError, Result},
    storage::{ArtifactLogKind, Expect},
};

/// What becomes of an artifact.
#[derive(Clone, Debug)]
pub enum ArtifactEdit {
    Metadata(ArtifactMetadata),
    Properties(Properties),
    Place {
        version: ArtifactVersion,
        /// Unchanged if unset.
        path: Option<ArtifactPath>,
        /// Unchanged if unset.
        name: Option<ArtifactFileName>,
    },
}

impl ArtifactEdit {
    fn apply(self, old: &Artifact) -> Artifact {
        // It is the latest word about this artifact; what it once replaced is gone.
        let mut new = Artifact { updated: now(), replaces: None, ..old.clone() };
        match self {
            Self::Metadata(metadata) => new.metadata = metadata,
            Self::Properties(properties) => new.properties = properties,
            Self::Place { version, path, name } => {
                // A name that was only that of the path follows the path.
                let follows = old.name.as_str() == old.path.base();
                new.version = version;
                if let Some(path) = path {
                    new.path = path;
                }
                match name {
                    Some(name) => new.name = name,
                    None if follows => new.name = ArtifactFileName::of(&new.path),
                    None => {}
                }
            }
        }
        new.id = ArtifactId::of(&new.version, &new.path, &new.properties);
        new
    }
}

impl ArtifactRepository {
    /// Changes an artifact as it was read. Runs to completion.
    ///
    /// # Errors
    /// [`RegistryError::ArtifactUnknown`] if it was changed or deleted since it was read;
    /// [`RegistryError::ArtifactExists`] if there is one in the new place; [`RegistryError::PropertyMissing`].
    pub async fn edit(&self, stored: &StoredArtifact, edit: ArtifactEdit) -> Result<Artifact> {
        let (repository, stored) = (self.clone(), stored.clone());
        if let ArtifactEdit::Properties(properties) = &edit {
            let required = &self.registry.settings.artifacts.required_properties;
            if let Some(missing) = required.iter().find(|key| properties.get(key.as_str()).is_none()) {
                return Err(RegistryError::PropertyMissing(missing.clone()));
            }
        }
        self.registry.shielded(async move { repository.edit_now(stored, edit).await }).await
    }

    async fn edit_now(&self, stored: StoredArtifact, edit: ArtifactEdit) -> Result<Artifact> {
        let _staying = self.staying().await?;
        let _changing = self.registry.core.locks.lock_artifacts(self.name.to_match()).await;
        self.finish_replacing(&stored.artifact).await?;
        let new = edit.apply(&stored.artifact);
        if new.id == stored.artifact.id {
            return match self.write(&new, Expect::Unchanged(stored.fact)).await? {
                true => {
                    self.log(ArtifactLogKind::Put, &new).await;
                    Ok(new)
                }
                false => Err(RegistryError::ArtifactUnknown),
            };
        }
        let new = Artifact { replaces: Some(stored.artifact.id), ..new };
        // As a publication: a collection may have read the directory of the new version already.
        let push = self.declare(&new.digest).await?;
        let appeared = async {
            self.must_have_blob(&new.digest).await?;
            // Somebody else may have changed or deleted it.
            if self.stored(&stored.artifact.version, &stored.artifact.id).await?.as_ref() != Some(&stored) {
                return Err(RegistryError::ArtifactUnknown);
            }
            if !self.write(&new, Expect::Absent).await? {
                return Err(RegistryError::ArtifactExists(new.id));
            }
            match self.is_declared(push).await? {
                true => Ok(()),
                false => Err(RegistryError::Overtaken),
            }
        };
        if let Err(error) = appeared.await {
            self.withdraw(push).await;
            return Err(error);
        }
        self.take(&stored.artifact, stored.fact).await?;
        self.complete(push).await;
        self.log(ArtifactLogKind::Put, &new).await;
        self.log(ArtifactLogKind::Deleted, &stored.artifact).await;
        Ok(new)
    }

    /// Removes what an artifact replaces, if a crash has left it: its next record no longer says so.
    pub(super) async fn finish_replacing(&self, artifact: &Artifact) -> Result<()> {
        let Some(old) = artifact.replaces else { return Ok(()) };
        let left = match self.find(&old).await {
            Ok(left) => left,
            Err(RegistryError::ArtifactUnknown) => return Ok(()),
            Err(error) => return Err(error),
        };
        if left.artifact.updated <= artifact.updated {
            self.take(&left.artifact, left.fact).await?;
        }
        Ok(())
    }
}
