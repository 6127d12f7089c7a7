//! What a path below the root stands for: the names of [`super`], read backwards. Whatever fits
//! none of them is a stray.

use super::{GRAVEYARD, Key, QUARANTINE, REPOSITORIES, UPLOADS, flat_name, intent, referrer, ulid};
use crate::{
    files::{Kind, atomic::TEMPORARY},
    oci::{Algorithm, Digest, RepositoryName, Tag, UploadId},
    storage::Condemned,
};

/// What stands at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A directory of the layout.
    Directory,
    /// A directory that is not looked into.
    Closed,
    /// A fact.
    Fact(Key),
    /// A blob of the pool.
    Blob(Digest),
    /// The directory of an upload session.
    Upload(UploadId),
    /// A file of an upload session.
    UploadFile,
    /// An entry of the graveyard.
    Grave(Condemned),
    /// A file being written.
    Temporary,
    /// The tag with this key, moved aside to be looked at before it goes.
    Aside(Key),
    /// The daemon's own notes, which may be lost.
    Note,
    /// A key of the daemon's own.
    Secret,
    /// What was taken aside in one run.
    Quarantined,
}

/// Directories at the top.
const TOP: [&str; 7] = ["blobs", GRAVEYARD, "identity", QUARANTINE, REPOSITORIES, "state", UPLOADS];

impl Place {
    /// What a path stands for; `None` for a stray, also where a file stands in a directory's place.
    pub fn of(path: &str, kind: Kind) -> Option<Self> {
        let parts: Vec<&str> = path.split('/').collect();
        match kind {
            Kind::Directory => directory(path, &parts),
            Kind::File => file(path, &parts),
            Kind::Other => None,
        }
    }
}

fn directory(path: &str, parts: &[&str]) -> Option<Place> {
    let is = |known: bool| known.then_some(Place::Directory);
    match parts {
        // Made by mkfs, for the root user alone.
        ["lost+found"] => Some(Place::Closed),
        [top] => is(TOP.contains(top)),
        ["blobs", algorithm] => is(is_algorithm(algorithm)),
        ["blobs", algorithm, shard] => is(is_algorithm(algorithm) && is_shard(shard)),
        [REPOSITORIES, below @ ..] => is(is_of_repository(below)),
        [UPLOADS, id] => id.parse().ok().map(Place::Upload),
        [GRAVEYARD, run] => is(ulid(run).is_some()),
        [GRAVEYARD, run, "uploads", _] if ulid(run).is_some() => Condemned::parse(path).map(Place::Grave),
        [GRAVEYARD, run, below @ ..] => is(ulid(run).is_some() && is_of_grave(below)),
        [QUARANTINE, run] => ulid(run).is_some().then_some(Place::Quarantined),
        ["identity", ..] => is(true),
        ["state", "pulls" | "spare", ..] | ["state", "instances" | "aside"] => is(true),
        ["state", "aside", name] => is(flat_name(name).is_some()),
        _ => is(path == TEMPORARY),
    }
}

fn file(path: &str, parts: &[&str]) -> Option<Place> {
    match parts {
        ["ROOT.json"] => Some(Place::Fact(Key::Root)),
        ["blobs", algorithm, shard, hex] if hex.starts_with(shard) && is_shard(shard) => {
            digest(algorithm, hex).map(Place::Blob)
        }
        [REPOSITORIES, below @ ..] => fact(below).map(Place::Fact),
        [UPLOADS, id, "data" | "sealed" | "session.json"] => id.parse::<UploadId>().ok().map(|_| Place::UploadFile),
        [GRAVEYARD, run, kind, ..] if ulid(run).is_some() && *kind != "uploads" => {
            Condemned::parse(path).map(Place::Grave)
        }
        ["identity", _, ..] => Some(Place::Secret),
        ["state", "collection.json"] => Some(Place::Fact(Key::CollectionReport)),
        ["state", "collection.mark"] => Some(Place::Fact(Key::CollectionMark)),
        ["state", "scrub.json"] => Some(Place::Fact(Key::Scrub)),
        ["state", "collection.lock"] | ["state", "pulls", _, ..] | ["state", "instances", _] => Some(Place::Note),
        ["state", "aside", name, tag] => Some(Place::Aside(Key::Tag(flat_name(name)?, tag.parse().ok()?))),
        _ => path.strip_prefix(TEMPORARY)?.strip_prefix('/').map(|_| Place::Temporary),
    }
}

fn is_algorithm(text: &str) -> bool {
    text.parse::<Algorithm>().is_ok()
}

fn is_shard(text: &str) -> bool {
    text.len() == 2 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

fn digest(algorithm: &str, hex: &str) -> Option<Digest> {
    format!("{algorithm}:{hex}").parse().ok()
}

/// A repository and what lies below its own directory; the repository's name ends where a
/// component begins with `_`.
fn split<'a, 'p>(below: &'a [&'p str]) -> Option<(RepositoryName, &'a [&'p str])> {
    let end = below.iter().position(|part| part.starts_with('_')).unwrap_or(below.len());
    Some((below[..end].join("/").parse().ok()?, &below[end..]))
}

fn is_of_repository(below: &[&str]) -> bool {
    let Some((_, rest)) = split(below) else { return false };
    let is_digest = |algorithm: &str, hex: &str| digest(algorithm, hex).is_some();
    match rest {
        [] | ["_layers" | "_manifests" | "_intents" | "_deleted"] => true,
        ["_manifests", "revisions" | "tags" | "tagged" | "referrers"] => true,
        ["_layers" | "_deleted", algorithm] | ["_manifests", "revisions" | "tagged" | "referrers", algorithm] => {
            is_algorithm(algorithm)
        }
        ["_manifests", "tagged" | "referrers", algorithm, hex] => is_digest(algorithm, hex),
        _ => false,
    }
}

