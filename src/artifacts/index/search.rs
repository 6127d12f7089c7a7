//! Finds rows.

use super::{
    ArtifactIndex, FoundArtifacts,
    pairs::PairNumber,
    rows::RowNumber,
    texts::{TextNumber, Texts},
};
use crate::artifacts::{ArtifactFilters, ArtifactOrder, PropertyValue, Wildcard};

/// Rows from which on it is worth to remember which texts match.
const MANY: usize = 4096;

/// The pairs of which a row must have one.
struct WantedPairs {
    key: TextNumber,
    pairs: Vec<PairNumber>,
    /// How many rows have one of them, if the key is indexed.
    rows: Option<usize>,
}

/// Values of which a text must match one.
struct TextFilter<'f> {
    values: &'f [Wildcard],
    /// Whether a text matches, by its number; empty if there are few rows.
    known: Vec<Option<bool>>,
    lower: Vec<u8>,
}

impl<'f> TextFilter<'f> {
    fn of(values: &'f [Wildcard], texts: &Texts, rows: usize) -> Option<Self> {
        let known = if rows < MANY { Vec::new() } else { vec![None; texts.len()] };
        (!values.is_empty()).then(|| Self { values, known, lower: Vec::new() })
    }

    fn matches(&mut self, texts: &Texts, text: TextNumber) -> bool {
        self.matches_text(text, texts.get(text))
    }

    /// The same for a text that follows from the one with this number.
    fn matches_text(&mut self, number: TextNumber, text: &str) -> bool {
        let Self { values, known, lower } = self;
        if let Some(Some(known)) = known.get(number.index()) {
            return *known;
        }
        let matches = values.iter().any(|value| value.matches(text, lower));
        if let Some(place) = known.get_mut(number.index()) {
            *place = Some(matches);
        }
        matches
    }
}

impl ArtifactIndex {
    /// How many artifacts match, and the first of them in this order.
    pub fn search(&self, filters: &ArtifactFilters, order: ArtifactOrder, most: usize) -> FoundArtifacts {
        self.first_of(self.matching(filters), order, most)
    }

    /// The rows that match. The name of the repository is not looked at.
    pub(super) fn matching(&self, filters: &ArtifactFilters) -> Vec<RowNumber> {
        let Some(mut wanted) = self.wanted(filters) else { return Vec::new() };
        let mut rows = match filters.ids.is_empty() {
            true => self.candidates(&mut wanted),
            false => filters.ids.iter().filter_map(|id| self.row_of(id)).collect(),
        };
        if !wanted.is_empty() {
            rows.retain(|row| {
                let pairs = self.rows.pairs(*row);
                wanted.iter().all(|wanted| pairs.iter().any(|pair| wanted.pairs.contains(pair)))
            });
        }
        if !filters.latest {
            self.keep(&mut rows, &filters.versions, |row| self.rows.versions[row as usize]);
        }
        self.keep_named(&mut rows, &filters.names);
        self.keep(&mut rows, &filters.paths, |row| self.rows.paths[row as usize]);
        self.keep_containing(&mut rows, &filters.contained);
        if filters.latest {
            self.keep_latest(&mut rows, &filters.versions);
        }
        rows
    }

    /// The pairs that are wanted, by key; `None` if nothing has one of them.
    fn wanted(&self, filters: &ArtifactFilters) -> Option<Vec<WantedPairs>> {
        let of = |key: &str, values: &[PropertyValue]| {
            let key = self.texts.find(key)?;
            let value = |value: &str| self.pairs.find(key, self.texts.find(value)?);
            let mut pairs: Vec<PairNumber> = values.iter().filter_map(|text| value(text.as_str())).collect();
            pairs.sort_unstable();
            pairs.dedup();
            let rows = self.chains.has(key).then(|| pairs.iter().map(|pair| self.chains.len(*pair)).sum());
            (!pairs.is_empty()).then_some(WantedPairs { key, pairs, rows })
        };
        filters.properties.iter().map(|(key, values)| of(key.as_str(), values)).collect()
    }

    /// The rows that are looked at: those that the most selective of the indexed keys leads to, which is no longer
    /// wanted then, or all.
    fn candidates(&self, wanted: &mut Vec<WantedPairs>) -> Vec<RowNumber> {
        let indexed = wanted.iter().enumerate().filter_map(|(at, wanted)| Some((wanted.rows?, at)));
        match indexed.min() {
            Some((len, at)) => {
                let WantedPairs { key, pairs, .. } = wanted.swap_remove(at);
                let mut rows = Vec::with_capacity(len);
                for pair in pairs {
                    rows.extend(self.chains.rows(key, pair).filter(|row| self.rows.is_live(*row)));
                }
                rows
            }
            None => self.rows.live().collect(),
        }
    }

    /// Keeps the rows of which a text matches.
    fn keep(&self, rows: &mut Vec<RowNumber>, values: &[Wildcard], text: impl Fn(RowNumber) -> TextNumber) {
        if let Some(mut filter) = TextFilter::of(values, &self.texts, rows.len()) {
            rows.retain(|row| filter.matches(&self.texts, text(*row)));
        }
    }

    /// Keeps the rows whose name matches.
    fn keep_named(&self, rows: &mut Vec<RowNumber>, values: &[Wildcard]) {
        let Some(mut own) = TextFilter::of(values, &self.texts, rows.len()) else { return };
        let Some(mut of_paths) = TextFilter::of(values, &self.texts, rows.len()) else { return };
        rows.retain(|row| match self.rows.name(*row) {
            Some(name) => own.matches(&self.texts, name),
            None => of_paths.matches_text(self.rows.paths[*row as usize], self.name(*row)),
        });
    }

    /// Keeps the rows with a text that matches.
    fn keep_containing(&self, rows: &mut Vec<RowNumber>, values: &[Wildcard]) {
        let Some(mut filter) = TextFilter::of(values, &self.texts, rows.len()) else { return };
        let matches = |pair: PairNumber, filter: &mut TextFilter<'_>| {
            let (_, value) = self.pairs.get(pair);
            filter.matches(&self.texts, value)
        };
        rows.retain(|row| {
            let at = *row as usize;
            // A name that is part of the path need not be looked at.
            let texts = [Some(self.rows.paths[at]), self.rows.name(*row), Some(self.rows.versions[at])];
            texts.into_iter().flatten().any(|text| filter.matches(&self.texts, text))
                || self.rows.pairs(*row).iter().any(|pair| matches(*pair, &mut filter))
        });
    }

    /// Keeps the rows of the newest of their versions, and of versions that match.
    fn keep_latest(&self, rows: &mut Vec<RowNumber>, versions: &[Wildcard]) {
        let (ranks, all) = (self.ranks(), &self.rows.versions);
        let newest = rows.iter().map(|row| all[*row as usize]).max_by_key(|version| ranks.get(version.index()));
        let Some(newest) = newest else { return };
        let mut others = TextFilter::of(versions, &self.texts, rows.len());
        rows.retain(|row| {
            let version = all[*row as usize];
            version == newest || others.as_mut().is_some_and(|others| others.matches(&self.texts, version))
        });
    }
}
