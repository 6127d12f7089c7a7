//! Users: lines of the htpasswd file, and what the access rules say about them.

use super::{
    edits::{Edits, FileEdit},
    guard::Affected,
    precondition::{Precondition, text_tag},
    refusal::EditRefusal,
    rules_text::RulesText,
    suggest::suggest,
};
use crate::{
    access::{Policy, Rights},
    config::Live,
    identity::{HtpasswdText, UserKind, Users},
    who::Subject,
};
use api::{
    FieldProblem,
    users::{CreateUser, UpdateUser, UserInfo},
};
use std::sync::Arc;

/// The longest name of a user made here, in bytes.
const LONGEST_NAME: usize = 128;

/// Names that paths of the API use.
const RESERVED: [&str; 2] = ["me", "groups"];

/// The users of this registry.
///
/// # Errors
/// [`EditRefusal::NoUsers`] if it has no file of users.
pub fn users(live: &Live) -> Result<&Arc<Users>, EditRefusal> {
    live.identity.users().ok_or(EditRefusal::NoUsers)
}

/// One user; `None` if there is none with this name.
///
/// # Errors
/// [`EditRefusal::NoUsers`].
pub fn user(live: &Live, name: &str) -> Result<Option<UserInfo>, EditRefusal> {
    Ok(users(live)?.kind(name).map(|kind| describe(live, name, kind)))
}

/// The users whose names follow `after`, in byte order; those in a group, or whose name contains a text, if asked.
///
/// # Errors
/// [`EditRefusal::NoUsers`].
pub fn list<'l>(
    live: &'l Live,
    after: Option<&'l str>,
    text: Option<&'l str>,
    group: Option<&'l str>,
) -> Result<impl Iterator<Item = UserInfo>, EditRefusal> {
    let members =
        group.map(|group| policy(live).and_then(|policy| policy.groups.get(group)).map(|group| &group.members));
    let is_asked = move |name: &str| {
        text.is_none_or(|text| name.contains(text))
            && members.is_none_or(|members| members.is_some_and(|members| members.contains(name)))
    };
    let users = users(live)?.after(after).filter(move |(name, _)| is_asked(name));
    Ok(users.map(|(name, kind)| describe(live, name, kind)))
}

fn describe(live: &Live, name: &str, kind: UserKind) -> UserInfo {
    let profile = live.rights.profile(&Subject::User(name.into()));
    UserInfo {
        username: name.to_owned(),
        groups: profile.groups,
        roles: profile.roles,
        is_admin: profile.is_admin,
        locked: kind == UserKind::Locked,
        robot: kind == UserKind::Robot,
        ..UserInfo::default()
    }
}

fn policy(live: &Live) -> Option<&Policy> {
    match &*live.rights {
        Rights::Rules { policy, .. } => Some(policy),
        Rights::Open | Rights::Users | Rights::Tokens => None,
    }
}

/// Creates a user with this password hash, or a robot.
///
/// # Errors
/// [`EditRefusal::NameTaken`] also if rules or groups speak of the name already: their rights would fall to whoever gets
/// it.
pub fn create(edits: &Edits, asked: &CreateUser, hash: Option<&str>) -> Result<UserInfo, EditRefusal> {
    let name = asked.username.as_str();
    check_name(name)?;
    let live = edits.live();
    if users(&live)?.contains(name) {
        return Err(EditRefusal::NameTaken(format!("user {name:?}")));
    }
    check_groups(&live, &asked.groups, "/groups")?;
    let create = |edits: &Edits| {
        let affects = Affected::new_user(name);
        edits.edit_users(&affects, |users, live| {
            if let Some((_, line)) = policy(live).and_then(|policy| policy.users().find(|(known, _)| *known == name)) {
                return Err(EditRefusal::NameTaken(format!("{name:?} is named in the access rules (line {line}); it")));
            }
            Ok(match hash {
                Some(hash) => users.add(name, hash)?,
                None => users.add_robot(name)?,
            })
        })?;
        set_membership(edits, name, &asked.groups, true, &affects)
    };
    if !asked.groups.is_empty() {
        edits.rehearse(create)?;
    }
    create(edits)?;
    user(&edits.live(), name)?.ok_or(EditRefusal::NotFound)
}

/// Changes a user; `hash` is that of a new password. What takes rights away comes first.
///
/// # Errors
/// [`EditRefusal`].
pub fn update(
    edits: &Edits,
    name: &str,
    asked: &UpdateUser,
    hash: Option<&str>,
    precondition: &Precondition,
) -> Result<UserInfo, EditRefusal> {
    let live = edits.live();
    let before = user(&live, name)?;
    precondition.check_resource(before.as_ref())?;
    let before = before.ok_or(EditRefusal::NotFound)?;
    let is_oneself = edits.author().subject.name() == Some(name);
    if is_oneself && (hash.is_some() || asked.locked == Some(true)) {
        return Err(EditRefusal::Oneself);
    }
    let groups = asked.groups.clone().unwrap_or_else(|| before.groups.clone());
    check_groups(&live, &groups, "/groups")?;
    let without = |all: &[String], some: &[String]| -> Vec<String> {
        all.iter().filter(|group| !some.contains(group)).cloned().collect()
    };
    let (removed, added) = (without(&before.groups, &groups), without(&groups, &before.groups));
    let makes_admin = |group: &String| policy(&live).is_some_and(|policy| policy.makes_admins(group));
    if is_oneself && removed.iter().any(makes_admin) {
        return Err(EditRefusal::Oneself);
    }
    let affects = Affected::users([name.to_owned()]);
    let change = |edits: &Edits| {
        set_membership(edits, name, &removed, false, &affects)?;
        if hash.is_some() || asked.locked.is_some() {
            edits.edit_users(&affects, |users, _| {
                let locked = match asked.locked {
                    Some(true) => users.lock(name)?,
                    Some(false) => users.unlock(name)?,
                    None => users.text().to_owned(),
                };
                let Some(hash) = hash else { return Ok(locked) };
                // Only one line has changed.
                HtpasswdText::parse(&locked)
                    .map_err(|_| EditRefusal::NotFound)?
                    .set(name, hash)
                    .map_err(EditRefusal::from)
            })?;
        }
        set_membership(edits, name, &added, true, &affects)
    };
    edits.rehearse(change)?;
    change(edits)?;
    user(&edits.live(), name)?.ok_or(EditRefusal::NotFound)
}

