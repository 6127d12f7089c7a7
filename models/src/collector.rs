//! A collection: lists the graveyard, marks, restores and purges, condemns (G1 to G5).

use crate::{
    files::{FilesModel, FilesState, Steps},
    names::{ACTIVE, GRAVES, NameSet, TAGS, active, expired, grave, item_of, live, tagged_by, writer_of},
    protocol::{
        AttachedTags, CondemnedManifests, Condemns, Entry, Expiry, GraveyardListing, MarkOrder, Protocol, Restores,
        RunNames, Scene, SceneItemKind, Synced,
    },
    step::Actor,
};

/// One directory that a collection reads, or several that need no distinction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CollectionRead {
    /// Entries that may be purged later.
    Graveyard,
    /// Items that these intents name.
    Intents(NameSet),
    /// Items that these tags name.
    Tags(NameSet),
    /// These manifests, and the items they refer to.
    Manifests(NameSet),
    /// The manifests in the graveyard, and the items they refer to.
    CondemnedManifests,
}

/// Everything that a collection reads in this scene with this protocol, in order.
pub(crate) fn reads(scene: &Scene, protocol: &Protocol) -> Vec<CollectionRead> {
    let mut reads = Vec::new();
    let order = protocol.condemned_manifests;
    if protocol.graveyard == GraveyardListing::BeforeTheMark {
        reads.push(CollectionRead::Graveyard);
    }
    if scene.policy
        && matches!(order, CondemnedManifests::ListedBeforeTheLive | CondemnedManifests::ListedBeforeAndAfter)
    {
        reads.push(CollectionRead::CondemnedManifests);
    }
    let repositories = scene.items.iter().map(|item| item.repository).max().unwrap_or(0);
    for repository in 0..=repositories {
        let of_it = |item: usize| {
            scene.items[item].repository == repository && scene.items[item].kind == SceneItemKind::Manifest
        };
        let pushes = scene.pushes.iter().enumerate().filter(|(_, push)| of_it(push.manifest));
        let mut intents = (NameSet::NONE, NameSet::NONE);
        pushes.for_each(|(i, _)| intents = (intents.0 | active(i), intents.1 | expired(i)));
        let intents = match protocol.expiry {
            Expiry::Never | Expiry::AtOnce => vec![CollectionRead::Intents(intents.0)],
            Expiry::TwoStepsInOneDirectory => vec![CollectionRead::Intents(intents.0 | intents.1)],
            // An intent that is moved meanwhile is found in the second directory.
            Expiry::TwoStepsInTwoDirectories => {
                vec![CollectionRead::Intents(intents.0), CollectionRead::Intents(intents.1)]
            }
        };
        let manifests: Vec<usize> = (0..scene.items.len()).filter(|item| of_it(*item)).collect();
        let mut roots = Vec::new();
        if scene.policy {
            roots.push(CollectionRead::Tags(TAGS));
        }
        roots.push(CollectionRead::Manifests(NameSet::of(&manifests)));
        match protocol.marks {
            MarkOrder::IntentsFirst => reads.extend(intents.into_iter().chain(roots)),
            MarkOrder::ManifestsFirst => reads.extend(roots.into_iter().chain(intents)),
        }
    }
    if scene.policy
        && matches!(order, CondemnedManifests::ListedAfterTheLive | CondemnedManifests::ListedBeforeAndAfter)
    {
        reads.push(CollectionRead::CondemnedManifests);
    }
    if protocol.graveyard == GraveyardListing::AfterTheMark {
        reads.push(CollectionRead::Graveyard);
    }
    reads
}

/// The position of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum CollectionPosition {
    /// No run.
    #[default]
    Resting,
    /// G1 and G2: the read that comes next.
    Reading(usize),
    /// G3 and G4.
    Tending,
    /// G3: syncs what it restored from this entry.
    Syncing(NameSet),
    /// G3: purges the entry from which it restored something.
    Dropping(NameSet),
    /// G5.
    Condemning,
    /// G5: removes tags whose manifests it condemned.
    Untagging,
    /// G5: removes the original of what it copied.
    Removing(NameSet),
    /// G5: syncs both directories of a move.
    SyncingMove(NameSet),
}

/// One collection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct CollectionRun {
    at: CollectionPosition,
    run: usize,
    /// Entries of the graveyard that were listed and not processed yet.
    entries: NameSet,
    /// What intents and tags name; after all reads, everything that is needed.
    needed: NameSet,
    /// Manifests found live.
    manifests: NameSet,
    /// Manifests found in the graveyard.
    condemned: NameSet,
    /// What may be condemned and was not yet.
    left: NameSet,
    /// Tags to remove after that.
    tags: NameSet,
}

