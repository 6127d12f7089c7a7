//! A collection: lists the graveyard, marks, restores and purges, condemns (G1 to G5).

use crate::{
    files::{Files, State, Steps},
    names::{ACTIVE, GRAVES, Names, TAGS, active, expired, grave, item_of, live, tagged_by, writer_of},
    protocol::{
        AttachedTags, CondemnedManifests, Condemns, Entry, Expiry, Graveyard, Kind, Marks, Protocol, Restores, Runs,
        Scene, Synced,
    },
    step::Who,
};

/// One directory a collection reads, or several that nothing tells apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Read {
    /// Which entries may be purged later.
    Graveyard,
    /// What these intents name.
    Intents(Names),
    /// What these tags name.
    Tags(Names),
    /// These manifests, and what they refer to.
    Manifests(Names),
    /// The manifests in the graveyard, and what they refer to.
    CondemnedManifests,
}

/// What a collection of this protocol reads in this scene, in order.
pub(crate) fn reads(scene: &Scene, protocol: &Protocol) -> Vec<Read> {
    let mut reads = Vec::new();
    let order = protocol.condemned_manifests;
    if protocol.graveyard == Graveyard::BeforeTheMark {
        reads.push(Read::Graveyard);
    }
    if scene.policy
        && matches!(order, CondemnedManifests::ListedBeforeTheLive | CondemnedManifests::ListedBeforeAndAfter)
    {
        reads.push(Read::CondemnedManifests);
    }
    let repositories = scene.items.iter().map(|item| item.repository).max().unwrap_or(0);
    for repository in 0..=repositories {
        let of_it =
            |item: usize| scene.items[item].repository == repository && scene.items[item].kind == Kind::Manifest;
        let pushes = scene.pushes.iter().enumerate().filter(|(_, push)| of_it(push.manifest));
        let mut intents = (Names::NONE, Names::NONE);
        pushes.for_each(|(i, _)| intents = (intents.0 | active(i), intents.1 | expired(i)));
        let intents = match protocol.expiry {
            Expiry::Never | Expiry::AtOnce => vec![Read::Intents(intents.0)],
            Expiry::TwoStepsInOneDirectory => vec![Read::Intents(intents.0 | intents.1)],
            // What moves meanwhile is found in the second.
            Expiry::TwoStepsInTwoDirectories => vec![Read::Intents(intents.0), Read::Intents(intents.1)],
        };
        let manifests: Vec<usize> = (0..scene.items.len()).filter(|item| of_it(*item)).collect();
        let mut roots = Vec::new();
        if scene.policy {
            roots.push(Read::Tags(TAGS));
        }
        roots.push(Read::Manifests(Names::of(&manifests)));
        match protocol.marks {
            Marks::IntentsFirst => reads.extend(intents.into_iter().chain(roots)),
            Marks::ManifestsFirst => reads.extend(roots.into_iter().chain(intents)),
        }
    }
    if scene.policy
        && matches!(order, CondemnedManifests::ListedAfterTheLive | CondemnedManifests::ListedBeforeAndAfter)
    {
        reads.push(Read::CondemnedManifests);
    }
    if protocol.graveyard == Graveyard::AfterTheMark {
        reads.push(Read::Graveyard);
    }
    reads
}

/// Where a run stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum At {
    /// There is none.
    #[default]
    Resting,
    /// G1 and G2: this read comes next.
    Reading(usize),
    /// G3 and G4.
    Tending,
    /// G3: syncs what it brought back from this entry.
    Syncing(Names),
    /// G3: purges the entry it brought something back from.
    Dropping(Names),
    /// G5.
    Condemning,
    /// G5: removes tags whose manifests it condemned.
    Untagging,
    /// G5: removes what it copied.
    Removing(Names),
    /// G5: syncs both directories of what it moved.
    SyncingMove(Names),
}

/// One collection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Collector {
    at: At,
    run: usize,
    /// Entries of the graveyard that were listed and not dealt with.
    entries: Names,
    /// What intents and tags name; when all is read, what is needed.
    needed: Names,
    /// Manifests found live.
    manifests: Names,
    /// Manifests found in the graveyard.
    condemned: Names,
    /// What may be condemned and was not yet.
    left: Names,
    /// Tags to be removed after that.
    tags: Names,
}

