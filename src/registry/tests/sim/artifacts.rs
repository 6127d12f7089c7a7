//! Clients that upload, delete and restore artifacts whose content is that of images, and what must hold of them.

use super::{
    client::{Client, Shared, once},
    content::content,
    history::Op,
};
use crate::{
    artifacts::Artifact,
    files::sim::block_on,
    registry::{
        Chunk, Registry, RegistryError,
        artifacts::{ArtifactRepository, NewArtifact, NewArtifactRepository},
    },
};
use oci::Span;

/// Places of artifacts: version and path.
pub(super) const PLACES: [(&str, &str); 3] = [("1.0", "app"), ("1.0", "lib/app"), ("2.0", "app")];

fn builds(registry: &Registry) -> ArtifactRepository {
    registry.artifacts(&"builds".parse().unwrap())
}

/// The place of an artifact.
fn place_of(artifact: &Artifact) -> Option<usize> {
    PLACES.iter().position(|place| *place == (artifact.version.as_str(), artifact.path.as_str()))
}

impl Client {
    pub(super) fn work_on_artifacts(&mut self) {
        let (place, blob) = (self.chance.below(PLACES.len()), self.chance.below(content().blobs.len()));
        let builds = builds(&self.registry);
        match self.chance.below(6) {
            0..=2 => self.put_artifact(&builds, place, blob),
            3 | 4 => self.delete_artifact(&builds, place),
            _ => self.restore_artifact(&builds, place),
        }
    }

    fn put_artifact(&self, builds: &ArtifactRepository, place: usize, blob: usize) {
        let (c, (version, path)) = (content(), PLACES[place]);
        let new = NewArtifact {
            version: version.parse().unwrap(),
            path: path.parse().unwrap(),
            name: None,
            media_type: Default::default(),
            properties: Default::default(),
            metadata: Default::default(),
            overwrite: true,
            digest: Some(c.blobs[blob].digest.clone()),
        };
        let create = || block_on(builds.create(NewArtifactRepository::default()));
        if let Ok(false) = block_on(builds.exists())
            && let Err(RegistryError::Storage(_)) = create()
        {
            return;
        }
        let number = self.begin(Op::Artifact(place, Some(blob)));
        match block_on(builds.put(new, Chunk::default(), once(c.blobs[blob].bytes.clone()))) {
            Err(RegistryError::ArtifactRepositoryUnknown(_)) => self.refused(number),
            put => drop(self.enter(number, put)),
        }
    }

    fn delete_artifact(&self, builds: &ArtifactRepository, place: usize) {
        let Ok(all) = block_on(builds.load()) else { return };
        let Some(artifact) = all.into_iter().find(|artifact| place_of(artifact) == Some(place)) else { return };
        let Ok(Some(stored)) = block_on(builds.stored(&artifact.version, &artifact.id)) else { return };
        let number = self.begin(Op::Artifact(place, None));
        match block_on(builds.delete_artifact(&stored, None)) {
            // Somebody else was faster.
            Err(RegistryError::ArtifactUnknown) => self.refused(number),
            deleted => drop(self.enter(number, deleted)),
        }
    }

    fn restore_artifact(&self, builds: &ArtifactRepository, place: usize) {
        let Ok(trash) = block_on(builds.trash()) else { return };
        let of_place = trash.into_iter().rev().find(|(_, trashed)| place_of(&trashed.artifact) == Some(place));
        let Some((_, trashed)) = of_place else { return };
        let number = self.begin(Op::RestoreArtifact(place));
        match block_on(builds.restore(&trashed.artifact.id)) {
            Err(RegistryError::ArtifactUnknown | RegistryError::ArtifactExists(_)) => self.refused(number),
            restored => drop(self.enter(number, restored)),
        }
    }

    fn refused(&self, number: usize) {
        self.shared.history.lock().unwrap().refused(number);
    }
}

/// Each place has what was answered, and every artifact, also in the trash, has its bytes.
pub(super) async fn are_sound(shared: &Shared, registry: &Registry) -> Result<(), String> {
    let told = |error: RegistryError| format!("nothing failed, yet: {error}");
    let builds = builds(registry);
    let (mut found, mut all) = ([None; PLACES.len()], builds.load().await.map_err(told)?);
    for artifact in &all {
        let blob = content().blobs.iter().position(|blob| blob.digest == artifact.digest);
        let (place, blob) = place_of(artifact).zip(blob).ok_or("an artifact that nobody uploaded")?;
        if found[place].replace(blob).is_some() {
            return Err(format!("there are two artifacts at place {place}"));
        }
    }
    for (place, value) in found.into_iter().enumerate() {
        if !shared.history.lock().unwrap().artifact_may_be(place, value) {
            return Err(format!("the artifact at place {place} is {value:?}"));
        }
    }
    if shared.history.lock().unwrap().has_artifacts() && !builds.exists().await.map_err(told)? {
        return Err("the repository of artifacts is gone".to_owned());
    }
    let trash: Vec<_> = builds.trash().await.map_err(told)?.into_iter().map(|(_, trashed)| trashed.artifact).collect();
    for place in 0..PLACES.len() {
        let is_there = trash.iter().any(|artifact| place_of(artifact) == Some(place));
        if shared.history.lock().unwrap().must_be_in_trash(place) && !is_there {
            return Err(format!("what was deleted from place {place} cannot be restored"));
        }
    }
    all.extend(trash);
    for artifact in all {
        let Some(number) = content().blobs.iter().position(|blob| blob.digest == artifact.digest) else { continue };
        if !shared.history.lock().unwrap().is_whole(number) {
            continue;
        }
        let what = || format!("the artifact {}/{}", artifact.version, artifact.path);
        let blob = builds.blob(&artifact).await.map_err(|error| format!("{}: {error}", what()))?;
        let bytes = blob.read(Span::whole(blob.len())).await.map_err(|error| format!("{}: {error}", what()))?;
        if bytes != content().blobs[number].bytes {
            return Err(format!("{} has other bytes", what()));
        }
    }
    Ok(())
}
