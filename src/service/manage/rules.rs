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
    manage::{Changed, Edits, rules},
    who::Permission,
    wire::ResponseBody,
};
use api::rules::{MoveRule, RuleBody, RuleInfo, RuleList};
use http::{Response, StatusCode, header};

pub(super) const OPERATIONS: &[Operation] = &[
    Operation::get::<RuleList>("/rules", "list_rules", "List the access rules; the ETag is that of the file."),
    Operation::of("POST", "/rules", "insert_rule", "Insert a rule.", RULE, 201)
        .takes::<RuleBody>()
        .with_query(&[("at", "Its place in the list, from 0; without it, the end.")])
        .previews()
        .refuses(&[400, 409, 412, 428]),
    Operation::of("PUT", "/rules/{index}", "replace_rule", "Replace a rule.", RULE, 200)
        .takes::<RuleBody>()
        .previews()
        .refuses(&[400, 404, 409, 412, 428]),
    Operation::of("POST", "/rules/{index}/move", "move_rule", "Move a rule to another place in the list.", RULE, 200)
        .takes::<MoveRule>()
        .previews()
        .refuses(&[400, 404, 409, 412, 428]),
    Operation::of("DELETE", "/rules/{index}", "delete_rule", "Delete a rule.", AnswerShape::Nothing, 204)
        .previews()
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
    /// `POST /rules/{index}/move`.
    Move(usize),
    /// `DELETE /rules/{index}`.
    Delete(usize),
}

const ALL: Methods = Methods(&[("GET", Effect::Reads), ("HEAD", Effect::Reads), ("POST", Effect::Writes)]);
const ONE: Methods = Methods(&[("PUT", Effect::Writes), ("DELETE", Effect::Writes)]);
const PLACE: Methods = Methods(&[("POST", Effect::Writes)]);

impl RuleEndpoint {
    pub(super) fn parse(line: &RequestLine<'_>) -> Result<Self, ServiceError> {
        let index = |text: &str| text.parse::<usize>().map_err(|_| ServiceError::from(ApiError::NotFound));
        match (line.segments, line.method.as_str()) {
            (["rules"], _) if line.is_read() => Ok(Self::List),
            (["rules"], "POST") => Ok(Self::Insert),
            (["rules", at], "PUT") => index(at).map(Self::Replace),
            (["rules", at], "DELETE") => index(at).map(Self::Delete),
            (["rules", at, "move"], "POST") => index(at).map(Self::Move),
            (["rules", _, "move"], _) => Err(ServiceError::MethodNotAllowed(PLACE)),
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
            Self::Move(_) => "move_rule",
            Self::Delete(_) => "delete_rule",
        }
    }

    fn needs(&self) -> Need<'_> {
        match self {
            Self::List | Self::Insert | Self::Replace(_) | Self::Move(_) | Self::Delete(_) => {
                Need::May(Permission::ADMIN)
            }
        }
    }

    fn methods(&self) -> Methods {
        match self {
            Self::List | Self::Insert => ALL,
            Self::Replace(_) | Self::Delete(_) => ONE,
            Self::Move(_) => PLACE,
        }
    }

    fn serve(self, granted: Granted) -> Answering {
        Box::pin(async move {
            match self {
                Self::List => list(&granted).await,
                Self::Insert => insert(granted).await,
                Self::Replace(index) => replace(granted, index).await,
                Self::Move(index) => reorder(granted, index).await,
                Self::Delete(index) => delete(granted, index).await,
            }
        })
    }
}

async fn list(granted: &Granted) -> Result<Response<ResponseBody>, ServiceError> {
    let (tag, list) = granted.read_files(rules::read).await?;
    granted.tagged_resource(&tag, &*list)
}

async fn insert(mut granted: Granted) -> Result<Response<ResponseBody>, ServiceError> {
    let precondition = granted.precondition().required()?;
    let query = Query::parse(granted.request.head.uri.query().unwrap_or_default());
    let invalid = |_| ApiError::invalid(FieldProblem::new("at", "is not a number"));
    let at = query.one("at")?.map(|at| at.parse::<usize>().map_err(invalid)).transpose()?;
    drop(query);
    let asked: RuleBody = granted.read_json().await?;
    let target = asked.repository.clone();
    let insert = move |edits: &Edits| rules::insert(edits, at, &asked, &precondition);
    if let Some(preview) = granted.previewed(&insert).await? {
        return Ok(preview);
    }
    let made = granted.change(target, insert).await?;
    let location = format!("/api/v1/rules/{}", made.value.index);
    let mut response = reply::json(StatusCode::CREATED, &made.value)?;
    response.headers_mut().insert(header::LOCATION, value(location));
    Ok(tagged(response, &made))
}

async fn replace(mut granted: Granted, index: usize) -> Result<Response<ResponseBody>, ServiceError> {
    let precondition = granted.precondition().required()?;
    let asked: RuleBody = granted.read_json().await?;
    let replace = move |edits: &Edits| rules::replace(edits, index, &asked, &precondition);
    if let Some(preview) = granted.previewed(&replace).await? {
        return Ok(preview);
    }
    let changed = granted.change(index.to_string(), replace).await?;
    Ok(tagged(reply::json(StatusCode::OK, &changed.value)?, &changed))
}

async fn reorder(mut granted: Granted, index: usize) -> Result<Response<ResponseBody>, ServiceError> {
    let precondition = granted.precondition().required()?;
    let MoveRule { to } = granted.read_json().await?;
    let to = usize::try_from(to).unwrap_or(usize::MAX);
    let reorder = move |edits: &Edits| rules::reorder(edits, index, to, &precondition);
    if let Some(preview) = granted.previewed(&reorder).await? {
        return Ok(preview);
    }
    let moved = granted.change(index.to_string(), reorder).await?;
    Ok(tagged(reply::json(StatusCode::OK, &moved.value)?, &moved))
}

async fn delete(granted: Granted, index: usize) -> Result<Response<ResponseBody>, ServiceError> {
    let precondition = granted.precondition().required()?;
    let delete = move |edits: &Edits| rules::delete(edits, index, &precondition);
    if let Some(preview) = granted.previewed(&delete).await? {
        return Ok(preview);
    }
    let deleted = granted.change(index.to_string(), delete).await?;
    Ok(tagged(done(&deleted), &deleted))
}

/// Adds the entity tag of the file as the change left it, so that the caller can go on.
fn tagged<T>(mut response: Response<ResponseBody>, changed: &Changed<T>) -> Response<ResponseBody> {
    if let Some(tag) = changed.file_tag(EditableFile::AccessControl) {
        response.headers_mut().insert(header::ETAG, value(format!("\"{tag}\"")));
    }
    with_generation(response, &changed.generation)
}
