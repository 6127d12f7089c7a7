//! A writer: one push of a manifest, from the client's uploads to the answer (W1 to W6).

use crate::{
    files::{State, Steps},
    names::{Names, active, data, grave, graves_of, item_of, live, newest_grave, tag},
    protocol::{Declares, Kind, Links, LooksAgain, Restores, Synced},
    step::Who,
};

/// Where a push stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) enum At {
    /// The client has not sent the manifest, or was answered an error, or the process died.
    #[default]
    Idle,
    /// An uploaded item has its name, which is not synced.
    Uploaded(usize),
    /// W1 comes next, once more.
    Declare,
    /// W2: looks for an item in its place.
    Look(usize),
    /// W2: it was not there, looks in the graveyard.
    Dig(usize),
    /// W2: saw it under this run.
    Restore(usize, usize),
    /// W2: it was in no grave; somebody may have brought it back.
    LookOnce(usize),
    /// W3: syncs what it found or brought back.
    Sync(usize),
    /// The intent is published only now.
    DeclareLate,
    /// W3: the manifest gets its name.
    Publish,
    /// W3: the manifest's name is synced.
    SyncManifest,
    /// W4.
    LookAgain,
    /// W5: the tag gets its name.
    Tag,
    /// W5: the tag's name is synced.
    SyncTag,
    /// The manifest's name is synced only now.
    SyncManifestLate,
    /// W4 again.
    LookAgainAfterTag,
    /// W6.
    Answer,
    /// The intent goes.
    Withdraw,
    /// The client has its answer.
    Answered,
}

impl At {
    /// Whether the tag was put, and the push not answered yet.
    pub(crate) fn has_tagged(self) -> bool {
        matches!(self, Self::SyncTag | Self::SyncManifestLate | Self::LookAgainAfterTag | Self::Answer)
    }

    fn has_published(self) -> bool {
        matches!(
            self,
            Self::SyncManifest
                | Self::LookAgain
                | Self::Tag
                | Self::SyncTag
                | Self::SyncManifestLate
                | Self::LookAgainAfterTag
                | Self::Answer
        )
    }
}

/// One writer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Writer {
    pub(crate) at: At,
    /// Somebody deleted the manifest since it was published: nothing is promised.
    pub(crate) void: bool,
}

