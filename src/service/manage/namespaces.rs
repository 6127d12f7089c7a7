//! Namespaces: the first components of repository names.

use super::super::{
    answer::{self, Answering},
    endpoint::{Effect, Family, Methods, Need, RequestLine},
    error::{ApiError, ServiceError},
    gate::Granted,
};
use super::{
    operation::{AnswerShape, Operation, Shape},
    reply::{self, first_of, rfc3339},
    repositories::invalid,
    seen::seen,
};
use crate::{
    registry::{Creation, NamespaceName, UsageTotals, Visible as _},
    who::Permission,
    wire::ResponseBody,
};
use api::repositories::{NamespaceItem, NewNamespaceRequest};
use http::{Method, Response, StatusCode};
use std::collections::BTreeMap;

pub(super) const OPERATIONS: &[Operation] = &[
    Operation::list::<NamespaceItem>("/namespaces", "list_namespaces", "List the namespaces you may see."),
    Operation::of("POST", "/namespaces", "create_namespace", "Create a namespace.", NAMESPACE, 201)
        .takes::<NewNamespaceRequest>()
        .refuses(&[409]),
    Operation::get::<NamespaceItem>("/namespaces/{namespace}", "show_namespace", "Show a namespace."),
    Operation::of(
        "DELETE",
        "/namespaces/{namespace}",
        "delete_namespace",
        "Delete a namespace without repositories.",
        AnswerShape::Nothing,
        204,
    )
    .refuses(&[409]),
];

const NAMESPACE: AnswerShape = AnswerShape::One(Shape::of::<NamespaceItem>());

/// A request about namespaces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NamespaceEndpoint {
    /// `GET /namespaces`.
    List,
    /// `POST /namespaces`.
    Create,
    /// `GET /namespaces/{namespace}`.
    Show(NamespaceName),
    /// `DELETE /namespaces/{namespace}`.
    Delete(NamespaceName),
}

const ALL: Methods = Methods(&[("GET", Effect::Reads), ("HEAD", Effect::Reads), ("POST", Effect::Writes)]);
const ONE: Methods = Methods(&[("GET", Effect::Reads), ("HEAD", Effect::Reads), ("DELETE", Effect::Writes)]);

impl NamespaceEndpoint {
    pub(super) fn parse(line: &RequestLine<'_>) -> Result<Self, ServiceError> {
        match (line.segments, line.method) {
            ([_], _) if line.is_read() => Ok(Self::List),
            ([_], &Method::POST) => Ok(Self::Create),
            ([_], _) => Err(ServiceError::MethodNotAllowed(ALL)),
            ([_, name], _) if line.is_read() => Ok(Self::Show(name.parse::<NamespaceName>()?)),
            ([_, name], &Method::DELETE) => Ok(Self::Delete(name.parse::<NamespaceName>()?)),
            ([_, _], _) => Err(ServiceError::MethodNotAllowed(ONE)),
            _ => Err(ApiError::NotFound.into()),
        }
    }
}

impl Family for NamespaceEndpoint {
    fn name(&self) -> &'static str {
        match self {
            Self::List => "list_namespaces",
            Self::Create => "create_namespace",
            Self::Show(_) => "show_namespace",
            Self::Delete(_) => "delete_namespace",
        }
    }

    fn needs(&self) -> Need<'_> {
        match self {
            // Strangers see those of repositories that everybody may pull.
            Self::List | Self::Show(_) => Need::Sight,
            Self::Create => Need::MayUnlessOpen(Permission::CREATE_REPO),
            Self::Delete(_) => Need::MayUnlessOpen(Permission::DELETE_REPO),
        }
    }

    fn methods(&self) -> Methods {
        match self {
            Self::List | Self::Create => ALL,
            Self::Show(_) | Self::Delete(_) => ONE,
        }
    }

    fn serve(self, granted: Granted) -> Answering {
        Box::pin(async move {
            match self {
                Self::List => list(&granted).await,
                Self::Create => create(granted).await,
                Self::Show(name) => show(&granted, &name).await,
                Self::Delete(name) => delete(&granted, &name).await,
            }
        })
    }
}

