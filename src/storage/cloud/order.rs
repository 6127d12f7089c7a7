//! Names in the order that [`Objects::level`](crate::storage::objects::Objects::level) promises, from servers that have
//! another.
//!
//! S3 sorts keys as bytes: `team-x/…` comes before `team/…`. Servers that keep objects as files sort segment by segment,
//! and list `team/…` first. What differs is only where a directory stands among the names that begin with its own name
//! and one of the characters before `/`.

use std::cmp::Ordering;

/// A name, and whether it is a directory.
pub(super) type LevelName = (String, bool);

/// Whether a name comes after this text: as bytes, a directory with its `/`.
pub(super) fn is_after((name, is_dir): &LevelName, after: &str) -> bool {
    let slash: &[u8] = if *is_dir { b"/" } else { b"" };
    name.bytes().chain(slash.iter().copied()).cmp(after.bytes()) == Ordering::Greater
}

/// Whether a key comes after another: as bytes, or segment by segment.
pub(super) fn follows(key: &str, after: &str, as_bytes: bool) -> bool {
    if as_bytes { key > after } else { key.split('/').gt(after.split('/')) }
}

/// A text that comes before this name and its directory in either order, and before little else.
pub(super) fn before(name: &str) -> String {
    let mut text = name.to_owned();
    match text.pop() {
        None => String::new(),
        // The character before '0' would be the slash.
        Some('0') => text + ".~",
        Some(last) => {
            text.extend(char::from_u32((last as u32).saturating_sub(1)));
            text + "~"
        }
    }
}

/// The directories that come after this name as bytes, but before it segment by segment, shortest first.
pub(super) fn passed(name: &str) -> impl Iterator<Item = &str> {
    let places = name.bytes().enumerate().filter(|(at, byte)| *at > 0 && *byte < b'/');
    places.filter_map(|(at, _)| name.get(..at))
}

/// Takes names segment by segment, and gives them back in the order of bytes.
#[derive(Debug, Default)]
pub(super) struct Resorted {
    /// Directories that may come later, each beginning with the name of the one below it.
    held: Vec<String>,
    pub(super) names: Vec<LevelName>,
}

impl Resorted {
    /// Begins with directories that the list has passed already, shortest first.
    pub(super) fn after(held: Vec<String>) -> Self {
        Self { held, names: Vec::new() }
    }

    pub(super) fn push(&mut self, (name, is_dir): LevelName) {
        while let Some(dir) = self.held.pop_if(|dir| !precedes(&name, dir)) {
            self.names.push((dir, true));
        }
        match is_dir {
            true => self.held.push(name),
            false => self.names.push((name, false)),
        }
    }

    /// All names have come.
    pub(super) fn finish(&mut self) {
        self.names.extend(self.held.drain(..).rev().map(|dir| (dir, true)));
    }
}

/// Whether a name comes before a directory as bytes, although it follows segment by segment.
fn precedes(name: &str, dir: &str) -> bool {
    name.strip_prefix(dir).and_then(|rest| rest.bytes().next()).is_some_and(|next| next < b'/')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn as_bytes((name, is_dir): &LevelName) -> String {
        format!("{name}{}", if *is_dir { "/" } else { "" })
    }

    proptest! {
        #[test]
        fn names_come_back_in_the_order_of_bytes(
            names in prop::collection::btree_set(("[a-b0.\\-]{1,4}", any::<bool>()), 0..40),
            cursor in "[a-b0.\\-]{0,3}/?",
        ) {
            // Segment by segment, which is how a set of pairs is sorted, files first.
            let names: BTreeSet<LevelName> = names;
            let name = cursor.trim_end_matches('/');
            let held = passed(name).filter(|dir| names.contains(&((*dir).to_owned(), true))).map(str::to_owned);
            let mut resorted = Resorted::after(held.collect());
            let start = before(name);
            for found in names.iter().filter(|(name, _)| *name > start && is_after(&(name.clone(), true), "")) {
                if is_after(found, &cursor) && (found.0.as_str() >= name) {
                    resorted.push(found.clone());
                }
            }
            resorted.finish();
            let mut expected: Vec<_> = names.iter().filter(|name| is_after(name, &cursor)).cloned().collect();
            expected.sort_by_key(as_bytes);
            prop_assert_eq!(resorted.names, expected);
        }
    }

    #[test]
    fn a_text_before_a_name_is_before_it_in_either_order() {
        for name in ["a", "team", "a0", "a-b", "0", "!"] {
            let text = before(name);
            assert!(text.as_str() < name && !text.contains('/'), "{text:?} {name:?}");
        }
    }
}
