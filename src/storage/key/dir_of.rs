//! What the names in a directory stand for: [`Dir::path`] read backwards. Whatever stands for nothing is passed over
//! by every list; `fsck` finds it as a stray, see [`super::StorePlace`].

use super::{
    AccountDir, AccountKey, ArtifactDir, ArtifactLogEntry, Dir, FACTS, TrashId, UserFile, artifact, digest_of,
    flat_name, intent, migration, referrer,
};
use crate::{
    artifacts::{ArtifactId, ArtifactRepositoryName, ArtifactVersion},
    storage::PushId,
    who::{ApiKeyId, SessionId},
};
use oci::{Algorithm, Digest, RepositoryName, Tag};
use std::marker::PhantomData;

/// A directory whose names stand for values of one type.
#[derive(Clone, Debug)]
pub struct DirOf<N> {
    dir: Dir,
    of: PhantomData<fn() -> N>,
}

/// What a name in a directory may stand for.
pub trait Listed: Sized {
    /// What this name stands for in this directory.
    fn read(dir: &Dir, name: &str) -> Option<Self>;
}

impl<N> DirOf<N> {
    fn of(dir: Dir) -> Self {
        Self { dir, of: PhantomData }
    }

    /// The directory.
    pub fn dir(&self) -> &Dir {
        &self.dir
    }
}

impl DirOf<RepositoryName> {
    /// Names of one component, or of one more than this prefix. There need be no such repository.
    pub fn names(prefix: Option<&RepositoryName>) -> Self {
        Self::of(Dir::Names(prefix.cloned()))
    }

    /// Repositories that may have a visibility or an owner of their own.
    pub fn recorded() -> Self {
        Self::of(Dir::Recorded)
    }

    /// Repositories with pull times of digests that begin with this digit.
    pub fn pulled(digit: u8) -> Self {
        Self::of(Dir::Pulls(digit))
    }
}

impl DirOf<Tag> {
    pub fn tags(repository: &RepositoryName) -> Self {
        Self::of(Dir::Tags(repository.clone()))
    }

    /// Tags that may point to a manifest.
    pub fn tagged(repository: &RepositoryName, manifest: &Digest) -> Self {
        Self::of(Dir::Tagged(repository.clone(), manifest.clone()))
    }
}

impl DirOf<Digest> {
    /// Manifests of a repository.
    pub fn revisions(repository: &RepositoryName, algorithm: Algorithm) -> Self {
        Self::of(Dir::Revisions(repository.clone(), algorithm))
    }

    /// Manifests that refer to a subject.
    pub fn referrers(repository: &RepositoryName, subject: &Digest) -> Self {
        Self::of(Dir::Referrers(repository.clone(), subject.clone()))
    }

    /// What clients deleted from a repository although a manifest refers to it.
    pub fn deleted(repository: &RepositoryName, algorithm: Algorithm) -> Self {
        Self::of(Dir::Deleted(repository.clone(), algorithm))
    }
}

impl DirOf<(PushId, bool)> {
    /// Pushes under way, and those whose intents have expired.
    pub fn intents(repository: &RepositoryName) -> Self {
        Self::of(Dir::Intents(repository.clone()))
    }
}

impl DirOf<ulid::Ulid> {
    /// Migrations from other registries, oldest first.
    pub fn migrations() -> Self {
        Self::of(Dir::Migrations)
    }
}

impl DirOf<SessionId> {
    /// Sessions of all users.
    pub fn sessions() -> Self {
        Self::of(Dir::Accounts(AccountDir::Sessions))
    }
}

impl DirOf<ApiKeyId> {
    /// API keys of all users.
    pub fn api_keys() -> Self {
        Self::of(Dir::Accounts(AccountDir::ApiKeys))
    }
}

impl DirOf<UserFile> {
    /// Users of whom something is recorded.
    pub fn users() -> Self {
        Self::of(Dir::Accounts(AccountDir::Users))
    }

    /// Users who were deleted.
    pub fn tombstones() -> Self {
        Self::of(Dir::Accounts(AccountDir::Tombstones))
    }
}

