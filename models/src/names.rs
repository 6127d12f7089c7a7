//! The names in a store as sets of bits; contents are not modelled.

use std::ops::{BitAnd, BitOr, BitOrAssign, Sub, SubAssign};

/// Most items a scene may have.
pub const ITEMS: usize = 6;
/// Most runs of collections a scene may have.
pub const RUNS: usize = 6;
/// Most writers a scene may have.
pub const WRITERS: usize = 3;

const GRAVES_FROM: usize = ITEMS;
const ACTIVE_FROM: usize = GRAVES_FROM + ITEMS * RUNS;
const EXPIRED_FROM: usize = ACTIVE_FROM + WRITERS;
const TAGS_FROM: usize = EXPIRED_FROM + WRITERS;
const DATA_FROM: usize = TAGS_FROM + ITEMS;

/// A set of names. A set of items is the set of their live names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NameSet(u64);

/// Every live name.
pub const LIVE: NameSet = NameSet::range(0, ITEMS);
/// Every name in the graveyard.
pub const GRAVES: NameSet = NameSet::range(GRAVES_FROM, ITEMS * RUNS);
/// Every active intent.
pub const ACTIVE: NameSet = NameSet::range(ACTIVE_FROM, WRITERS);
/// Every expired intent.
pub const EXPIRED: NameSet = NameSet::range(EXPIRED_FROM, WRITERS);
/// Every tag.
pub const TAGS: NameSet = NameSet::range(TAGS_FROM, ITEMS);

/// The live name of an item: `blobs/…`, `_layers/…`, `_manifests/revisions/…`.
pub const fn live(item: usize) -> NameSet {
    NameSet(1 << item)
}

/// The name to which a run of a collection moves an item: `graveyard/<run>/…`.
pub const fn grave(item: usize, run: usize) -> NameSet {
    NameSet(1 << (GRAVES_FROM + run * ITEMS + item))
}

/// The intent of a writer's push in progress: `_intents/<ulid>`.
pub const fn active(writer: usize) -> NameSet {
    NameSet(1 << (ACTIVE_FROM + writer))
}

/// The same after it expired: `_intents/expired/<ulid>`.
pub const fn expired(writer: usize) -> NameSet {
    NameSet(1 << (EXPIRED_FROM + writer))
}

/// The tag that points to a manifest.
pub const fn tag(manifest: usize) -> NameSet {
    NameSet(1 << (TAGS_FROM + manifest))
}

/// Not a name: the bytes of an item are complete. All its names lead to the same bytes.
pub const fn data(item: usize) -> NameSet {
    NameSet(1 << (DATA_FROM + item))
}

/// Every name of an item in the graveyard.
pub fn graves_of(item: usize) -> NameSet {
    (0..RUNS).fold(NameSet::default(), |all, run| all | grave(item, run))
}

/// The newest run with a grave of an item, among these names.
pub fn newest_grave(item: usize, among: NameSet) -> Option<usize> {
    (0..RUNS).rev().find(|run| among.meets(grave(item, *run)))
}

/// The item of a live name or of one in the graveyard.
pub fn item_of(name: NameSet) -> usize {
    name.0.trailing_zeros() as usize % ITEMS
}

/// The writer of an intent, active or expired.
pub fn writer_of(intent: NameSet) -> usize {
    (intent.0.trailing_zeros() as usize - ACTIVE_FROM) % WRITERS
}

/// The manifest of a tag.
pub fn tagged_by(tag: NameSet) -> usize {
    tag.0.trailing_zeros() as usize - TAGS_FROM
}

impl NameSet {
    /// No name.
    pub const NONE: Self = Self(0);

    const fn range(from: usize, len: usize) -> Self {
        Self(((1 << len) - 1) << from)
    }

    /// The live names of these items.
    pub fn of(items: &[usize]) -> Self {
        items.iter().fold(Self::NONE, |all, item| all | live(*item))
    }

    /// Whether the set is empty.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether both sets have a name in common.
    pub const fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// Whether it contains all of `other`.
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Each name as a set of its own, lowest first.
    pub fn each(self) -> impl Iterator<Item = Self> {
        let mut left = self.0;
        std::iter::from_fn(move || {
            let lowest = left & left.wrapping_neg();
            left ^= lowest;
            (lowest != 0).then_some(Self(lowest))
        })
    }

    /// The lowest name, as a set of its own.
    pub fn first(self) -> Option<Self> {
        self.each().next()
    }
}

impl BitOr for NameSet {
    type Output = Self;
    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitAnd for NameSet {
    type Output = Self;
    fn bitand(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}

impl Sub for NameSet {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }
}

impl BitOrAssign for NameSet {
    fn bitor_assign(&mut self, other: Self) {
        self.0 |= other.0;
    }
}

impl SubAssign for NameSet {
    fn sub_assign(&mut self, other: Self) {
        self.0 &= !other.0;
    }
}
