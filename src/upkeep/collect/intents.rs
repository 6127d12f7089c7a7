//! Reads intents for marking. Removes those of pushes that ended without an answer, in two steps: an expired intent
//! is still a root, but its push can no longer succeed.

use super::{CollectionStep, PAGE, Pass, Result, roots::RepositoryWalk};
use crate::{
    registry::{self, Intent, Repository},
    storage::{DirOf, Fact, FactKey, PushId},
};

impl Pass<'_> {
    /// Expires the intents of pushes that must have ended, and removes those that have expired.
    pub(super) async fn tidy_intents(&mut self) -> Result<()> {
        if self.options.dry_run {
            return Ok(());
        }
        let mut walk = RepositoryWalk::of(self.registry);
        while let Some(repository) = walk.next().await? {
            self.at(CollectionStep::Intents, self.report.intents).await;
            // They remain roots, and wait for the next collection.
            if let Err(error) = self.tidy_intents_of(&repository).await {
                self.report.error(&error);
            }
        }
        Ok(())
    }

    async fn tidy_intents_of(&mut self, repository: &Repository) -> registry::Result<()> {
        let (store, name) = (self.registry.store(), repository.name());
        // The expired ones first: an intent that expires now must stay a root for at least one more pass.
        for (push, fact) in repository.intent_facts(true).await? {
            if self.is_older(fact.written, self.timing.settle * 2) {
                store.discard(&FactKey::ExpiredIntent(name.clone(), push)).await?;
                self.report.intents += 1;
            }
        }
        for (push, fact) in repository.intent_facts(false).await? {
            if self.is_over(repository, &fact).await? {
                let expired = FactKey::ExpiredIntent(name.clone(), push);
                store.rename(&FactKey::Intent(name.clone(), push), &expired).await?;
                self.report.intents += 1;
            }
        }
        Ok(())
    }

    /// Whether a push must have ended: its process has ended, and its lease is over or its manifest has existed for
    /// long. A living process removes its own intents; if the intent of a slow push expired and the push were then
    /// killed, it could leave a manifest that lacks what it refers to.
    async fn is_over(&self, repository: &Repository, intent: &Fact) -> registry::Result<bool> {
        let store = self.registry.store();
        let read = Intent::read(&intent.bytes);
        if let Some(instance) = read.as_ref().and_then(|intent| intent.instance)
            && store.lives(instance).await?
        {
            return Ok(false);
        }
        if self.is_older(intent.written, self.timing.lease) {
            return Ok(true);
        }
        let Some(read) = read else { return Ok(false) };
        let published = store.get(&FactKey::Revision(repository.name().clone(), read.manifest)).await?;
        Ok(self.is_older(intent.written, self.timing.settle)
            && published.is_some_and(|fact| self.is_older(fact.written, self.timing.settle)))
    }
}

impl Repository {
    /// What active pushes refer to. Active intents are read first: one that expires meanwhile is found among the
    /// expired.
    pub(in crate::upkeep) async fn intents(&self) -> registry::Result<Vec<Intent>> {
        let mut intents = Vec::new();
        for expired in [false, true] {
            for (_, fact) in self.intent_facts(expired).await? {
                // A power failure left only a part of it: its push is dead.
                intents.extend(Intent::read(&fact.bytes));
            }
        }
        Ok(intents)
    }

    async fn intent_facts(&self, expired: bool) -> registry::Result<Vec<(PushId, Fact)>> {
        let mut intents = self.store().names(DirOf::intents(self.name()), PAGE);
        let mut facts = Vec::new();
        while let Some((push, is_expired)) = intents.next().await? {
            if is_expired != expired {
                continue;
            }
            let key = match expired {
                true => FactKey::ExpiredIntent(self.name().clone(), push),
                false => FactKey::Intent(self.name().clone(), push),
            };
            if let Some(fact) = self.store().get(&key).await? {
                facts.push((push, fact));
            }
        }
        Ok(facts)
    }
}
