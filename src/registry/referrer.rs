//! Referrers of a manifest: the entries that were written when each was pushed.

use super::{Repository, Result};
use crate::{
    files::world,
    storage::{self, DirOf, FactKey, key},
};
use oci::{Digest, Manifest, json};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Maximum size of the descriptors in one reply, in bytes of JSON: many clients read only the first page, and refuse
/// a larger one.
const LONGEST_REPLY: usize = (4 << 20) - 4096;

/// One page of referrers.
#[derive(Clone, Debug)]
pub struct Referrers {
    pub descriptors: Vec<Box<serde_json::value::RawValue>>,
    /// The last entry of this page, if more follow.
    pub next: Option<String>,
}

/// A descriptor in a list (distribution-spec, "Listing Referrers").
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ReferrerDescriptor {
    media_type: String,
    digest: Digest,
    size: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    artifact_type: Option<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    annotations: BTreeMap<String, String>,
}

/// The entry of a manifest that refers to another.
pub(crate) fn entry(digest: &Digest, manifest: &Manifest, size: u64) -> Vec<u8> {
    let entry = ReferrerDescriptor {
        media_type: manifest.media_type.as_str().to_owned(),
        digest: digest.clone(),
        size,
        artifact_type: manifest.artifact_type().map(str::to_owned),
        annotations: manifest.annotations.clone(),
    };
    serde_json::to_vec(&entry).unwrap_or_default()
}

impl Repository {
    /// The referrers of `subject` after the entry `after`, filtered by `types` unless empty. A subject that was never
    /// pushed has none, which is not an error.
    ///
    /// Every manifest of the repository with this `subject` has an entry. So the fallback tag of clients without this
    /// API adds nothing and is not read, and nobody can slow a list of referrers through it.
    ///
    /// # Errors
    /// Only the store's.
    pub async fn referrers(&self, subject: &Digest, types: &[String], after: Option<&str>) -> Result<Referrers> {
        let level = DirOf::referrers(&self.name, subject);
        let names = self.store().page(&level, after, self.settings().referrers_max).await?;
        let (mut descriptors, mut bytes, mut last, mut more) = (Vec::new(), 0, None, names.more);
        for referrer in names.entries {
            world::yield_now().await;
            let entry = self.entry(subject, &referrer).await?;
            let is_wanted = |entry: &ReferrerDescriptor| {
                types.is_empty() || entry.artifact_type.as_ref().is_some_and(|t| types.contains(t))
            };
            if let Some(entry) = entry.filter(is_wanted) {
                let entry = serde_json::value::to_raw_value(&entry)
                    .map_err(|e| storage::StorageError::damaged(level.dir().path(), e.to_string()))?;
                if bytes + entry.get().len() > LONGEST_REPLY && !descriptors.is_empty() {
                    more = true;
                    break;
                }
                bytes += entry.get().len() + 1;
                descriptors.push(entry);
            }
            last = Some(referrer);
        }
        Ok(Referrers { descriptors, next: last.filter(|_| more).map(|last| key::entry_of(&last)) })
    }

    async fn entry(&self, subject: &Digest, referrer: &Digest) -> Result<Option<ReferrerDescriptor>> {
        let revision = FactKey::Revision(self.name.clone(), referrer.clone());
        let key =
            FactKey::Referrer { repository: self.name.clone(), subject: subject.clone(), referrer: referrer.clone() };
        let Some(fact) = self.store().get(&key).await? else { return Ok(None) };
        let len = fact.bytes.len();
        // A deletion interrupted by a power failure may have left it.
        if self.store().get(&revision).await?.is_none() {
            return Ok(None);
        }
        let parse = move || {
            json::from_slice(&fact.bytes).map_err(|e| storage::StorageError::damaged(key.path(), e.to_string()))
        };
        Ok(Some(storage::work_on(len, parse).await?))
    }
}
