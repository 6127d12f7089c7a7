//! A list of patterns, compiled: which of them match a name, in the order of the list.

use super::{Pattern, RepositoryName};
use globset::{Candidate, GlobBuilder, GlobSet, GlobSetBuilder};
use std::{collections::BTreeMap, fmt, sync::Arc};

/// Patterns in the order of their list. Clones share the compiled form.
#[derive(Clone, Default)]
pub struct Patterns {
    listed: Arc<[Pattern]>,
    /// For names, in order, so that the first chunk with an accepted pattern ends the search.
    whole: Arc<[GlobChunk]>,
    /// For prefixes: globs for the prefixes below which a pattern can match.
    beginnings: Arc<[GlobChunk]>,
}

/// Some globs that are matched together, each with the indexes of its patterns.
struct GlobChunk {
    /// `None` if compiling is not worth it: then each pattern is tried on its own.
    globs: Option<GlobSet>,
    of: Vec<Vec<usize>>,
}

/// Globs in a chunk: more make a hit expensive, fewer make more chunks to search.
const CHUNK: usize = 256;

/// This few patterns are as fast one by one, and need a hundredth of the memory.
const FEW: usize = 4;

impl Patterns {
    /// The patterns as listed.
    pub fn as_slice(&self) -> &[Pattern] {
        &self.listed
    }

    /// The index of the first accepted pattern that matches a name, for a caller with the name `user`.
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

    /// Whether any pattern matches a name, for a caller with the name `user`.
    pub fn matches(&self, name: &RepositoryName, user: Option<&str>) -> bool {
        self.first(name, user, |_| true).is_some()
    }

    /// Whether an accepted pattern could match a name below `prefix`; `false` only if surely none does.
    pub fn reach(&self, prefix: &RepositoryName, user: Option<&str>, mut accepts: impl FnMut(usize) -> bool) -> bool {
        find(&self.beginnings, prefix, |place, _| accepts(place) && self.listed[place].reaches(prefix, user)).is_some()
    }
}

/// The first index that is hit and passes; `passes` gets whether the glob was matched already.
fn find(chunks: &[GlobChunk], name: &RepositoryName, mut passes: impl FnMut(usize, bool) -> bool) -> Option<usize> {
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
            for glob in pattern.prefixes() {
                beginnings.entry(glob).or_default().push(place);
            }
        }
        let few = listed.len() <= FEW;
        let beginnings = compiled(beginnings.into_iter().collect(), few);
        Self { whole: compiled(whole, few), beginnings, listed: listed.into() }
    }
}

fn compiled(globs: Vec<(String, Vec<usize>)>, few: bool) -> Arc<[GlobChunk]> {
    let mut globs = globs.into_iter().peekable();
    let mut chunks = Vec::new();
    while globs.peek().is_some() {
        let (texts, of): (Vec<_>, Vec<_>) = globs.by_ref().take(CHUNK).unzip();
        chunks.push(GlobChunk { globs: (!few).then(|| set(&texts)).flatten(), of });
    }
    chunks.into()
}

/// `None` if the library refuses, which it can only do for lack of memory, given the grammar of patterns.
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
