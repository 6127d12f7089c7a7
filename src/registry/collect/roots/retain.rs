//! What the operator's rules delete, and what is attached to manifests that were removed, before a repository
//! is marked: tags of the rules at once, all others as candidates, which a push under way or another manifest
//! may still need.

use super::super::{Pass, Result, candidates::Candidate, graveyard::Graveyard, marks};
use crate::{
    oci::{Digest, RepositoryName, Tag},
    registry::{Plan, PlannedTag},
};
use std::collections::HashSet;

/// Manifests and tags one pass condemns; the others wait for the next.
const MOST_CANDIDATES: usize = 100_000;

/// What is deleted.
#[derive(Default)]
pub(super) struct Retained {
    /// Tags that are still there and no roots.
    pub(super) tags: HashSet<Tag>,
    /// Manifests without a tag, by [`marks::blob`].
    pub(super) manifests: HashSet<u64>,
}

impl Pass<'_> {
    pub(super) async fn retain(&mut self, repository: &RepositoryName, graveyard: &Graveyard) -> Result<Retained> {
        let mut retained = Retained::default();
        if !self.registry.has_retention(repository) && !graveyard.removed.are_of(repository) {
            return Ok(retained);
        }
        let plan = self.registry.retention_plan(repository, self.began, &graveyard.removed).await?;
        let by_rules = |planned: &&PlannedTag| planned.verdict.subject().is_none();
        match self.options.dry_run {
            true => {
                let deleted: Vec<_> = plan.deleted_tags().filter(by_rules).map(|planned| planned.tag.clone()).collect();
                self.report.deleted_tags(repository, deleted.len() as u64);
                retained.tags.extend(deleted);
            }
            false => {
                let deleted = self.registry.apply_retention(repository, &plan).await?;
                self.report.deleted_tags(repository, deleted);
            }
        }
        self.subjects.extend(plan.subjects.iter().map(|digest| marks::within(repository, marks::blob(digest))));
        self.choose(repository, &plan, &mut retained);
        Ok(retained)
    }

    /// Makes the rest of a plan candidates, as far as there is room.
    fn choose(&mut self, repository: &RepositoryName, plan: &Plan, retained: &mut Retained) {
        let deleted: HashSet<&Digest> = plan.deleted_manifests().map(|planned| &planned.digest).collect();
        for planned in plan.deleted_manifests() {
            if self.add_candidate(Candidate::manifest(repository, planned)) {
                retained.manifests.insert(marks::blob(&planned.digest));
            }
        }
        for planned in plan.deleted_tags() {
            if let Some(subject) = planned.verdict.subject()
                // What found no room keeps its tag.
                && (retained.manifests.contains(&marks::blob(&planned.digest)) || !deleted.contains(&planned.digest))
                && self.add_candidate(Candidate::tag(repository, planned, subject))
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
