//! The access decision.
//!
//! Six steps; the first that decides ends it. A ceiling never grants anything, it only restricts.

use super::{Ceiling, Decision, DecisionReason, DecisionStep, Policy, RepositoryFacts, Rule, policy::Concerning};
use crate::who::{Action, Permission, Subject};
use oci::{Pattern, RepositoryName};
use std::cell::OnceCell;

#[cfg(test)]
thread_local! {
    /// The decisions of this thread.
    pub(crate) static DECIDED: std::cell::Cell<u64> = const { std::cell::Cell::new(0) };
}

/// What decisions are based on: the kind of authentication, and the access rules, if any.
#[derive(Clone, Debug, Default)]
#[expect(clippy::large_enum_variant, reason = "there is one in each generation")]
pub enum Rights {
    /// No authentication, no rules: everybody may do everything.
    Open,
    /// No rules: users may do everything, anonymous callers nothing.
    #[default]
    Users,
    /// No rules, tokens of an external service: callers may do exactly what their token grants.
    Tokens,
    /// Access rules. Whether callers can log in decides what the default means for anonymous ones.
    Rules {
        /// The compiled rules.
        policy: Policy,
        /// Callers can log in.
        authenticated: bool,
    },
}

/// The rights of one caller.
pub struct RightsOf<'r> {
    rights: &'r Rights,
    subject: &'r Subject,
    ceiling: &'r Ceiling,
    /// The rules about this caller, if they were selected.
    concerning: Option<Concerning>,
}

/// The first rule that matches a caller and a repository, with its pattern.
type RuleMatch<'r> = Option<(&'r Rule, &'r Pattern)>;

/// A decision and the step that made it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Whether the action is allowed.
    pub allowed: bool,
    /// The step that decided.
    pub step: DecisionStep,
    /// Why.
    pub reason: DecisionReason,
}

impl Rights {
    /// Decides whether an action is allowed.
    pub fn decide(
        &self,
        subject: &Subject,
        ceiling: &Ceiling,
        repository: &RepositoryName,
        action: Action,
        facts: &RepositoryFacts,
    ) -> Verdict {
        self.decided(&OnceCell::new(), subject, ceiling, repository, action, facts)
    }

    /// Decides without repository facts if they cannot matter, so that they are read only when needed.
    pub fn decide_without_facts(
        &self,
        subject: &Subject,
        ceiling: &Ceiling,
        repository: &RepositoryName,
        action: Action,
    ) -> Decision {
        let verdict = self.decide(subject, ceiling, repository, action, &RepositoryFacts::default());
        Decision::of(verdict, subject, action)
    }

