//! A list of patterns, compiled: which of them match a name, in the order of the list.

use super::{Pattern, RepositoryName};
use globset::{Candidate, GlobBuilder, GlobSet, GlobSetBuilder};
use std::{collections::BTreeMap, fmt, sync::Arc};

/// Patterns in the order of their list. A clone shares what was compiled.
#[derive(Clone, Default)]
pub struct Patterns {
    listed: Arc<[Pattern]>,
    /// For names: in order, so that the first chunk with an accepted pattern ends the search.
    whole: Arc<[Chunk]>,
    /// For prefixes: what they must match so that some pattern reaches below them.
    beginnings: Arc<[Chunk]>,
}

/// Some globs, matched together, each with the places of the patterns it was made of.
struct Chunk {
    /// `None` where compiling is not worth it: then each pattern is asked by itself.
    globs: Option<GlobSet>,
    of: Vec<Vec<usize>>,
}

/// Globs in a chunk: more cost more once a chunk is hit, fewer make more chunks to ask.
const CHUNK: usize = 256;

/// So few patterns are asked one by one as fast, and take a hundredth of the memory.
const FEW: usize = 4;

impl Patterns {
    /// The patterns as listed.
    pub fn as_slice(&self) -> &[Pattern] {
        &self.listed
    }

    /// The place of the first pattern that matches a name, for a caller of this name, and is
    /// accepted.
    pub fn first(
        &self,
        name: &RepositoryName,
        user: Option<&str>,
        mut accepts: impl FnMut(usize) -> bool,
    ) -> Option<usize> {
        find(&self.whole, name, |place, surely| {
            accepts(place) && (surely && !self.listed[place].is_personal() || self.listed[place].matches(name, user))
        })
    }

    /// Whether any matches a name, for a caller of this name.
    pub fn matches(&self, name: &RepositoryName, user: Option<&str>) -> bool {
        self.first(name, user, |_| true).is_some()
    }

    /// Whether a name below `prefix` could match one that is accepted; `false` only if surely none
    /// does.
    pub fn reach(&self, prefix: &RepositoryName, user: Option<&str>, mut accepts: impl FnMut(usize) -> bool) -> bool {
        find(&self.beginnings, prefix, |place, _| accepts(place) && self.listed[place].reaches(prefix, user)).is_some()
    }
}

/// The first place that is hit and passes; `passes` hears whether the glob was asked already.
fn find(chunks: &[Chunk], name: &RepositoryName, mut passes: impl FnMut(usize, bool) -> bool) -> Option<usize> {
    let (name, mut hits) = (Candidate::new(name.as_str()), Vec::new());
    for chunk in chunks {
        let found = match &chunk.globs {
            Some(globs) if !globs.is_match_candidate(&name) => None,
            Some(globs) => {
                globs.matches_candidate_into(&name, &mut hits);
                hits.iter().flat_map(|&hit| &chunk.of[hit]).copied().find(|&place| passes(place, true))
            }
            None => chunk.of.iter().flatten().copied().find(|&place| passes(place, false)),
        };
        if found.is_some() {
            return found;
        }
    }
    None
}

impl From<Vec<Pattern>> for Patterns {
    fn from(listed: Vec<Pattern>) -> Self {
        let whole = listed.iter().enumerate().map(|(place, pattern)| (pattern.glob(), vec![place])).collect();
        let mut beginnings = BTreeMap::<String, Vec<usize>>::new();
        for (place, pattern) in listed.iter().enumerate() {
            for glob in pattern.beginnings() {
                beginnings.entry(glob).or_default().push(place);
            }
        }
        let few = listed.len() <= FEW;
        let beginnings = compiled(beginnings.into_iter().collect(), few);
        Self { whole: compiled(whole, few), beginnings, listed: listed.into() }
    }
}

fn compiled(globs: Vec<(String, Vec<usize>)>, few: bool) -> Arc<[Chunk]> {
    let mut globs = globs.into_iter().peekable();
    let mut chunks = Vec::new();
    while globs.peek().is_some() {
        let (texts, of): (Vec<_>, Vec<_>) = globs.by_ref().take(CHUNK).unzip();
        chunks.push(Chunk { globs: (!few).then(|| set(&texts)).flatten(), of });
    }
    chunks.into()
}

/// `None` if the library refuses. The grammar of patterns leaves it no reason to, except memory.
fn set(globs: &[String]) -> Option<GlobSet> {
    let mut set = GlobSetBuilder::new();
    for glob in globs {
        set.add(GlobBuilder::new(glob).literal_separator(true).build().ok()?);
    }
    set.build().ok()
}

impl FromIterator<Pattern> for Patterns {
    fn from_iter<I: IntoIterator<Item = Pattern>>(patterns: I) -> Self {
        patterns.into_iter().collect::<Vec<_>>().into()
    }
}

impl PartialEq for Patterns {
    fn eq(&self, other: &Self) -> bool {
        self.listed == other.listed
    }
}

impl Eq for Patterns {}

impl fmt::Debug for Patterns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.listed, f)
    }
}

#[cfg(test)]
mod tests;
