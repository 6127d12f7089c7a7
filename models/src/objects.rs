//! The protocol on an object store without rename: one blob, whose bytes lie in generations.
//!
//! `blobs/<hex>/<ulid>` is a generation, `condemned/<hex>/<ulid>` the marker that condemns it. What
//! is present and not marked is usable. Names are never used again. Where only marked generations
//! are left the store copies one to a fresh generation. Reads and lists are consistent; nothing else
//! is asked of the store, no conditional writes.
//!
//! Intents go at any moment, and once: that this is safe where nothing is cached is shown by the
//! model of [`files`](crate::files).

use crate::step::{Step, Who};
use stateright::{Model, Property};

/// No acknowledged manifest is without a generation of its blob, marked or not.
pub const NOT_LOST: &str = crate::files::NOT_LOST;

/// The order in which a writer lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lists {
    /// What it takes for usable was not condemned yet when it looked.
    MarkersFirst,
    /// A generation may be seen, and then both it and its marker be gone.
    GenerationsFirst,
}

/// What of a condemned generation is removed first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purges {
    /// The bytes.
    BytesFirst,
    /// The marker: the generation looks usable for a moment.
    MarkerFirst,
}

/// The state machine.
#[derive(Clone, Copy, Debug)]
pub struct Objects {
    /// W2.
    pub lists: Lists,
    /// G4.
    pub purges: Purges,
    /// How many writers push, each a manifest of its own.
    pub writers: usize,
    /// How many collections may run at the same time.
    pub collectors: usize,
    /// How many may run in all.
    pub runs: usize,
    /// How many generations there may ever be; who needs one more waits for ever.
    pub generations: u32,
}

/// A set of generations.
type Set = u8;

/// Where everything stands.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    present: Set,
    marked: Set,
    /// How many generations there were so far.
    made: u32,
    runs: usize,
    writers: Vec<Writer>,
    collectors: Vec<Collector>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
