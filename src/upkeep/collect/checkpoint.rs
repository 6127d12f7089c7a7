//! Resumes an interrupted mark.
//!
//! This is safe because it is the same mark, only slower: nothing was removed or condemned meanwhile. The next
//! collection first either resumes or discards it; it is discarded before anything is removed; and it is valid only
//! until the machine restarts, so that no power failure brings back a discarded one.

use super::{
    CollectionReport, Pass, Result,
    candidates::Candidate,
    marks::{Keys, Marks},
};
use crate::{
    files::world,
    registry::Registry,
    storage::{self, Durability, FactKey, Put},
};
use oci::{RepositoryName, json};
use serde::{Deserialize, Serialize};
use std::{
    collections::HashSet,
    time::{Duration, SystemTime},
};

/// A mark that has taken this long is worth saving.
const EVERY: Duration = Duration::from_secs(60);

/// An older checkpoint differs too much from what is there now.
const OLDEST: Duration = Duration::from_secs(24 * 3600);

/// The first line; the keys follow, eight bytes each, lowest first.
#[derive(Serialize, Deserialize)]
struct Head {
    boot: String,
    /// The retention rules of the mark: they chose the candidates.
    rules: String,
    began: SystemTime,
    /// The last repository that was marked.
    marked: String,
    candidates: Vec<Candidate>,
    subjects: HashSet<u64>,
    report: CollectionReport,
    /// The number of keys in each set.
    keys: [usize; 4],
}

impl Pass<'_> {
    /// What an interrupted mark had found, and the last repository it completed.
    pub(super) async fn resume(&mut self, marks: &mut Marks) -> Result<Option<RepositoryName>> {
        if self.options.dry_run {
            return Ok(None);
        }
        let kept = match self.registry.store().get(&FactKey::CollectionMark).await {
            Err(storage::StorageError::Damaged { .. }) => None,
            kept => kept?,
        };
        let usable = |(head, _): &(Head, Marks)| {
            let age = self.started.duration_since(head.began);
            !self.options.now
                && head.boot == world::boot()
                && head.rules == rules(self.registry)
                && age.is_ok_and(|age| age < OLDEST)
        };
        let Some((head, found)) = kept.and_then(|fact| read(&fact.bytes)).filter(usable) else {
            self.registry.forget_mark().await?;
            return Ok(None);
        };
        let Ok(marked) = head.marked.parse() else { return Ok(None) };
        *marks = found;
        self.began = head.began;
        self.candidates = head.candidates;
        self.subjects = head.subjects;
        let CollectionReport { graveyard, left, .. } = self.report;
        self.report = CollectionReport { run: self.run.0.to_string(), resumed: true, graveyard, left, ..head.report };
        Ok(Some(marked))
    }

    /// Saves the marks from time to time.
    pub(super) async fn save_if_due(&mut self, marks: &Marks, marked: &RepositoryName) {
        let now = world::uptime();
        if self.options.dry_run || self.options.now || now.saturating_sub(self.kept) < EVERY {
            return;
        }
        self.kept = now;
        let head = Head {
            boot: world::boot(),
            rules: rules(self.registry),
            began: self.began,
            marked: marked.to_string(),
            candidates: self.candidates.clone(),
            subjects: self.subjects.clone(),
            report: self.report.clone(),
            keys: marks.sets().map(Keys::len),
        };
        let bytes = write(&head, marks);
        // Without a checkpoint, the next collection starts over.
        if bytes.len() as u64 > FactKey::CollectionMark.longest() {
            return;
        }
        let put = Put::any(FactKey::CollectionMark, bytes);
        if let Err(error) = self.registry.store().put(vec![put], Durability::Process).await {
            tracing::debug!(%error, "cannot save the progress of the garbage collection");
        }
    }
}

impl Registry {
    /// From here on nobody resumes an earlier mark.
    pub(super) async fn forget_mark(&self) -> Result<()> {
        Ok(self.store().discard(&FactKey::CollectionMark).await?)
    }
}

fn rules(registry: &Registry) -> String {
    format!("{:?}", registry.settings().retention)
}

fn write(head: &Head, marks: &Marks) -> Vec<u8> {
    let mut bytes = serde_json::to_vec(head).unwrap_or_default();
    bytes.reserve(1 + 8 * head.keys.iter().sum::<usize>());
    bytes.push(b'\n');
    for keys in marks.sets() {
        keys.iter().for_each(|key| bytes.extend(key.to_le_bytes()));
    }
    bytes
}

/// `None` if the file is incomplete.
fn read(bytes: &[u8]) -> Option<(Head, Marks)> {
    let end = bytes.iter().position(|byte| *byte == b'\n')?;
    let head: Head = json::from_slice(&bytes[..end]).ok()?;
    let (keys, rest) = bytes[end + 1..].as_chunks::<8>();
    let mut keys = keys.iter().map(|key| u64::from_le_bytes(*key));
    if !rest.is_empty() || keys.len() != head.keys.iter().sum::<usize>() {
        return None;
    }
    let marks = Marks::of(head.keys.map(|len| keys.by_ref().take(len).collect()));
    Some((head, marks))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checkpoint_is_read_back_and_a_truncated_one_refused() {
        let mut marks = Marks::default();
        (0..3).for_each(|key| marks.blobs.add(key));
        marks.links.add(u64::MAX);
        let head = Head {
            boot: "one".into(),
            rules: String::new(),
            began: SystemTime::UNIX_EPOCH,
            marked: "app".into(),
            candidates: Vec::new(),
            subjects: HashSet::new(),
            report: CollectionReport::default(),
            keys: marks.sets().map(Keys::len),
        };
        let bytes = write(&head, &marks);
        let (head, mut read_back) = read(&bytes).unwrap();
        assert_eq!((head.marked.as_str(), head.keys), ("app", [3, 0, 1, 0]));
        read_back.settle();
        assert!(read_back.blobs.has(2) && read_back.links.has(u64::MAX) && !read_back.links.has(2));
        for len in 0..bytes.len() {
            assert!(read(&bytes[..len]).is_none(), "{len}");
        }
        assert!(read(&[bytes, vec![0; 8]].concat()).is_none());
    }
}
