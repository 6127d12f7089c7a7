//! What the daemon keeps for itself: its keys, and the audit log, an object for each line.
//!
//! Lines are kept for [`KEPT_FOR`]. They are numbered by ULIDs of which the bits are turned over, so that the last line is listed first.

use super::{AT_ONCE, LIST_PAGE, ObjectStorage, failed};
use crate::{
    files::world,
    storage::{
        LinePlace, Result, StoreRecords,
        objects::{ObjectError, PutWhen, found},
    },
};
use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use std::{
    sync::Mutex,
    time::{Duration, SystemTime},
};

/// The directory of the audit log.
const AUDIT: &str = "state/audit";

/// The longest key and the longest line.
const LONGEST: u64 = 64 << 10;

/// How long lines of the audit log are kept.
const KEPT_FOR: Duration = Duration::from_secs(400 * 24 * 3600);

/// The last line that this process wrote: a later one comes after it, also within a millisecond.
static LAST: Mutex<u128> = Mutex::new(0);

impl LinePlace {
    /// Of the next line.
    fn next() -> Self {
        let mut last = world::lock(&LAST);
        *last = world::ulid().0.max(last.saturating_add(1));
        Self::of(*last)
    }

    fn of(number: u128) -> Self {
        Self { file: (number >> 64) as u64, offset: number as u64 }
    }

    /// Of the first line that could be written at a time.
    fn at(time: SystemTime) -> Self {
        let millis = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_millis();
        Self::of(millis << ulid::Ulid::RAND_BITS)
    }

    fn key(self) -> String {
        let number = (u128::from(self.file) << 64) | u128::from(self.offset);
        format!("{AUDIT}/{:032x}", !number)
    }

    fn of_key(key: &str) -> Option<Self> {
        let number = u128::from_str_radix(key.strip_prefix(AUDIT)?.strip_prefix('/')?, 16).ok()?;
        Some(Self::of(!number))
    }
}

impl ObjectStorage {
    /// Removes old lines of the audit log. They are last in its list, so that one request shows that there are none.
    pub(super) async fn tidy_audit(&self) -> Result<u64> {
        let Some(oldest) = self.clock().checked_sub(KEPT_FOR) else { return Ok(0) };
        let (mut after, mut removed) = (LinePlace::at(oldest).key(), 0);
        loop {
            let page = self.objects.list(&format!("{AUDIT}/"), Some(&after), LIST_PAGE).await;
            let page = failed(page, "list", AUDIT)?;
            let keys: Vec<String> = page.objects.into_iter().map(|object| object.key).collect();
            let Some(last) = keys.last().cloned() else { return Ok(removed) };
            let lines = keys.into_iter().filter(|key| LinePlace::of_key(key).is_some());
            let lines: Vec<String> = lines.collect();
            removed += lines.len() as u64;
            self.delete_objects(lines).await?;
            if !page.more {
                return Ok(removed);
            }
            after = last;
        }
    }
}

#[async_trait]
impl StoreRecords for ObjectStorage {
    async fn ensure_signing_key(&self, path: &'static str, key: Bytes) -> Result<bool> {
        if self.meta(path).await?.is_some() {
            return Ok(false);
        }
        let when = if self.objects.abilities().put_absent { PutWhen::Absent } else { PutWhen::Any };
        match self.objects.put(path, vec![key.clone()], when).await {
            Ok(_) => Ok(true),
            // Another replica was first, or the answer to our own request was lost.
            Err(ObjectError::Changed) => Ok(self.whole(path, LONGEST).await?.is_some_and(|(_, found)| found == key)),
            Err(error) => Err(error.during("make a signing key", path)),
        }
    }

    async fn signing_key(&self, path: &'static str) -> Result<Option<Bytes>> {
        Ok(self.whole(path, LONGEST).await?.map(|(_, key)| key))
    }

    async fn append_audit(&self, line: Bytes) -> Result<()> {
        self.put_object(&LinePlace::next().key(), line).await?;
        Ok(())
    }

    async fn read_audit(&self, before: Option<LinePlace>, most: usize) -> Result<Vec<(LinePlace, Bytes)>> {
        let (mut places, mut after) = (Vec::new(), before.map(LinePlace::key));
        while places.len() < most {
            let asked = (most - places.len()).min(LIST_PAGE);
            let page = failed(self.objects.list(&format!("{AUDIT}/"), after.as_deref(), asked).await, "list", AUDIT)?;
            after = page.objects.last().map(|object| object.key.clone());
            places.extend(page.objects.iter().filter_map(|object| LinePlace::of_key(&object.key)));
            if !page.more || after.is_none() {
                break;
            }
        }
        let lines = stream::iter(places).map(|place| async move {
            let line = found(self.objects.get(&place.key(), None).await);
            let Some(body) = failed(line, "read", AUDIT)? else { return Ok(None) };
            Ok::<_, crate::storage::StorageError>(Some((place, failed(body.collect().await, "read", AUDIT)?)))
        });
        let lines: Vec<_> = lines.buffered(AT_ONCE).try_collect().await?;
        Ok(lines.into_iter().flatten().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::objects::MemObjects;
    use std::sync::Arc;

    async fn store() -> ObjectStorage {
        ObjectStorage::open(Arc::new(MemObjects::default()), true).await.unwrap()
    }

    #[tokio::test]
    async fn lines_are_read_newest_first_and_page_by_page() {
        let store = store().await;
        for n in 0..50 {
            store.append_audit(format!("line {n}").into()).await.unwrap();
        }
        let (mut all, mut before) = (Vec::new(), None);
        loop {
            let page = store.read_audit(before, 7).await.unwrap();
            let Some((last, _)) = page.last() else { break };
            before = Some(last.to_string().parse().unwrap());
            all.extend(page.into_iter().map(|(_, line)| String::from_utf8(line.to_vec()).unwrap()));
        }
        assert_eq!(all, (0..50).rev().map(|n| format!("line {n}")).collect::<Vec<_>>());
    }

    #[tokio::test]
    async fn old_lines_are_removed_and_younger_ones_stay() {
        let store = store().await;
        let day = Duration::from_secs(24 * 3600);
        for age in [0, 399, 401, 500] {
            let place = LinePlace::at(world::now() - day * age);
            store.put_object(&place.key(), format!("{age} days").into()).await.unwrap();
        }
        assert_eq!(store.tidy_audit().await.unwrap(), 2);
        assert_eq!(store.tidy_audit().await.unwrap(), 0);
        let left: Vec<_> = store.read_audit(None, 9).await.unwrap().into_iter().map(|(_, line)| line).collect();
        assert_eq!(left, ["0 days", "399 days"]);
    }

    #[tokio::test]
    async fn replicas_agree_on_the_first_key() {
        let store = store().await;
        assert_eq!(store.signing_key(crate::storage::SIGNING_KEY).await.unwrap(), None);
        assert!(store.ensure_signing_key(crate::storage::SIGNING_KEY, "one".into()).await.unwrap());
        assert!(!store.ensure_signing_key(crate::storage::SIGNING_KEY, "two".into()).await.unwrap());
        assert_eq!(store.signing_key(crate::storage::SIGNING_KEY).await.unwrap().unwrap(), "one");
    }
}
