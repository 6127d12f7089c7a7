//! The access rules in their order, and what they decide.

use super::{
    super::{
        error::{ApiError, ServiceError},
        gate::Granted,
        manage::{AuthEndpoint, ConfigEndpoint, ManageEndpoint, RuleEndpoint},
    },
    ask::{Answered, is_refusal},
    form::PageForm,
    form_state::FormState,
    markup,
    review::{self, FileSave},
    shell::{Shell, page},
};
use crate::wire::ResponseBody;
use api::{
    FieldProblem,
    auth::CanAnswer,
    config::ConfigStatus,
    rules::{MoveRule, RuleBody, RuleInfo, RuleList},
};
use askama::Template;
use http::{Method, Response, StatusCode};
use serde_json::Value;

/// A form of the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RuleForm {
    New,
    Edit(usize),
    Move(usize),
}

/// The fields of a rule, as the API calls them.
const RULE: [&str; 3] = ["repository", "users", "permissions"];

#[derive(Template)]
#[template(path = "rules.html")]
struct RulesTemplate {
    shell: Shell,
    list: RuleList,
    etag: String,
    file: String,
    user: String,
    repository: String,
    action: String,
    answer: Option<CanAnswer>,
    /// Why there is no answer.
    refusal: String,
    refused: Option<(RuleForm, FormState)>,
    untouched: FormState,
}

impl RulesTemplate {
    fn is(&self, rule: &RuleInfo, permission: &str) -> bool {
        let is_given = rule.permissions.iter().any(|one| one == permission);
        self.edit(&rule.index).is_chosen("permission", permission, is_given)
    }

    fn form(&self, form: RuleForm) -> &FormState {
        self.refused.as_ref().filter(|(refused, _)| *refused == form).map_or(&self.untouched, |(_, state)| state)
    }

    fn new_rule(&self) -> &FormState {
        self.form(RuleForm::New)
    }

    fn edit(&self, index: &u64) -> &FormState {
        self.form(RuleForm::Edit(usize::try_from(*index).unwrap_or(usize::MAX)))
    }

    fn place(&self, index: &u64) -> &FormState {
        self.form(RuleForm::Move(usize::try_from(*index).unwrap_or(usize::MAX)))
    }
}

pub(super) async fn show(
    granted: &Granted,
    refused: Option<(RuleForm, FormState)>,
) -> Result<Response<ResponseBody>, ServiceError> {
    let list = ManageEndpoint::Rule(RuleEndpoint::List);
    let Answered { content: list, etag } = granted.ask_tagged(list, &[]).await?;
    let config: Option<ConfigStatus> =
        granted.ask_if_allowed(ManageEndpoint::Config(ConfigEndpoint::Show), &[]).await?;
    let file = config.and_then(|config| config.files.into_iter().find(|file| file.name == "access-control")?.path);
    let parameters = granted.parameters();
    let given = |name: &str| parameters.first(name).unwrap_or_default().trim().to_owned();
    let (user, repository, action) = (given("user"), given("repository"), given("action"));
    let (mut answer, mut refusal) = (None, String::new());
    if !user.is_empty() && !action.is_empty() {
        let query = [("user", user.as_str()), ("repository", &repository), ("action", &action)];
        match granted.ask(ManageEndpoint::Auth(AuthEndpoint::Can), &query).await {
            Ok(found) => answer = Some(found),
            Err(error) if error.row().status == StatusCode::BAD_REQUEST || is_refusal(&error) => {
                refusal = error.message();
            }
            Err(error) => return Err(error),
        }
    }
    let shell = Shell::of(granted, "access").await;
    let file = file.unwrap_or_default();
    let (status, untouched) =
        (refused.as_ref().map_or(StatusCode::OK, |(_, state)| state.status()), FormState::default());
    page(
        status,
        &RulesTemplate { shell, list, etag, file, user, repository, action, answer, refusal, refused, untouched },
    )
}

/// Saves a form, or shows it again.
async fn save_form(
    granted: &Granted,
    fields: &PageForm,
    form: RuleForm,
    save: FileSave,
) -> Result<Response<ResponseBody>, ServiceError> {
    match review::save(granted, fields, save).await {
        Err(error) => again(granted, fields, form, error).await,
        answered => answered,
    }
}

async fn again(
    granted: &Granted,
    fields: &PageForm,
    form: RuleForm,
    error: ServiceError,
) -> Result<Response<ResponseBody>, ServiceError> {
    let shown = if matches!(form, RuleForm::Move(_)) { &["to"][..] } else { &RULE };
    show(granted, Some((form, FormState::refused(fields, error, shown)?))).await
}

fn rule_of(fields: &PageForm) -> RuleBody {
    RuleBody {
        repository: fields.text("repository").trim().to_owned(),
        users: fields.words("users"),
        permissions: fields.all("permission"),
        made_for: fields.owned("for"),
    }
}

/// A change of the rules.
fn save(title: String, endpoint: RuleEndpoint, method: Method, body: Option<Value>) -> FileSave {
    let done = if method == Method::DELETE { "/access?done=deleted" } else { "/access?done=saved" };
    FileSave {
        endpoint: ManageEndpoint::Rule(endpoint),
        method,
        query: Vec::new(),
        body,
        section: "access",
        title,
        back: "/access".to_owned(),
        done: done.to_owned(),
    }
}

pub(super) async fn insert(granted: &Granted, fields: &PageForm) -> Result<Response<ResponseBody>, ServiceError> {
    // People count from 1. At the end unless a place is named.
    let at = fields.text("at").trim().parse::<usize>().ok().map(|at| at.saturating_sub(1).to_string());
    let query = at.into_iter().map(|at| ("at", at)).collect();
    let body = FileSave::json(&rule_of(fields))?;
    let insert = save("New rule".to_owned(), RuleEndpoint::Insert, Method::POST, body);
    save_form(granted, fields, RuleForm::New, FileSave { query, ..insert }).await
}

pub(super) async fn replace(
    granted: &Granted,
    index: usize,
    fields: &PageForm,
) -> Result<Response<ResponseBody>, ServiceError> {
    let (title, body) = (format!("Change rule {}", index.saturating_add(1)), FileSave::json(&rule_of(fields))?);
    let save = save(title, RuleEndpoint::Replace(index), Method::PUT, body);
    save_form(granted, fields, RuleForm::Edit(index), save).await
}

pub(super) async fn delete(
    granted: &Granted,
    index: usize,
    fields: &PageForm,
) -> Result<Response<ResponseBody>, ServiceError> {
    let title = format!("Delete rule {}", index.saturating_add(1));
    let save = save(title, RuleEndpoint::Delete(index), Method::DELETE, None);
    save_form(granted, fields, RuleForm::Edit(index), save).await
}

/// Moves a rule to another place, which people count from 1.
pub(super) async fn reorder(
    granted: &Granted,
    index: usize,
    fields: &PageForm,
) -> Result<Response<ResponseBody>, ServiceError> {
    let Ok(to) = fields.text("to").trim().parse::<u64>() else {
        let invalid = ApiError::invalid(FieldProblem::new("to", "this is not a place in the list"));
        return again(granted, fields, RuleForm::Move(index), invalid.into()).await;
    };
    let to = to.saturating_sub(1);
    let title = format!("Move rule {} to place {}", index.saturating_add(1), to.saturating_add(1));
    let body = FileSave::json(&MoveRule { to })?;
    let save = save(title, RuleEndpoint::Move(index), Method::POST, body);
    save_form(granted, fields, RuleForm::Move(index), save).await
}
