//! What repositories hold: counted once, and again only after a change.

use super::{NamespaceName, Registry, Result, Visible, catalog::CatalogScope};
use crate::storage::RepositoryOutline;
use oci::RepositoryName;
use std::sync::Arc;

/// Repositories whose outlines are kept in memory: 250 bytes each. Few in tests, which create many registries.
const MOST_KEPT: usize = if cfg!(test) { 64 } else { 131_072 };

/// Repositories that are looked at together.
const TOGETHER: usize = 500;

/// Outlines of repositories, as they were when last asked for.
pub(super) struct KnownOutlines(quick_cache::sync::Cache<RepositoryName, Arc<RepositoryOutline>>);

/// What all visible repositories hold together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UsageTotals {
    /// Repositories with at least one manifest.
    pub repositories: u64,
    /// Tags.
    pub tags: u64,
    /// Manifests.
    pub manifests: u64,
    /// Bytes; what several repositories share counts in each of them.
    pub bytes: u64,
}

impl Default for KnownOutlines {
    fn default() -> Self {
        Self(quick_cache::sync::Cache::new(MOST_KEPT))
    }
}

impl UsageTotals {
    /// Adds a repository.
    pub fn add(&mut self, outline: &RepositoryOutline) {
        self.repositories += 1;
        self.tags += outline.tags;
        self.manifests += outline.manifests;
        self.bytes = self.bytes.saturating_add(outline.bytes);
    }

    /// Adds what other repositories hold.
    pub fn add_all(&mut self, others: &Self) {
        self.repositories += others.repositories;
        self.tags += others.tags;
        self.manifests += others.manifests;
        self.bytes = self.bytes.saturating_add(others.bytes);
    }
}

impl Registry {
    /// What each of these repositories holds, in their order. Nothing is counted that has not changed since it was
    /// counted last.
    ///
    /// # Errors
    /// Only the store's.
    pub async fn outlines(&self, names: &[RepositoryName]) -> Result<Vec<Arc<RepositoryOutline>>> {
        let kept = &self.core.outlines.0;
        let known: Vec<_> = names.iter().map(|name| kept.get(name)).collect();
        let stamps = known.iter().map(|known| known.as_ref().and_then(|known| known.stamp));
        let found = self.core.store.outlines(names.iter().cloned().zip(stamps).collect()).await?;
        let outlines = names.iter().zip(known).zip(found).map(|((name, known), found)| match (found, known) {
            (None, Some(known)) => known,
            (found, _) => {
                let outline = Arc::new(found.unwrap_or_default());
                kept.insert(name.clone(), outline.clone());
                outline
            }
        });
        Ok(outlines.collect())
    }

    /// Calls `each` for every repository with a manifest that the caller may see, in byte order of the names.
    ///
    /// # Errors
    /// Only the store's.
    pub async fn each_outline(
        &self,
        visible: &dyn Visible,
        each: impl FnMut(&RepositoryName, &Arc<RepositoryOutline>) + Send,
    ) -> Result<()> {
        self.each_of(CatalogScope::WithManifest, None, visible, each).await
    }

    /// The same for all repositories of a namespace, or of all, also those that hold nothing.
    ///
    /// # Errors
    /// Only the store's.
    pub async fn each_existing(
        &self,
        namespace: Option<&NamespaceName>,
        visible: &dyn Visible,
        each: impl FnMut(&RepositoryName, &Arc<RepositoryOutline>) + Send,
    ) -> Result<()> {
        self.each_of(CatalogScope::Existing, namespace, visible, each).await
    }

    async fn each_of(
        &self,
        scope: CatalogScope,
        namespace: Option<&NamespaceName>,
        visible: &dyn Visible,
        mut each: impl FnMut(&RepositoryName, &Arc<RepositoryOutline>) + Send,
    ) -> Result<()> {
        let mut last: Option<String> = None;
        loop {
            let prefix = namespace.map(NamespaceName::prefix);
            let page = self.names_of(scope, prefix, last.as_deref(), TOGETHER, visible).await?;
            for (name, outline) in page.entries.iter().zip(self.outlines(&page.entries).await?.iter()) {
                each(name, outline);
            }
            match page.entries.last() {
                Some(name) if page.more => last = Some(name.to_string()),
                _ => return Ok(()),
            }
        }
    }

    /// The totals over everything that the caller may see.
    ///
    /// # Errors
    /// Only the store's.
    pub async fn totals(&self, visible: &dyn Visible) -> Result<UsageTotals> {
        let mut totals = UsageTotals::default();
        self.each_outline(visible, |_, outline| totals.add(outline)).await?;
        Ok(totals)
    }
}
