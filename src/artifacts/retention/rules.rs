//! The rules of retention: those of the settings, and those that a repository has in their place.

use crate::artifacts::{ArtifactFilters, InvalidQuery, PropertyKey, as_text};
use oci::json;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::{fmt, str::FromStr};

/// Rules of retention. Where there are several reasons for an artifact to go, one is enough.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArtifactRetention {
    /// Whether anything is deleted by itself. A plan shows what would be.
    pub enabled: bool,
    /// The most artifacts of a group, the newest of it; 0 is no limit.
    pub max_versions: usize,
    /// The oldest artifacts in days; 0 is no limit.
    pub max_age_days: u32,
    /// Whether the newest artifact of each group stays in any case.
    pub exclude_latest: bool,
    /// What the artifacts of a group have in common.
    pub group_by: Vec<GroupPart>,
    /// The keys of properties in which the artifacts of a group may differ.
    pub ignore: Vec<PropertyKey>,
    /// What stays in any case, and is not counted in a group.
    pub keep: Vec<KeepFilter>,
    /// The most bytes of a repository; 0 is no limit.
    pub max_total_size: u64,
}

impl Default for ArtifactRetention {
    fn default() -> Self {
        Self {
            enabled: false,
            max_versions: 5,
            max_age_days: 30,
            exclude_latest: false,
            group_by: vec![GroupPart::Path, GroupPart::Properties],
            ignore: ["build", "commit"].iter().filter_map(|key| key.parse().ok()).collect(),
            keep: Vec::new(),
            max_total_size: 0,
        }
    }
}

/// The rules of one repository. What is not set is as the settings have it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OwnRetention {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_versions: Option<usize>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_age_days: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exclude_latest: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group_by: Option<Vec<GroupPart>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ignore: Option<Vec<PropertyKey>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep: Option<Vec<KeepFilter>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_total_size: Option<u64>,
}

impl OwnRetention {
    /// The most items of each list.
    pub const MOST: usize = 64;

    /// These rules, and those of the settings where nothing is set.
    pub fn over(self, settings: &ArtifactRetention) -> ArtifactRetention {
        let settings = settings.clone();
        ArtifactRetention {
            enabled: self.enabled.unwrap_or(settings.enabled),
            max_versions: self.max_versions.unwrap_or(settings.max_versions),
            max_age_days: self.max_age_days.unwrap_or(settings.max_age_days),
            exclude_latest: self.exclude_latest.unwrap_or(settings.exclude_latest),
            group_by: self.group_by.unwrap_or(settings.group_by),
            ignore: self.ignore.unwrap_or(settings.ignore),
            keep: self.keep.unwrap_or(settings.keep),
            max_total_size: self.max_total_size.unwrap_or(settings.max_total_size),
        }
    }

    /// Rules in which everything is set.
    pub fn of(all: ArtifactRetention) -> Self {
        Self {
            enabled: Some(all.enabled),
            max_versions: Some(all.max_versions),
            max_age_days: Some(all.max_age_days),
            exclude_latest: Some(all.exclude_latest),
            group_by: Some(all.group_by),
            ignore: Some(all.ignore),
            keep: Some(all.keep),
            max_total_size: Some(all.max_total_size),
        }
    }

    /// Reads rules from JSON.
    ///
    /// # Errors
    /// A sentence for people.
    pub fn parse(json: &Map<String, Value>) -> Result<Self, String> {
        let bytes = serde_json::to_vec(json).unwrap_or_default();
        let own: Self = json::from_slice(&bytes).map_err(|why| why.to_string())?;
        match own.too_long() {
            Some(list) => Err(format!("{list} has more than {} items", Self::MOST)),
            None => Ok(own),
        }
    }

    /// The name of a list with more than [`Self::MOST`] items.
    fn too_long(&self) -> Option<&'static str> {
        fn len<T>(list: &Option<Vec<T>>) -> usize {
            list.as_ref().map_or(0, Vec::len)
        }
        let lists = [("group_by", len(&self.group_by)), ("ignore", len(&self.ignore)), ("keep", len(&self.keep))];
        lists.into_iter().find(|(_, len)| *len > Self::MOST).map(|(name, _)| name)
    }
}

/// What artifacts of one group have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GroupPart {
    Name,
    Version,
    Path,
    Properties,
}

/// The text is not part of an artifact that groups are made by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be name, version, path or properties")]
pub struct InvalidGroupPart;

impl GroupPart {
    const ALL: [(&'static str, Self); 4] =
        [("name", Self::Name), ("version", Self::Version), ("path", Self::Path), ("properties", Self::Properties)];
}

impl FromStr for GroupPart {
    type Err = InvalidGroupPart;

    fn from_str(text: &str) -> Result<Self, InvalidGroupPart> {
        Self::ALL.into_iter().find(|(word, _)| *word == text).map(|(_, part)| part).ok_or(InvalidGroupPart)
    }
}

impl fmt::Display for GroupPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Self::ALL.iter().find(|(_, part)| part == self).map_or("", |(word, _)| word))
    }
}

as_text!(GroupPart);

/// Filters as a search has them: what they match stays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeepFilter {
    text: Box<str>,
    pub(super) filters: ArtifactFilters,
}

/// The text cannot be used to keep artifacts.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidKeepFilter {
    #[error("is not a filter: {0}")]
    Query(#[from] InvalidQuery),
    #[error("is empty: write filters as in a search, such as \"branch=main\" or \"version=1.*\"")]
    Empty,
}

impl FromStr for KeepFilter {
    type Err = InvalidKeepFilter;

    fn from_str(text: &str) -> Result<Self, InvalidKeepFilter> {
        let filters = ArtifactFilters::parse(text)?;
        match filters.is_empty() {
            true => Err(InvalidKeepFilter::Empty),
            false => Ok(Self { text: text.into(), filters }),
        }
    }
}

impl fmt::Display for KeepFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

as_text!(KeepFilter);
