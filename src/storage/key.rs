//! Keys of facts and names of items, and the path of each: the only code that knows the on-disk format.
//!
//! `docs/layout.md` describes the format for people.

mod account;
mod artifact;
mod dir_of;
mod item;
mod place;
#[cfg(test)]
mod tests;

pub use account::{AccountDir, AccountKey, UserFile};
pub(super) use artifact::ARTIFACTS;
pub use artifact::{ArtifactDir, ArtifactFact, ArtifactKey, ArtifactLogEntry, ArtifactLogKind, TrashId};
pub use dir_of::{DirOf, Listed};
pub use place::StorePlace;

use super::PushId;
use oci::{Algorithm, Digest, RepositoryName, Tag, UploadId};

/// Where a small value is kept.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum FactKey {
    /// What this store is: format, id, features.
    Root,
    /// This repository may serve this blob. Empty.
    Layer(RepositoryName, Digest),
    /// This repository has this manifest: its media type, size and time, and what was missing.
    Revision(RepositoryName, Digest),
    /// A tag: the digest it points to.
    Tag(RepositoryName, Tag),
    /// This tag may point to this manifest. Empty. Written before the tag and never trusted: the deletion of a manifest
    /// finds its tags by it, without reading all others.
    Tagged(RepositoryName, Digest, Tag),
    /// A manifest that refers to a subject: its descriptor.
    Referrer {
        /// The repository of both.
        repository: RepositoryName,
        /// The manifest referred to.
        subject: Digest,
        /// The manifest that refers to it.
        referrer: Digest,
    },
    /// What a push in progress refers to. Collection keeps it while this exists.
    Intent(RepositoryName, PushId),
    /// An intent that its push may no longer rely on. Collection still keeps what it names.
    ExpiredIntent(RepositoryName, PushId),
    /// A client deleted this manifest or blob from a repository although a manifest of the repository still refers to
    /// it: it is missing on purpose. Empty.
    Deleted(RepositoryName, Digest),
    /// The visibility of a repository that no rule mentions: `public` or `private`.
    Visibility(RepositoryName),
    /// The user who owns a repository.
    Owner(RepositoryName),
    /// What a repository is for, in words.
    Description(RepositoryName),
    /// The expression of the tags that are immutable in a repository, besides those of the operator's rules.
    OwnImmutable(RepositoryName),
    /// When and by whom a repository was created.
    Created(RepositoryName),
    /// A namespace that was created: when and by whom.
    Namespace(RepositoryName),
    /// This repository may have a recorded visibility or owner. Empty. Written before that fact and never trusted: the
    /// catalog finds public repositories by it, without looking at every repository.
    Recorded(RepositoryName),
    /// The report of the last collection; may be lost.
    CollectionReport,
    /// What a collection in progress has found to be needed so far; may be lost.
    CollectionMark,
    /// The position of the background scrub; may be lost.
    Scrub,
    /// Since when pull times are kept.
    PullsSince,
    /// When manifests of this repository were last pulled: those whose digests begin with this hexadecimal digit, so
    /// that a change rewrites little.
    Pulls(RepositoryName, u8),
    /// A migration from another registry: what was asked for, and how far it is.
    Migration(ulid::Ulid),
    /// What the daemon keeps of a user, a session or an API key.
    Account(AccountKey),
    /// What is kept of artifacts.
    Artifact(ArtifactKey),
}

/// A directory whose names can be listed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Dir {
    /// First components of repository names, or the next ones below a prefix.
    Names(Option<RepositoryName>),
    /// Manifests of a repository, by hexadecimal digest.
    Revisions(RepositoryName, Algorithm),
    Tags(RepositoryName),
    /// Tags that may point to a manifest.
    Tagged(RepositoryName, Digest),
    /// Manifests that refer to a subject, as `algorithm-hex`.
    Referrers(RepositoryName, Digest),
    /// Pushes in progress, and those whose intents have expired. They share a directory, so that no cache of names
    /// shows an intent in neither place.
    Intents(RepositoryName),
    /// What clients deleted from a repository although a manifest refers to it, by hexadecimal digest.
    Deleted(RepositoryName, Algorithm),
    /// What is recorded about a repository besides its content. A namespace of the same name is no part of it.
    Facts(RepositoryName),
    /// Repositories that may have something recorded; `+` stands for `/`.
    Recorded,
    /// Repositories with pull times of digests that begin with this digit; `+` stands for `/`.
    Pulls(u8),
    /// Migrations from other registries.
    Migrations,
    /// Sessions, API keys, or users.
    Accounts(AccountDir),
    /// Artifacts, their repositories, and what belongs to them.
    Artifacts(ArtifactDir),
}

