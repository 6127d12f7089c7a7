//! The protocol on a file system, as a state machine: writers, collections, the tidying of intents,
//! caches that settle and machines that crash.
//!
//! Every actor may pause between any two steps for as long as the others like, and die at any step. A step is one
//! system call: everything that one call reads or changes happens at once.

use crate::{
    collector::{self, CollectionRead, CollectionRun},
    names::{self, ACTIVE, EXPIRED, GRAVES, NameSet, TAGS, active, data, expired, graves_of, live, tag},
    protocol::{Expiry, Protocol, Scene, SceneItemKind},
    step::{Actor, Step},
    store::{ModelStore, Uncertainty},
    writer::{self, PushingWriter},
};
use stateright::{Model, Property};

/// No acknowledged manifest is lost: the manifest and all it refers to can be read, live or from the graveyard, unless
/// somebody deleted it.
pub const NOT_LOST: &str = "no acknowledged manifest is lost";
/// No repository has a link that it never had: knowing a digest does not give a client access.
pub const NOT_LEAKED: &str = "no repository gets what it never had";
/// After any crash a tag leads to a manifest, and a manifest to what it refers to.
pub const NOT_DANGLING: &str = "no name dangles";

/// Something is acknowledged: the model does something.
pub const SOME_ACKNOWLEDGED: &str = "a push is acknowledged";
/// Something is in the graveyard and live again.
pub const SOME_RESTORED: &str = "something is restored from the graveyard";
/// Something is removed for good.
pub const SOME_PURGED: &str = "something is removed for good";

/// The state machine.
#[derive(Clone, Debug)]
pub struct FilesModel {
    pub(crate) scene: Scene,
    pub(crate) protocol: Protocol,
    /// Everything a collection reads, in order.
    pub(crate) reads: Vec<CollectionRead>,
}

/// The state of everything.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FilesState {
    pub(crate) store: ModelStore,
    pub(crate) writers: Vec<PushingWriter>,
    /// Sorted: it makes no difference which of two equal ones takes a step.
    pub(crate) collectors: Vec<CollectionRun>,
    pub(crate) runs: usize,
    crashes: u8,
    /// Manifests that were acknowledged and not deleted.
    pub(crate) acknowledged: NameSet,
    /// Tags that were put before the manifest they are attached to was deleted.
    pub(crate) attached: NameSet,
    /// Attached tags whose push was answered.
    pub(crate) answered: NameSet,
    /// What was there at the beginning or was uploaded: the only links that a repository may have.
    pub(crate) had: NameSet,
}

/// Collects the steps of one actor from one state.
pub(crate) struct Steps<'a> {
    pub(crate) model: &'a FilesModel,
    pub(crate) from: &'a FilesState,
    out: &'a mut Vec<Step<FilesState>>,
}

impl Steps<'_> {
    /// A step about an item, or about nothing in particular.
    pub(crate) fn step(
        &mut self,
        who: Actor,
        does: &'static str,
        item: Option<usize>,
        change: impl FnOnce(&mut FilesState, &mut dyn FnMut(&mut ModelStore, NameSet, NameSet)),
    ) {
        let recent = self.model.scene.recent;
        let mut next = self.from.clone();
        change(&mut next, &mut |store, added, removed| store.change(recent, added, removed));
        // The maximum number of changes is unseen: one of them has to settle first.
        if let Uncertainty::Unseen(most) = recent
            && next.store.recent() > most
        {
            return;
        }
        next.collectors.sort_unstable();
        let what = item.map(|item| self.model.scene.items[item].name);
        self.out.push(Step { who, does, what, next });
    }
}

impl FilesModel {
    /// The protocol in a scene.
    pub fn new(scene: Scene, protocol: Protocol) -> Self {
        let reads = collector::reads(&scene, &protocol);
        Self { scene, protocol, reads }
    }

    /// Whether a crash loses unsynced names in this scene.
    pub(crate) fn crashes(&self) -> bool {
        self.scene.recent == Uncertainty::Unsynced
    }

    /// Whether an item's kind is a manifest.
    pub(crate) fn is_manifest(&self, item: usize) -> bool {
        self.scene.items[item].kind == SceneItemKind::Manifest
    }

    /// Names that must settle twice before their wait is over.
    fn waited_for_twice(&self) -> NameSet {
        match self.protocol.entry_waits {
            2 => GRAVES | EXPIRED,
            _ => EXPIRED,
        }
    }

    fn can_read(&self, state: &FilesState, item: usize) -> bool {
        let whole = !self.crashes() || state.store.names.meets(data(item));
        whole && state.store.names.meets(live(item) | graves_of(item))
    }

    /// Whether a manifest and everything it leads to can be read.
    fn is_whole(&self, state: &FilesState, item: usize) -> bool {
        self.can_read(state, item)
            && self.scene.items[item].refers.each().all(|name| self.is_whole(state, names::item_of(name)))
    }

    fn is_lost(&self, state: &FilesState) -> bool {
        state.acknowledged.each().any(|name| {
            let item = names::item_of(name);
            let is_tagged = self.scene.pushes.iter().any(|push| push.manifest == item && push.tags);
            !self.is_whole(state, item) || (is_tagged && !state.store.names.meets(tag(item)))
        })
    }

    fn dangles(&self, state: &FilesState) -> bool {
        let points_nowhere = |item: usize| {
            let names = state.store.names;
            // Without crashes, the push itself checks the tag until it is answered.
            let tags = if self.crashes() { names } else { names & state.answered };
            (tags.meets(tag(item)) && !self.can_read(state, item))
                || (self.crashes() && names.meets(live(item)) && !self.is_whole(state, item))
        };
        (self.crashes() || self.scene.attached)
            && (0..self.scene.items.len()).any(|item| self.is_manifest(item) && points_nowhere(item))
    }

