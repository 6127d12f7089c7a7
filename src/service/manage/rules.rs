//! Access rules: an ordered list. Every write names the version of the file that its caller has read, because an index
//! means nothing in another one.

use super::{
    super::{
        answer::Answering,
        endpoint::{Effect, Family, Methods, Need, RequestLine},
        error::{ApiError, FieldProblem, ServiceError},
        gate::Granted,
        headers::value,
        query::Query,
    },
    changes::{done, with_generation},
    operation::{AnswerShape, Operation, Shape},
    reply,
};
use crate::{
    config::EditableFile,
    manage::{Changed, rules},
    who::Permission,
    wire::ResponseBody,
};
use api::rules::{RuleBody, RuleInfo, RuleList};
use http::{Response, StatusCode, header};

pub(super) const OPERATIONS: &[Operation] = &[
    Operation::get::<RuleList>("/rules", "list_rules", "List the access rules; the ETag is that of the file."),
    Operation::of("POST", "/rules", "insert_rule", "Insert a rule.", RULE, 201)
        .takes::<RuleBody>()
        .with_query(&[("at", "Its place in the list, from 0; without it, the end.")])
        .refuses(&[400, 409, 412, 428]),
    Operation::of("PUT", "/rules/{index}", "replace_rule", "Replace a rule.", RULE, 200)
        .takes::<RuleBody>()
        .refuses(&[400, 404, 409, 412, 428]),
    Operation::of("DELETE", "/rules/{index}", "delete_rule", "Delete a rule.", AnswerShape::Nothing, 204)
        .refuses(&[404, 409, 412, 428]),
];

const RULE: AnswerShape = AnswerShape::One(Shape::of::<RuleInfo>());

/// A request about access rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RuleEndpoint {
    /// `GET /rules`.
    List,
    /// `POST /rules`.
    Insert,
    /// `PUT /rules/{index}`.
    Replace(usize),
    /// `DELETE /rules/{index}`.
    Delete(usize),
}

const ALL: Methods = Methods(&[("GET", Effect::Reads), ("HEAD", Effect::Reads), ("POST", Effect::Writes)]);
const ONE: Methods = Methods(&[("PUT", Effect::Writes), ("DELETE", Effect::Writes)]);

impl RuleEndpoint {
    pub(super) fn parse(line: &RequestLine<'_>) -> Result<Self, ServiceError> {
        let index = |text: &str| text.parse::<usize>().map_err(|_| ServiceError::from(ApiError::NotFound));
        match (line.segments, line.method.as_str()) {
            (["rules"], _) if line.is_read() => Ok(Self::List),
            (["rules"], "POST") => Ok(Self::Insert),
            (["rules", at], "PUT") => index(at).map(Self::Replace),
            (["rules", at], "DELETE") => index(at).map(Self::Delete),
            (["rules"], _) => Err(ServiceError::MethodNotAllowed(ALL)),
            (["rules", _], _) => Err(ServiceError::MethodNotAllowed(ONE)),
            _ => Err(ApiError::NotFound.into()),
        }
    }
}

impl Family for RuleEndpoint {
    fn name(&self) -> &'static str {
        match self {
            Self::List => "list_rules",
            Self::Insert => "insert_rule",
            Self::Replace(_) => "replace_rule",
            Self::Delete(_) => "delete_rule",
        }
    }

    fn needs(&self) -> Need<'_> {
        match self {
            Self::List | Self::Insert | Self::Replace(_) | Self::Delete(_) => Need::May(Permission::ADMIN),
        }
    }

    fn methods(&self) -> Methods {
        match self {
            Self::List | Self::Insert => ALL,
            Self::Replace(_) | Self::Delete(_) => ONE,
        }
    }

    fn serve(self, granted: Granted) -> Answering {
        Box::pin(async move {
            match self {
                Self::List => list(&granted).await,
                Self::Insert => insert(granted).await,
                Self::Replace(index) => replace(granted, index).await,
                Self::Delete(index) => delete(granted, index).await,
            }
        })
    }
}

async fn list(granted: &Granted) -> Result<Response<ResponseBody>, ServiceError> {
    let (tag, list) = granted.read_files(|manage, live| rules::read(manage.editor(), live)).await?;
    granted.tagged_resource(&tag, &list)
}

async fn insert(mut granted: Granted) -> Result<Response<ResponseBody>, ServiceError> {
    let precondition = granted.precondition().required()?;
    let query = Query::parse(granted.request.head.uri.query().unwrap_or_default());
    let invalid = |_| ApiError::invalid(FieldProblem::new("at", "is not a number"));
    let at = query.one("at")?.map(|at| at.parse::<usize>().map_err(invalid)).transpose()?;
    drop(query);
    let asked: RuleBody = granted.read_json().await?;
    let target = asked.repository.clone();
    let made = granted.change(target, move |edits| rules::insert(edits, at, &asked, &precondition)).await?;
    let location = format!("/api/v1/rules/{}", made.value.index);
    let mut response = reply::json(StatusCode::CREATED, &made.value)?;
    response.headers_mut().insert(header::LOCATION, value(location));
    Ok(tagged(response, &made))
}

async fn replace(mut granted: Granted, index: usize) -> Result<Response<ResponseBody>, ServiceError> {
    let precondition = granted.precondition().required()?;
    let asked: RuleBody = granted.read_json().await?;
    let change = granted.change(index.to_string(), move |edits| rules::replace(edits, index, &asked, &precondition));
    let changed = change.await?;
    Ok(tagged(reply::json(StatusCode::OK, &changed.value)?, &changed))
}

async fn delete(granted: Granted, index: usize) -> Result<Response<ResponseBody>, ServiceError> {
    let precondition = granted.precondition().required()?;
    let change = granted.change(index.to_string(), move |edits| rules::delete(edits, index, &precondition));
    let deleted = change.await?;
    Ok(tagged(done(&deleted), &deleted))
}

/// Adds the entity tag of the file as the change left it, so that the caller can go on.
fn tagged<T>(mut response: Response<ResponseBody>, changed: &Changed<T>) -> Response<ResponseBody> {
    if let Some(tag) = changed.file_tag(EditableFile::AccessControl) {
        response.headers_mut().insert(header::ETAG, value(format!("\"{tag}\"")));
    }
    with_generation(response, &changed.generation)
}
