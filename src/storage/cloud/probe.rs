//! Finds out what a bucket can do by trying it: not every server that takes a condition keeps it.

use super::objects::CloudObjects;
use crate::{
    files::world,
    storage::objects::{ObjectAbilities, ObjectError, ObjectResult, ObjectTag, Objects as _, PutWhen},
};
use bytes::Bytes;

/// What was found.
#[derive(Clone, Debug)]
pub struct Probed {
    pub abilities: ObjectAbilities,
    /// Lists are in the order of bytes. Otherwise pages of names need more requests.
    pub(super) is_ordered: bool,
    /// The findings in words, a line each.
    pub words: Vec<String>,
}

/// One try: a directory of its own, which is removed afterwards.
struct Attempt<'a> {
    objects: &'a CloudObjects,
    dir: String,
}

/// What the keys of all probes begin with.
pub(super) const PROBES: &str = "probe/";

const ONE: &[u8] = b"one";
const OTHER: &[u8] = b"other";

/// Tries everything that the store over it needs.
///
/// # Errors
/// The bucket cannot be reached or used, or is not safe to use: a sentence says why.
pub(super) async fn probe(objects: &CloudObjects) -> ObjectResult<Probed> {
    let attempt = Attempt { objects, dir: format!("{PROBES}{}", world::ulid()) };
    let found = attempt.everything().await;
    attempt.clean().await;
    found
}

