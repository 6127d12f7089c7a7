//! What the operator's rules let go, before a repository is marked: tags at once, manifests as
//! candidates, which a push under way or another manifest may still need.

use super::super::{Pass, Result, marks};
use crate::oci::{RepositoryName, Tag};
use std::collections::HashSet;

/// Manifests one pass condemns by the rules; the others wait for the next.
const MOST_CANDIDATES: usize = 100_000;

/// What the rules let go.
#[derive(Default)]
pub(super) struct Retained {
    /// Tags that would be deleted if this were no dry run.
    pub(super) tags: HashSet<Tag>,
    /// Manifests without a tag, by [`marks::blob`].
    pub(super) manifests: HashSet<u64>,
}

impl Pass<'_> {
    pub(super) async fn retain(&mut self, repository: &RepositoryName) -> Result<Retained> {
        let mut retained = Retained::default();
        if !self.registry.has_retention(repository) {
            return Ok(retained);
        }
        let plan = self.registry.retention_plan(repository, self.began).await?;
        let deleted = plan.deleted_tags().count() as u64;
        if deleted > 0
            && let Some(told) = self.report.of(repository.as_str())
        {
            told.deleted_tags += deleted;
        }
        let leaving = match self.options.dry_run {
            true => {
                retained.tags = plan.deleted_tags().map(|planned| planned.tag.clone()).collect();
                plan.deleted_manifests().map(|planned| planned.digest.clone()).collect()
            }
            false => self.registry.apply_retention(repository, &plan).await?,
        };
        let room = MOST_CANDIDATES.saturating_sub(self.candidates.len());
        for digest in leaving.into_iter().take(room) {
            retained.manifests.insert(marks::blob(&digest));
            self.candidates.push((repository.clone(), digest));
        }
        Ok(retained)
    }
}
