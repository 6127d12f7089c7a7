//! Whether one user may do at least what another may. Whoever can change somebody's password or groups must be able to
//! do everything that this user can, or it would be a way to more rights.
//!
//! The answer errs on the side of no: what cannot be compared counts as more.

use super::{
    Ceiling, Rights,
    policy::{GroupRole, Policy, Rule, RuleUser},
    unreachable::is_within,
};
use crate::who::{Action, Permission, Resource, Subject};
use oci::{Pattern, RepositoryName, glob_matches};

/// Maximum steps of one comparison of patterns.
const MOST_STEPS: usize = 1 << 16;

/// What `of` a target is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RightsCompared {
    /// Everything.
    All,
    /// Only what the target has by name or by group: what every user may do is no gain for somebody who can make users.
    Own,
}

/// Something that a user may do in repositories.
struct RepositoryGrant<'p> {
    pattern: String,
    action: Action,
    /// The rule that grants it; `None` for a role, or the default.
    rule: Option<(usize, &'p Rule)>,
}

/// A caller, and the rights they have now.
pub struct Comparer<'r> {
    rights: &'r Rights,
    subject: &'r Subject,
    ceiling: &'r Ceiling,
}

impl<'r> Comparer<'r> {
    /// Compares others with this caller.
    pub fn new(rights: &'r Rights, subject: &'r Subject, ceiling: &'r Ceiling) -> Self {
        Self { rights, subject, ceiling }
    }

    /// Whether the caller is an administrator, whose credentials set no limit.
    pub fn is_admin(&self) -> bool {
        self.rights.may(self.subject, self.ceiling, Permission::ADMIN).allowed
    }

    /// Checks that the caller may do everything that `target` may do under `rights`.
    ///
    /// # Errors
    /// Something that the target may do and the caller may not.
    pub fn check(&self, rights: &Rights, target: &Subject, compared: RightsCompared) -> Result<(), String> {
        // Without rules all users have the same rights.
        let (Rights::Rules { policy: own, .. }, Rights::Rules { policy, .. }) = (self.rights, rights) else {
            return Ok(());
        };
        if self.is_admin() || (own == policy && self.subject == target && *self.ceiling == Ceiling::None) {
            return Ok(());
        }
        if policy.admin_by(target).is_some() {
            return Err(format!("{target} is an administrator"));
        }
        let permissions = policy.roles_of(target).flat_map(|held| held.role.permissions.iter());
        let lacks = |permission: &&Permission| !self.rights.may(self.subject, self.ceiling, **permission).allowed;
        if let Some(permission) = permissions.into_iter().find(lacks) {
            return Err(format!("{target} has {permission}"));
        }
        if let Some(held) = artifacts_beyond(own, self.subject, policy, target) {
            return Err(format!("{target} has {held}"));
        }
        let has_same_rules = own.rules == policy.rules && own.patterns.as_slice() == policy.patterns.as_slice();
        let beyond = |grant: &RepositoryGrant<'_>| {
            let is_shared =
                |at: usize, rule: &Rule| has_same_rules && at <= grant.place() && policy.applies_to(rule, target);
            *self.ceiling != Ceiling::None || !is_granted(own, self.subject, grant, is_shared)
        };
        match grants(policy, target, compared).find(beyond) {
            Some(grant) => Err(format!("{target} may {} {}", grant.action, grant.pattern)),
            None => Ok(()),
        }
    }
}

impl Rights {
    /// Whether the caller is an administrator, or a role gives them a permission in every repository below a prefix;
    /// `true` is certain.
    pub fn may_below(
        &self,
        subject: &Subject,
        ceiling: &Ceiling,
        prefix: &RepositoryName,
        permission: Permission,
    ) -> bool {
        let Self::Rules { policy, .. } = self else { return false };
        let below = format!("{prefix}/**");
        let is_granted = |held: GroupRole<'_>| {
            let mut patterns = held.role.repositories.as_slice().iter();
            held.role.grants(permission)
                && patterns.any(|pattern| pattern_for(pattern, subject).is_some_and(|wide| covers(&wide, &below)))
        };
        ceiling.permits(permission) && (policy.admin_by(subject).is_some() || policy.roles_of(subject).any(is_granted))
    }
}

