//! A form on a page: empty at first, and with what was typed and what is wrong with it after it was refused.

use super::{
    super::error::{ApiError, ServiceError},
    form::PageForm,
    markup::{self, Markup},
};
use http::StatusCode;
use std::borrow::Borrow;

/// The two forms of a page about one thing.
#[derive(Default)]
pub(super) struct EditForms {
    pub(super) change: FormState,
    pub(super) deletion: FormState,
}

/// What a form contains, and why it was refused.
#[derive(Default)]
pub(super) struct FormState {
    /// What was typed, if the form was sent.
    typed: Option<PageForm>,
    /// What is wrong with fields, by their names in the API.
    problems: Vec<(String, String)>,
    /// What is wrong with the whole.
    message: String,
    status: StatusCode,
}

impl EditForms {
    pub(super) fn changing(change: FormState) -> Self {
        Self { change, deletion: FormState::default() }
    }

    pub(super) fn deleting(deletion: FormState) -> Self {
        Self { change: FormState::default(), deletion }
    }

    /// The status of the page.
    pub(super) fn status(&self) -> StatusCode {
        if self.deletion.is_refused() { self.deletion.status } else { self.change.status }
    }
}

impl FormState {
    /// A form as it was sent, with the reason of its refusal beside the fields that have problems. `fields` are those
    /// that the page can say something about; passwords are typed again.
    ///
    /// # Errors
    /// The same error, if it is not about what was typed.
    pub(super) fn refused(typed: &PageForm, error: ServiceError, fields: &[&str]) -> Result<Self, ServiceError> {
        let status = error.row().status;
        let is_about_the_form = matches!(
            status,
            StatusCode::BAD_REQUEST | StatusCode::FORBIDDEN | StatusCode::CONFLICT | StatusCode::PRECONDITION_FAILED
        );
        if !is_about_the_form {
            return Err(error);
        }
        let (mut problems, mut rest) = (Vec::new(), Vec::new());
        for (at, problem) in located(&error) {
            match at {
                Some(at) if fields.contains(&at.as_str()) => problems.push((at, problem)),
                Some(at) => rest.push(format!("{at}: {problem}")),
                None => rest.push(problem),
            }
        }
        let message = match (&error, problems.is_empty()) {
            (ServiceError::Api(ApiError::PreconditionFailed(_)), _) => {
                "Somebody else has saved a change since you opened this page. Look at the page again before you save \
                 yours."
                    .to_owned()
            }
            (_, true) => sentence(&error.message()),
            (_, false) => rest.join(" "),
        };
        let typed = Some(typed.without(is_secret));
        Ok(Self { typed, problems, message, status })
    }

    /// A form that was not sent off yet: what was typed, without passwords.
    pub(super) fn kept(typed: &PageForm) -> Self {
        Self { typed: Some(typed.without(is_secret)), ..Self::default() }
    }

    /// The status of the page.
    pub(super) fn status(&self) -> StatusCode {
        self.status
    }

    pub(super) fn is_refused(&self) -> bool {
        self.typed.is_some()
    }

    /// The value of a field: what was typed, or what it is at first.
    pub(super) fn text(&self, field: &str, first: impl AsRef<str>) -> String {
        let typed = self.typed.as_ref().filter(|typed| typed.checked(field));
        typed.map_or(first.as_ref(), |typed| typed.text(field)).to_owned()
    }

    /// Whether a box is checked, or an option chosen.
    pub(super) fn is_chosen(&self, field: &str, value: &str, first: impl Borrow<bool>) -> bool {
        self.typed.as_ref().map_or(*first.borrow(), |typed| typed.has(field, value))
    }

    pub(super) fn has_problem(&self, field: &str) -> bool {
        self.problems.iter().any(|(at, _)| at == field)
    }

    /// Attributes of a field that has a problem.
    pub(super) fn invalid(&self, field: &str, id: impl AsRef<str>) -> Markup {
        if self.has_problem(field) { markup::invalid(id) } else { Markup::default() }
    }

