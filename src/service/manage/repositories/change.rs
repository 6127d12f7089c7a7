//! Creates repositories, changes what is recorded about them, and deletes them.

use super::super::super::{
    error::{ApiError, ServiceError},
    gate::Granted,
};
use super::{
    super::{audit::made_to, reply, seen::ChangedContent},
    invalid, item,
};
use crate::{
    access::{Decision, DecisionStep, Verdict},
    manage::Precondition,
    registry::{Description, NewRepository, OwnerName},
    who::{Action, Permission, Subject},
    wire::ResponseBody,
};
use api::repositories::{
    DeletedRepository, NewRepositoryRequest, RepositoryChange, RepositoryVisibility, VisibilityChange,
    VisibilityOfRepository, VisibilityState,
};
use http::{Response, StatusCode};
use oci::{Expression, RepositoryName};

/// `POST /repositories`.
pub(super) async fn create(mut granted: Granted) -> Result<Response<ResponseBody>, ServiceError> {
    let asked: NewRepositoryRequest = granted.read_json().await?;
    let name: RepositoryName = asked.name.parse().map_err(|error| invalid("/name", error))?;
    if !granted.may(Action::Push, &name).await && !granted.has_in(&name, Permission::CREATE_REPO) {
        return Err(granted.lacks(Permission::CREATE_REPO));
    }
    let me = granted.who().subject.name();
    let owner = match &asked.owner {
        Some(owner) if Some(owner.as_str()) != me && !granted.administers(&name, Permission::UPDATE_REPO).await => {
            return Err(granted.lacks(Permission::UPDATE_REPO));
        }
        Some(owner) => Some(owner_name(owner, "/owner")?),
        None => me.and_then(|me| me.parse().ok()),
    };
    let description = asked.description.as_deref().map(description).transpose()?;
    let visibility = asked.visibility.map(item::recorded);
    granted.repository(&name).create(NewRepository { visibility, owner, description }).await?;
    granted.request.state.seen.changed(ChangedContent::Repository(name.clone()));
    item::answer(&granted, &name, StatusCode::CREATED).await
}

/// `PATCH /repositories/{repository}`.
pub(super) async fn change(
    mut granted: Granted,
    name: &RepositoryName,
) -> Result<Response<ResponseBody>, ServiceError> {
    let asked: RepositoryChange = granted.read_json().await?;
    let RepositoryChange { description: text, owner, immutable_tags } = asked;
    let text = text.map(|text| text.as_deref().map(description).transpose()).transpose()?;
    let owner = owner.map(|owner| owner.map(|owner| owner_name(&owner, "/owner")).transpose()).transpose()?;
    let expression = |tags: String| tags.parse::<Expression>().map_err(|error| invalid("/immutable_tags", error));
    let immutable = immutable_tags.map(|tags| tags.map(expression).transpose()).transpose()?;
    let repository = granted.repository(name);
    let alone = repository.lock_facts().await;
    compare(&granted, name).await?;
    if let Some(text) = text {
        repository.set_description(text.as_ref()).await?;
    }
    if let Some(immutable) = immutable {
        repository.set_own_immutable(immutable.as_ref()).await?;
    }
    // The owner last: it may end the caller's right to do the rest.
    if let Some(owner) = owner {
        repository.set_owner(owner.as_ref()).await?;
    }
    drop(alone);
    item::answer(&granted, name, StatusCode::OK).await
}

/// `DELETE /repositories/{repository}`.
pub(super) async fn delete(granted: &Granted, name: &RepositoryName) -> Result<Response<ResponseBody>, ServiceError> {
    if granted.parameters().first("confirm").is_some_and(|confirmed| confirmed != name.as_str()) {
        return Err(invalid("confirm", format!("this is not the repository's name, which is {name}")));
    }
    let repository = granted.repository(name);
    let _alone = repository.lock_facts().await;
    compare(granted, name).await?;
    let removed = repository.delete().await?;
    let (tags, manifests, blobs) = (removed.tags, removed.manifests, removed.blobs);
    reply::json(StatusCode::ACCEPTED, &DeletedRepository { name: name.to_string(), tags, manifests, blobs })
}

