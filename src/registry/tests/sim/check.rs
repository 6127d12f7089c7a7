//! What must hold for a store that was mounted after a crash, and then for the registry on top of it.

use super::{
    artifacts,
    client::{Missing, Shared, pull, pull_blob},
    content::content,
    history::Op,
};
use crate::{
    registry::{Chunk, Condition, Registry, RegistryError},
    storage::FactKey,
    upkeep::CollectionOptions,
};
use bytes::Bytes;
use oci::{Digest, Hasher, Reference, RepositoryName};

type Sound = Result<(), String>;

fn describe(missing: Missing) -> String {
    match missing {
        Missing::It(what) => what,
        Missing::Unknown(error) => format!("nothing failed, yet: {error}"),
    }
}

fn ours<E: std::fmt::Display>(error: E) -> String {
    format!("nothing failed, yet: {error}")
}

/// What was answered holds, and nothing dangles. Changes nothing.
pub(super) async fn is_sound(shared: &Shared, registry: &Registry) -> Sound {
    answered(shared, registry).await?;
    nothing_dangles(shared, registry).await?;
    artifacts::are_sound(shared, registry).await?;
    bytes_are_right(shared)
}

/// The store is as good as new: what one may do next works, and loses nothing.
pub(super) async fn goes_on(shared: &Shared, registry: &Registry) -> Sound {
    as_good_as_new(registry).await?;
    // Collection must not take anything of it, whatever the crash has left.
    for now in [false, true] {
        let options = CollectionOptions { dry_run: false, now, force: true };
        let number = shared.history.lock().unwrap().begin(Op::Collect);
        let report = registry.collect(options, &()).await.map_err(ours)?.ok_or("the lock of a collection is left")?;
        shared.history.lock().unwrap().answered(number);
        if let Some(error) = report.errors.first() {
            return Err(format!("nothing failed, but a collection reported: {error}"));
        }
        is_sound(shared, registry).await?;
    }
    deleting_leaves_no_tag(registry).await
}

async fn answered(shared: &Shared, registry: &Registry) -> Sound {
    let c = content();
    needed(shared, registry).await?;
    let pushed = shared.history.lock().unwrap().pushed();
    for (repository, blob) in pushed {
        pull_blob(registry, repository, blob).await.map_err(describe)?;
    }
    for (r, name) in c.repositories.iter().enumerate() {
        for image in 0..c.images.len() {
            if shared.history.lock().unwrap().is_gone(r, image) && pull(registry, r, image).await.is_ok() {
                return Err(format!("image {image} of repository {r} was deleted, and still exists"));
            }
            if shared.history.lock().unwrap().is_gone(r, image)
                && let Some(subject) = c.images[image].subject
            {
                let (subject, referrer) = (c.images[subject].digest.clone(), c.images[image].digest.clone());
                let entry = FactKey::Referrer { repository: name.clone(), subject, referrer };
                if registry.core.store.get(&entry).await.map_err(ours)?.is_some() {
                    return Err(format!("image {image} of repository {r} was deleted, and its entry still exists"));
                }
            }
        }
        for blob in 0..c.blobs.len() {
            if shared.history.lock().unwrap().is_blob_gone(r, blob) && pull_blob(registry, r, blob).await.is_ok() {
                return Err(format!("blob {blob} of repository {r} was deleted, and still exists"));
            }
        }
        for (t, tag) in c.tags.iter().enumerate() {
            let value = match registry.repository(name).manifest(&Reference::Tag(tag.clone())).await {
                Ok(stored) => Some(c.image_of(&stored.digest).ok_or("a tag points to a manifest that nobody pushed")?),
                Err(RegistryError::ManifestUnknown(_)) => None,
                Err(error) => return Err(ours(error)),
            };
            if !shared.history.lock().unwrap().tag_may_be(r, t, value) {
                return Err(format!("tag {t} of repository {r} is {value:?}"));
            }
        }
    }
    Ok(())
}

/// What was acknowledged as pushed and not deleted since exists, with everything it needs.
async fn needed(shared: &Shared, registry: &Registry) -> Sound {
    let needed = shared.history.lock().unwrap().needed();
    for (repository, image, blobs, children) in needed {
        pull(registry, repository, image).await.map_err(describe)?;
        if let Some(subject) = content().images[image].subject
            && !lists(registry, repository, subject, image).await?
        {
            return Err(format!("image {subject} of repository {repository} does not list image {image}"));
        }
        for blob in blobs {
            pull_blob(registry, repository, blob).await.map_err(describe)?;
        }
        for child in children {
            pull(registry, repository, child).await.map_err(describe)?;
        }
    }
    Ok(())
}