/// A permission of a role in repositories of artifacts that a target has and a caller lacks there.
fn artifacts_beyond(own: &Policy, caller: &Subject, policy: &Policy, target: &Subject) -> Option<String> {
    let is_of_artifacts = |permission: &&Permission| matches!(permission.resource, Resource::Artifact | Resource::Repo);
    let has = |permission: &Permission, pattern: &str| {
        let roles = own.roles_of(caller).filter(|held| held.role.grants(*permission));
        let mut patterns = roles.flat_map(|held| held.role.artifacts.as_slice());
        patterns.any(|wide| pattern_for(wide, caller).is_some_and(|wide| covers(&wide, pattern)))
    };
    for held in policy.roles_of(target) {
        for permission in held.role.permissions.iter().filter(is_of_artifacts) {
            let patterns = held.role.artifacts.as_slice().iter().filter_map(|pattern| pattern_for(pattern, target));
            if let Some(pattern) = patterns.into_iter().find(|pattern| !has(permission, pattern)) {
                return Some(format!("{permission} in the artifact repositories {pattern}"));
            }
        }
    }
    None
}

/// What a user may do in repositories, at most.
fn grants<'p>(
    policy: &'p Policy,
    target: &'p Subject,
    compared: RightsCompared,
) -> impl Iterator<Item = RepositoryGrant<'p>> {
    let rules = policy.rules.iter().zip(policy.patterns.as_slice()).enumerate();
    let by_rule = rules.filter(move |(_, (rule, _))| match (compared, policy.matching_user(rule, target)) {
        (_, None) => false,
        (RightsCompared::All, Some(_)) => true,
        (RightsCompared::Own, Some(_)) => rule.users.iter().any(|user| match user {
            RuleUser::User(name) => target.name() == Some(name),
            RuleUser::Group(group) => target.name().is_some_and(|name| policy.groups_of(name).any(|of| of == group)),
            RuleUser::Users | RuleUser::Anonymous => false,
        }),
    });
    let by_rule = by_rule.filter_map(move |(at, (rule, pattern))| {
        let pattern = pattern_for(pattern, target)?;
        Some(rule.permissions.iter().map(move |action| RepositoryGrant {
            pattern: pattern.clone(),
            action: *action,
            rule: Some((at, rule)),
        }))
    });
    let by_role = policy.roles_of(target).flat_map(move |held| {
        let actions = Action::ALL.into_iter().filter(|action| held.role.grants(Permission::on_images(*action)));
        actions.flat_map(move |action| {
            let patterns = held.role.repositories.as_slice().iter().filter_map(|pattern| pattern_for(pattern, target));
            patterns.map(move |pattern| RepositoryGrant { pattern, action, rule: None })
        })
    });
    let is_allowed = policy.default_allow && compared == RightsCompared::All;
    let by_default = Action::ALL.into_iter().filter(move |_| is_allowed);
    let by_default = by_default.map(|action| RepositoryGrant { pattern: "**".to_owned(), action, rule: None });
    by_rule.flatten().chain(by_role).chain(by_default)
}

impl RepositoryGrant<'_> {
    /// The place of its rule, or behind all of them.
    fn place(&self) -> usize {
        self.rule.map_or(usize::MAX, |(at, _)| at)
    }
}

/// Whether a user may perform an action in every repository that matches a pattern, whatever the recorded facts;
/// `true` is certain.
pub fn holds_everywhere(policy: &Policy, user: &Subject, pattern: &Pattern, action: Action) -> bool {
    let grant = RepositoryGrant { pattern: pattern.as_str().to_owned(), action, rule: None };
    policy.admin_by(user).is_some() || is_granted(policy, user, &grant, |_, _| false)
}

