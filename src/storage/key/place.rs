//! What a path below the root means: the reverse of [`super`]. A path with no meaning is a stray file.

use super::{
    ARTIFACTS, AccountDir, AccountKey, ArtifactKey, FactKey, GRAVEYARD, QUARANTINE, REPOSITORIES, UPLOADS, digest_of,
    flat_name, intent, migration, referrer, ulid,
};
use crate::{
    files::{FileKind, atomic::TEMPORARY},
    storage::Condemned,
};
use oci::{Algorithm, Digest, RepositoryName, Tag, UploadId};

/// What is at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StorePlace {
    /// A directory of the layout.
    Directory,
    /// A directory whose contents are not checked.
    Closed,
    Fact(FactKey),
    /// A blob of the pool.
    Blob(Digest),
    /// The directory of an upload session.
    Upload(UploadId),
    /// A file of an upload session.
    UploadFile,
    /// An entry of the graveyard.
    Grave(Condemned),
    /// A file that is being written.
    Temporary,
    /// The tag with this key, moved away to be checked before it is removed.
    Aside(FactKey),
    /// The daemon's own notes, which may be lost.
    Note,
    /// A key of the daemon's own.
    Secret,
    /// What one run moved to quarantine.
    Quarantined,
}

/// The top-level directories.
const TOP: [&str; 8] = [ARTIFACTS, "blobs", GRAVEYARD, "identity", QUARANTINE, REPOSITORIES, "state", UPLOADS];

impl StorePlace {
    /// What a path means; `None` for a stray, such as a file where a directory should be.
    pub fn of(path: &str, kind: FileKind) -> Option<Self> {
        let parts: Vec<&str> = path.split('/').collect();
        match kind {
            FileKind::Directory => directory(path, &parts),
            FileKind::File => file(path, &parts),
            FileKind::Other => None,
        }
    }
}

fn directory(path: &str, parts: &[&str]) -> Option<StorePlace> {
    let is = |known: bool| known.then_some(StorePlace::Directory);
    match parts {
        // Made by mkfs for root only.
        ["lost+found"] => Some(StorePlace::Closed),
        [top] => is(TOP.contains(top)),
        ["blobs", algorithm] => is(is_algorithm(algorithm)),
        ["blobs", algorithm, shard] => is(is_algorithm(algorithm) && is_shard(shard)),
        [ARTIFACTS, below @ ..] => is(ArtifactKey::is_directory(below)),
        [REPOSITORIES, "_facts"] => is(true),
        [REPOSITORIES, below @ ..] => is(is_of_repository(below)),
        [UPLOADS, id] => id.parse().ok().map(StorePlace::Upload),
        [GRAVEYARD, run] => is(ulid(run).is_some()),
        [GRAVEYARD, run, "uploads", _] if ulid(run).is_some() => Condemned::parse(path).map(StorePlace::Grave),
        [GRAVEYARD, run, below @ ..] => is(ulid(run).is_some() && is_of_grave(below)),
        [QUARANTINE, run] => ulid(run).is_some().then_some(StorePlace::Quarantined),
        ["identity", ..] => is(true),
        ["state", "pulls" | "spare", ..] | ["state", "instances" | "aside" | "audit" | "migrations"] => is(true),
        ["state", "aside", name] => is(flat_name(name).is_some()),
        _ => is(path == TEMPORARY),
    }
}

fn file(path: &str, parts: &[&str]) -> Option<StorePlace> {
    match parts {
        ["ROOT.json"] => Some(StorePlace::Fact(FactKey::Root)),
        ["blobs", algorithm, shard, hex] if hex.starts_with(shard) && is_shard(shard) => {
            digest(algorithm, hex).map(StorePlace::Blob)
        }
        [REPOSITORIES, "_facts", name] => flat_name(name).map(FactKey::Recorded).map(StorePlace::Fact),
        [ARTIFACTS, below @ ..] => ArtifactKey::parse(below).map(FactKey::Artifact).map(StorePlace::Fact),
        [REPOSITORIES, below @ ..] => fact(below).map(StorePlace::Fact),
        [UPLOADS, id, "data" | "sealed" | "session.json"] => {
            id.parse::<UploadId>().ok().map(|_| StorePlace::UploadFile)
        }
        [GRAVEYARD, run, kind, ..] if ulid(run).is_some() && *kind != "uploads" => {
            Condemned::parse(path).map(StorePlace::Grave)
        }
        ["identity", dir, name] if AccountDir::of(dir).is_some() => {
            AccountKey::parse(AccountDir::of(dir)?, name).map(FactKey::Account).map(StorePlace::Fact)
        }
        ["identity", _, ..] => Some(StorePlace::Secret),
        ["state", "collection.json"] => Some(StorePlace::Fact(FactKey::CollectionReport)),
        ["state", "collection.mark"] => Some(StorePlace::Fact(FactKey::CollectionMark)),
        ["state", "scrub.json"] => Some(StorePlace::Fact(FactKey::Scrub)),
        ["state", "migrations", name] => migration(name).map(FactKey::Migration).map(StorePlace::Fact),
        ["state", "collection.lock"] | ["state", "pulls", _, ..] | ["state", "instances" | "audit", _] => {
            Some(StorePlace::Note)
        }
        ["state", "aside", name, tag] => Some(StorePlace::Aside(FactKey::Tag(flat_name(name)?, tag.parse().ok()?))),
        _ => path.strip_prefix(TEMPORARY)?.strip_prefix('/').map(|_| StorePlace::Temporary),
    }
}

