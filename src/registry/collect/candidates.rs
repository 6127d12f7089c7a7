//! What is condemned besides garbage: manifests that the rules delete, and manifests and tags that are attached
//! to a manifest which was removed from their repository.
//!
//! A manifest is condemned before the tags that point to it are removed: what is condemned is still read, and a
//! tag that outlives a crash in between brings it back with the next mark. The other way round, a crash would
//! leave a manifest of which nobody knows any more that it was attached to something.

use super::{Pass, Result, Step, marks, marks::Marks};
use crate::{
    oci::{Digest, RepositoryName, Tag},
    registry::{PlannedManifest, PlannedTag},
    storage::{Condemned, Item, Key, Verdict, Why},
};
use serde::{Deserialize, Serialize};
use std::time::SystemTime;

/// One of these.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Candidate {
    repository: String,
    /// The manifest, or what the tag points to.
    digest: Digest,
    /// The tag, if it is one.
    tag: Option<String>,
    /// When it was renewed, or the tag pushed, as the plan found it.
    since: SystemTime,
    /// The manifest that was removed, if that is why.
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
    /// Condemns the manifests that nothing needs; they stay readable until they are purged, and so does what
    /// they refer to. Then removes the tags.
    pub(super) async fn condemn_candidates(&mut self, marks: &Marks) -> Result<()> {
        let (tags, manifests) =
            std::mem::take(&mut self.candidates).into_iter().partition::<Vec<_>, _>(|c| c.tag.is_some());
        for candidate in manifests {
            self.at(Step::Condemn, self.report.condemned.all()).await;
            let Ok(repository) = candidate.repository.parse::<RepositoryName>() else { continue };
            if let Err(error) = self.condemn_manifest(&repository, &candidate, marks).await {
                self.report.error(&error);
            }
        }
        if tags.is_empty() {
            return Ok(());
        }
        if !self.options.dry_run {
            // A power failure must not bring back what was condemned without the tag by which it is known.
            self.registry.core.store.settle().await?;
        }
        for candidate in tags {
            self.at(Step::Condemn, self.report.condemned.all()).await;
            if let Err(error) = self.remove_tag(&candidate).await {
                self.report.error(&error);
            }
        }
        Ok(())
    }

    async fn condemn_manifest(
        &mut self,
        repository: &RepositoryName,
        candidate: &Candidate,
        marks: &Marks,
    ) -> crate::registry::Result<()> {
        let Candidate { digest, subject, since, .. } = candidate;
        if marks.revisions.has(marks::within(repository, marks::blob(digest)))
            || self.is_back(repository, subject.as_ref()).await?
        {
            return Ok(());
        }
        let store = &self.registry.core.store;
        let (item, key) =
            (Item::Revision(repository.clone(), digest.clone()), Key::Revision(repository.clone(), digest.clone()));
        let verdict = match store.get(&key).await? {
            None => Verdict::Gone,
            Some(fact) if fact.written != *since || !self.is_older(fact.written, self.timing.lease) => Verdict::Renewed,
            Some(_) if self.options.dry_run => Verdict::Condemned,
            Some(fact) => {
                let grave = Condemned { run: self.run, item: item.clone(), why: Why::Unreferenced };
                let verdict = store.condemn(&item, self.run, grave.why, self.timing.lease).await?;
                // Pushed since it was looked at, and perhaps answered: nothing but this looks at its time.
                match store.buried(&grave).await? {
                    Some(buried) if buried.bytes != fact.bytes && store.restore(&grave).await? => Verdict::Renewed,
                    _ => verdict,
                }
            }
        };
        match verdict {
            Verdict::Condemned => {
                self.report.condemned.add(&item, 0);
                self.report.of(repository.as_str()).condemned_manifests += 1;
            }
            Verdict::Renewed => self.report.waiting_manifests += 1,
            Verdict::Gone => {}
        }
        Ok(())
    }

    /// Removes a tag that is attached to what was removed, unless it was pushed since.
    async fn remove_tag(&mut self, candidate: &Candidate) -> crate::registry::Result<()> {
        let Candidate { repository, digest, tag: Some(tag), since, subject } = candidate else { return Ok(()) };
        let (Ok(repository), Ok(tag)) = (repository.parse::<RepositoryName>(), tag.parse::<Tag>()) else {
            return Ok(());
        };
        if self.is_back(&repository, subject.as_ref()).await? {
            return Ok(());
        }
        if self.options.dry_run || self.registry.expire_tag(&repository, &tag, digest, *since).await? {
            self.report.deleted_tags(&repository, 1);
        }
        Ok(())
    }

    /// Whether the manifest that was removed was pushed again meanwhile.
    async fn is_back(&self, repository: &RepositoryName, subject: Option<&Digest>) -> crate::registry::Result<bool> {
        match subject {
            Some(subject) => self.registry.is_live(&Item::Revision(repository.clone(), subject.clone())).await,
            None => Ok(false),
        }
    }
}
