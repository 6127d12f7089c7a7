//! The recorded facts of a repository that matter for access: visibility and owner. Without them a repository is
//! private and has no owner.

use super::{DecisionReason, DecisionStep, Verdict};
use crate::who::{Action, Subject};

/// The recorded facts of one repository.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RepositoryFacts {
    /// Who may pull without a rule.
    pub visibility: Visibility,
    /// The user who may do everything with it.
    pub owner: Option<String>,
}

/// Who may pull a repository that no rule or role covers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Visibility {
    /// Only its owner.
    #[default]
    Private,
    /// Everybody, without a login too.
    Public,
}

/// A decision, as far as possible without reading repository facts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// The decision does not depend on facts.
    Decided(Verdict),
    /// No rule, role or administrator decided: repository facts may allow the action.
    NeedsFacts(Undecided),
}

/// A decision that depends on repository facts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Undecided {
    subject: Subject,
    action: Action,
    /// The verdict if the facts do not allow the action.
    otherwise: Verdict,
}

impl Visibility {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Private => "private",
            Self::Public => "public",
        }
    }

    /// Parses the recorded visibility: a word and a line feed.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        match bytes {
            b"private\n" => Some(Self::Private),
            b"public\n" => Some(Self::Public),
            _ => None,
        }
    }
}

impl RepositoryFacts {
    /// Parses the recorded owner: a user name and a line feed.
    pub fn parse_owner(bytes: &[u8]) -> Option<String> {
        let name = std::str::from_utf8(bytes).ok()?.strip_suffix('\n')?;
        Subject::is_user_name(name).then(|| name.to_owned())
    }

    /// Why the facts allow an action; `None` if they do not.
    pub(super) fn grants(&self, subject: &Subject, action: Action) -> Option<DecisionReason> {
        match (self.visibility, subject.name()) {
            (_, Some(user)) if self.owner.as_deref() == Some(user) => Some(DecisionReason::Owner),
            (Visibility::Public, _) if action == Action::Pull => Some(DecisionReason::Public),
            _ => None,
        }
    }
}

impl Decision {
    /// Derives the decision from a verdict that was made without facts.
    pub(super) fn of(without_facts: Verdict, subject: &Subject, action: Action) -> Self {
        let is_open = !without_facts.allowed && without_facts.step == DecisionStep::Default;
        // An anonymous caller can only be allowed a pull.
        match is_open && (action == Action::Pull || *subject != Subject::Anonymous) {
            true => Self::NeedsFacts(Undecided { subject: subject.clone(), action, otherwise: without_facts }),
            false => Self::Decided(without_facts),
        }
    }

    /// The final verdict, given the facts.
    pub fn with(self, facts: &RepositoryFacts) -> Verdict {
        match self {
            Self::Decided(verdict) => verdict,
            Self::NeedsFacts(undecided) => undecided.with(facts),
        }
    }
}

impl Undecided {
    /// The final verdict, given the facts.
    pub fn with(self, facts: &RepositoryFacts) -> Verdict {
        match facts.grants(&self.subject, self.action) {
            Some(reason) => Verdict { allowed: true, step: DecisionStep::Facts, reason },
            None => self.otherwise,
        }
    }
}
