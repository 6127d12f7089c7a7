//! Names of generations and markers.
//!
//! An item is a directory of generations: objects whose names are never used again. A generation is usable unless a
//! marker in the graveyard names it. A blob's generation holds its bytes, or says in its name and value which objects
//! below `data` hold them; those belong to this generation alone.

use crate::{
    files::{FileKind, world},
    storage::{
        Condemned, Item, RunId, Why,
        key::{GRAVEYARD, StorePlace},
    },
};
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};
use ulid::Ulid;

/// The directory of bytes.
pub(super) const DATA: &str = "data";

/// Marks when an item was last renewed, beside its generations.
pub(super) const LEASE: &str = "lease";

/// After every name that a directory may hold.
pub(super) const LAST: &str = "~";

/// The name of an object that holds bytes, or of the directory of several. No name is used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub(super) struct DataId(Ulid);

impl DataId {
    pub(super) fn fresh() -> Self {
        Self(world::ulid())
    }
}

impl fmt::Display for DataId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for DataId {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        ulid(text).map(Self).ok_or("it is not the name of an object")
    }
}

impl From<DataId> for String {
    fn from(id: DataId) -> Self {
        id.to_string()
    }
}

impl TryFrom<String> for DataId {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

/// Where the bytes of a generation are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum BytesIn {
    /// In the generation itself.
    Itself,
    /// In one object, of this name in this directory.
    One(DataId, DataId),
    /// In objects of this directory. The generation lists them.
    Many(DataId),
}

/// A generation. They are ordered by their ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Generation {
    pub(super) id: Ulid,
    /// Length of the content.
    pub(super) len: u64,
    pub(super) bytes: BytesIn,
}

impl Generation {
    /// A generation after all of these, with an id that was never used.
    pub(super) fn after(before: &[ListedGeneration], len: u64, bytes: BytesIn) -> Self {
        let fresh = world::ulid();
        let last = before.iter().map(|listed| listed.generation.id).max();
        // The clocks of replicas differ. The order of two generations, one of which was made in view of the other,
        // must not.
        let id = last.filter(|last| *last >= fresh).and_then(|last| last.increment()).unwrap_or(fresh);
        Self { id, len, bytes }
    }

    /// The directory of its bytes, if they are not in itself.
    pub(super) fn directory(&self) -> Option<DataId> {
        match self.bytes {
            BytesIn::Itself => None,
            BytesIn::One(directory, _) | BytesIn::Many(directory) => Some(directory),
        }
    }

    pub(super) fn parse(name: &str) -> Option<Self> {
        let mut parts = name.split('.');
        let id = ulid(parts.next()?)?;
        let len = parts.next()?.parse().ok()?;
        let bytes = match (parts.next(), parts.next(), parts.next()) {
            (None, ..) => BytesIn::Itself,
            (Some(directory), None, _) => BytesIn::Many(directory.parse().ok()?),
            (Some(directory), Some(segment), None) => BytesIn::One(directory.parse().ok()?, segment.parse().ok()?),
            (Some(_), Some(_), Some(_)) => return None,
        };
        Some(Self { id, len, bytes }).filter(|generation| generation.to_string() == name)
    }
}

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, len, bytes } = self;
        match bytes {
            BytesIn::Itself => write!(f, "{id}.{len}"),
            BytesIn::One(directory, segment) => write!(f, "{id}.{len}.{directory}.{segment}"),
            BytesIn::Many(directory) => write!(f, "{id}.{len}.{directory}"),
        }
    }
}

/// A generation that was listed, and when it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ListedGeneration {
    pub(super) generation: Generation,
    pub(super) written: std::time::SystemTime,
}

/// A marker: this run condemned this generation of this item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Marker {
    pub(super) entry: Condemned,
    pub(super) generation: Generation,
}

impl Marker {
    /// Its key. In the quarantine, it is below the path that people are told.
    pub(super) fn key(&self) -> String {
        match self.entry.why {
            Why::Damaged => format!("{}/{}", self.entry.path(), self.generation),
            why => format!("{}{}.{}", graves_of_run(&self.entry.item, self.entry.run), self.generation, suffix(why)),
        }
    }

    /// The marker with this key; none in the quarantine.
    pub(super) fn parse(key: &str) -> Option<Self> {
        let (path, name) = key.strip_prefix(GRAVEYARD)?.strip_prefix('/')?.rsplit_once('/')?;
        let (path, run) = path.rsplit_once('/')?;
        let (generation, why) = name.rsplit_once('.')?;
        let why = [Why::Unreferenced, Why::Deleted].into_iter().find(|known| suffix(*known) == why)?;
        let entry = Condemned { run: RunId(ulid(run)?), item: item(path)?, why };
        Some(Self { entry, generation: Generation::parse(generation)? })
    }
}

fn suffix(why: Why) -> &'static str {
    match why {
        Why::Unreferenced => "unreferenced",
        Why::Deleted => "deleted",
        Why::Damaged => "damaged",
    }
}

/// What the keys of all markers of an item begin with.
pub(super) fn graves_of(item: &Item) -> String {
    format!("{GRAVEYARD}/{}/", item.path())
}