    /// What is wrong with a field.
    pub(super) fn why(&self, field: &str, id: impl AsRef<str>) -> Markup {
        let problems: Vec<_> =
            self.problems.iter().filter(|(at, _)| at == field).map(|(_, problem)| problem.as_str()).collect();
        if problems.is_empty() { Markup::default() } else { markup::field_error(id, problems.join(" ")) }
    }

    /// What is wrong with the whole.
    pub(super) fn summary(&self) -> Markup {
        if self.message.is_empty() { Markup::default() } else { markup::form_error(&self.message) }
    }
}

/// Whether a field is not sent back to the browser.
fn is_secret(name: &str) -> bool {
    name.contains("password") || name == "repeated"
}

/// The problems of an error, each with the field that it is about.
fn located(error: &ServiceError) -> Vec<(Option<String>, String)> {
    match error {
        ServiceError::Api(ApiError::InvalidRequest(problems)) => {
            let one = |problem: &api::FieldProblem| {
                let hint = problem.did_you_mean.as_ref().map(|meant| format!(" Did you mean “{meant}”?"));
                (field_of(&problem.at), sentence(&problem.problem) + &hint.unwrap_or_default())
            };
            problems.iter().map(one).collect()
        }
        ServiceError::Api(ApiError::ConfigurationInvalid(problems)) => {
            let one = |problem: &crate::config::Problem| {
                let field = problem.key.as_deref().and_then(|key| key.rsplit('.').next()).map(str::to_owned);
                (field, sentence(&problem.message))
            };
            problems.0.iter().map(one).collect()
        }
        _ => Vec::new(),
    }
}

/// The field at a JSON pointer, or of a parameter.
fn field_of(at: &str) -> Option<String> {
    let first = at.trim_start_matches('/').split('/').next().unwrap_or_default();
    Some(first.to_owned()).filter(|first| !first.is_empty())
}

/// A message as a sentence.
fn sentence(message: &str) -> String {
    let mut letters = message.trim_end_matches('.').chars();
    match letters.next() {
        Some(first) => format!("{}{}.", first.to_uppercase(), letters.as_str()),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use api::FieldProblem;

    #[test]
    fn a_problem_is_beside_its_field() {
        let typed = PageForm::of(&[("name", "dev<"), ("password", "hunter2"), ("role", "a"), ("role", "b")]);
        let mut wrong = FieldProblem::new("/roles/1", "there is no role \"b\"");
        wrong.did_you_mean = Some("ab".to_owned());
        let error = ApiError::InvalidRequest(vec![wrong, FieldProblem::new("/other", "is unknown")]);
        let state = FormState::refused(&typed, error.into(), &["name", "roles"]).unwrap();
        assert_eq!([state.text("name", "old"), state.text("password", "old")], ["dev<", "old"]);
        assert!(state.is_chosen("role", "b", false) && !state.is_chosen("role", "c", true));
        let why = state.why("roles", "r").to_string();
        assert!(
            why.contains("There is no role &quot;b&quot;. Did you mean “ab”?") && why.contains("id=\"r-why\""),
            "{why}"
        );
        assert!(state.why("name", "n").to_string().is_empty() && state.invalid("name", "n").to_string().is_empty());
        assert_eq!(state.invalid("roles", "r").to_string(), " aria-invalid=\"true\" aria-describedby=\"r-why\"");
        assert!(state.summary().to_string().contains("other: Is unknown."));
    }

    #[test]
    fn what_is_not_about_the_form_stays_an_error() {
        let typed = PageForm::default();
        assert!(FormState::refused(&typed, ApiError::NotFound.into(), &[]).is_err());
        let taken = FormState::refused(&typed, ApiError::NameTaken("the group dev".into()).into(), &["name"]).unwrap();
        assert_eq!(taken.status(), StatusCode::CONFLICT);
        assert!(taken.summary().to_string().contains("The group dev exists already."));
        let fresh = FormState::default();
        assert_eq!((fresh.text("name", "first").as_str(), fresh.is_chosen("a", "b", true)), ("first", true));
        assert_eq!((fresh.status(), fresh.is_refused()), (StatusCode::OK, false));
    }
}
