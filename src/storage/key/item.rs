//! Paths of items: their live places, and their places in the graveyard.

use super::{BLOBS, Dir, FactKey, GRAVEYARD, QUARANTINE, REPOSITORIES, UPLOADS, blob, digest_of, upload};
use crate::storage::{Condemned, Item, ItemKind, RunId, Why};
use oci::{Algorithm, Digest, RepositoryName};
use std::fmt;

impl Item {
    /// The path below the storage root while the item is live.
    pub fn path(&self) -> String {
        match self {
            Self::Blob(digest) => blob(digest),
            Self::Link(name, digest) => FactKey::Layer(name.clone(), digest.clone()).path(),
            Self::Revision(name, digest) => FactKey::Revision(name.clone(), digest.clone()).path(),
            Self::Upload(id) => upload(id),
        }
    }
}

impl fmt::Display for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Blob(digest) => write!(f, "blob {digest}"),
            Self::Link(name, digest) => write!(f, "link {name}@{digest}"),
            Self::Revision(name, digest) => write!(f, "manifest {name}@{digest}"),
            Self::Upload(id) => write!(f, "upload {id}"),
        }
    }
}

/// A directory in which live items of a kind are.
pub(in crate::storage) struct ItemDir<'k> {
    /// The path below the storage root.
    pub(in crate::storage) path: String,
    kind: &'k ItemKind,
    /// That of the digests here, if the names are digests.
    algorithm: Option<Algorithm>,
}

impl ItemKind {
    /// The directories of the kind, in byte order.
    pub(in crate::storage) fn dirs(&self) -> Vec<ItemDir<'_>> {
        let dir = |algorithm, path| ItemDir { path, kind: self, algorithm };
        let each = |path: &dyn Fn(Algorithm) -> String| {
            Algorithm::ALL.into_iter().map(|algorithm| dir(Some(algorithm), path(algorithm))).collect()
        };
        match self {
            Self::Blobs => {
                let shards = |algorithm| (0..=255u8).map(move |i| (algorithm, format!("{BLOBS}/{algorithm}/{i:02x}")));
                let shards = Algorithm::ALL.into_iter().flat_map(shards);
                shards.map(|(algorithm, path)| dir(Some(algorithm), path)).collect()
            }
            Self::Links(name) => each(&|algorithm| format!("{REPOSITORIES}/{name}/_layers/{algorithm}")),
            Self::Revisions(name) => each(&|algorithm| Dir::Revisions(name.clone(), algorithm).path()),
            Self::Uploads => vec![dir(None, UPLOADS.to_owned())],
        }
    }
}

impl ItemDir<'_> {
    /// The item that a name stands for here.
    pub(in crate::storage) fn item(&self, name: &str) -> Option<Item> {
        let digest = || digest_of(self.algorithm?, name);
        Some(match self.kind {
            ItemKind::Blobs => Item::Blob(digest()?),
            ItemKind::Links(repository) => Item::Link(repository.clone(), digest()?),
            ItemKind::Revisions(repository) => Item::Revision(repository.clone(), digest()?),
            ItemKind::Uploads => Item::Upload(name.parse().ok()?),
        })
    }
}

impl Why {
    const ALL: [Self; 3] = [Self::Unreferenced, Self::Deleted, Self::Damaged];

    /// The last part of the entry's name.
    fn as_str(self) -> &'static str {
        match self {
            Self::Unreferenced => "unreferenced",
            Self::Deleted => "deleted",
            Self::Damaged => "damaged",
        }
    }
}

impl Condemned {
    /// The path of the entry: `graveyard/<run>/<kind>/<item>.<why>`, or below `quarantine` if it is damaged.
    pub fn path(&self) -> String {
        let place = if self.why == Why::Damaged { QUARANTINE } else { GRAVEYARD };
        let run = format!("{place}/{}", self.run.0);
        let why = self.why.as_str();
        match &self.item {
            Item::Blob(d) => format!("{run}/blobs/{}/{}.{why}", d.algorithm(), d.hex()),
            Item::Link(name, d) => format!("{run}/links/{name}/_/{}/{}.{why}", d.algorithm(), d.hex()),
            Item::Revision(name, d) => format!("{run}/revisions/{name}/_/{}/{}.{why}", d.algorithm(), d.hex()),
            Item::Upload(id) => format!("{run}/uploads/{id}.{why}"),
        }
    }

