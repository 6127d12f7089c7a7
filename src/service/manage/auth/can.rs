//! Whether a user may do something, and why.

use super::super::super::{
    error::{ApiError, FieldProblem, ServiceError},
    gate::Granted,
    query::Query,
};
use crate::{
    access::{Ceiling, DecisionReason, DecisionStep},
    who::{Action, Permission, Subject},
    wire::ResponseBody,
};
use api::auth::{CanAnswer, CanRule, CanStep};
use http::Response;
use oci::RepositoryName;

pub(super) async fn answer(granted: Granted) -> Result<Response<ResponseBody>, ServiceError> {
    let query = granted.request.head.uri.query().unwrap_or_default().to_owned();
    let query = Query::parse(&query);
    let invalid = |at: &str, problem: String| ServiceError::from(ApiError::invalid(FieldProblem::new(at, problem)));
    let (subject, ceiling) = asked_about(&granted, query.one("user")?)?;
    let action = query.one("action")?.ok_or_else(|| invalid("action", "is missing".to_owned()))?;
    let (live, registry) = (&granted.request.live, granted.registry());
    let steps = match query.one("repository")? {
        Some(name) => {
            let name: RepositoryName = name.parse()?;
            let action: Action = action.parse().map_err(|why: &str| invalid("action", why.to_owned()))?;
            let facts = registry.repository(&name).facts().await;
            live.rights.explain(&subject, &ceiling, &name, action, &facts)
        }
        None => {
            let permission: Permission = action.parse().map_err(|_| {
                let why = "is a permission such as VIEW:USER, or one of pull, push and delete with a repository";
                invalid("action", why.to_owned())
            })?;
            let verdict = live.rights.may(&subject, &ceiling, permission);
            vec![(verdict.step, Some(verdict.allowed), verdict.reason)]
        }
    };
    granted.resource(&explained(&steps))
}

/// The user that a request asks about, and the limits of their credentials: for another user, none.
fn asked_about(granted: &Granted, user: Option<&str>) -> Result<(Subject, Ceiling), ServiceError> {
    let who = granted.who();
    let subject = match user {
        None => return Ok((who.subject.clone(), who.ceiling.clone())),
        Some("anonymous") => Subject::Anonymous,
        Some(name) => Subject::User(name.into()),
    };
    match granted.has(Permission::VIEW_SYSTEM) || subject == who.subject {
        true => Ok((subject, Ceiling::None)),
        false => Err(ServiceError::Denied {
            message: format!("access denied: this needs the permission {}", Permission::VIEW_SYSTEM),
            reason: format!("{} does not have {}", who.subject, Permission::VIEW_SYSTEM),
        }),
    }
}

fn explained(steps: &[(DecisionStep, Option<bool>, DecisionReason)]) -> CanAnswer {
    let last = steps.last();
    let rule = last.and_then(|(_, _, reason)| match reason {
        DecisionReason::Rule { number, line, .. } => {
            Some(CanRule { line: *line as u64, index: number.saturating_sub(1) as u64 })
        }
        _ => None,
    });
    CanAnswer {
        allowed: last.is_some_and(|(_, allows, _)| *allows == Some(true)),
        reason: last.map(|(_, _, reason)| reason.to_string()).unwrap_or_default(),
        steps: steps
            .iter()
            .map(|(step, allows, reason)| CanStep {
                step: step.to_string(),
                allows: *allows,
                reason: reason.to_string(),
            })
            .collect(),
        rule,
    }
}
