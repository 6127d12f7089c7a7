//! Moving what nothing refers to out of the way, if it was not renewed within the lease.

use super::{Count, PAGE, Pass, Result, Step, marks, marks::Marks, roots::Walk};
use crate::{
    oci::RepositoryName,
    storage::{Aged, Item, ItemKind, Verdict, Why},
};
use std::time::Duration;

/// Fewer blobs than this are never too many to condemn.
const FEW: u64 = 1000;

impl Pass<'_> {
    pub(super) async fn condemn(&mut self, marks: &Marks) -> Result<()> {
        if !self.may_condemn(marks).await? {
            self.report.unused = self.report.orphaned;
            return Ok(());
        }
        self.condemn_candidates(marks).await?;
        let mut walk = Walk::default();
        while let Some(repository) = walk.next(self.registry).await? {
            self.condemn_links(&repository, marks).await?;
            self.forget_deletions(&repository, marks).await?;
        }
        let lease = self.timing.lease;
        self.condemn_all(&ItemKind::Blobs, lease, |aged| match &aged.item {
            Item::Blob(digest) => !marks.blobs.has(marks::blob(digest)),
            _ => false,
        })
        .await?;
        let condemned = self.report.condemned;
        self.report.unused = self.report.orphaned.minus(condemned.blobs, condemned.bytes);
        // Nothing refers to an upload; it lives by the bytes that come.
        let timeout = self.registry.upload_idle();
        self.condemn_all(&ItemKind::Uploads, timeout, |_| true).await?;
        self.follow.at(Step::Condemn, self.report.condemned.all()).await;
        Ok(())
    }

    /// Counts the pool. Where a large part of it would go something else may be wrong, such as
    /// repositories that are not mounted: somebody has to say so.
    async fn may_condemn(&mut self, marks: &Marks) -> Result<bool> {
        let (mut all, mut leaving) = (Count::default(), Count::default());
        let mut after: Option<Item> = None;
        loop {
            let page = self.registry.core.store.items(&ItemKind::Blobs, after.as_ref(), PAGE).await?;
            for aged in &page.entries {
                self.at(Step::Count, all.number).await;
                all.add(aged.len);
                let Item::Blob(digest) = &aged.item else { continue };
                let key = marks::blob(digest);
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
            after = page.entries.into_iter().next_back().map(|aged| aged.item);
            if !page.more {
                break;
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

    /// Links are rights of a repository, not roots: they go when no manifest of it needs them.
    async fn condemn_links(&mut self, repository: &RepositoryName, marks: &Marks) -> Result<()> {
        let before = self.report.condemned.links;
        let lease = self.timing.lease;
        self.condemn_all(&ItemKind::Links(repository.clone()), lease, |aged| match &aged.item {
            Item::Link(name, digest) => !marks.links.has(marks::within(name, marks::blob(digest))),
            _ => false,
        })
        .await?;
        let condemned = self.report.condemned.links - before;
        if condemned > 0 {
            self.report.of(repository.as_str()).condemned_links += condemned;
        }
        Ok(())
    }

    /// Condemns the items of a kind that are not needed and were left alone for `idle`.
    async fn condemn_all(
        &mut self,
        kind: &ItemKind,
        idle: Duration,
        is_unneeded: impl Fn(&Aged) -> bool,
    ) -> Result<()> {
        let store = &self.registry.core.store;
        let mut after: Option<Item> = None;
        loop {
            let page = store.items(kind, after.as_ref(), PAGE).await?;
            for aged in &page.entries {
                self.at(Step::Condemn, self.report.condemned.all()).await;
                if !is_unneeded(aged) || !self.is_older(aged.renewed, idle) {
                    continue;
                }
                let verdict = match self.options.dry_run {
                    true => Ok(Verdict::Condemned),
                    false => store.condemn(&aged.item, self.run, Why::Unreferenced, idle).await,
                };
                match verdict {
                    Ok(Verdict::Condemned) => self.report.condemned.add(&aged.item, aged.len),
                    Ok(Verdict::Renewed | Verdict::Gone) => {}
                    Err(error) => self.report.error(&error),
                }
            }
            after = page.entries.into_iter().next_back().map(|aged| aged.item);
            if !page.more {
                return Ok(());
            }
        }
    }
}

/// Whether so much of the pool would go, by number or by bytes, that somebody has to say so.
fn is_too_much(leaving: Count, all: Count, most_percent: u64) -> bool {
    let is_more = |part: u64, whole: u64| u128::from(part) * 100 > u128::from(whole) * u128::from(most_percent);
    leaving.number >= FEW && (is_more(leaving.number, all.number) || is_more(leaving.bytes, all.bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_much_is_more_than_the_part_by_number_or_by_bytes_and_not_few() {
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
