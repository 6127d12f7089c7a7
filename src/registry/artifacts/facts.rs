//! What is recorded about a repository of artifacts.

use super::{ArtifactRepository, PAGE};
use crate::{
    access::{RepositoryFacts, Visibility},
    artifacts::ArtifactRepositoryName,
    registry::{Creation, Description, OwnerName, Registry, Result, facts::parsed},
    storage::{ArtifactFact, ArtifactKey, DirOf, Durability, Expect, Fact, FactKey, Put},
};
use oci::{json, json::Object};
use serde_json::{Map, Value};
use tokio::sync::MutexGuard;

/// Everything that is recorded about a repository of artifacts.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ArtifactRepositoryFacts {
    /// Who may do what where nothing else decides.
    pub access: RepositoryFacts,
    pub description: Option<Description>,
    /// When and by whom it was created; `None` if it does not exist.
    pub origin: Option<Creation>,
    /// Its own rules of retention, as JSON.
    pub retention: Option<Map<String, Value>>,
}

/// A repository of artifacts that is created.
#[derive(Clone, Debug, Default)]
pub struct NewArtifactRepository {
    pub visibility: Visibility,
    /// Nobody if unset.
    pub owner: Option<OwnerName>,
    pub description: Option<Description>,
}

/// What is read of a repository, in this order.
const READ: [ArtifactFact; 6] = [
    ArtifactFact::Created,
    ArtifactFact::Deleted,
    ArtifactFact::Visibility,
    ArtifactFact::Owner,
    ArtifactFact::Description,
    ArtifactFact::Retention,
];

impl Registry {
    /// All repositories of artifacts that exist, by name, and what is recorded about them.
    ///
    /// # Errors
    /// Only the store's.
    pub async fn artifact_repositories(&self) -> Result<Vec<(ArtifactRepositoryName, ArtifactRepositoryFacts)>> {
        let mut names = self.core.store.names(DirOf::artifact_repositories(), PAGE);
        let mut found = Vec::new();
        while let Some(name) = names.next().await? {
            let facts = self.artifacts(&name).facts().await?;
            if facts.origin.is_some() {
                found.push((name, facts));
            }
        }
        Ok(found)
    }
}

impl ArtifactRepository {
    /// Everything that is recorded; nothing, if the repository does not exist. What cannot be read is logged and left
    /// out.
    ///
    /// # Errors
    /// Only the store's.
    pub async fn facts(&self) -> Result<ArtifactRepositoryFacts> {
        let keys: Vec<FactKey> = READ.map(|fact| self.key(fact)).into();
        let found = self.store().get_all(keys.clone()).await?;
        let [created, deleted, visibility, owner, description, retention] = found.as_slice() else {
            return Ok(ArtifactRepositoryFacts::default());
        };
        // Whether it was deleted must be known.
        if !matches!(deleted, Ok(None)) {
            return Ok(ArtifactRepositoryFacts::default());
        }
        let Some(origin) = parsed(&keys[0], created, Creation::parse) else {
            return Ok(ArtifactRepositoryFacts::default());
        };
        Ok(ArtifactRepositoryFacts {
            access: RepositoryFacts {
                visibility: parsed(&keys[2], visibility, Visibility::parse).unwrap_or_default(),
                owner: parsed(&keys[3], owner, RepositoryFacts::parse_owner),
            },
            origin: Some(origin),
            description: parsed(&keys[4], description, Description::parse),
            retention: parsed(&keys[5], retention, parse_object),
        })
    }

    /// Its visibility and owner. What cannot be read grants nothing.
    pub async fn access_facts(&self) -> RepositoryFacts {
        match self.facts().await {
            Ok(facts) => facts.access,
            Err(error) => {
                tracing::error!(repository = %self.name, %error, "cannot read what is recorded about artifacts; it grants nothing");
                RepositoryFacts::default()
            }
        }
    }

