//! Intents, read for marking; and those of pushes that ended without an answer, brought to their end
//! in two steps: an expired intent is still a root, and its push may not be answered any more.

use super::{PAGE, Pass, Result, Step, roots::Walk};
use crate::{
    oci::RepositoryName,
    registry::{self, Registry, intent::Intent},
    storage::{Dir, Fact, Key, PushId, key},
};

impl Pass<'_> {
    /// Lets the intents expire whose pushes must have ended, and removes the expired.
    pub(super) async fn tidy_intents(&mut self) -> Result<()> {
        if self.options.dry_run {
            return Ok(());
        }
        let mut walk = Walk::default();
        while let Some(repository) = walk.next(self.registry).await? {
            self.at(Step::Intents, self.report.intents).await;
            // They stay roots then, and wait for the next collection.
            if let Err(error) = self.tidy_intents_of(&repository).await {
                self.report.error(&error);
            }
        }
        Ok(())
    }

    async fn tidy_intents_of(&mut self, repository: &RepositoryName) -> registry::Result<()> {
        let store = &self.registry.core.store;
        // The expired first: what expires now is to be a root for another pass at least.
        for (push, fact) in self.registry.intent_facts(repository, true).await? {
            if self.is_older(fact.written, self.timing.settle * 2) {
                store.discard(&Key::ExpiredIntent(repository.clone(), push)).await?;
                self.report.intents += 1;
            }
        }
        for (push, fact) in self.registry.intent_facts(repository, false).await? {
            if self.is_over(repository, &fact).await? {
                let expired = Key::ExpiredIntent(repository.clone(), push);
                store.rename(&Key::Intent(repository.clone(), push), &expired).await?;
                self.report.intents += 1;
            }
        }
        Ok(())
    }

    /// Whether a push must have ended: whoever ran it has, and its lease is over or its manifest has
    /// long been there. What pushed and lives removes its intents itself; a push that is merely slow
    /// would leave a manifest behind that lacks what it refers to, if it were killed then.
    async fn is_over(&self, repository: &RepositoryName, intent: &Fact) -> registry::Result<bool> {
        let store = &self.registry.core.store;
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
        let published = store.get(&Key::Revision(repository.clone(), read.manifest)).await?;
        Ok(self.is_older(intent.written, self.timing.settle)
            && published.is_some_and(|fact| self.is_older(fact.written, self.timing.settle)))
    }
}

impl Registry {
    /// What pushes under way refer to. The active ones are read first: one that expires meanwhile
    /// is found among the expired.
    pub(in crate::registry) async fn intents(&self, repository: &RepositoryName) -> registry::Result<Vec<Intent>> {
        let mut intents = Vec::new();
        for expired in [false, true] {
            for (_, fact) in self.intent_facts(repository, expired).await? {
                // What a power failure left of one is nobody's: its push is dead.
                intents.extend(Intent::read(&fact.bytes));
            }
        }
        Ok(intents)
    }

    async fn intent_facts(&self, repository: &RepositoryName, expired: bool) -> registry::Result<Vec<(PushId, Fact)>> {
        let store = &self.core.store;
        let dir = Dir::Intents(repository.clone());
        let mut facts = Vec::new();
        let mut after: Option<String> = None;
        loop {
            let page = store.children(&dir, after.as_deref(), PAGE).await?;
            let intents = page.entries.iter().filter_map(|child| key::intent(&child.name));
            for (push, _) in intents.filter(|(_, is_expired)| *is_expired == expired) {
                let key = match expired {
                    true => Key::ExpiredIntent(repository.clone(), push),
                    false => Key::Intent(repository.clone(), push),
                };
                if let Some(fact) = store.get(&key).await? {
                    facts.push((push, fact));
                }
            }
            after = page.entries.into_iter().next_back().map(|child| child.name);
            if !page.more {
                return Ok(facts);
            }
        }
    }
}