    fn leaks(&self, state: &FilesState) -> bool {
        let links =
            (0..self.scene.items.len()).filter(|item| matches!(self.scene.items[*item].kind, SceneItemKind::Link(_)));
        links.into_iter().any(|item| (state.store.names - state.had).meets(live(item)))
    }

    /// Intents expire at any moment, and are removed when their wait is over.
    fn tidy(&self, steps: &mut Steps<'_>) {
        let store = &steps.from.store;
        let (names, settled) = (store.names, store.settled(self.scene.recent, EXPIRED));
        for (i, push) in self.scene.pushes.iter().enumerate() {
            let (intent, dead) = (active(i), expired(i));
            let item = Some(push.manifest);
            if names.meets(intent) {
                match self.protocol.expiry {
                    Expiry::Never => {}
                    Expiry::AtOnce => steps.step(Actor::Tidying, "removes the intent of", item, |next, change| {
                        change(&mut next.store, NameSet::NONE, intent);
                    }),
                    Expiry::TwoStepsInOneDirectory | Expiry::TwoStepsInTwoDirectories => {
                        steps.step(Actor::Tidying, "expires the intent of", item, |next, change| {
                            change(&mut next.store, dead, intent);
                        });
                    }
                }
            }
            if (names & settled).meets(dead) {
                steps.step(Actor::Tidying, "forgets the expired intent of", item, |next, change| {
                    change(&mut next.store, NameSet::NONE, dead);
                });
            }
        }
    }

    /// A client deletes the manifest that tags are attached to: nothing is promised about these tags any more.
    fn delete_subject(&self, steps: &mut Steps<'_>) {
        let tags = steps.from.store.names & TAGS;
        if self.scene.attached && !(tags - steps.from.attached).is_empty() {
            steps.step(Actor::World, "the image is deleted", None, |next, _| {
                next.attached = tags;
                tags.each().for_each(|tag| next.acknowledged -= live(names::tagged_by(tag)));
                next.writers.iter_mut().for_each(|writer| writer.void |= writer.at.has_tagged());
            });
        }
    }

    /// Caches settle, and machines crash.
    fn world(&self, steps: &mut Steps<'_>) {
        let from = steps.from;
        match self.scene.recent {
            Uncertainty::Certain => {}
            Uncertainty::Unseen(_) if from.store.recent() > 0 => {
                let twice = self.waited_for_twice();
                steps.step(Actor::World, "the oldest change is seen by all", None, |next, _| next.store.settle(twice));
            }
            Uncertainty::Unseen(_) => {}
            Uncertainty::Unsynced if from.crashes > 0 => {
                for store in from.store.crash() {
                    steps.step(Actor::World, "the machine crashes", None, |next, _| {
                        next.store = store;
                        next.writers.fill(PushingWriter::default());
                        next.collectors.fill(CollectionRun::default());
                        next.crashes -= 1;
                    });
                }
            }
            Uncertainty::Unsynced => {}
        }
    }
}

impl Model for FilesModel {
    type State = FilesState;
    type Action = Step<FilesState>;

    fn init_states(&self) -> Vec<FilesState> {
        let scene = &self.scene;
        let bytes = scene.present.each().fold(NameSet::NONE, |all, name| all | data(names::item_of(name)));
        vec![FilesState {
            store: ModelStore::new(scene.present | bytes),
            writers: vec![PushingWriter::default(); scene.pushes.len()],
            collectors: vec![CollectionRun::default(); scene.collectors],
            runs: 0,
            crashes: scene.crashes,
            acknowledged: NameSet::NONE,
            attached: NameSet::NONE,
            answered: NameSet::NONE,
            had: scene.present,
        }]
    }

    fn actions(&self, from: &FilesState, out: &mut Vec<Step<FilesState>>) {
        let mut steps = Steps { model: self, from, out };
        for writer in 0..from.writers.len() {
            writer::steps(&mut steps, writer);
        }
        for collector in 0..from.collectors.len() {
            // Of two idle ones it makes no difference which begins.
            if collector == 0 || from.collectors[collector] != from.collectors[collector - 1] {
                collector::steps(&mut steps, collector);
            }
        }
        if from.store.names.meets(ACTIVE | EXPIRED) {
            self.tidy(&mut steps);
        }
        self.delete_subject(&mut steps);
        self.world(&mut steps);
    }

    fn next_state(&self, _: &FilesState, step: Step<FilesState>) -> Option<FilesState> {
        Some(step.next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(NOT_LOST, |model, state| !model.is_lost(state)),
            Property::always(NOT_LEAKED, |model, state| !model.leaks(state)),
            Property::always(NOT_DANGLING, |model, state| !model.dangles(state)),
            Property::sometimes(SOME_ACKNOWLEDGED, |_, state: &FilesState| !state.acknowledged.is_empty()),
            Property::sometimes(SOME_RESTORED, |model: &Self, state: &FilesState| {
                let names = state.store.names;
                (0..model.scene.items.len()).any(|item| names.meets(live(item)) && names.meets(graves_of(item)))
            }),
            Property::sometimes(SOME_PURGED, |_, state: &FilesState| {
                let is_gone = |item: usize| !state.store.names.meets(live(item) | graves_of(item));
                state.had.each().any(|name| is_gone(names::item_of(name)))
            }),
        ]
    }
}