/// Whether a rule for one pattern could decide about a repository that matches another one; `false` is certain.
pub fn may_overlap(one: &str, other: &str) -> bool {
    !are_disjoint(one, other)
}

/// Whether a caller has what is granted, wherever it applies. `is_shared` tells of a rule that is about the one who has
/// the grant, too: where it matches, either it is the grant, or the grant does not apply.
fn is_granted(
    own: &Policy,
    caller: &Subject,
    grant: &RepositoryGrant<'_>,
    is_shared: impl Fn(usize, &Rule) -> bool,
) -> bool {
    for (at, (rule, pattern)) in own.rules.iter().zip(own.patterns.as_slice()).enumerate() {
        let Some(here) = pattern_for(pattern, caller).filter(|_| own.applies_to(rule, caller)) else { continue };
        if here == pattern.as_str() && is_shared(at, rule) {
            match at == grant.place() {
                true => return true,
                false => continue,
            }
        }
        if are_disjoint(&here, &grant.pattern) {
            continue;
        }
        if !rule.permissions.contains(&grant.action) {
            return false;
        }
        if covers(&here, &grant.pattern) {
            return true;
        }
    }
    let by_role = own.roles_of(caller).filter(|held| held.role.grants(Permission::on_images(grant.action)));
    let mut patterns = by_role.flat_map(|held| held.role.repositories.as_slice());
    own.default_allow
        || patterns.any(|pattern| pattern_for(pattern, caller).is_some_and(|here| covers(&here, &grant.pattern)))
}

/// A pattern as it applies to one user; `None` if it matches nothing for them.
pub fn pattern_for(pattern: &Pattern, user: &Subject) -> Option<String> {
    const VARIABLE: &str = "${user}";
    let text = pattern.as_str();
    if !text.contains(VARIABLE) {
        return Some(text.to_owned());
    }
    let name = user.name().filter(|name| RepositoryName::is_component(name))?;
    Some(text.replace(VARIABLE, name))
}

/// Whether a pattern matches every name that another one matches; `true` is certain.
fn covers(wide: &str, narrow: &str) -> bool {
    let parts = |pattern: &'_ str| pattern.split('/').map(str::to_owned).collect::<Vec<_>>();
    covers_parts(&parts(wide), &parts(narrow), &mut 0)
}

fn covers_parts(wide: &[String], narrow: &[String], steps: &mut usize) -> bool {
    *steps += 1;
    match wide.split_first() {
        _ if *steps > MOST_STEPS => false,
        None => narrow.is_empty(),
        Some((part, rest)) if part == "**" => {
            // Any number of components, but at least one at the end.
            (usize::from(rest.is_empty())..=narrow.len()).any(|taken| covers_parts(rest, &narrow[taken..], steps))
        }
        Some((part, rest)) => narrow
            .split_first()
            .is_some_and(|(other, more)| (part == other || is_within(other, part)) && covers_parts(rest, more, steps)),
    }
}

/// Whether no name matches both patterns; `true` is certain.
fn are_disjoint(one: &str, other: &str) -> bool {
    let parts = |pattern: &'_ str| pattern.split('/').map(str::to_owned).collect::<Vec<_>>();
    let (one, other) = (parts(one), parts(other));
    let is_many = |part: &String| part == "**";
    let differ = |(a, b): (&String, &String)| match (a.contains('*'), b.contains('*')) {
        (false, false) => a != b,
        (true, false) => !glob_matches(a, b),
        (false, true) => !glob_matches(b, a),
        (true, true) => false,
    };
    let before =
        |a: &[String], b: &[String]| a.iter().zip(b).take_while(|(a, b)| !is_many(a) && !is_many(b)).any(differ);
    let reversed = |parts: &[String]| parts.iter().rev().cloned().collect::<Vec<_>>();
    let has_many = one.iter().chain(&other).any(is_many);
    (!has_many && one.len() != other.len()) || before(&one, &other) || before(&reversed(&one), &reversed(&other))
}

#[cfg(test)]
mod tests;
