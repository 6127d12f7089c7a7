//! Search for artifacts, among those in repositories that the caller may see.

use super::{
    super::{
        super::{
            error::{ApiError, ServiceError},
            gate::Granted,
        },
        reply,
    },
    item,
};
use crate::{
    artifacts::{ArtifactFilters, ArtifactQuery, index::merged},
    registry::{
        Creation,
        artifacts::{ArtifactRepository, IndexReader},
    },
    who::Permission,
    wire::ResponseBody,
};
use api::artifact_search::ArtifactSearchAnswer;
use http::{Response, StatusCode};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// How long a request waits for indexes that are being made. After that the client is asked to come back.
const PATIENCE: Duration = Duration::from_secs(5);

/// `GET /artifacts/search`.
pub(super) async fn search(granted: &Granted) -> Result<Response<ResponseBody>, ServiceError> {
    let query = ArtifactQuery::parse(granted.request.head.uri.query().unwrap_or_default())?;
    let settings = &granted.request.live.registry.artifact_search;
    let (order, offset) = (query.order(settings.order), query.offset);
    let limit = query.limit.unwrap_or(settings.max_results).min(settings.max_results);
    let (filters, deadline) = (Arc::new(query.filters), deadline());
    let repositories = visible(granted, &filters).await?;
    let mut found = Vec::with_capacity(repositories.len());
    for (place, (repository, origin)) in repositories.iter().enumerate() {
        let (reader, filters) = (reader(repository, origin, deadline).await?, filters.clone());
        found.push((place, reader.work(move |index| index.search(&filters, order, offset + limit)).await?));
    }
    let (total, page) = merged(found, order, offset, limit);
    let mut results = Vec::with_capacity(page.len());
    for (place, artifact) in page {
        let (repository, _) = &repositories[place];
        // It may have been deleted meanwhile.
        if let Some(stored) = repository.stored(&artifact.version, &artifact.id).await? {
            results.push(item::artifact(granted, repository.name(), stored.artifact));
        }
    }
    let content = ArtifactSearchAnswer {
        results,
        total: total as u64,
        limit: limit as u64,
        offset: offset as u64,
        sort: order.sort.to_string(),
        order: order.direction().to_owned(),
    };
    reply::json(StatusCode::OK, &content)
}

/// The repositories in which the caller may see artifacts and something may be found.
pub(super) async fn visible(
    granted: &Granted,
    filters: &ArtifactFilters,
) -> Result<Vec<(ArtifactRepository, Creation)>, ServiceError> {
    let registry = granted.registry();
    let mut visible = Vec::new();
    for name in registry.artifact_repository_names().await? {
        if !filters.may_be_in(name.as_str()) {
            continue;
        }
        let repository = registry.artifacts(&name);
        let facts = repository.facts().await?;
        let Some(origin) = facts.origin else { continue };
        if granted.has_in_artifacts(&name, &facts.access, Permission::VIEW_ARTIFACT) {
            visible.push((repository, origin));
        }
    }
    Ok(visible)
}

/// The index of a repository.
pub(super) async fn reader(
    repository: &ArtifactRepository,
    origin: &Creation,
    deadline: Instant,
) -> Result<IndexReader, ServiceError> {
    let patience = deadline.saturating_duration_since(Instant::now());
    let reader = repository.index(origin, patience).await?;
    reader.ok_or_else(|| ApiError::NotIndexedYet(repository.name().to_string()).into())
}

/// Until when a request waits for an index.
pub(super) fn deadline() -> Instant {
    Instant::now() + PATIENCE
}
