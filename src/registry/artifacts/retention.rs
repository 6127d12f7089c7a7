//! Retention of artifacts: the rules of a repository, and the move to the trash of what they do not keep.

use super::ArtifactRepository;
use crate::{
    artifacts::{
        ArtifactPath, ArtifactRepositoryName, ArtifactVersion,
        retention::{ArtifactRetention, OwnRetention, PlannedArtifact, plan},
    },
    registry::{Registry, RegistryError, Result},
    storage,
};
use std::{
    collections::BTreeMap,
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// An artifact that retention moved to the trash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemovedByRule {
    pub repository: ArtifactRepositoryName,
    pub version: ArtifactVersion,
    pub path: ArtifactPath,
    /// The setting by which it went.
    pub rule: &'static str,
}

impl fmt::Display for RemovedByRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{} ({})", self.repository, self.version, self.path.as_str(), self.rule)
    }
}

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

    /// Moves to the trash what the rules do not keep, if they are enabled, and tells `removed` of each.
    ///
    /// # Errors
    /// The store's; what was not reached stays for the next time.
    pub async fn retain(&self, removed: &mut (dyn FnMut(RemovedByRule) + Send)) -> Result<()> {
        let rules = self.retention_rules().await?;
        if !rules.enabled {
            return Ok(());
        }
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
                removed(RemovedByRule {
                    repository: self.name.clone(),
                    version: one.version.clone(),
                    path: one.path.clone(),
                    rule: one.grounds.rule(),
                });
            }
        }
        Ok(())
    }
}

impl Registry {
    /// Applies retention to all repositories of artifacts, and tells `removed` of each artifact that was moved to the
    /// trash.
    ///
    /// # Errors
    /// The first error; the other repositories were done.
    pub async fn retain_artifacts(&self, removed: &mut (dyn FnMut(RemovedByRule) + Send)) -> Result<()> {
        let names = self.artifact_repository_names().await?;
        self.retain_artifacts_of(names, removed).await
    }

    /// The same where artifacts were published, once nothing more comes for a moment.
    ///
    /// # Errors
    /// As [`Self::retain_artifacts`].
    pub async fn retain_after_publishing(&self, removed: &mut (dyn FnMut(RemovedByRule) + Send)) -> Result<()> {
        self.retain_artifacts_of(self.core.published_artifacts.take_settled(Instant::now()), removed).await
    }

    /// Whether [`Self::retain_after_publishing`] has something to do.
    pub fn has_settled_artifacts(&self) -> bool {
        self.core.published_artifacts.has_settled(Instant::now())
    }

    async fn retain_artifacts_of(
        &self,
        names: Vec<ArtifactRepositoryName>,
        removed: &mut (dyn FnMut(RemovedByRule) + Send),
    ) -> Result<()> {
        let mut failed = None;
        for name in names {
            match self.artifacts(&name).retain(removed).await {
                // One in the trash has no rules.
                Ok(()) | Err(RegistryError::ArtifactRepositoryUnknown(_)) => {}
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        failed.map_or(Ok(()), Err)
    }
}

/// Repositories in which artifacts were published, each with the first time and the last. They live in memory: what a
/// restart forgets, the next run over all repositories does.
#[derive(Default)]
pub(in crate::registry) struct PublishedArtifacts(Mutex<BTreeMap<ArtifactRepositoryName, (Instant, Instant)>>);

impl PublishedArtifacts {
    /// Nothing was published for this long: a release of many files has ended.
    const SETTLED: Duration = Duration::from_secs(5);

    /// The longest wait where publishing never ends.
    const LONGEST: Duration = Duration::from_secs(60);

    fn is_settled((first, last): (Instant, Instant), now: Instant) -> bool {
        now.duration_since(last) >= Self::SETTLED || now.duration_since(first) >= Self::LONGEST
    }

    fn waiting(&self) -> MutexGuard<'_, BTreeMap<ArtifactRepositoryName, (Instant, Instant)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn add(&self, name: &ArtifactRepositoryName, now: Instant) {
        self.waiting().entry(name.clone()).or_insert((now, now)).1 = now;
    }

    fn has_settled(&self, now: Instant) -> bool {
        self.waiting().values().any(|times| Self::is_settled(*times, now))
    }

    fn take_settled(&self, now: Instant) -> Vec<ArtifactRepositoryName> {
        self.waiting().extract_if(.., |_, times| Self::is_settled(*times, now)).map(|(name, _)| name).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repository_is_looked_at_once_its_release_has_ended_or_after_a_minute() {
        let (published, begun) = (PublishedArtifacts::default(), Instant::now());
        let at = |seconds| begun + Duration::from_secs(seconds);
        let [busy, done] = ["busy", "done"].map(|name| name.parse::<ArtifactRepositoryName>().unwrap());
        published.add(&done, begun);
        (0..=59).for_each(|second| published.add(&busy, at(second)));
        assert!(!published.has_settled(at(4)));
        assert_eq!(published.take_settled(at(5)), [done]);
        assert!(!published.has_settled(at(59)));
        assert_eq!(published.take_settled(at(60)), [busy]);
        assert!(!published.has_settled(at(3600)), "nothing is looked at twice");
    }
}
