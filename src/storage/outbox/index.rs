//! Which objects the server has, in memory: only this process writes to it, so nobody else has to be asked.
//!
//! The server is listed once, in the background. What this process writes and removes is known from the start, and known
//! better than by a list that may have been made before. The caller keeps the journal in front: while a write is being
//! uploaded, what is said here of its key is not looked at.

use super::waiting::journal_tag;
use crate::storage::objects::{ListedObject, ObjectLevel, ObjectMeta, ObjectPage, ObjectTag};
use std::{
    collections::{BTreeMap, HashSet},
    ops::Bound,
    time::{Duration, SystemTime},
};

/// What is known of one object. Kept small: there is one for each object of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct IndexedObject {
    len: u64,
    /// Nanoseconds since 1970.
    modified: u64,
    /// The write of the journal that made it; zero if an earlier process did.
    number: u64,
}

/// What is known of a key.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum KnownObject {
    Is(ObjectMeta),
    Absent,
    /// The server has not been listed that far.
    Unknown,
}

/// The objects of the server.
#[derive(Default)]
pub(super) struct KeyIndex {
    objects: BTreeMap<Box<str>, IndexedObject>,
    /// What this process wrote or removed before the list was complete: a list may be older.
    changed: HashSet<Box<str>>,
    is_complete: bool,
}

impl IndexedObject {
    fn of(len: u64, modified: SystemTime, number: u64) -> Self {
        let since = modified.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Self { len, modified: u64::try_from(since.as_nanos()).unwrap_or(u64::MAX), number }
    }

    fn modified(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_nanos(self.modified)
    }

    fn meta(&self) -> ObjectMeta {
        let tag = match self.number {
            0 => ObjectTag::of_time(self.modified(), self.len),
            number => journal_tag(number),
        };
        ObjectMeta { len: self.len, modified: self.modified(), tag: Some(tag) }
    }
}

impl KeyIndex {
    /// Adds what a list of the server has.
    pub(super) fn add_listed(&mut self, objects: Vec<ListedObject>) {
        for object in objects {
            if !self.changed.contains(object.key.as_str()) {
                let known = IndexedObject::of(object.len, object.modified, 0);
                self.objects.insert(object.key.into(), known);
            }
        }
    }

    /// The server has been listed to its end. Returns how many objects it has.
    pub(super) fn complete(&mut self) -> usize {
        self.is_complete = true;
        self.changed = HashSet::new();
        self.objects.len()
    }

    pub(super) fn is_complete(&self) -> bool {
        self.is_complete
    }

    pub(super) fn len(&self) -> usize {
        self.objects.len()
    }

    /// The server has this object now. `number` is the write of the journal that made it, or zero.
    pub(super) fn put(&mut self, key: &str, len: u64, modified: SystemTime, number: u64) {
        self.note_change(key);
        self.objects.insert(key.into(), IndexedObject::of(len, modified, number));
    }

    /// The server does not have this object any more.
    pub(super) fn remove(&mut self, key: &str) {
        self.note_change(key);
        self.objects.remove(key);
    }

    fn note_change(&mut self, key: &str) {
        if !self.is_complete {
            self.changed.insert(key.into());
        }
    }

    pub(super) fn head(&self, key: &str) -> KnownObject {
        match self.objects.get(key) {
            // An object that was only listed so far may have had another tag before, with some stores.
            Some(found) if self.is_complete || self.changed.contains(key) => KnownObject::Is(found.meta()),
            None if self.is_complete || self.changed.contains(key) => KnownObject::Absent,
            _ => KnownObject::Unknown,
        }
    }

    /// As [`Objects::list`](crate::storage::objects::Objects::list); `None` if not everything is known.
    pub(super) fn list(&self, prefix: &str, after: Option<&str>, most: usize) -> Option<ObjectPage> {
        if !self.is_complete {
            return None;
        }
        let from = match after {
            Some(after) if after >= prefix => Bound::Excluded(after),
            _ => Bound::Included(prefix),
        };
        let found = self.objects.range::<str, _>((from, Bound::Unbounded));
        let mut below = found.take_while(|(key, _)| key.starts_with(prefix)).map(|(key, object)| {
            let (key, modified) = (key.to_string(), object.modified());
            ListedObject { key, len: object.len, modified }
        });
        let objects = below.by_ref().take(most).collect();
        Some(ObjectPage { objects, more: below.next().is_some() })
    }