/// Compares the request's precondition with the facts of a repository, which has to exist.
async fn compare(granted: &Granted, name: &RepositoryName) -> Result<(), ServiceError> {
    let repository = granted.repository(name);
    if !repository.exists().await? {
        return Err(ApiError::NotFound.into());
    }
    match granted.precondition() {
        Precondition::None => Ok(()),
        precondition => Ok(precondition.check(Some(&item::facts_tag(&repository.recorded_facts().await?)?))?),
    }
}

/// `GET …/-/visibility`.
pub(super) async fn visibility(
    granted: &Granted,
    name: &RepositoryName,
) -> Result<Response<ResponseBody>, ServiceError> {
    if !granted.repository(name).exists().await? {
        return Err(ApiError::NotFound.into());
    }
    granted.resource(&state(granted, name).await)
}

/// `PUT …/-/visibility`.
pub(super) async fn set_visibility(
    mut granted: Granted,
    name: &RepositoryName,
) -> Result<Response<ResponseBody>, ServiceError> {
    let VisibilityChange { visibility } = granted.read_json().await?;
    record_visibility(&granted, name, visibility).await
}

/// `POST /repositories/visibility`.
pub(super) async fn set_visibility_by_body(mut granted: Granted) -> Result<Response<ResponseBody>, ServiceError> {
    let VisibilityOfRepository { name, private } = granted.read_json().await?;
    let name: RepositoryName = name.parse().map_err(|error| invalid("/name", error))?;
    if !granted.administers(&name, Permission::UPDATE_REPO).await {
        // What the caller may not pull does not exist for them.
        return Err(match granted.may(Action::Pull, &name).await {
            true => granted.lacks(Permission::UPDATE_REPO),
            false => ApiError::NotFound.into(),
        });
    }
    let visibility = if private { RepositoryVisibility::Private } else { RepositoryVisibility::Public };
    Ok(made_to(record_visibility(&granted, &name, visibility).await?, &name))
}

async fn record_visibility(
    granted: &Granted,
    name: &RepositoryName,
    visibility: RepositoryVisibility,
) -> Result<Response<ResponseBody>, ServiceError> {
    let repository = granted.repository(name);
    if !repository.exists().await? {
        return Err(ApiError::NotFound.into());
    }
    repository.set_visibility(item::recorded(visibility)).await?;
    granted.resource(&state(granted, name).await)
}

async fn state(granted: &Granted, name: &RepositoryName) -> VisibilityState {
    let visibility = item::visibility(granted.repository(name).facts().await.visibility);
    let rights = &granted.request.live.rights;
    let decision = rights.decide_without_facts(&Subject::Anonymous, &Default::default(), name, Action::Pull);
    let (effective, overridden_by) = match decision {
        Decision::NeedsFacts(_) => (visibility, None),
        Decision::Decided(verdict) => {
            let effective = if verdict.allowed { RepositoryVisibility::Public } else { RepositoryVisibility::Private };
            (effective, Some(decided_by(granted, &verdict)))
        }
    };
    VisibilityState { visibility, effective, overridden_by }
}

/// What decides about callers without a login in place of the visibility. The text of rules is for those who see the
/// system.
fn decided_by(granted: &Granted, verdict: &Verdict) -> String {
    match verdict.step {
        DecisionStep::Rule if !granted.has(Permission::VIEW_SYSTEM) => "an access rule".to_owned(),
        _ => verdict.reason.to_string(),
    }
}

fn description(text: &str) -> Result<Description, ServiceError> {
    text.parse().map_err(|error| invalid("/description", error))
}

fn owner_name(name: &str, at: &str) -> Result<OwnerName, ServiceError> {
    name.parse().map_err(|error| invalid(at, error))
}
