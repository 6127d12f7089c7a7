//! Pages of the catalog and of tag lists, compared with a sorted list.

use super::{grammar, text, wait};
use oci::{Digest, RepositoryName};
use std::{collections::BTreeSet, sync::Arc};
use wharfinger::{
    registry::{Everything, Registry, Settings},
    storage::{Durability, FactKey, Facts as _, Mem, Put},
};

/// A line with `n` or `-`, a line with `last`, then one name per line; `*` means many names.
pub fn catalog(data: &[u8]) {
    let Some(text) = text(data) else { return };
    let mut lines = text.split('\n');
    let (Some(n), Some(last)) = (lines.next(), lines.next()) else { return };
    let Ok(n) = (if n == "-" { Ok(None) } else { n.parse::<usize>().map(Some) }) else { return };
    let mut names = BTreeSet::new();
    for line in lines.take(40) {
        match line.split_once('*') {
            // More than the walk reads in one step.
            Some((before, after)) => names.extend((0..300).map(|i| format!("{before}{i}{after}"))),
            None => drop(names.insert(line.to_owned())),
        }
    }
    if names.len() > 1000 {
        return;
    }
    wait(async {
        let store = Arc::new(Mem::default());
        let digest: Digest = format!("sha256:{}", "0".repeat(64)).parse().unwrap();
        let home: RepositoryName = "home".parse().unwrap();
        let mut puts = vec![Put::any(FactKey::Revision(home.clone(), digest.clone()), "{}")];
        for name in &names {
            if let Ok(name) = name.parse() {
                puts.push(Put::any(FactKey::Revision(name, digest.clone()), "{}"));
            }
            if let Ok(tag) = name.parse() {
                puts.push(Put::any(FactKey::Tag(home.clone(), tag), "x"));
            }
        }
        store.put(puts, Durability::Process).await.unwrap();
        let settings = Settings { page_default: 7, page_max: 500, ..Settings::default() };
        let registry = Registry::new(store, Arc::new(settings));
        let after = Some(last).filter(|last| !last.is_empty());

        let of = |is: fn(&str) -> bool, also: Option<&str>| -> Vec<String> {
            let all: BTreeSet<&str> = names.iter().map(String::as_str).chain(also).collect();
            all.into_iter().filter(|name| is(name) && *name > last).map(str::to_owned).collect()
        };
        let repositories = of(grammar::is_name, Some("home"));
        let page = registry.catalog(after, n, &Everything).await.unwrap();
        let most = n.unwrap_or(7).min(500);
        let entries: Vec<_> = page.entries.iter().map(ToString::to_string).collect();
        assert_eq!(entries, repositories[..most.min(repositories.len())], "the catalog");
        assert_eq!(page.more, most > 0 && repositories.len() > most, "more of the catalog");

        let tags = of(grammar::is_tag, None);
        let page = registry.repository(&home).tags(after, n).await.unwrap();
        let most = n.map_or(usize::MAX, |n| n.min(500));
        let entries: Vec<_> = page.entries.iter().map(ToString::to_string).collect();
        assert_eq!(entries, tags[..most.min(tags.len())], "the tags");
        assert_eq!(page.more, most > 0 && tags.len() > most, "more of the tags");
    });
}
