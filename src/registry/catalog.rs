//! The catalog: a lazy walk of the tree in byte order of full names, from any name on, that reads no more of the tree
//! than a page needs. There is no index to maintain.
//!
//! Byte order of names is not the order of directories: `a-b` sorts before `a/c`. So each name found stands for two
//! things, a repository `a` and a subtree `a/`, each visited at its own position.

use super::{NamespaceName, Registry, Result, Shows, Visible};
use crate::storage::{Dir, DirOf, ListingPage};
use oci::{Algorithm, RepositoryName};
use std::collections::{BTreeSet, HashSet};

/// Names read in one step; few in tests, so that small trees take several.
const STEP: usize = if cfg!(test) { 3 } else { 256 };

/// The most subtrees checked together.
const MOST_AHEAD: usize = 127;

impl Registry {
    /// Repositories with at least one manifest, after `last` in byte order; at most `n`, or the default; never more
    /// than the maximum.
    ///
    /// # Errors
    /// Only the store's.
    pub async fn catalog(
        &self,
        last: Option<&str>,
        n: Option<usize>,
        visible: &dyn Visible,
    ) -> Result<ListingPage<RepositoryName>> {
        let most = n.unwrap_or(self.settings.page_default).min(self.settings.page_max);
        self.names_of(CatalogScope::WithManifest, None, last, most, visible).await
    }

    /// Repositories after `last` in byte order, at most `most`, also those that hold nothing; in a namespace, or in all.
    ///
    /// # Errors
    /// Only the store's.
    pub async fn existing_repositories(
        &self,
        namespace: Option<&NamespaceName>,
        last: Option<&str>,
        most: usize,
        visible: &dyn Visible,
    ) -> Result<ListingPage<RepositoryName>> {
        self.names_of(CatalogScope::Existing, namespace.map(NamespaceName::prefix), last, most, visible).await
    }

    /// Repositories after `last` in byte order, at most `most`; in a namespace, or in all.
    ///
    /// # Errors
    /// Only the store's.
    pub(super) async fn names_of(
        &self,
        scope: CatalogScope,
        namespace: Option<&RepositoryName>,
        last: Option<&str>,
        most: usize,
        visible: &dyn Visible,
    ) -> Result<ListingPage<RepositoryName>> {
        let mut page = ListingPage { entries: Vec::new(), more: false };
        if most == 0 {
            return Ok(page);
        }
        let mut walk = CatalogWalk::from(last.unwrap_or_default(), namespace);
        if visible.asks_facts() {
            walk.recorded = self.repositories_with_facts().await?;
        }
        loop {
            // One more than requested, to find out whether there are more.
            let mut names = Vec::new();
            while page.entries.len() + names.len() <= most
                && let Some(name) = walk.next(self, visible).await?
            {
                names.push(name);
            }
            if names.is_empty() {
                return Ok(page);
            }
            let found = self.are_repositories(&names, scope).await?;
            let there = names.into_iter().zip(found).filter(|(_, is_there)| *is_there);
            page.entries.extend(there.map(|(name, _)| name));
            if page.entries.len() > most {
                page.entries.truncate(most);
                page.more = true;
                return Ok(page);
            }
        }
    }

    /// Those of these repositories that exist, also those that hold nothing.
    ///
    /// # Errors
    /// Only the store's.
    pub async fn existing_among(&self, names: Vec<RepositoryName>) -> Result<Vec<RepositoryName>> {
        let found = self.are_repositories(&names, CatalogScope::Existing).await?;
        Ok(names.into_iter().zip(found).filter(|(_, is_there)| *is_there).map(|(name, _)| name).collect())
    }

    async fn are_repositories(&self, names: &[RepositoryName], scope: CatalogScope) -> Result<Vec<bool>> {
        let mut found = vec![false; names.len()];
        for kind in scope.dirs() {
            let asked: Vec<usize> = (0..names.len()).filter(|i| !found[*i]).collect();
            let dirs: Vec<_> = asked.iter().map(|i| kind(names[*i].clone())).collect();
            if !dirs.is_empty() {
                let answers = self.core.store.hold_any(dirs).await?;
                asked.into_iter().zip(answers).for_each(|(i, is_there)| found[i] = is_there);
            }
        }
        Ok(found)
    }
}

/// Which names count as repositories.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CatalogScope {
    /// Those with a manifest: what the catalog of the protocol lists.
    WithManifest,
    /// Also those that were created and hold nothing.
    Existing,
}

impl CatalogScope {
    /// The directories of a repository, of which one has to hold something.
    pub(super) fn dirs(self) -> &'static [fn(RepositoryName) -> Dir] {
        const DIRS: [fn(RepositoryName) -> Dir; 3] = [
            |name| Dir::Revisions(name, Algorithm::Sha256),
            |name| Dir::Revisions(name, Algorithm::Sha512),
            Dir::Facts,
        ];
        match self {
            Self::WithManifest => &DIRS[..2],
            Self::Existing => &DIRS,
        }
    }
}

/// The position of the walk: what was seen and not yet visited, and how far each open directory was read.
struct CatalogWalk {
    /// Names up to this one are skipped.
    last: String,
    /// Full names, and subtrees as `name/`, in the order of the visit. Small, because a directory is read a step at a
    /// time.
    ahead: BTreeSet<String>,
    /// Partly read directories, by the name where the rest begins.
    unread: Vec<Unread>,
    /// Pending subtrees that are known to contain names.
    peopled: HashSet<RepositoryName>,
    /// How many subtrees are checked together with the next one: more, the longer none of them contained anything.
    look_ahead: usize,
    /// Repositories whose facts may make them visible to the caller.
    recorded: BTreeSet<String>,
}

/// A directory of which more is to be read.
struct Unread {
    prefix: Option<RepositoryName>,
    /// Everything up to this full name has been read.
    read: String,
}

