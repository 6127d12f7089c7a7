//! Keys of facts and names of items, and the path each has: the on-disk format, in one place.
//!
//! `docs/layout.md` describes the same for people.

mod item;
mod place;

pub use place::Place;

use super::PushId;
use crate::oci::{Algorithm, Digest, RepositoryName, Tag, UploadId};

/// Where a small value is kept.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Key {
    /// What this store is: format, id, features.
    Root,
    /// This repository may serve this blob; empty.
    Layer(RepositoryName, Digest),
    /// This repository has this manifest: media type, size, time, what was absent.
    Revision(RepositoryName, Digest),
    /// A tag: the digest it points to.
    Tag(RepositoryName, Tag),
    /// This tag may point to this manifest; empty. Written before the tag and never trusted:
    /// it lets the deletion of a manifest find its tags without reading all others.
    Tagged(RepositoryName, Digest, Tag),
    /// A manifest that refers to a subject: its descriptor.
    Referrer {
        /// In this repository.
        repository: RepositoryName,
        /// What is referred to.
        subject: Digest,
        /// By what.
        referrer: Digest,
    },
    /// What a push under way refers to: collection keeps it as long as this is there.
    Intent(RepositoryName, PushId),
    /// An intent its push may no longer rely on. Collection still keeps what it names.
    ExpiredIntent(RepositoryName, PushId),
    /// A client deleted this manifest or blob from a repository, and a manifest of the repository still
    /// refers to it: what is missing there is missing on purpose. Empty.
    Deleted(RepositoryName, Digest),
    /// What the last collection did; may be lost.
    CollectionReport,
    /// What a collection under way found to be needed so far; may be lost.
    CollectionMark,
    /// Where the background scrub stands; may be lost.
    Scrub,
    /// Since when pull times are kept.
    PullsSince,
    /// When manifests of this repository were pulled last: those whose digests begin with this
    /// hexadecimal digit, so that a change rewrites little.
    Pulls(RepositoryName, u8),
}

/// A level of names that can be listed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Dir {
    /// First components of repository names, or the next ones below a prefix.
    Names(Option<RepositoryName>),
    /// Manifests of a repository, by hexadecimal digest.
    Revisions(RepositoryName, Algorithm),
    /// Tags of a repository.
    Tags(RepositoryName),
    /// Tags that may point to a manifest.
    Tagged(RepositoryName, Digest),
    /// Manifests that refer to a subject, as `algorithm-hex`.
    Referrers(RepositoryName, Digest),
    /// Pushes under way, and those whose intents have expired: side by side, so that no cache of
    /// names shows an intent in neither place.
    Intents(RepositoryName),
    /// What clients deleted from a repository although a manifest refers to it, by hexadecimal digest.
    Deleted(RepositoryName, Algorithm),
    /// Repositories with pull times of digests that begin with this digit, `+` for `/`.
    Pulls(u8),
}

/// What has a life cycle.
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
/// Where what is damaged is kept for a person.
pub(super) const QUARANTINE: &str = "quarantine";
/// The directory of upload sessions.
pub(super) const UPLOADS: &str = "uploads";
/// The directory of repositories.
pub(super) const REPOSITORIES: &str = "repositories";
/// Pull times.
const PULLS: &str = "state/pulls";
/// Tags moved aside to be looked at before they go.
pub(super) const ASIDE: &str = "state/aside";
/// The blob pool.
pub(super) const BLOBS: &str = "blobs";

