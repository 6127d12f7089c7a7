//! The compiled rules.

use crate::{
    oci::{Pattern, Patterns, RepositoryName},
    who::{Action, Subject},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

/// Everything `access-control.json` says, ready to be asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// `defaultPolicy` is `allow`.
    pub default_allow: bool,
    /// `adminUsers`.
    pub(super) admins: BTreeSet<String>,
    /// `rules`, in order.
    pub(super) rules: Vec<Rule>,
    /// Their patterns, in the same order.
    pub(super) patterns: Patterns,
    /// `groups`.
    pub(super) groups: BTreeMap<String, Group>,
    /// `roles`.
    pub(super) roles: BTreeMap<String, Role>,
    /// The users named anywhere in the file, and the line that names each of them first.
    pub(super) mentioned: BTreeMap<String, usize>,
}

/// One rule, first match decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Its place in the list, from 1.
    pub number: usize,
    /// The line it begins on.
    pub line: usize,
    /// `users`.
    pub(super) users: Vec<Who>,
    /// `permissions`.
    pub(super) permissions: Vec<Action>,
}

/// An entry of a rule's `users`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Who {
    /// `*`: everybody who is logged in.
    Users,
    /// `anonymous`: everybody who is not.
    Anonymous,
    /// `@group`.
    Group(String),
    /// A name.
    User(String),
}

/// Users who share roles.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Group {
    pub(super) members: BTreeSet<String>,
    pub(super) roles: Vec<String>,
}

/// Permissions that only ever add, in some repositories.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Role {
    /// `ADMIN:SYSTEM`: everything, everywhere.
    pub(super) admin: bool,
    /// What of `PULL:IMAGE`, `PUSH:IMAGE` and `DELETE:IMAGE` it has.
    pub(super) actions: Vec<Action>,
    pub(super) repositories: Patterns,
}

/// A role that a caller has by a group.
pub(super) struct Held<'p> {
    pub(super) group: &'p str,
    pub(super) name: &'p str,
    pub(super) role: &'p Role,
}

/// Something wrong with, or odd about, the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The line.
    pub line: usize,
    /// The key, as a path.
    pub key: String,
    /// What is wrong.
    pub message: String,
}

impl Policy {
    /// Whether a rule is about this caller.
    pub(super) fn concerns(&self, rule: &Rule, subject: &Subject) -> bool {
        self.concerns_by(rule, subject).is_some()
    }

    /// The entry of a rule's users that a caller is among.
    pub(super) fn concerns_by<'r>(&self, rule: &'r Rule, subject: &Subject) -> Option<&'r Who> {
        rule.users.iter().find(|who| match (who, subject) {
            (Who::Anonymous, Subject::Anonymous) | (Who::Users, Subject::User(_)) => true,
            (Who::User(name), Subject::User(user)) => **name == **user,
            (Who::Group(group), Subject::User(user)) => {
                self.groups.get(group).is_some_and(|group| group.members.contains(&**user))
            }
            _ => false,
        })
    }

    /// The first rule about this caller and this repository, with its pattern.
    pub(super) fn rule(&self, subject: &Subject, repository: &RepositoryName) -> Option<(&Rule, &Pattern)> {
        let concerns = |place: usize| self.concerns(&self.rules[place], subject);
        let place = self.patterns.first(repository, subject.name(), concerns)?;
        Some((&self.rules[place], &self.patterns.as_slice()[place]))
    }

    /// Whether some rule lets this caller do something below a prefix; `false` only if surely none.
    pub(super) fn rule_reaches(&self, subject: &Subject, prefix: &RepositoryName, action: Action) -> bool {
        self.patterns.reach(prefix, subject.name(), |place| {
            let rule = &self.rules[place];
            rule.permissions.contains(&action) && self.concerns(rule, subject)
        })
    }

    /// The roles a caller has.
    pub(super) fn roles_of<'p>(&'p self, subject: &'p Subject) -> impl Iterator<Item = Held<'p>> {
        let groups = subject
            .name()
            .into_iter()
            .flat_map(|user| self.groups.iter().filter(move |(_, group)| group.members.contains(user)));
        let names = groups.flat_map(|(group, of)| of.roles.iter().map(move |name| (group, name)));
        names.filter_map(|(group, name)| self.roles.get(name).map(|role| Held { group, name, role }))
    }

    /// Whether a caller may do everything: by name, or by a role.
    pub(super) fn admin_by(&self, subject: &Subject) -> Option<String> {
        let user = subject.name()?;
        if self.admins.contains(user) {
            return Some("adminUsers".to_owned());
        }
        let held = self.roles_of(subject).find(|held| held.role.admin);
        held.map(|held| format!("role {:?} of group {:?}, which has ADMIN:SYSTEM", held.name, held.group))
    }

    /// The users named in the file, each with the line that names it first: to be held against the users there are.
    pub fn users(&self) -> impl Iterator<Item = (&str, usize)> {
        self.mentioned.iter().map(|(name, line)| (name.as_str(), *line))
    }

    /// Whether some rule is about callers who are not logged in.
    pub fn speaks_of_anonymous(&self) -> bool {
        self.rules.iter().any(|rule| rule.users.contains(&Who::Anonymous))
    }
}

/// As the file writes it.
impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Users => f.write_str("*"),
            Self::Anonymous => f.write_str("anonymous"),
            Self::Group(name) => write!(f, "@{name}"),
            Self::User(name) => f.write_str(name),
        }
    }
}