struct Writer {
    at: At,
    intent: bool,
    manifest: bool,
    acknowledged: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
enum At {
    #[default]
    Idle,
    /// W2: lists the first of both.
    Looks,
    /// W2: lists the other.
    LooksOn(Set),
    /// W2: all it saw was marked; copies the newest.
    Copies(Set),
    Publishes,
    LooksAgain,
    Answers,
    Answered,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Collector {
    does: Does,
    run: usize,
    /// Marked when the run began, and not dealt with.
    entries: Set,
    needed: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Does {
    #[default]
    Rest,
    ListMarkers,
    ListIntents,
    ListManifests,
    /// G3 or G4, for the first of the entries.
    Tend,
    /// G4: the second half, for this one.
    Finish(Set),
    /// G3 and G5 begin alike: what is usable?
    LookForMarkers,
    LookForGenerations(Set),
    /// G3: copies one of these.
    Copy(Set),
    /// G5: marks the first of these.
    Mark(Set),
}

/// The lowest of a set.
fn first(set: Set) -> Set {
    set & set.wrapping_neg()
}

impl Objects {
    /// Puts the blob under a name that never was.
    fn put(&self, state: &mut State) {
        state.present |= 1 << state.made;
        state.made += 1;
    }

    fn has_room(&self, state: &State) -> bool {
        state.made < self.generations
    }

    fn write(&self, from: &State, w: usize, out: &mut Vec<Step<State>>) {
        let mut step = |does: &'static str, change: &dyn Fn(&mut State, &mut Writer)| {
            let mut next = from.clone();
            let mut writer = next.writers[w];
            change(&mut next, &mut writer);
            next.writers[w] = writer;
            out.push(Step { who: Who::Writer(w), does, what: None, next });
        };
        let writer = from.writers[w];
        if writer.intent {
            step("loses its intent", &|_, writer| writer.intent = false);
        }
        if !matches!(writer.at, At::Idle | At::Answered) {
            step("dies", &|_, writer| writer.at = At::Idle);
        }
        match writer.at {
            At::Idle => {
                if self.has_room(from) {
                    step("uploads the blob", &|next, _| self.put(next));
                }
                step("declares", &|_, writer| (writer.intent, writer.at) = (true, At::Looks));
            }
            At::Looks => match self.lists {
                Lists::MarkersFirst => step("lists markers", &|next, writer| writer.at = At::LooksOn(next.marked)),
                Lists::GenerationsFirst => {
                    step("lists generations", &|next, writer| writer.at = At::LooksOn(next.present));
                }
            },
            At::LooksOn(seen) => {
                let (present, marked, does) = match self.lists {
                    Lists::MarkersFirst => (from.present, seen, "lists generations"),
                    Lists::GenerationsFirst => (seen, from.marked, "lists markers"),
                };
                step(does, &|_, writer| {
                    writer.at = match (present & !marked != 0, present) {
                        (true, _) => At::Publishes,
                        (false, 0) => At::Idle,
                        (false, some) => At::Copies(some),
                    };
                    writer.intent &= writer.at != At::Idle;
                });
            }
            At::Copies(seen) if from.present & seen == 0 => step("finds nothing to copy", &|_, w| w.at = At::Looks),
            At::Copies(_) => {
                if self.has_room(from) {
                    step("copies a condemned generation", &|next, writer| {
                        self.put(next);
                        writer.at = At::Publishes;
                    });
                }
            }
            At::Publishes => step("publishes", &|_, writer| (writer.manifest, writer.at) = (true, At::LooksAgain)),
            At::LooksAgain => step("looks for its intent", &|_, writer| {
                writer.at = if writer.intent { At::Answers } else { At::Looks };
                writer.intent = true;
            }),
            At::Answers => step("answers 201", &|_, w| (w.acknowledged, w.at) = (true, At::Answered)),
            At::Answered => step("is asked to delete", &|_, writer| {
                *writer = Writer { intent: writer.intent, ..Writer::default() };
            }),
        }
    }

    fn collect(&self, from: &State, c: usize, out: &mut Vec<Step<State>>) {
        let collector = from.collectors[c];
        let run = if collector.does == Does::Rest { from.runs } else { collector.run };
        let mut step = |does: &'static str, change: &dyn Fn(&mut State, &mut Collector)| {
            let mut next = from.clone();
            let mut collector = next.collectors[c];
            change(&mut next, &mut collector);
            next.collectors[c] = collector;
            next.collectors.sort_unstable();
            out.push(Step { who: Who::Run(run), does, what: None, next });
        };
        if collector.does != Does::Rest {
            step("dies", &|_, collector| *collector = Collector::default());
        }
        let needs = |is_root: fn(&Writer) -> bool| from.writers.iter().any(is_root);
        match collector.does {
            Does::Rest if from.runs == self.runs => {}
            Does::Rest => step("begins", &|next, collector| {
                *collector = Collector { does: Does::ListMarkers, run, ..Collector::default() };
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
                collector.entries &= if collector.needed { 0 } else { Set::MAX };
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
                    step("finds nothing to copy", &|_, collector| *collector = Collector::default());
                } else if self.has_room(from) {
                    step("copies a condemned generation", &|next, collector| {
                        self.put(next);
                        *collector = Collector::default();
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

impl Collector {
    fn pass(&mut self, entry: Set) {
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

impl Model for Objects {
    type State = State;
    type Action = Step<State>;

    fn init_states(&self) -> Vec<State> {
        vec![State {
            present: 1,
            marked: 0,
            made: 1,
            runs: 0,
            writers: vec![Writer::default(); self.writers],
            collectors: vec![Collector::default(); self.collectors],
        }]
    }

    fn actions(&self, from: &State, out: &mut Vec<Step<State>>) {
        (0..self.writers).for_each(|w| self.write(from, w, out));
        for c in 0..self.collectors {
            if c == 0 || from.collectors[c] != from.collectors[c - 1] {
                self.collect(from, c, out);
            }
        }
    }

    fn next_state(&self, _: &State, step: Step<State>) -> Option<State> {
        Some(step.next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(NOT_LOST, |_, state: &State| {
                state.present != 0 || !state.writers.iter().any(|writer| writer.acknowledged)
            }),
            Property::sometimes(crate::files::SOME_ACKNOWLEDGED, |_, state: &State| {
                state.writers.iter().any(|writer| writer.acknowledged)
            }),
            Property::sometimes(crate::files::SOME_RESTORED, |_, state: &State| {
                state.made > 1 && state.marked != 0 && state.present & !state.marked != 0
            }),
            Property::sometimes(crate::files::SOME_PURGED, |_, state: &State| state.present & 1 == 0),
        ]
    }
}