fn fact(below: &[&str]) -> Option<Key> {
    let (name, rest) = split(below)?;
    Some(match rest {
        ["_layers", algorithm, hex] => Key::Layer(name, digest(algorithm, hex)?),
        ["_deleted", algorithm, hex] => Key::Deleted(name, digest(algorithm, hex)?),
        ["_manifests", "revisions", algorithm, hex] => Key::Revision(name, digest(algorithm, hex)?),
        ["_manifests", "tags", tag] => Key::Tag(name, tag.parse::<Tag>().ok()?),
        ["_manifests", "tagged", algorithm, hex, tag] => Key::Tagged(name, digest(algorithm, hex)?, tag.parse().ok()?),
        ["_manifests", "referrers", algorithm, hex, entry] => {
            Key::Referrer { repository: name, subject: digest(algorithm, hex)?, referrer: referrer(entry)? }
        }
        ["_intents", entry] => match intent(entry)? {
            (push, false) => Key::Intent(name, push),
            (push, true) => Key::ExpiredIntent(name, push),
        },
        _ => return None,
    })
}

/// Whether a directory is one on the way to entries of the graveyard.
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
        super::{aside, tests::words},
        *,
    };
    use crate::storage::{Item, PushId, RunId, Why};

    /// The directories above a path are of the layout, too.
    fn holds(path: &str, kind: Kind, place: &Place) {
        assert_eq!(Place::of(path, kind).as_ref(), Some(place), "{path}");
        let mut dir = path;
        while let Some((parent, _)) = dir.rsplit_once('/') {
            assert!(
                matches!(Place::of(parent, Kind::Directory), Some(Place::Directory | Place::Upload(_))),
                "{parent} of {path}"
            );
            assert_eq!(Place::of(parent, Kind::Other), None);
            dir = parent;
        }
    }

    #[test]
    fn every_name_of_the_layout_reads_back_as_what_it_is() {
        let (name, digest, tag) = words();
        let push = PushId::fresh();
        for key in [
            Key::Root,
            Key::Layer(name.clone(), digest.clone()),
            Key::Revision(name.clone(), digest.clone()),
            Key::Tag(name.clone(), tag.clone()),
            Key::Tagged(name.clone(), digest.clone(), tag.clone()),
            Key::Referrer { repository: name.clone(), subject: digest.clone(), referrer: digest.clone() },
            Key::Deleted(name.clone(), digest.clone()),
            Key::Intent(name.clone(), push),
            Key::ExpiredIntent(name.clone(), push),
            Key::CollectionReport,
            Key::CollectionMark,
            Key::Scrub,
        ] {
            holds(&key.path(), Kind::File, &Place::Fact(key));
        }
        let id = UploadId::random();
        for (item, kind) in [
            (Item::Blob(digest.clone()), Kind::File),
            (Item::Link(name.clone(), digest.clone()), Kind::File),
            (Item::Revision(name.clone(), digest.clone()), Kind::File),
            (Item::Upload(id), Kind::Directory),
        ] {
            let grave = Condemned { run: RunId::fresh(), item, why: Why::Deleted };
            holds(&grave.path(), kind, &Place::Grave(grave));
        }
        holds(&Item::Blob(digest.clone()).path(), Kind::File, &Place::Blob(digest));
        holds(&Item::Upload(id).path(), Kind::Directory, &Place::Upload(id));
        holds(&format!("{}/sealed", Item::Upload(id).path()), Kind::File, &Place::UploadFile);
        holds("state/tmp/x", Kind::File, &Place::Temporary);
        holds(&aside(&name, &tag), Kind::File, &Place::Aside(Key::Tag(name, tag)));
        holds("identity/keys/token.pem", Kind::File, &Place::Secret);
    }

    #[test]
    fn whatever_fits_no_name_is_a_stray() {
        let hex = "ab".repeat(32);
        for (path, kind) in [
            ("notes.txt".into(), Kind::File),
            ("blobs".into(), Kind::File),
            (format!("blobs/sha256/cd/{hex}"), Kind::File),
            (format!("blobs/sha256/ab/{hex}"), Kind::Directory),
            (format!("blobs/sha256/ab/{hex}"), Kind::Other),
            (format!("blobs/sha256/ab/{hex}.tmp"), Kind::File),
            ("blobs/md5".into(), Kind::Directory),
            ("repositories/README".into(), Kind::File),
            ("repositories/App".into(), Kind::Directory),
            ("repositories/_layers".into(), Kind::Directory),
            ("repositories/app/_layers/sha256/xyz".into(), Kind::File),
            ("repositories/app/_manifests/tags/.swp".into(), Kind::File),
            ("repositories/app/_manifests/tags/v1/v2".into(), Kind::File),
            (format!("repositories/app/_manifests/referrers/sha256/{hex}/sha256:{hex}"), Kind::File),
            ("repositories/app/_intents/one".into(), Kind::File),
            ("graveyard/one".into(), Kind::Directory),
            ("uploads/one".into(), Kind::Directory),
            (format!("uploads/{}/more", UploadId::random()), Kind::File),
            ("state/other".into(), Kind::File),
            ("identity".into(), Kind::File),
        ] {
            assert_eq!(Place::of(&path, kind), None, "{path}");
        }
    }
}
