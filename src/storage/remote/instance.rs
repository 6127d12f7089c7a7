//! Which processes are at work. All of it only avoids needless work: two collections at once, or intents of processes
//! that seem to have ended, do no harm.

use super::ObjectStorage;
use crate::{
    files::world,
    storage::{
        Exclusive, InstanceId, Result,
        objects::{ObjectError, ObjectMeta, Objects, PutWhen},
    },
};
use bytes::Bytes;
use std::{
    sync::{Arc, Mutex, atomic::Ordering},
    time::{Duration, SystemTime},
};

/// How often a process that writes intents says that it lives.
const SAID_EVERY: Duration = Duration::from_secs(60);

/// After so long without a word, a process has ended.
const DEAD_AFTER: Duration = Duration::from_secs(900);

/// After so long, a collection that has not ended is over.
const COLLECTING_FOR: Duration = Duration::from_secs(900);

/// The object by which a collection tells others that it runs.
const COLLECTING: &str = "state/collection.lock";

/// Where processes say that they live.
const INSTANCES: &str = "state/instances/";

impl ObjectStorage {
    /// Says that this process lives, if it did not say so lately.
    pub(super) async fn say_alive(&self) -> Result<()> {
        let now = u64::try_from(world::uptime().as_millis()).unwrap_or(u64::MAX).max(1);
        let last = self.said.load(Ordering::Relaxed);
        if last != 0 && now.saturating_sub(last) < SAID_EVERY.as_millis() as u64 {
            return Ok(());
        }
        self.put_object(&format!("{INSTANCES}{}", self.instance.0), Bytes::new()).await?;
        self.said.store(now, Ordering::Relaxed);
        Ok(())
    }

    pub(super) async fn is_alive(&self, instance: InstanceId) -> Result<bool> {
        if instance == self.instance {
            return Ok(true);
        }
        let said = self.meta(&format!("{INSTANCES}{}", instance.0)).await?;
        Ok(said.is_some_and(|meta| !self.idle_for(meta.modified, DEAD_AFTER)))
    }

    pub(super) async fn collect_alone(&self) -> Result<Option<Exclusive>> {
        #[cfg(test)]
        if self.together {
            return Ok(Some(Exclusive::new(())));
        }
        if std::mem::replace(&mut *world::lock(&self.collecting), true) {
            return Ok(None);
        }
        let mut release = CollectionEnd { running: self.collecting.clone(), objects: None };
        let ours = Bytes::from(format!("{}\n", self.instance.0));
        let found = self.whole(COLLECTING, 1 << 10).await?;
        let is_taken = |(meta, bytes): &(ObjectMeta, Bytes)| {
            *bytes != ours && !self.idle_for(meta.modified, COLLECTING_FOR) && !bytes.is_empty()
        };
        if found.as_ref().is_some_and(is_taken) {
            return Ok(None);
        }
        let abilities = self.objects.abilities();
        let when = match found.and_then(|(meta, _)| meta.tag) {
            Some(tag) if abilities.put_match => PutWhen::Is(tag),
            None if abilities.put_absent => PutWhen::Absent,
            _ => PutWhen::Any,
        };
        match self.objects.put(COLLECTING, vec![ours], when).await {
            Ok(_) => {
                release.objects = Some(self.objects.clone());
                Ok(Some(Exclusive::new(release)))
            }
            Err(ObjectError::Changed) => Ok(None),
            Err(error) => Err(error.during("write", COLLECTING)),
        }
    }

    /// Removes what processes that ended long ago have said.
    pub(super) async fn tidy_notes(&self, before: SystemTime) -> Result<u64> {
        let instances = self.list_all(INSTANCES).await?;
        let ended = instances
            .into_iter()
            .filter(|object| object.modified < before && self.idle_for(object.modified, 4 * DEAD_AFTER));
        let keys: Vec<String> = ended.map(|object| object.key).collect();
        let count = keys.len() as u64;
        self.delete_objects(keys).await?;
        Ok(count)
    }
}

/// Lets this process collect again, and tells others that the collection has ended.
struct CollectionEnd {
    running: Arc<Mutex<bool>>,
    objects: Option<Arc<dyn Objects>>,
}

impl Drop for CollectionEnd {
    fn drop(&mut self) {
        *world::lock(&self.running) = false;
        // Where nothing can be awaited, others wait until the object is old.
        if let (Some(objects), Ok(runtime)) = (self.objects.take(), tokio::runtime::Handle::try_current()) {
            runtime.spawn(async move { objects.put(COLLECTING, vec![Bytes::new()], PutWhen::Any).await.map(drop) });
        }
    }
}
