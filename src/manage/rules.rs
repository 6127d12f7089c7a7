//! Access rules: an ordered list, so an index means something only for the version of the file that was read.

use super::{
    edits::{Edits, FileEdit, Manage, parse_policy},
    guard::Affected,
    precondition::{Precondition, text_tag},
    refusal::EditRefusal,
    rules_text::RulesText,
    users::check_users,
};
use crate::{
    access::Policy,
    config::{EditFault, EditableFile, Live},
};
use api::rules::{RuleBody, RuleInfo, RuleList};
use std::sync::{Arc, Mutex, PoisonError};

/// The rules that were read last, and the entity tag of their file: reading thousands of members of groups takes longer
/// than finding out that the file is the same.
#[derive(Default)]
pub(super) struct LastRules(Mutex<Option<(String, Arc<RuleList>)>>);

/// The rules of the file as it is now, and the entity tag of its text. Blocks.
///
/// # Errors
/// The file cannot be read, or is invalid.
pub fn read(manage: &Manage, live: &Live) -> Result<(String, Arc<RuleList>), EditRefusal> {
    let editor = manage.editor();
    let unset = |fault: EditFault| EditRefusal::from(fault).unless_unset(EditableFile::AccessControl);
    let text = editor.read(EditableFile::AccessControl).map_err(unset)?;
    let tag = text_tag(text.as_bytes());
    let last = manage.last_rules.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
    if let Some(known) = last.filter(|(known, _)| *known == tag) {
        return Ok(known);
    }
    let policy = parse_policy(&editor.path(EditableFile::AccessControl)?, &text, live)?;
    let read = (tag, Arc::new(list(&policy)));
    *manage.last_rules.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(read.clone());
    Ok(read)
}

/// All rules.
fn list(policy: &Policy) -> RuleList {
    RuleList {
        items: (0..policy.rules.len()).filter_map(|index| rule(policy, index)).collect(),
        default_policy: if policy.default_allow { "allow" } else { "deny" }.to_owned(),
    }
}

/// The rule at a place, from 0.
pub fn rule(policy: &Policy, index: usize) -> Option<RuleInfo> {
    let (rule, pattern) = (policy.rules.get(index)?, policy.patterns.as_slice().get(index)?);
    Some(RuleInfo {
        index: index as u64,
        line: rule.line as u64,
        repository: pattern.as_str().to_owned(),
        users: rule.users.iter().map(ToString::to_string).collect(),
        permissions: rule.permissions.iter().map(ToString::to_string).collect(),
        made_for: rule.made_for.clone(),
    })
}

/// Adds a rule before the one at this place, or at the end. The precondition is about the whole file.
///
/// # Errors
/// [`EditRefusal`].
pub fn insert(
    edits: &Edits,
    at: Option<usize>,
    wanted: &RuleBody,
    precondition: &Precondition,
) -> Result<RuleInfo, EditRefusal> {
    check_named(edits, wanted)?;
    let mut index = 0;
    edits.edit_access(|text, policy| {
        precondition.check(Some(&text_tag(text.as_bytes())))?;
        index = at.unwrap_or(policy.rules.len());
        if index > policy.rules.len() {
            return Err(EditRefusal::invalid("at", format!("there are only {} rules", policy.rules.len())));
        }
        let rules = RulesText::parse(text)?;
        rules.insert_rule(index, wanted);
        Ok(FileEdit { text: rules.text(), affects: Affected::nobody() })
    })?;
    current(edits, index)
}

/// Replaces a rule. The precondition is about the whole file.
///
/// # Errors
/// [`EditRefusal`].
pub fn replace(
    edits: &Edits,
    index: usize,
    wanted: &RuleBody,
    precondition: &Precondition,
) -> Result<RuleInfo, EditRefusal> {
    check_named(edits, wanted)?;
    change(edits, index, precondition, |rules| rules.set_rule(index, wanted))?;
    current(edits, index)
}

/// Moves a rule to another place in the list, at which the others make room. The precondition is about the whole file.
///
/// # Errors
/// [`EditRefusal`].
pub fn reorder(edits: &Edits, index: usize, to: usize, precondition: &Precondition) -> Result<RuleInfo, EditRefusal> {
    edits.edit_access(|text, policy| {
        precondition.check(Some(&text_tag(text.as_bytes())))?;
        let moved = rule(policy, index).ok_or(EditRefusal::NotFound)?;
        if to >= policy.rules.len() {
            return Err(EditRefusal::invalid("/to", format!("there are only {} rules", policy.rules.len())));
        }
        let RuleInfo { repository, users, permissions, made_for, .. } = moved;
        let rules = RulesText::parse(text)?;
        if index != to {
            rules.remove_rule(index);
            rules.insert_rule(to, &RuleBody { repository, users, permissions, made_for });
        }
        Ok(FileEdit { text: rules.text(), affects: Affected::nobody() })
    })?;
    current(edits, to)
}

/// Deletes a rule. The precondition is about the whole file.
///
/// # Errors
/// [`EditRefusal`].
pub fn delete(edits: &Edits, index: usize, precondition: &Precondition) -> Result<(), EditRefusal> {
    change(edits, index, precondition, |rules| rules.remove_rule(index))
}

fn change(
    edits: &Edits,
    index: usize,
    precondition: &Precondition,
    change: impl Fn(&RulesText),
) -> Result<(), EditRefusal> {
    edits.edit_access(|text, policy| {
        precondition.check(Some(&text_tag(text.as_bytes())))?;
        if index >= policy.rules.len() {
            return Err(EditRefusal::NotFound);
        }
        let rules = RulesText::parse(text)?;
        change(&rules);
        Ok(FileEdit { text: rules.text(), affects: Affected::nobody() })
    })
}

fn current(edits: &Edits, index: usize) -> Result<RuleInfo, EditRefusal> {
    rule(super::groups::policy(&edits.live())?, index).ok_or(EditRefusal::NotFound)
}

/// Checks that a rule is about somebody: it lists users, and they exist, as a misspelt name would be nobody.
fn check_named(edits: &Edits, wanted: &RuleBody) -> Result<(), EditRefusal> {
    if wanted.users.is_empty() {
        return Err(EditRefusal::invalid("/users", "lists no users, so the rule would never match".to_owned()));
    }
    let is_name = |user: &&String| !user.starts_with('@') && !matches!(user.as_str(), "*" | "anonymous");
    let names = wanted.users.iter().enumerate().filter(|(_, user)| is_name(user));
    check_users(&edits.live(), names.map(|(i, user)| (format!("/users/{i}"), user)))
}
