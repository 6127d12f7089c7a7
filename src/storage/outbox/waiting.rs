//! Which writes wait, in which order they may be uploaded, and what they mean for readers.

use super::journal::JournalRecord;
use crate::storage::objects::{ObjectMeta, ObjectTag};
use std::{
    collections::{BTreeMap, HashMap, HashSet},
    ops::Bound,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant, SystemTime},
};

/// Wait after the first failed attempt to upload; doubled with each failure.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// How many writes are looked at for one that may be uploaded.
const LOOK_AHEAD: usize = 1024;

/// A write that waits.
pub(super) struct WaitingWrite {
    pub(super) number: u64,
    pub(super) record: JournalRecord,
    /// Bytes that the server has.
    pub(super) done: AtomicU64,
}

impl WaitingWrite {
    pub(super) fn new(number: u64, record: JournalRecord) -> Self {
        Self { number, record, done: AtomicU64::new(0) }
    }

    /// What the object is when this is the last write of it; `None` if it is removed.
    pub(super) fn meta(&self) -> Option<ObjectMeta> {
        match &self.record {
            JournalRecord::Put { len, modified, .. } => Some(ObjectMeta {
                len: *len,
                modified: SystemTime::UNIX_EPOCH + Duration::from_millis(*modified),
                tag: Some(journal_tag(self.number)),
            }),
            JournalRecord::Delete { .. } => None,
        }
    }
}

/// The failed attempts at one write.
#[derive(Clone, Debug)]
pub(super) struct UploadTrouble {
    pub(super) tries: u32,
    pub(super) next: Instant,
    pub(super) why: String,
}

/// All writes that wait.
#[derive(Default)]
pub(super) struct Waiting {
    writes: BTreeMap<u64, Arc<WaitingWrite>>,
    /// The numbers of the writes of each key.
    of_key: BTreeMap<String, Vec<u64>>,
    under_way: HashSet<u64>,
    troubles: HashMap<u64, UploadTrouble>,
    /// The highest number that was acknowledged.
    acknowledged: u64,
    next: u64,
    /// Bytes of all of them.
    pub(super) bytes: u64,
}

impl Waiting {
    /// What an earlier process left.
    pub(super) fn of(loaded: Vec<(u64, JournalRecord)>) -> Self {
        let mut waiting = Self { next: 1, ..Self::default() };
        for (number, record) in loaded {
            waiting.add(number, record);
        }
        waiting
    }

    /// The highest number that was acknowledged: whoever begins a write now may rely on everything up to it.
    pub(super) fn acknowledged(&self) -> u64 {
        self.acknowledged
    }

    /// A number for a new write.
    pub(super) fn number(&mut self) -> u64 {
        let number = self.next;
        self.next += 1;
        number
    }

    /// Adds a write that is durable.
    pub(super) fn add(&mut self, number: u64, record: JournalRecord) {
        self.next = self.next.max(number + 1);
        self.acknowledged = self.acknowledged.max(number);
        self.bytes += record.len();
        for key in record.keys() {
            let numbers = self.of_key.entry(key.clone()).or_default();
            let place = numbers.partition_point(|other| *other < number);
            numbers.insert(place, number);
        }
        self.writes.insert(number, Arc::new(WaitingWrite::new(number, record)));
    }

    /// Forgets a write that was uploaded.
    pub(super) fn remove(&mut self, number: u64) {
        self.under_way.remove(&number);
        self.troubles.remove(&number);
        let Some(write) = self.writes.remove(&number) else { return };
        self.bytes = self.bytes.saturating_sub(write.record.len());
        for key in write.record.keys() {
            if let Some(numbers) = self.of_key.get_mut(key) {
                numbers.retain(|other| *other != number);
                if numbers.is_empty() {
                    self.of_key.remove(key);
                }
            }
        }
    }

    /// The last write of a key that waits.
    pub(super) fn last(&self, key: &str) -> Option<&Arc<WaitingWrite>> {
        self.of_key.get(key).and_then(|numbers| numbers.last()).and_then(|number| self.writes.get(number))
    }

