//! Reads the records of artifacts.

use super::{ArtifactRepository, PAGE};
use crate::{
    artifacts::{Artifact, ArtifactId, ArtifactPath, ArtifactVersion, Properties},
    registry::{RegistryError, Result},
    storage::{ArtifactKey, Blob, DirOf, Fact, FactKey, NamesIn},
};
use std::collections::HashMap;

/// A record, and the value it was read from: a change of it compares.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredArtifact {
    pub artifact: Artifact,
    pub(super) fact: Fact,
}

/// All records of a repository, a page at a time; also those that another one replaces.
pub struct ArtifactWalk<'r> {
    repository: &'r ArtifactRepository,
    versions: NamesIn<'r, ArtifactVersion>,
    /// The version that is being read.
    version: Option<(ArtifactVersion, NamesIn<'r, ArtifactId>)>,
}

impl ArtifactWalk<'_> {
    /// The next records; an empty page is the end. What is damaged is logged and left out.
    ///
    /// # Errors
    /// Only the store's.
    pub async fn next_page(&mut self) -> Result<Vec<Artifact>> {
        let mut keys = Vec::with_capacity(PAGE);
        while keys.len() < PAGE {
            match &mut self.version {
                Some((version, ids)) => match ids.next().await? {
                    Some(id) => {
                        keys.push(ArtifactKey::Record(self.repository.name.clone(), version.clone(), id));
                    }
                    None => self.version = None,
                },
                None => match self.versions.next().await? {
                    Some(version) => {
                        let ids = DirOf::artifacts(&self.repository.name, &version);
                        self.version = Some((version, self.repository.store().names(ids, PAGE)));
                    }
                    None => break,
                },
            }
        }
        let found = self.repository.read_all(keys.clone()).await?;
        // A page of nothing but what is gone or damaged is not the end.
        match found.is_empty() && !keys.is_empty() {
            true => Box::pin(self.next_page()).await,
            false => Ok(found.into_iter().map(|stored| stored.artifact).collect()),
        }
    }
}