    /// As [`Objects::level`](crate::storage::objects::Objects::level); `None` if not everything is known.
    pub(super) fn level(&self, dir: &str, after: Option<&str>, most: usize) -> Option<ObjectLevel> {
        if !self.is_complete {
            return None;
        }
        let prefix = if dir.is_empty() { String::new() } else { format!("{dir}/") };
        let mut from = match after {
            None => Bound::Included(prefix.clone()),
            // Past everything in that directory: `0` follows `/`.
            Some(after) => match after.strip_suffix('/') {
                Some(dir) => Bound::Included(format!("{prefix}{dir}0")),
                None => Bound::Excluded(format!("{prefix}{after}")),
            },
        };
        let mut names: Vec<(String, bool)> = Vec::new();
        loop {
            let bounds = (from.as_ref().map(String::as_str), Bound::Unbounded);
            let next = self.objects.range::<str, _>(bounds).next().map(|(key, _)| key);
            let Some(below) = next.and_then(|key| key.strip_prefix(prefix.as_str())) else { break };
            if names.len() == most {
                return Some(ObjectLevel { names, more: true });
            }
            match below.split_once('/') {
                Some((dir, _)) => {
                    from = Bound::Included(format!("{prefix}{dir}0"));
                    names.push((dir.to_owned(), true));
                }
                None => {
                    from = Bound::Excluded(format!("{prefix}{below}"));
                    names.push((below.to_owned(), false));
                }
            }
        }
        Some(ObjectLevel { names, more: false })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::objects::{MemObjects, Objects as _, PutWhen};

    fn listed(key: &str, len: u64) -> ListedObject {
        ListedObject { key: key.into(), len, modified: SystemTime::UNIX_EPOCH + Duration::from_secs(7) }
    }

    #[test]
    fn what_this_process_did_is_known_before_the_list_and_better_than_by_it() {
        let mut index = KeyIndex::default();
        assert_eq!(index.head("a"), KnownObject::Unknown);
        index.put("a", 1, SystemTime::UNIX_EPOCH, 5);
        index.remove("b");
        index.add_listed(vec![listed("a", 9), listed("b", 9), listed("c", 3)]);
        assert!(matches!(index.head("a"), KnownObject::Is(meta) if meta.len == 1 && meta.tag == Some(journal_tag(5))));
        assert_eq!((index.head("b"), index.head("c")), (KnownObject::Absent, KnownObject::Unknown));
        assert!(index.list("", None, 9).is_none() && index.level("", None, 9).is_none());
        assert_eq!(index.complete(), 2);
        assert!(matches!(index.head("c"), KnownObject::Is(meta) if meta.len == 3));
        assert_eq!(index.head("d"), KnownObject::Absent);
        index.remove("a");
        assert_eq!(index.head("a"), KnownObject::Absent);
    }

    #[tokio::test]
    async fn lists_are_those_of_a_server() {
        let objects = MemObjects::default();
        let mut index = KeyIndex::default();
        for key in ["d/a", "d/a-b/x", "d/a/x", "d/a/y", "d/ab", "d0", "e/z/z", "f"] {
            objects.put(key, vec!["x".into()], PutWhen::Any).await.unwrap();
            index.add_listed(vec![listed(key, 1)]);
        }
        index.complete();
        for dir in ["d", "e", "e/z", "x", "d/a"] {
            for after in [None, Some("a"), Some("a/"), Some("a-b/"), Some("b"), Some("z/")] {
                for most in [1, 2, 3, 9] {
                    let theirs = objects.level(dir, after, most).await.unwrap();
                    assert_eq!(index.level(dir, after, most), Some(theirs), "{dir} {after:?} {most}");
                }
            }
        }
        for prefix in ["", "d", "d/", "d/a", "d/a/", "e/z/z", "g"] {
            for after in [None, Some("d/a"), Some("d/a/x"), Some("a"), Some("z")] {
                for most in [1, 2, 9] {
                    let theirs = objects.list(prefix, after, most).await.unwrap();
                    let ours = index.list(prefix, after, most).unwrap();
                    let keys = |page: ObjectPage| {
                        (page.objects.into_iter().map(|object| object.key).collect::<Vec<_>>(), page.more)
                    };
                    assert_eq!(keys(ours), keys(theirs), "{prefix} {after:?} {most}");
                }
            }
        }
    }
}
