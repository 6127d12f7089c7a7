//! Clients that pull, during a campaign and at its end: acknowledged content must exist with the right bytes, and
//! deleted content must not.

use crate::{
    content::{Content, REPOSITORIES, Spec},
    dice::Dice,
    ledger::{Id, Moment},
    world::{World, manifest, rest},
};
use http::Method;
use serde_json::Value;
use std::{
    collections::HashSet,
    sync::{Arc, Mutex},
};
use testing::session::{Reply, sha256, sha512};

/// A client that pulls.
pub struct Reader {
    pub world: Arc<World>,
    pub dice: Dice,
}

impl Reader {
    /// Pulls until the campaign ends.
    pub async fn run(mut self) {
        while !self.world.is_ending() {
            match self.dice.below(10) {
                0 => {
                    if let Some((id, spec)) = self.world.ledger.any_gone(&mut self.dice) {
                        self.world.look(id, &spec).await;
                    }
                }
                1..3 => {
                    let repository = *self.dice.pick(&REPOSITORIES);
                    let tags = self.world.ledger.tags_of(repository);
                    if !tags.is_empty() {
                        let tag = self.dice.pick(&tags).clone();
                        self.world.look_at_tag(repository, &tag).await;
                    }
                }
                _ => self.pull().await,
            }
            rest(&self.world, self.dice.millis(0..10)).await;
        }
    }

    /// Pulls a manifest and its blobs.
    async fn pull(&mut self) {
        let Some((id, spec)) = self.world.ledger.any(&mut self.dice) else { return };
        let since = self.world.ledger.now();
        if self.world.look(id, &spec).await != Some(true) {
            return;
        }
        for content in &spec.blobs {
            self.world.look_at_blob(id, &spec, content, since).await;
        }
        if spec.subject.is_some() && self.dice.chance(50) {
            self.world.look_at_referrers(id, &spec).await;
        }
        self.world.tally.one("pulls during the campaign");
    }
}

impl World {
    /// Whether a manifest exists; `None` without a response. Panics if this contradicts the ledger.
    pub async fn look(&self, id: Id, spec: &Spec) -> Option<bool> {
        let asked = self.ask(Method::GET, &manifest(spec), "").await?;
        match asked.status() {
            200 if self.ledger.is_gone(id, asked.since) => asked.unexpected("a deleted manifest exists"),
            200 => {
                if asked.reply.body != spec.bytes || asked.reply.header("content-type") != spec.media_type {
                    asked.unexpected("another manifest");
                }
                asked.names(&spec.digest);
                Some(true)
            }
            404 if self.ledger.is_promised(id, asked.since) => asked.unexpected("an acknowledged manifest is missing"),
            404 => Some(false),
            _ => asked.unexpected("a manifest either exists or not"),
        }
    }

    /// The same for a blob of a manifest that existed at `since`.
    pub async fn look_at_blob(&self, id: Id, spec: &Spec, content: &Content, since: Moment) -> Option<bool> {
        let target = format!("/v2/{}/blobs/{}", spec.repository, content.digest);
        let asked = self.ask(Method::GET, &target, "").await?;
        match asked.status() {
            200 if is_content(&asked.reply, content) => Some(true),
            404 if self.ledger.is_promised(id, since) => {
                asked.unexpected(&format!("a blob of the acknowledged manifest {} is missing", spec.digest))
            }
            404 => Some(false),
            _ => asked.unexpected("other bytes"),
        }
    }

    /// Checks that a tag points to what it must.
    pub async fn look_at_tag(&self, repository: &'static str, tag: &str) -> Option<()> {
        let asked = self.ask(Method::GET, &format!("/v2/{repository}/manifests/{tag}"), "").await?;
        let found = match asked.status() {
            200 => Some(sha256(&asked.reply.body)),
            404 => None,
            _ => asked.unexpected("a tag either exists or not"),
        };
        // If the tag changed meanwhile, nothing can be asserted.
        if let Some(may_be) = self.ledger.tag(repository, tag, asked.since)
            && !may_be.contains(&found)
        {
            asked.unexpected(&format!("the tag points to {found:?} instead of {may_be:?}"));
        }
        Some(())
    }

