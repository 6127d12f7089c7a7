//! Every variant that is explored, with the expected result.

use super::{ExpectedResult, ModelKind, Variant};
use crate::{
    files::{NOT_DANGLING, NOT_LEAKED, NOT_LOST},
    objects::{Lists, ObjectStoreModel, Purges},
    protocol::{
        AttachedTags, CondemnedManifests, Condemns, Declares, Entry, Expiry, GraveyardListing, LooksAgain, MarkOrder,
        Protocol, RestorableLinks, Restores, RunNames, Scene, Synced,
    },
    scenes,
};

pub(super) fn sound(change: impl FnOnce(&mut Protocol)) -> Protocol {
    let mut protocol = Protocol::SOUND;
    change(&mut protocol);
    protocol
}

pub(super) fn holds(name: &'static str, about: &'static str, scene: Scene, protocol: Protocol) -> Variant {
    Variant { name, about, expect: ExpectedResult::Holds, machine: ModelKind::Files(scene, protocol) }
}

fn loses(name: &'static str, about: &'static str, scene: Scene, protocol: Protocol) -> Variant {
    Variant { expect: ExpectedResult::Fails(NOT_LOST), ..holds(name, about, scene, protocol) }
}

/// The variants of the tests.
pub fn all() -> Vec<Variant> {
    [blobs(), images(), links(), index(), attached(), crash(), caches(), objects()].concat()
}

fn blobs() -> Vec<Variant> {
    let scene = || scenes::blob(1, 2, 3);
    vec![
        holds("base", "2 writers, 2 collections at a time, 2 runs", scenes::blob(2, 2, 2), Protocol::SOUND),
        holds(
            "three-runs",
            "1 writer, 2 collections at a time, 3 runs; the same in all below",
            scene(),
            Protocol::SOUND,
        ),
        loses(
            "verify-then-publish",
            "W1 after W2: the intent is published after all checks",
            scene(),
            sound(|p| p.declares = Declares::AfterLooking),
        ),
        loses(
            "manifests-before-intents",
            "G2 lists manifests first, intents second",
            scene(),
            sound(|p| p.marks = MarkOrder::ManifestsFirst),
        ),
        loses("graveyard-after-mark", "G1 after G2", scene(), sound(|p| p.graveyard = GraveyardListing::AfterTheMark)),
        loses("no-graveyard", "G5 removes instead of moving", scene(), sound(|p| p.condemns = Condemns::ByRemoval)),
        loses(
            "grave-name-reused",
            "all runs have the same name in the graveyard",
            scene(),
            sound(|p| p.runs = RunNames::Reused),
        ),
        loses(
            "copy-then-delete",
            "G5 copies to the graveyard, then removes (object store, option C)",
            scene(),
            sound(|p| p.condemns = Condemns::ByCopyAndRemoval),
        ),
        loses(
            "no-second-look",
            "no W4: intents expire while their writer is paused",
            scene(),
            sound(|p| p.looks_again = LooksAgain::Never),
        ),
        holds(
            "no-expiry",
            "intents never expire, and no W4",
            scene(),
            sound(|p| (p.expiry, p.looks_again) = (Expiry::Never, LooksAgain::Never)),
        ),
        holds(
            "expiry-at-once",
            "expired intents are removed at once, with W4",
            scene(),
            sound(|p| p.expiry = Expiry::AtOnce),
        ),
        holds(
            "withdrawn",
            "a writer removes its intent right after its answer",
            scene(),
            sound(|p| p.withdraws = true),
        ),
        holds(
            "restore-by-rename",
            "W2 and G3 rename back instead of linking",
            scene(),
            sound(|p| p.restores = Restores::ByRename),
        ),
        holds(
            "entry-purged",
            "G3 purges the entry once the item is restored",
            scene(),
            sound(|p| p.entry = Entry::IsPurged),
        ),
    ]
}

fn images() -> Vec<Variant> {
    vec![
        holds("image", "1 image of 2 blobs, 2 collections at a time, 2 runs", scenes::image(2, 2), Protocol::SOUND),
        holds(
            "images",
            "2 images that share a blob, 1 collection at a time, 2 runs",
            scenes::images(1, 2),
            Protocol::SOUND,
        ),
        holds(
            "images-without-expiry",
            "2 images, 2 collections at a time, 2 runs, intents stay",
            scenes::images(2, 2),
            sound(|p| p.expiry = Expiry::Never),
        ),
        loses(
            "images-verify-then-publish",
            "2 images, W1 after W2",
            scenes::images(2, 2),
            sound(|p| p.declares = Declares::AfterLooking),
        ),
    ]
}

