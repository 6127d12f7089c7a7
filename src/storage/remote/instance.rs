//! Which processes are at work. All of it only avoids needless work: two collections at once, or intents of processes
//! that seem to have ended, do no harm.

use super::ObjectStorage;
use crate::{
    files::world,
    storage::{
        Exclusive, InstanceId, Lifecycle as _, Result,
        objects::{ObjectError, ObjectMeta, Objects, PutWhen},
    },
};
use bytes::Bytes;
use std::{
    sync::{Arc, Mutex, atomic::Ordering},
    time::{Duration, SystemTime},
};
use tokio::sync::oneshot;

/// How often a process that writes intents says that it lives.
const SAID_EVERY: Duration = Duration::from_secs(60);

/// After so long without a word, a process has ended.
const DEAD_AFTER: Duration = Duration::from_secs(900);

/// How often a collection says that it runs.
const COLLECTING_EVERY: Duration = Duration::from_secs(30);

/// After so long without a word, a collection has ended: its process was killed.
const COLLECTING_FOR: Duration = Duration::from_secs(150);

/// How often a collection tries to begin while the object changes.
const ATTEMPTS: usize = 3;

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
        let mut running = CollectionEnd { running: self.collecting.clone(), told: None };
        for _ in 0..ATTEMPTS {
            let found = self.whole(COLLECTING, 1 << 10).await?;
            if let Some((meta, bytes)) = &found
                && self.is_collecting(meta, bytes).await?
            {
                return Ok(None);
            }
            // Unlike any before it, also in its ETag.
            let ours = Bytes::from(format!("{} {}\n", self.instance.0, world::ulid()));
            let abilities = self.objects.abilities();
            let when = match found.and_then(|(meta, _)| meta.tag) {
                Some(tag) if abilities.put_match => PutWhen::Is(tag),
                None if abilities.put_absent => PutWhen::Absent,
                _ => PutWhen::Any,
            };
            match self.objects.put(COLLECTING, vec![ours.clone()], when).await {
                Ok(tag) => {
                    let when = tag.filter(|_| abilities.put_match).map_or(PutWhen::Any, PutWhen::Is);
                    running.told = tell(self.objects.clone(), ours, when);
                    return Ok(Some(Exclusive::new(running)));
                }
                // Another process has begun, or the last one of this process has just ended.
                Err(ObjectError::Changed) => {}
                Err(error) => return Err(error.during("write", COLLECTING)),
            }
        }
        Ok(None)
    }

    /// Whether another process is collecting.
    async fn is_collecting(&self, meta: &ObjectMeta, bytes: &Bytes) -> Result<bool> {
        if bytes.is_empty() || bytes.starts_with(self.instance.0.to_string().as_bytes()) {
            return Ok(false);
        }
        // The clocks of the machines may differ by more than the time that counts here.
        self.now().await?;
        Ok(!self.idle_for(meta.modified, COLLECTING_FOR))
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
        Ok(count + self.tidy_audit().await?)
    }
}

/// Lets this process collect again, and tells others that the collection has ended.
struct CollectionEnd {
    running: Arc<Mutex<bool>>,
    /// The collection ends when it is dropped.
    told: Option<oneshot::Sender<()>>,
}

impl Drop for CollectionEnd {
    fn drop(&mut self) {
        *world::lock(&self.running) = false;
    }
}

/// Tells other processes that a collection runs, again and again until the sender is dropped, and that it has ended.
/// Where nothing can be awaited, they wait until the object is old.
fn tell(objects: Arc<dyn Objects>, ours: Bytes, mut when: PutWhen) -> Option<oneshot::Sender<()>> {
    let runtime = tokio::runtime::Handle::try_current().ok()?;
    let (sender, mut ended) = oneshot::channel();
    runtime.spawn(async move {
        while tokio::time::timeout(COLLECTING_EVERY, &mut ended).await.is_err() {
            match objects.put(COLLECTING, vec![ours.clone()], when.clone()).await {
                Ok(Some(tag)) if when != PutWhen::Any => when = PutWhen::Is(tag),
                // Another process took this one for dead. Two collections at once do no harm.
                Err(ObjectError::Changed) => return,
                // The next attempt may come in time.
                Ok(_) | Err(_) => {}
            }
        }
        // If this fails, others wait until the object is old.
        let _ = objects.put(COLLECTING, vec![Bytes::new()], when).await;
    });
    Some(sender)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::objects::MemObjects;

    async fn replica(objects: &Arc<MemObjects>) -> ObjectStorage {
        ObjectStorage::open(objects.clone(), true).await.unwrap()
    }

    async fn begins(store: &ObjectStorage) -> Option<Exclusive> {
        store.collect_alone().await.unwrap()
    }

    #[tokio::test]
    async fn another_process_collects_when_the_first_has_ended() {
        let objects = Arc::new(MemObjects::default());
        let (one, two) = (replica(&objects).await, replica(&objects).await);
        let first = begins(&one).await.unwrap();
        assert!(begins(&two).await.is_none());
        drop(first);
        for _ in 0..3 {
            tokio::task::yield_now().await;
        }
        assert!(begins(&two).await.is_some());
    }

    #[tokio::test]
    async fn a_process_that_was_killed_holds_others_up_for_minutes_only() {
        let objects = Arc::new(MemObjects::default());
        let (killed, two) = (replica(&objects).await, replica(&objects).await);
        std::mem::forget(begins(&killed).await.unwrap());
        two.set_clock(world::now() + COLLECTING_FOR / 2);
        assert!(begins(&two).await.is_none(), "its own clock does not count");
        objects.age(COLLECTING, COLLECTING_FOR);
        assert!(begins(&two).await.is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn a_long_collection_says_that_it_still_runs() {
        let objects = Arc::new(MemObjects::default());
        let (one, two) = (replica(&objects).await, replica(&objects).await);
        let _first = begins(&one).await.unwrap();
        objects.age(COLLECTING, COLLECTING_FOR);
        tokio::time::sleep(COLLECTING_EVERY * 2).await;
        assert!(begins(&two).await.is_none());
    }
}