/// The steps collector `c` can take.
pub(crate) fn steps(steps: &mut Steps<'_>, c: usize) {
    let (model, from) = (steps.model, steps.from);
    let protocol = &model.protocol;
    let collector = from.collectors[c];
    let names = from.store.names;
    let who = Who::Run(collector.run);
    match collector.at {
        At::Resting => {
            if from.runs < model.scene.runs {
                steps.step(Who::Run(from.runs), "begins", None, |next, _| {
                    next.collectors[c] = Collector { at: At::Reading(0), run: next.runs, ..Collector::default() };
                    next.runs += 1;
                });
            }
        }
        At::Reading(k) => {
            let (directory, does) = match model.reads[k] {
                Read::Graveyard => (GRAVES, "lists the graveyard"),
                Read::Intents(intents) if intents.meets(ACTIVE) => (intents, "lists intents"),
                Read::Intents(intents) => (intents, "lists expired intents"),
                Read::Tags(tags) => (tags, "lists tags"),
                Read::Manifests(manifests) => (manifests, "lists manifests"),
                Read::CondemnedManifests => (GRAVES, "lists manifests in the graveyard"),
            };
            for view in from.store.views(model.scene.recent, directory) {
                let mut read = collector;
                read.take(model, from, model.reads[k], view);
                read.at = At::Reading(k + 1);
                if k + 1 == model.reads.len() {
                    read.conclude(model);
                }
                steps.step(who, does, None, |next, _| next.collectors[c] = read);
            }
        }
        At::Tending => {
            let Some(entry) = collector.entries.first() else { return };
            let item = item_of(entry);
            let rest = Collector { entries: collector.entries - entry, ..collector };
            // It may die here, or the call fail.
            steps.step(who, "passes over the grave of", Some(item), |next, _| next.collectors[c] = rest.on());
            if !names.meets(entry) {
                return;
            }
            if !collector.needed.meets(live(item)) {
                steps.step(who, "purges", Some(item), |next, change| {
                    change(&mut next.store, Names::NONE, entry);
                    next.collectors[c] = rest.on();
                });
                return;
            }
            steps.step(who, "brings back", Some(item), |next, change| {
                let by_rename = protocol.restores == Restores::ByRename && !names.meets(live(item));
                change(&mut next.store, live(item), if by_rename { entry } else { Names::NONE });
                let is_synced = model.crashes() && !protocol.without.contains(&Synced::BroughtBack);
                next.collectors[c] = match protocol.entry {
                    _ if is_synced => Collector { at: At::Syncing(entry), ..rest },
                    Entry::IsPurged => Collector { at: At::Dropping(entry), ..rest },
                    Entry::Stays => rest.on(),
                };
            });
        }
        At::Syncing(entry) => {
            let item = item_of(entry);
            steps.step(who, "syncs", Some(item), |next, _| {
                next.store.sync(live(item));
                next.collectors[c] = match protocol.entry {
                    Entry::IsPurged => Collector { at: At::Dropping(entry), ..collector },
                    Entry::Stays => collector.on(),
                };
            });
        }
        At::Dropping(entry) => {
            steps.step(who, "dies before it purges", Some(item_of(entry)), |next, _| {
                next.collectors[c] = collector.on()
            });
            steps.step(who, "purges what it brought back:", Some(item_of(entry)), |next, change| {
                change(&mut next.store, Names::NONE, entry);
                next.collectors[c] = collector.on();
            });
        }
        At::Condemning => {
            let Some(place) = collector.left.first() else { return };
            let item = item_of(place);
            let rest = Collector { left: collector.left - place, ..collector };
            steps.step(who, "passes over", Some(item), |next, _| next.collectors[c] = rest.on());
            if !names.meets(place) {
                return;
            }
            let run = if protocol.runs == Runs::Reused { 0 } else { collector.run };
            steps.step(who, "condemns", Some(item), |next, change| {
                let grave = grave(item, run);
                match protocol.condemns {
                    Condemns::ByMove => change(&mut next.store, grave, place),
                    Condemns::ByRemoval => change(&mut next.store, Names::NONE, place),
                    Condemns::ByCopyAndRemoval => change(&mut next.store, grave, Names::NONE),
                }
                let is_synced = model.crashes() && !protocol.without.contains(&Synced::Condemned);
                next.collectors[c] = match protocol.condemns {
                    Condemns::ByCopyAndRemoval => Collector { at: At::Removing(place), ..rest },
                    Condemns::ByMove | Condemns::ByRemoval if is_synced => {
                        Collector { at: At::SyncingMove(place), ..rest }
                    }
                    Condemns::ByMove | Condemns::ByRemoval => rest.on(),
                };
            });
        }
        At::Untagging => {
            let Some(tag) = collector.tags.first() else { return };
            let rest = Collector { tags: collector.tags - tag, ..collector };
            let item = Some(tagged_by(tag));
            steps.step(who, "passes over the tag of", item, |next, _| next.collectors[c] = rest.on());
            if from.attached.meets(tag) || protocol.attached_tags == AttachedTags::WithoutLooking {
                steps.step(who, "removes the tag of", item, |next, change| {
                    change(&mut next.store, Names::NONE, tag);
                    next.attached -= tag;
                    next.collectors[c] = rest.on();
                });
            }
        }
        At::SyncingMove(place) => steps.step(who, "syncs the move of", Some(item_of(place)), |next, _| {
            next.store.sync(place);
            next.collectors[c] = collector.on();
        }),
        At::Removing(place) => {
            steps.step(who, "dies before it removes", Some(item_of(place)), |next, _| {
                next.collectors[c] = collector.on()
            });
            steps.step(who, "removes what it copied:", Some(item_of(place)), |next, change| {
                change(&mut next.store, Names::NONE, place);
                next.collectors[c] = collector.on();
            });
        }
    }
}

