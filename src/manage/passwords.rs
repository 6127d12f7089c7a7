//! The hash of a new password.

use super::refusal::EditRefusal;
use crate::{
    config::Live,
    identity::{Password, USUAL_COST},
};
use api::FieldProblem;

/// Hashes a user's new password, if it is acceptable. Slow on purpose, so it is done before a change begins.
///
/// # Errors
/// [`EditRefusal::Invalid`] with everything that is wrong with it, for the field `at`.
pub fn hash(live: &Live, user: &str, password: &str, at: &str) -> Result<String, EditRefusal> {
    let problem = |problem: String| FieldProblem::new(at, problem);
    let checked = live.passwords.check(user, password);
    checked.map_err(|problems| EditRefusal::Invalid(problems.into_iter().map(problem).collect()))?;
    let password = Password::new(password).map_err(|unfit| EditRefusal::invalid(at, unfit.to_string()))?;
    Ok(password.hash(USUAL_COST)?)
}