/// What the keys of all markers that a run gave to an item begin with.
pub(super) fn graves_of_run(item: &Item, run: RunId) -> String {
    format!("{GRAVEYARD}/{}/{}/", item.path(), run.0)
}

/// The item with this path.
pub(super) fn item(path: &str) -> Option<Item> {
    if let Some(id) = path.strip_prefix("uploads/") {
        return id.parse().ok().map(Item::Upload);
    }
    match StorePlace::of(path, FileKind::File)? {
        StorePlace::Blob(digest) => Some(Item::Blob(digest)),
        StorePlace::Fact(key) => key.item(),
        _ => None,
    }
}

/// Whether this is the key of an object that holds bytes: nothing points to it before a later write does.
pub fn is_bulk(key: &str) -> bool {
    key.strip_prefix(DATA).is_some_and(|rest| rest.starts_with('/'))
}

/// Whether the object with this key relies on nothing that was written before it, and nothing relies on it before a
/// later write does: bytes, the records of uploads and of pushes under way, and lines of the audit log. It may reach the
/// server before older writes.
pub fn is_free(key: &str) -> bool {
    let holds_its_bytes = || {
        let generation = key.strip_prefix("blobs/")?.rsplit('/').next().and_then(Generation::parse)?;
        Some(generation.bytes == BytesIn::Itself)
    };
    is_bulk(key)
        || ["uploads/", "state/instances/", "state/audit/"].iter().any(|dir| key.starts_with(dir))
        || (key.starts_with("repositories/") && key.contains("/_intents/"))
        || holds_its_bytes() == Some(true)
}

/// The key of an object that holds bytes.
pub(super) fn data(directory: DataId, segment: DataId) -> String {
    format!("{DATA}/{directory}/{segment}")
}

/// What the keys of all objects in a directory of bytes begin with.
pub(super) fn data_in(directory: DataId) -> String {
    format!("{DATA}/{directory}/")
}

fn ulid(text: &str) -> Option<Ulid> {
    text.parse::<Ulid>().ok().filter(|ulid| ulid.to_string() == text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use oci::{Algorithm, Hasher, UploadId};

    #[test]
    fn generations_and_markers_parse_back_to_themselves() {
        let digest = Hasher::digest(Algorithm::Sha256, b"x");
        let (directory, segment) = (DataId::fresh(), DataId::fresh());
        let name: oci::RepositoryName = "org/app".parse().unwrap();
        let items = [
            Item::Blob(digest.clone()),
            Item::Link(name.clone(), digest.clone()),
            Item::Revision(name, digest),
            Item::Upload(UploadId::random()),
        ];
        for bytes in [BytesIn::Itself, BytesIn::One(directory, segment), BytesIn::Many(directory)] {
            let generation = Generation::after(&[], 7, bytes);
            assert_eq!(Generation::parse(&generation.to_string()), Some(generation));
            for (item, why) in items.iter().zip([Why::Unreferenced, Why::Deleted].into_iter().cycle()) {
                let entry = Condemned { run: RunId::fresh(), item: item.clone(), why };
                let marker = Marker { entry, generation };
                assert_eq!(Marker::parse(&marker.key()), Some(marker));
            }
        }
        for stray in ["", "x", "01ARZ3NDEKTSV4RRFFQ69G5FAV", "01ARZ3NDEKTSV4RRFFQ69G5FAV.07", LEASE] {
            assert_eq!(Generation::parse(stray), None, "{stray}");
        }
    }

    #[test]
    fn what_names_something_else_waits_for_it() {
        let digest = Hasher::digest(Algorithm::Sha256, b"x");
        let name: oci::RepositoryName = "org/app".parse().unwrap();
        let of = |item: Item, bytes| format!("{}/{}", item.path(), Generation::after(&[], 7, bytes));
        let (directory, segment) = (DataId::fresh(), DataId::fresh());
        let upload = Item::Upload(UploadId::random()).path();
        let intent = format!("repositories/org/app/_intents/{directory}");
        for free in [data(directory, segment), upload, intent, of(Item::Blob(digest.clone()), BytesIn::Itself)] {
            assert!(is_free(&free), "{free}");
        }
        for bound in [
            of(Item::Blob(digest.clone()), BytesIn::One(directory, segment)),
            of(Item::Blob(digest.clone()), BytesIn::Many(directory)),
            of(Item::Link(name.clone(), digest.clone()), BytesIn::Itself),
            of(Item::Revision(name, digest), BytesIn::Itself),
            "repositories/org/app/_manifests/tags/v1".into(),
            "state/collection.json".into(),
            "ROOT.json".into(),
        ] {
            assert!(!is_free(&bound), "{bound}");
        }
    }

    #[test]
    fn a_generation_comes_after_all_that_were_there() {
        let late = Generation { id: Ulid::from_parts(u64::MAX >> 16, 1), len: 0, bytes: BytesIn::Itself };
        let listed = ListedGeneration { generation: late, written: std::time::UNIX_EPOCH };
        assert!(Generation::after(&[listed], 0, BytesIn::Itself).id > late.id);
    }
}