impl Key {
    /// The path below the storage root.
    pub fn path(&self) -> String {
        match self {
            Self::Root => "ROOT.json".into(),
            // What every pull asks for is joined, which costs a fifth of formatting it.
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
                format!("{}/{}-{}", dir.path(), referrer.algorithm(), referrer.hex())
            }
            Self::Intent(name, id) => format!("{REPOSITORIES}/{name}/_intents/{}", id.0),
            Self::ExpiredIntent(name, id) => format!("{REPOSITORIES}/{name}/_intents/{}.expired", id.0),
            Self::Deleted(name, d) => format!("{}/{}", Dir::Deleted(name.clone(), d.algorithm()).path(), d.hex()),
            Self::CollectionReport => "state/collection.json".into(),
            Self::CollectionMark => "state/collection.mark".into(),
            Self::Scrub => "state/scrub.json".into(),
            Self::PullsSince => format!("{PULLS}/since"),
            Self::Pulls(name, digit) => format!("{}/{}", Dir::Pulls(*digit).path(), flat(name)),
        }
    }
}

impl Key {
    /// The item whose value is here, if it has a life cycle.
    pub(super) fn item(&self) -> Option<Item> {
        match self {
            Self::Layer(name, digest) => Some(Item::Link(name.clone(), digest.clone())),
            Self::Revision(name, digest) => Some(Item::Revision(name.clone(), digest.clone())),
            _ => None,
        }
    }
}

/// No other value is longer: a referrer's descriptor copies the annotations of one manifest.
pub(crate) const LONGEST: u64 = 16 << 20;

impl Key {
    /// Bytes its value has at most. What is longer counts as damaged.
    pub fn longest(&self) -> u64 {
        match self {
            Self::CollectionMark => 512 << 20,
            _ => LONGEST,
        }
    }
}

/// Steps of a group of writes, see [`Key::step`].
pub(super) const STEPS: usize = 3;

impl Key {
    /// The step of a group of writes in which this one gets its name. What it relies on is durable
    /// by then; those of one step do not rely on each other.
    pub(super) fn step(&self) -> usize {
        match self {
            Self::Root | Self::Layer(..) | Self::Revision(..) | Self::Tagged(..) => 0,
            Self::Intent(..) | Self::ExpiredIntent(..) | Self::Deleted(..) => 0,
            Self::CollectionReport | Self::CollectionMark | Self::Scrub | Self::PullsSince | Self::Pulls(..) => 0,
            Self::Referrer { .. } => 1,
            Self::Tag(..) => 2,
        }
    }

    /// What the sync of a new name is called.
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
            Self::CollectionReport | Self::CollectionMark | Self::Scrub => "the name of a report",
            Self::PullsSince | Self::Pulls(..) => "the name of pull times",
        }
    }

    /// What the sync of a removal is called; `None` where the name may come back after a crash,
    /// because it is verified wherever it is used.
    pub(super) fn removal(&self) -> Option<&'static str> {
        match self {
            Self::Tagged(..) => None,
            // The next collection removes it again.
            Self::Deleted(..) => None,
            // A push that ends with the machine was not answered.
            Self::Intent(..) | Self::ExpiredIntent(..) => None,
            Self::CollectionReport | Self::CollectionMark | Self::Scrub | Self::PullsSince | Self::Pulls(..) => None,
            Self::Tag(..) => Some("the removal of a tag"),
            Self::Referrer { .. } => Some("the removal of a referrer"),
            Self::Root | Self::Layer(..) | Self::Revision(..) => Some("the removal of a fact"),
        }
    }
}

impl Dir {
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
            Self::Pulls(digit) => format!("{PULLS}/{digit:x}"),
        }
    }

    /// Whether `name` is one this directory lists: stray files are passed over.
    pub fn lists(&self, name: &str) -> bool {
        match self {
            Self::Names(_) => RepositoryName::is_component(name),
            Self::Revisions(_, algorithm) | Self::Deleted(_, algorithm) => {
                format!("{algorithm}:{name}").parse::<Digest>().is_ok()
            }
            Self::Tags(_) | Self::Tagged(..) => name.parse::<Tag>().is_ok(),
            Self::Referrers(..) => referrer(name).is_some(),
            Self::Intents(_) => intent(name).is_some(),
            Self::Pulls(_) => flat_name(name).is_some(),
        }
    }
}

