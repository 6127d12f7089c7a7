//! Checks the small files of the artifact store.

use super::{Check, FindingKind, FindingWithFix, Look, short};
use crate::{
    artifacts::{Artifact, TrashedArtifact},
    registry::artifacts::is_sound,
    storage::{self, ArtifactKey, FactKey, Item, StoreSurvey},
};

impl<S: StoreSurvey> Check<'_, S> {
    pub(super) fn artifact(&mut self, path: &str, key: &ArtifactKey) -> Look {
        let bytes = match self.survey.read(path, FactKey::Artifact(key.clone()).longest()) {
            Ok(Some(bytes)) => bytes,
            Ok(None) => return Ok(Vec::new()),
            Err(storage::StorageError::Damaged { .. }) => bytes::Bytes::new(),
            Err(error) => return Err(error),
        };
        let is_sound = is_sound(key, &bytes);
        let artifact = match key {
            ArtifactKey::Record(..) => Artifact::parse(&bytes),
            ArtifactKey::Trash(..) => TrashedArtifact::parse(&bytes).map(|trashed| trashed.artifact),
            ArtifactKey::Fact(..) => {
                let advice = "it grants nothing; restore it from a backup, or write it again";
                let found = || FindingWithFix::warning(FindingKind::FactGarbled, path, "is malformed", advice);
                return Ok((!is_sound).then(found).into_iter().collect());
            }
            ArtifactKey::Intent(..) | ArtifactKey::ExpiredIntent(..) | ArtifactKey::Log(..) => return Ok(Vec::new()),
        };
        let Some(artifact) = artifact.filter(|_| is_sound) else {
            let advice = "until it is restored from a backup or deleted, no garbage is collected";
            let what = "is malformed, or the record of another artifact";
            return Ok(vec![FindingWithFix::damage(FindingKind::ArtifactGarbled, path, what, advice)]);
        };
        let item = Item::Blob(artifact.digest.clone());
        if !self.survey.is_there(&item)? {
            let what = format!("needs {}, which does not exist", short(&artifact.digest));
            let advice = format!("upload {} of version {} again", artifact.path, artifact.version);
            return Ok(vec![FindingWithFix::damage(FindingKind::BlobMissing, path, what, advice)]);
        }
        Ok(Vec::new())
    }
}