impl ArtifactRepository {
    /// Walks through all records.
    pub fn walk(&self) -> ArtifactWalk<'_> {
        let versions = self.store().names(DirOf::artifact_versions(&self.name), PAGE);
        ArtifactWalk { repository: self, versions, version: None }
    }

    /// All artifacts.
    ///
    /// # Errors
    /// Only the store's.
    pub async fn load(&self) -> Result<Vec<Artifact>> {
        let (mut walk, mut all) = (self.walk(), Vec::new());
        loop {
            let page = walk.next_page().await?;
            if page.is_empty() {
                return Ok(without_replaced(all));
            }
            all.extend(page);
        }
    }

    /// The artifact with this version and id.
    ///
    /// # Errors
    /// Only the store's.
    pub async fn stored(&self, version: &ArtifactVersion, id: &ArtifactId) -> Result<Option<StoredArtifact>> {
        let key = ArtifactKey::Record(self.name.clone(), version.clone(), *id);
        Ok(self.read_all(vec![key]).await?.pop())
    }

    /// The artifact with this id, of whatever version.
    ///
    /// # Errors
    /// [`RegistryError::ArtifactUnknown`].
    pub async fn find(&self, id: &ArtifactId) -> Result<StoredArtifact> {
        // The index of this process knows the version. Where it is wrong or not made yet, all versions are looked at.
        if let Some(version) = self.indexed_version(id).await
            && let Some(found) = self.stored(&version, id).await?
        {
            return Ok(found);
        }
        let mut versions = self.store().names(DirOf::artifact_versions(&self.name), PAGE);
        loop {
            let mut keys = Vec::with_capacity(PAGE);
            while keys.len() < PAGE
                && let Some(version) = versions.next().await?
            {
                keys.push(ArtifactKey::Record(self.name.clone(), version, *id));
            }
            if keys.is_empty() {
                return Err(RegistryError::ArtifactUnknown);
            }
            if let Some(found) = self.read_all(keys).await?.pop() {
                return Ok(found);
            }
        }
    }

    /// The artifacts of a version and path that have these properties, newest first.
    ///
    /// # Errors
    /// Only the store's.
    pub async fn variants(
        &self,
        version: &ArtifactVersion,
        path: &ArtifactPath,
        having: &Properties,
    ) -> Result<Vec<StoredArtifact>> {
        let mut found = Vec::new();
        let mut ids = self.store().names(DirOf::artifacts(&self.name, version), PAGE);
        loop {
            let mut keys = Vec::with_capacity(PAGE);
            while keys.len() < PAGE
                && let Some(id) = ids.next().await?
            {
                keys.push(ArtifactKey::Record(self.name.clone(), version.clone(), id));
            }
            if keys.is_empty() {
                break;
            }
            found.extend(self.read_all(keys).await?);
        }
        let mut found = StoredArtifact::without_replaced(found);
        found.retain(|stored| {
            stored.artifact.path == *path
                && having.iter().all(|(key, value)| stored.artifact.properties.get(key.as_str()) == Some(value))
        });
        found.sort_by_key(|stored| std::cmp::Reverse((stored.artifact.created, stored.artifact.id)));
        Ok(found)
    }

    /// All versions, in byte order of their names.
    ///
    /// # Errors
    /// Only the store's.
    pub async fn versions(&self) -> Result<Vec<ArtifactVersion>> {
        let mut names = self.store().names(DirOf::artifact_versions(&self.name), PAGE);
        let mut versions = Vec::new();
        while let Some(version) = names.next().await? {
            versions.push(version);
        }
        Ok(versions)
    }

    /// The artifacts of one version, by path.
    ///
    /// # Errors
    /// Only the store's.
    pub async fn of_version(&self, version: &ArtifactVersion) -> Result<Vec<Artifact>> {
        let (mut ids, mut keys) = (self.store().names(DirOf::artifacts(&self.name, version), PAGE), Vec::new());
        while let Some(id) = ids.next().await? {
            keys.push(ArtifactKey::Record(self.name.clone(), version.clone(), id));
        }
        let found = self.read_all(keys).await?.into_iter().map(|stored| stored.artifact).collect();
        let mut found = without_replaced(found);
        found.sort_by(|a, b| (&a.path, a.id).cmp(&(&b.path, b.id)));
        Ok(found)
    }

    /// The bytes of an artifact.
    ///
    /// # Errors
    /// [`RegistryError::BlobUnknown`].
    pub async fn blob(&self, artifact: &Artifact) -> Result<Blob> {
        let blob = self.store().open(&artifact.digest).await?;
        blob.ok_or_else(|| RegistryError::BlobUnknown(artifact.digest.clone()))
    }

    /// The records that exist of these. What is damaged is logged and left out.
    pub(super) async fn read_all(&self, keys: Vec<ArtifactKey>) -> Result<Vec<StoredArtifact>> {
        let facts = keys.iter().cloned().map(FactKey::Artifact).collect();
        let mut found = Vec::new();
        for (key, fact) in keys.into_iter().zip(self.store().get_all(facts).await?) {
            let Some(fact) = fact? else { continue };
            let ArtifactKey::Record(_, version, id) = &key else { continue };
            match Artifact::parse(&fact.bytes) {
                Some(artifact) if artifact.id == *id && artifact.version == *version => {
                    found.push(StoredArtifact { artifact, fact });
                }
                _ => {
                    let path = FactKey::Artifact(key.clone()).path();
                    tracing::error!(path, "malformed record of an artifact; it is not shown until it is corrected");
                }
            }
        }
        Ok(found)
    }
}

impl StoredArtifact {
    fn without_replaced(found: Vec<Self>) -> Vec<Self> {
        let replaced = replaced(found.iter().map(|stored| &stored.artifact));
        found.into_iter().filter(|stored| !is_replaced(&stored.artifact, &replaced)).collect()
    }
}

/// When each replaced artifact was replaced.
type ReplacedIds = HashMap<ArtifactId, jiff::Timestamp>;

fn replaced<'a>(all: impl Iterator<Item = &'a Artifact>) -> ReplacedIds {
    let mut replaced = ReplacedIds::new();
    for artifact in all {
        if let Some(old) = artifact.replaces {
            let at = replaced.entry(old).or_insert(artifact.updated);
            *at = artifact.updated.max(*at);
        }
    }
    replaced
}

/// One that was published again after it was replaced is another one.
fn is_replaced(artifact: &Artifact, replaced: &ReplacedIds) -> bool {
    replaced.get(&artifact.id).is_some_and(|at| artifact.updated <= *at)
}

/// Leaves out those that another one replaces: whoever replaced them was interrupted before they were removed.
fn without_replaced(mut all: Vec<Artifact>) -> Vec<Artifact> {
    let replaced = replaced(all.iter());
    all.retain(|artifact| !is_replaced(artifact, &replaced));
    all
}
