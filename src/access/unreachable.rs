//! Finds rules that never decide because earlier rules cover all of their users and repositories.
//!
//! Every reported rule is certainly unreachable. Rules that only several earlier patterns together make unreachable are
//! not found.

use super::policy::{Policy, Rule, RuleUser, RulesProblem};
use oci::{Pattern, glob_matches};
use std::collections::HashMap;

/// Maximum steps of the search, so that no file makes a reload slow; rules not examined by then are not reported.
const MOST_STEPS: usize = 1 << 20;

/// Warnings about the rules that can never match.
pub(super) fn warnings(policy: &Policy, patterns: &[Pattern]) -> Vec<RulesProblem> {
    let mut groups_of = HashMap::<_, Vec<_>>::new();
    for (name, group) in &policy.groups {
        for member in &group.members {
            groups_of.entry(member.as_str()).or_default().push(RuleUser::Group(name.clone()));
        }
    }
    let mut search = UnreachableSearch { patterns, groups_of, root: RuleNode::default(), steps: 0 };
    let mut found = Vec::new();
    for (i, (rule, pattern)) in policy.rules.iter().zip(patterns).enumerate() {
        let parts: Vec<_> = pattern.as_str().split('/').collect();
        let message = match rule.users.is_empty() {
            true => Some("lists no users, so it never matches".to_owned()),
            false => search.shadow(rule, &parts),
        };
        if let Some(message) = message {
            found.push(RulesProblem { line: rule.line, key: format!("rules[{i}]"), message });
        }
        search.root.insert(&parts, rule);
    }
    found
}

/// Earlier rules, by the components of their patterns.
#[derive(Default)]
struct RuleNode<'p> {
    next: HashMap<&'p str, RuleNode<'p>>,
    /// Components that contain a `*`.
    globs: Vec<&'p str>,
    /// The first rule whose pattern ends here, for each entry of `users`.
    ending: HashMap<&'p RuleUser, &'p Rule>,
}

impl<'p> RuleNode<'p> {
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

struct UnreachableSearch<'p> {
    /// The patterns of the rules.
    patterns: &'p [Pattern],
    /// The groups of each user.
    groups_of: HashMap<&'p str, Vec<RuleUser>>,
    root: RuleNode<'p>,
    steps: usize,
}

impl<'p> UnreachableSearch<'p> {
    /// Why a rule can never match, if earlier rules decide for each of its users.
    fn shadow(&mut self, rule: &'p Rule, parts: &[&str]) -> Option<String> {
        let mut by = Vec::new();
        for who in &rule.users {
            let ends = |node: &RuleNode<'p>| first_for(node, who, &self.groups_of);
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

/// The first rule ending at a node that covers everyone an entry of `users` stands for.
fn first_for<'p>(node: &RuleNode<'p>, who: &RuleUser, groups_of: &HashMap<&str, Vec<RuleUser>>) -> Option<&'p Rule> {
    let find = |who: &RuleUser| node.ending.get(who).copied();
    match who {
        RuleUser::Users | RuleUser::Anonymous => find(who),
        RuleUser::Group(_) => find(who).or_else(|| find(&RuleUser::Users)),
        RuleUser::User(name) => {
            let by_group = || groups_of.get(name.as_str())?.iter().find_map(find);
            find(who).or_else(|| find(&RuleUser::Users)).or_else(by_group)
        }
    }
}

/// An earlier rule that `ends` accepts and whose pattern matches every name that the pattern `parts` matches.
fn covering<'p>(
    node: &RuleNode<'p>,
    parts: &[&str],
    steps: &mut usize,
    ends: &dyn Fn(&RuleNode<'p>) -> Option<&'p Rule>,
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
        // `**` matches any number of components, but at least one at the end.
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

/// Whether a component with a `*` matches everything that another component's pattern matches.
pub(super) fn is_within(part: &str, glob: &str) -> bool {
    match part {
        "**" => false,
        // It stands for any user name that is a valid component.
        "${user}" => glob == "*",
        // Only a `*` of the glob can match a `*` of the part, so the part's can be treated as a character.
        _ => glob_matches(glob, part),
    }
}

#[cfg(test)]
mod tests;
