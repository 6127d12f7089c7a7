//! Keys of artifacts: small files below `artifacts`.

use super::{intent, ulid};
use crate::{
    artifacts::{ArtifactId, ArtifactRepositoryName, ArtifactVersion},
    storage::PushId,
};
use std::fmt;
use ulid::Ulid;

/// What is kept of artifacts, besides their bytes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ArtifactKey {
    /// Something that is recorded about a repository.
    Fact(ArtifactRepositoryName, ArtifactFact),
    /// An artifact. Its existence is the membership: no repository serves a digest by itself.
    Record(ArtifactRepositoryName, ArtifactVersion, ArtifactId),
    /// What a publication in progress refers to.
    Intent(ArtifactRepositoryName, PushId),
    /// An intent that its publication may no longer rely on. Collection still keeps what it names.
    ExpiredIntent(ArtifactRepositoryName, PushId),
    /// An artifact that was deleted, and can be restored.
    Trash(ArtifactRepositoryName, TrashId),
    /// A note that an artifact was stored or deleted: its version.
    Log(ArtifactRepositoryName, ArtifactLogEntry),
}

/// What is recorded about a repository of artifacts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ArtifactFact {
    /// When and by whom it was created. Without it there is no repository.
    Created,
    Owner,
    /// Who may see it where nothing else decides.
    Visibility,
    Description,
    /// Its own rules of retention.
    Retention,
    /// When and by whom it was deleted. What is in it stays until it is removed for good.
    Deleted,
}

/// The name of a deleted artifact in the trash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TrashId {
    /// When it was deleted, and what tells it from others of the same id.
    pub at: Ulid,
    pub id: ArtifactId,
}

/// A note of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ArtifactLogEntry {
    /// In the order of the changes, as far as clocks agree.
    pub at: Ulid,
    pub change: ArtifactLogKind,
    pub id: ArtifactId,
}

/// What happened to an artifact.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ArtifactLogKind {
    /// It was stored or changed.
    Put,
    /// It was deleted.
    Deleted,
}

/// A directory of [`ArtifactKey`]s.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ArtifactDir {
    /// Repositories.
    Repositories,
    Facts(ArtifactRepositoryName),
    /// Versions of a repository.
    Versions(ArtifactRepositoryName),
    /// Artifacts of a version.
    Records(ArtifactRepositoryName, ArtifactVersion),
    Intents(ArtifactRepositoryName),
    Trash(ArtifactRepositoryName),
    Log(ArtifactRepositoryName),
}

/// Everything about artifacts.
pub(in crate::storage) const ARTIFACTS: &str = "artifacts";

const RECORD: &str = ".json";

impl ArtifactFact {
    pub const ALL: [Self; 6] =
        [Self::Created, Self::Owner, Self::Visibility, Self::Description, Self::Retention, Self::Deleted];

    fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Owner => "owner",
            Self::Visibility => "visibility",
            Self::Description => "description",
            Self::Retention => "retention",
            Self::Deleted => "deleted",
        }
    }

    fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|fact| fact.as_str() == name)
    }
}

impl ArtifactLogKind {
    const ALL: [Self; 2] = [Self::Put, Self::Deleted];

    fn as_str(self) -> &'static str {
        match self {
            Self::Put => "put",
            Self::Deleted => "del",
        }
    }
}

impl fmt::Display for TrashId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.at, self.id)
    }
}

impl TrashId {
    /// The name as the API and file names have it.
    pub fn parse(text: &str) -> Option<Self> {
        let (at, id) = text.split_once('-')?;
        Some(Self { at: ulid(at)?, id: id.parse().ok()? })
    }
}

impl fmt::Display for ArtifactLogEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}-{}", self.at, self.change.as_str(), self.id)
    }
}

impl ArtifactLogEntry {
    pub fn parse(text: &str) -> Option<Self> {
        let (at, rest) = text.split_once('-')?;
        let (change, id) = rest.split_once('-')?;
        let change = ArtifactLogKind::ALL.into_iter().find(|kind| kind.as_str() == change)?;
        Some(Self { at: ulid(at)?, change, id: id.parse().ok()? })
    }
}

impl ArtifactDir {
    pub(super) fn path(&self) -> String {
        match self {
            Self::Repositories => ARTIFACTS.into(),
            Self::Facts(name) => format!("{ARTIFACTS}/{name}/_facts"),
            Self::Versions(name) => format!("{ARTIFACTS}/{name}/versions"),
            Self::Records(name, version) => format!("{ARTIFACTS}/{name}/versions/{}", version.file_name()),
            Self::Intents(name) => format!("{ARTIFACTS}/{name}/_intents"),
            Self::Trash(name) => format!("{ARTIFACTS}/{name}/_trash"),
            Self::Log(name) => format!("{ARTIFACTS}/{name}/_log"),
        }
    }