    /// Held by whoever compares what is recorded with what a client knows of it before a change.
    pub async fn lock(&self) -> MutexGuard<'_, ()> {
        self.registry.core.locks.lock_artifact_facts(self.name.to_match()).await
    }

    /// Sets who may see it where nothing else decides.
    ///
    /// # Errors
    /// [`super::RegistryError::ArtifactRepositoryUnknown`].
    pub async fn set_visibility(&self, visibility: Visibility) -> Result<()> {
        self.record(ArtifactFact::Visibility, Some(visibility.to_bytes())).await
    }

    /// Sets the owner; `None` for nobody.
    ///
    /// # Errors
    /// Those of [`Self::set_visibility`].
    pub async fn set_owner(&self, owner: Option<&OwnerName>) -> Result<()> {
        self.record(ArtifactFact::Owner, owner.map(OwnerName::to_bytes)).await
    }

    /// Sets the description; `None` for no text.
    ///
    /// # Errors
    /// Those of [`Self::set_visibility`].
    pub async fn set_description(&self, description: Option<&Description>) -> Result<()> {
        self.record(ArtifactFact::Description, description.map(Description::to_bytes)).await
    }

    /// Sets its own rules of retention; `None` for those of the settings.
    ///
    /// # Errors
    /// Those of [`Self::set_visibility`].
    pub async fn set_retention(&self, rules: Option<&Map<String, Value>>) -> Result<()> {
        let bytes = |rules: &Map<String, Value>| {
            let mut json = serde_json::to_vec(rules).unwrap_or_default();
            json.push(b'\n');
            json
        };
        self.record(ArtifactFact::Retention, rules.map(bytes)).await
    }

    async fn record(&self, fact: ArtifactFact, value: Option<Vec<u8>>) -> Result<()> {
        let repository = self.clone();
        self.registry
            .shielded(async move {
                let _staying = repository.staying().await?;
                let key = repository.key(fact);
                match value {
                    Some(value) => drop(repository.store().put(vec![Put::any(key, value)], Durability::Durable).await?),
                    None => drop(repository.store().delete(&key, Expect::Any).await?),
                }
                Ok(())
            })
            .await
    }

    /// When and by whom it was deleted, if it was.
    pub(super) async fn deletion(&self) -> Result<Option<Fact>> {
        Ok(self.store().get(&self.key(ArtifactFact::Deleted)).await?)
    }
}

/// Whether the content of a file can be what its key says.
pub(crate) fn is_sound(key: &ArtifactKey, bytes: &[u8]) -> bool {
    use crate::artifacts::{Artifact, TrashedArtifact};
    match key {
        ArtifactKey::Fact(_, ArtifactFact::Created | ArtifactFact::Deleted) => Creation::parse(bytes).is_some(),
        ArtifactKey::Fact(_, ArtifactFact::Visibility) => Visibility::parse(bytes).is_some(),
        ArtifactKey::Fact(_, ArtifactFact::Owner) => RepositoryFacts::parse_owner(bytes).is_some(),
        ArtifactKey::Fact(_, ArtifactFact::Description) => Description::parse(bytes).is_some(),
        ArtifactKey::Fact(_, ArtifactFact::Retention) => parse_object(bytes).is_some(),
        ArtifactKey::Record(_, version, id) => {
            Artifact::parse(bytes).is_some_and(|artifact| artifact.id == *id && artifact.version == *version)
        }
        ArtifactKey::Trash(_, entry) => {
            TrashedArtifact::parse(bytes).is_some_and(|trashed| trashed.artifact.id == entry.id)
        }
        // A power failure may leave a part of an intent: its publication was not answered.
        ArtifactKey::Intent(..) | ArtifactKey::ExpiredIntent(..) | ArtifactKey::Log(..) => true,
    }
}

fn parse_object(bytes: &[u8]) -> Option<Map<String, Value>> {
    json::from_slice::<Object<Map<String, Value>>>(bytes).ok().map(|Object(map)| map)
}