/// The digest in the name of a referrer's entry.
pub fn referrer(name: &str) -> Option<Digest> {
    let (algorithm, hex) = name.split_once('-')?;
    format!("{algorithm}:{hex}").parse().ok()
}

/// The push in the name of an intent, and whether it has expired.
pub fn intent(name: &str) -> Option<(PushId, bool)> {
    let (id, expired) = name.strip_suffix(".expired").map_or((name, false), |id| (id, true));
    ulid(id).map(|ulid| (PushId(ulid), expired))
}

/// Where a tag stands while a process beside the daemon takes it away.
pub(super) fn aside(repository: &RepositoryName, tag: &Tag) -> String {
    format!("{ASIDE}/{}/{tag}", flat(repository))
}

/// A repository's name as one component.
fn flat(name: &RepositoryName) -> String {
    name.as_str().replace('/', "+")
}

/// The repository whose name was made one component.
pub fn flat_name(component: &str) -> Option<RepositoryName> {
    component.replace('+', "/").parse().ok()
}

/// A ULID in the one spelling we write.
fn ulid(text: &str) -> Option<ulid::Ulid> {
    text.parse::<ulid::Ulid>().ok().filter(|ulid| ulid.to_string() == text)
}

/// The path of a blob in the pool: two digits spread the names over 256 directories.
pub(super) fn blob(digest: &Digest) -> String {
    let hex = digest.hex();
    [BLOBS, "/", digest.algorithm().as_str(), "/", &hex[..2], "/", hex].concat()
}

/// The directory of an upload session.
pub(super) fn upload(id: &UploadId) -> String {
    format!("{UPLOADS}/{id}")
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn words() -> (RepositoryName, Digest, Tag) {
        ("org/app".parse().unwrap(), format!("sha256:{}", "ab".repeat(32)).parse().unwrap(), "v1".parse().unwrap())
    }

    #[test]
    fn the_format_on_disk() {
        let (name, digest, tag) = words();
        let hex = "ab".repeat(32);
        for (key, path) in [
            (Key::Layer(name.clone(), digest.clone()), format!("_layers/sha256/{hex}")),
            (Key::Revision(name.clone(), digest.clone()), format!("_manifests/revisions/sha256/{hex}")),
            (Key::Tag(name.clone(), tag.clone()), "_manifests/tags/v1".into()),
            (Key::Tagged(name.clone(), digest.clone(), tag), format!("_manifests/tagged/sha256/{hex}/v1")),
            (Key::Deleted(name.clone(), digest.clone()), format!("_deleted/sha256/{hex}")),
            (
                Key::Referrer { repository: name.clone(), subject: digest.clone(), referrer: digest.clone() },
                format!("_manifests/referrers/sha256/{hex}/sha256-{hex}"),
            ),
        ] {
            assert_eq!(key.path(), format!("repositories/org/app/{path}"));
        }
        assert_eq!(Key::PullsSince.path(), "state/pulls/since");
        assert_eq!(aside(&name, &"v1".parse().unwrap()), "state/aside/org+app/v1");
        assert_eq!(Key::Pulls(name, 0xa).path(), "state/pulls/a/org+app");
        assert_eq!(Item::Blob(digest).path(), format!("blobs/sha256/ab/{hex}"));
    }

    #[test]
    fn directories_pass_over_what_is_not_theirs() {
        let (name, digest, _) = words();
        assert!(Dir::Names(None).lists("org") && !Dir::Names(None).lists("_manifests"));
        assert!(!Dir::Tags(name.clone()).lists(".swp"));
        assert!(!Dir::Revisions(name.clone(), Algorithm::Sha256).lists("README"));
        assert!(Dir::Pulls(0).lists("org+app") && !Dir::Pulls(0).lists("org+"));
        let referrers = Dir::Referrers(name, digest.clone());
        assert!(referrers.lists(&format!("sha256-{}", digest.hex())));
        assert!(!referrers.lists(digest.as_str()), "or one referrer would be listed twice");
    }
}
