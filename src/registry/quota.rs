//! Checks quotas before anything is stored.
//!
//! What the repositories of a quota hold is counted from their directories once a minute at most; in between, what
//! this process adds is added to it. A claim that was not used, because the push failed or stored what existed already,
//! disappears with the next count. Deletions count from then on, too.

use super::{Registry, RegistryError, Repository, Result, Shows, UsageTotals, Visible, settings::Quota};
use crate::files::{Size, world};
use oci::{RepositoryName, Tag};
use std::{
    collections::HashMap,
    fmt,
    sync::{Mutex, PoisonError},
    time::Duration,
};

/// How long a count is used.
const FRESH: Duration = Duration::from_secs(60);

/// What the repositories of each quota hold, by its patterns.
#[derive(Default)]
pub(super) struct QuotaCounts(Mutex<HashMap<String, QuotaCount>>);

struct QuotaCount {
    at: Duration,
    held: UsageTotals,
}

/// What a push would add.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Growth {
    pub(super) bytes: u64,
    pub(super) tags: u64,
    pub(super) repositories: u64,
}

/// A quota that does not allow a push.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExceededQuota {
    /// The patterns of its repositories.
    pub patterns: String,
    /// The limit.
    pub limit: QuotaLimit,
}

/// A limit of a quota.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QuotaLimit {
    /// Bytes.
    Bytes(u64),
    /// Tags.
    Tags(u64),
    /// Repositories.
    Repositories(u64),
}

impl fmt::Display for ExceededQuota {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let patterns = &self.patterns;
        match self.limit {
            QuotaLimit::Bytes(most) => {
                write!(f, "quota exceeded: the repositories {patterns} may hold {} together", Size(most))
            }
            QuotaLimit::Tags(most) => write!(f, "quota exceeded: the repositories {patterns} may have {most} tags"),
            QuotaLimit::Repositories(most) => write!(f, "quota exceeded: there may be {most} repositories {patterns}"),
        }
    }
}

/// The repositories that a quota counts.
struct CountedBy<'q>(&'q Quota);

impl Visible for CountedBy<'_> {
    fn shows(&self, repository: &RepositoryName) -> Shows {
        self.0.counts(repository).into()
    }

    fn reaches(&self, prefix: &RepositoryName) -> bool {
        self.0.repositories.reach(prefix, None, |_| true)
    }
}

impl Quota {
    /// The limit that would be exceeded by this much more.
    fn exceeded(&self, held: &UsageTotals, growth: Growth) -> Option<QuotaLimit> {
        let is_over = |held: u64, more: u64, most: u64| more > 0 && held.saturating_add(more) > most;
        let bytes = self.bytes.filter(|most| is_over(held.bytes, growth.bytes, *most));
        let tags = self.tags.filter(|most| is_over(held.tags, growth.tags, *most));
        let number = self.number.filter(|most| is_over(held.repositories, growth.repositories, *most));
        bytes.map(QuotaLimit::Bytes).or(tags.map(QuotaLimit::Tags)).or(number.map(QuotaLimit::Repositories))
    }
}

impl Repository {
    /// Checks that every quota allows this much more.
    ///
    /// # Errors
    /// [`RegistryError::QuotaExceeded`].
    pub(super) async fn check_quotas(&self, growth: Growth) -> Result<()> {
        for quota in self.quotas() {
            self.registry.held_by(quota).await?;
            self.registry.core.quotas.claim(quota, growth, false)?;
        }
        Ok(())
    }

    /// Claims this much more of every quota.
    ///
    /// # Errors
    /// [`RegistryError::QuotaExceeded`].
    pub(super) async fn claim_quotas(&self, growth: Growth) -> Result<()> {
        // All are checked first, so that a refusal claims nothing.
        self.check_quotas(growth).await?;
        for quota in self.quotas() {
            self.registry.core.quotas.claim(quota, growth, true)?;
        }
        Ok(())
    }

    /// What a push of a manifest with these tags adds.
    pub(super) async fn growth_of_push(&self, bytes: u64, tags: &[Tag]) -> Result<Growth> {
        if !self.has_quotas() {
            return Ok(Growth::default());
        }
        let mut growth = Growth { bytes, ..Growth::default() };
        for tag in tags {
            growth.tags += u64::from(self.tagged(tag).await?.is_none());
        }
        growth.repositories = u64::from(!self.exists().await?);
        Ok(growth)
    }

    /// Whether any quota counts it.
    pub(super) fn has_quotas(&self) -> bool {
        self.quotas().next().is_some()
    }

    fn quotas(&self) -> impl Iterator<Item = &Quota> {
        self.settings().quotas.iter().filter(|quota| quota.counts(&self.name))
    }
}

impl Registry {
    /// Every quota, and what its repositories hold.
    ///
    /// # Errors
    /// Only the store's.
    pub async fn quotas(&self) -> Result<Vec<(Quota, UsageTotals)>> {
        let mut quotas = Vec::new();
        for quota in &self.settings.quotas {
            quotas.push((quota.clone(), self.held_by(quota).await?));
        }
        Ok(quotas)
    }

    /// What the repositories of a quota hold.
    async fn held_by(&self, quota: &Quota) -> Result<UsageTotals> {
        let now = world::uptime();
        if let Some(held) = self.core.quotas.fresh(quota, now) {
            return Ok(held);
        }
        let held = self.totals(&CountedBy(quota)).await?;
        let mut counts = self.core.quotas.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Those of settings that are no longer in force.
        counts.retain(|_, count| now.saturating_sub(count.at) < FRESH);
        counts.insert(quota.patterns(), QuotaCount { at: now, held });
        Ok(held)
    }
}

impl QuotaCounts {
    fn fresh(&self, quota: &Quota, now: Duration) -> Option<UsageTotals> {
        let counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.get(&quota.patterns())?;
        (now.saturating_sub(count.at) < FRESH).then_some(count.held)
    }

    /// Checks a quota, and counts the growth if it `keeps` it.
    fn claim(&self, quota: &Quota, growth: Growth, keeps: bool) -> Result<()> {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(count) = counts.get_mut(&quota.patterns()) else { return Ok(()) };
        if let Some(limit) = quota.exceeded(&count.held, growth) {
            return Err(RegistryError::QuotaExceeded(ExceededQuota { patterns: quota.patterns(), limit }));
        }
        if keeps {
            count.held.bytes = count.held.bytes.saturating_add(growth.bytes);
            count.held.tags += growth.tags;
            count.held.repositories += growth.repositories;
        }
        Ok(())
    }
}
