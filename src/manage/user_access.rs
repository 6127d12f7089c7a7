//! What one user may do in some repositories, and a rule of their own to change it.
//!
//! The first rule that matches decides, and is final. So the user's own rule comes first, and has everything that they
//! could do there before: a rule with only `push` would take their pull away.

use super::{
    diff,
    edits::{Edits, FileEdit},
    groups::policy,
    guard::Affected,
    refusal::EditRefusal,
    rules::rule,
    rules_text::RulesText,
    users,
};
use crate::{
    access::{Ceiling, Policy, RepositoryFacts, Rights, holds_everywhere, may_overlap, pattern_for},
    config::{EditableFile, Live},
    who::{Action, Permission, Subject},
};
use api::{
    FieldProblem,
    rules::RuleBody,
    users::{AccessChanged, ChangeAccess, UserAccess},
};
use oci::{Pattern, RepositoryName};

/// Whether actions are added to a user's own rule, or removed from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccessChange {
    /// Added.
    Add,
    /// Removed.
    Remove,
}

/// What rules, roles and the default grant a user, in the order in which they are asked.
///
/// # Errors
/// [`EditRefusal::AccessControlDisabled`].
pub fn list(live: &Live, user: &str) -> Result<Vec<UserAccess>, EditRefusal> {
    let policy = policy(live)?;
    let subject = Subject::User(user.into());
    let access = |repository: String, actions: &[Action], why: String| UserAccess {
        repository,
        actions: actions.iter().map(ToString::to_string).collect(),
        why,
    };
    let mut found = Vec::new();
    if let Some(by) = policy.admin_by(&subject) {
        found.push(access("**".to_owned(), &Action::ALL, format!("an administrator, by {by}")));
    }
    for (rule, pattern) in policy.rules.iter().zip(policy.patterns.as_slice()) {
        let by = policy.matching_user(rule, &subject);
        if let Some((by, pattern)) = by.and_then(|by| Some((by, pattern_for(pattern, &subject)?))) {
            found.push(access(
                pattern,
                &rule.permissions,
                format!("rule {} (line {}) for {by}", rule.number, rule.line),
            ));
        }
    }
    for held in policy.roles_of(&subject) {
        let is_granted = |action: &Action| held.role.grants(Permission::on_images(*action));
        let actions: Vec<_> = Action::ALL.into_iter().filter(is_granted).collect();
        let patterns = held.role.repositories.as_slice().iter().filter(|_| !actions.is_empty());
        let why = || format!("role {} of group {}", held.name, held.group);
        found.extend(patterns.filter_map(|pattern| Some(access(pattern_for(pattern, &subject)?, &actions, why()))));
    }
    if policy.default_allow {
        found.push(access("**".to_owned(), &Action::ALL, "defaultPolicy is allow".to_owned()));
    }
    Ok(found)
}

/// Adds actions in a repository, or in all that match a pattern, to a user's own rule, or removes them. With `dry_run`
/// nothing is written.
///
/// # Errors
/// [`EditRefusal::Shadowed`] if an earlier rule would still decide otherwise.
pub fn change(
    edits: &Edits,
    user: &str,
    asked: &ChangeAccess,
    change: AccessChange,
) -> Result<AccessChanged, EditRefusal> {
    let live = edits.live();
    if live.identity.users().is_some() && users::user(&live, user)?.is_none() {
        return Err(EditRefusal::NotFound);
    }
    let subject = Subject::User(user.into());
    let wrong = |why: oci::InvalidPattern| EditRefusal::invalid("/repository", why.to_string());
    let pattern: Pattern = asked.repository.parse().map_err(wrong)?;
    let actions = parse_actions(&asked.actions)?;
    let before = actions_in(&live.rights, &subject, &pattern);
    let edit = |edits: &Edits| {
        edits.edit_access(|text, policy| {
            let rules = RulesText::parse(text)?;
            let own = own_rule(policy, user, &pattern);
            let (at, kept) = own.unwrap_or((0, Vec::new()));
            let wanted = match change {
                AccessChange::Add => union(&[&actions, &before, &kept]),
                AccessChange::Remove if own_rule(policy, user, &pattern).is_none() => {
                    return Err(EditRefusal::NotFound);
                }
                AccessChange::Remove => kept.iter().filter(|action| !actions.contains(action)).copied().collect(),
            };
            if change == AccessChange::Add {
                check_earlier(policy, &subject, &pattern, at, &wanted)?;
            }
            let body = RuleBody {
                repository: pattern.as_str().to_owned(),
                users: vec![user.to_owned()],
                permissions: wanted.iter().map(ToString::to_string).collect(),
                made_for: Some(user.to_owned()),
            };
            match (own_rule(policy, user, &pattern).is_some(), wanted.is_empty()) {
                (true, true) => rules.remove_rule(at),
                (true, false) => rules.set_rule(at, &body),
                (false, _) => rules.insert_rule(at, &body),
            }
            Ok(FileEdit { text: rules.text(), affects: Affected::users([user.to_owned()]) })
        })
    };
    let rehearsed = edits.rehearse(edit)?;
    let rehearsed = rehearsed.first().ok_or(EditRefusal::AccessControlDisabled)?;
    if !asked.dry_run {
        edit(edits)?;
    }
    let after = Policy::parse(&rehearsed.after).map(|(policy, _)| policy).unwrap_or_default();
    let place = own_rule(&after, user, &pattern).map(|(at, _)| at);
    let path = edits.path(EditableFile::AccessControl)?;
    Ok(AccessChanged {
        rule: place.and_then(|at| rule(&after, at)),
        diff: diff::unified(&path.display().to_string(), &rehearsed.before, &rehearsed.after),
        before: before.iter().map(ToString::to_string).collect(),
        after: {
            let rights = Rights::Rules { policy: after, authenticated: true };
            actions_in(&rights, &subject, &pattern).iter().map(ToString::to_string).collect()
        },
    })
}

