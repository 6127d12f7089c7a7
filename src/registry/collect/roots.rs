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
        let mut walk = Walk::default();
        while let Some(repository) = walk.next(pass.registry).await? {
            pass.mark_repository(&repository, graveyard, marks).await?;
        }
        pass.follow.at(Step::Mark, pass.report.manifests).await;
        Ok(())
    }
}
