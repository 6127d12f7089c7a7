//! What each tag may point to. Only its owner sets and deletes a tag, one request after the other. It is also deleted
//! together with its manifest, by any client.

use crate::ledger::{End, Id, Moment};
use std::collections::HashMap;

/// The manifest that a tag points to; `None` if there is no such tag.
pub type Tag = Option<Id>;

struct State {
    may_be: Vec<Tag>,
    /// Since when this is true.
    since: Moment,
    /// Its owner is deleting it and nobody deletes its manifest, so it must exist.
    is_sure: bool,
}

/// The tags of all repositories.
#[derive(Default)]
pub struct Tags(HashMap<(&'static str, String), State>);

impl Tags {
    fn state(&mut self, repository: &'static str, tag: &str) -> &mut State {
        let fresh = || State { may_be: vec![None], since: 0, is_sure: false };
        self.0.entry((repository, tag.to_owned())).or_insert_with(fresh)
    }

    /// A push begins, or ended without a response.
    pub fn may_be(&mut self, repository: &'static str, tag: &str, value: Tag, now: Moment) {
        let state = self.state(repository, tag);
        if !state.may_be.contains(&value) {
            state.may_be.push(value);
        }
        state.since = now;
    }

    /// A push was acknowledged.
    pub fn is(&mut self, repository: &'static str, tag: &str, values: &[Tag], now: Moment) {
        let state = self.state(repository, tag);
        (state.may_be, state.since) = (values.to_vec(), now);
    }

    /// A manifest is being deleted.
    pub fn may_lose(&mut self, repository: &str, id: Id, now: Moment) {
        for state in self.pointing(repository, id) {
            if !state.may_be.contains(&None) {
                state.may_be.push(None);
            }
            (state.since, state.is_sure) = (now, false);
        }
    }

    /// A manifest was deleted, and nobody pushed it meanwhile.
    pub fn have_lost(&mut self, repository: &str, id: Id, now: Moment) {
        for state in self.pointing(repository, id) {
            state.may_be.retain(|value| *value != Some(id));
            state.since = now;
        }
    }

    fn pointing<'a>(&'a mut self, repository: &str, id: Id) -> impl Iterator<Item = &'a mut State> {
        let of_repository = self.0.iter_mut().filter(move |((of, _), _)| *of == repository);
        of_repository.map(|(_, state)| state).filter(move |state| state.may_be.contains(&Some(id)))
    }

    /// The owner is about to delete a tag.
    pub fn untagging(&mut self, repository: &'static str, tag: &str, now: Moment) {
        let state = self.state(repository, tag);
        state.is_sure = !state.may_be.contains(&None);
        self.may_be(repository, tag, None, now);
    }

    /// The owner's deletion of a tag ended.
    pub fn untagged(&mut self, repository: &'static str, tag: &str, end: End, now: Moment) -> Result<(), String> {
        let state = self.state(repository, tag);
        let was_sure = state.is_sure;
        if matches!(end, End::Done | End::Missing) {
            self.is(repository, tag, &[None], now);
        }
        match was_sure && end == End::Missing {
            true => Err("an acknowledged tag is missing".to_owned()),
            false => Ok(()),
        }
    }

    /// What a tag may point to, if this has not changed since then.
    pub fn known(&self, repository: &'static str, tag: &str, since: Moment) -> Option<&[Tag]> {
        let state = self.0.get(&(repository, tag.to_owned()))?;
        (state.since <= since).then_some(&state.may_be)
    }

    /// All tags that were ever set in a repository.
    pub fn names(&self, repository: &str) -> Vec<String> {
        self.0.keys().filter(|(of, _)| *of == repository).map(|(_, tag)| tag.clone()).collect()
    }
}