fn links() -> Vec<Variant> {
    let two = "2 repositories, 1 collection at a time, 2 runs";
    let leaks = loses(
        "link-never-had",
        "W2 restores a link that the repository never had, because the blob exists",
        scenes::links(1, 2),
        sound(|p| p.links = RestorableLinks::AnyWithABlob),
    );
    vec![
        holds("links", two, scenes::links(1, 2), Protocol::SOUND),
        holds(
            "links-without-expiry",
            "2 repositories, 2 collections at a time, 2 runs, intents stay",
            scenes::links(2, 2),
            sound(|p| p.expiry = Expiry::Never),
        ),
        loses(
            "links-verify-then-publish",
            "2 repositories, W1 after W2",
            scenes::links(2, 2),
            sound(|p| p.declares = Declares::AfterLooking),
        ),
        Variant { expect: ExpectedResult::Fails(NOT_LEAKED), ..leaks },
    ]
}

fn index() -> Vec<Variant> {
    let alone = || scenes::index(1, 3);
    let together = || scenes::index(2, 4);
    // Intents that stay keep what they name: the model is small enough only if they do not expire.
    let stay = |change: fn(&mut Protocol)| {
        sound(|p| {
            p.expiry = Expiry::Never;
            change(p);
        })
    };
    use CondemnedManifests::{ListedAfterTheLive, ListedBeforeTheLive, NotCounted};
    vec![
        holds("index", "untagged manifests are condemned; 1 collection at a time, 3 runs", alone(), Protocol::SOUND),
        holds("index-together", "2 collections at a time, 4 runs, intents stay", together(), stay(|_| {})),
        holds(
            "index-graves-first",
            "manifests in the graveyard are listed before the live ones, G3 purges; 1 collection at a time",
            alone(),
            sound(|p| (p.condemned_manifests, p.entry) = (ListedBeforeTheLive, Entry::IsPurged)),
        ),
        holds(
            "index-graves-first-renamed",
            "the same, restored by rename",
            alone(),
            sound(|p| (p.condemned_manifests, p.restores) = (ListedBeforeTheLive, Restores::ByRename)),
        ),
        loses(
            "index-graves-not-counted",
            "manifests in the graveyard keep nothing",
            alone(),
            sound(|p| p.condemned_manifests = NotCounted),
        ),
        loses(
            "index-live-first-renamed",
            "live ones first, restored by rename",
            alone(),
            sound(|p| (p.condemned_manifests, p.restores) = (ListedAfterTheLive, Restores::ByRename)),
        ),
        loses(
            "index-graves-first-renamed-together",
            "graveyard first, restored by rename, 2 collections at a time",
            together(),
            stay(|p| (p.condemned_manifests, p.restores) = (ListedBeforeTheLive, Restores::ByRename)),
        ),
        loses(
            "index-graves-first-together",
            "graveyard first, restored by link, 2 collections at a time",
            together(),
            stay(|p| (p.condemned_manifests, p.entry) = (ListedBeforeTheLive, Entry::IsPurged)),
        ),
        loses(
            "index-no-look-after-tag",
            "W4 only before the tag, although tags are roots",
            alone(),
            sound(|p| p.looks_again = LooksAgain::BeforeTheTag),
        ),
    ]
}

fn attached() -> Vec<Variant> {
    let alone = || scenes::attached(1, 3);
    let dangles = loses(
        "attached-never-roots",
        "a tag is not a root even if its manifest is in the graveyard",
        alone(),
        sound(|p| p.attached_tags = AttachedTags::NeverRoots),
    );
    vec![
        holds("attached", "1 collection at a time, 3 runs", alone(), Protocol::SOUND),
        loses(
            "attached-without-looking",
            "the tag is removed even if it was pushed again",
            alone(),
            sound(|p| p.attached_tags = AttachedTags::WithoutLooking),
        ),
        Variant { expect: ExpectedResult::Fails(NOT_DANGLING), ..dangles },
    ]
}

