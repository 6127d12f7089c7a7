//! Which artifacts a search finds.

use super::{InvalidQuery, Wildcard};
use crate::artifacts::{Artifact, ArtifactId, ArtifactVersion, InvalidArtifactId, PropertyKey, PropertyValue};
use oci::order::by_version;
use std::collections::{BTreeMap, BTreeSet};

/// The most values of all filters together.
pub const MOST_FILTERS: usize = 64;

/// The longest value of a filter in bytes.
pub const LONGEST_FILTER: usize = 1024;

/// What precedes the key of a property, which is then never taken for something else.
const PROPERTY: &str = "property.";

/// Filters. An artifact is found if each of them matches; a filter with several values matches if one of them does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ArtifactFilters {
    pub repositories: Vec<Wildcard>,
    pub names: Vec<Wildcard>,
    pub versions: Vec<Wildcard>,
    /// Whether the newest of the versions that the other filters match is one of the values for the version.
    pub latest: bool,
    pub paths: Vec<Wildcard>,
    /// Texts of which one is in the name, the path, the version or the value of a property.
    pub contained: Vec<Wildcard>,
    /// The artifacts themselves; empty if any may be found.
    pub ids: BTreeSet<ArtifactId>,
    /// Values of properties, which match exactly.
    pub properties: BTreeMap<PropertyKey, Vec<PropertyValue>>,
    /// How many values there are.
    values: usize,
}

impl ArtifactFilters {
    /// Adds a filter by the name of its parameter. A name that is not a filter's own is the key of a property.
    ///
    /// # Errors
    /// [`InvalidQuery`] if the value cannot be used, or there are too many.
    pub fn add(&mut self, key: &str, value: &str) -> Result<(), InvalidQuery> {
        self.values += 1;
        if self.values > MOST_FILTERS {
            return Err(InvalidQuery::new(key, format!("is one filter too many: at most {MOST_FILTERS} are allowed")));
        }
        if value.len() > LONGEST_FILTER {
            return Err(InvalidQuery::new(key, format!("is longer than {LONGEST_FILTER} bytes")));
        }
        let wildcards = match key {
            "id" => {
                let id = value.parse().map_err(|why: InvalidArtifactId| InvalidQuery::new(key, why.to_string()))?;
                self.ids.insert(id);
                return Ok(());
            }
            "repo" => &mut self.repositories,
            "name" => &mut self.names,
            "version" => &mut self.versions,
            "path" => &mut self.paths,
            "q" => &mut self.contained,
            _ => return self.add_property(key, value),
        };
        match (key, value) {
            // More would be found than was meant: a script that sends one has not set its variable.
            (_, "") => return Err(InvalidQuery::new(key, "has no value: remove it, or say what to look for")),
            ("version", ArtifactVersion::LATEST) => self.latest = true,
            ("q", _) => wildcards.push(Wildcard::containing(value)),
            _ => wildcards.push(Wildcard::of(value)),
        }
        Ok(())
    }

    fn add_property(&mut self, key: &str, value: &str) -> Result<(), InvalidQuery> {
        let property = key.strip_prefix(PROPERTY).unwrap_or(key);
        let property = property.parse::<PropertyKey>().map_err(|why| InvalidQuery::new(key, why.to_string()))?;
        let value = value.parse::<PropertyValue>().map_err(|why| InvalidQuery::new(key, why.to_string()))?;
        self.properties.entry(property).or_default().push(value);
        Ok(())
    }

    /// Reads filters without anything else: `branch=main&version=1.*`.
    ///
    /// # Errors
    /// [`InvalidQuery`].
    pub fn parse(text: &str) -> Result<Self, InvalidQuery> {
        let mut filters = Self::default();
        for (key, value) in form_urlencoded::parse(text.as_bytes()) {
            if super::query::is_reserved(&key) {
                return Err(InvalidQuery::new(&key, "is not a filter"));
            }
            filters.add(&key, &value)?;
        }
        Ok(filters)
    }

    /// Whether every artifact matches.
    pub fn is_empty(&self) -> bool {
        self.values == 0
    }

    /// The places of the artifacts that match, all of one repository. The name of the repository is not looked at.
    pub fn select(&self, artifacts: &[Artifact]) -> Vec<usize> {
        let mut lower = Vec::new();
        let matches = |artifact: &Artifact, lower: &mut Vec<u8>| {
            (self.ids.is_empty() || self.ids.contains(&artifact.id))
                && any(&self.names, artifact.name.as_str(), lower)
                && any(&self.paths, artifact.path.as_str(), lower)
                && (self.latest || any(&self.versions, artifact.version.as_str(), lower))
                && self.is_contained_in(artifact, lower)
                && self.properties.iter().all(|(key, values)| {
                    artifact.properties.get(key.as_str()).is_some_and(|value| values.contains(value))
                })
        };
        let mut found: Vec<usize> = (0..artifacts.len()).filter(|at| matches(&artifacts[*at], &mut lower)).collect();
        if self.latest {
            let version = |at: &usize| artifacts[*at].version.as_str();
            let newest = found.iter().map(version).max_by(|a, b| by_version(a, b));
            let also =
                |at: &usize, lower: &mut Vec<u8>| !self.versions.is_empty() && any(&self.versions, version(at), lower);
            found.retain(|at| Some(version(at)) == newest || also(at, &mut lower));
        }
        found
    }

    fn is_contained_in(&self, artifact: &Artifact, lower: &mut Vec<u8>) -> bool {
        let texts = [artifact.name.as_str(), artifact.path.as_str(), artifact.version.as_str()].into_iter();
        let mut texts = texts.chain(artifact.properties.iter().map(|(_, value)| value.as_str()));
        self.contained.is_empty() || texts.any(|text| any(&self.contained, text, lower))
    }

    /// Whether a repository of this name may hold what is looked for.
    pub fn may_be_in(&self, repository: &str) -> bool {
        any(&self.repositories, repository, &mut Vec::new())
    }
}

/// Whether one of the values matches, or there is none.
fn any(values: &[Wildcard], text: &str, lower: &mut Vec<u8>) -> bool {
    values.is_empty() || values.iter().any(|value| value.matches(text, lower))
}
