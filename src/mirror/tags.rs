//! The tags that the upstream has.

use super::{MirrorError, MirrorFetch, MirrorResult, Mirrors};
use crate::{config::MirrorRule, files::world};
use client::PageRequest;
use oci::{RepositoryName, Tag};
use quick_cache::Weighter;
use std::{sync::Arc, time::Duration};

/// The most tags of one repository that are listed.
const MOST_TAGS: usize = 100_000;

/// Tags of all lists that are remembered.
pub(super) const MOST_REMEMBERED: u64 = 500_000;

/// Tags of a page.
const PAGE: u32 = 1000;

/// How long the upstream may take for a whole list.
const LIMIT: Duration = Duration::from_secs(30);

/// In place of a tag: what is known to be absent may be the list itself.
const LIST: &str = "tags/list";

/// A list, and when it was fetched.
pub(super) type UpstreamTags = (Duration, Arc<[Tag]>);

/// A list weighs what it holds.
#[derive(Clone)]
pub(super) struct ByLength;

impl Weighter<RepositoryName, UpstreamTags> for ByLength {
    fn weight(&self, _: &RepositoryName, (_, tags): &UpstreamTags) -> u64 {
        tags.len() as u64 + 1
    }
}

impl Mirrors {
    /// The tags of the upstream in byte order, as they were at most `mirror.tag_ttl_seconds` ago; older if it does not
    /// answer and the rule allows that.
    ///
    /// # Errors
    /// [`MirrorError`].
    pub async fn tags(&self, rule: &Arc<MirrorRule>, name: &RepositoryName) -> Result<Arc<[Tag]>, MirrorError> {
        let counters = self.0.counters.of(rule);
        let known = self.0.lists.get(name);
        if let Some((since, tags)) = &known
            && world::uptime().saturating_sub(*since) < rule.tag_ttl
        {
            counters.request(MirrorResult::Hit);
            return Ok(tags.clone());
        }
        let (mirrors, of_rule, key) = (self.clone(), rule.clone(), name.clone());
        let fetch = move || async move {
            let absent = (key.clone(), LIST.to_owned());
            if mirrors.is_absent(&absent) {
                return Err(MirrorError::Absent);
            }
            let listed = tokio::time::timeout(LIMIT, mirrors.list(&of_rule, &key)).await;
            let listed = listed.unwrap_or_else(|_| {
                let why = format!("its list of tags takes longer than {} seconds", LIMIT.as_secs());
                Err(MirrorError::Unavailable { upstream: of_rule.upstream().to_owned(), why, seconds: LIMIT.as_secs() })
            });
            mirrors.learn(absent, &listed);
            if let Ok(tags) = &listed {
                mirrors.0.lists.insert(key, (world::uptime(), tags.clone()));
            }
            listed
        };
        let listed = self.0.listings.join(name.clone(), fetch).await;
        match (listed.unwrap_or_else(|| Err(MirrorError::Store("a task panicked".to_owned()))), known) {
            (Ok(tags), _) => {
                counters.request(MirrorResult::Fetched);
                Ok(tags)
            }
            (Err(MirrorError::Absent), _) => {
                counters.request(MirrorResult::Absent);
                Err(MirrorError::Absent)
            }
            (Err(_), Some((_, tags))) if rule.serves_stale => {
                counters.request(MirrorResult::Stale);
                Ok(tags)
            }
            (Err(error), _) => {
                counters.request(MirrorResult::Error);
                Err(error)
            }
        }
    }

    async fn list(&self, rule: &MirrorRule, name: &RepositoryName) -> Result<Arc<[Tag]>, MirrorError> {
        let upstream = rule.upstream_name(name).ok_or(MirrorError::Absent)?;
        self.0.upstreams.may_ask(rule)?;
        let counters = self.0.counters.of(rule);
        counters.fetch(MirrorFetch::Tags);
        let mut pages = rule.client.tags(&upstream, &PageRequest { size: Some(PAGE), after: None });
        let mut tags: Vec<Tag> = Vec::new();
        while let Some(page) = pages.next_page().await.map_err(|error| self.failed(rule, &error))? {
            tags.extend(page);
            if tags.len() >= MOST_TAGS {
                tracing::warn!(repository = %name, "a mirrored repository has more than {MOST_TAGS} tags; the rest is not listed");
                tags.truncate(MOST_TAGS);
                break;
            }
        }
        tags.sort_unstable_by(|a, b| a.as_str().cmp(b.as_str()));
        tags.dedup();
        Ok(tags.into())
    }
}
