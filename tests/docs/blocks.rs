//! Examples of access rules and settings in the pages can be loaded.

use super::{pages, write};
use wharfinger::{
    access::Policy,
    config::{Env, KEYS, LISTS, Live},
};

/// The blocks of a page in a language.
fn blocks<'a>(text: &'a str, language: &'a str) -> impl Iterator<Item = &'a str> {
    text.split("```").skip(1).step_by(2).filter_map(move |block| block.strip_prefix(language)?.strip_prefix('\n'))
}

#[test]
fn examples_of_access_rules_can_be_loaded() {
    let mut loaded = 0;
    for (page, text) in pages() {
        for block in blocks(&text, "json") {
            let rules = match block {
                block if block.starts_with("{\"repository\"") => format!("{{\"rules\": [{block}]}}"),
                block if ["\"rules\"", "\"groups\""].iter().any(|key| block.contains(key)) => block.to_owned(),
                _ => continue,
            };
            if let Err(problems) = Policy::parse(&rules) {
                panic!("{page}: {problems:?}: {rules}");
            }
            loaded += 1;
        }
    }
    assert!(loaded >= 5, "{loaded}");
}

#[test]
fn examples_of_settings_can_be_loaded() {
    let dir = tempfile::tempdir().unwrap();
    let sections = KEYS.iter().map(|key| key.section).chain(LISTS.iter().map(|list| list.section));
    let sections: Vec<&str> = sections.collect();
    let mut loaded = 0;
    for (page, text) in pages() {
        for block in blocks(&text, "toml") {
            let mut headers = block.lines().filter(|line| line.starts_with('['));
            let ours = |line: &str| sections.contains(&line.trim_matches(['[', ']']));
            if headers.next().is_none_or(|line| !ours(line)) {
                continue;
            }
            let path = write(dir.path(), "settings.toml", block);
            let (env, _) = Env::load([], None, [("REGISTRY_SETTINGS", path.into())]).unwrap();
            if let Err(problems) = Live::load(&env) {
                panic!("{page}: {problems}: {block}");
            }
            loaded += 1;
        }
    }
    assert!(loaded >= 5, "{loaded}");
}