    /// The keys below a prefix and after a key whose writes wait: what they will be, or `None` if they are removed.
    pub(super) fn below<'a>(
        &'a self,
        prefix: &'a str,
        after: Option<&'a str>,
    ) -> impl Iterator<Item = (&'a String, Option<ObjectMeta>)> {
        let from = match after {
            Some(after) if after >= prefix => Bound::Excluded(after),
            _ => Bound::Included(prefix),
        };
        let keys = self.of_key.range::<str, _>((from, Bound::Unbounded));
        let keys = keys.take_while(move |(key, _)| key.starts_with(prefix));
        keys.filter_map(|(key, numbers)| {
            let write = self.writes.get(numbers.last()?)?;
            Some((key, write.meta()))
        })
    }

    /// A write that may be uploaded now, and that nobody uploads yet. Otherwise when to look again, if a failed one
    /// has to wait.
    pub(super) fn take(&mut self, is_free: fn(&str) -> bool) -> Result<Arc<WaitingWrite>, Option<Instant>> {
        let now = Instant::now();
        let (mut soonest, mut first) = (None, None);
        for (number, write) in self.writes.iter().take(LOOK_AHEAD) {
            let first = *first.get_or_insert(*number);
            if self.under_way.contains(number) {
                continue;
            }
            // Nothing further behind can be ready if it relies on what came before it.
            let relies = !may_go_ahead(&write.record, is_free) && write.record.after() >= first && first != *number;
            let follows = write.record.keys().iter().any(|key| {
                self.of_key.get(key).and_then(|numbers| numbers.first()).is_some_and(|lowest| lowest != number)
            });
            if relies || follows {
                continue;
            }
            match self.troubles.get(number).filter(|trouble| trouble.next > now) {
                Some(trouble) => {
                    let next = soonest.map_or(trouble.next, |soonest: Instant| soonest.min(trouble.next));
                    soonest = Some(next);
                }
                None => {
                    let write = write.clone();
                    self.under_way.insert(write.number);
                    return Ok(write);
                }
            }
        }
        Err(soonest)
    }

    /// Notes that an upload failed. Returns the number of attempts.
    pub(super) fn failed(&mut self, number: u64, why: String) -> u32 {
        self.under_way.remove(&number);
        let tries = self.troubles.get(&number).map_or(0, |trouble| trouble.tries) + 1;
        let pause = FIRST_PAUSE.saturating_mul(1 << (tries - 1).min(10)).min(LONGEST_PAUSE);
        self.troubles.insert(number, UploadTrouble { tries, next: Instant::now() + pause, why });
        tries
    }

    /// What the object of a write is, as callers will know it.
    pub(super) fn head_of(&self, number: u64) -> Option<ObjectMeta> {
        self.writes.get(&number).and_then(|write| write.meta())
    }

    pub(super) fn len(&self) -> usize {
        self.writes.len()
    }

    /// Those at the head of the queue, whether they are being uploaded, and their failed attempts.
    pub(super) fn head(&self, most: usize) -> impl Iterator<Item = (&Arc<WaitingWrite>, bool, Option<&UploadTrouble>)> {
        let state = |(number, write)| (write, self.under_way.contains(number), self.troubles.get(number));
        self.writes.iter().take(most).map(state)
    }

    /// Bytes of what is being uploaded that the server has.
    pub(super) fn done(&self) -> u64 {
        let under_way = self.under_way.iter().filter_map(|number| self.writes.get(number));
        under_way.map(|write| write.done.load(Ordering::Relaxed)).sum()
    }
}

/// What an object is called that this write made, now and after it was uploaded.
pub(super) fn journal_tag(number: u64) -> ObjectTag {
    ObjectTag(format!("journal-{number}"))
}

/// Whether a write relies on nothing before it, such as the bytes of a blob. Nothing points to them before a later write
/// does, and that one waits for them.
fn may_go_ahead(record: &JournalRecord, is_free: fn(&str) -> bool) -> bool {
    matches!(record, JournalRecord::Put { key, .. } if is_free(key))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(key: &str, after: u64) -> JournalRecord {
        JournalRecord::Put { key: key.into(), len: 1, sha256: vec![], modified: 0, after }
    }

    fn is_blob(key: &str) -> bool {
        key.starts_with("blobs/")
    }

    /// What can be taken until nothing can.
    fn all(waiting: &mut Waiting) -> Vec<u64> {
        std::iter::from_fn(|| waiting.take(is_blob).ok().map(|write| write.number)).collect()
    }

    #[test]
    fn a_write_goes_after_all_that_was_acknowledged_before_it_began() {
        let writes = [(1, put("blobs/a", 0)), (2, put("link", 1)), (3, put("blobs/b", 2)), (4, put("tag", 3))];
        let mut waiting = Waiting::of(writes.into());
        assert_eq!(all(&mut waiting), [1, 3], "blobs go at once");
        waiting.remove(3);
        assert_eq!(all(&mut waiting), [0; 0], "the link waits for the first blob");
        waiting.remove(1);
        assert_eq!(all(&mut waiting), [2]);
        waiting.remove(2);
        assert_eq!(all(&mut waiting), [4]);
        waiting.remove(4);
        assert_eq!((waiting.len(), waiting.bytes, waiting.acknowledged()), (0, 0, 4));
        assert_eq!(waiting.number(), 5, "numbers are never used again");
    }

    #[test]
    fn writes_that_overlapped_go_together_but_not_those_of_one_key() {
        let writes = [(1, put("a", 0)), (2, put("b", 0)), (3, put("a", 0)), (4, put("c", 0))];
        let mut waiting = Waiting::of(writes.into());
        assert_eq!(all(&mut waiting), [1, 2, 4]);
        waiting.remove(1);
        assert_eq!(all(&mut waiting), [3]);
    }

    #[test]
    fn readers_see_the_last_write_and_a_failed_upload_waits() {
        let gone = JournalRecord::Delete { keys: vec!["d/a".into(), "d/c".into()], after: 0 };
        let mut waiting = Waiting::of(vec![(1, put("d/a", 0)), (2, put("d/b", 0)), (3, gone)]);
        let seen: Vec<_> = waiting.below("d/", None).map(|(key, meta)| (key.as_str(), meta.is_some())).collect();
        assert_eq!(seen, [("d/a", false), ("d/b", true), ("d/c", false)]);
        assert_eq!(waiting.below("d/", Some("d/b")).count(), 1);
        assert!(waiting.last("d/b").unwrap().meta().is_some() && waiting.last("d/x").is_none());
        assert_eq!(all(&mut waiting), [1, 2]);
        assert_eq!((waiting.failed(1, "why".into()), waiting.failed(2, "why".into())), (1, 1));
        assert!(waiting.take(is_blob).err().unwrap().is_some(), "later");
        assert_eq!(waiting.head(9).filter_map(|(_, _, trouble)| trouble).count(), 2);
    }
}