/// Everything that has a life cycle.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Item {
    /// Bytes in the pool.
    Blob(Digest),
    /// A repository's right to serve a blob.
    Link(RepositoryName, Digest),
    /// A repository's manifest.
    Revision(RepositoryName, Digest),
    /// An upload session.
    Upload(UploadId),
}

/// Which items to list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ItemKind {
    /// [`Item::Blob`].
    Blobs,
    /// [`Item::Link`] of a repository.
    Links(RepositoryName),
    /// [`Item::Revision`] of a repository.
    Revisions(RepositoryName),
    /// [`Item::Upload`].
    Uploads,
}

/// The graveyard's directory.
pub(super) const GRAVEYARD: &str = "graveyard";
/// Where damaged files are kept for inspection.
pub(super) const QUARANTINE: &str = "quarantine";
/// The directory of upload sessions.
pub(super) const UPLOADS: &str = "uploads";
/// The directory of repositories.
pub(super) const REPOSITORIES: &str = "repositories";
/// Pull times.
const PULLS: &str = "state/pulls";
/// Migrations from other registries.
const MIGRATIONS: &str = "state/migrations";
/// Tags that were moved away, to be checked before they are removed.
pub(super) const ASIDE: &str = "state/aside";
/// The blob pool.
pub(super) const BLOBS: &str = "blobs";

impl FactKey {
    /// The path below the storage root.
    pub fn path(&self) -> String {
        match self {
            Self::Root => "ROOT.json".into(),
            // Paths that every pull needs are joined, which takes a fifth of the time of formatting them.
            Self::Layer(name, d) => {
                [REPOSITORIES, "/", name.as_str(), "/_layers/", d.algorithm().as_str(), "/", d.hex()].concat()
            }
            Self::Revision(name, d) => {
                let algorithm = d.algorithm().as_str();
                [REPOSITORIES, "/", name.as_str(), "/_manifests/revisions/", algorithm, "/", d.hex()].concat()
            }
            Self::Tag(name, tag) => [REPOSITORIES, "/", name.as_str(), "/_manifests/tags/", tag.as_str()].concat(),
            Self::Tagged(name, d, tag) => format!("{}/{tag}", Dir::Tagged(name.clone(), d.clone()).path()),
            Self::Referrer { repository, subject, referrer } => {
                let dir = Dir::Referrers(repository.clone(), subject.clone());
                format!("{}/{}", dir.path(), entry_of(referrer))
            }
            Self::Intent(name, id) => format!("{REPOSITORIES}/{name}/_intents/{}", id.0),
            Self::ExpiredIntent(name, id) => format!("{REPOSITORIES}/{name}/_intents/{}.expired", id.0),
            Self::Deleted(name, d) => format!("{}/{}", Dir::Deleted(name.clone(), d.algorithm()).path(), d.hex()),
            Self::Visibility(name) => format!("{REPOSITORIES}/{name}/_facts/visibility"),
            Self::Owner(name) => format!("{REPOSITORIES}/{name}/_facts/owner"),
            Self::Description(name) => format!("{REPOSITORIES}/{name}/_facts/description"),
            Self::OwnImmutable(name) => format!("{REPOSITORIES}/{name}/_facts/immutable_tags"),
            Self::Created(name) => format!("{REPOSITORIES}/{name}/_facts/created"),
            Self::Namespace(name) => format!("{REPOSITORIES}/{name}/_facts/namespace"),
            Self::Recorded(name) => format!("{}/{}", Dir::Recorded.path(), flat(name)),
            Self::CollectionReport => "state/collection.json".into(),
            Self::CollectionMark => "state/collection.mark".into(),
            Self::Scrub => "state/scrub.json".into(),
            Self::PullsSince => format!("{PULLS}/since"),
            Self::Pulls(name, digit) => format!("{}/{}", Dir::Pulls(*digit).path(), flat(name)),
            Self::Migration(id) => format!("{MIGRATIONS}/{id}{RECORD}"),
            Self::Account(key) => key.path(),
            Self::Artifact(key) => key.path(),
        }
    }
}

impl FactKey {
    /// The item whose value is at this key, if it has a life cycle.
    pub(super) fn item(&self) -> Option<Item> {
        match self {
            Self::Layer(name, digest) => Some(Item::Link(name.clone(), digest.clone())),
            Self::Revision(name, digest) => Some(Item::Revision(name.clone(), digest.clone())),
            _ => None,
        }
    }
}

/// Longest value of any key: a referrer's descriptor copies the annotations of one manifest.
pub(crate) const LONGEST: u64 = 16 << 20;