fn is_algorithm(text: &str) -> bool {
    text.parse::<Algorithm>().is_ok()
}

fn is_shard(text: &str) -> bool {
    text.len() == 2 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

fn digest(algorithm: &str, hex: &str) -> Option<Digest> {
    digest_of(algorithm.parse().ok()?, hex)
}

/// Splits a path into a repository and the path below its own directory; the repository's name ends before the first
/// component that begins with `_`.
fn split<'a, 'p>(below: &'a [&'p str]) -> Option<(RepositoryName, &'a [&'p str])> {
    let end = below.iter().position(|part| part.starts_with('_')).unwrap_or(below.len());
    Some((below[..end].join("/").parse().ok()?, &below[end..]))
}

fn is_of_repository(below: &[&str]) -> bool {
    let Some((_, rest)) = split(below) else { return false };
    let is_digest = |algorithm: &str, hex: &str| digest(algorithm, hex).is_some();
    match rest {
        [] | ["_layers" | "_manifests" | "_intents" | "_deleted" | "_facts"] => true,
        ["_manifests", "revisions" | "tags" | "tagged" | "referrers"] => true,
        ["_layers" | "_deleted", algorithm] | ["_manifests", "revisions" | "tagged" | "referrers", algorithm] => {
            is_algorithm(algorithm)
        }
        ["_manifests", "tagged" | "referrers", algorithm, hex] => is_digest(algorithm, hex),
        _ => false,
    }
}

fn fact(below: &[&str]) -> Option<FactKey> {
    let (name, rest) = split(below)?;
    Some(match rest {
        ["_layers", algorithm, hex] => FactKey::Layer(name, digest(algorithm, hex)?),
        ["_deleted", algorithm, hex] => FactKey::Deleted(name, digest(algorithm, hex)?),
        ["_manifests", "revisions", algorithm, hex] => FactKey::Revision(name, digest(algorithm, hex)?),
        ["_manifests", "tags", tag] => FactKey::Tag(name, tag.parse::<Tag>().ok()?),
        ["_manifests", "tagged", algorithm, hex, tag] => {
            FactKey::Tagged(name, digest(algorithm, hex)?, tag.parse().ok()?)
        }
        ["_manifests", "referrers", algorithm, hex, entry] => {
            FactKey::Referrer { repository: name, subject: digest(algorithm, hex)?, referrer: referrer(entry)? }
        }
        ["_facts", "visibility"] => FactKey::Visibility(name),
        ["_facts", "owner"] => FactKey::Owner(name),
        ["_facts", "description"] => FactKey::Description(name),
        ["_facts", "immutable_tags"] => FactKey::OwnImmutable(name),
        ["_facts", "created"] => FactKey::Created(name),
        ["_facts", "namespace"] => FactKey::Namespace(name),
        ["_intents", entry] => match intent(entry)? {
            (push, false) => FactKey::Intent(name, push),
            (push, true) => FactKey::ExpiredIntent(name, push),
        },
        _ => return None,
    })
}

