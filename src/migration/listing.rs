//! Finds the images that a migration is asked for.

use super::{
    engine::Engine,
    failure::{CopyFailure, shortened},
    images::{ImagePattern, RepositoriesAsked, TagsAsked},
    limits::{MOST_ENTRIES, MOST_PAGES, PAGE},
    record::ImageRecord,
};
use api::migration::ImageStatus;
use client::{ErrorKind, PageRequest, Pages};
use futures_util::{FutureExt as _, StreamExt as _, future::BoxFuture, stream};
use oci::{Reference, RepositoryName, Tag, order::natural};
use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
};

impl Engine {
    /// The images that were asked for, in the order of their names. Those of an earlier list keep their state.
    pub(super) fn list(&self) -> BoxFuture<'_, Result<Vec<ImageRecord>, String>> {
        Box::pin(async move {
            let most = self.authority.live().migration.most_images;
            let mut found: HashSet<(RepositoryName, String)> = HashSet::new();
            let mut unlisted = Vec::new();
            for (repository, patterns) in self.repositories().await? {
                for pattern in &patterns {
                    if let TagsAsked::One(reference) = &pattern.tags
                        && pattern.repository().is_some()
                    {
                        found.insert((repository.clone(), reference.as_str().to_owned()));
                    }
                }
                if !patterns.iter().all(is_exact) {
                    unlisted.push((repository, patterns));
                }
            }
            let at_once = self.authority.live().migration.images;
            let mut lists = stream::iter(unlisted)
                .map(|(repository, patterns)| {
                    async move { (self.tags(&repository).await, repository, patterns) }.boxed()
                })
                .buffer_unordered(at_once);
            let (mut failures, mut entries) = (Vec::new(), 0);
            while let Some((tags, repository, patterns)) = lists.next().await {
                match tags {
                    Ok(tags) => {
                        entries += tags.len();
                        self.note_companions(&repository, &tags).await;
                        let asked = tags.iter().filter(|tag| patterns.iter().any(|pattern| pattern.tags.matches(tag)));
                        found.extend(asked.map(|tag| (repository.clone(), tag.to_string())));
                    }
                    Err(failure) => failures.push((repository, failure.message())),
                }
                if found.len() > most {
                    return Err(format!(
                        "more than {most} images match (migration.max_images); name fewer of them, or copy them in parts"
                    ));
                }
                if entries > MOST_ENTRIES {
                    return Err(format!("the lists of the other registry have more than {MOST_ENTRIES} entries"));
                }
            }
            drop(lists);
            self.state.change(|record| {
                let before = record.images.drain(..);
                let mut before: BTreeMap<(String, String), ImageRecord> =
                    before.map(|image| ((image.repository.clone(), image.reference.clone()), image)).collect();
                let images = found.into_iter().map(|(repository, reference)| {
                    let (repository, known) = (repository.to_string(), reference.clone());
                    before.remove(&(repository.clone(), known)).unwrap_or_else(|| waiting(repository, reference))
                });
                let mut images: Vec<ImageRecord> = images.collect();
                images.extend(failures.into_iter().map(|(repository, message)| ImageRecord {
                    status: ImageStatus::Failed,
                    message: Some(shortened(&format!("its tags could not be listed: {message}"))),
                    ..waiting(repository.to_string(), Self::UNLISTED.to_owned())
                }));
                images
                    .sort_by(|a, b| a.repository.cmp(&b.repository).then_with(|| natural(&a.reference, &b.reference)));
                match images.is_empty() {
                    true => {
                        Err("no image matches; check the names, and that these credentials may see them".to_owned())
                    }
                    false => Ok(images),
                }
            })
        })
    }

    /// The repositories that were asked for, each with the patterns that name it.
    async fn repositories(&self) -> Result<BTreeMap<RepositoryName, Vec<Arc<ImagePattern>>>, String> {
        let mut found: BTreeMap<RepositoryName, Vec<Arc<ImagePattern>>> = BTreeMap::new();
        let mut globs = Vec::new();
        for pattern in &self.patterns {
            match &pattern.repositories {
                RepositoriesAsked::One(name) => found.entry(name.clone()).or_default().push(pattern.clone()),
                RepositoriesAsked::Matching(glob) => globs.push((pattern, glob)),
            }
        }
        if globs.is_empty() {
            return Ok(found);
        }
        let catalog = self.client.catalog(&PageRequest { size: Some(PAGE), after: None });
        let catalog = all(catalog).await.map_err(|failure| {
            format!("patterns of repositories need the list of all repositories: {}", failure.message())
        })?;
        for name in catalog {
            let matching =
                globs.iter().filter(|(_, glob)| glob.matches(&name, None)).map(|(pattern, _)| (*pattern).clone());
            let matching: Vec<_> = matching.collect();
            if !matching.is_empty() {
                found.entry(name).or_default().extend(matching);
            }
        }
        Ok(found)
    }

    /// All tags of a repository. One that has none need not exist for its registry.
    pub(super) async fn tags(&self, repository: &RepositoryName) -> Result<Vec<Tag>, CopyFailure> {
        match all(self.client.tags(repository, &PageRequest { size: Some(PAGE), after: None })).await {
            Err(CopyFailure::Source(error)) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
            tags => tags,
        }
    }
}

/// Whether a pattern names an image without a list of tags.
fn is_exact(pattern: &Arc<ImagePattern>) -> bool {
    pattern.repository().is_some() && matches!(pattern.tags, TagsAsked::One(Reference::Tag(_) | Reference::Digest(_)))
}

fn waiting(repository: String, reference: String) -> ImageRecord {
    ImageRecord {
        repository,
        reference,
        status: ImageStatus::Waiting,
        digest: None,
        bytes: [0; 3],
        layers: [0; 2],
        message: None,
    }
}

/// All entries of a list, if it ends.
async fn all<T>(mut pages: Pages<T>) -> Result<Vec<T>, CopyFailure> {
    let mut entries = Vec::new();
    for _ in 0..MOST_PAGES {
        let Some(page) = pages.next_page().await? else { return Ok(entries) };
        entries.extend(page);
        if entries.len() > MOST_ENTRIES {
            return Err(CopyFailure::Final(format!(
                "a list of the other registry has more than {MOST_ENTRIES} entries"
            )));
        }
    }
    Err(CopyFailure::Final(format!("a list of the other registry has more than {MOST_PAGES} pages")))
}
