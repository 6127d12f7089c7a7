//! The protocol on an object store without rename: one blob, whose bytes lie in generations.
//!
//! `blobs/<hex>/<ulid>` is a generation, `condemned/<hex>/<ulid>` the marker that condemns it. A generation without a
//! marker is usable. Names are never reused. If only marked generations are left, the store copies one to a new
//! generation. Reads and lists are consistent; nothing else is required of the store, no conditional writes.
//!
//! Intents expire at any moment, in one step: the model of [`files`](crate::files) shows that this is safe where
//! nothing is cached.

use crate::step::{Actor, Step};
use stateright::{Model, Property};

/// Every acknowledged manifest has a generation of its blob, marked or not.
pub const NOT_LOST: &str = crate::files::NOT_LOST;

/// The order in which a writer lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lists {
    /// A generation that seems usable was not condemned yet when the markers were listed.
    MarkersFirst,
    /// A generation may be seen, and then be purged together with its marker.
    GenerationsFirst,
}

/// Which part of a condemned generation is removed first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purges {
    /// The bytes.
    BytesFirst,
    /// The marker: the generation looks usable for a moment.
    MarkerFirst,
}

/// The state machine.
#[derive(Clone, Copy, Debug)]
pub struct ObjectStoreModel {
    /// W2.
    pub lists: Lists,
    /// G4.
    pub purges: Purges,
    /// How many writers push a manifest of their own.
    pub writers: usize,
    /// How many collections may run at the same time.
    pub collectors: usize,
    /// How many may run in total.
    pub runs: usize,
    /// How many generations there may ever be; a writer that needs one more waits for ever.
    pub generations: u32,
}

/// A set of generations.
type GenerationSet = u8;

/// The state of everything.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ObjectsState {
    present: GenerationSet,
    marked: GenerationSet,
    /// How many generations were made so far.
    made: u32,
    runs: usize,
    writers: Vec<ObjectWriter>,
    collectors: Vec<ObjectCollector>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
