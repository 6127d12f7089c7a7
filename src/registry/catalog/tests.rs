//! The lazy walk against a sorted list: for any tree, page and starting point.

use super::*;
use crate::{
    registry::{Everything, Settings},
    storage::{Durability, FactKey, Facts, Mem, Put},
};
use oci::{Digest, Hasher};
use proptest::prelude::*;
use std::{collections::BTreeMap, sync::Arc};

/// What a name has: manifests by some algorithm make it a repository, a blob alone does not.
#[derive(Clone, Copy, Debug)]
enum Has {
    Manifest(Algorithm),
    BlobOnly,
}

fn digest(algorithm: Algorithm) -> Digest {
    Hasher::digest(algorithm, b"x")
}

async fn registry(tree: &BTreeMap<String, Has>) -> Registry {
    let store = Mem::default();
    for (name, has) in tree {
        let name = name.parse().unwrap();
        let key = match has {
            Has::Manifest(algorithm) => FactKey::Revision(name, digest(*algorithm)),
            Has::BlobOnly => FactKey::Layer(name, digest(Algorithm::Sha256)),
        };
        store.put(vec![Put::any(key, "")], Durability::Process).await.unwrap();
    }
    Registry::new(Arc::new(store), Arc::new(Settings { page_default: 4, page_max: 7, ..Settings::default() }))
}

/// Names on either side of `/` in byte order, in trees that share prefixes.
fn name() -> impl Strategy<Value = String> {
    "(a|b)((-|--|\\.|_|__|)(a|b|0)){0,2}(/(a|b)((-|\\.|_)(a|b|0)){0,2}){0,3}"
}

fn tree() -> impl Strategy<Value = BTreeMap<String, Has>> {
    let has = prop_oneof![
        4 => Just(Has::Manifest(Algorithm::Sha256)),
        1 => Just(Has::Manifest(Algorithm::Sha512)),
        1 => Just(Has::BlobOnly),
    ];
    prop::collection::btree_map(name(), has, 0..40)
}

/// The start of a page: at a name of the tree or near it, at any other, or at no name at all.
#[derive(Clone, Debug)]
enum Last {
    Of(prop::sample::Index, &'static str),
    Other(String),
}

fn last() -> impl Strategy<Value = Last> {
    let after = prop::sample::select(vec!["", "/", "-", "-a", ".", "0", "/a", " ", "!", "\u{e9}", "~", "\0"]);
    prop_oneof![
        (any::<prop::sample::Index>(), after).prop_map(|(index, after)| Last::Of(index, after)),
        name().prop_map(Last::Other),
        "[ab0/._~A !-]{0,8}".prop_map(Last::Other),
        ".{0,6}".prop_map(Last::Other),
    ]
}

impl Last {
    fn text(&self, tree: &BTreeMap<String, Has>) -> String {
        match self {
            Self::Of(index, after) if !tree.is_empty() => {
                format!("{}{after}", tree.keys().nth(index.index(tree.len())).unwrap())
            }
            Self::Of(_, after) => (*after).to_owned(),
            Self::Other(text) => text.clone(),
        }
    }
}

/// The repositories after `last`, found by sorting.
fn naive<'a>(tree: &'a BTreeMap<String, Has>, last: &str) -> Vec<&'a str> {
    let repositories = tree.iter().filter(|(_, has)| matches!(has, Has::Manifest(_))).map(|(name, _)| name.as_str());
    repositories.filter(|name| *name > last).collect()
}

/// Shows what is below one name, and says so of prefixes.
struct Below(String);

impl Visible for Below {
    fn shows(&self, repository: &RepositoryName) -> Shows {
        repository.as_str().starts_with(&format!("{}/", self.0)).into()
    }

    fn reaches(&self, prefix: &RepositoryName) -> bool {
        let (prefix, wanted) = (format!("{prefix}/"), format!("{}/", self.0));
        prefix.starts_with(&wanted) || wanted.starts_with(&prefix)
    }
}

/// Runs a future to its end, as properties are not async.
fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

fn texts(names: &[RepositoryName]) -> Vec<String> {
    names.iter().map(ToString::to_string).collect()
}

proptest! {
    #[test]
    fn a_page_equals_that_part_of_a_sorted_list(tree in tree(), last in last(), n in prop::option::of(0usize..10)) {
        let last = last.text(&tree);
        let page = wait(async { registry(&tree).await.catalog(Some(&last), n, &Everything).await.unwrap() });
        let expected = naive(&tree, &last);
        let most = n.unwrap_or(4).min(7);
        prop_assert_eq!(texts(&page.entries), &expected[..expected.len().min(most)], "after {:?}", last);
        prop_assert_eq!(page.more, most > 0 && expected.len() > most);
    }

    #[test]
    fn consecutive_pages_make_up_the_whole_list(tree in tree(), n in 1usize..8) {
        let found = wait(async {
            let registry = registry(&tree).await;
            let mut found: Vec<String> = Vec::new();
            loop {
                let page = registry.catalog(found.last().map(String::as_str), Some(n), &Everything).await.unwrap();
                found.extend(texts(&page.entries));
                if !page.more {
                    return found;
                }
            }
        });
        prop_assert_eq!(found, naive(&tree, ""));
    }

    #[test]
    fn callers_see_only_the_repositories_they_may_see(tree in tree(), below in name(), last in last()) {
        let last = last.text(&tree);
        let below = Below(below);
        let page = wait(async { registry(&tree).await.catalog(Some(&last), Some(7), &below).await.unwrap() });
        let mut expected = naive(&tree, &last);
        expected.retain(|name| matches!(below.shows(&name.parse().unwrap()), Shows::Yes));
        prop_assert_eq!(texts(&page.entries), &expected[..expected.len().min(7)]);
        prop_assert_eq!(page.more, expected.len() > 7, "no hint at what is not shown");
    }
}