    /// The entry at a path below the root.
    pub(in crate::storage) fn parse(path: &str) -> Option<Self> {
        let (place, path) = path.split_once('/')?;
        let (path, why) = path.rsplit_once('.')?;
        let why = Why::ALL.into_iter().find(|w| w.as_str() == why)?;
        if place != if why == Why::Damaged { QUARANTINE } else { GRAVEYARD } {
            return None;
        }
        let (run, path) = path.split_once('/')?;
        let (kind, path) = path.split_once('/')?;
        let digest = |path: &str| path.replacen('/', ":", 1).parse::<Digest>().ok();
        let of_repository = |path: &str| {
            let (name, d) = path.split_once("/_/")?;
            Some((name.parse::<RepositoryName>().ok()?, digest(d)?))
        };
        let item = match kind {
            "blobs" => Item::Blob(digest(path)?),
            "links" => of_repository(path).map(|(name, d)| Item::Link(name, d))?,
            "revisions" => of_repository(path).map(|(name, d)| Item::Revision(name, d))?,
            "uploads" => Item::Upload(path.parse().ok()?),
            _ => return None,
        };
        Some(Self { run: RunId(run.parse().ok()?), item, why })
    }
}

#[cfg(test)]
mod tests {
    use super::{super::tests::words, *};
    use oci::UploadId;

    #[test]
    fn an_item_is_described_by_kind_and_place() {
        let (name, digest, _) = words();
        let id: UploadId = "1b9f1a86-3a5c-4c3b-8f0e-0d2a5f6b7c8d".parse().unwrap();
        for (item, shown) in [
            (Item::Blob(digest.clone()), format!("blob {digest}")),
            (Item::Link(name.clone(), digest.clone()), format!("link org/app@{digest}")),
            (Item::Revision(name, digest.clone()), format!("manifest org/app@{digest}")),
            (Item::Upload(id), format!("upload {id}")),
        ] {
            assert_eq!(item.to_string(), shown);
        }
    }

    #[test]
    fn live_items_parse_back_to_themselves() {
        let (name, digest, _) = words();
        for (kind, item) in [
            (ItemKind::Blobs, Item::Blob(digest.clone())),
            (ItemKind::Links(name.clone()), Item::Link(name.clone(), digest.clone())),
            (ItemKind::Revisions(name.clone()), Item::Revision(name, digest)),
            (ItemKind::Uploads, Item::Upload(UploadId::random())),
        ] {
            let dirs = kind.dirs();
            assert!(dirs.is_sorted_by(|a, b| a.path < b.path), "{kind:?}");
            let path = item.path();
            let (parent, entry) = path.rsplit_once('/').unwrap();
            let of = dirs.iter().filter(|dir| dir.path == parent);
            assert_eq!(of.map(|dir| dir.item(entry)).collect::<Vec<_>>(), [Some(item)]);
            assert!(dirs.iter().all(|dir| dir.item(".swp").is_none()));
        }
    }

    #[test]
    fn graveyard_entries_parse_back_to_themselves() {
        let (name, digest, _) = words();
        let items = [
            Item::Blob(digest.clone()),
            Item::Link(name.clone(), digest.clone()),
            Item::Revision(name, digest),
            Item::Upload(UploadId::random()),
        ];
        for (item, why) in items.into_iter().zip(Why::ALL.into_iter().cycle()) {
            let entry = Condemned { run: RunId::fresh(), item, why };
            assert_eq!(Condemned::parse(&entry.path()), Some(entry));
        }
        for stray in ["graveyard/x", "graveyard/x/blobs/y.deleted", "blobs/sha256/ab", "graveyard/README.deleted"] {
            assert_eq!(Condemned::parse(stray), None);
        }
    }
}