    /// Whether the names in it are directories.
    pub(in crate::storage) fn holds_directories(&self) -> bool {
        matches!(self, Self::Repositories | Self::Versions(_))
    }

    /// Whether a name stands for something here.
    pub(super) fn lists(&self, name: &str) -> bool {
        match self {
            Self::Repositories => name.parse::<ArtifactRepositoryName>().is_ok(),
            Self::Facts(_) => ArtifactFact::of(name).is_some(),
            Self::Versions(_) => ArtifactVersion::of_file_name(name).is_some(),
            Self::Records(..) => id(name).is_some(),
            Self::Intents(_) => intent(name).is_some(),
            Self::Trash(_) => trash(name).is_some(),
            Self::Log(_) => ArtifactLogEntry::parse(name).is_some(),
        }
    }
}

/// The artifact of a record's file name.
pub(super) fn id(name: &str) -> Option<ArtifactId> {
    name.strip_suffix(RECORD)?.parse().ok()
}

/// The deleted artifact of a file name.
pub(super) fn trash(name: &str) -> Option<TrashId> {
    TrashId::parse(name.strip_suffix(RECORD)?)
}

impl ArtifactKey {
    pub(super) fn path(&self) -> String {
        let in_dir = |dir: ArtifactDir, name: String| format!("{}/{name}", dir.path());
        match self {
            Self::Fact(name, fact) => in_dir(ArtifactDir::Facts(name.clone()), fact.as_str().to_owned()),
            Self::Record(name, version, id) => {
                in_dir(ArtifactDir::Records(name.clone(), version.clone()), format!("{id}{RECORD}"))
            }
            Self::Intent(name, push) => in_dir(ArtifactDir::Intents(name.clone()), push.0.to_string()),
            Self::ExpiredIntent(name, push) => {
                in_dir(ArtifactDir::Intents(name.clone()), format!("{}.expired", push.0))
            }
            Self::Trash(name, entry) => in_dir(ArtifactDir::Trash(name.clone()), format!("{entry}{RECORD}")),
            Self::Log(name, entry) => in_dir(ArtifactDir::Log(name.clone()), entry.to_string()),
        }
    }

    /// The key of a path below [`ARTIFACTS`].
    pub(super) fn parse(below: &[&str]) -> Option<Self> {
        let (name, rest) = below.split_first()?;
        let name: ArtifactRepositoryName = name.parse().ok()?;
        Some(match rest {
            ["_facts", fact] => Self::Fact(name, ArtifactFact::of(fact)?),
            ["versions", version, record] => Self::Record(name, ArtifactVersion::of_file_name(version)?, id(record)?),
            ["_intents", entry] => match intent(entry)? {
                (push, false) => Self::Intent(name, push),
                (push, true) => Self::ExpiredIntent(name, push),
            },
            ["_trash", entry] => Self::Trash(name, trash(entry)?),
            ["_log", entry] => Self::Log(name, ArtifactLogEntry::parse(entry)?),
            _ => return None,
        })
    }

    /// Whether a path below [`ARTIFACTS`] is a directory of the layout.
    pub(super) fn is_directory(below: &[&str]) -> bool {
        let is_name = |name: &str| name.parse::<ArtifactRepositoryName>().is_ok();
        match below {
            [] => true,
            [name] | [name, "_facts" | "versions" | "_intents" | "_trash" | "_log"] => is_name(name),
            [name, "versions", version] => is_name(name) && ArtifactVersion::of_file_name(version).is_some(),
            _ => false,
        }
    }

    /// Longest value in bytes.
    pub(super) fn longest(&self) -> u64 {
        match self {
            Self::Fact(..) => 64 << 10,
            // Properties and metadata at their limits, with every byte escaped.
            Self::Record(..) | Self::Trash(..) => 1 << 20,
            Self::Intent(..) | Self::ExpiredIntent(..) | Self::Log(..) => 4 << 10,
        }
    }

    /// See [`super::FactKey::step`].
    pub(super) fn step(&self) -> usize {
        match self {
            Self::Intent(..) | Self::ExpiredIntent(..) | Self::Log(..) | Self::Trash(..) => 0,
            Self::Record(..) => 1,
            // The last of a new repository's facts: with it all others are there.
            Self::Fact(_, ArtifactFact::Created) => 2,
            Self::Fact(..) => 1,
        }
    }

