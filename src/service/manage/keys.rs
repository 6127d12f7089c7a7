//! API keys.

use super::{
    super::{
        answer::{self, Answering},
        endpoint::{Effect, Family, Methods, Need, RequestLine},
        error::{ApiError, FieldProblem, ServiceError},
        gate::Granted,
    },
    auth::not_stored,
    operation::{AnswerShape, Operation, Shape},
    reply::{self, first_of, rfc3339},
};
use crate::{
    access::KeyScopes,
    accounts::{ApiKey, ApiKeyChange, ApiKeyRequest, MOST_NAME_BYTES},
    identity::UserKind,
    who::{ApiKeyId, Permission},
    wire::ResponseBody,
};
use api::keys::{ApiKeyCreated, ApiKeyInfo, ApiKeyPatch, NewApiKey};
use http::{Method, Response, StatusCode};
use std::{sync::Arc, time::Duration};

pub(super) const OPERATIONS: &[Operation] = &[
    Operation::list::<ApiKeyInfo>("/keys", "list_keys", "List the API keys of a user.")
        .with_query(&[("owner", "Another user, or `*` for all; needs UPDATE:USER.")]),
    Operation::of(
        "POST",
        "/keys",
        "create_key",
        "Make an API key. Its secret is shown only in this answer.",
        AnswerShape::One(Shape::of::<ApiKeyCreated>()),
        201,
    )
    .takes::<NewApiKey>()
    .refuses(&[409]),
    Operation::of("PATCH", "/keys/{key}", "change_key", "Change an API key's name, scopes or expiry.", KEY, 200)
        .takes::<ApiKeyPatch>()
        .refuses(&[409]),
    Operation::of("DELETE", "/keys/{key}", "delete_key", "Delete an API key.", AnswerShape::Nothing, 204),
];

const KEY: AnswerShape = AnswerShape::One(Shape::of::<ApiKeyInfo>());

/// A request about API keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyEndpoint {
    /// `GET /keys`.
    List,
    /// `POST /keys`.
    Create,
    /// `PATCH /keys/{id}`.
    Change(ApiKeyId),
    /// `DELETE /keys/{id}`.
    Delete(ApiKeyId),
}

const ALL: Methods = Methods(&[("GET", Effect::Reads), ("HEAD", Effect::Reads), ("POST", Effect::Writes)]);
const ONE: Methods = Methods(&[("PATCH", Effect::Writes), ("DELETE", Effect::Writes)]);

/// The longest life of a key that expires.
const LONGEST_LIFE: u64 = 10 * 365 * 86_400;

impl KeyEndpoint {
    pub(super) fn parse(line: &RequestLine<'_>) -> Result<Self, ServiceError> {
        let id = |text: &str| text.parse::<ApiKeyId>().map_err(|_| ServiceError::from(ApiError::NotFound));
        match (line.segments, line.method) {
            (["keys"], _) if line.is_read() => Ok(Self::List),
            (["keys"], &Method::POST) => Ok(Self::Create),
            (["keys", key], &Method::PATCH) => id(key).map(Self::Change),
            (["keys", key], &Method::DELETE) => id(key).map(Self::Delete),
            (["keys"], _) => Err(ServiceError::MethodNotAllowed(ALL)),
            (["keys", _], _) => Err(ServiceError::MethodNotAllowed(ONE)),
            _ => Err(ApiError::NotFound.into()),
        }
    }
}

impl Family for KeyEndpoint {
    fn name(&self) -> &'static str {
        match self {
            Self::List => "list_keys",
            Self::Create => "create_key",
            Self::Change(_) => "change_key",
            Self::Delete(_) => "delete_key",
        }
    }

    fn needs(&self) -> Need<'_> {
        match self {
            Self::List | Self::Create | Self::Change(_) | Self::Delete(_) => Need::LoggedIn,
        }
    }

    fn methods(&self) -> Methods {
        match self {
            Self::List | Self::Create => ALL,
            Self::Change(_) | Self::Delete(_) => ONE,
        }
    }

    fn serve(self, granted: Granted) -> Answering {
        match self {
            Self::List => Box::pin(list(granted)),
            Self::Create => Box::pin(create(granted)),
            Self::Change(id) => Box::pin(change(granted, id)),
            Self::Delete(id) => Box::pin(delete(granted, id)),
        }
    }
}

async fn list(granted: Granted) -> Result<Response<ResponseBody>, ServiceError> {
    let owner = Some(granted.account_user("owner")?).filter(|owner| owner != "*");
    let page = granted.page_query()?;
    let accounts = &granted.request.state.accounts;
    let last = page.last.as_deref().and_then(|last| last.parse::<ApiKeyId>().ok());
    let keys = accounts.api_keys(owner.as_deref()).await?.into_iter();
    let rest = keys.filter(|(id, _)| last.is_none_or(|last| *id > last));
    let found = first_of(rest, page.n, |(id, _)| id.to_string());
    let mut items = Vec::new();
    for (id, key) in found.items {
        items.push(info(&granted, id, &key).await?);
    }
    granted.list(&api::Page::new(items, found.next))
}