impl FactKey {
    /// Longest value of this key in bytes. A longer one counts as damaged.
    pub fn longest(&self) -> u64 {
        match self {
            Self::CollectionMark => 512 << 20,
            Self::Visibility(_) | Self::Owner(_) | Self::OwnImmutable(_) | Self::Created(_) | Self::Namespace(_) => {
                4 << 10
            }
            Self::Description(_) | Self::Account(_) => 64 << 10,
            Self::Artifact(key) => key.longest(),
            _ => LONGEST,
        }
    }
}

impl FactKey {
    /// Whether only the daemon's own user may read the file.
    pub fn is_private(&self) -> bool {
        matches!(self, Self::Account(_) | Self::Migration(_))
    }
}

/// Number of steps in a group of writes, see [`FactKey::step`].
pub(super) const STEPS: usize = 3;

impl FactKey {
    /// The step of a group of writes in which this value gets its name. Values it relies on are durable by then; values
    /// of the same step do not rely on each other.
    pub(super) fn step(&self) -> usize {
        match self {
            Self::Root | Self::Layer(..) | Self::Revision(..) | Self::Tagged(..) | Self::Recorded(_) => 0,
            Self::Intent(..) | Self::ExpiredIntent(..) | Self::Deleted(..) => 0,
            Self::CollectionReport | Self::CollectionMark | Self::Scrub | Self::PullsSince | Self::Pulls(..) => 0,
            Self::Namespace(_) | Self::Account(_) | Self::Migration(_) => 0,
            Self::Artifact(key) => key.step(),
            Self::Referrer { .. } | Self::Visibility(_) | Self::Owner(_) => 1,
            Self::Description(_) | Self::OwnImmutable(_) => 1,
            // The last of a new repository's facts: with it all others are there.
            Self::Created(_) => 2,
            Self::Tag(..) => 2,
        }
    }

    /// Names the sync of a new name, for logs and tests.
    pub(super) fn naming(&self) -> &'static str {
        match self {
            Self::Root => "the name of a fact",
            Self::Layer(..) => "the name of a link",
            Self::Revision(..) => "the name of a revision",
            Self::Tag(..) => "the name of a tag",
            Self::Tagged(..) => "the name of a hint",
            Self::Referrer { .. } => "the name of a referrer",
            Self::Intent(..) | Self::ExpiredIntent(..) => "the name of an intent",
            Self::Deleted(..) => "the name of a deletion record",
            Self::Visibility(_)
            | Self::Owner(_)
            | Self::Description(_)
            | Self::OwnImmutable(_)
            | Self::Created(_)
            | Self::Namespace(_) => "the name of a recorded fact",
            Self::Recorded(_) => "the name of a hint at recorded facts",
            Self::CollectionReport | Self::CollectionMark | Self::Scrub => "the name of a report",
            Self::PullsSince | Self::Pulls(..) => "the name of pull times",
            Self::Migration(_) => "the name of a migration",
            Self::Account(_) => "the name of a session, an API key or a user's record",
            Self::Artifact(key) => key.naming(),
        }
    }

    /// Names the sync of a removal; `None` if the name may reappear after a crash, because it is verified wherever it
    /// is used.
    pub(super) fn removal(&self) -> Option<&'static str> {
        match self {
            Self::Tagged(..) | Self::Recorded(_) => None,
            // The next collection removes it again.
            Self::Deleted(..) => None,
            // A push that was in progress when the machine stopped was not answered.
            Self::Intent(..) | Self::ExpiredIntent(..) => None,
            Self::CollectionReport | Self::CollectionMark | Self::Scrub | Self::PullsSince | Self::Pulls(..) => None,
            Self::Tag(..) => Some("the removal of a tag"),
            Self::Referrer { .. } => Some("the removal of a referrer"),
            Self::Visibility(_)
            | Self::Owner(_)
            | Self::Description(_)
            | Self::OwnImmutable(_)
            | Self::Created(_)
            | Self::Namespace(_) => Some("the removal of a recorded fact"),
            // It is listed again, and removed with the next one.
            Self::Migration(_) => None,
            Self::Account(AccountKey::ApiKeyUse(_)) => None,
            Self::Account(_) => Some("the removal of a session, an API key or a user's record"),
            Self::Artifact(key) => key.removal(),
            Self::Root | Self::Layer(..) | Self::Revision(..) => Some("the removal of a fact"),
        }
    }
}

impl Dir {
    /// Whether the names in it are directories.
    pub(super) fn holds_directories(&self) -> bool {
        match self {
            Self::Names(_) => true,
            Self::Artifacts(dir) => dir.holds_directories(),
            _ => false,
        }
    }