struct ObjectWriter {
    at: ObjectPosition,
    intent: bool,
    manifest: bool,
    acknowledged: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
enum ObjectPosition {
    #[default]
    Idle,
    /// W2: lists markers or generations.
    Looks,
    /// W2: lists the other of the two.
    LooksOn(GenerationSet),
    /// W2: everything it saw was marked; copies the newest.
    Copies(GenerationSet),
    Publishes,
    LooksAgain,
    Answers,
    Answered,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct ObjectCollector {
    does: Does,
    run: usize,
    /// Generations that were marked when the run began, and not processed yet.
    entries: GenerationSet,
    needed: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Does {
    #[default]
    Rest,
    ListMarkers,
    ListIntents,
    ListManifests,
    /// G3 or G4, for the first entry.
    Tend,
    /// G4: the second half, for this one.
    Finish(GenerationSet),
    /// G3 and G5 begin by listing what is usable.
    LookForMarkers,
    LookForGenerations(GenerationSet),
    /// G3: copies one of these.
    Copy(GenerationSet),
    /// G5: marks the first of these.
    Mark(GenerationSet),
}

/// The lowest of a set, as a set of its own.
fn first(set: GenerationSet) -> GenerationSet {
    set & set.wrapping_neg()
}

impl ObjectStoreModel {
    /// Puts the blob under a new name.
    fn put(&self, state: &mut ObjectsState) {
        state.present |= 1 << state.made;
        state.made += 1;
    }

    fn has_room(&self, state: &ObjectsState) -> bool {
        state.made < self.generations
    }

    fn write(&self, from: &ObjectsState, w: usize, out: &mut Vec<Step<ObjectsState>>) {
        let mut step = |does: &'static str, change: &dyn Fn(&mut ObjectsState, &mut ObjectWriter)| {
            let mut next = from.clone();
            let mut writer = next.writers[w];
            change(&mut next, &mut writer);
            next.writers[w] = writer;
            out.push(Step { who: Actor::Writer(w), does, what: None, next });
        };
        let writer = from.writers[w];
        if writer.intent {
            step("loses its intent", &|_, writer| writer.intent = false);
        }
        if !matches!(writer.at, ObjectPosition::Idle | ObjectPosition::Answered) {
            step("dies", &|_, writer| writer.at = ObjectPosition::Idle);
        }
        match writer.at {
            ObjectPosition::Idle => {
                if self.has_room(from) {
                    step("uploads the blob", &|next, _| self.put(next));
                }
                step("declares", &|_, writer| (writer.intent, writer.at) = (true, ObjectPosition::Looks));
            }
            ObjectPosition::Looks => match self.lists {
                Lists::MarkersFirst => {
                    step("lists markers", &|next, writer| writer.at = ObjectPosition::LooksOn(next.marked))
                }
                Lists::GenerationsFirst => {
                    step("lists generations", &|next, writer| writer.at = ObjectPosition::LooksOn(next.present));
                }
            },
            ObjectPosition::LooksOn(seen) => {
                let (present, marked, does) = match self.lists {
                    Lists::MarkersFirst => (from.present, seen, "lists generations"),
                    Lists::GenerationsFirst => (seen, from.marked, "lists markers"),
                };
                step(does, &|_, writer| {
                    writer.at = match (present & !marked != 0, present) {
                        (true, _) => ObjectPosition::Publishes,
                        (false, 0) => ObjectPosition::Idle,
                        (false, some) => ObjectPosition::Copies(some),
                    };
                    writer.intent &= writer.at != ObjectPosition::Idle;
                });
            }
            ObjectPosition::Copies(seen) if from.present & seen == 0 => {
                step("finds nothing to copy", &|_, w| w.at = ObjectPosition::Looks)
            }
            ObjectPosition::Copies(_) => {
                if self.has_room(from) {
                    step("copies a condemned generation", &|next, writer| {
                        self.put(next);
                        writer.at = ObjectPosition::Publishes;
                    });
                }
            }
            ObjectPosition::Publishes => {
                step("publishes", &|_, writer| (writer.manifest, writer.at) = (true, ObjectPosition::LooksAgain))
            }
            ObjectPosition::LooksAgain => step("looks for its intent", &|_, writer| {
                writer.at = if writer.intent { ObjectPosition::Answers } else { ObjectPosition::Looks };
                writer.intent = true;
            }),
            ObjectPosition::Answers => {
                step("answers 201", &|_, w| (w.acknowledged, w.at) = (true, ObjectPosition::Answered))
            }
            ObjectPosition::Answered => step("is asked to delete", &|_, writer| {
                *writer = ObjectWriter { intent: writer.intent, ..ObjectWriter::default() };
            }),
        }
    }

    fn collect(&self, from: &ObjectsState, c: usize, out: &mut Vec<Step<ObjectsState>>) {
        let collector = from.collectors[c];
        let run = if collector.does == Does::Rest { from.runs } else { collector.run };
        let mut step = |does: &'static str, change: &dyn Fn(&mut ObjectsState, &mut ObjectCollector)| {
            let mut next = from.clone();
            let mut collector = next.collectors[c];
            change(&mut next, &mut collector);
            next.collectors[c] = collector;
            next.collectors.sort_unstable();
            out.push(Step { who: Actor::Run(run), does, what: None, next });
        };
        if collector.does != Does::Rest {
            step("dies", &|_, collector| *collector = ObjectCollector::default());
        }
        let needs = |is_root: fn(&ObjectWriter) -> bool| from.writers.iter().any(is_root);
        match collector.does {
            Does::Rest if from.runs == self.runs => {}
            Does::Rest => step("begins", &|next, collector| {
                *collector = ObjectCollector { does: Does::ListMarkers, run, ..ObjectCollector::default() };
                next.runs += 1;
            }),
            Does::ListMarkers => step("lists markers", &|next, collector| {
                (collector.entries, collector.does) = (next.marked, Does::ListIntents);
            }),
            Does::ListIntents => step("lists intents", &|_, collector| {
                (collector.needed, collector.does) = (needs(|writer| writer.intent), Does::ListManifests);
            }),
            Does::ListManifests => step("lists manifests", &|_, collector| {
                collector.needed |= needs(|writer| writer.manifest);
                collector.does = match (collector.entries, collector.needed) {
                    (_, true) | (0, false) => Does::LookForMarkers,
                    _ => Does::Tend,
                };
                collector.entries &= if collector.needed { 0 } else { GenerationSet::MAX };
            }),
            Does::Tend => {
                let entry = first(collector.entries);
                step("passes over a generation", &|_, collector| collector.pass(entry));
                match self.purges {
                    Purges::BytesFirst => step("removes a condemned generation", &|next, collector| {
                        next.present &= !entry;
                        collector.does = Does::Finish(entry);
                    }),
                    Purges::MarkerFirst => step("removes a marker", &|next, collector| {
                        next.marked &= !entry;
                        collector.does = Does::Finish(entry);
                    }),
                }
            }
            Does::Finish(entry) => match self.purges {
                Purges::BytesFirst => step("removes its marker", &|next, collector| {
                    next.marked &= !entry;
                    collector.pass(entry);
                }),
                Purges::MarkerFirst => step("removes its generation", &|next, collector| {
                    next.present &= !entry;
                    collector.pass(entry);
                }),
            },
            Does::LookForMarkers => step("lists markers again", &|next, collector| {
                collector.does = Does::LookForGenerations(next.marked);
            }),
            Does::LookForGenerations(marked) => step("lists generations", &|next, collector| {
                let usable = next.present & !marked;
                collector.does = match (collector.needed, usable) {
                    (true, 0) if next.present != 0 => Does::Copy(next.present),
                    (true, _) | (false, 0) => Does::Rest,
                    (false, usable) => Does::Mark(usable),
                };
                collector.rest();
            }),
            Does::Copy(seen) => {
                if from.present & seen == 0 {
                    step("finds nothing to copy", &|_, collector| *collector = ObjectCollector::default());
                } else if self.has_room(from) {
                    step("copies a condemned generation", &|next, collector| {
                        self.put(next);
                        *collector = ObjectCollector::default();
                    });
                }
            }
            Does::Mark(usable) => step("condemns a generation", &|next, collector| {
                let one = first(usable);
                next.marked |= one;
                collector.does = if usable == one { Does::Rest } else { Does::Mark(usable & !one) };
                collector.rest();
            }),
        }
    }
}

impl ObjectCollector {
    fn pass(&mut self, entry: GenerationSet) {
        self.entries &= !entry;
        self.does = if self.entries == 0 { Does::LookForMarkers } else { Does::Tend };
    }