    /// Checks that a manifest is among the referrers of its subject if it must be, and is not if it must not be.
    pub async fn look_at_referrers(&self, id: Id, spec: &Spec) -> Option<()> {
        let subject = spec.subject.as_deref()?;
        let target = format!("/v2/{}/referrers/{subject}", spec.repository);
        let asked = self.ask(Method::GET, &target, "").await?;
        if asked.status() != 200 {
            asked.unexpected("no list of referrers");
        }
        let json = asked.reply.json();
        let is_listed =
            json["manifests"].as_array().is_some_and(|list| list.iter().any(|d| d["digest"] == *spec.digest));
        if !is_listed && self.ledger.is_promised(id, asked.since) {
            asked.unexpected(&format!("the acknowledged referrer {} is not listed", spec.digest));
        }
        if is_listed && self.ledger.is_gone(id, asked.since) {
            asked.unexpected(&format!("the deleted referrer {} is listed", spec.digest));
        }
        Some(())
    }

    /// At the end: checks everything that was ever pushed, with several readers at once.
    pub async fn verify(self: &Arc<Self>) {
        let all = Arc::new(Mutex::new(self.ledger.all()));
        let pulled = Arc::new(Mutex::new(HashSet::new()));
        let mut readers = tokio::task::JoinSet::new();
        for _ in 0..8 {
            let (world, all, pulled) = (self.clone(), all.clone(), pulled.clone());
            readers.spawn(async move {
                while let Some((id, spec)) = { all.lock().unwrap().pop() } {
                    world.verify_one(id, &spec, &pulled).await;
                }
            });
        }
        while let Some(read) = readers.join_next().await {
            if let Err(e) = read {
                std::panic::resume_unwind(e.into_panic());
            }
        }
        for repository in REPOSITORIES {
            self.verify_tags(repository).await;
        }
    }

    async fn verify_one(&self, id: Id, spec: &Spec, pulled: &Mutex<HashSet<(&'static str, String)>>) {
        let since = self.ledger.now();
        self.look(id, spec).await.expect("an answer");
        if spec.subject.is_some() {
            self.look_at_referrers(id, spec).await.expect("an answer");
        }
        if self.ledger.is_gone(id, since) {
            self.tally.one("manifests verified to be gone");
        }
        if !self.ledger.is_promised(id, since) {
            return;
        }
        self.tally.one("manifests verified");
        for content in &spec.blobs {
            if pulled.lock().unwrap().insert((spec.repository, content.digest.clone())) {
                self.look_at_blob(id, spec, content, since).await.expect("an answer");
                self.tally.one("blobs verified");
            }
        }
    }

    /// Checks the tags of a repository, one by one and as a list.
    async fn verify_tags(&self, repository: &'static str) {
        let mut listed = HashSet::new();
        let asked = self.ask(Method::GET, &format!("/v2/{repository}/tags/list?n=1000"), "").await.expect("an answer");
        let list = if asked.status() == 200 { asked.reply.json()["tags"].clone() } else { Value::Null };
        listed.extend(list.as_array().into_iter().flatten().filter_map(|tag| tag.as_str().map(str::to_owned)));
        for tag in self.ledger.tags_of(repository) {
            self.look_at_tag(repository, &tag).await.expect("an answer");
            let may_be = self.ledger.tag(repository, &tag, asked.since).expect("no push is in progress");
            let is_right =
                if listed.contains(&tag) { may_be.iter().any(Option::is_some) } else { may_be.contains(&None) };
            if !is_right {
                asked.unexpected(&format!("the tag {tag} may point to {may_be:?}"));
            }
            self.tally.one("tags verified");
        }
    }
}

fn is_content(reply: &Reply, content: &Content) -> bool {
    let hash = if content.digest.starts_with("sha512:") { sha512 } else { sha256 };
    reply.body.len() == content.len && hash(&reply.body) == content.digest
}
