//! Clients that push images, indexes, referrers and tags: new ones, old ones, and the same as other clients at the same
//! time.

use crate::{
    content::{REPOSITORIES, Spec},
    dice::Dice,
    ledger::{End, Id},
    world::{Asked, World, manifest, rest},
};
use http::Method;
use std::{sync::Arc, time::Duration};

/// Number of tags that each client has in each repository.
const TAGS: usize = 4;

/// How often a push adds what is missing before it gives up. An aggressive collection removes a fresh blob after one
/// pass, and passes over a small store are short.
const ATTEMPTS: usize = 200;

/// A client that pushes.
pub struct Pusher {
    pub world: Arc<World>,
    pub dice: Dice,
    pub number: usize,
}

impl Pusher {
    /// Pushes until the campaign ends.
    pub async fn run(mut self) {
        while !self.world.is_ending() {
            let repository = *self.dice.pick(&REPOSITORIES);
            match self.dice.below(100) {
                0..40 => {
                    let image = self.world.pool.image(&mut self.dice, repository);
                    self.push_tagged(&image.into()).await;
                }
                40..50 => {
                    let image = self.world.pool.common_image(&mut self.dice, repository);
                    self.push_tagged(&image.into()).await;
                }
                50..60 => self.index().await,
                60..68 => self.referrer().await,
                68..78 => self.push_again().await,
                78..88 => self.retag().await,
                88..94 => self.untag(repository).await,
                _ => self.push_and_delete(repository).await,
            }
            // Otherwise the deleters could not keep up.
            let haste = if self.world.ledger.live() > self.world.crowd() * 3 / 2 { 100 } else { 1 };
            let pause = self.dice.millis(0..20) * haste;
            rest(&self.world, pause.min(Duration::from_millis(500))).await;
        }
    }

    /// Some of this client's tags.
    fn some_tags(&mut self) -> Vec<String> {
        let (first, count) = (self.dice.below(TAGS), self.dice.below(TAGS));
        (0..count).map(|i| self.tag(first + i)).collect()
    }

    fn tag(&self, i: usize) -> String {
        format!("p{}-{}", self.number, i % TAGS)
    }

    async fn push_tagged(&mut self, spec: &Arc<Spec>) {
        let tags = self.some_tags();
        self.push(spec, &tags).await;
    }

    /// Pushes an index of manifests that exist, or existed a moment ago.
    async fn index(&mut self) {
        let Some((_, first)) = self.world.ledger.any(&mut self.dice) else { return };
        let mut children = vec![first];
        for _ in 0..self.dice.below(8) {
            if let Some((_, other)) = self.world.ledger.any(&mut self.dice)
                && other.repository == children[0].repository
                && children.iter().all(|child| child.digest != other.digest)
            {
                children.push(other);
            }
        }
        self.push_tagged(&Spec::index(children[0].repository, &children).into()).await;
    }

    /// Pushes a referrer of a manifest that exists, or existed a moment ago.
    async fn referrer(&mut self) {
        let Some((_, subject)) = self.world.ledger.any(&mut self.dice) else { return };
        let own = self.world.pool.own(&mut self.dice);
        self.push(&Spec::referrer(&subject, own).into(), &[]).await;
    }

    /// Pushes a deleted manifest again.
    async fn push_again(&mut self) {
        let Some((_, spec)) = self.world.ledger.any_gone(&mut self.dice) else { return };
        self.push_tagged(&spec).await;
    }

    /// Pushes an existing manifest under a tag of this client.
    async fn retag(&mut self) {
        let Some((_, spec)) = self.world.ledger.any(&mut self.dice) else { return };
        let tag = self.dice.below(TAGS);
        self.push(&spec, &[self.tag(tag)]).await;
    }

    async fn untag(&mut self, repository: &'static str) {
        let tag = self.dice.below(TAGS);
        let tag = self.tag(tag);
        self.world.ledger.begin_untag(repository, &tag);
        let asked = self.world.ask(Method::DELETE, &format!("/v2/{repository}/manifests/{tag}"), "").await;
        let end = match asked.as_ref().map(Asked::status) {
            None => End::Lost,
            Some(202) => End::Done,
            Some(404) => End::Missing,
            Some(_) => asked.expect("an answer").unexpected("a tag was not deleted"),
        };
        if let Err(why) = self.world.ledger.end_untag(repository, &tag, end) {
            asked.expect("an answer").unexpected(&why);
        }
        self.world.tally.one(format!("deletions of tags {}", outcome(end)));
    }

