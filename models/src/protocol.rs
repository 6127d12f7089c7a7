//! What can be varied: the protocol, and the scene it runs in.

use crate::{names::NameSet, store::Uncertainty};

/// The protocol. [`Protocol::SOUND`] is what Wharfinger does; each mutant differs from it in one place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Protocol {
    /// W1.
    pub declares: Declares,
    /// W2.
    pub links: RestorableLinks,
    /// W2 and G3.
    pub restores: Restores,
    /// W4.
    pub looks_again: LooksAgain,
    /// Whether a writer removes its intent right after its answer.
    pub withdraws: bool,
    /// G1.
    pub graveyard: GraveyardListing,
    /// How long an entry must have been in the graveyard when it is listed, as a multiple of `settle`.
    pub entry_waits: u8,
    /// G2.
    pub marks: MarkOrder,
    /// G2, where manifests can be condemned.
    pub condemned_manifests: CondemnedManifests,
    /// G3.
    pub entry: Entry,
    /// G5.
    pub condemns: Condemns,
    /// G5.
    pub runs: RunNames,
    /// G2 and G5, where tags are attached to manifests that clients delete.
    pub attached_tags: AttachedTags,
    /// G6.
    pub expiry: Expiry,
    /// The syncs that are skipped.
    pub without: &'static [Synced],
    /// Whether a manifest's directory is synced before the tag is published, or only after it.
    pub manifest_before_tag: bool,
}

/// When a writer makes its intent visible.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Declares {
    /// Before it checks anything.
    BeforeLooking,
    /// After it has checked everything, just before the manifest.
    AfterLooking,
}

/// Which membership links a writer may restore.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RestorableLinks {
    /// The repository's own, from the graveyard.
    Own,
    /// Any link whose blob exists.
    AnyWithABlob,
}

/// How an item is restored from the graveyard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Restores {
    /// The entry stays.
    ByLink,
    /// The entry is removed.
    ByRename,
}

/// When a writer checks whether its intent is still active.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LooksAgain {
    /// Never.
    Never,
    /// After the manifest is visible.
    BeforeTheTag,
    /// After the manifest is visible, and again after the tag is.
    BeforeAndAfterTheTag,
}

/// When the graveyard is listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GraveyardListing {
    /// Before the mark begins.
    BeforeTheMark,
    /// After the mark ended.
    AfterTheMark,
}

/// In which order a repository is marked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MarkOrder {
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

/// What happens to a grave whose item a collection restored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry {
    /// It stays until nobody needs the item any more.
    Stays,
    /// The collection purges it once the item is restored.
    IsPurged,
}

/// How an item is condemned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condemns {
    /// By one move into the graveyard.
    ByMove,
    /// It is removed, and there is no graveyard.
    ByRemoval,
    /// It is copied into the graveyard, then removed, as on an object store without rename.
    ByCopyAndRemoval,
}

/// How a collection removes a tag that is attached to a deleted manifest, and the manifest it points to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttachedTags {
    /// The manifest is condemned first; then the tag is removed unless it was put again. A tag whose manifest is in the
    /// graveyard is a root.
    AfterTheManifest,
    /// The same, but the tag is removed even if it was pushed again.
    WithoutLooking,
    /// The same, but a tag is never a root while its manifest is in the graveyard.
    NeverRoots,
}

/// How the runs of collections are named in the graveyard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunNames {
    /// Each has a new name.
    Fresh,
    /// All have the same name.
    Reused,
}

/// What happens to intents. The protocol may not rely on time: any intent may expire at any moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expiry {
    /// They stay.
    Never,
    /// They are removed at once.
    AtOnce,
    /// They become roots under another name in the same directory, and are removed after twice `settle`.
    TwoStepsInOneDirectory,
    /// They are moved to a directory beside it, and are removed after twice `settle`. The two directories are listed
    /// one after the other.
    TwoStepsInTwoDirectories,
}

/// A sync before an answer, or before something that relies on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Synced {
    /// A blob's bytes before its name.
    Bytes,
    /// A blob's name before the upload is answered.
    Uploaded,
    /// What a writer restored, before its manifest.
    Restored,
    /// What a writer found: whoever wrote it may not have synced it yet.
    Found,
    /// The manifest's name.
    Manifest,
    /// The tag's name before the answer.
    Tag,
    /// What a collection restored, before it purges the entry.
    BroughtBack,
    /// What a collection moved into the graveyard.
    Condemned,
}

impl Protocol {
    /// The real protocol, which must never lose anything.
    pub const SOUND: Self = Self {
        declares: Declares::BeforeLooking,
        links: RestorableLinks::Own,
        restores: Restores::ByLink,
        looks_again: LooksAgain::BeforeAndAfterTheTag,
        withdraws: false,
        graveyard: GraveyardListing::BeforeTheMark,
        entry_waits: 1,
        marks: MarkOrder::IntentsFirst,
        condemned_manifests: CondemnedManifests::ListedAfterTheLive,
        entry: Entry::Stays,
        condemns: Condemns::ByMove,
        runs: RunNames::Fresh,
        attached_tags: AttachedTags::AfterTheManifest,
        expiry: Expiry::TwoStepsInTwoDirectories,
        without: &[],
        manifest_before_tag: true,
    };
}

/// What an item is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SceneItemKind {
    /// Bytes in the pool.
    Blob,
    /// A repository's right to serve this blob.
    Link(usize),
    /// A manifest of a repository.
    Manifest,
}

/// Something that can be condemned and restored.
#[derive(Clone, Copy, Debug)]
pub struct SceneItem {
    /// Shown in counterexamples.
    pub name: &'static str,
    /// What it is.
    pub kind: SceneItemKind,
    /// The items a manifest refers to; where links are modelled, its repository's links too.
    pub refers: NameSet,
    /// The repository of a manifest.
    pub repository: usize,
}

/// What one writer pushes, repeatedly.
#[derive(Clone, Copy, Debug)]
pub struct ScenePush {
    /// The manifest.
    pub manifest: usize,
    /// What its client uploads first if it is missing. Clients that know only the digest of an item upload nothing.
    pub uploads: NameSet,
    /// Whether the manifest is tagged.
    pub tags: bool,
}

/// The actors, the items and the bounds.
#[derive(Clone, Debug)]
pub struct Scene {
    /// The items.
    pub items: Vec<SceneItem>,
    /// One writer each.
    pub pushes: Vec<ScenePush>,
    /// Items that exist at the beginning, and that nothing refers to.
    pub present: NameSet,
    /// How many collections may run at the same time.
    pub collectors: usize,
    /// How many may run in total.
    pub runs: usize,
    /// Whether manifests that no tag, push or index needs are condemned too.
    pub policy: bool,
    /// Whether clients delete a manifest that tags are attached to, as a signature's is to its image.
    pub attached: bool,
    /// Whether clients delete what was acknowledged, and push it again.
    pub deletes: bool,
    /// Caches or crashes.
    pub recent: Uncertainty,
    /// How often the machine may crash.
    pub crashes: u8,
}
