//! The sources of roots. Each marks everything that its roots reach.

mod artifacts;
mod repository;
mod retain;
mod walk;

use super::{CollectionStep, Pass, Result, graveyard::Graveyard, marks::Marks};
use artifacts::Artifacts;
use async_trait::async_trait;
pub(super) use walk::RepositoryWalk;

/// Something that refers to blobs.
#[async_trait]
pub(super) trait RootSource: Send + Sync {
    /// Marks everything its roots reach.
    async fn mark(&self, pass: &mut Pass<'_>, graveyard: &Graveyard, marks: &mut Marks) -> Result<()>;
}

/// All sources. Repositories first: their mark may have been interrupted, and is resumed; the others are marked anew.
pub(super) fn sources() -> [&'static dyn RootSource; 2] {
    [&Repositories, &Artifacts]
}

/// Manifests of repositories, and active pushes of manifests.
struct Repositories;

#[async_trait]
impl RootSource for Repositories {
    async fn mark(&self, pass: &mut Pass<'_>, graveyard: &Graveyard, marks: &mut Marks) -> Result<()> {
        let marked = pass.resume(marks).await?;
        let mut walk = RepositoryWalk::of(pass.registry);
        while let Some(repository) = walk.next().await? {
            // In the order of the walk, which compares components, not whole names.
            if marked.as_ref().is_none_or(|marked| repository.name().components().gt(marked.components())) {
                pass.mark_repository(&repository, graveyard, marks).await?;
                pass.follow.at(CollectionStep::Mark, pass.report.manifests).await;
                pass.save_if_due(marks, repository.name()).await;
            }
        }
        Ok(())
    }
}