    /// See [`super::FactKey::naming`].
    pub(super) fn naming(&self) -> &'static str {
        match self {
            Self::Fact(..) => "the name of a fact of an artifact repository",
            Self::Record(..) => "the name of an artifact",
            Self::Intent(..) | Self::ExpiredIntent(..) => "the name of an artifact's intent",
            Self::Trash(..) => "the name of a deleted artifact",
            Self::Log(..) => "the name of a note about an artifact",
        }
    }

    /// See [`super::FactKey::removal`].
    pub(super) fn removal(&self) -> Option<&'static str> {
        match self {
            Self::Fact(..) => Some("the removal of a fact of an artifact repository"),
            Self::Record(..) => Some("the removal of an artifact"),
            Self::Trash(..) => Some("the removal of a deleted artifact"),
            // Nobody relies on them after a power failure, and the next job removes them again.
            Self::Intent(..) | Self::ExpiredIntent(..) | Self::Log(..) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        files::FileKind,
        storage::{FactKey, key::StorePlace},
    };

    fn keys() -> [(ArtifactKey, String); 11] {
        let name = || "builds".parse::<ArtifactRepositoryName>().unwrap();
        let (at, push) = (Ulid::from_parts(1, 2), PushId(Ulid::from_parts(3, 4)));
        let id: ArtifactId = format!("art-{}", "a2".repeat(13)).parse().unwrap();
        let log = |change| ArtifactKey::Log(name(), ArtifactLogEntry { at, change, id });
        [
            (ArtifactKey::Record(name(), "v1 β".parse().unwrap(), id), format!("versions/v1%20%CE%B2/{id}.json")),
            (ArtifactKey::Intent(name(), push), format!("_intents/{}", push.0)),
            (ArtifactKey::ExpiredIntent(name(), push), format!("_intents/{}.expired", push.0)),
            (ArtifactKey::Trash(name(), TrashId { at, id }), format!("_trash/{at}-{id}.json")),
            (log(ArtifactLogKind::Put), format!("_log/{at}-put-{id}")),
            (log(ArtifactLogKind::Deleted), format!("_log/{at}-del-{id}")),
            (ArtifactKey::Fact(name(), ArtifactFact::Created), "_facts/created".into()),
            (ArtifactKey::Fact(name(), ArtifactFact::Owner), "_facts/owner".into()),
            (ArtifactKey::Fact(name(), ArtifactFact::Visibility), "_facts/visibility".into()),
            (ArtifactKey::Fact(name(), ArtifactFact::Retention), "_facts/retention".into()),
            (ArtifactKey::Fact(name(), ArtifactFact::Deleted), "_facts/deleted".into()),
        ]
    }

    #[test]
    fn keys_of_artifacts_have_the_documented_paths_and_parse_back() {
        for (key, path) in keys() {
            let path = format!("artifacts/builds/{path}");
            let fact = FactKey::Artifact(key);
            assert_eq!(fact.path(), path);
            assert_eq!(StorePlace::of(&path, FileKind::File), Some(StorePlace::Fact(fact)), "{path}");
            let mut dir = path.as_str();
            while let Some((parent, _)) = dir.rsplit_once('/') {
                assert_eq!(StorePlace::of(parent, FileKind::Directory), Some(StorePlace::Directory), "{parent}");
                dir = parent;
            }
        }
    }

    #[test]
    fn other_files_below_artifacts_are_strays() {
        let id = format!("art-{}", "a".repeat(26));
        for (path, kind) in [
            ("artifacts/README".to_owned(), FileKind::File),
            ("artifacts/repos".into(), FileKind::Directory),
            ("artifacts/a/b".into(), FileKind::Directory),
            ("artifacts/a/_facts/colour".into(), FileKind::File),
            (format!("artifacts/a/versions/{id}.json"), FileKind::File),
            (format!("artifacts/a/versions/1%2e0/{id}.json"), FileKind::File),
            (format!("artifacts/a/versions/.1/{id}.json"), FileKind::File),
            (format!("artifacts/a/versions/1.0/{id}"), FileKind::File),
            (format!("artifacts/a/_trash/{id}.json"), FileKind::File),
            (format!("artifacts/a/_log/{}-new-{id}", Ulid::from_parts(1, 2)), FileKind::File),
            ("artifacts/a/versions/1.0/x".into(), FileKind::Directory),
        ] {
            assert_eq!(StorePlace::of(&path, kind), None, "{path}");
        }
    }
}