/// Sets the caller's own password, if their line in the file still has the one that was verified.
///
/// # Errors
/// [`EditRefusal::PreconditionFailed`] if somebody else has just set another one.
pub fn set_own_password(edits: &Edits, verified: &str, hash: &str) -> Result<(), EditRefusal> {
    let name = edits.author().subject.name().map(str::to_owned).ok_or(EditRefusal::NotFound)?;
    edits.edit_users(&Affected::nobody(), |users, _| match users.users().line(&name) {
        Some(line) if line == verified => Ok(users.set(&name, hash)?),
        line => Err(EditRefusal::PreconditionFailed(line.map(|line| text_tag(line.as_bytes())))),
    })
}

/// Deletes a user: first from groups, rules and administrators, then their line. A deletion that was interrupted is
/// completed by the next one.
///
/// # Errors
/// [`EditRefusal`].
pub fn delete(edits: &Edits, name: &str, precondition: &Precondition) -> Result<(), EditRefusal> {
    let live = edits.live();
    let before = user(&live, name)?;
    precondition.check_resource(before.as_ref())?;
    if edits.author().subject.name() == Some(name) {
        return Err(EditRefusal::Oneself);
    }
    let is_named = policy(&live).is_some_and(|policy| policy.users().any(|(known, _)| known == name));
    if before.is_none() && !is_named {
        return Err(EditRefusal::NotFound);
    }
    let affects = Affected::users([name.to_owned()]);
    let delete = |edits: &Edits| {
        if is_named {
            edits.edit_access(|text, policy| {
                let rules = RulesText::parse(text)?;
                policy.groups_of(name).for_each(|group| rules.set_member(group, name, false));
                rules.remove_from_rules(name);
                rules.remove_made_for(name);
                rules.remove_admin(name);
                Ok(FileEdit { text: rules.text(), affects: affects.clone() })
            })?;
        }
        match before {
            Some(_) => edits.edit_users(&affects, |users, _| Ok(users.delete(name)?)),
            None => Ok(()),
        }
    };
    edits.rehearse(delete)?;
    delete(edits)
}

/// Adds a user to groups, or removes them.
fn set_membership(
    edits: &Edits,
    name: &str,
    groups: &[String],
    is_member: bool,
    affects: &Affected,
) -> Result<(), EditRefusal> {
    if groups.is_empty() {
        return Ok(());
    }
    edits.edit_access(|text, _| {
        let rules = RulesText::parse(text)?;
        groups.iter().for_each(|group| rules.set_member(group, name, is_member));
        Ok(FileEdit { text: rules.text(), affects: affects.clone() })
    })
}

/// Checks the name of a new user.
fn check_name(name: &str) -> Result<(), EditRefusal> {
    let problem = match name {
        _ if !Subject::is_user_name(name) || name.starts_with('#') || name.contains(':') => {
            "cannot be a user's name: it is empty, reserved (\"*\", \"anonymous\", \"@…\"), begins with \"#\", or has a \
             colon, a control character, or a space at an end"
        }
        _ if RESERVED.contains(&name) => "is reserved",
        _ if name.contains(['/', '?', '%', '\\']) => "must not contain /, ?, % or \\: it is a part of URLs",
        _ if name.len() > LONGEST_NAME => "has more than 128 bytes",
        _ => return Ok(()),
    };
    Err(EditRefusal::invalid("/username", format!("{name:?} {problem}")))
}

/// Checks that groups exist.
fn check_groups(live: &Live, groups: &[String], at: &str) -> Result<(), EditRefusal> {
    if groups.is_empty() {
        return Ok(());
    }
    let policy = policy(live).ok_or(EditRefusal::AccessControlDisabled)?;
    let unknown = groups.iter().enumerate().filter(|(_, group)| !policy.groups.contains_key(*group));
    let problems = unknown.map(|(i, group)| FieldProblem {
        at: format!("{at}/{i}"),
        problem: format!("there is no group {group:?}"),
        did_you_mean: suggest(group, policy.groups.keys().map(String::as_str)),
    });
    let problems: Vec<_> = problems.collect();
    if problems.is_empty() { Ok(()) } else { Err(EditRefusal::Invalid(problems)) }
}

/// Checks that users exist, each with the field that names them. Those of an external token service are not known.
pub(super) fn check_users<'n>(
    live: &Live,
    names: impl IntoIterator<Item = (String, &'n String)>,
) -> Result<(), EditRefusal> {
    let Some(users) = live.identity.users() else { return Ok(()) };
    let problem = |(at, name): (String, &String)| FieldProblem {
        at,
        problem: format!("there is no user {name:?}"),
        did_you_mean: suggest(name, users.after(None).map(|(known, _)| known)),
    };
    let problems: Vec<_> = names.into_iter().filter(|(_, name)| !users.contains(name)).map(problem).collect();
    if problems.is_empty() { Ok(()) } else { Err(EditRefusal::Invalid(problems)) }
}