impl DirOf<ArtifactRepositoryName> {
    /// Repositories of artifacts. There need be nothing but remains of one.
    pub fn artifact_repositories() -> Self {
        Self::of(Dir::Artifacts(ArtifactDir::Repositories))
    }
}

impl DirOf<ArtifactVersion> {
    /// Versions of a repository of artifacts.
    pub fn artifact_versions(repository: &ArtifactRepositoryName) -> Self {
        Self::of(Dir::Artifacts(ArtifactDir::Versions(repository.clone())))
    }
}

impl DirOf<ArtifactId> {
    /// Artifacts of one version.
    pub fn artifacts(repository: &ArtifactRepositoryName, version: &ArtifactVersion) -> Self {
        Self::of(Dir::Artifacts(ArtifactDir::Records(repository.clone(), version.clone())))
    }
}

impl DirOf<TrashId> {
    /// Deleted artifacts of a repository, in the order of their deletion.
    pub fn artifact_trash(repository: &ArtifactRepositoryName) -> Self {
        Self::of(Dir::Artifacts(ArtifactDir::Trash(repository.clone())))
    }
}

impl DirOf<ArtifactLogEntry> {
    /// Notes of changes in a repository of artifacts, oldest first.
    pub fn artifact_log(repository: &ArtifactRepositoryName) -> Self {
        Self::of(Dir::Artifacts(ArtifactDir::Log(repository.clone())))
    }
}

impl DirOf<(PushId, bool)> {
    /// Publications of artifacts under way, and those whose intents have expired.
    pub fn artifact_intents(repository: &ArtifactRepositoryName) -> Self {
        Self::of(Dir::Artifacts(ArtifactDir::Intents(repository.clone())))
    }
}

impl Listed for ulid::Ulid {
    fn read(dir: &Dir, name: &str) -> Option<Self> {
        match dir {
            Dir::Migrations => migration(name),
            _ => None,
        }
    }
}

impl Listed for ArtifactRepositoryName {
    fn read(dir: &Dir, name: &str) -> Option<Self> {
        match dir {
            Dir::Artifacts(ArtifactDir::Repositories) => name.parse().ok(),
            _ => None,
        }
    }
}

impl Listed for ArtifactVersion {
    fn read(dir: &Dir, name: &str) -> Option<Self> {
        match dir {
            Dir::Artifacts(ArtifactDir::Versions(_)) => Self::of_file_name(name),
            _ => None,
        }
    }
}

impl Listed for ArtifactId {
    fn read(dir: &Dir, name: &str) -> Option<Self> {
        match dir {
            Dir::Artifacts(ArtifactDir::Records(..)) => artifact::id(name),
            _ => None,
        }
    }
}

impl Listed for TrashId {
    fn read(dir: &Dir, name: &str) -> Option<Self> {
        match dir {
            Dir::Artifacts(ArtifactDir::Trash(_)) => artifact::trash(name),
            _ => None,
        }
    }
}

impl Listed for ArtifactLogEntry {
    fn read(dir: &Dir, name: &str) -> Option<Self> {
        match dir {
            Dir::Artifacts(ArtifactDir::Log(_)) => Self::parse(name),
            _ => None,
        }
    }
}

impl Listed for SessionId {
    fn read(dir: &Dir, name: &str) -> Option<Self> {
        match dir {
            Dir::Accounts(dir) => match AccountKey::parse(*dir, name)? {
                AccountKey::Session(id) => Some(id),
                _ => None,
            },
            _ => None,
        }
    }
}

impl Listed for ApiKeyId {
    fn read(dir: &Dir, name: &str) -> Option<Self> {
        match dir {
            Dir::Accounts(dir) => match AccountKey::parse(*dir, name)? {
                AccountKey::ApiKey(id) => Some(id),
                _ => None,
            },
            _ => None,
        }
    }
}

impl Listed for UserFile {
    fn read(dir: &Dir, name: &str) -> Option<Self> {
        match dir {
            Dir::Accounts(dir) => match AccountKey::parse(*dir, name)? {
                AccountKey::User(file) | AccountKey::Tombstone(file) => Some(file),
                _ => None,
            },
            _ => None,
        }
    }
}

