//! The one function that decides, and the words in which it gives its reasons.
//!
//! Six steps; the first that speaks ends it. A ceiling only ever takes away.

use super::{Ceiling, Policy};
use crate::{
    oci::{Pattern, RepositoryName},
    who::{Action, Subject},
};
use std::fmt;

/// By what a decision is made: how callers prove who they are, and the rules, if there are any.
#[derive(Clone, Debug, Default)]
pub enum Rights {
    /// No authentication, no rules: everybody may do everything.
    Open,
    /// No rules: users may do everything, anonymous callers nothing.
    #[default]
    Users,
    /// No rules, tokens of a service elsewhere: exactly what a token says.
    Tokens,
    /// Rules. Whether there is anything to log in to decides what the default means for those
    /// who have not.
    Rules {
        /// The rules.
        policy: Policy,
        /// Callers can log in.
        authenticated: bool,
    },
}

/// What is kept of a repository and bears on access; nothing yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Facts;

/// A step of the decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// What the credential is good for at most.
    Ceiling,
    /// Administrators.
    Admin,
    /// The first rule that matches.
    Rule,
    /// Roles, which only add.
    Role,
    /// Facts of the repository: public, owner.
    Facts,
    /// What holds where nothing else speaks.
    Default,
}

impl Step {
    /// All of them, in the order they are asked.
    const ALL: [Self; 6] = [Self::Ceiling, Self::Admin, Self::Rule, Self::Role, Self::Facts, Self::Default];
}

/// What was decided, and by what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// It may be done.
    pub allowed: bool,
    /// The step that spoke.
    pub step: Step,
    /// Why.
    pub reason: Reason,
}

/// Why a step spoke as it did, or why it did not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The credential does not reach so far.
    AboveCeiling,
    /// It does.
    BelowCeiling,
    /// An administrator, by this.
    Admin(String),
    /// No administrator.
    NoAdmin,
    /// This rule matched.
    Rule {
        /// Its place in the list, from 1.
        number: usize,
        /// The line it begins on.
        line: usize,
        /// Its pattern.
        pattern: Pattern,
        /// The entry of its users that the caller is among.
        by: String,
        /// What is asked for.
        action: Action,
        /// The permission is listed.
        listed: bool,
    },
    /// No rule matched.
    NoRule,
    /// This role has the permission here.
    Role {
        /// Its name.
        name: String,
        /// The group the caller has it by.
        group: String,
    },
    /// No role has.
    NoRole,
    /// Nothing is recorded of the repository.
    NoFacts,
    /// This is the default.
    Default(&'static str),
}

impl Rights {
    /// Decides.
    pub fn decide(
        &self,
        subject: &Subject,
        ceiling: &Ceiling,
        repository: &RepositoryName,
        action: Action,
        facts: Facts,
    ) -> Verdict {
        for step in Step::ALL {
            if let (Some(allowed), reason) = self.ask(step, subject, ceiling, repository, action, facts) {
                return Verdict { allowed, step, reason };
            }
        }
        // The default always speaks; if it did not, nothing is allowed.
        Verdict { allowed: false, step: Step::Default, reason: Reason::Default("nothing speaks for it") }
    }

    /// What each step up to the one that decided had to say.
    pub fn explain(
        &self,
        subject: &Subject,
        ceiling: &Ceiling,
        repository: &RepositoryName,
        action: Action,
        facts: Facts,
    ) -> Vec<(Step, Option<bool>, Reason)> {
        let mut told = Vec::new();
        for step in Step::ALL {
            let (spoken, reason) = self.ask(step, subject, ceiling, repository, action, facts);
            told.push((step, spoken, reason));
            if spoken.is_some() {
                break;
            }
        }
        told
    }

