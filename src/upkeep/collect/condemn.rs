//! Condemns what nothing refers to and nobody renewed within the lease.

use super::{
    CollectionStep, Count, PAGE, Pass, Result, graveyard::is_needed, marks, marks::Marks, roots::RepositoryWalk,
};
use crate::{
    registry::Repository,
    storage::{Aged, Condemnation, ItemKind, ItemsOf, Why},
};
use std::time::Duration;

/// With fewer blobs than this, the share of blobs to condemn is never too large.
const FEW: u64 = 1000;

impl Pass<'_> {
    pub(super) async fn condemn(&mut self, marks: &Marks) -> Result<()> {
        if !self.may_condemn(marks).await? {
            self.report.unused = self.report.orphaned;
            return Ok(());
        }
        self.condemn_candidates(marks).await?;
        let mut walk = RepositoryWalk::of(self.registry);
        while let Some(repository) = walk.next().await? {
            self.condemn_links(&repository, marks).await?;
            self.forget_deletions(&repository, marks).await?;
        }
        let lease = self.timing.lease;
        self.condemn_all(ItemKind::Blobs, lease, marks).await?;
        let condemned = self.report.condemned;
        self.report.unused = self.report.orphaned.minus(condemned.blobs, condemned.bytes);
        // Nothing refers to an upload; incoming bytes keep it alive.
        let timeout = self.registry.upload_idle();
        self.condemn_all(ItemKind::Uploads, timeout, marks).await?;
        self.follow.at(CollectionStep::Condemn, self.report.condemned.all()).await;
        Ok(())
    }

    /// Counts the pool. If a large share of it would be condemned, something else may be wrong, such as repositories
    /// that are not mounted; the operator has to confirm it.
    async fn may_condemn(&mut self, marks: &Marks) -> Result<bool> {
        let (mut all, mut leaving) = (Count::default(), Count::default());
        let mut blobs = self.registry.store().aged(ItemsOf::blobs(), PAGE);
        while let Some(aged) = blobs.next().await? {
            self.at(CollectionStep::Count, all.number).await;
            all.add(aged.len);
            let key = marks::blob(&aged.item);
            if marks.blobs.has(key) {
                self.report.referenced.add(aged.len);
                if !marks.tagged.has(key) {
                    self.report.untagged.blobs += 1;
                    self.report.untagged.bytes += aged.len;
                }
            } else {
                self.report.orphaned.add(aged.len);
                if self.is_older(aged.renewed, self.timing.lease) {
                    leaving.add(aged.len);
                }
            }
        }
        let percent = self.timing.most_percent;
        if self.options.force || !is_too_much(leaving, all, percent) {
            return Ok(true);
        }
        self.report.refused = Some(format!(
            "{} of {} blobs are unused, more than collection.most_percent = {percent} allows; if that is right, run `wharfinger gc --force`",
            leaving.number, all.number
        ));
        Ok(false)
    }

    /// Links are rights of a repository, not roots: they are condemned when no manifest in it needs them.
    async fn condemn_links(&mut self, repository: &Repository, marks: &Marks) -> Result<()> {
        let before = self.report.condemned.links;
        let lease = self.timing.lease;
        self.condemn_all(ItemKind::Links(repository.name().clone()), lease, marks).await?;
        let condemned = self.report.condemned.links - before;
        if condemned > 0 {
            self.report.of(repository.name().as_str()).condemned_links += condemned;
        }
        Ok(())
    }

    /// Condemns the items of a kind that are not needed and have been idle for `idle`.
    async fn condemn_all(&mut self, kind: ItemKind, idle: Duration, marks: &Marks) -> Result<()> {
        let store = self.registry.store();
        let mut items = store.aged(ItemsOf::from(kind), PAGE);
        while let Some(Aged { item, renewed, len }) = items.next().await? {
            self.at(CollectionStep::Condemn, self.report.condemned.all()).await;
            if is_needed(&item, marks) || !self.is_older(renewed, idle) {
                continue;
            }
            let verdict = match self.options.dry_run {
                true => Ok(Condemnation::Condemned),
                false => store.condemn(&item, self.run, Why::Unreferenced, idle).await,
            };
            match verdict {
                Ok(Condemnation::Condemned) => self.report.condemned.add(&item, len),
                Ok(Condemnation::Renewed | Condemnation::Gone) => {}
                Err(error) => self.report.error(&error),
            }
        }
        Ok(())
    }
}

/// Whether the share of the pool to condemn, by number or by bytes, is so large that the operator has to confirm it.
fn is_too_much(leaving: Count, all: Count, most_percent: u64) -> bool {
    let is_more = |part: u64, whole: u64| u128::from(part) * 100 > u128::from(whole) * u128::from(most_percent);
    leaving.number >= FEW && (is_more(leaving.number, all.number) || is_more(leaving.bytes, all.bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_percentage_limit_counts_blobs_and_bytes_and_ignores_small_numbers() {
        let count = |number, bytes| Count { number, bytes };
        let all = count(10_000, 1_000_000);
        for (leaving, expected) in [
            (count(2_000, 200_000), false),
            (count(2_001, 0), true),
            (count(1_000, 200_001), true),
            (count(1_000, 200_000), false),
            (count(999, 1_000_000), false),
        ] {
            assert_eq!(is_too_much(leaving, all, 20), expected, "{leaving:?}");
        }
        assert!(is_too_much(count(1_000, 0), count(1_000, 0), 99));
        assert!(!is_too_much(count(1_000, 0), count(1_000, 0), 100));
    }
}