    /// The path below the storage root.
    pub fn path(&self) -> String {
        match self {
            Self::Names(None) => REPOSITORIES.into(),
            Self::Names(Some(prefix)) => format!("{REPOSITORIES}/{prefix}"),
            Self::Revisions(name, algorithm) => format!("{REPOSITORIES}/{name}/_manifests/revisions/{algorithm}"),
            Self::Tags(name) => format!("{REPOSITORIES}/{name}/_manifests/tags"),
            Self::Tagged(name, d) => format!("{REPOSITORIES}/{name}/_manifests/tagged/{}/{}", d.algorithm(), d.hex()),
            Self::Referrers(name, d) => {
                format!("{REPOSITORIES}/{name}/_manifests/referrers/{}/{}", d.algorithm(), d.hex())
            }
            Self::Intents(name) => format!("{REPOSITORIES}/{name}/_intents"),
            Self::Deleted(name, algorithm) => format!("{REPOSITORIES}/{name}/_deleted/{algorithm}"),
            Self::Facts(name) => format!("{REPOSITORIES}/{name}/_facts"),
            Self::Recorded => format!("{REPOSITORIES}/_facts"),
            Self::Pulls(digit) => format!("{PULLS}/{digit:x}"),
            Self::Migrations => MIGRATIONS.into(),
            Self::Accounts(dir) => dir.path(),
            Self::Artifacts(dir) => dir.path(),
        }
    }
}

/// The digest whose encoded part is this name.
fn digest_of(algorithm: Algorithm, hex: &str) -> Option<Digest> {
    format!("{algorithm}:{hex}").parse().ok()
}

/// The name of a referrer's entry.
pub fn entry_of(referrer: &Digest) -> String {
    format!("{}-{}", referrer.algorithm(), referrer.hex())
}

/// The digest in the name of a referrer's file.
pub fn referrer(name: &str) -> Option<Digest> {
    let (algorithm, hex) = name.split_once('-')?;
    digest_of(algorithm.parse().ok()?, hex)
}

/// The push in the name of an intent, and whether it has expired.
pub fn intent(name: &str) -> Option<(PushId, bool)> {
    let (id, expired) = name.strip_suffix(".expired").map_or((name, false), |id| (id, true));
    ulid(id).map(|ulid| (PushId(ulid), expired))
}

/// Whether a path is below that of artifacts.
pub(super) fn is_of_artifacts(path: &str) -> bool {
    path.strip_prefix(ARTIFACTS).is_some_and(|rest| rest.starts_with('/'))
}

/// Where a tag is moved while another process than the daemon removes it.
pub(super) fn aside(repository: &RepositoryName, tag: &Tag) -> String {
    format!("{ASIDE}/{}/{tag}", flat(repository))
}

/// Files in a repository's `_facts` that belong to the repository.
const FACTS: [&str; 5] = ["visibility", "owner", "description", "immutable_tags", "created"];

/// A repository's name as one path component.
fn flat(name: &RepositoryName) -> String {
    name.as_str().replace('/', "+")
}

/// The repository whose name is this path component.
pub fn flat_name(component: &str) -> Option<RepositoryName> {
    component.replace('+', "/").parse().ok()
}

/// The end of the names of small JSON files.
const RECORD: &str = ".json";

/// The migration in the name of a file.
pub fn migration(name: &str) -> Option<ulid::Ulid> {
    ulid(name.strip_suffix(RECORD)?)
}

/// Parses a ULID, only in the spelling that we write.
fn ulid(text: &str) -> Option<ulid::Ulid> {
    text.parse::<ulid::Ulid>().ok().filter(|ulid| ulid.to_string() == text)
}

/// The path of a blob in the pool; its first two digits spread the names over 256 directories.
pub(super) fn blob(digest: &Digest) -> String {
    let hex = digest.hex();
    [BLOBS, "/", digest.algorithm().as_str(), "/", &hex[..2], "/", hex].concat()
}

/// The directories of a repository's tags, manifests and links, in this order, the latter two for each algorithm.
pub(super) fn outline_dirs(name: &RepositoryName) -> [String; 5] {
    let [first, second] = Algorithm::ALL;
    let layers = |algorithm| format!("{REPOSITORIES}/{name}/_layers/{algorithm}");
    let revisions = |algorithm| Dir::Revisions(name.clone(), algorithm).path();
    [Dir::Tags(name.clone()).path(), revisions(first), revisions(second), layers(first), layers(second)]
}

/// The directory of an upload session.
pub(super) fn upload(id: &UploadId) -> String {
    format!("{UPLOADS}/{id}")
}