    fn ask(
        &self,
        step: Step,
        subject: &Subject,
        ceiling: &Ceiling,
        repository: &RepositoryName,
        action: Action,
        _: Facts,
    ) -> (Option<bool>, Reason) {
        let policy = match self {
            Self::Rules { policy, .. } => Some(policy),
            Self::Open | Self::Users | Self::Tokens => None,
        };
        match step {
            Step::Ceiling => match ceiling.allows(repository, action) {
                true => (None, Reason::BelowCeiling),
                false => (Some(false), Reason::AboveCeiling),
            },
            Step::Admin => match policy.and_then(|policy| policy.admin_by(subject)) {
                Some(by) => (Some(true), Reason::Admin(by)),
                None => (None, Reason::NoAdmin),
            },
            Step::Rule => match policy.and_then(|policy| policy.rule(subject, repository)) {
                Some((rule, pattern)) => {
                    let listed = rule.permissions.contains(&action);
                    let (number, line, pattern) = (rule.number, rule.line, pattern.clone());
                    let by = policy.and_then(|policy| policy.concerns_by(rule, subject));
                    let by = by.map(ToString::to_string).unwrap_or_default();
                    (Some(listed), Reason::Rule { number, line, pattern, by, action, listed })
                }
                None => (None, Reason::NoRule),
            },
            Step::Role => {
                let user = subject.name();
                let grants = |role: &super::policy::Role| {
                    role.actions.contains(&action) && role.repositories.matches(repository, user)
                };
                match policy.and_then(|policy| policy.roles_of(subject).find(|held| grants(held.role))) {
                    Some(held) => {
                        (Some(true), Reason::Role { name: held.name.to_owned(), group: held.group.to_owned() })
                    }
                    None => (None, Reason::NoRole),
                }
            }
            Step::Facts => (None, Reason::NoFacts),
            Step::Default => {
                let (allowed, why) = self.default_for(subject, ceiling);
                (Some(allowed), Reason::Default(why))
            }
        }
    }

    /// Whether callers who are not logged in may have anything at all.
    pub fn speaks_of_anonymous(&self) -> bool {
        match self {
            Self::Rules { policy, .. } => {
                policy.speaks_of_anonymous() || self.default_for(&Subject::Anonymous, &Ceiling::None).0
            }
            Self::Open | Self::Users | Self::Tokens => self.default_for(&Subject::Anonymous, &Ceiling::None).0,
        }
    }

    /// Whether somebody may do everything.
    pub fn is_admin(&self, subject: &Subject) -> bool {
        match self {
            Self::Rules { policy, .. } => policy.admin_by(subject).is_some(),
            Self::Open | Self::Users | Self::Tokens => false,
        }
    }

    fn default_for(&self, subject: &Subject, ceiling: &Ceiling) -> (bool, &'static str) {
        match (self, subject) {
            (Self::Open, _) => (true, "without authentication and rules everyone may do everything"),
            (Self::Users, Subject::User(_)) => (true, "without rules every user may do everything"),
            (Self::Users, Subject::Anonymous) => (false, "a login is required; no rules are set"),
            (Self::Tokens, _) => match ceiling {
                Ceiling::Scopes(_) => (true, "without rules a token may do what it lists"),
                Ceiling::None => (false, "a token is required; no rules are set"),
            },
            (Self::Rules { policy, authenticated }, subject) => match (policy.default_allow, subject, authenticated) {
                (false, ..) => (false, "defaultPolicy is deny"),
                (true, Subject::Anonymous, true) => (false, "defaultPolicy applies only to users who are logged in"),
                (true, ..) => (true, "defaultPolicy is allow"),
            },
        }
    }

    /// Whether anything below a prefix could be pulled by this caller; `false` only if surely
    /// nothing.
    pub fn reaches(&self, subject: &Subject, ceiling: &Ceiling, prefix: &RepositoryName) -> bool {
        if let Ceiling::Scopes(scopes) = ceiling {
            let below = |scope: &super::Scope| match scope {
                super::Scope::Repository(name, _) => {
                    name.as_str().strip_prefix(prefix.as_str()).is_some_and(|rest| rest.starts_with('/'))
                }
                super::Scope::Catalog => true,
            };
            if !scopes.iter().any(below) {
                return false;
            }
        }
        let Self::Rules { policy, .. } = self else { return self.default_for(subject, ceiling).0 };
        let user = subject.name();
        let by_rule = || policy.rule_reaches(subject, prefix, Action::Pull);
        let by_role = || {
            policy.roles_of(subject).any(|held| {
                held.role.actions.contains(&Action::Pull) && held.role.repositories.reach(prefix, user, |_| true)
            })
        };
        self.default_for(subject, ceiling).0 || policy.admin_by(subject).is_some() || by_rule() || by_role()
    }
}

impl fmt::Display for Step {
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

impl fmt::Display for Reason {
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
            Self::NoFacts => f.write_str("the repository has no owner and is not public"),
            Self::Default(why) => f.write_str(why),
        }
    }
}
