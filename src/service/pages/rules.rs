//! The access rules in their order, and what they decide.

use super::{
    super::{
        error::{ApiError, ServiceError},
        gate::Granted,
        manage::{AuthEndpoint, ConfigEndpoint, ManageEndpoint, RuleEndpoint},
    },
    ask::{Answered, is_refusal},
    form::PageForm,
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
}

impl RulesTemplate {
    fn is(&self, rule: &RuleInfo, permission: &str) -> bool {
        rule.permissions.iter().any(|one| one == permission)
    }
}

pub(super) async fn show(granted: &Granted) -> Result<Response<ResponseBody>, ServiceError> {
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
    let shell = Shell::of(granted, "access");
    let file = file.unwrap_or_default();
    page(StatusCode::OK, &RulesTemplate { shell, list, etag, file, user, repository, action, answer, refusal })
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
    review::save(granted, fields, FileSave { query, ..insert }).await
}

pub(super) async fn replace(
    granted: &Granted,
    index: usize,
    fields: &PageForm,
) -> Result<Response<ResponseBody>, ServiceError> {
    let (title, body) = (format!("Change rule {}", index.saturating_add(1)), FileSave::json(&rule_of(fields))?);
    review::save(granted, fields, save(title, RuleEndpoint::Replace(index), Method::PUT, body)).await
}

pub(super) async fn delete(
    granted: &Granted,
    index: usize,
    fields: &PageForm,
) -> Result<Response<ResponseBody>, ServiceError> {
    let title = format!("Delete rule {}", index.saturating_add(1));
    review::save(granted, fields, save(title, RuleEndpoint::Delete(index), Method::DELETE, None)).await
}

/// Moves a rule to another place, which people count from 1.
pub(super) async fn reorder(
    granted: &Granted,
    index: usize,
    fields: &PageForm,
) -> Result<Response<ResponseBody>, ServiceError> {
    let invalid = |_| ApiError::invalid(FieldProblem::new("to", "is not a place in the list"));
    let to = fields.text("to").trim().parse::<u64>().map_err(invalid)?.saturating_sub(1);
    let title = format!("Move rule {} to place {}", index.saturating_add(1), to.saturating_add(1));
    let body = FileSave::json(&MoveRule { to })?;
    review::save(granted, fields, save(title, RuleEndpoint::Move(index), Method::POST, body)).await
}