async fn list(granted: &Granted) -> Result<Response<ResponseBody>, ServiceError> {
    let page = granted.page_query()?;
    let (visible, seen) = (granted.visible(), seen(granted).await?);
    let is_after = |name: &&NamespaceName| page.last.as_deref().is_none_or(|last| name.as_str() > last);
    let with_repositories = seen.namespaces().iter().filter(|(name, _)| is_after(name));
    let mut found: BTreeMap<_, _> = with_repositories.map(|(name, totals)| (name, *totals)).collect();
    // Those without repositories are seen by callers for whom something could be in them.
    for name in seen.created.keys().filter(is_after) {
        if visible.reaches(name.prefix()) || granted.may_below(name.prefix(), Permission::CREATE_REPO) {
            found.entry(name).or_default();
        }
    }
    let named = first_of(found.into_iter(), page.n, |(name, _)| name.to_string());
    let origin = |name| seen.created.get(name).and_then(Option::as_ref);
    let items = named.items.into_iter().map(|(name, totals)| item(granted, name, totals, origin(name))).collect();
    granted.list(&api::Page::new(items, named.next).incomplete(seen.is_incomplete))
}

async fn create(mut granted: Granted) -> Result<Response<ResponseBody>, ServiceError> {
    let NewNamespaceRequest { name } = granted.read_json().await?;
    let name: NamespaceName = name.parse().map_err(|error| invalid("/name", error))?;
    check(&granted, &name, Permission::CREATE_REPO)?;
    granted.registry().create_namespace(&name).await?;
    let totals = totals(&granted, &name).await?;
    let created = item(&granted, &name, totals, granted.registry().namespace_origin(&name).await.as_ref());
    reply::created(&format!("/api/v1/namespaces/{name}"), &created)
}

async fn show(granted: &Granted, name: &NamespaceName) -> Result<Response<ResponseBody>, ServiceError> {
    let totals = totals(granted, name).await?;
    let prefix = name.prefix();
    let may_see_empty = granted.visible().reaches(prefix) || granted.may_below(prefix, Permission::CREATE_REPO);
    let item = item(granted, name, totals, granted.registry().namespace_origin(name).await.as_ref());
    match totals.repositories > 0 || (may_see_empty && item.created_at.is_some()) {
        true => granted.resource(&item),
        false => Err(ApiError::NotFound.into()),
    }
}

async fn delete(granted: &Granted, name: &NamespaceName) -> Result<Response<ResponseBody>, ServiceError> {
    check(granted, name, Permission::DELETE_REPO)?;
    granted.registry().delete_namespace(name).await?;
    Ok(answer::empty(StatusCode::NO_CONTENT))
}

/// Checks that a role's permission covers the whole namespace. That some role has it was checked before.
fn check(granted: &Granted, name: &NamespaceName, permission: Permission) -> Result<(), ServiceError> {
    match granted.may_below(name.prefix(), permission) {
        true => Ok(()),
        false => Err(granted.lacks(permission)),
    }
}

/// What the repositories of a namespace hold together, as far as the caller may see them.
async fn totals(granted: &Granted, name: &NamespaceName) -> Result<UsageTotals, ServiceError> {
    let mut totals = UsageTotals::default();
    let visible = granted.visible();
    granted.registry().each_existing(Some(name), &visible, |_, outline| totals.add(outline)).await?;
    Ok(totals)
}

fn item(granted: &Granted, name: &NamespaceName, totals: UsageTotals, origin: Option<&Creation>) -> NamespaceItem {
    NamespaceItem {
        name: name.to_string(),
        repositories: totals.repositories,
        tags: totals.tags,
        size: totals.bytes,
        created_at: origin.and_then(Creation::at).map(rfc3339),
        created_by: granted.user_name(origin.and_then(|origin| origin.by.clone())),
    }
}
