//! A storage call that fails, or a process that ends at it, leaves no artifact half done.

use super::*;
use crate::storage::{
    Storage,
    faulty::{Fault, Faulty},
};

/// More than the session makes.
const MOST: usize = 500;

fn over(store: Arc<dyn Storage>) -> Registry {
    let settings = Settings {
        artifacts: crate::registry::ArtifactSettings { trash: Duration::ZERO, ..Default::default() },
        ..Settings::default()
    };
    Registry::new(store, Arc::new(settings)).asked_by(Subject::User("alice".into()))
}

fn named(registry: &Registry) -> ArtifactRepository {
    registry.artifacts(&"builds".parse().unwrap())
}

/// Stores a file, replaces it, moves it to another version, deletes it and restores it; whatever there was before.
async fn session(registry: &Registry) -> Result<()> {
    let builds = named(registry);
    match builds.create(NewArtifactRepository::default()).await {
        Ok(()) | Err(RegistryError::ArtifactRepositoryExists(_)) => {}
        Err(error) => return Err(error),
    }
    for artifact in builds.load().await? {
        let stored = builds.find(&artifact.id).await?;
        builds.delete_artifact(&stored, None).await?;
    }
    put(&builds, new("1.0", "app", &[]), "one").await?;
    let replaced = put(&builds, NewArtifact { overwrite: true, ..new("1.0", "app", &[]) }, "two").await?;
    let stored = builds.find(&replaced.artifact.id).await?;
    let place = ArtifactEdit::Place { version: "2.0".parse().unwrap(), path: None, name: None };
    let moved = builds.edit(&stored, place).await?;
    let stored = builds.find(&moved.id).await?;
    builds.delete_artifact(&stored, None).await?;
    builds.restore(&moved.id).await?;
    Ok(())
}

/// Every artifact that is shown or can be restored has its bytes, also after a collection that deletes at once.
async fn is_sound(registry: &Registry) {
    let builds = named(registry);
    for collected in [false, true] {
        if collected {
            collect(registry).await;
        }
        let all = builds.load().await.unwrap();
        let places: std::collections::BTreeSet<_> = all.iter().map(|artifact| artifact.id).collect();
        assert_eq!(places.len(), all.len());
        let trashed = builds.trash().await.unwrap().into_iter().map(|(_, trashed)| trashed.artifact);
        for artifact in all.into_iter().chain(trashed) {
            let blob = builds.blob(&artifact).await.unwrap_or_else(|error| panic!("{artifact:?}: {error}"));
            assert_eq!(blob.len(), artifact.size);
        }
    }
}

#[tokio::test]
async fn a_storage_call_that_fails_or_never_answers_leaves_no_artifact_half_done() {
    for fault in [Fault::Before, Fault::After, Fault::Dropped] {
        let mut at = 0;
        loop {
            let store: Arc<dyn Storage> = Arc::new(Mem::default());
            let faulty = Faulty::new(store.clone(), at, fault);
            let broken = over(faulty.clone());
            let outcome = tokio::select! {
                outcome = session(&broken) => Some(outcome),
                () = faulty.reached.notified() => None,
            };
            if !faulty.was_reached() {
                assert!(matches!(outcome, Some(Ok(()))), "{outcome:?}");
                break;
            }
            let healthy = over(store);
            is_sound(&healthy).await;
            session(&healthy).await.unwrap_or_else(|error| panic!("{fault:?} at call {at}: {error}"));
            let all = named(&healthy).load().await.unwrap();
            let found: Vec<_> = all.iter().map(|artifact| (artifact.version.as_str(), &artifact.digest)).collect();
            assert_eq!(found, [("2.0", &digest("two"))], "{fault:?} at call {at}");
            is_sound(&healthy).await;
            at += 1;
            assert!(at < MOST);
        }
        assert!(at > 40, "the session makes calls: {at}");
    }
}