impl Listed for RepositoryName {
    fn read(dir: &Dir, name: &str) -> Option<Self> {
        match dir {
            Dir::Names(None) => name.parse().ok().filter(|_| RepositoryName::is_component(name)),
            Dir::Names(Some(prefix)) if RepositoryName::is_component(name) => format!("{prefix}/{name}").parse().ok(),
            Dir::Recorded | Dir::Pulls(_) => flat_name(name),
            _ => None,
        }
    }
}

impl Listed for Tag {
    fn read(dir: &Dir, name: &str) -> Option<Self> {
        match dir {
            Dir::Tags(_) | Dir::Tagged(..) => name.parse().ok(),
            _ => None,
        }
    }
}

impl Listed for Digest {
    fn read(dir: &Dir, name: &str) -> Option<Self> {
        match dir {
            Dir::Revisions(_, algorithm) | Dir::Deleted(_, algorithm) => digest_of(*algorithm, name),
            Dir::Referrers(..) => referrer(name),
            _ => None,
        }
    }
}

/// A push, and whether its intent has expired.
impl Listed for (PushId, bool) {
    fn read(dir: &Dir, name: &str) -> Option<Self> {
        match dir {
            Dir::Intents(_) | Dir::Artifacts(ArtifactDir::Intents(_)) => intent(name),
            _ => None,
        }
    }
}

impl Dir {
    /// Whether a name stands for something here.
    pub fn lists(&self, name: &str) -> bool {
        match self {
            // The same as the whole name's being one, without making it: there may be very many.
            Self::Names(prefix) => {
                let len = prefix.as_ref().map_or(0, |prefix| prefix.as_str().len() + 1) + name.len();
                len <= RepositoryName::MAX && RepositoryName::is_component(name)
            }
            Self::Facts(_) => FACTS.contains(&name),
            Self::Recorded | Self::Pulls(_) => RepositoryName::read(self, name).is_some(),
            Self::Tags(_) | Self::Tagged(..) => Tag::read(self, name).is_some(),
            Self::Revisions(..) | Self::Deleted(..) | Self::Referrers(..) => Digest::read(self, name).is_some(),
            Self::Intents(_) => <(PushId, bool)>::read(self, name).is_some(),
            Self::Artifacts(dir) => dir.lists(name),
            Self::Migrations => ulid::Ulid::read(self, name).is_some(),
            Self::Accounts(dir) => {
                AccountKey::parse(*dir, name).is_some_and(|key| !matches!(key, AccountKey::ApiKeyUse(_)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::key::{entry_of, tests::words};

    #[test]
    fn listings_skip_foreign_entries() {
        let (name, digest, _) = words();
        assert!(Dir::Names(None).lists("org") && !Dir::Names(None).lists("_manifests"));
        assert!(!Dir::Tags(name.clone()).lists(".swp"));
        assert!(!Dir::Revisions(name.clone(), Algorithm::Sha256).lists("README"));
        assert!(Dir::Facts(name.clone()).lists("owner") && !Dir::Facts(name.clone()).lists("namespace"));
        assert!(Dir::Pulls(0).lists("org+app") && !Dir::Pulls(0).lists("org+"));
        let referrers = Dir::Referrers(name, digest.clone());
        assert!(referrers.lists(&entry_of(&digest)));
        assert!(!referrers.lists(digest.as_str()), "or one referrer would be listed twice");
    }

    #[test]
    fn a_directory_lists_only_names_that_form_repository_names() {
        let prefix: RepositoryName = "a".repeat(200).parse().unwrap();
        for dir in [Dir::Names(None), Dir::Names(Some(prefix))] {
            for name in
                ["b", "b-c", "b/c", "_b", "", &"b".repeat(54), &"b".repeat(55), &"b".repeat(255), &"b".repeat(256)]
            {
                assert_eq!(dir.lists(name), RepositoryName::read(&dir, name).is_some(), "{name} in {dir:?}");
            }
        }
    }
}