fn crash() -> Vec<Variant> {
    // A dead machine's intents do no harm; here they stay.
    let mutant = |change: fn(&mut Protocol)| {
        sound(|p| {
            (p.expiry, p.entry) = (Expiry::Never, Entry::IsPurged);
            change(p);
        })
    };
    let scene = || scenes::crash(2, 1, 2, 1);
    let alone = || scenes::crash(1, 1, 3, 1);
    let dangles = |name, about, change| Variant {
        expect: ExpectedResult::Fails(NOT_DANGLING),
        ..loses(name, about, scene(), mutant(change))
    };
    vec![
        holds(
            "crash",
            "2 writers, 1 collection at a time, 2 runs, 1 crash; the same below unless stated",
            scene(),
            mutant(|_| {}),
        ),
        dangles("tag-before-manifest-durable", "the manifest's directory is synced after the tag", |p| {
            p.manifest_before_tag = false
        }),
        dangles("manifest-before-blobs-durable", "no blob's directory is synced before the manifest", |p| {
            p.without = &[Synced::Uploaded, Synced::Found, Synced::Restored]
        }),
        loses(
            "bytes-not-synced",
            "a blob's name is durable, but not its bytes",
            scene(),
            mutant(|p| p.without = &[Synced::Bytes]),
        ),
        loses(
            "found-not-synced",
            "an existing blob is not synced before the ack",
            scene(),
            mutant(|p| p.without = &[Synced::Found]),
        ),
        loses(
            "restored-not-synced",
            "what W2 restored is not synced before the ack",
            scene(),
            mutant(|p| p.without = &[Synced::Restored]),
        ),
        loses(
            "manifest-not-synced",
            "the manifest is not synced before the ack",
            scene(),
            mutant(|p| p.without = &[Synced::Manifest]),
        ),
        loses(
            "tag-not-synced",
            "the tag is not synced before the ack",
            scene(),
            mutant(|p| p.without = &[Synced::Tag]),
        ),
        loses(
            "purged-before-synced",
            "G3 purges the entry before the restored item is synced",
            scene(),
            mutant(|p| p.without = &[Synced::BroughtBack]),
        ),
        holds(
            "upload-not-synced",
            "an upload's directory is not synced; W2 does; 1 writer, 3 runs",
            alone(),
            mutant(|p| p.without = &[Synced::Uploaded]),
        ),
        holds(
            "move-not-synced",
            "G5 does not sync its moves; 1 writer, 3 runs",
            alone(),
            mutant(|p| p.without = &[Synced::Condemned]),
        ),
        holds(
            "crash-renamed",
            "restored by rename; 1 writer, 3 runs",
            alone(),
            mutant(|p| p.restores = Restores::ByRename),
        ),
    ]
}

fn caches() -> Vec<Variant> {
    let scene = || scenes::caches(1, 2, 2, 3);
    let mutant = |change: fn(&mut Protocol)| {
        sound(|p| {
            (p.expiry, p.entry_waits) = (Expiry::TwoStepsInOneDirectory, 2);
            change(p);
        })
    };
    vec![
        holds(
            "caches",
            "1 writer, 2 collections at a time, 2 runs, 3 changes unseen; the same in all below",
            scene(),
            mutant(|_| {}),
        ),
        loses(
            "caches-expiry-at-once",
            "expired intents are removed at once",
            scene(),
            mutant(|p| p.expiry = Expiry::AtOnce),
        ),
        loses(
            "caches-withdrawn",
            "a writer removes its intent right after its answer",
            scene(),
            mutant(|p| p.withdraws = true),
        ),
        loses("caches-no-second-look", "two steps, no W4", scene(), mutant(|p| p.looks_again = LooksAgain::Never)),
        loses(
            "caches-two-directories",
            "expired intents move to another directory, which is cached by itself",
            scene(),
            mutant(|p| p.expiry = Expiry::TwoStepsInTwoDirectories),
        ),
        loses(
            "caches-wait-once",
            "entries are listed after one `settle`, not two",
            scene(),
            mutant(|p| p.entry_waits = 1),
        ),
    ]
}

fn objects() -> Vec<Variant> {
    let machine = |lists, purges| {
        ModelKind::Objects(ObjectStoreModel { lists, purges, writers: 1, collectors: 2, runs: 2, generations: 4 })
    };
    let holds = |name, about, machine| Variant { name, about, expect: ExpectedResult::Holds, machine };
    let loses =
        |name, about, machine| Variant { expect: ExpectedResult::Fails(NOT_LOST), ..holds(name, about, machine) };
    vec![
        holds(
            "objects",
            "generations and markers: 1 writer, 2 collections at a time, 2 runs, 4 generations",
            machine(Lists::MarkersFirst, Purges::BytesFirst),
        ),
        loses(
            "objects-generations-first",
            "W2 lists generations first, markers are removed",
            machine(Lists::GenerationsFirst, Purges::BytesFirst),
        ),
        loses(
            "objects-marker-removed-first",
            "a marker is removed before its generation",
            machine(Lists::MarkersFirst, Purges::MarkerFirst),
        ),
    ]
}
