//! The catalog: a lazy walk of the tree in byte order of full names, from anywhere, that looks
//! at no more of the tree than a page needs. There is no index to keep.
//!
//! Byte order of names is not the order of directories: `a-b` sorts before `a/c`. So each name
//! found is two things, a repository `a` and a subtree `a/`, each met at its own place.

use super::{Registry, Result};
use crate::{
    oci::{Algorithm, RepositoryName},
    storage::{Dir, Page},
};
use std::collections::{BTreeSet, HashSet};

/// What of the catalog a caller may see.
pub trait Visible: Send + Sync {
    /// This repository.
    fn shows(&self, repository: &RepositoryName) -> bool;
    /// Anything below this prefix; `false` only if surely nothing.
    fn reaches(&self, prefix: &RepositoryName) -> bool;
}

/// All of it.
pub struct Everything;

impl Visible for Everything {
    fn shows(&self, _: &RepositoryName) -> bool {
        true
    }
    fn reaches(&self, _: &RepositoryName) -> bool {
        true
    }
}

/// Names looked at in one step; few in tests, so that small trees are read in several.
const STEP: usize = if cfg!(test) { 3 } else { 256 };

/// Subtrees looked at along with one, at most.
const MOST_AHEAD: usize = 127;

impl Registry {
    /// Repositories with at least one manifest, after `last` in byte order; `n` of them, or the
    /// default; never more than the maximum.
    ///
    /// # Errors
    /// Only the store's.
    pub async fn catalog(&self, last: Option<&str>, n: Option<usize>, visible: &dyn Visible) -> Result<Page<String>> {
        let most = n.unwrap_or(self.settings.page_default).min(self.settings.page_max);
        let mut page = Page { entries: Vec::new(), more: false };
        if most == 0 {
            return Ok(page);
        }
        let mut walk = Walk::from(last.unwrap_or_default());
        loop {
            // As many as are wanted and one more, which tells whether there are more.
            let mut names = Vec::new();
            while page.entries.len() + names.len() <= most
                && let Some(name) = walk.next(self, visible).await?
            {
                names.push(name);
            }
            if names.is_empty() {
                return Ok(page);
            }
            let found = self.are_repositories(&names).await?;
            let there = names.into_iter().zip(found).filter(|(_, is_there)| *is_there);
            page.entries.extend(there.map(|(name, _)| name.to_string()));
            if page.entries.len() > most {
                page.entries.truncate(most);
                page.more = true;
                return Ok(page);
            }
        }
    }

    /// Whether a repository has a manifest: then it exists.
    pub(super) async fn is_repository(&self, name: &RepositoryName) -> Result<bool> {
        Ok(self.are_repositories(std::slice::from_ref(name)).await?.contains(&true))
    }

    async fn are_repositories(&self, names: &[RepositoryName]) -> Result<Vec<bool>> {
        let mut found = vec![false; names.len()];
        for algorithm in Algorithm::ALL {
            let asked: Vec<usize> = (0..names.len()).filter(|i| !found[*i]).collect();
            let dirs: Vec<_> = asked.iter().map(|i| Dir::Revisions(names[*i].clone(), algorithm)).collect();
            if !dirs.is_empty() {
                let answers = self.core.store.hold_any(dirs).await?;
                asked.into_iter().zip(answers).for_each(|(i, is_there)| found[i] = is_there);
            }
        }
        Ok(found)
    }
}

/// Where the walk stands: what was seen and not yet visited, and per open directory how far it
/// was read.
struct Walk {
    /// Nothing up to this name is wanted.
    last: String,
    /// Full names, and subtrees as `name/`, in the order they are to be met. Small: a directory
    /// is read a step at a time.
    ahead: BTreeSet<String>,
    /// Directories read in part: by the place where the rest of them begins.
    unread: Vec<Unread>,
    /// Of the subtrees ahead those that are known to hold names.
    peopled: HashSet<RepositoryName>,
    /// How many subtrees are looked at along with the next one: the more the longer nothing was in any.
    look_ahead: usize,
}

/// A directory of which more is to be read.
struct Unread {
    prefix: Option<RepositoryName>,
    /// Everything up to this full name was read.
    read: String,
}

impl Walk {
    fn from(last: &str) -> Self {
        Self {
            last: last.to_owned(),
            ahead: BTreeSet::new(),
            unread: vec![Unread { prefix: None, read: String::new() }],
            peopled: HashSet::new(),
            look_ahead: 0,
        }
    }

    async fn next(&mut self, registry: &Registry, visible: &dyn Visible) -> Result<Option<RepositoryName>> {
        loop {
            // Before anything ahead is visited, every directory is read past it.
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
                        && visible.reaches(&prefix)
                        && self.is_peopled(registry, &prefix, visible).await?
                    {
                        self.unread.push(Unread { read: format!("{prefix}/"), prefix: Some(prefix) });
                    }
                }
                None => {
                    if let Ok(name) = met.parse::<RepositoryName>()
                        && visible.shows(&name)
                    {
                        return Ok(Some(name));
                    }
                }
            }
        }
    }

    /// Whether there are names below this one. Most repositories have none, so those that are met next are looked at
    /// along with it: asking the store for each by itself takes far longer than looking.
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
        let next = next.filter(|prefix| !self.peopled.contains(prefix) && visible.reaches(prefix));
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
        let dirs = Dir::Names(dir.prefix.clone());
        // On the first step names up to the one wanted are skipped. Those that begin like it and
        // go on below `/` are not: `a` sorts before `a-b`, but `a/c` after it.
        let fresh = dir.read.len() == start;
        let within = self.last.get(start..).filter(|_| fresh && self.last.starts_with(&dir.read));
        let component = within.and_then(|rest| rest.split('/').next()).unwrap_or_default().to_owned();
        let after = if fresh { component.clone() } else { dir.read[start..].to_owned() };
        if !component.is_empty() {
            // What is wanted after need not be of the grammar: any byte below `/` does this.
            let whole = component.match_indices(|c| c < '/').map(|(i, _)| &component[..i]);
            for name in whole.chain([component.as_str()]) {
                self.see(&dir.read[..start], name);
            }
        }
        let after = Some(after.as_str()).filter(|after| !after.is_empty());
        let page = registry.core.store.listing(&dirs, after, STEP).await?;
        for child in &page.entries {
            self.see(&dir.read[..start], &child.name);
        }
        if let Some(child) = page.entries.last().filter(|_| page.more) {
            let read = format!("{}{}", &dir.read[..start], child.name);
            self.unread.push(Unread { prefix: dir.prefix, read });
        }
        Ok(())
    }

    /// Puts a name ahead, as repository and as subtree, as far as it is after the last one.
    fn see(&mut self, parent: &str, name: &str) {
        let name = format!("{parent}{name}");
        let below = format!("{name}/");
        // A subtree is wanted if it is after the last name, or holds it.
        if below > self.last || self.last.starts_with(&below) {
            self.ahead.insert(below);
        }
        if name > self.last {
            self.ahead.insert(name);
        }
    }
}

#[cfg(test)]
mod tests;
