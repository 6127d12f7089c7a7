//! The compiled rules.

use crate::who::{Action, Permission, Subject};
use oci::{Pattern, Patterns, RepositoryName};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

/// The compiled content of `access-control.json`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// `defaultPolicy` is `allow`.
    pub default_allow: bool,
    /// `adminUsers`.
    pub admins: BTreeSet<String>,
    /// `rules`, in order.
    pub rules: Vec<Rule>,
    /// The rules' patterns, in the same order.
    pub patterns: Patterns,
    /// `groups`.
    pub groups: BTreeMap<String, Group>,
    /// `roles`, and the built-in ones that the file does not define.
    pub roles: BTreeMap<String, Role>,
    /// The groups of each user.
    pub(super) memberships: BTreeMap<String, Vec<String>>,
    /// Every user named in the file, and the first line that names them.
    pub(super) mentioned: BTreeMap<String, usize>,
}

/// One rule. The first rule that matches decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Its position in the list, from 1.
    pub number: usize,
    /// The line it starts on.
    pub line: usize,
    /// `users`.
    pub users: Vec<RuleUser>,
    /// `permissions`.
    pub permissions: Vec<Action>,
    /// `for`: the user for whom the management API made this rule, and keeps changing it.
    pub made_for: Option<String>,
}

/// An entry of a rule's `users`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum RuleUser {
    /// `*`: every user who is logged in.
    Users,
    /// `anonymous`: callers who are not logged in.
    Anonymous,
    Group(String),
    /// A user name.
    User(String),
}

/// The rules about one caller.
pub(super) struct Concerning {
    /// Their positions, in order.
    places: Vec<usize>,
    /// Their patterns, compiled separately if there are few.
    patterns: Option<Patterns>,
}

/// Users who share roles.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Group {
    /// For people.
    pub description: String,
    /// The users.
    pub members: BTreeSet<String>,
    /// The roles that all of them have.
    pub roles: Vec<String>,
}

/// Permissions that are only ever added.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Role {
    /// For people.
    pub description: String,
    /// What it permits.
    pub permissions: BTreeSet<Permission>,
    /// The repositories in which its image permissions apply.
    pub repositories: Patterns,
    /// The repositories of artifacts in which its permissions on artifacts and their repositories apply.
    pub artifacts: Patterns,
    /// The file does not define it.
    pub is_builtin: bool,
}

impl Role {
    /// Whether it has exactly this permission.
    pub fn grants(&self, permission: Permission) -> bool {
        self.permissions.contains(&permission)
    }
}

/// A role that a caller has through a group.
pub struct GroupRole<'p> {
    /// The group.
    pub group: &'p str,
    /// The role's name.
    pub name: &'p str,
    /// The role.
    pub role: &'p Role,
}

/// An error in the file, or a warning about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RulesProblem {
    /// The line, from 1.
    pub line: usize,
    /// The path of the key.
    pub key: String,
    /// What is wrong.
    pub message: String,
}

impl Policy {
    /// Whether a rule is about this caller.
    pub fn applies_to(&self, rule: &Rule, subject: &Subject) -> bool {
        self.matching_user(rule, subject).is_some()
    }

