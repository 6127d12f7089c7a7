//! A writer: one push of a manifest, from the client's uploads to the answer (W1 to W6).

use crate::{
    files::{FilesState, Steps},
    names::{NameSet, active, data, grave, graves_of, item_of, live, newest_grave, tag},
    protocol::{Declares, LooksAgain, RestorableLinks, Restores, SceneItemKind, Synced},
    step::Actor,
};

/// The position of a push.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) enum WriterPosition {
    /// The client has not sent the manifest, or got an error, or the process died.
    #[default]
    Idle,
    /// An uploaded item has a name that is not synced yet.
    Uploaded(usize),
    /// W1 comes next, again.
    Declare,
    /// W2: looks for a live item.
    Look(usize),
    /// W2: the item is not live; looks in the graveyard.
    Dig(usize),
    /// W2: found it in the grave of this run.
    Restore(usize, usize),
    /// W2: found no grave; another actor may have restored the item.
    LookOnce(usize),
    /// W3: syncs what it found or restored.
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
    /// Removes the intent.
    Withdraw,
    /// The client has its answer.
    Answered,
}

impl WriterPosition {
    /// Whether the tag was put and the push was not answered yet.
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
pub(crate) struct PushingWriter {
    pub(crate) at: WriterPosition,
    /// The manifest was deleted since it was published, so nothing is promised about it.
    pub(crate) void: bool,
}

/// The steps writer `w` can take.
pub(crate) fn steps(steps: &mut Steps<'_>, w: usize) {
    let (model, from) = (steps.model, steps.from);
    let protocol = &model.protocol;
    let (who, push, names) = (Actor::Writer(w), model.scene.pushes[w], from.store.names);
    let manifest = push.manifest;
    let refers = model.scene.items[manifest].refers;
    let at = from.writers[w].at;

    let after = |item: usize| match refers.each().map(item_of).find(|next| *next > item) {
        Some(next) => WriterPosition::Look(next),
        None if protocol.declares == Declares::AfterLooking => WriterPosition::DeclareLate,
        None => WriterPosition::Publish,
    };
    let first = refers.first().map_or(WriterPosition::Publish, |name| WriterPosition::Look(item_of(name)));
    let seen = |item: usize, sync: Synced| match model.crashes() && !protocol.without.contains(&sync) {
        true => WriterPosition::Sync(item),
        false => after(item),
    };
    let go = move |next: &mut FilesState, at: WriterPosition| next.writers[w].at = at;

    if !matches!(at, WriterPosition::Idle | WriterPosition::Answered) {
        steps.step(who, "dies", None, |next, _| next.writers[w] = PushingWriter::default());
    }
    match at {
        WriterPosition::Idle => {
            for item in (push.uploads - names).each().map(item_of) {
                steps.step(who, "uploads", Some(item), |next, change| {
                    if model.crashes() {
                        upload(next, change, item, protocol.without);
                        let is_synced = !protocol.without.contains(&Synced::Uploaded);
                        go(next, if is_synced { WriterPosition::Uploaded(item) } else { WriterPosition::Idle });
                    } else {
                        change(&mut next.store, live(item), NameSet::NONE);
                    }
                    next.had |= live(item);
                });
            }
            if protocol.declares == Declares::AfterLooking {
                steps.step(who, "begins to push", Some(manifest), |next, _| go(next, first));
            } else {
                steps.step(who, "declares", Some(manifest), |next, change| {
                    change(&mut next.store, active(w), NameSet::NONE);
                    go(next, first);
                });
            }
        }
        WriterPosition::Uploaded(item) => steps.step(who, "syncs", Some(item), |next, _| {
            next.store.sync(live(item));
            go(next, WriterPosition::Idle);
        }),
        WriterPosition::Declare => steps.step(who, "declares again", Some(manifest), |next, change| {
            change(&mut next.store, active(w), NameSet::NONE);
            go(next, first);
        }),
        WriterPosition::Look(item) => {
            for view in from.store.views(model.scene.recent, live(item)) {
                match view.is_empty() {
                    false => steps.step(who, "finds", Some(item), |next, _| go(next, seen(item, Synced::Found))),
                    true => steps.step(who, "does not find", Some(item), |next, _| go(next, WriterPosition::Dig(item))),
                }
            }
        }
        WriterPosition::Dig(item) => {
            for view in from.store.views(model.scene.recent, graves_of(item)) {
                match newest_grave(item, view) {
                    Some(run) => steps.step(who, "sees in the graveyard", Some(item), |next, _| {
                        go(next, WriterPosition::Restore(item, run));
                    }),
                    None => steps
                        .step(who, "finds no grave of", Some(item), |next, _| go(next, WriterPosition::LookOnce(item))),
                }
            }
        }
        WriterPosition::Restore(item, run) => match names.meets(grave(item, run)) {
            true => steps.step(who, "brings back", Some(item), |next, change| {
                let gone = match protocol.restores == Restores::ByRename && !names.meets(live(item)) {
                    true => grave(item, run),
                    false => NameSet::NONE,
                };
                change(&mut next.store, live(item), gone);
                go(next, seen(item, Synced::Restored));
            }),
            false => steps.step(who, "comes too late for the grave of", Some(item), |next, _| {
                go(next, WriterPosition::Dig(item))
            }),
        },
        WriterPosition::LookOnce(item) => {
            for view in from.store.views(model.scene.recent, live(item)) {
                if !view.is_empty() {
                    steps.step(who, "finds at last", Some(item), |next, _| go(next, seen(item, Synced::Found)));
                } else if let SceneItemKind::Link(blob) = model.scene.items[item].kind
                    && protocol.links == RestorableLinks::AnyWithABlob
                    && names.meets(live(blob) | graves_of(blob))
                {
                    steps.step(who, "gives itself", Some(item), |next, change| {
                        change(&mut next.store, live(item), NameSet::NONE);
                        go(next, after(item));
                    });
                } else {
                    steps.step(who, "is refused because of the missing", Some(item), |next, change| {
                        change(&mut next.store, NameSet::NONE, active(w));
                        next.writers[w] = PushingWriter::default();
                    });
                }
            }
        }
        WriterPosition::Sync(item) => steps.step(who, "syncs", Some(item), |next, _| {
            next.store.sync(live(item));
            go(next, after(item));
        }),
        WriterPosition::DeclareLate => {
            steps.step(who, "publishes its intent only now", Some(manifest), |next, change| {
                change(&mut next.store, active(w), NameSet::NONE);
                go(next, WriterPosition::Publish);
            })
        }
        WriterPosition::Publish => steps.step(who, "publishes", Some(manifest), |next, change| {
            let bytes = if model.crashes() { data(manifest) } else { NameSet::NONE };
            // The bytes were synced before the name, so a reader who sees the name can read them.
            next.store.names |= bytes;
            change(&mut next.store, live(manifest), NameSet::NONE);
            next.writers[w].void = false;
            let is_synced =
                model.crashes() && protocol.manifest_before_tag && !protocol.without.contains(&Synced::Manifest);
            go(
                next,
                if is_synced { WriterPosition::SyncManifest } else { looks_again(protocol.looks_again, push.tags) },
            );
        }),
        WriterPosition::SyncManifest => steps.step(who, "syncs", Some(manifest), |next, _| {
            next.store.sync(live(manifest));
            go(next, looks_again(protocol.looks_again, push.tags));
        }),
        WriterPosition::LookAgain => {
            for view in from.store.views(model.scene.recent, active(w)) {
                match view.is_empty() {
                    false => steps.step(who, "finds its intent active", None, |next, _| go(next, tags(push.tags))),
                    true => {
                        steps.step(who, "finds its intent expired", None, |next, _| go(next, WriterPosition::Declare))
                    }
                }
            }
        }
        WriterPosition::Tag => steps.step(who, "tags", Some(manifest), |next, change| {
            change(&mut next.store, tag(manifest), NameSet::NONE);
            next.attached -= tag(manifest);
            next.answered -= tag(manifest);
            next.writers[w].void &= !model.scene.attached;
            let is_synced = model.crashes() && !protocol.without.contains(&Synced::Tag);
            go(next, if is_synced { WriterPosition::SyncTag } else { after_tag(protocol.looks_again) });
        }),
        WriterPosition::SyncTag => steps.step(who, "syncs the tag of", Some(manifest), |next, _| {
            next.store.sync(tag(manifest));
            go(
                next,
                if protocol.manifest_before_tag {
                    after_tag(protocol.looks_again)
                } else {
                    WriterPosition::SyncManifestLate
                },
            );
        }),
        WriterPosition::SyncManifestLate => steps.step(who, "syncs", Some(manifest), |next, _| {
            next.store.sync(live(manifest));
            go(next, after_tag(protocol.looks_again));
        }),
        WriterPosition::LookAgainAfterTag => {
            for view in from.store.views(model.scene.recent, active(w)) {
                match view.is_empty() {
                    false => steps
                        .step(who, "finds its intent still active", None, |next, _| go(next, WriterPosition::Answer)),
                    true => {
                        steps.step(who, "finds its intent expired", None, |next, _| go(next, WriterPosition::Declare))
                    }
                }
            }
        }
        WriterPosition::Answer => steps.step(who, "answers 201 for", Some(manifest), |next, _| {
            // With a retention policy only tags promise anything.
            if !next.writers[w].void && (push.tags || !model.scene.policy) {
                next.acknowledged |= live(manifest);
            }
            if model.scene.attached && !next.writers[w].void {
                next.answered |= tag(manifest);
            }
            next.writers[w] = PushingWriter {
                at: if protocol.withdraws { WriterPosition::Withdraw } else { WriterPosition::Answered },
                void: false,
            };
        }),
        WriterPosition::Withdraw => steps.step(who, "removes its intent", None, |next, change| {
            change(&mut next.store, NameSet::NONE, active(w));
            go(next, WriterPosition::Answered);
        }),
        WriterPosition::Answered => {
            if model.scene.deletes {
                steps.step(who, "is asked to delete", Some(manifest), |next, change| {
                    delete(next, change, model.scene.policy, manifest);
                    for (other, push) in model.scene.pushes.iter().enumerate() {
                        next.writers[other].void |= push.manifest == manifest && next.writers[other].at.has_published();
                    }
                    next.writers[w] = PushingWriter::default();
                });
            }
        }
    }
}

type StoreChange<'a> = &'a mut dyn FnMut(&mut crate::store::ModelStore, NameSet, NameSet);

/// A blob's bytes are synced before it gets its name.
fn upload(next: &mut FilesState, change: StoreChange<'_>, item: usize, without: &[Synced]) {
    match without.contains(&Synced::Bytes) {
        true => change(&mut next.store, data(item), NameSet::NONE),
        false => next.store.names |= data(item),
    }
    change(&mut next.store, live(item), NameSet::NONE);
}

/// With a retention policy a client only removes the tag; otherwise the manifest is removed for good.
fn delete(next: &mut FilesState, change: StoreChange<'_>, policy: bool, manifest: usize) {
    match policy {
        true => change(&mut next.store, NameSet::NONE, tag(manifest)),
        false => change(&mut next.store, NameSet::NONE, live(manifest) | tag(manifest)),
    }
    next.acknowledged -= live(manifest);
}

fn looks_again(looks: LooksAgain, is_tagged: bool) -> WriterPosition {
    match looks {
        LooksAgain::Never => tags(is_tagged),
        LooksAgain::BeforeTheTag | LooksAgain::BeforeAndAfterTheTag => WriterPosition::LookAgain,
    }
}

fn tags(is_tagged: bool) -> WriterPosition {
    if is_tagged { WriterPosition::Tag } else { WriterPosition::Answer }
}

fn after_tag(looks: LooksAgain) -> WriterPosition {
    match looks {
        LooksAgain::Never | LooksAgain::BeforeTheTag => WriterPosition::Answer,
        LooksAgain::BeforeAndAfterTheTag => WriterPosition::LookAgainAfterTag,
    }
}