/// Whether an image is among those that refer to another.
async fn lists(registry: &Registry, repository: usize, subject: usize, image: usize) -> Result<bool, String> {
    let c = content();
    let (name, subject) = (&c.repositories[repository], &c.images[subject].digest);
    let referrers = registry.repository(name).referrers(subject, &[], None).await.map_err(ours)?;
    Ok(referrers.descriptors.iter().any(|listed| listed.get().contains(c.images[image].digest.as_str())))
}

/// Whatever has a name leads somewhere, acknowledged or not.
async fn nothing_dangles(shared: &Shared, registry: &Registry) -> Sound {
    let c = content();
    for (r, name) in c.repositories.iter().enumerate() {
        for tag in tags(registry, name).await? {
            let found = registry.repository(name).manifest(&tag.parse().map_err(ours)?).await;
            found.map_err(|error| format!("tag {tag} of repository {r} points nowhere: {error}"))?;
        }
        for (i, image) in c.images.iter().enumerate() {
            if let Some(subject) = image.subject
                && lists(registry, r, subject, i).await?
                && pull(registry, r, i).await.is_err()
            {
                return Err(format!("image {subject} of repository {r} lists image {i}, which is not there"));
            }
            if pull(registry, r, i).await.is_err() {
                match registry.repository(name).manifest(&c.by_digest(i)).await {
                    Err(RegistryError::ManifestUnknown(_)) => continue,
                    _ => return Err(format!("image {i} of repository {r} has no bytes")),
                }
            }
            let may_go = |op: Op| shared.history.lock().unwrap().may_be_deleted(&op);
            for blob in &image.blobs {
                if !may_go(Op::DeleteBlob(r, *blob)) && shared.history.lock().unwrap().is_whole(*blob) {
                    let found = pull_blob(registry, r, *blob).await;
                    found.map_err(|missing| format!("image {i} needs it: {}", describe(missing)))?;
                }
            }
            for child in &image.children {
                if !may_go(Op::DeleteImage(r, *child)) {
                    let found = pull(registry, r, *child).await;
                    found.map_err(|missing| format!("index {i} needs it: {}", describe(missing)))?;
                }
            }
        }
    }
    Ok(())
}

async fn tags(registry: &Registry, name: &RepositoryName) -> Result<Vec<String>, String> {
    match registry.repository(name).tags(None, None).await {
        Ok(page) => Ok(page.entries.iter().map(ToString::to_string).collect()),
        Err(RegistryError::NameUnknown(_)) => Ok(Vec::new()),
        Err(error) => Err(ours(error)),
    }
}

/// Every blob matches its digest.
fn bytes_are_right(shared: &Shared) -> Sound {
    let c = content();
    for (path, bytes) in shared.sim.files("blobs") {
        let mut parts = path.split('/').skip(1);
        let (Some(algorithm), Some(hex)) = (parts.next(), parts.nth(1)) else { continue };
        let digest: Digest = format!("{algorithm}:{hex}").parse().map_err(ours)?;
        let known = c.blobs.iter().position(|blob| blob.digest == digest);
        let is_damaged = known.is_some_and(|blob| !shared.history.lock().unwrap().is_whole(blob));
        if !is_damaged && Hasher::digest(digest.algorithm(), &bytes) != digest {
            return Err(format!("{digest} has other bytes"));
        }
    }
    Ok(())
}

/// A push to a repository of its own works, and is there.
async fn as_good_as_new(registry: &Registry) -> Sound {
    let (c, name) = (content(), "as/good/as/new".parse::<RepositoryName>().map_err(ours)?);
    for blob in &c.images[0].blobs {
        let (digest, bytes) = (&c.blobs[*blob].digest, futures_util::stream::iter([Ok(c.blobs[*blob].bytes.clone())]));
        registry.repository(&name).push_blob(digest, Chunk::default(), bytes).await.map_err(ours)?;
    }
    let (tag, bytes): (Reference, Bytes) = (c.tags[0].as_str().parse().map_err(ours)?, c.images[0].bytes.clone());
    registry.repository(&name).put_manifest(&tag, &[], None, bytes, Condition::None).await.map_err(ours)?;
    registry.repository(&name).manifest(&tag).await.map_err(ours).map(drop)
}

/// Deleting a manifest deletes its tags: none is left that points nowhere.
async fn deleting_leaves_no_tag(registry: &Registry) -> Sound {
    let c = content();
    for (r, name) in c.repositories.iter().enumerate() {
        for image in 0..c.images.len() {
            match registry.repository(name).delete_manifest(&c.by_digest(image)).await {
                Ok(()) | Err(RegistryError::ManifestUnknown(_)) => {}
                Err(error) => return Err(ours(error)),
            }
        }
        if let Some(tag) = tags(registry, name).await?.first() {
            return Err(format!("tag {tag} of repository {r} outlived its manifest"));
        }
    }
    Ok(())
}