    /// The entry of a rule's `users` that includes a caller.
    pub fn matching_user<'r>(&self, rule: &'r Rule, subject: &Subject) -> Option<&'r RuleUser> {
        rule.users.iter().find(|who| match (who, subject) {
            (RuleUser::Anonymous, Subject::Anonymous) | (RuleUser::Users, Subject::User(_)) => true,
            (RuleUser::User(name), Subject::User(user)) => **name == **user,
            (RuleUser::Group(group), Subject::User(user)) => {
                self.groups.get(group).is_some_and(|group| group.members.contains(&**user))
            }
            _ => false,
        })
    }

    /// The first rule that matches this caller and repository, with its pattern.
    pub(super) fn rule(&self, subject: &Subject, repository: &RepositoryName) -> Option<(&Rule, &Pattern)> {
        let concerns = |place: usize| self.applies_to(&self.rules[place], subject);
        let place = self.patterns.first(repository, subject.name(), concerns)?;
        Some((&self.rules[place], &self.patterns.as_slice()[place]))
    }

    /// Selects the rules about this caller.
    pub(super) fn rules_for(&self, subject: &Subject) -> Concerning {
        /// Compiling more patterns takes longer than skipping the others.
        const FEW: usize = 64;
        let places: Vec<_> =
            (0..self.rules.len()).filter(|place| self.applies_to(&self.rules[*place], subject)).collect();
        let pattern = |place: &usize| self.patterns.as_slice()[*place].clone();
        let patterns = (places.len() <= FEW).then(|| places.iter().map(pattern).collect());
        Concerning { places, patterns }
    }

    /// The same result as [`Self::rule`], from the selected rules of the caller. If most rules are about other callers,
    /// this saves most of the time.
    pub(super) fn rule_among(
        &self,
        among: &Concerning,
        subject: &Subject,
        repository: &RepositoryName,
    ) -> Option<(&Rule, &Pattern)> {
        let (user, places) = (subject.name(), &among.places);
        let place = match &among.patterns {
            Some(patterns) => places[patterns.first(repository, user, |_| true)?],
            None => self.patterns.first(repository, user, |place| places.binary_search(&place).is_ok())?,
        };
        Some((&self.rules[place], &self.patterns.as_slice()[place]))
    }

    /// Whether some rule could allow this caller the action below a prefix. `false` is certain, `true` is not.
    pub(super) fn rule_reaches(&self, subject: &Subject, prefix: &RepositoryName, action: Action) -> bool {
        self.patterns.reach(prefix, subject.name(), |place| {
            let rule = &self.rules[place];
            rule.permissions.contains(&action) && self.applies_to(rule, subject)
        })
    }

    /// The roles a caller has.
    pub fn roles_of<'p>(&'p self, subject: &'p Subject) -> impl Iterator<Item = GroupRole<'p>> {
        let groups = subject.name().into_iter().flat_map(|user| self.groups_of(user));
        let known = groups.filter_map(|name| self.groups.get_key_value(name));
        let names = known.flat_map(|(group, of)| of.roles.iter().map(move |name| (group, name)));
        names.filter_map(|(group, name)| self.roles.get(name).map(|role| GroupRole { group, name, role }))
    }

    /// The groups of a user, in order.
    pub fn groups_of(&self, user: &str) -> impl Iterator<Item = &str> {
        self.memberships.get(user).into_iter().flatten().map(String::as_str)
    }

    /// What makes a caller an administrator: their name, or a role.
    pub fn admin_by(&self, subject: &Subject) -> Option<String> {
        let user = subject.name()?;
        if self.admins.contains(user) {
            return Some("adminUsers".to_owned());
        }
        let held = self.roles_of(subject).find(|held| held.role.grants(Permission::ADMIN));
        held.map(|held| format!("role {:?} of group {:?}, which has ADMIN:SYSTEM", held.name, held.group))
    }

    /// The same rules with one more member of a group, and this member. They have no other rights of their own.
    pub fn with_new_member(&self, group: &str) -> (Self, Subject) {
        // No user's name begins so.
        let name = format!("@{group}");
        let mut policy = self.clone();
        if let Some(group) = policy.groups.get_mut(group) {
            group.members.insert(name.clone());
        }
        policy.memberships.insert(name.clone(), vec![group.to_owned()]);
        (policy, Subject::User(name.as_str().into()))
    }

    /// The administrators, by name or by role.
    pub fn admin_names(&self) -> impl Iterator<Item = &str> {
        let groups = self.groups.iter().filter(|(name, _)| self.makes_admins(name));
        self.admins.iter().chain(groups.flat_map(|(_, group)| &group.members)).map(String::as_str)
    }

    /// Whether the members of a group are administrators by one of its roles.
    pub fn makes_admins(&self, group: &str) -> bool {
        let is_admin = |name: &String| self.roles.get(name).is_some_and(|role| role.grants(Permission::ADMIN));
        self.groups.get(group).is_some_and(|group| group.roles.iter().any(is_admin))
    }

    /// The users named in the file, each with the first line that names them, to check that they exist.
    pub fn users(&self) -> impl Iterator<Item = (&str, usize)> {
        self.mentioned.iter().map(|(name, line)| (name.as_str(), *line))
    }

    /// Whether some rule is about anonymous callers.
    pub fn speaks_of_anonymous(&self) -> bool {
        self.rules.iter().any(|rule| rule.users.contains(&RuleUser::Anonymous))
    }
}

/// As the file spells it.
impl fmt::Display for RuleUser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Users => f.write_str("*"),
            Self::Anonymous => f.write_str("anonymous"),
            Self::Group(name) => write!(f, "@{name}"),
            Self::User(name) => f.write_str(name),
        }
    }
}
