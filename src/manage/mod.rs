//! Changes of the operator's files by callers of the API: users, groups, roles, rules and settings, without HTTP.
//!
//! Every change is one call of [`Manage::change`]: it edits the text of a file where it must and nowhere else, compiles
//! the whole configuration with it before anything is written, is refused if it would give the caller more rights or
//! leave no administrator ([`guard`]), and is recorded in the audit log.

mod diff;
mod edits;
pub mod groups;
mod guard;
pub mod passwords;
mod precondition;
mod preview;
mod refusal;
mod rehearsal;
pub mod roles;
pub mod rules;
mod rules_text;
pub mod settings;
mod settings_text;
mod suggest;
#[cfg(test)]
mod tests;
pub mod user_access;
pub mod users;

pub use edits::{Author, Changed, Edits, FileEdit, Manage, append_entry, change_as_operator, entry_time};
pub use guard::Affected;
pub use precondition::{Precondition, entity_tag, text_tag};
pub use preview::preview;
pub use refusal::EditRefusal;
pub use rehearsal::Rehearsed;