/// The steps collector `c` can take.
pub(crate) fn steps(steps: &mut Steps<'_>, c: usize) {
    let (model, from) = (steps.model, steps.from);
    let protocol = &model.protocol;
    let collector = from.collectors[c];
    let names = from.store.names;
    let who = Actor::Run(collector.run);
    match collector.at {
        CollectionPosition::Resting => {
            if from.runs < model.scene.runs {
                steps.step(Actor::Run(from.runs), "begins", None, |next, _| {
                    next.collectors[c] = CollectionRun {
                        at: CollectionPosition::Reading(0),
                        run: next.runs,
                        ..CollectionRun::default()
                    };
                    next.runs += 1;
                });
            }
        }
        CollectionPosition::Reading(k) => {
            let (directory, does) = match model.reads[k] {
                CollectionRead::Graveyard => (GRAVES, "lists the graveyard"),
                CollectionRead::Intents(intents) if intents.meets(ACTIVE) => (intents, "lists intents"),
                CollectionRead::Intents(intents) => (intents, "lists expired intents"),
                CollectionRead::Tags(tags) => (tags, "lists tags"),
                CollectionRead::Manifests(manifests) => (manifests, "lists manifests"),
                CollectionRead::CondemnedManifests => (GRAVES, "lists manifests in the graveyard"),
            };
            for view in from.store.views(model.scene.recent, directory) {
                let mut read = collector;
                read.take(model, from, model.reads[k], view);
                read.at = CollectionPosition::Reading(k + 1);
                if k + 1 == model.reads.len() {
                    read.conclude(model);
                }
                steps.step(who, does, None, |next, _| next.collectors[c] = read);
            }
        }
        CollectionPosition::Tending => {
            let Some(entry) = collector.entries.first() else { return };
            let item = item_of(entry);
            let rest = CollectionRun { entries: collector.entries - entry, ..collector };
            // The process may die here, or the call fail.
            steps.step(who, "skips the grave of", Some(item), |next, _| next.collectors[c] = rest.on());
            if !names.meets(entry) {
                return;
            }
            if !collector.needed.meets(live(item)) {
                steps.step(who, "purges", Some(item), |next, change| {
                    change(&mut next.store, NameSet::NONE, entry);
                    next.collectors[c] = rest.on();
                });
                return;
            }
            steps.step(who, "brings back", Some(item), |next, change| {
                let by_rename = protocol.restores == Restores::ByRename && !names.meets(live(item));
                change(&mut next.store, live(item), if by_rename { entry } else { NameSet::NONE });
                let is_synced = model.crashes() && !protocol.without.contains(&Synced::BroughtBack);
                next.collectors[c] = match protocol.entry {
                    _ if is_synced => CollectionRun { at: CollectionPosition::Syncing(entry), ..rest },
                    Entry::IsPurged => CollectionRun { at: CollectionPosition::Dropping(entry), ..rest },
                    Entry::Stays => rest.on(),
                };
            });
        }
        CollectionPosition::Syncing(entry) => {
            let item = item_of(entry);
            steps.step(who, "syncs", Some(item), |next, _| {
                next.store.sync(live(item));
                next.collectors[c] = match protocol.entry {
                    Entry::IsPurged => CollectionRun { at: CollectionPosition::Dropping(entry), ..collector },
                    Entry::Stays => collector.on(),
                };
            });
        }
        CollectionPosition::Dropping(entry) => {
            steps.step(who, "dies before it purges", Some(item_of(entry)), |next, _| {
                next.collectors[c] = collector.on()
            });
            steps.step(who, "purges what it restored:", Some(item_of(entry)), |next, change| {
                change(&mut next.store, NameSet::NONE, entry);
                next.collectors[c] = collector.on();
            });
        }
        CollectionPosition::Condemning => {
            let Some(place) = collector.left.first() else { return };
            let item = item_of(place);
            let rest = CollectionRun { left: collector.left - place, ..collector };
            steps.step(who, "passes over", Some(item), |next, _| next.collectors[c] = rest.on());
            if !names.meets(place) {
                return;
            }
            let run = if protocol.runs == RunNames::Reused { 0 } else { collector.run };
            steps.step(who, "condemns", Some(item), |next, change| {
                let grave = grave(item, run);
                match protocol.condemns {
                    Condemns::ByMove => change(&mut next.store, grave, place),
                    Condemns::ByRemoval => change(&mut next.store, NameSet::NONE, place),
                    Condemns::ByCopyAndRemoval => change(&mut next.store, grave, NameSet::NONE),
                }
                let is_synced = model.crashes() && !protocol.without.contains(&Synced::Condemned);
                next.collectors[c] = match protocol.condemns {
                    Condemns::ByCopyAndRemoval => CollectionRun { at: CollectionPosition::Removing(place), ..rest },
                    Condemns::ByMove | Condemns::ByRemoval if is_synced => {
                        CollectionRun { at: CollectionPosition::SyncingMove(place), ..rest }
                    }
                    Condemns::ByMove | Condemns::ByRemoval => rest.on(),
                };
            });
        }
        CollectionPosition::Untagging => {
            let Some(tag) = collector.tags.first() else { return };
            let rest = CollectionRun { tags: collector.tags - tag, ..collector };
            let item = Some(tagged_by(tag));
            steps.step(who, "skips the tag of", item, |next, _| next.collectors[c] = rest.on());
            if from.attached.meets(tag) || protocol.attached_tags == AttachedTags::WithoutLooking {
                steps.step(who, "removes the tag of", item, |next, change| {
                    change(&mut next.store, NameSet::NONE, tag);
                    next.attached -= tag;
                    next.collectors[c] = rest.on();
                });
            }
        }
        CollectionPosition::SyncingMove(place) => {
            steps.step(who, "syncs the move of", Some(item_of(place)), |next, _| {
                next.store.sync(place);
                next.collectors[c] = collector.on();
            })
        }
        CollectionPosition::Removing(place) => {
            steps.step(who, "dies before it removes", Some(item_of(place)), |next, _| {
                next.collectors[c] = collector.on()
            });
            steps.step(who, "removes what it copied:", Some(item_of(place)), |next, change| {
                change(&mut next.store, NameSet::NONE, place);
                next.collectors[c] = collector.on();
            });
        }
    }
}

