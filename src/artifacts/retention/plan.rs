//! Decides about the artifacts of a repository: takes what they are, the rules and the time. Reads and changes nothing.

use super::{ArtifactRetention, GroupPart, KeepFilter};
use crate::artifacts::{Artifact, ArtifactId, ArtifactPath, ArtifactRepositoryName, ArtifactVersion};
use jiff::{SignedDuration, Timestamp};
use oci::order::by_version;
use std::{collections::HashMap, fmt};

/// What a plan says about one artifact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedArtifact {
    pub id: ArtifactId,
    pub version: ArtifactVersion,
    pub path: ArtifactPath,
    pub size: u64,
    pub created: Timestamp,
    pub grounds: ArtifactGrounds,
}

/// Why an artifact stays or goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ArtifactGrounds {
    /// A filter keeps it.
    Kept(KeepFilter),
    /// It is the newest of its group.
    Newest,
    /// No rule says that it goes.
    Within,
    /// So many are newer in its group, and the rule allows no more.
    Versions { most: usize },
    /// It is older than this many days.
    Age { days: u32 },
    /// The repository would have more bytes than this.
    Size { most: u64 },
}

impl ArtifactGrounds {
    /// Whether it stays.
    pub fn keep(&self) -> bool {
        match self {
            Self::Kept(_) | Self::Newest | Self::Within => true,
            Self::Versions { .. } | Self::Age { .. } | Self::Size { .. } => false,
        }
    }

    /// The rule that decided, for programs.
    pub fn rule(&self) -> &'static str {
        match self {
            Self::Kept(_) => "keep",
            Self::Newest => "exclude_latest",
            Self::Within => "none",
            Self::Versions { .. } => "max_versions",
            Self::Age { .. } => "max_age_days",
            Self::Size { .. } => "max_total_size",
        }
    }
}

impl fmt::Display for ArtifactGrounds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kept(filter) => write!(f, "kept by the filter {filter}"),
            Self::Newest => f.write_str("the newest of its group"),
            Self::Within => f.write_str("within every limit"),
            Self::Versions { most } => write!(f, "not among the newest {most} of its group"),
            Self::Age { days } => write!(f, "older than {days} days"),
            Self::Size { most } => write!(f, "the repository would have more than {most} bytes"),
        }
    }
}

/// Decides about all artifacts of a repository as of `now`: the newest first, in the order of versions among those of
/// one time. Whether the rules are enabled is not looked at.
pub fn plan(
    repository: &ArtifactRepositoryName,
    artifacts: &[Artifact],
    rules: &ArtifactRetention,
    now: Timestamp,
) -> Vec<PlannedArtifact> {
    let kept = kept(repository, artifacts, rules);
    let mut order: Vec<usize> = (0..artifacts.len()).collect();
    order.sort_by(|a, b| {
        let (a, b) = (&artifacts[*a], &artifacts[*b]);
        let by_version = || by_version(b.version.as_str(), a.version.as_str());
        b.created.cmp(&a.created).then_with(by_version).then_with(|| a.id.cmp(&b.id))
    });
    let mut seen: HashMap<ArtifactGroup<'_>, usize> = HashMap::new();
    let mut planned = Vec::with_capacity(artifacts.len());
    for at in order {
        let artifact = &artifacts[at];
        let grounds = match kept[at] {
            Some(filter) => ArtifactGrounds::Kept(filter.clone()),
            None => {
                let newer = seen.entry(group(artifact, rules)).or_default();
                *newer += 1;
                decide(artifact, *newer - 1, rules, now)
            }
        };
        let Artifact { id, size, created, .. } = *artifact;
        let (version, path) = (artifact.version.clone(), artifact.path.clone());
        planned.push(PlannedArtifact { id, version, path, size, created, grounds });
    }
    fit(&mut planned, rules);
    planned
}

/// The filter that keeps each artifact, if one does.
fn kept<'r>(
    repository: &ArtifactRepositoryName,
    artifacts: &[Artifact],
    rules: &'r ArtifactRetention,
) -> Vec<Option<&'r KeepFilter>> {
    let mut kept = vec![None; artifacts.len()];
    for filter in rules.keep.iter().filter(|filter| filter.filters.may_be_in(repository.as_str())) {
        for at in filter.filters.select(artifacts) {
            kept[at].get_or_insert(filter);
        }
    }
    kept
}

/// What the artifacts of a group have in common: the texts of the parts in their order; of properties, keys and values.
type ArtifactGroup<'a> = Vec<&'a str>;

fn group<'a>(artifact: &'a Artifact, rules: &ArtifactRetention) -> ArtifactGroup<'a> {
    let mut group = Vec::new();
    for part in &rules.group_by {
        match part {
            GroupPart::Name => group.push(artifact.name.as_str()),
            GroupPart::Version => group.push(artifact.version.as_str()),
            GroupPart::Path => group.push(artifact.path.as_str()),
            GroupPart::Properties => {
                let counted = artifact.properties.iter().filter(|(key, _)| !rules.ignore.contains(key));
                group.extend(counted.flat_map(|(key, value)| [key.as_str(), value.as_str()]));
                // No key is empty, so another part cannot be taken for a property.
                group.push("");
            }
        }
    }
    group
}

fn decide(artifact: &Artifact, newer: usize, rules: &ArtifactRetention, now: Timestamp) -> ArtifactGrounds {
    if newer == 0 && rules.exclude_latest {
        return ArtifactGrounds::Newest;
    }
    if rules.max_versions > 0 && newer >= rules.max_versions {
        return ArtifactGrounds::Versions { most: rules.max_versions };
    }
    let age = now.duration_since(artifact.created);
    if rules.max_age_days > 0 && age > SignedDuration::from_hours(24 * i64::from(rules.max_age_days)) {
        return ArtifactGrounds::Age { days: rules.max_age_days };
    }
    ArtifactGrounds::Within
}

/// Lets the oldest go until the rest is small enough.
fn fit(planned: &mut [PlannedArtifact], rules: &ArtifactRetention) {
    if rules.max_total_size == 0 {
        return;
    }
    let stays = |one: &&PlannedArtifact| one.grounds.keep();
    let mut total: u64 = planned.iter().filter(stays).fold(0, |sum, one| sum.saturating_add(one.size));
    for one in planned.iter_mut().rev() {
        if total <= rules.max_total_size {
            break;
        }
        if one.grounds == ArtifactGrounds::Within {
            one.grounds = ArtifactGrounds::Size { most: rules.max_total_size };
            total = total.saturating_sub(one.size);
        }
    }
}