impl Collector {
    /// Takes in what it saw of a directory.
    fn take(&mut self, model: &Files, from: &State, read: Read, view: Names) {
        match read {
            // Listed are entries that have lain there long enough.
            Read::Graveyard => self.entries = from.store.settled(model.scene.recent, view),
            Read::Intents(_) => {
                for intent in view.each() {
                    let manifest = model.scene.pushes[writer_of(intent)].manifest;
                    self.needed |= model.scene.items[manifest].refers | live(manifest);
                }
            }
            Read::Tags(_) => {
                let is_there = |tag: &Names| {
                    from.store.names.meets(live(tagged_by(*tag)))
                        || model.protocol.attached_tags == AttachedTags::NeverRoots
                };
                let attached = (view & from.attached).each().filter(is_there);
                self.tags = attached.fold(Names::NONE, |all, tag| all | tag);
                (view - self.tags).each().for_each(|tag| self.needed |= live(tagged_by(tag)));
            }
            Read::Manifests(_) => self.manifests |= view,
            Read::CondemnedManifests => {
                let items = view.each().map(item_of).filter(|item| model.is_manifest(*item));
                items.for_each(|item| self.condemned |= live(item));
            }
        }
    }

    /// All is read: tells what is needed, and forgets the rest.
    fn conclude(&mut self, model: &Files) {
        let items = &model.scene.items;
        let all = (0..items.len()).fold(Names::NONE, |all, item| all | live(item));
        let manifests = (0..items.len()).filter(|item| model.is_manifest(*item));
        let manifests = manifests.fold(Names::NONE, |all, item| all | live(item));
        // Bytes and links that any manifest refers to which is there or could come back.
        for name in (self.manifests | self.condemned).each() {
            self.needed |= items[item_of(name)].refers - manifests;
        }
        // Manifests that a live index needs, or one that is itself needed.
        let mut ahead = self.manifests | (self.needed & manifests);
        while let Some(name) = ahead.first() {
            ahead -= name;
            let children = (items[item_of(name)].refers & manifests) - self.needed;
            self.needed |= children;
            ahead |= children;
        }
        if !model.scene.policy {
            self.needed |= manifests;
        }
        (self.manifests, self.condemned) = (Names::NONE, Names::NONE);
        self.left = all - self.needed;
        self.at = At::Tending;
        *self = self.on();
    }

    /// Goes on to what is left to do.
    fn on(self) -> Self {
        match (self.entries.is_empty(), self.left.is_empty(), self.tags.is_empty()) {
            (false, ..) => Self { at: At::Tending, ..self },
            (true, false, _) => Self { at: At::Condemning, ..self },
            (true, true, false) => Self { at: At::Untagging, ..self },
            (true, true, true) => Self::default(),
        }
    }
}