/// The steps writer `w` can take.
pub(crate) fn steps(steps: &mut Steps<'_>, w: usize) {
    let (model, from) = (steps.model, steps.from);
    let protocol = &model.protocol;
    let (who, push, names) = (Who::Writer(w), model.scene.pushes[w], from.store.names);
    let manifest = push.manifest;
    let refers = model.scene.items[manifest].refers;
    let at = from.writers[w].at;

    let after = |item: usize| match refers.each().map(item_of).find(|next| *next > item) {
        Some(next) => At::Look(next),
        None if protocol.declares == Declares::AfterLooking => At::DeclareLate,
        None => At::Publish,
    };
    let first = refers.first().map_or(At::Publish, |name| At::Look(item_of(name)));
    let seen = |item: usize, sync: Synced| match model.crashes() && !protocol.without.contains(&sync) {
        true => At::Sync(item),
        false => after(item),
    };
    let go = move |next: &mut State, at: At| next.writers[w].at = at;

    if !matches!(at, At::Idle | At::Answered) {
        steps.step(who, "dies", None, |next, _| next.writers[w] = Writer::default());
    }
    match at {
        At::Idle => {
            for item in (push.uploads - names).each().map(item_of) {
                steps.step(who, "uploads", Some(item), |next, change| {
                    if model.crashes() {
                        upload(next, change, item, protocol.without);
                        let is_synced = !protocol.without.contains(&Synced::Uploaded);
                        go(next, if is_synced { At::Uploaded(item) } else { At::Idle });
                    } else {
                        change(&mut next.store, live(item), Names::NONE);
                    }
                    next.had |= live(item);
                });
            }
            if protocol.declares == Declares::AfterLooking {
                steps.step(who, "begins to push", Some(manifest), |next, _| go(next, first));
            } else {
                steps.step(who, "declares", Some(manifest), |next, change| {
                    change(&mut next.store, active(w), Names::NONE);
                    go(next, first);
                });
            }
        }
        At::Uploaded(item) => steps.step(who, "syncs", Some(item), |next, _| {
            next.store.sync(live(item));
            go(next, At::Idle);
        }),
        At::Declare => steps.step(who, "declares again", Some(manifest), |next, change| {
            change(&mut next.store, active(w), Names::NONE);
            go(next, first);
        }),
        At::Look(item) => {
            for view in from.store.views(model.scene.recent, live(item)) {
                match view.is_empty() {
                    false => steps.step(who, "finds", Some(item), |next, _| go(next, seen(item, Synced::Found))),
                    true => steps.step(who, "does not find", Some(item), |next, _| go(next, At::Dig(item))),
                }
            }
        }
        At::Dig(item) => {
            for view in from.store.views(model.scene.recent, graves_of(item)) {
                match newest_grave(item, view) {
                    Some(run) => steps.step(who, "sees in the graveyard", Some(item), |next, _| {
                        go(next, At::Restore(item, run));
                    }),
                    None => steps.step(who, "finds no grave of", Some(item), |next, _| go(next, At::LookOnce(item))),
                }
            }
        }
        At::Restore(item, run) => match names.meets(grave(item, run)) {
            true => steps.step(who, "brings back", Some(item), |next, change| {
                let gone = match protocol.restores == Restores::ByRename && !names.meets(live(item)) {
                    true => grave(item, run),
                    false => Names::NONE,
                };
                change(&mut next.store, live(item), gone);
                go(next, seen(item, Synced::Restored));
            }),
            false => steps.step(who, "comes too late for the grave of", Some(item), |next, _| go(next, At::Dig(item))),
        },
        At::LookOnce(item) => {
            for view in from.store.views(model.scene.recent, live(item)) {
                if !view.is_empty() {
                    steps.step(who, "finds at last", Some(item), |next, _| go(next, seen(item, Synced::Found)));
                } else if let Kind::Link(blob) = model.scene.items[item].kind
                    && protocol.links == Links::AnyOfABlobThatIsThere
                    && names.meets(live(blob) | graves_of(blob))
                {
                    steps.step(who, "gives itself", Some(item), |next, change| {
                        change(&mut next.store, live(item), Names::NONE);
                        go(next, after(item));
                    });
                } else {
                    steps.step(who, "is refused for want of", Some(item), |next, change| {
                        change(&mut next.store, Names::NONE, active(w));
                        next.writers[w] = Writer::default();
                    });
                }
            }
        }
        At::Sync(item) => steps.step(who, "syncs", Some(item), |next, _| {
            next.store.sync(live(item));
            go(next, after(item));
        }),
        At::DeclareLate => steps.step(who, "declares only now", Some(manifest), |next, change| {
            change(&mut next.store, active(w), Names::NONE);
            go(next, At::Publish);
        }),
        At::Publish => steps.step(who, "publishes", Some(manifest), |next, change| {
            let bytes = if model.crashes() { data(manifest) } else { Names::NONE };
            // The bytes were synced before the name, so whoever sees the name can have them.
            next.store.names |= bytes;
            change(&mut next.store, live(manifest), Names::NONE);
            next.writers[w].void = false;
            let is_synced =
                model.crashes() && protocol.manifest_before_tag && !protocol.without.contains(&Synced::Manifest);
            go(next, if is_synced { At::SyncManifest } else { looks_again(protocol.looks_again, push.tags) });
        }),
        At::SyncManifest => steps.step(who, "syncs", Some(manifest), |next, _| {
            next.store.sync(live(manifest));
            go(next, looks_again(protocol.looks_again, push.tags));
        }),
        At::LookAgain => {
            for view in from.store.views(model.scene.recent, active(w)) {
                match view.is_empty() {
                    false => steps.step(who, "finds its intent active", None, |next, _| go(next, tags(push.tags))),
                    true => steps.step(who, "finds its intent expired", None, |next, _| go(next, At::Declare)),
                }
            }
        }
        At::Tag => steps.step(who, "tags", Some(manifest), |next, change| {
            change(&mut next.store, tag(manifest), Names::NONE);
            next.attached -= tag(manifest);
            next.answered -= tag(manifest);
            next.writers[w].void &= !model.scene.attached;
            let is_synced = model.crashes() && !protocol.without.contains(&Synced::Tag);
            go(next, if is_synced { At::SyncTag } else { after_tag(protocol.looks_again) });
        }),
        At::SyncTag => steps.step(who, "syncs the tag of", Some(manifest), |next, _| {
            next.store.sync(tag(manifest));
            go(next, if protocol.manifest_before_tag { after_tag(protocol.looks_again) } else { At::SyncManifestLate });
        }),
        At::SyncManifestLate => steps.step(who, "syncs", Some(manifest), |next, _| {
            next.store.sync(live(manifest));
            go(next, after_tag(protocol.looks_again));
        }),
        At::LookAgainAfterTag => {
            for view in from.store.views(model.scene.recent, active(w)) {
                match view.is_empty() {
                    false => steps.step(who, "finds its intent active still", None, |next, _| go(next, At::Answer)),
                    true => steps.step(who, "finds its intent expired", None, |next, _| go(next, At::Declare)),
                }
            }
        }
        At::Answer => steps.step(who, "answers 201 for", Some(manifest), |next, _| {
            // Under a policy only tags promise anything.
            if !next.writers[w].void && (push.tags || !model.scene.policy) {
                next.acknowledged |= live(manifest);
            }
            if model.scene.attached && !next.writers[w].void {
                next.answered |= tag(manifest);
            }
            next.writers[w] = Writer { at: if protocol.withdraws { At::Withdraw } else { At::Answered }, void: false };
        }),
        At::Withdraw => steps.step(who, "removes its intent", None, |next, change| {
            change(&mut next.store, Names::NONE, active(w));
            go(next, At::Answered);
        }),
        At::Answered => {
            if model.scene.deletes {
                steps.step(who, "is asked to delete", Some(manifest), |next, change| {
                    delete(next, change, model.scene.policy, manifest);
                    for (other, push) in model.scene.pushes.iter().enumerate() {
                        next.writers[other].void |= push.manifest == manifest && next.writers[other].at.has_published();
                    }
                    next.writers[w] = Writer::default();
                });
            }
        }
    }
}