async fn create(mut granted: Granted) -> Result<Response<ResponseBody>, ServiceError> {
    let (users, _) = granted.own_users()?;
    granted.check_account_change()?;
    let NewApiKey { name, scopes, expires_in, owner } = granted.read_json().await?;
    let created_by = granted.who().subject.to_string();
    let owner = owner.unwrap_or_else(|| created_by.clone());
    check_gain(&granted, &owner)?;
    if !matches!(users.kind(&owner), Some(UserKind::Person | UserKind::Robot)) {
        return Err(invalid("/owner", format!("there is no user {owner:?}, or they are locked")));
    }
    let scopes = checked_scopes(&granted, &scopes)?;
    let life = checked_life(expires_in)?;
    let request = ApiKeyRequest { name: checked_name(name)?, owner, scopes, created_by, life };
    let (text, key) = granted.request.state.accounts.create_api_key(request).await?;
    let content = ApiKeyCreated { key: info(&granted, text.id(), &key).await?, secret: text.reveal().to_owned() };
    Ok(not_stored(reply::created(&format!("/api/v1/keys/{}", text.id()), &content)?))
}

async fn change(mut granted: Granted, id: ApiKeyId) -> Result<Response<ResponseBody>, ServiceError> {
    let key = find(&granted, id).await?;
    check_gain(&granted, &key.owner)?;
    check_is_ours(&granted, id)?;
    let ApiKeyPatch { name, scopes, expires_in } = granted.read_json().await?;
    let change = ApiKeyChange {
        name: name.map(checked_name).transpose()?,
        scopes: scopes.map(|scopes| checked_scopes(&granted, &scopes)).transpose()?,
        life: expires_in.map(checked_life).transpose()?,
    };
    let changed = granted.request.state.accounts.change_api_key(id, &change).await?;
    let changed = changed.ok_or(ApiError::NotFound)?;
    granted.resource(&info(&granted, id, &changed).await?)
}

async fn delete(granted: Granted, id: ApiKeyId) -> Result<Response<ResponseBody>, ServiceError> {
    find(&granted, id).await?;
    check_is_ours(&granted, id)?;
    granted.request.state.accounts.delete_api_key(id).await?;
    Ok(answer::empty(StatusCode::NO_CONTENT))
}

/// Checks that the caller may change this key. One of another user does not exist for those who may not.
async fn find(granted: &Granted, id: ApiKeyId) -> Result<Arc<ApiKey>, ServiceError> {
    granted.own_users()?;
    granted.check_account_change()?;
    let key = granted.request.state.accounts.api_key(id).await?;
    let is_own = |key: &ApiKey| granted.who().subject.name() == Some(&key.owner);
    let visible = key.filter(|key| is_own(key) || granted.has(Permission::UPDATE_USER));
    visible.ok_or_else(|| ApiError::NotFound.into())
}

/// Checks that the caller may act as this user: whoever makes or changes a key can have its secret.
fn check_gain(granted: &Granted, owner: &str) -> Result<(), ServiceError> {
    let who = granted.who();
    match who.subject.name() == Some(owner) || granted.has(Permission::ADMIN) {
        true => Ok(()),
        false => Err(ServiceError::Denied {
            message: format!("access denied: keys of others need the permission {}", Permission::ADMIN),
            reason: format!("{} does not have {}", who.subject, Permission::ADMIN),
        }),
    }
}

/// Checks that a key is not in the operator's own directory.
fn check_is_ours(granted: &Granted, id: ApiKeyId) -> Result<(), ServiceError> {
    match granted.request.state.accounts.is_shared_key(id) {
        false => Ok(()),
        true => Err(ApiError::ReadOnlyFile {
            path: format!("{id}.json"),
            why: "it is in the directory REGISTRY_API_KEYS, which is edited elsewhere".to_owned(),
        }
        .into()),
    }
}

async fn info(granted: &Granted, id: ApiKeyId, key: &ApiKey) -> Result<ApiKeyInfo, ServiceError> {
    let last_used = granted.request.state.accounts.api_key_used(id).await?;
    Ok(ApiKeyInfo {
        id: id.to_string(),
        name: key.name.clone(),
        owner: key.owner.clone(),
        scopes: key.written_scopes().to_vec(),
        created_at: rfc3339(key.created.into()),
        created_by: key.created_by.clone(),
        expires_at: key.expires.map(|expires| rfc3339(expires.into())),
        expired: key.is_expired(),
        last_used_at: last_used.map(|used| rfc3339(used.into())),
        read_only: granted.request.state.accounts.is_shared_key(id),
    })
}

fn invalid(at: impl Into<String>, problem: impl Into<String>) -> ServiceError {
    ApiError::invalid(FieldProblem::new(at, problem)).into()
}

fn checked_name(name: String) -> Result<String, ServiceError> {
    match name.trim() == name && !name.is_empty() && name.len() <= MOST_NAME_BYTES && !name.contains(char::is_control) {
        true => Ok(name),
        false => Err(invalid(
            "/name",
            format!("must have 1 to {MOST_NAME_BYTES} bytes, no control characters, and no blanks at the ends"),
        )),
    }
}

/// The scopes of a key. One that is made with another key can do no more than that.
fn checked_scopes(granted: &Granted, written: &[String]) -> Result<KeyScopes, ServiceError> {
    let scopes = KeyScopes::parse(written).map_err(|(place, why)| {
        let at = place.map_or("/scopes".to_owned(), |place| format!("/scopes/{place}"));
        invalid(at, why.to_string())
    })?;
    match granted.who().ceiling.key().is_none_or(|own| own.include(&scopes)) {
        true => Ok(scopes),
        false => Err(ApiError::ScopeTooNarrow.into()),
    }
}

fn checked_life(seconds: Option<u64>) -> Result<Option<Duration>, ServiceError> {
    match seconds {
        None => Ok(None),
        Some(seconds @ 1..=LONGEST_LIFE) => Ok(Some(Duration::from_secs(seconds))),
        Some(_) => Err(invalid("/expires_in", format!("must be 1 to {LONGEST_LIFE} seconds"))),
    }
}
