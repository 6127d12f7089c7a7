//! Retention of artifacts: the rules of a repository, and the move to the trash of what they do not keep.

use super::ArtifactRepository;
use crate::{
    artifacts::retention::{ArtifactRetention, OwnRetention, PlannedArtifact, plan},
    registry::{Registry, RegistryError, Result},
    storage,
};

impl ArtifactRepository {
    /// The rules that apply to it. Rules of its own that cannot be read keep everything.
    ///
    /// # Errors
    /// [`RegistryError::ArtifactRepositoryUnknown`].
    pub async fn retention_rules(&self) -> Result<ArtifactRetention> {
        let facts = self.facts().await?;
        if facts.origin.is_none() {
            return Err(RegistryError::ArtifactRepositoryUnknown(self.name.clone()));
        }
        let settings = &self.registry.settings.artifact_retention;
        let Some(own) = facts.retention else { return Ok(settings.clone()) };
        match OwnRetention::parse(&own) {
            Ok(own) => Ok(own.over(settings)),
            Err(error) => {
                tracing::error!(repository = %self.name, %error, "the rules of retention cannot be read; nothing is deleted");
                Ok(ArtifactRetention { enabled: false, max_versions: 0, max_age_days: 0, ..settings.clone() })
            }
        }
    }

    /// What the rules would do now, whether they are enabled or not.
    ///
    /// # Errors
    /// [`RegistryError::ArtifactRepositoryUnknown`].
    pub async fn retention_plan(&self) -> Result<Vec<PlannedArtifact>> {
        let rules = self.retention_rules().await?;
        self.planned(rules).await
    }

    /// What it would do with these rules of its own.
    ///
    /// # Errors
    /// [`RegistryError::ArtifactRepositoryUnknown`].
    pub async fn retention_plan_with(&self, own: OwnRetention) -> Result<Vec<PlannedArtifact>> {
        self.must_exist().await?;
        self.planned(own.over(&self.registry.settings.artifact_retention)).await
    }

    async fn planned(&self, rules: ArtifactRetention) -> Result<Vec<PlannedArtifact>> {
        let (name, artifacts, now) = (self.name.clone(), self.load().await?, super::now());
        Ok(storage::blocking(move || Ok(plan(&name, &artifacts, &rules, now))).await?)
    }

    /// Moves to the trash what the rules do not keep, if they are enabled. Returns how many artifacts.
    ///
    /// # Errors
    /// The store's; what was not reached stays for the next time.
    pub async fn retain(&self) -> Result<u64> {
        let rules = self.retention_rules().await?;
        if !rules.enabled {
            return Ok(0);
        }
        let mut moved = 0;
        for one in self.planned(rules).await?.iter().filter(|one| !one.grounds.keep()) {
            // One that was published again meanwhile is newer than the plan.
            if let Some(stored) = self.stored(&one.version, &one.id).await?
                && stored.artifact.created == one.created
            {
                match self.delete_artifact(&stored, Some(one.grounds.rule())).await {
                    Ok(_) => {}
                    Err(RegistryError::ArtifactUnknown) => continue,
                    Err(error) => return Err(error),
                }
                tracing::info!(
                    repository = %self.name, version = %one.version, path = one.path.as_str(), id = %one.id,
                    rule = one.grounds.rule(), "artifact moved to the trash by retention"
                );
                moved += 1;
            }
        }
        Ok(moved)
    }
}

impl Registry {
    /// Applies retention to all repositories of artifacts. Returns how many artifacts were moved to the trash.
    ///
    /// # Errors
    /// The first error; the other repositories were done.
    pub async fn retain_artifacts(&self) -> Result<u64> {
        let (mut moved, mut failed) = (0, None);
        for name in self.artifact_repository_names().await? {
            match self.artifacts(&name).retain().await {
                Ok(count) => moved += count,
                // One in the trash has no rules.
                Err(RegistryError::ArtifactRepositoryUnknown(_)) => {}
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        failed.map_or(Ok(moved), Err)
    }
}
