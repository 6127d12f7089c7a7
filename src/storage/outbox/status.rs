//! How much waits, for people and metrics.

use super::{WriteBehind, journal::JournalRecord};
use crate::{files::world, storage::objects::Objects};
use async_trait::async_trait;
use std::{
    sync::atomic::Ordering,
    time::{Duration, Instant, SystemTime},
};

/// How many writes are shown.
const SHOWN: usize = 100;

/// What waits in an outbox.
#[derive(Clone, Debug)]
pub struct OutboxStatus {
    /// Writes that wait.
    pub writes: u64,
    /// Their bytes, and those of objects in parts that are not complete.
    pub bytes: u64,
    /// Bytes of these that the server has.
    pub done: u64,
    /// Most bytes that may wait.
    pub most_bytes: u64,
    /// How long the oldest write has waited.
    pub oldest: Option<Duration>,
    /// Uploads since the start, and their bytes.
    pub uploads: u64,
    pub uploaded_bytes: u64,
    /// Failed attempts since the start.
    pub failures: u64,
    /// Objects that the server is known to have.
    pub objects: u64,
    /// Whether these are all. Until then, pushes ask the server.
    pub knows_all: bool,
    /// The first ones.
    pub items: Vec<OutboxItem>,
}

/// A write that waits.
#[derive(Clone, Debug)]
pub struct OutboxItem {
    pub number: u64,
    /// The object, or the first of those that are removed.
    pub key: String,
    /// Whether objects are removed.
    pub removes: bool,
    pub bytes: u64,
    /// Bytes that the server has.
    pub done: u64,
    pub is_under_way: bool,
    /// Failed attempts, the last reason, and the time until the next attempt.
    pub tries: u32,
    pub error: Option<String>,
    pub next_try: Option<Duration>,
}

/// An outbox, whatever is behind it.
#[async_trait]
pub trait OutboxWatch: Send + Sync {
    /// What waits now.
    fn status(&self) -> OutboxStatus;

    /// Waits until nothing is left to upload, but not longer than this; then ends the uploads. What is left goes on at
    /// the next start. Returns how many writes are left.
    async fn drain(&self, most: Duration) -> usize;
}

#[async_trait]
impl<O: Objects> OutboxWatch for WriteBehind<O> {
    async fn drain(&self, most: Duration) -> usize {
        self.upload_for(most).await
    }

    fn status(&self) -> OutboxStatus {
        let state = &self.0;
        let growing = state.growing.load(Ordering::Relaxed);
        let (objects, knows_all) = {
            let index = state.index();
            (index.len() as u64, index.is_complete())
        };
        let waiting = state.waiting();
        let now = Instant::now();
        let items = waiting.head(SHOWN).map(|(write, is_under_way, trouble)| OutboxItem {
            number: write.number,
            key: write.record.keys().first().cloned().unwrap_or_default(),
            removes: matches!(write.record, JournalRecord::Delete { .. }),
            bytes: write.record.len(),
            done: write.done.load(Ordering::Relaxed),
            is_under_way,
            tries: trouble.map_or(0, |trouble| trouble.tries),
            error: trouble.map(|trouble| trouble.why.clone()),
            next_try: trouble.map(|trouble| trouble.next.saturating_duration_since(now)),
        });
        let items: Vec<_> = items.collect();
        let oldest = waiting.head(1).find_map(|(write, ..)| match &write.record {
            JournalRecord::Put { modified, .. } => Some(SystemTime::UNIX_EPOCH + Duration::from_millis(*modified)),
            JournalRecord::Delete { .. } => None,
        });
        OutboxStatus {
            writes: waiting.len() as u64,
            bytes: waiting.bytes + growing,
            done: waiting.done(),
            most_bytes: state.settings.most_bytes,
            oldest: oldest.and_then(|since| world::now().duration_since(since).ok()),
            uploads: state.uploads.load(Ordering::Relaxed),
            uploaded_bytes: state.uploaded_bytes.load(Ordering::Relaxed),
            failures: state.failures.load(Ordering::Relaxed),
            objects,
            knows_all,
            items,
        }
    }
}