type Change<'a> = &'a mut dyn FnMut(&mut crate::store::Store, Names, Names);

/// A blob's bytes are synced before it gets its name.
fn upload(next: &mut State, change: Change<'_>, item: usize, without: &[Synced]) {
    match without.contains(&Synced::Bytes) {
        true => change(&mut next.store, data(item), Names::NONE),
        false => next.store.names |= data(item),
    }
    change(&mut next.store, live(item), Names::NONE);
}

/// Where manifests are policy a client only takes the tag away; else the manifest goes, for good.
fn delete(next: &mut State, change: Change<'_>, policy: bool, manifest: usize) {
    match policy {
        true => change(&mut next.store, Names::NONE, tag(manifest)),
        false => change(&mut next.store, Names::NONE, live(manifest) | tag(manifest)),
    }
    next.acknowledged -= live(manifest);
}

fn looks_again(looks: LooksAgain, is_tagged: bool) -> At {
    match looks {
        LooksAgain::Never => tags(is_tagged),
        LooksAgain::BeforeTheTag | LooksAgain::BeforeAndAfterTheTag => At::LookAgain,
    }
}

fn tags(is_tagged: bool) -> At {
    if is_tagged { At::Tag } else { At::Answer }
}

fn after_tag(looks: LooksAgain) -> At {
    match looks {
        LooksAgain::Never | LooksAgain::BeforeTheTag => At::Answer,
        LooksAgain::BeforeAndAfterTheTag => At::LookAgainAfterTag,
    }
}
