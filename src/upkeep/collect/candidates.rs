//! What is condemned besides garbage: manifests that the rules delete, and manifests and tags that are attached to a
//! manifest which was removed from their repository.
//!
//! A manifest is condemned before the tags that point to it are removed: a condemned manifest can still be read, and
//! a tag that outlives a crash in between restores it with the next mark. In the other order, a crash would leave a
//! manifest with no record that it was attached to something.

use super::{CollectionStep, Pass, Result, marks, marks::Marks};
use crate::{
    registry::{self, Repository},
    storage::{Condemnation, Condemned, FactKey, Item, Why},
    upkeep::{PlannedManifest, PlannedTag},
};
use oci::{Digest, RepositoryName, Tag};
use serde::{Deserialize, Serialize};
use std::time::SystemTime;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Candidate {
    repository: String,
    /// The manifest, or the target of the tag.
    digest: Digest,
    /// The tag, if the candidate is one.
    tag: Option<String>,
    /// When it was last renewed, or the tag pushed, according to the plan.
    since: SystemTime,
    /// The removed manifest, if that is the reason.
    subject: Option<Digest>,
}

impl Candidate {
    pub(super) fn manifest(repository: &RepositoryName, planned: &PlannedManifest) -> Self {
        Self {
            repository: repository.to_string(),
            digest: planned.digest.clone(),
            tag: None,
            since: planned.since,
            subject: planned.verdict.subject().cloned(),
        }
    }

    pub(super) fn tag(repository: &RepositoryName, tag: &PlannedTag, subject: &Digest) -> Self {
        Self {
            repository: repository.to_string(),
            digest: tag.digest.clone(),
            tag: Some(tag.tag.to_string()),
            since: tag.pushed,
            subject: Some(subject.clone()),
        }
    }
}

impl Pass<'_> {
    /// Condemns the manifests that nothing needs, then removes the tags. Condemned manifests stay readable until they
    /// are purged, and so does what they refer to.
    pub(super) async fn condemn_candidates(&mut self, marks: &Marks) -> Result<()> {
        let (tags, manifests) =
            std::mem::take(&mut self.candidates).into_iter().partition::<Vec<_>, _>(|c| c.tag.is_some());
        for candidate in manifests {
            self.at(CollectionStep::Condemn, self.report.condemned.all()).await;
            let Ok(name) = candidate.repository.parse() else { continue };
            let repository = self.registry.repository(&name);
            if let Err(error) = self.condemn_manifest(&repository, &candidate, marks).await {
                self.report.error(&error);
            }
        }
        if tags.is_empty() {
            return Ok(());
        }
        if !self.options.dry_run {
            // A power failure must not restore what was condemned without the tag that identifies it.
            self.registry.store().settle().await?;
        }
        for candidate in tags {
            self.at(CollectionStep::Condemn, self.report.condemned.all()).await;
            if let Err(error) = self.remove_tag(&candidate).await {
                self.report.error(&error);
            }
        }
        Ok(())
    }

    async fn condemn_manifest(
        &mut self,
        repository: &Repository,
        candidate: &Candidate,
        marks: &Marks,
    ) -> registry::Result<()> {
        let Candidate { digest, subject, since, .. } = candidate;
        let name = repository.name();
        if marks.revisions.has(marks::within(name, marks::blob(digest)))
            || self.is_back(repository, subject.as_ref()).await?
        {
            return Ok(());
        }
        let store = self.registry.store();
        let (item, key) =
            (Item::Revision(name.clone(), digest.clone()), FactKey::Revision(name.clone(), digest.clone()));
        let verdict = match store.get(&key).await? {
            None => Condemnation::Gone,
            Some(fact) if fact.written != *since || !self.is_older(fact.written, self.timing.lease) => {
                Condemnation::Renewed
            }
            Some(_) if self.options.dry_run => Condemnation::Condemned,
            Some(fact) => {
                let grave = Condemned { run: self.run, item: item.clone(), why: Why::Unreferenced };
                let verdict = store.condemn(&item, self.run, grave.why, self.timing.lease).await?;
                // Pushed since the plan, and perhaps acknowledged: this is the only check of its time.
                match store.condemned_value(&grave).await? {
                    Some(buried) if buried.bytes != fact.bytes && store.restore(&grave).await? => Condemnation::Renewed,
                    _ => verdict,
                }
            }
        };
        match verdict {
            Condemnation::Condemned => {
                self.report.condemned.add(&item, 0);
                self.report.of(name.as_str()).condemned_manifests += 1;
            }
            Condemnation::Renewed => self.report.waiting_manifests += 1,
            Condemnation::Gone => {}
        }
        Ok(())
    }

    /// Removes a tag that is attached to a removed manifest, unless it was pushed since.
    async fn remove_tag(&mut self, candidate: &Candidate) -> registry::Result<()> {
        let Candidate { repository, digest, tag: Some(tag), since, subject } = candidate else { return Ok(()) };
        let (Ok(name), Ok(tag)) = (repository.parse(), tag.parse::<Tag>()) else {
            return Ok(());
        };
        let repository = self.registry.repository(&name);
        if self.is_back(&repository, subject.as_ref()).await? {
            return Ok(());
        }
        if self.options.dry_run || repository.expire_tag(&tag, digest, *since).await? {
            self.report.deleted_tags(&name, 1);
        }
        Ok(())
    }

    /// Whether the removed manifest was pushed again meanwhile.
    async fn is_back(&self, repository: &Repository, subject: Option<&Digest>) -> registry::Result<bool> {
        match subject {
            Some(subject) => self.registry.is_live(&Item::Revision(repository.name().clone(), subject.clone())).await,
            None => Ok(false),
        }
    }
}