impl Attempt<'_> {
    async fn everything(&self) -> ObjectResult<Probed> {
        self.reads_see_writes().await?;
        let put_absent = self.put_absent().await?;
        let (put_match, delete_match) = match self.put_match().await? {
            true => (true, self.delete_match().await?),
            false => (false, false),
        };
        let copy = self.copies().await?;
        let parts = self.parts().await?;
        let is_ordered = self.is_ordered().await?;
        let abilities = ObjectAbilities { put_absent, put_match, delete_match, copy, parts, ..ObjectAbilities::ALL };
        let say = |can: bool, what: &str| format!("{what}: {}", if can { "yes" } else { "no" });
        let order = match is_ordered {
            true => "lists are in the order of bytes",
            false => "lists are in another order than that of bytes; long lists of repositories cost more requests",
        };
        let words = vec![
            "reads and lists see every write: yes".to_owned(),
            say(put_absent, "writes on condition that nothing is there"),
            say(put_match, "writes on condition that nothing has changed"),
            say(delete_match, "deletions on condition that nothing has changed"),
            say(copy, "copies on the server"),
            say(parts, "objects in parts"),
            order.to_owned(),
        ];
        Ok(Probed { abilities, is_ordered, words })
    }

    fn key(&self, name: &str) -> String {
        format!("{}/{name}", self.dir)
    }

    async fn put(&self, name: &str, bytes: &'static [u8], when: PutWhen) -> ObjectResult<Option<ObjectTag>> {
        self.objects.put(&self.key(name), vec![Bytes::from_static(bytes)], when).await
    }

    async fn read(&self, name: &str) -> ObjectResult<Bytes> {
        self.objects.get(&self.key(name), None).await?.collect().await
    }

    /// Every read and list must see what was written, replaced and deleted before.
    async fn reads_see_writes(&self) -> ObjectResult<()> {
        let unsafe_to_use = |what: &str| ObjectError::Other {
            why: format!("{what}: only stores with strong consistency can be used, and nothing was stored here"),
        };
        let listed = || async {
            let page = self.objects.list(&self.key(""), None, 10).await?;
            Ok::<_, ObjectError>(page.objects.into_iter().map(|object| object.key).collect::<Vec<_>>())
        };
        self.put("first", ONE, PutWhen::Any).await?;
        if self.read("first").await? != ONE {
            return Err(unsafe_to_use("a read did not return what was just written"));
        }
        if listed().await? != [self.key("first")] {
            return Err(unsafe_to_use("a list did not show what was just written"));
        }
        self.put("first", OTHER, PutWhen::Any).await?;
        if self.read("first").await? != OTHER {
            return Err(unsafe_to_use("a read returned what was just replaced"));
        }
        self.objects.delete(vec![self.key("first")]).await?;
        match self.objects.head(&self.key("first")).await {
            Err(ObjectError::Absent) => {}
            Ok(_) => return Err(unsafe_to_use("a read found what was just deleted")),
            Err(error) => return Err(error),
        }
        match listed().await?.is_empty() {
            true => Ok(()),
            false => Err(unsafe_to_use("a list showed what was just deleted")),
        }
    }

    async fn put_absent(&self) -> ObjectResult<bool> {
        match self.put("absent", ONE, PutWhen::Absent).await {
            Ok(_) => {}
            Err(error) => return is_unknown(error),
        }
        let again = self.put("absent", OTHER, PutWhen::Absent).await;
        Ok(matches!(again, Err(ObjectError::Changed)) && self.read("absent").await? == ONE)
    }

    async fn put_match(&self) -> ObjectResult<bool> {
        let Some(first) = self.put("match", ONE, PutWhen::Any).await? else { return Ok(false) };
        let second = match self.put("match", OTHER, PutWhen::Is(first.clone())).await {
            Ok(Some(second)) => second,
            Ok(None) | Err(ObjectError::Changed) => return Ok(false),
            Err(error) => return is_unknown(error),
        };
        let stale = self.put("match", ONE, PutWhen::Is(first)).await;
        // Some servers keep the condition only where there is an object.
        let missing = self.put("missing", ONE, PutWhen::Is(second)).await;
        let is_refused = |done: &ObjectResult<_>| matches!(done, Err(ObjectError::Changed | ObjectError::Absent));
        Ok(is_refused(&stale) && is_refused(&missing) && self.read("match").await? == OTHER)
    }

    async fn delete_match(&self) -> ObjectResult<bool> {
        if !self.objects.abilities().delete_match {
            return Ok(false);
        }
        let Some(stale) = self.put("delete", ONE, PutWhen::Any).await? else { return Ok(false) };
        let Some(tag) = self.put("delete", OTHER, PutWhen::Any).await? else { return Ok(false) };
        let refused = self.objects.delete_match(&self.key("delete"), &stale).await;
        if !matches!(refused, Err(ObjectError::Changed)) || self.objects.head(&self.key("delete")).await.is_err() {
            return Ok(false);
        }
        match self.objects.delete_match(&self.key("delete"), &tag).await {
            Ok(()) => Ok(matches!(self.objects.head(&self.key("delete")).await, Err(ObjectError::Absent))),
            Err(error) => is_unknown(error),
        }
    }

    async fn copies(&self) -> ObjectResult<bool> {
        self.put("from", ONE, PutWhen::Any).await?;
        match self.objects.copy(&self.key("from"), &self.key("to")).await {
            Ok(()) => Ok(self.read("to").await? == ONE),
            Err(error) => is_unknown(error),
        }
    }

    async fn parts(&self) -> ObjectResult<bool> {
        let key = self.key("parts");
        let id = match self.objects.begin_parts(&key).await {
            Ok(id) => id,
            Err(error) => return is_unknown(error),
        };
        let part = self.objects.put_part(&key, &id, 0, vec![Bytes::from_static(ONE)]).await?;
        self.objects.complete_parts(&key, &id, &[part]).await?;
        Ok(self.read("parts").await? == ONE)
    }

    async fn is_ordered(&self) -> ObjectResult<bool> {
        // As files, `a/x` would be before `a-b`.
        for name in ["order/a/x", "order/a-b", "order/a0"] {
            self.put(name, ONE, PutWhen::Any).await?;
        }
        let page = self.objects.list(&self.key("order/"), None, 10).await?;
        let keys: Vec<_> = page.objects.iter().map(|object| object.key.as_str()).collect();
        Ok(keys == ["order/a-b", "order/a/x", "order/a0"].map(|name| self.key(name)))
    }

    /// Removes what was tried. What remains after a failure is small, and no part of any registry.
    async fn clean(&self) {
        while let Ok(page) = self.objects.list(&self.key(""), None, 100).await {
            let keys: Vec<_> = page.objects.into_iter().map(|object| object.key).collect();
            if keys.is_empty() || self.objects.delete(keys).await.is_err() || !page.more {
                return;
            }
        }
    }
}

/// A request that a server does not know is an ability that it lacks; anything else is a failure.
fn is_unknown(error: ObjectError) -> ObjectResult<bool> {
    match error {
        ObjectError::Other { .. } | ObjectError::Changed | ObjectError::Absent => Ok(false),
        error => Err(error),
    }
}