impl CollectionRun {
    /// Processes what it read in a directory.
    fn take(&mut self, model: &FilesModel, from: &FilesState, read: CollectionRead, view: NameSet) {
        match read {
            // Only entries that have been there long enough are listed.
            CollectionRead::Graveyard => self.entries = from.store.settled(model.scene.recent, view),
            CollectionRead::Intents(_) => {
                for intent in view.each() {
                    let manifest = model.scene.pushes[writer_of(intent)].manifest;
                    self.needed |= model.scene.items[manifest].refers | live(manifest);
                }
            }
            CollectionRead::Tags(_) => {
                let is_there = |tag: &NameSet| {
                    from.store.names.meets(live(tagged_by(*tag)))
                        || model.protocol.attached_tags == AttachedTags::NeverRoots
                };
                let attached = (view & from.attached).each().filter(is_there);
                self.tags = attached.fold(NameSet::NONE, |all, tag| all | tag);
                (view - self.tags).each().for_each(|tag| self.needed |= live(tagged_by(tag)));
            }
            CollectionRead::Manifests(_) => self.manifests |= view,
            CollectionRead::CondemnedManifests => {
                let items = view.each().map(item_of).filter(|item| model.is_manifest(*item));
                items.for_each(|item| self.condemned |= live(item));
            }
        }
    }

    /// After the last read: derives what is needed, and forgets the rest.
    fn conclude(&mut self, model: &FilesModel) {
        let items = &model.scene.items;
        let all = (0..items.len()).fold(NameSet::NONE, |all, item| all | live(item));
        let manifests = (0..items.len()).filter(|item| model.is_manifest(*item));
        let manifests = manifests.fold(NameSet::NONE, |all, item| all | live(item));
        // The bytes and links that any live or restorable manifest refers to.
        for name in (self.manifests | self.condemned).each() {
            self.needed |= items[item_of(name)].refers - manifests;
        }
        // Manifests that a needed or live index refers to.
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
        (self.manifests, self.condemned) = (NameSet::NONE, NameSet::NONE);
        self.left = all - self.needed;
        self.at = CollectionPosition::Tending;
        *self = self.on();
    }

    /// Continues with what is left to do.
    fn on(self) -> Self {
        match (self.entries.is_empty(), self.left.is_empty(), self.tags.is_empty()) {
            (false, ..) => Self { at: CollectionPosition::Tending, ..self },
            (true, false, _) => Self { at: CollectionPosition::Condemning, ..self },
            (true, true, false) => Self { at: CollectionPosition::Untagging, ..self },
            (true, true, true) => Self::default(),
        }
    }
}