    /// Pushes a manifest with everything it needs, until it is acknowledged or the client gives up after lost responses.
    async fn push(&mut self, spec: &Arc<Spec>, tags: &[String]) {
        let asks = self.dice.chance(80);
        for content in &spec.blobs {
            self.ensure_blob(spec.repository, content, asks).await;
        }
        for attempt in 0..ATTEMPTS {
            let id = self.world.ledger.begin_push(spec, tags);
            let asked = self.put(spec, tags).await;
            match asked.as_ref().map(Asked::status) {
                None => {
                    self.world.ledger.end_push(id, tags, End::Lost);
                    self.world.tally.one("manifest pushes lost");
                    if self.dice.chance(30) {
                        return;
                    }
                }
                Some(201) => {
                    self.world.ledger.end_push(id, tags, End::Done);
                    self.world.tally.one("manifests acknowledged");
                    self.world.tally.most("times one push brought what was missing", attempt as u64);
                    let asked = asked.expect("an answer");
                    asked.names(&spec.digest);
                    if spec.subject.as_ref().is_some_and(|subject| asked.reply.header("oci-subject") != subject) {
                        asked.unexpected("the response does not acknowledge the subject");
                    }
                    return;
                }
                Some(400) => {
                    self.world.ledger.end_push(id, tags, End::Refused);
                    self.push_missing(spec, &asked.expect("an answer")).await;
                }
                Some(_) => asked.expect("an answer").unexpected("a manifest was not accepted"),
            }
        }
        self.world.tally.one("pushes given up");
    }

    /// One `PUT`, by the first tag or by the digest.
    async fn put(&mut self, spec: &Spec, tags: &[String]) -> Option<Asked> {
        let (name, others) = match tags {
            [first, others @ ..] if self.dice.chance(50) => (first.as_str(), others),
            _ => (spec.digest.as_str(), tags),
        };
        let query: Vec<_> = others.iter().map(|tag| format!("tag={tag}")).collect();
        let target = format!("/v2/{}/manifests/{name}?{}", spec.repository, query.join("&"));
        self.world.ask_with(Method::PUT, &target, &[("content-type", spec.media_type)], spec.bytes.clone()).await
    }

    /// Pushes what a refusal names as missing.
    async fn push_missing(&mut self, spec: &Arc<Spec>, refused: &Asked) {
        let json = refused.reply.json();
        let errors = json["errors"].as_array().cloned().unwrap_or_default();
        if errors.is_empty() || errors.iter().any(|error| error["code"] != "MANIFEST_BLOB_UNKNOWN") {
            refused.unexpected("a manifest was refused");
        }
        self.world.tally.one("manifest pushes refused for missing references");
        for error in errors {
            let digest = error["detail"]["digest"].as_str().unwrap_or_default();
            self.world.is_rightly_missing(refused, spec.repository, digest);
            if let Some(content) = spec.blobs.iter().find(|content| content.digest == digest) {
                self.ensure_blob(spec.repository, content, false).await;
            } else if self.world.refuses_children
                && let Some((_, child)) = self.world.ledger.find(spec.repository, digest)
            {
                Box::pin(self.push(&child, &[])).await;
            } else {
                refused.unexpected("the digest named as missing is not one that may be required");
            }
        }
    }
}

/// A client that deletes what others pushed.
pub struct Deleter {
    pub world: Arc<World>,
    pub dice: Dice,
}

impl Deleter {
    /// Deletes manifests while there are many, until the campaign ends.
    pub async fn run(mut self) {
        while !self.world.is_ending() {
            if self.world.ledger.live() > self.world.crowd() || self.dice.chance(10) {
                self.delete().await;
            } else {
                rest(&self.world, self.dice.millis(0..50)).await;
            }
        }
    }

    async fn delete(&mut self) {
        if let Some((id, spec)) = self.world.ledger.any(&mut self.dice) {
            self.world.delete(id, &spec).await;
        }
    }
}

impl World {
    async fn delete(&self, id: Id, spec: &Spec) {
        self.ledger.begin_delete(id);
        let asked = self.ask(Method::DELETE, &manifest(spec), "").await;
        let end = match asked.as_ref().map(Asked::status) {
            None => End::Lost,
            Some(202) => End::Done,
            Some(404) => End::Missing,
            Some(_) => asked.expect("an answer").unexpected("a manifest was not deleted"),
        };
        if let Err(why) = self.ledger.end_delete(id, end) {
            asked.expect("an answer").unexpected(&why);
        }
        self.tally.one(format!("deletions of manifests {}", outcome(end)));
    }

    /// At the end: deletes every index that lists a deleted manifest, so that the rest is complete.
    pub async fn delete_what_is_not_whole(&self) {
        loop {
            let now = self.ledger.now();
            let is_there = |spec: &Spec, child: &String| {
                self.ledger.find(spec.repository, child).is_some_and(|(id, _)| self.ledger.is_promised(id, now))
            };
            let mut all = self.ledger.all();
            all.retain(|(id, spec)| {
                !self.ledger.is_gone(*id, now) && spec.children.iter().any(|child| !is_there(spec, child))
            });
            if all.is_empty() {
                return;
            }
            for (id, spec) in all {
                self.delete(id, &spec).await;
            }
        }
    }
}

fn outcome(end: End) -> &'static str {
    match end {
        End::Done => "done",
        End::Missing => "that found nothing",
        End::Refused | End::Lost => "lost",
    }
}
