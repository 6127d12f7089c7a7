//! Repositories of artifacts: list, create, show, change, delete.

use super::{
    super::{
        super::{
            answer,
            error::{ApiError, ServiceError},
            gate::Granted,
            headers::value,
        },
        reply,
        repositories::invalid,
    },
    item,
    search::deadline,
};
use crate::{
    access::Visibility,
    artifacts::{ArtifactRepositoryName, retention::OwnRetention},
    manage::Precondition,
    registry::{
        Description, OwnerName,
        artifacts::{ArtifactRepositoryFacts, NewArtifactRepository},
    },
    who::Permission,
    wire::ResponseBody,
};
use api::artifacts::{ArtifactRepositoryChange, NewArtifactRepositoryRequest};
use http::{Response, StatusCode, header};

/// `GET /artifacts/repos`.
pub(super) async fn list(granted: &Granted) -> Result<Response<ResponseBody>, ServiceError> {
    let page = granted.page_query()?;
    let parameters = granted.parameters();
    let containing = parameters.first("q").unwrap_or_default().to_owned();
    let owner = match parameters.first("owner") {
        Some("me") => Some(granted.who().subject.name().unwrap_or_default().to_owned()),
        other => other.map(str::to_owned),
    };
    let visibility = match parameters.first("visibility") {
        Some("public") => Some(Visibility::Public),
        Some("private") => Some(Visibility::Private),
        Some(_) => return Err(invalid("visibility", "must be public or private")),
        None => None,
    };
    let all = granted.registry().artifact_repositories().await?;
    let rest = all.into_iter().filter(|(name, facts)| {
        page.last.as_deref().is_none_or(|last| name.as_str() > last)
            && name.as_str().contains(&containing)
            && owner.as_deref().is_none_or(|owner| facts.access.owner.as_deref() == Some(owner))
            && visibility.is_none_or(|visibility| facts.access.visibility == visibility)
            && granted.sees_artifacts(name, &facts.access)
    });
    let found = reply::first_of(rest, page.n, |(name, _)| name.to_string());
    let (mut items, deadline) = (Vec::with_capacity(found.items.len()), deadline());
    for (name, facts) in found.items {
        items.push(item::repository(granted, &name, facts, deadline).await?);
    }
    granted.list(&api::Page::new(items, found.next))
}

/// `POST /artifacts/repos`.
pub(super) async fn create(mut granted: Granted) -> Result<Response<ResponseBody>, ServiceError> {
    let asked: NewArtifactRepositoryRequest = granted.read_json().await?;
    let name: ArtifactRepositoryName = asked.name.parse().map_err(|error| invalid("/name", error))?;
    if !granted.may_in_artifacts(&name, Permission::CREATE_REPO).await {
        return Err(granted.lacks(Permission::CREATE_REPO));
    }
    let me = granted.who().subject.name();
    let owner = match &asked.owner {
        Some(owner)
            if Some(owner.as_str()) != me && !granted.may_in_artifacts(&name, Permission::UPDATE_REPO).await =>
        {
            return Err(granted.lacks(Permission::UPDATE_REPO));
        }
        Some(owner) => Some(owner_name(owner)?),
        None => me.and_then(|me| me.parse().ok()),
    };
    let description = asked.description.as_deref().map(description).transpose()?;
    let visibility = visibility(asked.private);
    granted.registry().artifacts(&name).create(NewArtifactRepository { visibility, owner, description }).await?;
    let mut response = answered(&granted, &name, StatusCode::CREATED).await?;
    response.headers_mut().insert(header::LOCATION, value(format!("/api/v1/artifacts/repos/{name}")));
    Ok(response)
}

/// `GET /artifacts/repos/{repo}`.
pub(super) async fn show(
    granted: &Granted,
    name: &ArtifactRepositoryName,
) -> Result<Response<ResponseBody>, ServiceError> {
    answered(granted, name, StatusCode::OK).await
}

