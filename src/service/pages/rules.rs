//! The access rules in their order, and what they decide.

use super::{
    super::{
        error::ServiceError,
        gate::Granted,
        manage::{AuthEndpoint, ConfigEndpoint, ManageEndpoint, RuleEndpoint},
    },
    acts::NO_BODY,
    ask::{Answered, is_refusal},
    form::PageForm,
    markup,
    shell::{Shell, go_to, page},
};
use crate::wire::ResponseBody;
use api::{
    auth::CanAnswer,
    config::ConfigStatus,
    rules::{RuleBody, RuleInfo, RuleList},
};
use askama::Template;
use http::{Method, Response, StatusCode};

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

pub(super) async fn insert(granted: &Granted, fields: &PageForm) -> Result<Response<ResponseBody>, ServiceError> {
    // People count from 1. At the end unless a place is named.
    let at = fields.text("at").trim().parse::<usize>().ok().map(|at| at.saturating_sub(1).to_string());
    let query: Vec<_> = at.iter().map(|at| ("at", at.as_str())).collect();
    let insert = ManageEndpoint::Rule(RuleEndpoint::Insert);
    granted.act(insert, Method::POST, &query, Some(fields.text("etag")), Some(&rule_of(fields))).await?;
    Ok(go_to("/access?done=saved"))
}

pub(super) async fn replace(
    granted: &Granted,
    index: usize,
    fields: &PageForm,
) -> Result<Response<ResponseBody>, ServiceError> {
    let replace = ManageEndpoint::Rule(RuleEndpoint::Replace(index));
    granted.act(replace, Method::PUT, &[], Some(fields.text("etag")), Some(&rule_of(fields))).await?;
    Ok(go_to("/access?done=saved"))
}

pub(super) async fn delete(
    granted: &Granted,
    index: usize,
    fields: &PageForm,
) -> Result<Response<ResponseBody>, ServiceError> {
    let delete = ManageEndpoint::Rule(RuleEndpoint::Delete(index));
    granted.act(delete, Method::DELETE, &[], Some(fields.text("etag")), NO_BODY).await?;
    Ok(go_to("/access?done=deleted"))
}
