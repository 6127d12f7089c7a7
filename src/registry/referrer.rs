//! What refers to a manifest: the entries written when it was pushed, and those that clients
//! without the referrers API keep under the fallback tag.

use super::{Registry, Result};
use crate::{
    oci::{Digest, Manifest, Reference, RepositoryName},
    storage::{self, Dir, Key, key},
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Descriptors in one reply, in bytes of JSON: many clients read the first page only, and refuse
/// one that is larger.
const LONGEST_REPLY: usize = (4 << 20) - 4096;

/// One page of referrers.
#[derive(Clone, Debug)]
pub struct Referrers {
    /// Descriptors, as JSON.
    pub descriptors: Vec<Box<serde_json::value::RawValue>>,
    /// The last entry of this page, if more follow it.
    pub next: Option<String>,
}

/// A descriptor as listed (distribution-spec, "Listing Referrers").
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    media_type: String,
    digest: Digest,
    size: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    artifact_type: Option<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    annotations: BTreeMap<String, String>,
}

/// The entry of a manifest that refers to another.
pub(super) fn entry(digest: &Digest, manifest: &Manifest, size: u64) -> Vec<u8> {
    let entry = Entry {
        media_type: manifest.media_type.as_str().to_owned(),
        digest: digest.clone(),
        size,
        artifact_type: manifest.artifact_type().map(str::to_owned),
        annotations: manifest.annotations.clone(),
    };
    serde_json::to_vec(&entry).unwrap_or_default()
}

impl Registry {
    /// What refers to `subject`, of one of `types` if any are named, after the entry `after`.
    /// A subject nobody has pushed has none, which is not an error.
    ///
    /// # Errors
    /// Only the store's.
    pub async fn referrers(
        &self,
        repository: &RepositoryName,
        subject: &Digest,
        types: &[String],
        after: Option<&str>,
    ) -> Result<Referrers> {
        let dir = Dir::Referrers(repository.clone(), subject.clone());
        let mut fallback = self.fallback(repository, subject).await?;
        let mut page = Referrers { descriptors: Vec::new(), next: None };
        let (mut bytes, mut after) = (0, after.map(str::to_owned));
        fallback.retain(|name, _| after.as_ref().is_none_or(|after| name > after));
        loop {
            let children = self.core.store.children(&dir, after.as_deref(), 256).await?;
            let last = children.entries.last().map(|child| child.name.clone()).filter(|_| children.more);
            // Entries under the fallback tag join in their place; one's own entry counts more.
            let mut names: BTreeMap<String, Option<Entry>> = match &last {
                Some(last) => {
                    let mut rest = fallback.split_off(last);
                    fallback.extend(rest.remove_entry(last));
                    std::mem::replace(&mut fallback, rest)
                }
                None => std::mem::take(&mut fallback),
            }
            .into_iter()
            .map(|(name, entry)| (name, Some(entry)))
            .collect();
            names.extend(children.entries.into_iter().map(|child| (child.name, None)));
            for (name, entry) in names {
                let Some(entry) = self.entry(repository, subject, &name, entry).await? else { continue };
                if !types.is_empty() && !entry.artifact_type.as_ref().is_some_and(|t| types.contains(t)) {
                    continue;
                }
                let json = serde_json::value::to_raw_value(&entry)
                    .map_err(|e| storage::Error::damaged(dir.path(), e.to_string()))?;
                if bytes + json.get().len() > LONGEST_REPLY && !page.descriptors.is_empty() {
                    page.next = after;
                    return Ok(page);
                }
                bytes += json.get().len() + 1;
                page.descriptors.push(json);
                after = Some(name);
            }
            match last {
                Some(last) => after = Some(last),
                None => return Ok(page),
            }
        }
    }

    async fn entry(
        &self,
        repository: &RepositoryName,
        subject: &Digest,
        name: &str,
        fallback: Option<Entry>,
    ) -> Result<Option<Entry>> {
        let Some(referrer) = key::referrer(name) else { return Ok(None) };
        let revision = Key::Revision(repository.clone(), referrer.clone());
        let key = Key::Referrer { repository: repository.clone(), subject: subject.clone(), referrer };
        match self.core.store.get(&key).await? {
            None => Ok(fallback),
            // A deletion that ended with the machine may have left it.
            Some(_) if self.core.store.get(&revision).await?.is_none() => Ok(None),
            Some(fact) => match serde_json::from_slice(&fact.bytes) {
                Ok(entry) => Ok(Some(entry)),
                Err(e) => Err(storage::Error::damaged(key.path(), e.to_string()).into()),
            },
        }
    }

    /// What the index under the fallback tag lists, as far as it is here and does refer to the
    /// subject (distribution-spec, "Enabling the Referrers API").
    async fn fallback(&self, repository: &RepositoryName, subject: &Digest) -> Result<BTreeMap<String, Entry>> {
        #[derive(Deserialize)]
        struct Index {
            manifests: Vec<Entry>,
        }
        let mut found = BTreeMap::new();
        let reference = Reference::Tag(subject.fallback_tag());
        let index = match self.manifest(repository, &reference).await {
            Ok(index) if index.media_type.is_index() => index,
            Ok(_) | Err(super::Error::ManifestUnknown(_)) => return Ok(found),
            Err(e) => return Err(e),
        };
        let bytes = self.manifest_bytes(&index.digest).await?;
        // What another client wrote under that tag need not be what we expect there.
        let Ok(index) = serde_json::from_slice::<Index>(&bytes) else { return Ok(found) };
        for entry in index.manifests {
            let revision = self.revision(repository, &entry.digest).await?;
            if revision.is_some_and(|revision| revision.subject.as_ref() == Some(subject)) {
                found.insert(format!("{}-{}", entry.digest.algorithm(), entry.digest.hex()), entry);
            }
        }
        Ok(found)
    }
}
