//! Roles: permissions that groups give to their members.

use super::{
    super::{
        answer::Answering,
        endpoint::{Effect, Family, Methods, Need, RequestLine},
        error::{ApiError, ServiceError},
        gate::Granted,
        query::encode,
    },
    changes::made,
    groups::name_of_path,
    operation::{AnswerShape, Operation, Shape},
    reply,
};
use crate::{
    manage::{Edits, groups::policy, roles},
    who::Permission,
    wire::ResponseBody,
};
use api::roles::{PutRole, RoleInfo, UpdateRole};
use http::Response;

pub(super) const OPERATIONS: &[Operation] = &[
    Operation::list::<RoleInfo>("/roles", "list_roles", "List roles."),
    Operation::of("POST", "/roles", "create_role", "Create a role.", ROLE, 201)
        .takes::<PutRole>()
        .previews()
        .refuses(&[400, 409]),
    Operation::get::<RoleInfo>("/roles/{role}", "show_role", "Show a role.").refuses(&[404]),
    Operation::of(
        "PUT",
        "/roles/{role}",
        "put_role",
        "Create a role, replace it, or override a built-in one.",
        ROLE,
        200,
    )
    .takes::<PutRole>()
    .previews()
    .refuses(&[400, 409, 412]),
    Operation::of("PATCH", "/roles/{role}", "update_role", "Add permissions to a role, and remove others.", ROLE, 200)
        .takes::<UpdateRole>()
        .previews()
        .refuses(&[400, 404, 409, 412]),
    Operation::of("DELETE", "/roles/{role}", "delete_role", "Delete a role.", AnswerShape::Nothing, 204)
        .previews()
        .refuses(&[404, 409, 412]),
];

const ROLE: AnswerShape = AnswerShape::One(Shape::of::<RoleInfo>());

/// A request about roles.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RoleEndpoint {
    /// `GET /roles`.
    List,
    /// `POST /roles`.
    Create,
    /// `GET /roles/{role}`.
    Show(String),
    /// `PUT /roles/{role}`.
    Put(String),
    /// `PATCH /roles/{role}`.
    Update(String),
    /// `DELETE /roles/{role}`.
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

impl RoleEndpoint {
    pub(super) fn parse(line: &RequestLine<'_>) -> Result<Self, ServiceError> {
        let is_read = line.is_read();
        match (line.segments, line.method.as_str()) {
            (["roles"], _) if is_read => Ok(Self::List),
            (["roles"], "POST") => Ok(Self::Create),
            (["roles", role], _) if is_read => Ok(Self::Show((*role).to_owned())),
            (["roles", role], "PUT") => Ok(Self::Put((*role).to_owned())),
            (["roles", role], "PATCH") => Ok(Self::Update((*role).to_owned())),
            (["roles", role], "DELETE") => Ok(Self::Delete((*role).to_owned())),
            (["roles"], _) => Err(ServiceError::MethodNotAllowed(ALL)),
            (["roles", _], _) => Err(ServiceError::MethodNotAllowed(ONE)),
            _ => Err(ApiError::NotFound.into()),
        }
    }
}

impl Family for RoleEndpoint {
    fn name(&self) -> &'static str {
        match self {
            Self::List => "list_roles",
            Self::Create => "create_role",
            Self::Show(_) => "show_role",
            Self::Put(_) => "put_role",
            Self::Update(_) => "update_role",
            Self::Delete(_) => "delete_role",
        }
    }

    fn needs(&self) -> Need<'_> {
        match self {
            Self::List | Self::Show(_) => Need::May(Permission::VIEW_SYSTEM),
            Self::Create | Self::Put(_) | Self::Update(_) | Self::Delete(_) => Need::May(Permission::ADMIN),
        }
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
                Self::Show(role) => show(&granted, &role),
                Self::Put(role) => put(granted, role).await,
                Self::Update(role) => update(granted, role).await,
                Self::Delete(role) => delete(granted, role).await,
            }
        })
    }
}

fn list(granted: &Granted) -> Result<Response<ResponseBody>, ServiceError> {
    let page = granted.page_query()?;
    let roles = roles::list(policy(&granted.request.live)?, page.last.as_deref());
    granted.list(&reply::first_of(roles, page.n, |role| role.name.clone()))
}

fn show(granted: &Granted, name: &str) -> Result<Response<ResponseBody>, ServiceError> {
    let role = roles::role(policy(&granted.request.live)?, name);
    granted.resource(&role.ok_or(ApiError::NotFound)?)
}

async fn create(mut granted: Granted) -> Result<Response<ResponseBody>, ServiceError> {
    let asked: PutRole = granted.read_json().await?;
    let name = asked.name.clone();
    let create = move |edits: &Edits| roles::create(edits, &asked);
    if let Some(preview) = granted.previewed(&create).await? {
        return Ok(preview);
    }
    made(&format!("/api/v1/roles/{}", encode(&name)), &granted.change(&name, create).await?)
}

async fn put(mut granted: Granted, name: String) -> Result<Response<ResponseBody>, ServiceError> {
    let precondition = granted.write_precondition()?;
    let asked: PutRole = granted.read_json().await?;
    let asked = PutRole { name: name_of_path(&name, asked.name.clone())?, ..asked };
    granted.change_or_preview(&name, move |edits| roles::put(edits, &asked, &precondition)).await
}

async fn update(mut granted: Granted, name: String) -> Result<Response<ResponseBody>, ServiceError> {
    let precondition = granted.write_precondition()?;
    let asked: UpdateRole = granted.read_json().await?;
    let target = name.clone();
    granted.change_or_preview(&name, move |edits| roles::update(edits, &target, &asked, &precondition)).await
}

async fn delete(granted: Granted, name: String) -> Result<Response<ResponseBody>, ServiceError> {
    let precondition = granted.write_precondition()?;
    let target = name.clone();
    granted.delete_or_preview(&name, move |edits| roles::delete(edits, &target, &precondition)).await
}
