//! What was requested and acknowledged, and what must hold because of it.
//!
//! Each operation has a start and an end. One that was not acknowledged may have taken effect at any moment between
//! them, or not; one that was acknowledged has taken effect. Two that overlap may have happened in either order.

use super::content::content;

/// Something that changes the store; repositories, blobs, images and tags by their places in the
/// content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Op {
    /// A blob is pushed to a repository.
    Blob(usize, usize),
    /// A blob is given to a repository that another one has.
    Mount(usize, usize),
    /// The bytes of a blob are damaged on the disk.
    Damage(usize),
    DeleteBlob(usize, usize),
    /// An image is pushed, with these tags.
    Put(usize, usize, Vec<usize>),
    DeleteTag(usize, usize),
    DeleteImage(usize, usize),
    /// The artifact at a place gets this blob, or is deleted.
    Artifact(usize, Option<usize>),
    /// The artifact at a place gets back what it once was.
    RestoreArtifact(usize),
    Collect,
    SigningKey,
}

#[derive(Clone, Debug)]
struct Event {
    op: Op,
    begun: usize,
    ended: Option<usize>,
    answered: bool,
}

impl Event {
    /// Whether this one ended before `other` started.
    fn is_before(&self, other: &Self) -> bool {
        self.ended.is_some_and(|ended| ended < other.begun)
    }

    fn sets(&self, repository: usize, tag: usize) -> bool {
        matches!(&self.op, Op::Put(r, _, tags) if *r == repository && tags.contains(&tag))
    }
}

/// All operations so far.
#[derive(Debug, Default)]
pub(super) struct History {
    events: Vec<Option<Event>>,
    now: usize,
    /// The clock is set in this run: what was pushed before what does not show in the times of files.
    pub(super) has_jumps: bool,
}

impl History {
    /// An operation starts; returns its number.
    pub(super) fn begin(&mut self, op: Op) -> usize {
        self.now += 1;
        self.events.push(Some(Event { op, begun: self.now, ended: None, answered: false }));
        self.events.len() - 1
    }

    /// It was answered as done.
    pub(super) fn answered(&mut self, number: usize) {
        self.end(number, true);
    }

    /// It failed, and may have had its effect.
    pub(super) fn failed(&mut self, number: usize) {
        self.end(number, false);
    }

    /// It was answered as not done.
    pub(super) fn refused(&mut self, number: usize) {
        self.events[number] = None;
    }

    /// All clients have ended.
    pub(super) fn round_is_over(&mut self) {
        self.now += 1;
        for event in self.events.iter_mut().flatten() {
            event.ended.get_or_insert(self.now);
        }
    }

    fn end(&mut self, number: usize, answered: bool) {
        self.now += 1;
        if let Some(event) = &mut self.events[number] {
            (event.ended, event.answered) = (Some(self.now), answered);
        }
    }

    fn all(&self) -> impl Iterator<Item = &Event> {
        self.events.iter().flatten()
    }

    fn any(&self, of: impl Fn(&Event) -> bool) -> bool {
        self.all().any(of)
    }

    /// Answered pushes of images that no deletion has come after, or met.
    fn standing(&self) -> impl Iterator<Item = (&Event, usize, usize)> {
        self.all().filter_map(|put| match put.op {
            Op::Put(repository, image, _) if put.answered => {
                let is_deleted =
                    |event: &Event| event.op == Op::DeleteImage(repository, image) && !event.is_before(put);
                let stands = !self.any(is_deleted) && !self.may_follow_its_subject(put, repository, image);
                stands.then_some((put, repository, image))
            }
            _ => None,
        })
    }

    /// Whether a collection may have removed an image because its subject was deleted after the image was pushed.
    fn may_follow_its_subject(&self, put: &Event, repository: usize, image: usize) -> bool {
        let Some(subject) = content().images[image].subject else { return false };
        let deletes = |event: &&Event| event.op == Op::DeleteImage(repository, subject);
        let collects_after = |deleted: &Event| self.any(|event| event.op == Op::Collect && !event.is_before(deleted));
        let mut deletions = self.all().filter(deletes);
        deletions.any(|deleted| (self.has_jumps || !deleted.is_before(put)) && collects_after(deleted))
    }

    /// Images that must be there, by repository and image, each with the blobs and children of it that
    /// must be there too.
    pub(super) fn needed(&self) -> Vec<(usize, usize, Vec<usize>, Vec<usize>)> {
        let needed = self.standing().map(|(put, repository, image)| {
            let untouched = |op: Op| !self.any(|event| event.op == op && !event.is_before(put));
            let image_content = &content().images[image];
            let stays = |blob: usize| untouched(Op::DeleteBlob(repository, blob)) && self.is_whole(blob);
            let blobs = image_content.blobs.iter().filter(|blob| stays(**blob));
            let children =
                image_content.children.iter().filter(|child| untouched(Op::DeleteImage(repository, **child)));
            (repository, image, blobs.copied().collect(), children.copied().collect())
        });
        needed.collect()
    }

    /// Blobs that an image of a repository has needed since before an operation began.
    pub(super) fn needed_since(&self, repository: usize, number: usize) -> Vec<usize> {
        let Some(now) = &self.events[number] else { return Vec::new() };
        let before = self.standing().filter(|(put, r, _)| *r == repository && put.is_before(now));
        let untouched = |blob: &usize| !self.may_be_deleted(&Op::DeleteBlob(repository, *blob)) && self.is_whole(*blob);
        before.flat_map(|(_, _, image)| content().images[image].blobs.iter().copied()).filter(untouched).collect()
    }