    /// A run that ended leaves nothing behind.
    fn rest(&mut self) {
        if self.does == Does::Rest {
            *self = Self::default();
        }
    }
}

impl Model for ObjectStoreModel {
    type State = ObjectsState;
    type Action = Step<ObjectsState>;

    fn init_states(&self) -> Vec<ObjectsState> {
        vec![ObjectsState {
            present: 1,
            marked: 0,
            made: 1,
            runs: 0,
            writers: vec![ObjectWriter::default(); self.writers],
            collectors: vec![ObjectCollector::default(); self.collectors],
        }]
    }

    fn actions(&self, from: &ObjectsState, out: &mut Vec<Step<ObjectsState>>) {
        (0..self.writers).for_each(|w| self.write(from, w, out));
        for c in 0..self.collectors {
            if c == 0 || from.collectors[c] != from.collectors[c - 1] {
                self.collect(from, c, out);
            }
        }
    }

    fn next_state(&self, _: &ObjectsState, step: Step<ObjectsState>) -> Option<ObjectsState> {
        Some(step.next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(NOT_LOST, |_, state: &ObjectsState| {
                state.present != 0 || !state.writers.iter().any(|writer| writer.acknowledged)
            }),
            Property::sometimes(crate::files::SOME_ACKNOWLEDGED, |_, state: &ObjectsState| {
                state.writers.iter().any(|writer| writer.acknowledged)
            }),
            Property::sometimes(crate::files::SOME_RESTORED, |_, state: &ObjectsState| {
                state.made > 1 && state.marked != 0 && state.present & !state.marked != 0
            }),
            Property::sometimes(crate::files::SOME_PURGED, |_, state: &ObjectsState| state.present & 1 == 0),
        ]
    }
}
