//! Rules that never decide anything, because earlier rules decide for all of their users and repositories.
//!
//! What is reported is certain. Rules that only several earlier patterns together make unreachable are not found.

use super::policy::{Policy, Problem, Rule, Who};
use crate::oci::Pattern;
use std::collections::HashMap;

/// Steps of the search, so that no file makes a reload slow; what is not looked at by then is not reported.
const MOST_STEPS: usize = 1 << 20;

/// Warnings about the rules that can never match.
pub(super) fn warnings(policy: &Policy, patterns: &[Pattern]) -> Vec<Problem> {
    let mut groups_of = HashMap::<_, Vec<_>>::new();
    for (name, group) in &policy.groups {
        for member in &group.members {
            groups_of.entry(member.as_str()).or_default().push(Who::Group(name.clone()));
        }
    }
    let mut search = Search { patterns, groups_of, root: Node::default(), steps: 0 };
    let mut found = Vec::new();
    for (i, (rule, pattern)) in policy.rules.iter().zip(patterns).enumerate() {
        let parts: Vec<_> = pattern.as_str().split('/').collect();
        let message = match rule.users.is_empty() {
            true => Some("lists no users, so it never matches".to_owned()),
            false => search.shadow(rule, &parts),
        };
        if let Some(message) = message {
            found.push(Problem { line: rule.line, key: format!("rules[{i}]"), message });
        }
        search.root.insert(&parts, rule);
    }
    found
}

/// Earlier rules by the components of their patterns.
#[derive(Default)]
struct Node<'p> {
    next: HashMap<&'p str, Node<'p>>,
    /// Those of them that have a `*` beside other characters, or alone.
    globs: Vec<&'p str>,
    /// The first rule whose pattern ends here, for each entry of users.
    ending: HashMap<&'p Who, &'p Rule>,
}

impl<'p> Node<'p> {
    fn insert(&mut self, parts: &[&'p str], rule: &'p Rule) {
        match parts.split_first() {
            Some((part, rest)) => {
                if part.contains('*') && *part != "**" && !self.next.contains_key(part) {
                    self.globs.push(part);
                }
                self.next.entry(part).or_default().insert(rest, rule);
            }
            None => {
                for who in &rule.users {
                    self.ending.entry(who).or_insert(rule);
                }
            }
        }
    }
}

struct Search<'p> {
    /// The patterns of the rules.
    patterns: &'p [Pattern],
    /// The groups each user is in.
    groups_of: HashMap<&'p str, Vec<Who>>,
    root: Node<'p>,
    steps: usize,
}

impl<'p> Search<'p> {
    /// Why a rule can never match, if earlier ones decide for each of its users.
    fn shadow(&mut self, rule: &'p Rule, parts: &[&str]) -> Option<String> {
        let mut by = Vec::new();
        for who in &rule.users {
            let ends = |node: &Node<'p>| first_for(node, who, &self.groups_of);
            let earlier = covering(&self.root, parts, &mut self.steps, &ends)?;
            by.push(earlier);
        }
        by.sort_by_key(|rule| rule.number);
        by.dedup_by_key(|rule| rule.number);
        let pattern = |rule: &Rule| self.patterns.get(rule.number - 1).map(Pattern::as_str).unwrap_or_default();
        let named = by.iter().map(|rule| format!("rule {} (line {}: {:?})", rule.number, rule.line, pattern(rule)));
        let named = named.collect::<Vec<_>>().join(" and ");
        Some(format!("can never match: {named} comes first and covers the same users and repositories"))
    }
}

/// The first rule ending at a node that is about everyone an entry of users means.
fn first_for<'p>(node: &Node<'p>, who: &Who, groups_of: &HashMap<&str, Vec<Who>>) -> Option<&'p Rule> {
    let find = |who: &Who| node.ending.get(who).copied();
    match who {
        Who::Users | Who::Anonymous => find(who),
        Who::Group(_) => find(who).or_else(|| find(&Who::Users)),
        Who::User(name) => {
            let by_group = || groups_of.get(name.as_str())?.iter().find_map(find);
            find(who).or_else(|| find(&Who::Users)).or_else(by_group)
        }
    }
}

/// An earlier rule that `ends` accepts and whose pattern matches every name that the pattern of these parts matches.
fn covering<'p>(
    node: &Node<'p>,
    parts: &[&str],
    steps: &mut usize,
    ends: &dyn Fn(&Node<'p>) -> Option<&'p Rule>,
) -> Option<&'p Rule> {
    *steps += 1;
    if *steps > MOST_STEPS {
        return None;
    }
    let Some((part, rest)) = parts.split_first() else { return ends(node) };
    if let Some(same) = node.next.get(part)
        && let Some(rule) = covering(same, rest, steps, ends)
    {
        return Some(rule);
    }
    if let Some(many) = node.next.get("**") {
        // It stands for the next components, as many as it takes, or for none before others.
        for taken in usize::from(many.next.is_empty())..=parts.len() {
            if let Some(rule) = covering(many, &parts[taken..], steps, ends) {
                return Some(rule);
            }
        }
    }
    node.globs.iter().filter(|glob| *glob != part).find_map(|glob| {
        *steps += 1;
        let below = node.next.get(glob).filter(|_| *steps <= MOST_STEPS && is_within(part, glob))?;
        covering(below, rest, steps, ends)
    })
}

/// Whether all that one component's pattern matches is matched by another one, which has a `*`.
fn is_within(part: &str, glob: &str) -> bool {
    match part {
        "**" => false,
        // Any name of a user that is a component.
        "${user}" => glob == "*",
        // A `*` of the part can only be taken by one of the glob, so it may be read as a character.
        _ => wildcard(glob.as_bytes(), part.as_bytes()),
    }
}

/// Whether the stars of a glob can be filled so that it reads `text`. Only the last star is ever returned to.
fn wildcard(glob: &[u8], text: &[u8]) -> bool {
    let (mut g, mut t, mut star) = (0, 0, None);
    while t < text.len() {
        match glob.get(g) {
            Some(b'*') => {
                star = Some((g, t));
                g += 1;
            }
            Some(byte) if *byte == text[t] => (g, t) = (g + 1, t + 1),
            _ => {
                let Some((at, taken)) = star else { return false };
                star = Some((at, taken + 1));
                (g, t) = (at + 1, taken + 1);
            }
        }
    }
    glob[g..].iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests;
