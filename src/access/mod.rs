//! Access control: rules, roles and the function that decides. Pure: this module parses files but does not read them.

mod artifacts;
mod builtin;
mod ceiling;
mod decision;
mod facts;
mod file;
mod json;
mod key_scope;
mod policy;
mod profile;
mod reason;
mod scope;
#[cfg(test)]
mod tests;
mod unreachable;
mod within;

pub use artifacts::ArtifactDecision;
pub use builtin::roles as builtin_roles;
pub use ceiling::Ceiling;
#[cfg(test)]
pub(crate) use decision::DECIDED;
pub use decision::{Rights, RightsOf, Verdict};
pub use facts::{Decision, RepositoryFacts, Undecided, Visibility};
pub use key_scope::{InvalidScope, KeyScope, KeyScopes, MOST_KEY_SCOPES};
pub use policy::{Group, GroupRole, Policy, Role, Rule, RuleUser, RulesProblem};
pub use profile::UserProfile;
pub use reason::{DecisionReason, DecisionStep};
pub use scope::Scope;
pub use within::{Comparer, RightsCompared, holds_everywhere, may_overlap, pattern_for};
