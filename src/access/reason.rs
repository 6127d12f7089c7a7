//! The steps of the access decision, and why each decides as it does.

use crate::who::Action;
use oci::Pattern;
use std::fmt;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecisionStep {
    /// The limits of the credential.
    Ceiling,
    /// Administrators.
    Admin,
    /// The first rule that matches.
    Rule,
    /// Roles, which only add permissions.
    Role,
    /// Facts of the repository: visibility and owner.
    Facts,
    /// Applies if no other step decides.
    Default,
}

impl DecisionStep {
    /// All steps, in order.
    pub(super) const ALL: [Self; 6] = [Self::Ceiling, Self::Admin, Self::Rule, Self::Role, Self::Facts, Self::Default];
}

/// Why a step decided as it did, or why it did not decide.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DecisionReason {
    /// The credential does not cover the action.
    AboveCeiling,
    /// The credential covers the action.
    BelowCeiling,
    /// The caller is an administrator, by this entry or role.
    Admin(String),
    /// The caller is not an administrator.
    NoAdmin,
    /// This rule matched.
    Rule {
        /// Its position in the list, from 1.
        number: usize,
        /// The line it starts on.
        line: usize,
        /// The pattern that matched.
        pattern: Pattern,
        /// The entry of its `users` that includes the caller.
        by: String,
        /// The requested action.
        action: Action,
        /// The rule lists the action.
        listed: bool,
    },
    /// No rule matched.
    NoRule,
    /// This role has the permission here.
    Role {
        name: String,
        /// The group through which the caller has it.
        group: String,
    },
    /// No role has the permission.
    NoRole,
    /// The repository is public.
    Public,
    /// The caller owns the repository.
    Owner,
    /// Neither visibility nor owner allows this.
    NoFacts(Action),
    /// The default, and its value in words.
    Default(&'static str),
}

impl fmt::Display for DecisionStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ceiling => "ceiling",
            Self::Admin => "admin",
            Self::Rule => "rules",
            Self::Role => "roles",
            Self::Facts => "facts",
            Self::Default => "default",
        })
    }
}

impl fmt::Display for DecisionReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AboveCeiling => f.write_str("the token does not include this"),
            Self::BelowCeiling => f.write_str("the credentials set no limit here"),
            Self::Admin(by) => write!(f, "an administrator, by {by}"),
            Self::NoAdmin => f.write_str("not an administrator"),
            Self::Rule { number, line, pattern, by, action, listed } => {
                let lists = if *listed { "lists" } else { "does not list" };
                write!(
                    f,
                    "rule {number} (line {line}: {pattern:?} for {by:?}) is the first that matches; it {lists} {action}"
                )
            }
            Self::NoRule => f.write_str("no rule matches this user and repository"),
            Self::Role { name, group } => write!(f, "role {name:?} of group {group:?} grants it"),
            Self::NoRole => f.write_str("no role grants it"),
            Self::Public => f.write_str("the repository is public"),
            Self::Owner => f.write_str("this user owns the repository"),
            Self::NoFacts(Action::Pull) => f.write_str("the repository is not public, and this user does not own it"),
            Self::NoFacts(Action::Push | Action::Delete) => f.write_str("this user does not own the repository"),
            Self::Default(why) => f.write_str(why),
        }
    }
}
