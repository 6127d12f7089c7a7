//! Where what is needed is known from: a list of sources, each of which marks what its roots reach.

mod repository;
mod retain;
mod walk;

use super::{Pass, Result, Step, graveyard::Graveyard, marks::Marks};
use async_trait::async_trait;
pub(super) use walk::Walk;

/// Something that refers to blobs.
#[async_trait]
pub(super) trait RootSource: Send + Sync {
    /// Marks everything its roots reach.
    async fn mark(&self, pass: &mut Pass<'_>, graveyard: &Graveyard, marks: &mut Marks) -> Result<()>;
}

/// Every source there is.
pub(super) fn sources() -> [&'static dyn RootSource; 1] {
    [&Repositories]
}

/// Manifests of repositories, and pushes of manifests under way.
struct Repositories;

#[async_trait]
impl RootSource for Repositories {
    async fn mark(&self, pass: &mut Pass<'_>, graveyard: &Graveyard, marks: &mut Marks) -> Result<()> {
        let marked = pass.resume(marks).await?;
        let mut walk = Walk::default();
        while let Some(repository) = walk.next(pass.registry).await? {
            // In the order of the walk: by components, which is not that of the names.
            if marked.as_ref().is_none_or(|marked| repository.components().gt(marked.components())) {
                pass.mark_repository(&repository, graveyard, marks).await?;
                pass.follow.at(Step::Mark, pass.report.manifests).await;
                pass.keep(marks, &repository).await;
            }
        }
        Ok(())
    }
}
