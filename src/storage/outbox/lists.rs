//! Lists of what is behind the journal, with what waits in it.
//!
//! What waits is looked at first. So a write that is uploaded meanwhile is seen there, or behind it, or in both.

use super::WriteBehindState;
use crate::storage::objects::{ListedObject, ObjectLevel, ObjectMeta, ObjectPage, ObjectResult, Objects};
use std::collections::BTreeMap;

impl<O: Objects> WriteBehindState<O> {
    pub(super) async fn list(&self, prefix: &str, after: Option<&str>, most: usize) -> ObjectResult<ObjectPage> {
        let mut after = after.map(str::to_owned);
        loop {
            let waiting: BTreeMap<String, Option<ObjectMeta>> = {
                let waiting = self.waiting();
                // More than fit on the page cannot be on it, but what is removed takes no place.
                let mut left = most.saturating_add(1);
                let found = waiting.below(prefix, after.as_deref()).take_while(|(_, meta)| {
                    left = left.saturating_sub(usize::from(meta.is_some()));
                    left > 0
                });
                found.map(|(key, meta)| (key.clone(), meta)).collect()
            };
            let cut = waiting.iter().filter(|(_, meta)| meta.is_some()).count() >= most;
            let behind = self.list_behind(prefix, after.as_deref(), most).await?;
            // Behind this key, the page knows nothing.
            let horizon = match (behind.more, behind.objects.last()) {
                (true, Some(last)) => Some(last.key.clone()),
                _ => None,
            };
            let horizon = match (horizon, cut.then(|| waiting.keys().next_back().cloned()).flatten()) {
                (Some(a), Some(b)) => Some(a.min(b)),
                (a, b) => a.or(b),
            };
            let mut merged: BTreeMap<String, ListedObject> = BTreeMap::new();
            for object in behind.objects {
                merged.insert(object.key.clone(), object);
            }
            for (key, meta) in waiting {
                match meta {
                    Some(meta) => {
                        let object = ListedObject { key: key.clone(), len: meta.len, modified: meta.modified };
                        merged.insert(key, object);
                    }
                    None => {
                        merged.remove(&key);
                    }
                }
            }
            let mut objects: Vec<_> = merged.into_values().collect();
            if let Some(horizon) = &horizon {
                objects.retain(|object| object.key <= *horizon);
            }
            let more = horizon.is_some() || objects.len() > most;
            objects.truncate(most);
            match (objects.is_empty(), horizon) {
                // Everything on this page is being removed.
                (true, Some(horizon)) => after = Some(horizon),
                _ => return Ok(ObjectPage { objects, more }),
            }
        }
    }

    pub(super) async fn level(&self, dir: &str, after: Option<&str>, most: usize) -> ObjectResult<ObjectLevel> {
        let prefix = format!("{dir}/");
        let mut after = after.map(str::to_owned);
        loop {
            // Names that appear, and those below which something is removed.
            let (mut appear, mut shrink) = (BTreeMap::new(), BTreeMap::new());
            {
                let waiting = self.waiting();
                for (key, meta) in waiting.below(&prefix, None) {
                    let Some(below) = key.strip_prefix(&prefix) else { continue };
                    let name = below.find('/').map_or(below, |at| below.get(..=at).unwrap_or(below));
                    if after.as_deref().is_some_and(|after| name <= after) {
                        continue;
                    }
                    let names = if meta.is_some() { &mut appear } else { &mut shrink };
                    names.insert(name.to_owned(), ());
                }
            }
            let behind = self.level_behind(dir, after.as_deref(), most).await?;
            let slashed = |(name, is_dir): (String, bool)| if is_dir { name + "/" } else { name };
            let mut names: BTreeMap<String, ()> = behind.names.into_iter().map(|name| (slashed(name), ())).collect();
            let horizon = behind.more.then(|| names.keys().next_back().cloned()).flatten();
            for (name, ()) in shrink {
                let is_left = match name.ends_with('/') {
                    true if appear.contains_key(&name) || !names.contains_key(&name) => continue,
                    true => !self.list(&format!("{prefix}{name}"), None, 1).await?.objects.is_empty(),
                    false => false,
                };
                if !is_left {
                    names.remove(&name);
                }
            }
            names.extend(appear);
            let mut names: Vec<String> = names.into_keys().collect();
            if let Some(horizon) = &horizon {
                names.retain(|name| name <= horizon);
            }
            let more = horizon.is_some() || names.len() > most;
            names.truncate(most);
            match (names.is_empty(), horizon) {
                (true, Some(horizon)) => after = Some(horizon),
                _ => {
                    let split = |name: String| match name.strip_suffix('/') {
                        Some(dir) => (dir.to_owned(), true),
                        None => (name, false),
                    };
                    return Ok(ObjectLevel { names: names.into_iter().map(split).collect(), more });
                }
            }
        }
    }
}
