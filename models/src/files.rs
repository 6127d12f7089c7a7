//! The protocol on a file system, as a state machine: writers, collections, the tidying of intents,
//! caches that settle and machines that crash.
//!
//! Everybody may pause between any two steps for as long as the others like, and die at any step.
//! A step is one system call: what one call reads or changes is seen or done at once.

use crate::{
    collector::{self, Collector, Read},
    names::{self, ACTIVE, EXPIRED, GRAVES, Names, TAGS, active, data, expired, graves_of, live, tag},
    protocol::{Expiry, Kind, Protocol, Scene},
    step::{Step, Who},
    store::{Recent, Store},
    writer::{self, Writer},
};
use stateright::{Model, Property};

/// No acknowledged manifest is lost: it and all it refers to can be read, from its place or from
/// the graveyard, unless somebody deleted it.
pub const NOT_LOST: &str = "no acknowledged manifest is lost";
/// A repository has no link that it never had: a client gets nothing by knowing a digest.
pub const NOT_LEAKED: &str = "no repository gets what it never had";
/// After any crash a tag leads to a manifest, and a manifest to what it refers to.
pub const NOT_DANGLING: &str = "no name points nowhere";

/// Something is acknowledged: the run was not in vain.
pub const SOME_ACKNOWLEDGED: &str = "a push is acknowledged";
/// Something lies in the graveyard and is in its place again.
pub const SOME_RESTORED: &str = "something comes back from the graveyard";
/// Something is gone.
pub const SOME_PURGED: &str = "something is removed for good";

/// The state machine.
#[derive(Clone, Debug)]
pub struct Files {
    pub(crate) scene: Scene,
    pub(crate) protocol: Protocol,
    /// What a collection reads, in order.
    pub(crate) reads: Vec<Read>,
}

/// Where everything stands.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    pub(crate) store: Store,
    pub(crate) writers: Vec<Writer>,
    /// In order: which of two equal ones does a thing makes no difference.
    pub(crate) collectors: Vec<Collector>,
    pub(crate) runs: usize,
    crashes: u8,
    /// Manifests somebody was told are there, and nobody deleted.
    pub(crate) acknowledged: Names,
    /// Tags that were put before the manifest was deleted to which they are attached.
    pub(crate) attached: Names,
    /// Of the tags that are attached to something, those whose push was answered.
    pub(crate) answered: Names,
    /// What was there at the beginning or was uploaded: the only links a repository may have.
    pub(crate) had: Names,
}

/// Takes the steps of one actor from one state.
pub(crate) struct Steps<'a> {
    pub(crate) model: &'a Files,
    pub(crate) from: &'a State,
    out: &'a mut Vec<Step<State>>,
}

impl Steps<'_> {
    /// A step about an item, or about nothing in particular.
    pub(crate) fn step(
        &mut self,
        who: Who,
        does: &'static str,
        item: Option<usize>,
        change: impl FnOnce(&mut State, &mut dyn FnMut(&mut Store, Names, Names)),
    ) {
        let recent = self.model.scene.recent;
        let mut next = self.from.clone();
        change(&mut next, &mut |store, added, removed| store.change(recent, added, removed));
        // As many changes as may be unseen are: first one of them has to settle.
        if let Recent::Unseen(most) = recent
            && next.store.recent() > most
        {
            return;
        }
        next.collectors.sort_unstable();
        let what = item.map(|item| self.model.scene.items[item].name);
        self.out.push(Step { who, does, what, next });
    }
}

impl Files {
    /// The protocol in a scene.
    pub fn new(scene: Scene, protocol: Protocol) -> Self {
        let reads = collector::reads(&scene, &protocol);
        Self { scene, protocol, reads }
    }

    /// Whether unsynced names are lost in this scene.
    pub(crate) fn crashes(&self) -> bool {
        self.scene.recent == Recent::Unsynced
    }

    /// Whether an item's kind is a manifest.
    pub(crate) fn is_manifest(&self, item: usize) -> bool {
        self.scene.items[item].kind == Kind::Manifest
    }

    /// Names that must settle twice before their wait is over.
    fn waited_for_twice(&self) -> Names {
        match self.protocol.entry_waits {
            2 => GRAVES | EXPIRED,
            _ => EXPIRED,
        }
    }

    fn can_read(&self, state: &State, item: usize) -> bool {
        let whole = !self.crashes() || state.store.names.meets(data(item));
        whole && state.store.names.meets(live(item) | graves_of(item))
    }

    /// Whether a manifest and all it leads to can be read.
    fn is_whole(&self, state: &State, item: usize) -> bool {
        self.can_read(state, item)
            && self.scene.items[item].refers.each().all(|name| self.is_whole(state, names::item_of(name)))
    }

    fn is_lost(&self, state: &State) -> bool {
        state.acknowledged.each().any(|name| {
            let item = names::item_of(name);
            let is_tagged = self.scene.pushes.iter().any(|push| push.manifest == item && push.tags);
            !self.is_whole(state, item) || (is_tagged && !state.store.names.meets(tag(item)))
        })
    }

