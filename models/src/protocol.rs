//! What can be varied: the protocol, and the scene it is played in.

use crate::{names::Names, store::Recent};

/// The protocol. [`Protocol::SOUND`] is what Wharfinger does; each mutant differs from it in one
/// place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Protocol {
    /// W1.
    pub declares: Declares,
    /// W2.
    pub links: Links,
    /// W2 and G3.
    pub restores: Restores,
    /// W4.
    pub looks_again: LooksAgain,
    /// Whether a writer removes its intent as soon as it was answered.
    pub withdraws: bool,
    /// G1.
    pub graveyard: Graveyard,
    /// How long an entry must have lain in the graveyard when it is listed, in times `settle`.
    pub entry_waits: u8,
    /// G2.
    pub marks: Marks,
    /// G2, where manifests can be condemned.
    pub condemned_manifests: CondemnedManifests,
    /// G3.
    pub entry: Entry,
    /// G5.
    pub condemns: Condemns,
    /// G5.
    pub runs: Runs,
    /// G2 and G5, where tags are attached to manifests that clients delete.
    pub attached_tags: AttachedTags,
    /// G6.
    pub expiry: Expiry,
    /// The syncs that are left out.
    pub without: &'static [Synced],
    /// Whether a manifest's directory is synced before the tag is published, or only after it.
    pub manifest_before_tag: bool,
}

/// When a writer makes its intent visible.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Declares {
    /// Before it looks at anything.
    BeforeLooking,
    /// After it has seen everything, just before the manifest.
    AfterLooking,
}

/// Which membership link a writer may bring back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Links {
    /// The repository's own, from the graveyard.
    Own,
    /// Any whose blob is there.
    AnyOfABlobThatIsThere,
}

/// How an item comes back from the graveyard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Restores {
    /// The entry stays.
    ByLink,
    /// The entry goes.
    ByRename,
}

/// When a writer looks whether its intent is still active.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LooksAgain {
    /// Not at all.
    Never,
    /// After the manifest is visible.
    BeforeTheTag,
    /// After the manifest is visible, and again after the tag is.
    BeforeAndAfterTheTag,
}

/// When the graveyard is listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Graveyard {
    /// Before the mark begins.
    BeforeTheMark,
    /// After the mark ended.
    AfterTheMark,
}

/// In which order a repository is marked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Marks {
    /// Intents, then tags, then manifests.
    IntentsFirst,
    /// Tags and manifests, then intents.
    ManifestsFirst,
}

/// How manifests in the graveyard keep what they refer to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CondemnedManifests {
    /// They count, listed after the live ones.
    ListedAfterTheLive,
    /// They count, listed before the live ones.
    ListedBeforeTheLive,
    /// They count, listed before the live ones and again after them.
    ListedBeforeAndAfter,
    /// They do not count.
    NotCounted,
}

/// What becomes of a grave whose item a collection brought back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry {
    /// It stays until nobody needs the item any more.
    Stays,
    /// The collection purges it once the item is back.
    IsPurged,
}

/// How an item leaves its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condemns {
    /// By one move into the graveyard.
    ByMove,
    /// It is removed, and there is no graveyard.
    ByRemoval,
    /// It is copied into the graveyard, then removed: what an object store without rename offers.
    ByCopyAndRemoval,
}

/// How a collection removes a tag that is attached to a deleted manifest, with the manifest behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttachedTags {
    /// The manifest is condemned first; then the tag is removed unless it was put again. A tag whose manifest
    /// lies in the graveyard is a root.
    AfterTheManifest,
    /// The same, but the tag is removed even if it was put again.
    WithoutLooking,
    /// The same, but a tag is no root even if its manifest lies in the graveyard.
    NeverRoots,
}

/// How the runs of collections are called in the graveyard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Runs {
    /// Each by a name that never was.
    Fresh,
    /// All by the same.
    Reused,
}

/// What becomes of intents. Time gets no credit: any intent may expire at any moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expiry {
    /// They stay.
    Never,
    /// They are removed at once.
    AtOnce,
    /// They become roots of another name in the same directory, and go after twice `settle`.
    TwoStepsInOneDirectory,
    /// They are moved to a directory beside it, and go after twice `settle`. The two directories
    /// are listed one after the other.
    TwoStepsInTwoDirectories,
}

/// A sync before somebody is told, or before something that relies on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Synced {
    /// A blob's bytes before its name.
    Bytes,
    /// A blob's name before the upload is answered.
    Uploaded,
    /// What a writer brought back, before its manifest.
    Restored,
    /// What a writer found in its place: whoever put it there may not have synced it yet.
    Found,
    /// The manifest's name.
    Manifest,
    /// The tag's name before the answer.
    Tag,
    /// What a collection brought back, before it purges the entry.
    BroughtBack,
    /// What a collection moved into the graveyard.
    Condemned,
}

impl Protocol {
    /// What must never lose anything.
    pub const SOUND: Self = Self {
        declares: Declares::BeforeLooking,
        links: Links::Own,
        restores: Restores::ByLink,
        looks_again: LooksAgain::BeforeAndAfterTheTag,
        withdraws: false,
        graveyard: Graveyard::BeforeTheMark,
        entry_waits: 1,
        marks: Marks::IntentsFirst,
        condemned_manifests: CondemnedManifests::ListedAfterTheLive,
        entry: Entry::Stays,
        condemns: Condemns::ByMove,
        runs: Runs::Fresh,
        attached_tags: AttachedTags::AfterTheManifest,
        expiry: Expiry::TwoStepsInTwoDirectories,
        without: &[],
        manifest_before_tag: true,
    };
}

/// What an item is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Bytes in the pool.
    Blob,
    /// A repository's right to serve this blob.
    Link(usize),
    /// A manifest of a repository.
    Manifest,
}

/// One thing that can be condemned and brought back.
#[derive(Clone, Copy, Debug)]
pub struct Item {
    /// For counterexamples.
    pub name: &'static str,
    /// What it is.
    pub kind: Kind,
    /// The items a manifest refers to; where links are modelled, its repository's links too.
    pub refers: Names,
    /// The repository of a manifest.
    pub repository: usize,
}

/// What one writer pushes, again and again.
#[derive(Clone, Copy, Debug)]
pub struct Push {
    /// The manifest.
    pub manifest: usize,
    /// What its client uploads first where it is missing. Clients that push to a repository what
    /// they only know the digest of upload nothing.
    pub uploads: Names,
    /// Whether the manifest is tagged.
    pub tags: bool,
}

/// Who plays, with what, within which bounds.
#[derive(Clone, Debug)]
pub struct Scene {
    /// The items.
    pub items: Vec<Item>,
    /// One writer each.
    pub pushes: Vec<Push>,
    /// What is there at the beginning, referred to by nobody.
    pub present: Names,
    /// How many collections may run at the same time.
    pub collectors: usize,
    /// How many may run in all.
    pub runs: usize,
    /// Whether manifests that no tag, push or index needs are condemned too.
    pub policy: bool,
    /// Whether tags are attached to a manifest that clients delete: a signature's to its image.
    pub attached: bool,
    /// Whether clients delete what was acknowledged, and push it again.
    pub deletes: bool,
    /// Caches or crashes.
    pub recent: Recent,
    /// How often the machine may crash.
    pub crashes: u8,
}