/// `PATCH /artifacts/repos/{repo}`.
pub(super) async fn change(
    mut granted: Granted,
    name: &ArtifactRepositoryName,
) -> Result<Response<ResponseBody>, ServiceError> {
    let asked: ArtifactRepositoryChange = granted.read_json().await?;
    let ArtifactRepositoryChange { description: text, private, owner, retention } = asked;
    let text = text.map(|text| text.as_deref().map(description).transpose()).transpose()?;
    let owner = owner.map(|owner| owner.as_deref().map(owner_name).transpose()).transpose()?;
    if let Some(Some(rules)) = &retention {
        OwnRetention::parse(rules).map_err(|why| invalid("/retention", why))?;
    }
    let repository = granted.registry().artifacts(name);
    let alone = repository.lock().await;
    compare(&granted, name).await?;
    if let Some(text) = text {
        repository.set_description(text.as_ref()).await?;
    }
    if let Some(retention) = retention {
        repository.set_retention(retention.as_ref()).await?;
    }
    if let Some(private) = private {
        repository.set_visibility(visibility(private)).await?;
    }
    // The owner last: it may end the caller's right to do the rest.
    if let Some(owner) = owner {
        repository.set_owner(owner.as_ref()).await?;
    }
    drop(alone);
    answered(&granted, name, StatusCode::OK).await
}

/// `DELETE /artifacts/repos/{repo}`.
pub(super) async fn delete(
    granted: &Granted,
    name: &ArtifactRepositoryName,
) -> Result<Response<ResponseBody>, ServiceError> {
    let parameters = granted.parameters();
    if parameters.first("confirm").is_some_and(|confirmed| confirmed != name.as_str()) {
        return Err(invalid("confirm", format!("this is not the repository's name, which is {name}")));
    }
    let purges = match (parameters.names("purge"), parameters.one("purge")?) {
        (false, _) | (true, Some("false")) => false,
        (true, None | Some("true")) => true,
        (true, Some(_)) => return Err(invalid("purge", "must be true or false")),
    };
    let repository = granted.registry().artifacts(name);
    let alone = repository.lock().await;
    compare(granted, name).await?;
    repository.delete().await?;
    drop(alone);
    if purges {
        repository.purge().await?;
    }
    Ok(answer::empty(StatusCode::NO_CONTENT))
}

/// Compares the request's precondition with the facts of a repository, which has to exist.
async fn compare(granted: &Granted, name: &ArtifactRepositoryName) -> Result<(), ServiceError> {
    let facts = existing(granted, name).await?;
    match granted.precondition() {
        Precondition::None => Ok(()),
        precondition => Ok(precondition.check(Some(&facts_tag(&facts)?))?),
    }
}

/// What is recorded about a repository, which has to exist.
pub(super) async fn existing(
    granted: &Granted,
    name: &ArtifactRepositoryName,
) -> Result<ArtifactRepositoryFacts, ServiceError> {
    let facts = granted.registry().artifacts(name).facts().await?;
    if facts.origin.is_some() { Ok(facts) } else { Err(ApiError::NotFound.into()) }
}

/// The entity tag of what can be changed: an upload must not make the change of a description fail.
fn facts_tag(facts: &ArtifactRepositoryFacts) -> Result<String, ServiceError> {
    let ArtifactRepositoryFacts { access, description, retention, .. } = facts;
    let text = description.as_ref().map(|text| text.as_str());
    reply::entity_tag(&(access.visibility.as_str(), &access.owner, text, retention))
}

async fn answered(
    granted: &Granted,
    name: &ArtifactRepositoryName,
    status: StatusCode,
) -> Result<Response<ResponseBody>, ServiceError> {
    let facts = existing(granted, name).await?;
    let tag = facts_tag(&facts)?;
    let mut response = reply::json(status, &item::repository(granted, name, facts, deadline()).await?)?;
    response.headers_mut().insert(header::ETAG, value(format!("\"{tag}\"")));
    Ok(response)
}

fn visibility(private: bool) -> Visibility {
    if private { Visibility::Private } else { Visibility::Public }
}

fn description(text: &str) -> Result<Description, ServiceError> {
    text.parse().map_err(|error| invalid("/description", error))
}

fn owner_name(name: &str) -> Result<OwnerName, ServiceError> {
    name.parse().map_err(|error| invalid("/owner", error))
}
