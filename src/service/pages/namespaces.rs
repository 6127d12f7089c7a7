//! Namespaces: what is in them, and the form for a new one.

use super::{
    super::{
        error::ServiceError,
        gate::Granted,
        manage::{ManageEndpoint, NamespaceEndpoint, RepositoryEndpoint},
    },
    acts::NO_BODY,
    form::PageForm,
    markup,
    shell::{Shell, go_to, page},
};
use crate::{
    registry::{NamespaceName, settings::AutoCreate},
    who::Permission,
    wire::ResponseBody,
};
use api::{
    Page,
    repositories::{NamespaceItem, NewNamespaceRequest, RepositoryItem},
};
use askama::Template;
use http::{Method, Response, StatusCode};

/// Namespaces or repositories on a page.
const ON_A_PAGE: &str = "100";

/// A name that could not be given to a new namespace.
#[derive(Default)]
pub(super) struct RefusedNamespace {
    name: String,
    error: String,
    status: StatusCode,
}

#[derive(Template)]
#[template(path = "namespaces.html")]
struct NamespacesTemplate {
    shell: Shell,
    items: Vec<NamespaceItem>,
    next: Option<String>,
    incomplete: bool,
    /// A push creates no namespace.
    is_strict: bool,
    refused: RefusedNamespace,
}

pub(super) async fn list(
    granted: &Granted,
    refused: Option<RefusedNamespace>,
) -> Result<Response<ResponseBody>, ServiceError> {
    let last = granted.parameters().first("last").unwrap_or_default().to_owned();
    let all = ManageEndpoint::Namespace(NamespaceEndpoint::List);
    let found: Page<NamespaceItem> = granted.ask(all, &[("n", ON_A_PAGE), ("last", &last)]).await?;
    let refused = refused.unwrap_or_default();
    page(
        refused.status,
        &NamespacesTemplate {
            shell: Shell::of(granted, "repositories").await,
            items: found.items,
            incomplete: found.incomplete,
            next: found.next.map(|next| format!("/namespaces?last={}", super::super::query::encode(&next))),
            is_strict: is_strict(granted),
            refused,
        },
    )
}

/// Whether a namespace must exist before something is pushed into it.
fn is_strict(granted: &Granted) -> bool {
    granted.request.live.registry.auto_create != AutoCreate::Anywhere
}

#[derive(Template)]
#[template(path = "namespace.html")]
struct NamespaceTemplate {
    shell: Shell,
    item: NamespaceItem,
    repositories: Vec<RepositoryItem>,
    largest: u64,
    has_more: bool,
    is_strict: bool,
    may_delete: bool,
}

pub(super) async fn show(granted: &Granted, name: &NamespaceName) -> Result<Response<ResponseBody>, ServiceError> {
    let one = ManageEndpoint::Namespace(NamespaceEndpoint::Show(name.clone()));
    let item: NamespaceItem = granted.ask(one, &[]).await?;
    let list = ManageEndpoint::Repository(RepositoryEndpoint::List);
    let query = [("n", ON_A_PAGE), ("namespace", name.as_str()), ("sort", "name")];
    let found: Page<RepositoryItem> = granted.ask(list, &query).await?;
    page(
        StatusCode::OK,
        &NamespaceTemplate {
            shell: Shell::of(granted, "repositories").await,
            largest: found.items.iter().map(|item| item.size).max().unwrap_or_default(),
            has_more: found.next.is_some(),
            is_strict: is_strict(granted),
            may_delete: item.created_at.is_some() && granted.may_below(name.prefix(), Permission::DELETE_REPO),
            repositories: found.items,
            item,
        },
    )
}

pub(super) async fn create(granted: &Granted, fields: &PageForm) -> Result<Response<ResponseBody>, ServiceError> {
    let name = fields.text("name").trim().to_owned();
    let asked = NewNamespaceRequest { name: name.clone() };
    let create = ManageEndpoint::Namespace(NamespaceEndpoint::Create);
    match granted.act(create, Method::POST, &[], None, Some(&asked)).await {
        Ok(_) => Ok(go_to(&format!("/namespaces/{name}?done=namespace-created"))),
        Err(error) if error.row().status.is_client_error() && error.row().status != StatusCode::UNAUTHORIZED => {
            let refused = RefusedNamespace { name, error: error.message(), status: error.row().status };
            list(granted, Some(refused)).await
        }
        Err(error) => Err(error),
    }
}

pub(super) async fn delete(granted: &Granted, name: &NamespaceName) -> Result<Response<ResponseBody>, ServiceError> {
    let delete = ManageEndpoint::Namespace(NamespaceEndpoint::Delete(name.clone()));
    granted.act(delete, Method::DELETE, &[], None, NO_BODY).await?;
    Ok(go_to("/namespaces?done=namespace-deleted"))
}
