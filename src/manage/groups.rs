//! Groups: their members and roles.

use super::{
    edits::{Edits, FileEdit},
    guard::Affected,
    precondition::Precondition,
    refusal::EditRefusal,
    rules_text::RulesText,
    suggest::suggest,
    users::check_users,
};
use crate::{
    access::{Policy, Rights, RuleUser},
    config::Live,
};
use api::{
    FieldProblem,
    groups::{GroupInfo, UpdateGroup},
};

/// The rules of a generation.
///
/// # Errors
/// [`EditRefusal::AccessControlDisabled`].
pub fn policy(live: &Live) -> Result<&Policy, EditRefusal> {
    match &*live.rights {
        Rights::Rules { policy, .. } => Ok(policy),
        Rights::Open | Rights::Users | Rights::Tokens => Err(EditRefusal::AccessControlDisabled),
    }
}

/// A group; `None` if there is none with this name.
pub fn group(policy: &Policy, name: &str) -> Option<GroupInfo> {
    policy.groups.get(name).map(|group| GroupInfo {
        name: name.to_owned(),
        description: group.description.clone(),
        roles: group.roles.clone(),
        members: group.members.iter().cloned().collect(),
    })
}

/// The groups whose names follow `after`, in byte order.
pub fn list<'p>(policy: &'p Policy, after: Option<&'p str>) -> impl Iterator<Item = GroupInfo> {
    let names = policy.groups.keys().filter(move |name| after.is_none_or(|after| name.as_str() > after));
    names.filter_map(|name| group(policy, name))
}

/// Creates a group, or replaces it.
///
/// # Errors
/// [`EditRefusal::PreconditionFailed`], and what a group must not be.
pub fn put(edits: &Edits, wanted: &GroupInfo, precondition: &Precondition) -> Result<GroupInfo, EditRefusal> {
    change(edits, &wanted.name, precondition, |_| Ok(wanted.clone()))
}

/// Creates a group.
///
/// # Errors
/// [`EditRefusal::NameTaken`], and what a group must not be.
pub fn create(edits: &Edits, wanted: &GroupInfo) -> Result<GroupInfo, EditRefusal> {
    change(edits, &wanted.name, &Precondition::None, |current| match current {
        Some(_) => Err(EditRefusal::NameTaken(format!("group {:?}", wanted.name))),
        None => Ok(wanted.clone()),
    })
}

/// Changes a group; what is not asked for stays.
///
/// # Errors
/// [`EditRefusal::NotFound`], and what a group must not be.
pub fn update(
    edits: &Edits,
    name: &str,
    asked: &UpdateGroup,
    precondition: &Precondition,
) -> Result<GroupInfo, EditRefusal> {
    change(edits, name, precondition, |current| {
        let current = current.ok_or(EditRefusal::NotFound)?;
        Ok(GroupInfo {
            name: current.name,
            description: asked.description.clone().unwrap_or(current.description),
            roles: asked.roles.clone().unwrap_or(current.roles),
            members: asked.members.clone().unwrap_or(current.members),
        })
    })
}

fn change(
    edits: &Edits,
    name: &str,
    precondition: &Precondition,
    wanted: impl Fn(Option<GroupInfo>) -> Result<GroupInfo, EditRefusal>,
) -> Result<GroupInfo, EditRefusal> {
    check_name(name)?;
    edits.edit_access(|text, policy| {
        let current = group(policy, name);
        precondition.check_resource(current.as_ref())?;
        let before = current.as_ref().map(|group| group.members.clone()).unwrap_or_default();
        let wanted = wanted(current)?;
        check_roles(policy, &wanted.roles)?;
        let new = wanted.members.iter().enumerate().filter(|(_, member)| !before.contains(member));
        check_users(&edits.live(), new.map(|(i, member)| (format!("/members/{i}"), member)))?;
        let rules = RulesText::parse(text)?;
        rules.put_group(&wanted);
        // A description alone affects nobody.
        let is_same =
            group(policy, name).is_some_and(|now| now.members == sorted(&wanted.members) && now.roles == wanted.roles);
        let affects = match is_same {
            true => Affected::nobody(),
            false => Affected::group(name, before.into_iter().chain(wanted.members)),
        };
        Ok(FileEdit { text: rules.text(), affects })
    })?;
    group(policy(&edits.live())?, name).ok_or(EditRefusal::NotFound)
}

fn sorted(names: &[String]) -> Vec<String> {
    let mut names = names.to_vec();
    names.sort();
    names.dedup();
    names
}

/// Deletes a group. If rules are about it, that is refused, unless `force` says to remove it from them.
///
/// # Errors
/// [`EditRefusal::NotFound`], [`EditRefusal::InUse`].
pub fn delete(edits: &Edits, name: &str, force: bool, precondition: &Precondition) -> Result<(), EditRefusal> {
    let entry = format!("@{name}");
    edits.edit_access(|text, policy| {
        let current = group(policy, name);
        precondition.check_resource(current.as_ref())?;
        let current = current.ok_or(EditRefusal::NotFound)?;
        let is_about = |user: &RuleUser| matches!(user, RuleUser::Group(group) if group == name);
        let about = policy.rules.iter().filter(|rule| rule.users.iter().any(is_about));
        let by: Vec<_> = about.map(|rule| format!("rule {} (line {})", rule.number, rule.line)).collect();
        if !by.is_empty() && !force {
            return Err(EditRefusal::InUse { what: format!("group {name:?}"), by });
        }
        let rules = RulesText::parse(text)?;
        rules.remove_from_rules(&entry);
        rules.remove_entry("groups", name);
        Ok(FileEdit { text: rules.text(), affects: Affected::users(current.members) })
    })
}

/// Checks the name of a group or a role.
pub(super) fn check_name(name: &str) -> Result<(), EditRefusal> {
    /// The longest name, in bytes.
    const LONGEST: usize = 128;
    let is_bad = name.is_empty()
        || name.len() > LONGEST
        || name.trim() != name
        || name.starts_with('@')
        || name.chars().any(|c| c.is_control() || matches!(c, '/' | '?' | '%' | '\\' | '#'));
    match is_bad {
        true => Err(EditRefusal::invalid(
            "/name",
            format!(
                "{name:?} cannot be a name: it is empty, longer than 128 bytes, begins with @, or has a space at an end, a \
                 control character or one of / ? % \\ #"
            ),
        )),
        false => Ok(()),
    }
}

/// Checks that roles exist.
fn check_roles(policy: &Policy, roles: &[String]) -> Result<(), EditRefusal> {
    let unknown = roles.iter().enumerate().filter(|(_, role)| !policy.roles.contains_key(*role));
    let problem = |(i, role): (usize, &String)| FieldProblem {
        at: format!("/roles/{i}"),
        problem: format!("there is no role {role:?}"),
        did_you_mean: suggest(role, policy.roles.keys().map(String::as_str)),
    };
    let problems: Vec<_> = unknown.map(problem).collect();
    if problems.is_empty() { Ok(()) } else { Err(EditRefusal::Invalid(problems)) }
}