impl CatalogWalk {
    fn from(last: &str, namespace: Option<&RepositoryName>) -> Self {
        let read = namespace.map(|namespace| format!("{namespace}/")).unwrap_or_default();
        Self {
            last: last.to_owned(),
            ahead: BTreeSet::new(),
            unread: vec![Unread { prefix: namespace.cloned(), read }],
            peopled: HashSet::new(),
            look_ahead: 0,
            recorded: BTreeSet::new(),
        }
    }

    async fn next(&mut self, registry: &Registry, visible: &dyn Visible) -> Result<Option<RepositoryName>> {
        loop {
            // Before anything pending is visited, every directory is read past it.
            let first = self.ahead.first();
            let behind = self.unread.iter().position(|dir| first.is_none_or(|first| dir.read < *first));
            if let Some(i) = behind {
                let dir = self.unread.swap_remove(i);
                self.read(registry, dir).await?;
                continue;
            }
            let Some(met) = self.ahead.pop_first() else { return Ok(None) };
            match met.strip_suffix('/') {
                Some(prefix) => {
                    if let Ok(prefix) = prefix.parse::<RepositoryName>()
                        && self.reaches(visible, &prefix)
                        && self.is_peopled(registry, &prefix, visible).await?
                    {
                        self.unread.push(Unread { read: format!("{prefix}/"), prefix: Some(prefix) });
                    }
                }
                None => {
                    if let Ok(name) = met.parse::<RepositoryName>()
                        && self.shows(registry, visible, &name).await
                    {
                        return Ok(Some(name));
                    }
                }
            }
        }
    }

    async fn shows(&self, registry: &Registry, visible: &dyn Visible, name: &RepositoryName) -> bool {
        match visible.shows(name) {
            Shows::Yes => true,
            Shows::ByFacts(undecided) if self.recorded.contains(name.as_str()) => {
                registry.repository(name).decide_by_facts(undecided).await.allowed
            }
            Shows::ByFacts(_) | Shows::No => false,
        }
    }

    /// Whether anything below a prefix can be visible; `false` only if certainly nothing is.
    fn reaches(&self, visible: &dyn Visible, prefix: &RepositoryName) -> bool {
        let is_recorded = || {
            let below = format!("{prefix}/");
            self.recorded.range(below.clone()..).next().is_some_and(|name| name.starts_with(&below))
        };
        visible.reaches(prefix) || (!self.recorded.is_empty() && is_recorded())
    }

    /// Whether there are names below this one. Most repositories have none, so the next ones are checked together
    /// with it: a store call for each takes far longer than the check.
    async fn is_peopled(
        &mut self,
        registry: &Registry,
        prefix: &RepositoryName,
        visible: &dyn Visible,
    ) -> Result<bool> {
        if self.peopled.remove(prefix) {
            return Ok(true);
        }
        let next = self.ahead.iter().filter_map(|ahead| ahead.strip_suffix('/')?.parse().ok());
        let next = next.filter(|prefix| !self.peopled.contains(prefix) && self.reaches(visible, prefix));
        let asked: Vec<RepositoryName> = [prefix.clone()].into_iter().chain(next.take(self.look_ahead)).collect();
        let dirs = asked.iter().map(|prefix| Dir::Names(Some(prefix.clone()))).collect();
        let mut answers = registry.core.store.hold_any(dirs).await?.into_iter();
        let is_peopled = answers.next() == Some(true);
        self.look_ahead = if is_peopled { 0 } else { (2 * self.look_ahead + 1).min(MOST_AHEAD) };
        for (other, is_peopled) in asked.into_iter().skip(1).zip(answers) {
            match is_peopled {
                true => self.peopled.insert(other),
                false => self.ahead.remove(&format!("{other}/")),
            };
        }
        Ok(is_peopled)
    }

    /// Reads a step of a directory.
    async fn read(&mut self, registry: &Registry, dir: Unread) -> Result<()> {
        let start = dir.prefix.as_ref().map_or(0, |prefix| prefix.as_str().len() + 1);
        let names = DirOf::names(dir.prefix.as_ref());
        // On the first step, names up to `after` are skipped, but not those that are a prefix of it and continue
        // below `/`: `a` sorts before `a-b`, but `a/c` after it.
        let fresh = dir.read.len() == start;
        let within = self.last.get(start..).filter(|_| fresh && self.last.starts_with(&dir.read));
        let component = within.and_then(|rest| rest.split('/').next()).unwrap_or_default().to_owned();
        let after = if fresh { component.clone() } else { dir.read[start..].to_owned() };
        if !component.is_empty() {
            // The start need not be a valid name: any byte below `/` will do.
            let whole = component.match_indices(|c| c < '/').map(|(i, _)| &component[..i]);
            for name in whole.chain([component.as_str()]) {
                self.add_pending(&format!("{}{name}", &dir.read[..start]));
            }
        }
        let after = Some(after.as_str()).filter(|after| !after.is_empty());
        let page = registry.core.store.page(&names, after, STEP).await?;
        for name in &page.entries {
            self.add_pending(name.as_str());
        }
        if let Some(last) = page.entries.last().filter(|_| page.more) {
            self.unread.push(Unread { prefix: dir.prefix, read: last.to_string() });
        }
        Ok(())
    }

    /// Adds a name to the pending ones, as a repository and as a subtree, if it comes after the last one.
    fn add_pending(&mut self, name: &str) {
        let below = format!("{name}/");
        // A subtree is needed if it comes after the last name, or contains it.
        if below > self.last || self.last.starts_with(&below) {
            self.ahead.insert(below);
        }
        if name > self.last.as_str() {
            self.ahead.insert(name.to_owned());
        }
    }
}

#[cfg(test)]
mod tests;
