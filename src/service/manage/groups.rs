//! Groups: users who share roles.

use super::{
    super::{
        answer::Answering,
        endpoint::{Effect, Family, Methods, Need, RequestLine},
        error::{ApiError, FieldProblem, ServiceError},
        gate::Granted,
        query::{Query, encode},
    },
    changes::made,
    operation::{AnswerShape, Operation, Shape},
    reply,
};
use crate::{
    manage::{Edits, groups},
    who::{Permission, Resource, Verb},
    wire::ResponseBody,
};
use api::groups::{GroupInfo, UpdateGroup};
use http::Response;

pub(super) const OPERATIONS: &[Operation] = &[
    Operation::list::<GroupInfo>("/groups", "list_groups", "List groups."),
    Operation::of("POST", "/groups", "create_group", "Create a group.", GROUP, 201)
        .takes::<GroupInfo>()
        .previews()
        .refuses(&[400, 409]),
    Operation::get::<GroupInfo>("/groups/{group}", "show_group", "Show a group.").refuses(&[404]),
    Operation::of("PUT", "/groups/{group}", "put_group", "Create a group, or replace it.", GROUP, 200)
        .takes::<GroupInfo>()
        .previews()
        .refuses(&[400, 409, 412]),
    Operation::of("PATCH", "/groups/{group}", "update_group", "Change a group.", GROUP, 200)
        .takes::<UpdateGroup>()
        .previews()
        .refuses(&[400, 404, 409, 412]),
    Operation::of("DELETE", "/groups/{group}", "delete_group", "Delete a group.", AnswerShape::Nothing, 204)
        .with_query(&[("force", "Also remove it from rules that are about it.")])
        .previews()
        .refuses(&[404, 409, 412]),
];

const GROUP: AnswerShape = AnswerShape::One(Shape::of::<GroupInfo>());

/// A request about groups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GroupEndpoint {
    /// `GET /groups`.
    List,
    /// `POST /groups`.
    Create,
    /// `GET /groups/{group}`.
    Show(String),
    /// `PUT /groups/{group}`.
    Put(String),
    /// `PATCH /groups/{group}`.
    Update(String),
    /// `DELETE /groups/{group}`.
    Delete(String),
}

const ALL: Methods = Methods(&[("GET", Effect::Reads), ("HEAD", Effect::Reads), ("POST", Effect::Writes)]);
const ONE: Methods = Methods(&[
    ("GET", Effect::Reads),
    ("HEAD", Effect::Reads),
    ("PUT", Effect::Writes),
    ("PATCH", Effect::Writes),
    ("DELETE", Effect::Writes),
]);

impl GroupEndpoint {
    pub(super) fn parse(line: &RequestLine<'_>) -> Result<Self, ServiceError> {
        let is_read = line.is_read();
        match (line.segments, line.method.as_str()) {
            (["groups"], _) if is_read => Ok(Self::List),
            (["groups"], "POST") => Ok(Self::Create),
            (["groups", group], _) if is_read => Ok(Self::Show((*group).to_owned())),
            (["groups", group], "PUT") => Ok(Self::Put((*group).to_owned())),
            (["groups", group], "PATCH") => Ok(Self::Update((*group).to_owned())),
            (["groups", group], "DELETE") => Ok(Self::Delete((*group).to_owned())),
            (["groups"], _) => Err(ServiceError::MethodNotAllowed(ALL)),
            (["groups", _], _) => Err(ServiceError::MethodNotAllowed(ONE)),
            _ => Err(ApiError::NotFound.into()),
        }
    }
}

impl Family for GroupEndpoint {
    fn name(&self) -> &'static str {
        match self {
            Self::List => "list_groups",
            Self::Create => "create_group",
            Self::Show(_) => "show_group",
            Self::Put(_) => "put_group",
            Self::Update(_) => "update_group",
            Self::Delete(_) => "delete_group",
        }
    }

    fn needs(&self) -> Need<'_> {
        let verb = match self {
            Self::List | Self::Show(_) => Verb::View,
            Self::Create => Verb::Create,
            Self::Put(_) | Self::Update(_) => Verb::Update,
            Self::Delete(_) => Verb::Delete,
        };
        Need::May(Permission { verb, resource: Resource::Group })
    }

    fn methods(&self) -> Methods {
        match self {
            Self::List | Self::Create => ALL,
            Self::Show(_) | Self::Put(_) | Self::Update(_) | Self::Delete(_) => ONE,
        }
    }

    fn serve(self, granted: Granted) -> Answering {
        Box::pin(async move {
            match self {
                Self::List => list(&granted),
                Self::Create => create(granted).await,
                Self::Show(group) => show(&granted, &group),
                Self::Put(group) => put(granted, group).await,
                Self::Update(group) => update(granted, group).await,
                Self::Delete(group) => delete(granted, group).await,
            }
        })
    }
}

fn list(granted: &Granted) -> Result<Response<ResponseBody>, ServiceError> {
    let page = granted.page_query()?;
    let groups = groups::list(groups::policy(&granted.request.live)?, page.last.as_deref());
    granted.list(&reply::first_of(groups, page.n, |group| group.name.clone()))
}

fn show(granted: &Granted, name: &str) -> Result<Response<ResponseBody>, ServiceError> {
    let group = groups::group(groups::policy(&granted.request.live)?, name);
    granted.resource(&group.ok_or(ApiError::NotFound)?)
}

async fn create(mut granted: Granted) -> Result<Response<ResponseBody>, ServiceError> {
    let asked: GroupInfo = granted.read_json().await?;
    let name = asked.name.clone();
    let create = move |edits: &Edits| groups::create(edits, &asked);
    if let Some(preview) = granted.previewed(&create).await? {
        return Ok(preview);
    }
    made(&format!("/api/v1/groups/{}", encode(&name)), &granted.change(&name, create).await?)
}

async fn put(mut granted: Granted, name: String) -> Result<Response<ResponseBody>, ServiceError> {
    let precondition = granted.write_precondition()?;
    let asked: GroupInfo = granted.read_json().await?;
    let asked = GroupInfo { name: name_of_path(&name, asked.name.clone())?, ..asked };
    granted.change_or_preview(&name, move |edits| groups::put(edits, &asked, &precondition)).await
}

async fn update(mut granted: Granted, name: String) -> Result<Response<ResponseBody>, ServiceError> {
    let precondition = granted.write_precondition()?;
    let asked: UpdateGroup = granted.read_json().await?;
    let target = name.clone();
    granted.change_or_preview(&name, move |edits| groups::update(edits, &target, &asked, &precondition)).await
}

async fn delete(granted: Granted, name: String) -> Result<Response<ResponseBody>, ServiceError> {
    let precondition = granted.write_precondition()?;
    let force = is_set(&granted, "force");
    let target = name.clone();
    let delete = move |edits: &Edits| groups::delete(edits, &target, force, &precondition);
    granted.delete_or_preview(&name, delete).await
}

/// The name of what the path names; a body may repeat it.
pub(super) fn name_of_path(path: &str, body: String) -> Result<String, ServiceError> {
    match body.is_empty() || body == path {
        true => Ok(path.to_owned()),
        false => Err(ApiError::invalid(FieldProblem::new("/name", "differs from the name in the path")).into()),
    }
}

/// Whether a parameter of the query is there, and not `false`.
fn is_set(granted: &Granted, name: &'static str) -> bool {
    let query = Query::parse(granted.request.head.uri.query().unwrap_or_default());
    query.names(name) && query.first(name) != Some("false")
}
