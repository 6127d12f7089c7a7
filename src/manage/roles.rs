//! Roles: permissions that groups give to their members. Four are built in; a role of the same name overrides one.

use super::{
    edits::{Edits, FileEdit},
    groups::{check_name, policy},
    guard::Affected,
    precondition::Precondition,
    refusal::EditRefusal,
    rules_text::RulesText,
};
use crate::{
    access::{Policy, builtin_roles},
    who::Permission,
};
use api::{
    FieldProblem,
    roles::{PermissionText, PutRole, RoleInfo, UpdateRole},
};
use oci::Patterns;

/// A role; `None` if there is none with this name.
pub fn role(policy: &Policy, name: &str) -> Option<RoleInfo> {
    policy.roles.get(name).map(|role| RoleInfo {
        name: name.to_owned(),
        description: role.description.clone(),
        permissions: role.permissions.iter().map(ToString::to_string).collect(),
        repositories: texts(&role.repositories),
        artifacts: texts(&role.artifacts),
        builtin: builtin_roles().contains_key(name),
        defined: !role.is_builtin,
    })
}

/// Patterns as the file spells them.
fn texts(patterns: &Patterns) -> Vec<String> {
    patterns.as_slice().iter().map(|pattern| pattern.as_str().to_owned()).collect()
}

/// The roles whose names follow `after`, in byte order.
pub fn list<'p>(policy: &'p Policy, after: Option<&'p str>) -> impl Iterator<Item = RoleInfo> {
    let names = policy.roles.keys().filter(move |name| after.is_none_or(|after| name.as_str() > after));
    names.filter_map(|name| role(policy, name))
}

/// Creates a role.
///
/// # Errors
/// [`EditRefusal::NameTaken`], also for a built-in role: that is overridden by [`put`].
pub fn create(edits: &Edits, wanted: &PutRole) -> Result<RoleInfo, EditRefusal> {
    change(edits, &wanted.name, &Precondition::None, |current| match current {
        Some(_) => Err(EditRefusal::NameTaken(format!("role {:?}", wanted.name))),
        None => wanted_role(wanted),
    })
}

/// Creates or replaces a role, or overrides a built-in one.
///
/// # Errors
/// [`EditRefusal::PreconditionFailed`], and what a role must not be.
pub fn put(edits: &Edits, wanted: &PutRole, precondition: &Precondition) -> Result<RoleInfo, EditRefusal> {
    change(edits, &wanted.name, precondition, |_| wanted_role(wanted))
}

/// Adds permissions to a role and removes others; what is not asked for stays.
///
/// # Errors
/// [`EditRefusal::NotFound`], and what a role must not be.
pub fn update(
    edits: &Edits,
    name: &str,
    asked: &UpdateRole,
    precondition: &Precondition,
) -> Result<RoleInfo, EditRefusal> {
    let (add, remove) = (permissions(&asked.add, "/add")?, permissions(&asked.remove, "/remove")?);
    change(edits, name, precondition, |current| {
        let mut role = current.ok_or(EditRefusal::NotFound)?;
        role.permissions.retain(|permission| !remove.contains(permission));
        role.permissions.extend(add.iter().cloned());
        role.permissions.sort();
        role.permissions.dedup();
        if let Some(description) = &asked.description {
            role.description.clone_from(description);
        }
        if let Some(repositories) = &asked.repositories {
            role.repositories.clone_from(repositories);
        }
        if let Some(artifacts) = &asked.artifacts {
            role.artifacts.clone_from(artifacts);
        }
        Ok(role)
    })
}

fn wanted_role(wanted: &PutRole) -> Result<RoleInfo, EditRefusal> {
    Ok(RoleInfo {
        name: wanted.name.clone(),
        description: wanted.description.clone(),
        permissions: permissions(&wanted.permissions, "/permissions")?,
        repositories: wanted.repositories.clone(),
        artifacts: wanted.artifacts.clone(),
        ..RoleInfo::default()
    })
}

fn change(
    edits: &Edits,
    name: &str,
    precondition: &Precondition,
    wanted: impl Fn(Option<RoleInfo>) -> Result<RoleInfo, EditRefusal>,
) -> Result<RoleInfo, EditRefusal> {
    check_name(name)?;
    edits.edit_access(|text, policy| {
        let current = role(policy, name);
        precondition.check_resource(current.as_ref())?;
        let wanted = wanted(current)?;
        check_patterns("repositories", &wanted.repositories)?;
        check_patterns("artifacts", &wanted.artifacts)?;
        let rules = RulesText::parse(text)?;
        rules.put_role(&wanted);
        Ok(FileEdit { text: rules.text(), affects: Affected::members(policy, name) })
    })?;
    role(policy(&edits.live())?, name).ok_or(EditRefusal::NotFound)
}

/// Deletes a role. A built-in one that was overridden is as before again.
///
/// # Errors
/// [`EditRefusal::NotFound`], [`EditRefusal::Builtin`], and [`EditRefusal::InUse`] while groups have it.
pub fn delete(edits: &Edits, name: &str, precondition: &Precondition) -> Result<(), EditRefusal> {
    edits.edit_access(|text, policy| {
        let current = role(policy, name);
        precondition.check_resource(current.as_ref())?;
        let current = current.ok_or(EditRefusal::NotFound)?;
        let by = policy.groups.iter().filter(|(_, group)| group.roles.iter().any(|role| role == name));
        let by: Vec<_> = by.map(|(group, _)| format!("group {group:?}")).collect();
        match (current.builtin, current.defined) {
            (true, false) => return Err(EditRefusal::Builtin(name.to_owned())),
            (false, _) if !by.is_empty() => return Err(EditRefusal::InUse { what: format!("role {name:?}"), by }),
            _ => {}
        }
        let rules = RulesText::parse(text)?;
        rules.remove_entry("roles", name);
        Ok(FileEdit { text: rules.text(), affects: Affected::members(policy, name) })
    })
}

/// The permissions that these texts mean, as the file spells them.
fn permissions(texts: &[PermissionText], at: &str) -> Result<Vec<String>, EditRefusal> {
    let (mut known, mut problems) = (Vec::new(), Vec::new());
    for (i, text) in texts.iter().map(ToString::to_string).enumerate() {
        match text.parse::<Permission>() {
            Ok(permission) => known.push(permission.to_string()),
            Err(why) => problems.push(FieldProblem::new(format!("{at}/{i}"), format!("{text:?}: {why}"))),
        }
    }
    known.sort();
    known.dedup();
    if problems.is_empty() { Ok(known) } else { Err(EditRefusal::Invalid(problems)) }
}

/// Checks repository patterns.
fn check_patterns(field: &str, patterns: &[String]) -> Result<(), EditRefusal> {
    let wrong = patterns.iter().enumerate().filter_map(|(i, text)| {
        let why = text.parse::<oci::Pattern>().err()?;
        Some(FieldProblem::new(format!("/{field}/{i}"), format!("{text:?}: {why}")))
    });
    let problems: Vec<_> = wrong.collect();
    if problems.is_empty() { Ok(()) } else { Err(EditRefusal::Invalid(problems)) }
}
