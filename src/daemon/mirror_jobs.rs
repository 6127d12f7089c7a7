//! What the daemon does for repositories that mirror another registry.

use super::jobs::{AFTER_FAILURE, Keeper, SWEEP_EVERY, TICK};
use crate::{
    config::{Live, MirrorRule},
    jobs::{Job, Run, Schedule, has_passed},
    mirror::{Evicted, Mirrors, SyncedTags, evict},
};
use async_trait::async_trait;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::SystemTime,
};
use tracing::{info, warn};

/// Removes what mirrors stored and nobody pulls.
pub(super) struct EvictMirrored(pub(super) Keeper);

#[async_trait]
impl Job for EvictMirrored {
    fn name(&self) -> &'static str {
        "mirror_eviction"
    }

    fn schedule(&self) -> Option<Schedule> {
        let evicts = |live: &Live| live.mirrors.iter().any(|rule| rule.unused.is_some() || rule.max_bytes.is_some());
        self.0.schedule(|live| evicts(live).then(|| Schedule::every(SWEEP_EVERY)))
    }

    async fn run(&self, _: &Run) -> Result<(), String> {
        let live = self.0.generation.load_full();
        match evict(&self.0.registry(), &live, SystemTime::now()).await {
            Ok(Evicted { manifests: 0, .. }) => {}
            Ok(Evicted { manifests, bytes }) => info!(manifests, bytes, "mirrored content removed that nobody pulls"),
            Err(error) => {
                warn!(%error, "cannot remove mirrored content; retrying later");
                return Err(error.to_string());
            }
        }
        Ok(())
    }
}

/// Fetches the tags that mirrors are to have before anybody pulls them.
pub(super) struct SyncMirrors {
    keeper: Keeper,
    mirrors: Mirrors,
    /// When the tags of a rule were last fetched, by its upstream and patterns.
    done: Mutex<HashMap<String, SystemTime>>,
}

impl SyncMirrors {
    pub(super) fn new(keeper: Keeper, mirrors: Mirrors) -> Self {
        Self { keeper, mirrors, done: Mutex::default() }
    }

    fn done(&self) -> MutexGuard<'_, HashMap<String, SystemTime>> {
        self.done.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn due(&self, live: &Live) -> Vec<(String, Arc<MirrorRule>)> {
        let (done, now) = (self.done(), SystemTime::now());
        let due = live.mirrors.iter().filter_map(|rule| {
            let every = rule.sync.as_ref()?.every;
            let name = format!("{} {:?}", rule.upstream(), rule.repositories);
            let is_due = done.get(&name).is_none_or(|last| has_passed(*last, every, now));
            is_due.then(|| (name, rule.clone()))
        });
        due.collect()
    }
}

#[async_trait]
impl Job for SyncMirrors {
    fn name(&self) -> &'static str {
        "mirror_sync"
    }

    fn schedule(&self) -> Option<Schedule> {
        let backoff = Schedule { after_failure: TICK, longest: AFTER_FAILURE, ..Schedule::every(TICK) };
        self.keeper.schedule(|live| live.mirrors.iter().any(|rule| rule.sync.is_some()).then_some(backoff))
    }

    async fn is_due(&self) -> bool {
        !self.due(&self.keeper.generation.load()).is_empty()
    }

    async fn run(&self, _: &Run) -> Result<(), String> {
        let live = self.keeper.generation.load_full();
        for (name, rule) in self.due(&live) {
            let SyncedTags { tags, failed } = match self.mirrors.sync(&self.keeper.registry(), &live, &rule).await {
                Ok(synced) => synced,
                Err(error) => {
                    warn!(upstream = rule.upstream(), %error, "cannot fetch the tags of a mirror; retrying later");
                    return Err(error.to_string());
                }
            };
            info!(upstream = rule.upstream(), tags, failed, "the tags of a mirror are up to date");
            self.done().insert(name, SystemTime::now());
        }
        Ok(())
    }
}
