//! Before a repository is marked: what the operator's rules delete, and what is attached to removed manifests. Tags
//! that the rules delete are removed at once; everything else becomes a candidate, because an active push or another
//! manifest may still need it.

use super::super::{Pass, Result, candidates::Candidate, graveyard::Graveyard, marks};
use crate::{
    registry::Repository,
    upkeep::{PlannedTag, RetentionPlan},
};
use oci::{Digest, Tag};
use std::collections::HashSet;

/// Manifests and tags condemned in one pass; the rest wait for the next.
const MOST_CANDIDATES: usize = 100_000;

/// What is deleted.
#[derive(Default)]
pub(super) struct Retained {
    /// Tags that still exist and are not roots.
    pub(super) tags: HashSet<Tag>,
    /// Manifests without a tag, by [`marks::blob`].
    pub(super) manifests: HashSet<u64>,
}

impl Pass<'_> {
    pub(super) async fn retain(&mut self, repository: &Repository, graveyard: &Graveyard) -> Result<Retained> {
        let mut retained = Retained::default();
        let name = repository.name();
        if !repository.has_retention() && !graveyard.removed.are_of(name) {
            return Ok(retained);
        }
        let plan = repository.retention_plan(self.began, &graveyard.removed).await?;
        let by_rules = |planned: &&PlannedTag| planned.verdict.subject().is_none();
        match self.options.dry_run {
            true => {
                let deleted: Vec<_> = plan.deleted_tags().filter(by_rules).map(|planned| planned.tag.clone()).collect();
                self.report.deleted_tags(name, deleted.len() as u64);
                retained.tags.extend(deleted);
            }
            false => {
                let deleted = repository.apply_retention(&plan).await?;
                self.report.deleted_tags(name, deleted);
            }
        }
        self.subjects.extend(plan.subjects.iter().map(|digest| marks::within(name, marks::blob(digest))));
        self.choose(repository, &plan, &mut retained);
        Ok(retained)
    }

    /// Makes the rest of a plan candidates, up to the limit.
    fn choose(&mut self, repository: &Repository, plan: &RetentionPlan, retained: &mut Retained) {
        let deleted: HashSet<&Digest> = plan.deleted_manifests().map(|planned| &planned.digest).collect();
        for planned in plan.deleted_manifests() {
            if self.add_candidate(Candidate::manifest(repository.name(), planned)) {
                retained.manifests.insert(marks::blob(&planned.digest));
            }
        }
        for planned in plan.deleted_tags() {
            if let Some(subject) = planned.verdict.subject()
                // What exceeds the limit keeps its tag.
                && (retained.manifests.contains(&marks::blob(&planned.digest)) || !deleted.contains(&planned.digest))
                && self.add_candidate(Candidate::tag(repository.name(), planned, subject))
            {
                retained.tags.insert(planned.tag.clone());
            }
        }
    }

    fn add_candidate(&mut self, candidate: Candidate) -> bool {
        let has_room = self.candidates.len() < MOST_CANDIDATES;
        if has_room {
            self.candidates.push(candidate);
        }
        has_room
    }
}