    fn dangles(&self, state: &State) -> bool {
        let points_nowhere = |item: usize| {
            let names = state.store.names;
            // Where nothing crashes, the tag of a push that goes on is looked at by that push.
            let tags = if self.crashes() { names } else { names & state.answered };
            (tags.meets(tag(item)) && !self.can_read(state, item))
                || (self.crashes() && names.meets(live(item)) && !self.is_whole(state, item))
        };
        (self.crashes() || self.scene.attached)
            && (0..self.scene.items.len()).any(|item| self.is_manifest(item) && points_nowhere(item))
    }

    fn leaks(&self, state: &State) -> bool {
        let links = (0..self.scene.items.len()).filter(|item| matches!(self.scene.items[*item].kind, Kind::Link(_)));
        links.into_iter().any(|item| (state.store.names - state.had).meets(live(item)))
    }

    /// Intents expire, at any moment, and go when their wait is over.
    fn tidy(&self, steps: &mut Steps<'_>) {
        let store = &steps.from.store;
        let (names, settled) = (store.names, store.settled(self.scene.recent, EXPIRED));
        for (i, push) in self.scene.pushes.iter().enumerate() {
            let (intent, dead) = (active(i), expired(i));
            let item = Some(push.manifest);
            if names.meets(intent) {
                match self.protocol.expiry {
                    Expiry::Never => {}
                    Expiry::AtOnce => steps.step(Who::Tidying, "removes the intent of", item, |next, change| {
                        change(&mut next.store, Names::NONE, intent);
                    }),
                    Expiry::TwoStepsInOneDirectory | Expiry::TwoStepsInTwoDirectories => {
                        steps.step(Who::Tidying, "lets expire the intent of", item, |next, change| {
                            change(&mut next.store, dead, intent);
                        });
                    }
                }
            }
            if (names & settled).meets(dead) {
                steps.step(Who::Tidying, "forgets the expired intent of", item, |next, change| {
                    change(&mut next.store, Names::NONE, dead);
                });
            }
        }
    }

    /// A client deletes the manifest to which tags are attached: nothing is promised about these any more.
    fn delete_subject(&self, steps: &mut Steps<'_>) {
        let tags = steps.from.store.names & TAGS;
        if self.scene.attached && !(tags - steps.from.attached).is_empty() {
            steps.step(Who::World, "the image is deleted", None, |next, _| {
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
            Recent::Certain => {}
            Recent::Unseen(_) if from.store.recent() > 0 => {
                let twice = self.waited_for_twice();
                steps.step(Who::World, "the oldest change is seen by all", None, |next, _| next.store.settle(twice));
            }
            Recent::Unseen(_) => {}
            Recent::Unsynced if from.crashes > 0 => {
                for store in from.store.crash() {
                    steps.step(Who::World, "the machine crashes", None, |next, _| {
                        next.store = store;
                        next.writers.fill(Writer::default());
                        next.collectors.fill(Collector::default());
                        next.crashes -= 1;
                    });
                }
            }
            Recent::Unsynced => {}
        }
    }
}

impl Model for Files {
    type State = State;
    type Action = Step<State>;

    fn init_states(&self) -> Vec<State> {
        let scene = &self.scene;
        let bytes = scene.present.each().fold(Names::NONE, |all, name| all | data(names::item_of(name)));
        vec![State {
            store: Store::new(scene.present | bytes),
            writers: vec![Writer::default(); scene.pushes.len()],
            collectors: vec![Collector::default(); scene.collectors],
            runs: 0,
            crashes: scene.crashes,
            acknowledged: Names::NONE,
            attached: Names::NONE,
            answered: Names::NONE,
            had: scene.present,
        }]
    }

    fn actions(&self, from: &State, out: &mut Vec<Step<State>>) {
        let mut steps = Steps { model: self, from, out };
        for writer in 0..from.writers.len() {
            writer::steps(&mut steps, writer);
        }
        for collector in 0..from.collectors.len() {
            // Of two that rest it does not matter which begins.
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

    fn next_state(&self, _: &State, step: Step<State>) -> Option<State> {
        Some(step.next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(NOT_LOST, |model, state| !model.is_lost(state)),
            Property::always(NOT_LEAKED, |model, state| !model.leaks(state)),
            Property::always(NOT_DANGLING, |model, state| !model.dangles(state)),
            Property::sometimes(SOME_ACKNOWLEDGED, |_, state: &State| !state.acknowledged.is_empty()),
            Property::sometimes(SOME_RESTORED, |model: &Self, state: &State| {
                let names = state.store.names;
                (0..model.scene.items.len()).any(|item| names.meets(live(item)) && names.meets(graves_of(item)))
            }),
            Property::sometimes(SOME_PURGED, |_, state: &State| {
                let is_gone = |item: usize| !state.store.names.meets(live(item) | graves_of(item));
                state.had.each().any(|name| is_gone(names::item_of(name)))
            }),
        ]
    }
}