/// The place and the actions of a user's own rule for exactly this pattern.
fn own_rule(policy: &Policy, user: &str, pattern: &Pattern) -> Option<(usize, Vec<Action>)> {
    let mut rules = policy.rules.iter().zip(policy.patterns.as_slice()).enumerate();
    let is_own = |(_, (rule, of)): &(usize, (&crate::access::Rule, &Pattern))| {
        rule.made_for.as_deref() == Some(user) && *of == pattern
    };
    rules.find(is_own).map(|(at, (rule, _))| (at, rule.permissions.clone()))
}

/// Checks that no rule before this place decides about the user and the pattern without allowing all actions.
fn check_earlier(
    policy: &Policy,
    user: &Subject,
    pattern: &Pattern,
    at: usize,
    wanted: &[Action],
) -> Result<(), EditRefusal> {
    let earlier = policy.rules.iter().zip(policy.patterns.as_slice()).take(at);
    let mut winning = earlier.filter(|(rule, of)| {
        policy.applies_to(rule, user)
            && pattern_for(of, user).is_some_and(|of| may_overlap(&of, pattern.as_str()))
            && !wanted.iter().all(|action| rule.permissions.contains(action))
    });
    match winning.next() {
        None => Ok(()),
        Some((rule, of)) => Err(EditRefusal::Shadowed(format!(
            "rule {} (line {}: {:?}) comes before the rule of {user} and would still decide; change that rule, or move it",
            rule.number,
            rule.line,
            of.as_str(),
        ))),
    }
}

/// What a user may do in a repository, or in all that match a pattern.
fn actions_in(rights: &Rights, user: &Subject, pattern: &Pattern) -> Vec<Action> {
    let name = pattern.as_str().parse::<RepositoryName>().ok();
    let may = |action: &Action| match (&name, rights) {
        (Some(name), _) => rights.decide(user, &Ceiling::None, name, *action, &RepositoryFacts::default()).allowed,
        (None, Rights::Rules { policy, .. }) => holds_everywhere(policy, user, pattern, *action),
        (None, Rights::Open | Rights::Users | Rights::Tokens) => false,
    };
    Action::ALL.into_iter().filter(may).collect()
}

fn parse_actions(texts: &[String]) -> Result<Vec<Action>, EditRefusal> {
    if texts.is_empty() {
        return Err(EditRefusal::invalid("/actions", "must name at least one of pull, push, delete"));
    }
    let parse = |(i, text): (usize, &String)| {
        text.parse::<Action>().map_err(|why| FieldProblem::new(format!("/actions/{i}"), format!("{text:?}: {why}")))
    };
    let (mut actions, mut problems) = (Vec::new(), Vec::new());
    for parsed in texts.iter().enumerate().map(parse) {
        match parsed {
            Ok(action) => actions.push(action),
            Err(problem) => problems.push(problem),
        }
    }
    if problems.is_empty() { Ok(actions) } else { Err(EditRefusal::Invalid(problems)) }
}

/// All of these actions, once each, in the usual order.
fn union(lists: &[&Vec<Action>]) -> Vec<Action> {
    Action::ALL.into_iter().filter(|action| lists.iter().any(|list| list.contains(action))).collect()
}