    /// The rights of one caller, for decisions about this many repositories.
    pub fn of<'r>(&'r self, subject: &'r Subject, ceiling: &'r Ceiling, repositories: usize) -> RightsOf<'r> {
        /// For fewer repositories, selecting the caller's rules takes longer than searching all rules.
        const MANY: usize = 8;
        let concerning = match self {
            Self::Rules { policy, .. } if repositories > MANY => Some(policy.rules_for(subject)),
            Self::Rules { .. } | Self::Open | Self::Users | Self::Tokens => None,
        };
        RightsOf { rights: self, subject, ceiling, concerning }
    }

    /// Runs the steps in order. `rule` is the rule that matches, once it has been searched for.
    fn decided<'r>(
        &'r self,
        rule: &OnceCell<RuleMatch<'r>>,
        subject: &Subject,
        ceiling: &Ceiling,
        repository: &RepositoryName,
        action: Action,
        facts: &RepositoryFacts,
    ) -> Verdict {
        #[cfg(test)]
        DECIDED.with(|decided| decided.set(decided.get() + 1));
        for step in DecisionStep::ALL {
            if let (Some(allowed), reason) = self.ask(step, rule, subject, ceiling, repository, action, facts) {
                return Verdict { allowed, step, reason };
            }
        }
        // The default always decides; should it not, nothing is allowed.
        Verdict {
            allowed: false,
            step: DecisionStep::Default,
            reason: DecisionReason::Default("nothing speaks for it"),
        }
    }

    /// The result of each step, up to the one that decides.
    pub fn explain(
        &self,
        subject: &Subject,
        ceiling: &Ceiling,
        repository: &RepositoryName,
        action: Action,
        facts: &RepositoryFacts,
    ) -> Vec<(DecisionStep, Option<bool>, DecisionReason)> {
        let mut results = Vec::new();
        for step in DecisionStep::ALL {
            let (spoken, reason) = self.ask(step, &OnceCell::new(), subject, ceiling, repository, action, facts);
            results.push((step, spoken, reason));
            if spoken.is_some() {
                break;
            }
        }
        results
    }

    #[expect(clippy::too_many_arguments, reason = "who asks for what, and the rule that answers")]
    fn ask<'r>(
        &'r self,
        step: DecisionStep,
        rule: &OnceCell<RuleMatch<'r>>,
        subject: &Subject,
        ceiling: &Ceiling,
        repository: &RepositoryName,
        action: Action,
        facts: &RepositoryFacts,
    ) -> (Option<bool>, DecisionReason) {
        let policy = match self {
            Self::Rules { policy, .. } => Some(policy),
            Self::Open | Self::Users | Self::Tokens => None,
        };
        match step {
            DecisionStep::Ceiling => match ceiling.allows(subject, repository, action) {
                true => (None, DecisionReason::BelowCeiling),
                false => (Some(false), DecisionReason::AboveCeiling),
            },
            DecisionStep::Admin => match policy.and_then(|policy| policy.admin_by(subject)) {
                Some(by) => (Some(true), DecisionReason::Admin(by)),
                None => (None, DecisionReason::NoAdmin),
            },
            DecisionStep::Rule => {
                match *rule.get_or_init(|| policy.and_then(|policy| policy.rule(subject, repository))) {
                    Some((rule, pattern)) => {
                        let listed = rule.permissions.contains(&action);
                        let (number, line, pattern) = (rule.number, rule.line, pattern.clone());
                        let by = policy.and_then(|policy| policy.matching_user(rule, subject));
                        let by = by.map(ToString::to_string).unwrap_or_default();
                        (Some(listed), DecisionReason::Rule { number, line, pattern, by, action, listed })
                    }
                    None => (None, DecisionReason::NoRule),
                }
            }
            DecisionStep::Role => {
                let user = subject.name();
                let wanted = Permission::on_images(action);
                let grants =
                    |role: &super::policy::Role| role.grants(wanted) && role.repositories.matches(repository, user);
                match policy.and_then(|policy| policy.roles_of(subject).find(|held| grants(held.role))) {
                    Some(held) => {
                        (Some(true), DecisionReason::Role { name: held.name.to_owned(), group: held.group.to_owned() })
                    }
                    None => (None, DecisionReason::NoRole),
                }
            }
            DecisionStep::Facts => match facts.grants(subject, action) {
                Some(reason) => (Some(true), reason),
                None => (None, DecisionReason::NoFacts(action)),
            },
            DecisionStep::Default => {
                let (allowed, why) = self.default_for(subject, ceiling);
                (Some(allowed), DecisionReason::Default(why))
            }
        }
    }

    /// Decides about a permission outside any repository. Only roles grant those.
    pub fn may(&self, subject: &Subject, ceiling: &Ceiling, permission: Permission) -> Verdict {
        let verdict = |allowed, step, reason| Verdict { allowed, step, reason };
        let policy = match self {
            _ if !ceiling.permits(permission) => {
                return verdict(false, DecisionStep::Ceiling, DecisionReason::AboveCeiling);
            }
            Self::Rules { policy, .. } => policy,
            Self::Open | Self::Users | Self::Tokens => {
                return verdict(
                    false,
                    DecisionStep::Default,
                    DecisionReason::Default("roles need access control, which is off"),
                );
            }
        };
        if let Some(by) = policy.admin_by(subject) {
            return verdict(true, DecisionStep::Admin, DecisionReason::Admin(by));
        }
        match policy.roles_of(subject).find(|held| held.role.grants(permission)) {
            Some(held) => {
                let (name, group) = (held.name.to_owned(), held.group.to_owned());
                verdict(true, DecisionStep::Role, DecisionReason::Role { name, group })
            }
            None => verdict(false, DecisionStep::Role, DecisionReason::NoRole),
        }
    }

    /// Whether the caller is an administrator, or a role gives them a permission in a repository.
    pub fn may_in(
        &self,
        subject: &Subject,
        ceiling: &Ceiling,
        repository: &RepositoryName,
        permission: Permission,
    ) -> bool {
        let Self::Rules { policy, .. } = self else { return false };
        let is_granted = |held: super::policy::GroupRole<'_>| {
            held.role.grants(permission) && held.role.repositories.matches(repository, subject.name())
        };
        *ceiling == Ceiling::None && (policy.admin_by(subject).is_some() || policy.roles_of(subject).any(is_granted))
    }

    /// Whether anonymous callers may be allowed anything.
    pub fn speaks_of_anonymous(&self) -> bool {
        match self {
            Self::Rules { policy, .. } => {
                policy.speaks_of_anonymous() || self.default_for(&Subject::Anonymous, &Ceiling::None).0
            }
            Self::Open | Self::Users | Self::Tokens => self.default_for(&Subject::Anonymous, &Ceiling::None).0,
        }
    }

    fn default_for(&self, subject: &Subject, ceiling: &Ceiling) -> (bool, &'static str) {
        match (self, subject) {
            (Self::Open, _) => (true, "without authentication and rules everyone may do everything"),
            (Self::Users, Subject::User(_)) => (true, "without rules every user may do everything"),
            (Self::Users, Subject::Anonymous) => (false, "a login is required; no rules are set"),
            (Self::Tokens, _) => match ceiling.scopes() {
                Some(_) => (true, "without rules a token may do what it lists"),
                None => (false, "a token is required; no rules are set"),
            },
            (Self::Rules { policy, authenticated }, subject) => match (policy.default_allow, subject, authenticated) {
                (false, ..) => (false, "defaultPolicy is deny"),
                (true, Subject::Anonymous, true) => (false, "defaultPolicy applies only to users who are logged in"),
                (true, ..) => (true, "defaultPolicy is allow"),
            },
        }
    }

    /// Whether the default allows a caller what nothing else decides.
    pub(super) fn default_allows(&self, subject: &Subject, ceiling: &Ceiling) -> bool {
        self.default_for(subject, ceiling).0
    }

    /// Whether repository facts could allow this caller a pull that nothing else allows.
    pub fn asks_facts(&self, subject: &Subject, ceiling: &Ceiling) -> bool {
        !self.default_for(subject, ceiling).0
    }

    /// Whether this caller could pull anything below a prefix, whatever the repository facts. `false` is certain,
    /// `true` is not.
    pub fn reaches(&self, subject: &Subject, ceiling: &Ceiling, prefix: &RepositoryName) -> bool {
        if !ceiling.reaches(subject, prefix) {
            return false;
        }
        let Self::Rules { policy, .. } = self else { return self.default_for(subject, ceiling).0 };
        let user = subject.name();
        let by_rule = || policy.rule_reaches(subject, prefix, Action::Pull);
        let by_role = || {
            policy.roles_of(subject).any(|held| {
                held.role.grants(Permission::on_images(Action::Pull))
                    && held.role.repositories.reach(prefix, user, |_| true)
            })
        };
        self.default_for(subject, ceiling).0 || policy.admin_by(subject).is_some() || by_rule() || by_role()
    }
}

impl RightsOf<'_> {
    /// Decides about several actions, in order. The rules are searched only once.
    pub fn decide(&self, repository: &RepositoryName, actions: &[Action]) -> Vec<(Action, Decision)> {
        let rule = OnceCell::new();
        if let (Rights::Rules { policy, .. }, Some(concerning)) = (self.rights, &self.concerning) {
            rule.get_or_init(|| policy.rule_among(concerning, self.subject, repository));
        }
        let none = RepositoryFacts::default();
        let decided = |action| self.rights.decided(&rule, self.subject, self.ceiling, repository, action, &none);
        actions.iter().map(|action| (*action, Decision::of(decided(*action), self.subject, *action))).collect()
    }
}
