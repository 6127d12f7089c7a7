use super::*;
use crate::{
    access::{Ceiling, Decision, Rights},
    registry::{Chunk, Condition, Settings},
    storage::{Durability, Facts, Mem, Put},
    who::{Action, Subject},
};
use bytes::Bytes;
use oci::{Algorithm, Hasher, Reference, media_type};
use std::sync::Arc;

/// What somebody may see without a rule.
struct ByFactsOnly(Subject);

impl Visible for ByFactsOnly {
    fn shows(&self, repository: &RepositoryName) -> Shows {
        match Rights::Tokens.decide_without_facts(&self.0, &Ceiling::None, repository, Action::Pull) {
            Decision::Decided(verdict) => verdict.allowed.into(),
            Decision::NeedsFacts(undecided) => Shows::ByFacts(undecided),
        }
    }
    fn reaches(&self, prefix: &RepositoryName) -> bool {
        Rights::Tokens.reaches(&self.0, &Ceiling::None, prefix)
    }
    fn asks_facts(&self) -> bool {
        Rights::Tokens.asks_facts(&self.0, &Ceiling::None)
    }
}

fn user(name: &str) -> Subject {
    Subject::User(name.into())
}

/// A registry with a manifest in each of these repositories.
async fn registry(names: &[&str]) -> (Arc<Mem>, Registry) {
    let store = Arc::new(Mem::default());
    let registry = Registry::new(store.clone(), Arc::new(Settings::default()));
    for name in names {
        let repository = registry.repository(&name.parse().unwrap());
        let config = Bytes::from_static(b"{}");
        let digest = Hasher::digest(Algorithm::Sha256, &config);
        let bytes = futures_util::stream::iter([Ok(config)]);
        repository.push_blob(&digest, Chunk::default(), bytes).await.unwrap();
        let manifest = serde_json::json!({
            "schemaVersion": 2, "mediaType": media_type::OCI_MANIFEST, "layers": [],
            "config": {"mediaType": "application/json", "digest": digest, "size": 2},
        });
        let tag = Reference::Tag("v1".parse().unwrap());
        let (media, bytes) = (Some(media_type::OCI_MANIFEST), Bytes::from(manifest.to_string()));
        repository.put_manifest(&tag, &[], media, bytes, Condition::None).await.unwrap();
    }
    (store, registry)
}

/// Records a fact as it is to be written: the hint first.
async fn record(store: &Mem, key: fn(RepositoryName) -> FactKey, name: &str, value: &'static str) {
    let name: RepositoryName = name.parse().unwrap();
    let puts = vec![Put::any(FactKey::Recorded(name.clone()), ""), Put::any(key(name), value)];
    store.put(puts, Durability::Process).await.unwrap();
}

async fn shown(registry: &Registry, who: Subject) -> Vec<String> {
    let page = registry.catalog(None, None, &ByFactsOnly(who)).await.unwrap();
    page.entries.iter().map(ToString::to_string).collect()
}

#[tokio::test]
async fn the_catalog_shows_what_is_public_and_what_the_caller_owns() {
    let (store, registry) = registry(&["a", "a/b/c", "deep/below/public", "deep/other", "z"]).await;
    assert_eq!(shown(&registry, user("alice")).await, [""; 0]);
    record(&store, FactKey::Visibility, "deep/below/public", "public\n").await;
    record(&store, FactKey::Visibility, "z", "private\n").await;
    record(&store, FactKey::Owner, "a/b/c", "alice\n").await;
    record(&store, FactKey::Visibility, "not/pushed/yet", "public\n").await;
    assert_eq!(shown(&registry, user("alice")).await, ["a/b/c", "deep/below/public"]);
    assert_eq!(shown(&registry, Subject::Anonymous).await, ["deep/below/public"]);
    let all = registry.catalog(None, None, &Everything).await.unwrap().entries;
    assert_eq!(all, ["a", "a/b/c", "deep/below/public", "deep/other", "z"].map(|name| name.parse().unwrap()));
}

#[tokio::test]
async fn a_malformed_fact_grants_nothing() {
    let (store, registry) = registry(&["a"]).await;
    let repository = registry.repository(&"a".parse().unwrap());
    for (visibility, owner) in [("public", "alice"), ("PUBLIC\n", "@team\n"), ("", "")] {
        record(&store, FactKey::Visibility, "a", visibility).await;
        record(&store, FactKey::Owner, "a", owner).await;
        assert_eq!(repository.facts().await, RepositoryFacts::default(), "{visibility:?} {owner:?}");
        assert_eq!(shown(&registry, user("alice")).await, [""; 0]);
    }
}
