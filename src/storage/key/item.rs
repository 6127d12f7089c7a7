//! Items by path: where they live, and where they lie in the graveyard.

use super::{GRAVEYARD, Key, QUARANTINE, blob, upload};
use crate::{
    oci::{Digest, RepositoryName},
    storage::{Condemned, Item, RunId, Why},
};
use std::fmt;

impl Item {
    /// The path below the storage root while it lives.
    pub fn path(&self) -> String {
        match self {
            Self::Blob(digest) => blob(digest),
            Self::Link(name, digest) => Key::Layer(name.clone(), digest.clone()).path(),
            Self::Revision(name, digest) => Key::Revision(name.clone(), digest.clone()).path(),
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

impl Why {
    const ALL: [Self; 3] = [Self::Unreferenced, Self::Deleted, Self::Damaged];

    /// The word that ends an entry's name.
    fn as_str(self) -> &'static str {
        match self {
            Self::Unreferenced => "unreferenced",
            Self::Deleted => "deleted",
            Self::Damaged => "damaged",
        }
    }
}

impl Condemned {
    /// The path of the entry: `graveyard/<run>/<kind>/<what it was>.<why>`, below `quarantine`
    /// if it is damaged.
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

    /// The entry a path below the root stands for.
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
    use crate::oci::UploadId;

    #[test]
    fn an_item_is_told_as_what_it_is_and_where() {
        let (name, digest, _) = words();
        let id: UploadId = "1b9f1a86-3a5c-4c3b-8f0e-0d2a5f6b7c8d".parse().unwrap();
        for (item, told) in [
            (Item::Blob(digest.clone()), format!("blob {digest}")),
            (Item::Link(name.clone(), digest.clone()), format!("link org/app@{digest}")),
            (Item::Revision(name, digest.clone()), format!("manifest org/app@{digest}")),
            (Item::Upload(id), format!("upload {id}")),
        ] {
            assert_eq!(item.to_string(), told);
        }
    }

    #[test]
    fn entries_of_the_graveyard_read_back_as_themselves() {
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