/// Whether a directory leads to entries of the graveyard.
fn is_of_grave(below: &[&str]) -> bool {
    let is_name = |parts: &[&str]| parts.is_empty() || parts.iter().all(|part| RepositoryName::is_component(part));
    match below {
        ["blobs"] | ["uploads"] => true,
        ["blobs", algorithm] => is_algorithm(algorithm),
        ["links" | "revisions", name @ .., "_", algorithm] => is_name(name) && is_algorithm(algorithm),
        ["links" | "revisions", name @ .., "_"] => is_name(name),
        ["links" | "revisions", name @ ..] => is_name(name),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{UserFile, aside, tests::words},
        *,
    };
    use crate::storage::{Item, PushId, RunId, Why};

    /// The directories above a path belong to the layout, too.
    fn holds(path: &str, kind: FileKind, place: &StorePlace) {
        assert_eq!(StorePlace::of(path, kind).as_ref(), Some(place), "{path}");
        let mut dir = path;
        while let Some((parent, _)) = dir.rsplit_once('/') {
            assert!(
                matches!(
                    StorePlace::of(parent, FileKind::Directory),
                    Some(StorePlace::Directory | StorePlace::Upload(_))
                ),
                "{parent} of {path}"
            );
            assert_eq!(StorePlace::of(parent, FileKind::Other), None);
            dir = parent;
        }
    }

    #[test]
    fn every_path_of_the_layout_parses_back_to_its_place() {
        let (name, digest, tag) = words();
        let push = PushId::fresh();
        for key in [
            FactKey::Root,
            FactKey::Layer(name.clone(), digest.clone()),
            FactKey::Revision(name.clone(), digest.clone()),
            FactKey::Tag(name.clone(), tag.clone()),
            FactKey::Tagged(name.clone(), digest.clone(), tag.clone()),
            FactKey::Referrer { repository: name.clone(), subject: digest.clone(), referrer: digest.clone() },
            FactKey::Deleted(name.clone(), digest.clone()),
            FactKey::Intent(name.clone(), push),
            FactKey::ExpiredIntent(name.clone(), push),
            FactKey::Visibility(name.clone()),
            FactKey::Owner(name.clone()),
            FactKey::Description(name.clone()),
            FactKey::OwnImmutable(name.clone()),
            FactKey::Created(name.clone()),
            FactKey::Namespace(name.clone()),
            FactKey::Recorded(name.clone()),
            FactKey::CollectionReport,
            FactKey::CollectionMark,
            FactKey::Scrub,
            FactKey::Migration("01ARZ3NDEKTSV4RRFFQ69G5FAV".parse().unwrap()),
            FactKey::Account(AccountKey::Session("00112233445566778899aabbccddeeff".parse().unwrap())),
            FactKey::Account(AccountKey::ApiKey("0011223344556677".parse().unwrap())),
            FactKey::Account(AccountKey::ApiKeyUse("0011223344556677".parse().unwrap())),
            FactKey::Account(AccountKey::User(UserFile::of("alice"))),
            FactKey::Account(AccountKey::Tombstone(UserFile::of("../a/b c"))),
        ] {
            holds(&key.path(), FileKind::File, &StorePlace::Fact(key));
        }
        let id = UploadId::random();
        for (item, kind) in [
            (Item::Blob(digest.clone()), FileKind::File),
            (Item::Link(name.clone(), digest.clone()), FileKind::File),
            (Item::Revision(name.clone(), digest.clone()), FileKind::File),
            (Item::Upload(id), FileKind::Directory),
        ] {
            let grave = Condemned { run: RunId::fresh(), item, why: Why::Deleted };
            holds(&grave.path(), kind, &StorePlace::Grave(grave));
        }
        holds(&Item::Blob(digest.clone()).path(), FileKind::File, &StorePlace::Blob(digest));
        holds(&Item::Upload(id).path(), FileKind::Directory, &StorePlace::Upload(id));
        holds(&format!("{}/sealed", Item::Upload(id).path()), FileKind::File, &StorePlace::UploadFile);
        holds("state/tmp/x", FileKind::File, &StorePlace::Temporary);
        holds(&aside(&name, &tag), FileKind::File, &StorePlace::Aside(FactKey::Tag(name, tag)));
        holds("identity/keys/token.pem", FileKind::File, &StorePlace::Secret);
    }

    #[test]
    fn a_path_outside_the_layout_is_a_stray() {
        let hex = "ab".repeat(32);
        for (path, kind) in [
            ("notes.txt".into(), FileKind::File),
            ("blobs".into(), FileKind::File),
            (format!("blobs/sha256/cd/{hex}"), FileKind::File),
            (format!("blobs/sha256/ab/{hex}"), FileKind::Directory),
            (format!("blobs/sha256/ab/{hex}"), FileKind::Other),
            (format!("blobs/sha256/ab/{hex}.tmp"), FileKind::File),
            ("blobs/md5".into(), FileKind::Directory),
            ("repositories/README".into(), FileKind::File),
            ("repositories/App".into(), FileKind::Directory),
            ("repositories/_layers".into(), FileKind::Directory),
            ("repositories/app/_layers/sha256/xyz".into(), FileKind::File),
            ("repositories/app/_manifests/tags/.swp".into(), FileKind::File),
            ("repositories/app/_manifests/tags/v1/v2".into(), FileKind::File),
            (format!("repositories/app/_manifests/referrers/sha256/{hex}/sha256:{hex}"), FileKind::File),
            ("repositories/app/_intents/one".into(), FileKind::File),
            ("repositories/app/_facts/colour".into(), FileKind::File),
            ("repositories/_facts/App".into(), FileKind::File),
            ("graveyard/one".into(), FileKind::Directory),
            ("uploads/one".into(), FileKind::Directory),
            (format!("uploads/{}/more", UploadId::random()), FileKind::File),
            ("state/other".into(), FileKind::File),
            ("identity".into(), FileKind::File),
            ("identity/sessions/alice.json".into(), FileKind::File),
            ("identity/api-keys/0011223344556677".into(), FileKind::File),
            ("identity/users/a b.json".into(), FileKind::File),
            ("identity/users/.json".into(), FileKind::File),
            ("identity/users/alice".into(), FileKind::File),
        ] {
            assert_eq!(StorePlace::of(&path, kind), None, "{path}");
        }
    }
}
