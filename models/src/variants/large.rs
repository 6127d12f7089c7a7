//! Sound variants within larger bounds.

use super::{
    ExpectedResult, ModelKind, Variant,
    catalog::{holds, sound},
};
use crate::{
    objects::{Lists, ObjectStoreModel, Purges},
    protocol::{Entry, Expiry, Protocol},
    scenes,
};

/// The same variants with larger bounds, for a machine with time and memory.
pub fn large() -> Vec<Variant> {
    let stay = sound(|p| p.expiry = Expiry::Never);
    let cached = sound(|p| (p.expiry, p.entry_waits) = (Expiry::TwoStepsInOneDirectory, 2));
    let objects = ObjectStoreModel {
        lists: Lists::MarkersFirst,
        purges: Purges::BytesFirst,
        writers: 1,
        collectors: 2,
        runs: 3,
        generations: 4,
    };
    vec![
        holds("base-3-runs", "2 writers, 2 collections at a time, 3 runs", scenes::blob(2, 2, 3), Protocol::SOUND),
        holds("base-4-runs", "1 writer, 2 collections at a time, 4 runs", scenes::blob(1, 2, 4), Protocol::SOUND),
        holds(
            "base-3-writers",
            "3 writers, 2 collections at a time, 3 runs, intents stay",
            scenes::blob(3, 2, 3),
            stay,
        ),
        holds("images-together", "2 images, 2 collections at a time, 2 runs", scenes::images(2, 2), Protocol::SOUND),
        holds("images-3-runs", "2 images, 2 collections at a time, 3 runs, intents stay", scenes::images(2, 3), stay),
        holds(
            "links-together",
            "2 repositories, 2 collections at a time, 2 runs",
            scenes::links(2, 2),
            Protocol::SOUND,
        ),
        holds("index-3-runs", "2 collections at a time, 3 runs", scenes::index(2, 3), Protocol::SOUND),
        holds(
            "index-entry-purged",
            "2 collections at a time, 4 runs, intents stay, G3 purges the entry once the item is restored",
            scenes::index(2, 4),
            Protocol { entry: Entry::IsPurged, ..stay },
        ),
        holds("index-3-together", "3 collections at a time, 4 runs, intents stay", scenes::index(3, 4), stay),
        holds(
            "crash-together",
            "2 writers, 2 collections at a time, 2 runs, 2 crashes",
            scenes::crash(2, 2, 2, 2),
            stay,
        ),
        holds("caches-3-runs", "1 writer, 3 runs, 4 changes unseen", scenes::caches(1, 2, 3, 4), cached),
        holds("caches-2-writers", "2 writers, 2 runs, 2 changes unseen", scenes::caches(2, 2, 2, 2), cached),
        Variant {
            name: "objects-3-runs",
            about: "1 writer, 2 collections at a time, 3 runs, 4 generations",
            expect: ExpectedResult::Holds,
            machine: ModelKind::Objects(objects),
        },
    ]
}