    /// Whether an image must not be there.
    pub(super) fn is_gone(&self, repository: usize, image: usize) -> bool {
        self.any(|deleted| {
            deleted.answered
                && deleted.op == Op::DeleteImage(repository, image)
                && self
                    .all()
                    .filter(|put| matches!(put.op, Op::Put(r, i, _) if (r, i) == (repository, image)))
                    .all(|put| put.is_before(deleted))
        })
    }

    /// Whether anybody ever tried to delete a blob or an image.
    pub(super) fn may_be_deleted(&self, op: &Op) -> bool {
        self.any(|event| event.op == *op)
    }

    /// Blobs that must be there for themselves, by repository: pushed, and neither deleted nor
    /// collected since.
    pub(super) fn pushed(&self) -> Vec<(usize, usize)> {
        let pushed = self.all().filter_map(|pushed| match pushed.op {
            Op::Blob(repository, blob) | Op::Mount(repository, blob) if pushed.answered => {
                let is_threat =
                    |event: &Event| matches!(event.op, Op::Collect) || event.op == Op::DeleteBlob(repository, blob);
                let is_safe = self.is_whole(blob) && !self.any(|event| is_threat(event) && !event.is_before(pushed));
                is_safe.then_some((repository, blob))
            }
            _ => None,
        });
        pushed.collect()
    }

    /// Whether the bytes of a blob, if they are there, are as they were pushed: nothing has damaged
    /// them, or somebody pushed them again.
    pub(super) fn is_whole(&self, blob: usize) -> bool {
        let heals = |event: &Event| event.answered && matches!(event.op, Op::Blob(_, b) if b == blob);
        let mut damages = self.all().filter(|event| event.op == Op::Damage(blob));
        damages.all(|damage| self.any(|event| heals(event) && damage.is_before(event)))
    }

    /// Whether an artifact may have this blob, or not exist.
    pub(super) fn artifact_may_be(&self, place: usize, value: Option<usize>) -> bool {
        let makes = |event: &Event, value: Option<usize>| match event.op {
            Op::Artifact(p, made) => p == place && made == value,
            Op::RestoreArtifact(p) => p == place && value.is_some(),
            _ => false,
        };
        let changes = |event: &Event| match event.op {
            Op::Artifact(p, _) | Op::RestoreArtifact(p) => p == place,
            _ => false,
        };
        let undoes = |event: &Event| event.answered && changes(event) && !makes(event, value);
        let never = value.is_none() && !self.any(undoes);
        never || self.any(|made| makes(made, value) && !self.any(|event| undoes(event) && made.is_before(event)))
    }

    /// Whether an artifact was ever uploaded for certain, and so its repository must exist.
    pub(super) fn has_artifacts(&self) -> bool {
        self.any(|event| event.answered && matches!(event.op, Op::Artifact(_, Some(_))))
    }

    /// Whether what was deleted from a place must be in the trash.
    pub(super) fn must_be_in_trash(&self, place: usize) -> bool {
        self.any(|event| event.answered && event.op == Op::Artifact(place, None))
            && !self.any(|event| event.op == Op::RestoreArtifact(place))
    }

    /// How often bytes were damaged so far.
    pub(super) fn damages(&self) -> usize {
        self.all().filter(|event| matches!(event.op, Op::Damage(_))).count()
    }

    /// Whether a blob must not be in a repository.
    pub(super) fn is_blob_gone(&self, repository: usize, blob: usize) -> bool {
        let brings = |event: &Event| match &event.op {
            Op::Blob(r, b) | Op::Mount(r, b) => (*r, *b) == (repository, blob),
            // A push brings back what a collection took, at the same moment perhaps.
            Op::Put(r, image, _) => *r == repository && content().images[*image].blobs.contains(&blob),
            _ => false,
        };
        self.any(|deleted| {
            deleted.answered
                && deleted.op == Op::DeleteBlob(repository, blob)
                && self.all().filter(|event| brings(event)).all(|event| event.is_before(deleted))
        })
    }

    /// Whether a tag may point to an image, or to nothing.
    pub(super) fn tag_may_be(&self, repository: usize, tag: usize, value: Option<usize>) -> bool {
        let deletes_tag = |event: &Event| event.op == Op::DeleteTag(repository, tag);
        match value {
            Some(image) => self.any(|put| {
                let is_undone = |event: &Event| {
                    event.sets(repository, tag) || deletes_tag(event) || event.op == Op::DeleteImage(repository, image)
                };
                put.sets(repository, tag)
                    && matches!(put.op, Op::Put(_, i, _) if i == image)
                    && !self.any(|event| event.answered && is_undone(event) && put.is_before(event))
            }),
            None => {
                let set_after = |event: Option<&Event>| {
                    self.any(|put| {
                        put.answered && put.sets(repository, tag) && event.is_none_or(|removed| removed.is_before(put))
                    })
                };
                let removes = |event: &Event| match event.op {
                    Op::DeleteImage(r, image) => {
                        r == repository
                            && self.any(|put| {
                                put.sets(repository, tag) && matches!(put.op, Op::Put(_, i, _) if i == image)
                            })
                    }
                    _ => deletes_tag(event),
                };
                !set_after(None) || self.any(|removed| removes(removed) && !set_after(Some(removed)))
            }
        }
    }

    /// Whether a client learned that there is a signing key.
    pub(super) fn has_key(&self) -> bool {
        self.any(|event| event.answered && event.op == Op::SigningKey)
    }

    /// The last operations, for people.
    pub(super) fn tell(&self) -> String {
        self.all().map(|event| format!("{event:?}\n")).collect()
    }
}
